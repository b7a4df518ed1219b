"""What the screens that ask language models share: a prompt to type, the process that answers, a line for what it says.

The process is one for the whole app; it is asked one thing at a time and loads a model once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from envs.errors import ArenaError
from tui.lab_facts import Asking, read_asking
from tui.messages import ReadFailed
from tui.text import inert
from tui.widgets.area_bar import AreaBar
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note

if TYPE_CHECKING:
    from tui.app import ArenaApp

MAX_PROMPT = 2000

ASKING: list[BindingType] = [
    Binding("e", "edit", "Edit", id="ask.edit", tooltip="edit the prompt; Enter asks"),
    Binding("p,ctrl+n", "example", "Example", id="ask.example", tooltip="the next test prompt"),
    Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
    Binding("escape", "app.back", "Back", id="ask.leave"),
]


@dataclass
class AskingLoaded(Message):
    """Whom there is to ask has been read."""

    asking: Asking


class TextScreen(Screen[None]):
    """A prompt above, what came of it below. Subclasses compose `results`, and ask in `ask`."""

    CSS_PATH = "text_screen.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-stacked"), (100, "-beside")]  # noqa: RUF012
    TITLE_WORD: ClassVar[str] = ""
    RESULTS: ClassVar[str] = ""
    """What scrolls, and has the keyboard once something was asked."""

    def __init__(self, prompt: str = "") -> None:
        super().__init__()
        self.asking: Asking | None = None
        self.prompt = prompt
        self._example = 0

    @property
    def arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)

    def results(self) -> ComposeResult:
        """The widgets below the prompt."""
        raise NotImplementedError

    def ready(self, asking: Asking) -> str:
        """Prepare for the models there are; the line to say, or what is missing."""
        raise NotImplementedError

    def ask(self) -> None:
        """Ask about `self.prompt`."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Static(Content.styled(f" {self.TITLE_WORD} ", "bold $background on $primary"), id="banner")
        yield Input(self.prompt, placeholder="type a prompt; Enter asks", max_length=MAX_PROMPT, id="prompt")
        yield from self.results()
        yield Note(id="note")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._load()
        self._warm()

    @work(group="warm", exit_on_error=False)
    async def _warm(self) -> None:
        await self.arena.sessions.text()

    @work(thread=True, group="asking", exit_on_error=False)
    def _load(self) -> None:
        try:
            self.post_message(AskingLoaded(read_asking(self.arena.db)))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_asking_loaded(self, message: AskingLoaded) -> None:
        self.asking = message.asking
        self.say(self.ready(message.asking))
        self.asked(self.prompt)

    def on_read_failed(self, message: ReadFailed) -> None:
        self.say(message.problem, "$error")

    def say(self, text: str, style: str = "") -> None:
        """The line below."""
        self.query_one("#note", Static).update(Content.styled(inert(text), style))

    def asked(self, prompt: str) -> None:
        """Ask this, and let go of the keyboard, so that keys are commands."""
        self.prompt = prompt.strip()
        if self.prompt and self.asking is not None:
            self.set_focus(self.query_one(self.RESULTS), scroll_visible=False)
            self.ask()

    @on(Input.Submitted, "#prompt")
    def _submitted(self, event: Input.Submitted) -> None:
        self.asked(event.value)

    def action_edit(self) -> None:
        self.query_one(Input).focus()

    def action_example(self) -> None:
        prompts = self.asking.prompts if self.asking else []
        if not prompts:
            self.say("there are no test prompts yet; arena rlhf sft brings those of the help desk", "$warning")
            return
        prompt = prompts[self._example % len(prompts)]
        self._example += 1
        self.query_one(Input).value = prompt
        self.asked(prompt)

    def failed(self, error: ArenaError) -> None:
        """Say what went wrong."""
        self.say(str(error), "$error")
