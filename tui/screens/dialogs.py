"""Small questions: choose one, type something, yes or no, press a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui.text import inert

MAX_WRITTEN = 20_000
"""Characters of a text of several lines."""


class ChooseScreen(ModalScreen[int | None]):
    """One of several; the answer is its index, None where nothing was chosen."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", id="dialog.cancel")]

    def __init__(self, title: str, options: Sequence[str], at: int | None = None) -> None:
        """With the cursor on the option `at`."""
        super().__init__()
        self._title = title
        self._options = options
        self._at = at

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(inert(self._title)), classes="title")
            yield OptionList(*(Option(Content(inert(option))) for option in self._options))
            yield Static(Content("↑ ↓ Enter · Esc cancels"), classes="keys")

    def on_mount(self) -> None:
        if self._at is not None:
            options = self.query_one(OptionList)
            options.highlighted = self._at
            self.call_after_refresh(options.scroll_to_highlight)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)


class AskScreen(ModalScreen[str | None]):
    """A line of text; None where nothing was entered."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel", id="dialog.cancel")]

    def __init__(self, title: str, value: str = "", explanation: str = "") -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._explanation = explanation

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(inert(self._title)), classes="title")
            if self._explanation:
                yield Static(Content(inert(self._explanation)))
            yield Input(self._value, max_length=200)
            yield Static(Content("Enter · Esc cancels"), classes="keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)


class WriteScreen(ModalScreen[str | None]):
    """A text of several lines; None where nothing was entered."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f10", "keep", "Keep", id="dialog.keep", priority=True, key_display="^s"),
        Binding("escape", "dismiss(None)", "Cancel", id="dialog.cancel"),
    ]
    KEYS = "^s keeps it · Enter: a new line · Esc cancels"

    def __init__(self, title: str, explanation: str = "") -> None:
        super().__init__()
        self._title = title
        self._explanation = explanation

    def compose(self) -> ComposeResult:
        from textual.widgets import TextArea  # the first screen does not wait for it

        with Vertical(classes="dialog"):
            yield Static(Content(inert(self._title)), classes="title")
            if self._explanation:
                yield Static(Content(inert(self._explanation)))
            yield TextArea(tab_behavior="focus", compact=True)
            yield Static(Content(self.KEYS), classes="keys")

    def action_keep(self) -> None:
        from textual.widgets import TextArea

        text = self.query_one(TextArea).text.strip()
        if len(text) > MAX_WRITTEN:
            much = f"{len(text):,} characters; at most {MAX_WRITTEN:,} are kept"
            self.query_one(".keys", Static).update(Content.styled(much, "$error"))
        else:
            self.dismiss(text or None)


class ConfirmScreen(ModalScreen[bool]):
    """Yes or no."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "dismiss(True)", "Yes", id="dialog.yes"),
        Binding("n,escape", "dismiss(False)", "No", id="dialog.no"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(inert(self._question)), classes="title")
            with Vertical(classes="answers"):
                yield Static(Content("y  yes"), classes="answer", id="yes")
                yield Static(Content("n  no"), classes="answer", id="no")

    def on_click(self, event: events.Click) -> None:
        if event.widget is not None and event.widget.id in ("yes", "no"):
            self.dismiss(event.widget.id == "yes")


class KeyScreen(ModalScreen[str | None]):
    """The next key that is pressed; None for Escape."""

    CSS_PATH = "dialogs.tcss"

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content(inert(self._title)), classes="title")
            yield Static(Content("press the new key · Esc cancels"), classes="keys")

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss(None if event.key == "escape" else event.key)
