"""A few lines of text above or below the rest."""

from __future__ import annotations

from textual.visual import VisualType
from textual.widgets import Static


class Note(Static):
    """Text whose height may be bound to it: the screen is laid out anew only where it takes another number of lines.

    Its style sheet gives it `height: auto`, with `min-height` and `max-height` in lines, or a height of its own.
    """

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        super().update(content, layout=False)
        if layout and (not self.content_size or self._lines() != self.content_size.height):
            self.refresh(layout=True)

    def _lines(self) -> int:
        """How many lines the text takes."""
        styles = self.styles
        if styles.height is not None and not styles.height.is_auto:
            return self.content_size.height
        lines = self.visual.get_height(styles.get_render_rules(), self.content_size.width)
        least, most = (
            None if limit is None else round(limit.value) for limit in (styles.min_height, styles.max_height)
        )
        return max(lines if most is None else min(lines, most), least or 0)
