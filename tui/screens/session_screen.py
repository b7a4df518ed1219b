"""What playing and replaying share: a session in a child process, the board it draws, a clock that moves it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from textual import work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from arena.child import SessionDied
from arena.game_client import GameSession
from arena.realtime_client import Done
from arena.session_client import Position, Refusal
from envs.errors import ArenaError
from tui.keymap import key_of
from tui.messages import SessionLost, SessionSays
from tui.text import inert
from tui.widgets.board import BoardView

if TYPE_CHECKING:
    from tui.app import ArenaApp

PERIODS = (2.0, 1.0, 0.5, 0.25, 0.1, 0.04)
"""Seconds between two steps, slowest first."""
FIRST_PERIOD = 2
"""Which of them a game begins with."""

COMMON: list[BindingType] = [
    Binding("space", "toggle_clock", "Play", id="session.clock", tooltip="play and pause"),
    Binding("plus,equals_sign", "faster(1)", "Faster", show=False, id="session.faster", key_display="+"),
    Binding("minus", "faster(-1)", "Slower", show=False, id="session.slower", key_display="-"),
    Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
    Binding("escape", "leave", "Back", id="session.leave"),
]
"""Keys of playing, watching and replaying."""


class SessionScreen(Screen[None]):
    """Follows one session. Subclasses say what to open and show its events."""

    def __init__(self) -> None:
        super().__init__()
        self.session: GameSession | None = None
        self.position: Position | None = None
        self._possible: object = None
        self._opening = 0
        self._waiting: int | None = None
        self._period = FIRST_PERIOD
        self._clock: Timer | None = None

    @property
    def arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)

    @property
    def running(self) -> bool:
        """Whether the clock moves the game on by itself."""
        return self._clock is not None

    def request(self) -> Mapping[str, Any]:
        """What to open."""
        raise NotImplementedError

    def tick(self) -> None:
        """The clock's step."""
        raise NotImplementedError

    def show_opening(self) -> None:
        """Show what is known before the session has answered."""
        self.say("starting…")

    def show_position(self, position: Position) -> None:
        """Draw a new position."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.query_one(BoardView).focus()
        self.show_opening()
        self._follow()

    async def on_unmount(self) -> None:
        self.stop_clock()
        session, self.session = self.session, None
        if session is not None:
            await self.arena.sessions.give_back(session)

    @work(exclusive=True, group="session", exit_on_error=False)
    async def _follow(self) -> None:
        """Open the game in a child and turn its events into messages; those of its earlier games are dropped."""
        try:
            self.session = await self.arena.sessions.take("turns")
            self.open()
            opened = False
            async for event in self.session:
                opened = opened or event.id == self._opening
                if opened and not isinstance(event, Done):
                    self.post_message(SessionSays(event))
        except (SessionDied, ArenaError, OSError) as error:
            self.session = None
            self.post_message(SessionLost(str(error)))

    def open(self) -> None:
        """Start (or start anew) what this screen shows; after the child's death in a new one."""
        self.position = None
        if self.session is None:
            self._follow()
            return
        self._opening = self.session.send(self.request())
        self._waiting = self._opening

    def send(self, request: Mapping[str, Any]) -> bool:
        """Ask something of the session; one thing at a time: False while an answer is awaited."""
        if self.session is None or self._waiting is not None:
            return False
        self._waiting = self.session.send(request)
        return True

    def on_session_says(self, message: SessionSays) -> None:
        event = message.event
        if event.id is not None and event.id == self._waiting:
            self._waiting = None
        if isinstance(event, Position):
            if event.id is None and self._waiting == self._opening:
                return  # of the game before
            self.position = event
            self.show_position(event)
        elif isinstance(event, Refusal):
            self.stop_clock()
            self.say(event.message, "$error")
        self.refresh_keys()

    def on_session_lost(self, message: SessionLost) -> None:
        self.stop_clock()
        self._waiting = None
        self.say(f"{message.problem} · {key_of(self, 'new', 'reopen')} starts again", "$error")
        self.refresh_keys()

    def refresh_keys(self) -> None:
        """Have the footer drawn anew where what can be done has changed; it flickers when it is drawn at every step."""
        bindings = (b for b in type(self).BINDINGS if isinstance(b, Binding))
        possible = tuple(self.check_action(binding.action.partition("(")[0], ()) for binding in bindings)
        if possible != self._possible:
            self._possible = possible
            self.refresh_bindings()

    def say(self, text: str, style: str = "") -> None:
        """The line below the board."""
        self.query_one("#status", Static).update(Content.styled(inert(text), style))

    def start_clock(self) -> None:
        if self._clock is None:
            self._clock = self.set_interval(PERIODS[self._period], self.tick)

    def stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.stop()
            self._clock = None

    def clock_words(self) -> str:
        """The clock's state for the side panel."""
        return f"{'▶' if self.running else '❚❚'} {1 / PERIODS[self._period]:g}/s"

    def show_clock(self) -> None:
        """Redraw what tells of the clock."""

    def action_toggle_clock(self) -> None:
        if self.running:
            self.stop_clock()
        else:
            self.start_clock()
        self.show_clock()

    def action_faster(self, change: int) -> None:
        self._period = max(0, min(len(PERIODS) - 1, self._period + change))
        if self.running:
            self.stop_clock()
            self.start_clock()
        self.show_clock()

    def action_leave(self) -> None:
        self.arena.leave()
