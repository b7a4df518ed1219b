"""Look inside at a prompt: which tokens became likelier, where they are decided, where the reward comes from."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from arena.records_lens import NO_PARTS, Look
from envs.errors import ArenaError
from tui.lab_facts import Asking
from tui.lens_text import Colours, heat_line, layer_table, numbers, reward_text
from tui.screens.text_screen import ASKING, TextScreen
from tui.text import inert

TOKENS = 64


class LensScreen(TextScreen):
    """Three sections below one another: tokens, layers, reward."""

    TITLE_WORD = "lens"
    RESULTS = "#lens"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "jump('ratios')", "Tokens", id="lens.tokens"),
        Binding("2", "jump('layers')", "Layers", id="lens.layers"),
        Binding("3", "jump('reward')", "Reward", id="lens.reward"),
        Binding("t", "numbers", "Numbers", id="lens.numbers", tooltip="log-ratios as numbers, and back"),
        *ASKING,
    ]

    def __init__(self, prompt: str = "") -> None:
        super().__init__(prompt)
        self._look: Look | None = None
        self._numbers = False

    def results(self) -> ComposeResult:
        with VerticalScroll(id="lens"):
            for section in ("ratios", "layers", "reward"):
                yield Static(id=f"{section}-title", classes="title")
                if section == "layers":
                    yield Container(Static(id="layers-0"), Static(id="layers-1"), id="layers")
                else:
                    yield Static(id=section, classes="section")

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._show())

    def on_unmount(self) -> None:
        self.app.theme_changed_signal.unsubscribe(self)

    def ready(self, asking: Asking) -> str:
        if asking.model is None or asking.reference is None:
            return "The lens compares a model by PPO or DPO with the SFT model: train both first (s in the lab)."
        return f"{asking.model} beside {asking.reference}: type a prompt and press Enter (ctrl+n: an example)"

    def ask(self) -> None:
        asking = self.asking
        assert asking is not None
        if asking.model is None or asking.reference is None:
            return
        self.say("looking; loading a model for the first time takes a few seconds")
        self._ask(self.prompt, asking.model, asking.reference, asking.reward_model)

    @work(exclusive=True, group="look", exit_on_error=False)
    async def _ask(self, prompt: str, model: str, reference: str, reward_model: str | None) -> None:
        try:
            session = await self.arena.sessions.text()
            self._look = await session.look(str(self.arena.db), prompt, model, reference, reward_model, TOKENS)
        except ArenaError as error:
            self.failed(error)
            return
        self._show()
        self.query_one("#lens").scroll_home(animate=False)
        self.say(f"{inert(self._look.model)} says: {inert(self._look.answer)}")

    def on_resize(self, event: Resize) -> None:
        self._show()

    def _show(self) -> None:
        look = self._look
        if look is None:
            return
        self.add_class("-looked")
        variables = self.app.theme_variables
        colours = Colours(*(Color.parse(variables[name]) for name in ("secondary", "primary", "background")))
        width = max(20, self.size.width - 4)
        total = sum(value for _, value in look.tokens)
        words = [token for token, _ in look.tokens]
        line = numbers(look.tokens, width) if self._numbers else heat_line(look.tokens, colours)
        self._section(
            "ratios",
            f"1 log-ratio of {look.model} to {look.reference} by token, {total:+.1f} nats in all: "
            "blue likelier than before, orange less",
            line,
        )
        title = "2 how probable each token already is after each layer (0: the embedding)"
        self.query_one("#layers-title", Static).update(Content(title))
        room = width // len(look.tables) if self.has_class("-beside") else width
        for number, table in enumerate(look.tables):
            text = Content.assemble((f"{inert(table.model)}\n", "bold"), layer_table(table, words, colours, room))
            self.query_one(f"#layers-{number}", Static).update(text)
        if look.reward is None:
            self._section("reward", "3 the reward", Content(NO_PARTS))
            return
        title = f"3 reward {look.reward.reward:+.2f} by {look.reward.model}: the heads that move it most"
        self._section("reward", title, reward_text(look.reward, colours))

    def _section(self, name: str, title: str, text: Content) -> None:
        self.query_one(f"#{name}-title", Static).update(Content(inert(title)))
        self.query_one(f"#{name}", Static).update(text)

    def action_jump(self, section: str) -> None:
        self.query_one("#lens", VerticalScroll).scroll_to_widget(
            self.query_one(f"#{section}-title"), top=True, animate=False
        )

    def action_numbers(self) -> None:
        self._numbers = not self._numbers
        self._show()
