"""A line of a form: what it is about, and the one of several values that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.cells import set_cell_size
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tui.text import inert

LABEL = 14
"""Columns that a line's label takes."""


class Choice(Widget, can_focus=True):
    """One widget that draws label and value; Textual's Select mounts six and makes a form of them slow to open.

    The keys that would open a menu, and a click, ask the screen to do it: `Choice.Opened`.
    """

    DEFAULT_CSS = "Choice { height: 1; width: 1fr; max-width: 74; }"
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space,down,up", "open", "Choose", show=False)]

    class Changed(Message):
        """Another value is chosen."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

        @property
        def control(self) -> Choice:
            return self.choice

    class Opened(Message):
        """Somebody wants to choose."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, label: str, options: Sequence[tuple[str, Any]] = (), value: Any = None, *, id: str) -> None:
        super().__init__(id=id)
        self.label = label
        self.options: list[tuple[str, Any]] = []
        self._value: Any = None
        self.offer(options, value)

    def offer(self, options: Sequence[tuple[str, Any]], value: Any) -> None:
        """Other options: what is shown, and the value it stands for. No message tells of it."""
        self.options = list(options)
        self._value = value
        self.refresh()

    @property
    def value(self) -> Any:
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        """Choose a value that is offered; ValueError for any other."""
        if value not in [offered for _, offered in self.options]:
            raise ValueError(f"{value!r} is not offered")
        if value != self._value:
            self._value = value
            self.refresh()
            self.post_message(self.Changed(self))

    @property
    def index(self) -> int | None:
        """Which option is chosen."""
        return next((n for n, (_, value) in enumerate(self.options) if value == self._value), None)

    def render(self) -> RenderResult:
        words = "" if self.index is None else inert(self.options[self.index][0])
        style = "$block-cursor-foreground on $block-cursor-background" if self.has_focus else "on $surface"
        room = max(1, self.size.width - LABEL - 3)
        return Content.assemble((f"{self.label:{LABEL}}", "$text-muted"), (f"{set_cell_size(words, room)} ▼ ", style))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        self.post_message(self.Opened(self))
