"""A matrix of scores: each cell a number on a colour between blue (low) and orange (high), with a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.text import shorten

CELL = 5
"""Columns of a cell: a space, three digits, a space."""
NAME = 20


class HeatGrid(ScrollView, can_focus=True):
    """Scores in 0 … 1 of rows against columns, written in per cent; None where nothing is known.

    Every number is written out, so that nothing is lost without colours. Row and column numbers are the ranks.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1, 0)", "Up", show=False, id="grid.up"),
        Binding("down", "move(1, 0)", "Down", show=False, id="grid.down"),
        Binding("left", "move(0, -1)", "Left", show=False, id="grid.left"),
        Binding("right", "move(0, 1)", "Right", show=False, id="grid.right"),
        Binding("enter", "choose", "Choose", show=False, id="grid.choose"),
    ]
    DEFAULT_CSS = "HeatGrid { background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }"

    @dataclass
    class Moved(Message):
        """The cursor stands on another cell."""

        row: int
        column: int

    @dataclass
    class Chosen(Message):
        """Enter, or a click on the cell under the cursor."""

        row: int
        column: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names: Sequence[str] = ()
        self._scores: Sequence[Sequence[float | None]] = ()
        self._more: Sequence[tuple[str, Sequence[float]]] = ()
        self.row = self.column = 0
        self._rows: dict[int, Strip] = {}

    def show(
        self,
        names: Sequence[str],
        scores: Sequence[Sequence[float | None]],
        more: Sequence[tuple[str, Sequence[float]]] = (),
    ) -> None:
        """Draw these, by rank; `more` are further columns of shares: (title, one a row)."""
        self._names, self._scores, self._more = names, scores, more
        self._rows.clear()
        self.row, self.column = (max(0, min(at, len(names) - 1)) for at in (self.row, self.column))
        width = NAME + 4 + CELL * len(names) + sum(len(title) + 2 for title, _ in more)
        self.virtual_size = Size(width, len(names) + 1)
        self.refresh()

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._rows.clear())

    def on_unmount(self) -> None:
        self.app.theme_changed_signal.unsubscribe(self)  # who is subscribed is kept for ever

    def render_line(self, y: int) -> Strip:
        x, top = self.scroll_offset
        base = self.rich_style
        dim = Style(color=Color.parse(self.app.theme_variables["foreground"]).blend(self._background, 0.4).rich_color)
        if y == 0:
            head = "".join(f"{n + 1:>4} " for n in range(len(self._names)))
            titles = "".join(f"  {title}" for title, _ in self._more)
            strip = Strip([Segment(f"{'':{NAME + 4}}{head}{titles}", dim)])
        elif (row := y - 1 + top) < len(self._names):
            strip = self._row(row, dim) if row == self.row else self._rows.get(row) or self._row(row, dim)
            if row != self.row:
                self._rows[row] = strip
        else:
            return Strip.blank(self.size.width, base)
        return strip.crop_extend(x, x + self.size.width, base).apply_style(base)

    def _row(self, row: int, dim: Style) -> Strip:
        bold = Style(bold=row == self.row)
        segments = [Segment(f"{row + 1:>3} ", dim), Segment(f"{shorten(self._names[row], NAME):{NAME}}", bold)]
        for column, score in enumerate(self._scores[row]):
            at = (row, column) == (self.row, self.column)
            left, right = ("[", "]") if at and self.has_focus else (" ", " ")
            if row == column:
                segments.append(Segment(f"{left} · {right}", dim + Style(reverse=at)))
            elif score is None:
                segments.append(Segment(f"{left} – {right}", dim + Style(reverse=at)))
            else:
                segments.append(
                    Segment(f"{left}{100 * score:3.0f}{right}", self._style(score) + Style(bold=at, underline=at))
                )
        for title, shares in self._more:
            segments.append(Segment(f"  {100 * shares[row]:{len(title) - 1}.0f}%"))
        return Strip(segments)

    @property
    def _background(self) -> Color:
        return Color.parse(self.app.theme_variables["background"])

    def _style(self, score: float) -> Style:
        """Orange above a half, blue below, the stronger the further; the text in what can be read on it."""
        variables = self.app.theme_variables
        end = Color.parse(variables["primary" if score >= 0.5 else "secondary"])
        if end.ansi is not None or self._background.ansi is not None:
            return Style()
        colour = self._background.blend(end, 0.85 * min(1.0, 2 * abs(score - 0.5)))
        return Style(color=colour.get_contrast_text(1.0).rich_color, bgcolor=colour.rich_color)

    def action_move(self, down: int, right: int) -> None:
        if self._names:
            last = len(self._names) - 1
            self._go(max(0, min(last, self.row + down)), max(0, min(last, self.column + right)))

    def _go(self, row: int, column: int) -> None:
        left = self.row
        self.row, self.column = row, column
        self.scroll_to_region(Region(NAME + 4 + CELL * column, row, CELL, 2), animate=False)
        top = self.scroll_offset.y
        self.refresh(*(Region(0, at - top + 1, self.size.width, 1) for at in {left, row} if at >= top))
        self.post_message(self.Moved(row, column))

    def action_choose(self) -> None:
        if self._names:
            self.post_message(self.Chosen(self.row, self.column))

    def on_click(self, event: events.Click) -> None:
        row, column = event.y - 1 + self.scroll_offset.y, (event.x + self.scroll_offset.x - NAME - 4) // CELL
        if event.y > 0 and row < len(self._names) and 0 <= column < len(self._names):
            if (row, column) == (self.row, self.column):
                self.action_choose()
            else:
                self._go(row, column)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
