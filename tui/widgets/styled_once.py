"""For widgets of many lines: their own style is looked up once for all lines that are drawn together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

if TYPE_CHECKING:
    from textual.widget import Widget as _Widget
else:
    _Widget = object  # as a Widget it would stand where the style sheet of the other base is looked for


class StyledOnce(_Widget):
    """A base beside a Widget, before it: `class FactTable(StyledOnce, DataTable)`."""

    _drawn_in: Style | None = None

    @property
    def rich_style(self) -> Style:
        return self._drawn_in or super().rich_style

    def render_lines(self, crop: Region) -> list[Strip]:
        self._drawn_in = super().rich_style
        try:
            return super().render_lines(crop)
        finally:
            self._drawn_in = None
