"""What a run answered to one prompt as it went on: watch an answer change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from envs.errors import ArenaError
from tui.lab_facts import Sampled, read_samples
from tui.messages import ReadFailed
from tui.text import inert, inert_block
from tui.widgets.area_bar import AreaBar
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note

if TYPE_CHECKING:
    from tui.app import ArenaApp

REFRESH_SECONDS = 3.0


@dataclass
class SamplesLoaded(Message):
    """A run's answers have been read."""

    sampled: Sampled


class SamplesScreen(Screen[None]):
    """One prompt at a time, its answers from the first checkpoint to the last; new ones come as they are made."""

    CSS_PATH = "samples.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,n", "prompt(1)", "Next prompt", id="samples.next", key_display="→"),
        Binding("left", "prompt(-1)", "Prompt before", id="samples.before", key_display="←"),
        Binding("i", "lens", "Lens", id="samples.lens", tooltip="look inside at this prompt"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", id="samples.leave"),
    ]

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run
        self._sampled = Sampled(run, [])
        self._at = 0

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        yield Static(id="prompt")
        with VerticalScroll(id="answers"):
            yield Static(id="text")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#answers").focus()
        self._load()
        self.set_interval(REFRESH_SECONDS, self._load)

    @work(thread=True, exclusive=True, group="samples", exit_on_error=False)
    def _load(self) -> None:
        try:
            self.post_message(SamplesLoaded(read_samples(cast("ArenaApp", self.app).db, self._run)))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_samples_loaded(self, message: SamplesLoaded) -> None:
        if message.sampled != self._sampled or not message.sampled.prompts:
            self._sampled = message.sampled
            self._show()

    def on_read_failed(self, message: ReadFailed) -> None:
        self.query_one("#text", Static).update(Content.styled(inert(message.problem), "$error"))

    def _show(self) -> None:
        prompts = self._sampled.prompts
        where = f"prompt {self._at + 1} of {len(prompts)}" if prompts else "none yet: they come at each checkpoint"
        title = (" answers ", "bold $background on $primary")
        self.query_one("#banner", Static).update(Content.assemble(title, f"  {inert(self._run)} · {where}"))
        if not prompts:
            return
        prompt, answers = prompts[self._at]
        self.query_one("#prompt", Static).update(inert_block(prompt))
        self.query_one("#text", Static).update(changing(answers))

    def action_prompt(self, change: int) -> None:
        if self._sampled.prompts:
            self._at = (self._at + change) % len(self._sampled.prompts)
            self._show()
            self.query_one("#answers").scroll_home(animate=False)

    def action_lens(self) -> None:
        from tui.screens.lens import LensScreen

        if self._sampled.prompts:
            self.app.push_screen(LensScreen(self._sampled.prompts[self._at][0]))


def changing(answers: Sequence[tuple[int, str, bool]]) -> Content:
    """Answers (step, text, whether it ended by itself) one below the other, each as long as it stayed the same."""
    parts: list[Content | str | tuple[str, str]] = []
    last = None
    for step, text, ended in answers:
        same = (" as before", "$text-muted") if text == last else ""
        parts += [(f"after {step:,} completions", "bold $secondary"), same, "\n"]
        if text != last:
            parts += [inert_block(text), "" if ended else (" … (cut)", "$text-muted"), "\n"]
        last = text
    return Content.assemble(*parts)
