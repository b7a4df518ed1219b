"""A stored episode of a game with pictures: it runs at the game's own pace, and any place is reached at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from arena.realtime_client import Done, Scene, replay_request
from arena.session_client import Event, Refusal, Verified
from tui.screens.dialogs import AskScreen
from tui.screens.realtime_screen import COMMON, RealtimeScreen
from tui.text import shorten
from tui.widgets import panels

LEAP = 75
"""Steps of a page: five seconds of Atari."""


class RealtimeReplayScreen(RealtimeScreen):
    """Looks at an episode."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Prev", id="moving.back", key_display="←"),
        Binding("right", "move(1)", "Next", id="moving.on", key_display="→"),
        Binding("pageup", f"move({-LEAP})", "Far back", show=False, id="moving.far_back"),
        Binding("pagedown", f"move({LEAP})", "Far on", show=False, id="moving.far_on"),
        Binding("home", "jump(0)", "Start", show=False, id="moving.start"),
        Binding("end", "jump(-1)", "End", show=False, id="moving.end"),
        Binding("g", "go", "Go to", id="moving.go"),
        Binding("v", "verify", "Verify", id="moving.verify"),
        Binding("space", "pause", "Play", show=False, id="moving.play"),
        Binding("n", "reopen", "Again", show=False, id="moving.again"),
        *COMMON,
    ]

    def __init__(self, episode: int) -> None:
        super().__init__()
        self.episode = episode
        self._wanted: int | None = None
        self._seeking = 0
        self._aim: int | None = None

    def request(self) -> Mapping[str, Any]:
        self._wanted, self._seeking, self._aim = None, 0, None
        return replay_request(str(self.arena.db), self.episode)

    @property
    def length(self) -> int:
        return (self.scene.positions[0].length or 0) if self.scene else 0

    def show_opening(self) -> None:
        super().show_opening()
        self.put(banner=Content.styled(f" replay {self.episode} ", "bold"))

    def show_side(self, scene: Scene) -> None:
        position = scene.positions[0]
        ply = position.ply if self._aim is None else self._aim
        words = f" {self.clock_words(scene)} · step {ply} of {self.length}"
        banner = Content.assemble(
            (f" replay {self.episode} · {shorten(position.game, 36)} ", "bold"), (words, "$text-muted")
        )
        bar = 32 if self.app.size.width >= 120 else 20
        done = round(bar * ply / self.length) if self.length else bar
        ready = round(bar * (scene.ready or 0) / self.length) if self.length else bar
        progress = Content.assemble(
            ("━" * done, "$primary"),
            ("─" * max(0, ready - done), "$text-muted"),
            ("·" * (bar - max(ready, done)), "$text-muted"),
        )
        players = panels.players(position, (), 32 if self.app.size.width >= 120 else 20)
        ended = panels.outcome(position, ()) if position.over else Content("")
        self.put(banner=banner, players=players, outcome=ended, keys=progress)
        if self._said[0] == "starting…":
            self.say(self.size_words() or "space plays · ← → one step · PgUp PgDn five seconds")

    def answered(self, event: Event | Done) -> None:
        if isinstance(event, Verified):
            self.say(
                event.message if event.ok else f"NOT as recorded: {event.message}", "bold" if event.ok else "$error"
            )
        elif event.id == self._seeking:
            self._sought()

    def refused(self, event: Refusal) -> None:
        if event.id == self._seeking:
            self._sought()
            self._refresh_side()

    def _sought(self) -> None:
        """What was awaited is answered; go on to the newest wish, if there is one."""
        self._seeking = 0
        if self._wanted is None:
            self._aim = None
        self._catch_up()

    def _seek(self, ply: int) -> None:
        """Go to a ply, which is named at once; while an answer is awaited the newest wish counts."""
        if self.scene is None or self.session is None:
            return
        self._wanted = self._aim = max(0, min(self.length, ply))
        self._refresh_side()
        self._catch_up()

    def _catch_up(self) -> None:
        if self._wanted is None or self._seeking or self.session is None or self.scene is None:
            return
        if self.scene.running:
            self.set_clock(running=False)
        self._seeking = self.session.send({"do": "seek", "ply": self._wanted})
        self._wanted = None

    def action_move(self, change: int) -> None:
        if self.scene is not None:
            self._seek((self.scene.positions[0].ply if self._aim is None else self._aim) + change)

    def action_jump(self, ply: int) -> None:
        self._seek(self.length if ply < 0 else ply)

    def action_pause(self) -> None:
        if self.scene is not None and self.scene.over:
            self.send({"do": "seek", "ply": 0})
            self.set_clock(running=True)
        else:
            super().action_pause()

    def action_go(self) -> None:
        if self.scene is None:
            return

        def go(text: str | None) -> None:
            if text is None:
                return
            if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= self.length):
                self.say(f"{text!r} is no step from 0 to {self.length}", "$error")
                return
            self._seek(int(text))

        self.app.push_screen(AskScreen(f"Go to which step (0 … {self.length})?"), go)

    def action_verify(self) -> None:
        if self.send({"do": "verify"}):
            self.say("re-simulating…", "$text-muted")

    def action_reopen(self) -> None:
        self.open()

    def on_click(self, event: events.Click) -> None:
        """A click on the line of progress goes there."""
        line = self.query_one("#keys", Static)
        if event.widget is line and self.length:
            bar = 32 if self.app.size.width >= 120 else 20
            self._seek(round(self.length * min(1.0, max(0.0, event.x / bar))))
