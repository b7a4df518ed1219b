"""One prompt, several models: what the pre-trained, the SFT, the DPO and the PPO model answer, side by side."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from arena.text_client import Answer
from envs.errors import ArenaError
from tui.lab_facts import KIND_WORDS, Asking
from tui.screens.text_screen import ASKING, TextScreen
from tui.text import inert, inert_block

TOKENS = 64


class CompareScreen(TextScreen):
    """A pane a model; answers come as they are ready."""

    TITLE_WORD = "compare"
    RESULTS = "#answers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "draw", "Draw", id="compare.draw", tooltip="draw another answer by chance (temperature 1)"),
        Binding("b", "best", "Likeliest", id="compare.best", tooltip="the likeliest token each time"),
        *ASKING[:2],
        Binding("i", "lens", "Lens", id="compare.lens", tooltip="look inside at this prompt"),
        *ASKING[2:],
    ]

    def __init__(self, prompt: str = "") -> None:
        super().__init__(prompt)
        self._seed = 0
        self._temperature = 0.0

    def results(self) -> ComposeResult:
        yield VerticalScroll(id="answers")

    def ready(self, asking: Asking) -> str:
        panes = []
        for number, (name, kind) in enumerate(asking.models):
            pane = VerticalScroll(Static(id=f"text-{number}"), id=f"pane-{number}", classes="answer", can_focus=False)
            pane.border_title = Content(f"{KIND_WORDS[kind]}: {inert(name)}")
            panes.append(pane)
        self.query_one("#answers").mount_all(panes)
        if not panes:
            return "There is no model yet: arena rlhf pretrain makes one, or the lab."
        return "Type a prompt and press Enter (ctrl+n: an example)."

    def ask(self) -> None:
        assert self.asking is not None
        if not self.asking.models:
            return
        for number in range(len(self.asking.models)):
            self._show(number, Content.styled("…", "$text-muted"))
        how = "the likeliest token each time" if not self._temperature else f"drawn by chance, seed {self._seed}"
        self.say(f"{how}; loading a model for the first time takes a few seconds")
        self._ask(self.prompt, [name for name, _ in self.asking.models], self._temperature, self._seed)

    @work(exclusive=True, group="answers", exit_on_error=False)
    async def _ask(self, prompt: str, models: list[str], temperature: float, seed: int) -> None:
        try:
            session = await self.arena.sessions.text()
            db = str(self.arena.db)
            async for answer in session.answers(db, prompt, models, TOKENS, temperature, seed):
                self._answered(models.index(answer.model), answer)
            self.say("the likeliest token each time" if not temperature else f"drawn by chance, seed {seed}")
        except ArenaError as error:
            self.failed(error)

    def _answered(self, number: int, answer: Answer) -> None:
        text = inert_block(answer.text)
        end = Content("") if answer.ended else Content.styled(" … (cut at its length)", "$text-muted")
        self._show(number, Content.assemble(text, end))

    def _show(self, number: int, words: Content) -> None:
        self.query_one(f"#text-{number}", Static).update(words)

    def action_draw(self) -> None:
        self._temperature, self._seed = 1.0, self._seed + 1
        self.asked(self.prompt)

    def action_best(self) -> None:
        self._temperature = 0.0
        self.asked(self.prompt)

    def action_lens(self) -> None:
        from tui.screens.lens import LensScreen

        self.app.push_screen(LensScreen(self.prompt))
