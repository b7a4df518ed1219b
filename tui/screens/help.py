"""Every key there is, as it is bound now."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.keys import format_key
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.keymap import groups, keys_of, title_of
from tui.widgets.key_bar import KeyBar

GENERAL = (
    "F keys go to an area from anywhere, so does a click on the line at the top; each stays as you left it, Esc "
    "closes. Tab moves between the parts of a screen, arrows inside them; the mouse works everywhere. Ctrl+P opens the "
    'palette: every command by name, the theme, and "Rebind a key". Ctrl+Q quits from anywhere, q from the lobby; '
    "Ctrl+Z goes to the shell, and fg comes back.\n\n"
    "Playing: the arrow keys move the cursor over the legal moves and Enter plays; in games of moving about an arrow "
    "is the move. Click a square, press a move's own key, or type : and the move. Where both decide at once, your key "
    "is your action of that tick. A finished game is rated and stored under your name. A game in which you took a move "
    "back or asked for a hint does not count, nor do watched ones, nor those that were set up. A game in turns that "
    "you leave is kept: c in the lobby goes on with it.\n\n"
    "On boards orange is the first seat and blue the second; signs tell them apart as well. The palette's themes: "
    "arena-dark, arena-light, arena-safe (for any colour vision), arena-contrast (which a terminal of sixteen colours "
    "begins with). NO_COLOR=1 switches colours off. A terminal that is left in disorder: arena reset-terminal. "
    "Keys are kept in a file that `arena keys` prints.\n"
)

Part = str | tuple[str, str]


def key_rows(app_keymap: dict[str, str]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Per screen its (keys, what they do, binding id), with the person's own keys in place."""
    return [(title, [_row(binding, app_keymap) for binding in found]) for title, found in groups()]


def _row(binding: Binding, keymap: dict[str, str]) -> tuple[str, str, str]:
    shown = " ".join(format_key(key) for key in keys_of(binding, keymap).split(","))
    return shown, binding.tooltip or binding.description, binding.id or ""


class HelpScreen(ModalScreen[None]):
    """Scrolls. `below`: the screen that help was asked for from, whose keys come first."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Close", id="help.close")]

    def __init__(self, keymap: dict[str, str], below: Screen[Any]) -> None:
        super().__init__()
        self._keymap = keymap
        self._below = title_of(type(below))

    def compose(self) -> ComposeResult:
        here: list[Part] = []
        others: list[Part] = []
        for title, rows in key_rows(self._keymap):
            parts = here if title == self._below else others
            parts.append((f"\n{title}\n", "bold $primary"))
            for keys, words, _ in rows:
                parts += [(f"  {keys:14}", "bold"), f"{words}\n"]
        heading = ("Arena: keys and rules\n", "bold $primary")
        with VerticalScroll():
            yield Static(Content.assemble(heading, *here, f"\n{GENERAL}", *others))
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
