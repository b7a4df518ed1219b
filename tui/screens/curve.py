"""Over-optimisation seen: what is truly wanted, and what the reward model says of it, against the distance gone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from arena.curve_points import CurvePoint
from envs.errors import ArenaError
from tui.lab_facts import JOB_TAG, read_kept_curves
from tui.messages import ReadFailed
from tui.text import inert
from tui.widgets.area_bar import AreaBar
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note
from tui.widgets.plot import PlotPanel, Series

if TYPE_CHECKING:
    from tui.app import ArenaApp

REFRESH_SECONDS = 5.0
ALL = "PPO, all"
X_TITLE = "√KL to the SFT model (nats per completion)"


@dataclass
class CurvesLoaded(Message):
    """What has been measured is read."""

    curves: dict[str, list[CurvePoint]]


class CurveScreen(Screen[None]):
    """One plot: of one number of labels every method and the proxy; or PPO's rubric for all of them."""

    CSS_PATH = "curve.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket,n", "choose(1)", "Next", id="curve.next", tooltip="the next number of labels"),
        Binding("left_square_bracket", "choose(-1)", "Before", show=False, id="curve.before", key_display="["),
        Binding("t", "numbers", "Numbers", id="curve.numbers", tooltip="the curves as numbers, and back"),
        Binding("s", "measure", "Measure", id="curve.measure", tooltip="measure it as a job: arena rlhf curve"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", id="curve.leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._curves: dict[str, list[CurvePoint]] = {}
        self._at = 0

    @property
    def arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        yield PlotPanel(id="plot", empty="nothing measured yet: s measures it (long), or arena rlhf curve")
        yield Note(id="note")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#plot-area").focus()
        self._load()
        self.set_interval(REFRESH_SECONDS, self._load)

    @work(thread=True, exclusive=True, group="curves", exit_on_error=False)
    def _load(self) -> None:
        try:
            self.post_message(CurvesLoaded(read_kept_curves(self.arena.db)))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_curves_loaded(self, message: CurvesLoaded) -> None:
        if message.curves != self._curves or not message.curves:
            self._curves = message.curves
            self._show()

    def on_read_failed(self, message: ReadFailed) -> None:
        self._say(message.problem, "$error")

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#note", Static).update(Content.styled(inert(text), style))

    def _show(self) -> None:
        names = [*self._curves, *([ALL] if len(self._curves) > 1 else [])]
        name = names[self._at % len(names)] if names else "nothing yet"
        title = (" curve ", "bold $background on $primary")
        where = f" · {self._at % len(names) + 1} of {len(names)}" if names else ""
        self.query_one("#banner", Static).update(Content.assemble(title, f"  {inert(name)}{where}"))
        plot = self.query_one(PlotPanel)
        if not names:
            plot.show([], "", "", "")
        elif name == ALL:
            drawn = [_series(one, points, "ppo") for one, points in self._curves.items()]
            plot.show([one for one in drawn if one.x], "PPO", X_TITLE, "rubric")
        else:
            points = self._curves[name]
            drawn = [
                _series("PPO", points, "ppo"),
                _series("PPO, reward model", points, "ppo", proxy=True),
                _series("DPO", points, "dpo"),
                _series("best of n", points, "best"),
            ]
            plot.show([one for one in drawn if one.x], name, X_TITLE, "rubric (◆ what the reward model says)")
        self._say(
            "Where the reward model's curve goes on rising and the rubric's falls, the proxy is over-optimised."
            if names
            else ""
        )

    def action_choose(self, change: int) -> None:
        self._at += change
        if self._curves:
            self._show()

    def action_numbers(self) -> None:
        self.query_one(PlotPanel).toggle_numbers()

    def action_measure(self) -> None:
        self._say("arena rlhf curve has been started as a job; the lab shows how far it is, x there stops it")
        self._measure()

    @work(thread=True, group="job", exit_on_error=False)
    def _measure(self) -> None:
        try:
            self.arena.jobs.start(["rlhf", "curve"], "curve", JOB_TAG, ["rlhf", "curve"])
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))


def _series(name: str, points: Sequence[CurvePoint], method: str, proxy: bool = False) -> Series:
    """One method's points by distance; best-of-n and DPO begin where the SFT model is."""
    chosen = [point for point in points if point.method.startswith(method)]
    if chosen and method != "ppo":
        chosen += [point for point in points if point.method == "sft"]
    chosen.sort(key=lambda point: point.kl)
    distance = [math.sqrt(max(point.kl, 0.0)) for point in chosen]
    return Series(name, distance, [point.proxy if proxy else point.gold for point in chosen])
