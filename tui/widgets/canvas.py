"""What plots are drawn on."""

from __future__ import annotations

from textual.strip import Strip
from textual_hires_canvas import Canvas

from tui.widgets.styled_once import StyledOnce


class PlotCanvas(StyledOnce, Canvas):
    """Takes a third less time to draw than with its style looked up for each line."""

    def render_line(self, y: int) -> Strip:
        """As it comes, a line of a canvas without a size has no style, and what makes all styles grey fails on that."""
        line = super().render_line(y)
        return line if line.cell_length else Strip.blank(0, self.rich_style)
