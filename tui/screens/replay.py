"""A stored episode, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from arena.session_client import Annotated, Position, Verified, replay_request
from envs.errors import ArenaError
from tui.facts import read_game
from tui.messages import SessionSays
from tui.screens.dialogs import AskScreen, ChooseScreen
from tui.screens.session_screen import COMMON, SessionScreen
from tui.text import inert
from tui.widgets import panels
from tui.widgets.area_bar import AreaBar
from tui.widgets.board import BoardView
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note


class ReplayScreen(SessionScreen):
    """Walks through an episode."""

    CSS_PATH = "session_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Prev", id="replay.back", key_display="←"),
        Binding("right", "move(1)", "Next", id="replay.on", key_display="→"),
        Binding("home", "jump(0)", "Start", id="replay.start"),
        Binding("end", "jump(-1)", "End", id="replay.end"),
        Binding("g", "go", "Go to", id="replay.go"),
        Binding("v", "verify", "Verify", id="replay.verify"),
        Binding("d", "decisive", "Decisive", id="replay.decisive", tooltip="to the move that changed the value most"),
        Binding(
            "p", "play_on", "Play on", id="replay.play", tooltip="go on from here yourself; the game does not count"
        ),
        Binding("n", "reopen", "Again", show=False, id="replay.again"),
        *COMMON,
    ]

    def __init__(self, episode: int) -> None:
        super().__init__()
        self.episode = episode
        self._wanted = 0
        self._thoughts: Annotated | None = None

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        with Horizontal():
            with Vertical(id="left"):
                yield BoardView()
                yield Static(id="status")
            with VerticalScroll(id="side", can_focus=False):
                yield Static(id="players")
                yield Static(id="progress")
                yield Static(id="outcome")
                yield Static(id="thoughts")
        yield KeyBar()

    def request(self) -> Mapping[str, Any]:
        self._wanted = 0
        return replay_request(str(self.arena.db), self.episode)

    def show_position(self, position: Position) -> None:
        self.query_one(BoardView).show(panels.drawn(position))
        if position.id == self._opening:
            self.say("← → step · space plays · v verifies")
        if self._wanted != position.ply:
            self.send({"do": "seek", "ply": self._wanted})
        if position.over:
            self.stop_clock()
        self.show_clock()

    def show_clock(self) -> None:
        position = self.position
        if position is None:
            return
        rated = "rated" if position.rated else "unrated"
        self.query_one("#banner", Static).update(
            Content.assemble(
                (f" replay {self.episode} · {inert(position.game)} ", "bold"),
                (f" {rated} · {self.clock_words()}", "$text-muted"),
            )
        )
        wide = self.app.size.width >= 120
        length = position.length or 0
        bar = 40 if wide else 24
        done = round(bar * position.ply / length) if length else bar
        self.query_one("#players", Static).update(panels.players(position, (), 44 if wide else 28))
        self.query_one("#progress", Static).update(
            Content.assemble(
                f"ply {position.ply} of {length}\n", ("━" * done, "$primary"), ("─" * (bar - done), "$panel-lighten-3")
            )
        )
        end = self.query_one("#outcome", Static)
        end.display = position.over
        if position.over:
            end.update(panels.outcome(position, ()))
        self._show_thoughts(position)

    def _show_thoughts(self, position: Position) -> None:
        """What the agent that was asked thinks of this position."""
        thoughts, shown = self._thoughts, self.query_one("#thoughts", Static)
        shown.display = thoughts is not None and position.ply < len(thoughts.minds)
        if thoughts is not None and position.ply < len(thoughts.minds):
            seat = position.to_move[0] if position.to_move else 0
            shown.update(panels.thoughts(f"{thoughts.by} thinks", thoughts.minds[position.ply], seat))

    def on_session_says(self, message: SessionSays) -> None:
        super().on_session_says(message)
        if isinstance(message.event, Annotated):
            self._thoughts = message.event
            self.action_decisive()
        if isinstance(message.event, Verified):
            if message.event.ok:
                self.say("verified: every step is as recorded", "bold")
            else:
                self.say(f"NOT as recorded: {message.event.message}", "$error")
            self._catch_up()

    def tick(self) -> None:
        """One ply on, but never ahead of what is shown: late frames are dropped."""
        if self.position is not None and self._wanted == self.position.ply:
            self._seek(self._wanted + 1)

    def _seek(self, ply: int) -> None:
        """Go to a ply; while an answer is awaited the newest wish counts."""
        if self.position is None:
            return
        self._wanted = max(0, min(self.position.length or 0, ply))
        self._catch_up()

    def _catch_up(self) -> None:
        if self.position is not None and self._wanted != self.position.ply:
            self.send({"do": "seek", "ply": self._wanted})

    def action_move(self, change: int) -> None:
        self.stop_clock()
        self._seek(self._wanted + change)
        self.show_clock()

    def action_jump(self, ply: int) -> None:
        self.stop_clock()
        self._seek((self.position.length or 0) if ply < 0 and self.position else ply)
        self.show_clock()

    def action_toggle_clock(self) -> None:
        if self.position is not None and self.position.over and not self.running:
            self._seek(0)
        super().action_toggle_clock()

    def action_go(self) -> None:
        def go(text: str | None) -> None:
            if text is None or self.position is None:
                return
            if not (text.isascii() and text.isdigit() and int(text) <= (self.position.length or 0)):
                self.say(f"{text!r} is no ply from 0 to {self.position.length}", "$error")
                return
            self.action_jump(int(text))

        length = self.position.length if self.position is not None else 0
        self.app.push_screen(AskScreen(f"Go to which ply (0 … {length})?"), go)

    def action_verify(self) -> None:
        if self.send({"do": "verify"}):
            self.say("re-simulating…", "$text-muted")

    def action_decisive(self) -> None:
        """To the position before the move that changed the value most; the first time an agent is asked for it."""
        if self._thoughts is None:
            if self.send({"do": "annotate", "db": str(self.arena.db)}):
                self.say("an agent looks at every position…", "$text-muted")
            return
        ply = self._thoughts.decisive
        if ply is None:
            self.say(f"{self._thoughts.by} thinks the same of every position")
            return
        self.action_jump(ply)
        before, after = (self._value(at) for at in (ply - 1, ply))
        self.say(f"ply {ply} was decisive: {self._thoughts.by} saw {before} before it, {after} after it")

    def _value(self, ply: int) -> str:
        """What a position was worth to seat 1, in words."""
        assert self._thoughts is not None
        if ply >= len(self._thoughts.minds):
            return "the end"
        value = self._thoughts.minds[ply].value
        return "–" if value is None else f"{value:+.2f}"

    def action_play_on(self) -> None:
        """Play on from the shown position against one who can play the game; both seats can be taken."""
        position = self.position
        if position is None or position.over or len(position.seats) != 2:
            self.say("play on from a position of a game for two, before its end", "$error")
            return
        self.stop_clock()
        self._read_opponents(position.game, position.seats)

    @work(thread=True, exclusive=True, group="opponents", exit_on_error=False)
    def _read_opponents(self, game: str, seats: Sequence[str]) -> None:
        try:
            able = [name for name, _ in read_game(self.arena.db, game).opponents()]
        except ArenaError as error:
            self.app.call_from_thread(self.say, str(error), "$error")
            return
        played = [name for name in dict.fromkeys(seats) if name in able]
        able = [*played, *(name for name in able if name not in played)]
        self.app.call_from_thread(self._ask_how_to_play_on, game, able)

    def _ask_how_to_play_on(self, game: str, able: list[str]) -> None:
        def choose_seat(index: int | None) -> None:
            if index is not None:
                title = f"Play on from ply {ply} against {able[index]}: your seat?"
                self.app.push_screen(ChooseScreen(title, ["first", "second"]), partial(start, able[index]))

        def start(opponent: str, seat: int | None) -> None:
            if seat is not None:
                self.arena.play_game(game, [opponent], seat, episode=self.episode, ply=ply)

        ply = self.position.ply if self.position is not None else 0
        self.app.push_screen(ChooseScreen(f"Play on from ply {ply}: against whom?", able), choose_seat)

    def action_reopen(self) -> None:
        self.open()
