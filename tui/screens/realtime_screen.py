"""What playing and replaying in real time share: a session, the newest scene of it, a clock far away."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from arena.child import SessionDied
from arena.game_client import GameSession
from arena.realtime_client import SPEEDS, Done, Scene
from arena.session_client import Event, Refusal
from envs.errors import ArenaError
from tui.keymap import key_of
from tui.messages import SessionLost
from tui.text import inert
from tui.widgets.board import BoardView
from tui.widgets.frame import ZOOMS, FrameView
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note

if TYPE_CHECKING:
    from tui.app import ArenaApp

PAINTS_A_SECOND = 60

COMMON: list[BindingType] = [
    Binding("p", "pause", "Pause", id="realtime.pause", tooltip="pause and go on"),
    Binding("full_stop", "step", "Step", id="realtime.step", key_display=".", tooltip="one step, then pause"),
    Binding("plus,equals_sign", "faster(1)", "Faster", show=False, id="realtime.faster", key_display="+"),
    Binding("minus", "faster(-1)", "Slower", show=False, id="realtime.slower", key_display="-"),
    Binding("z", "zoom", "Zoom", id="realtime.zoom", tooltip="the picture: fit, crop, native"),
    Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
    Binding("escape", "leave", "Back", id="realtime.leave"),
]


class RealtimeScreen(Screen[None]):
    """Follows one real-time session. Subclasses say what to open and what stands beside the picture."""

    CSS_PATH = "realtime.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.session: GameSession | None = None
        self.scene: Scene | None = None
        self._newest: Scene | None = None  # the scene without what is asked of the clock
        self._opened = False
        self._opening = 0
        self._clock: dict[str, Any] = {}
        self._clock_asked = 0
        self._said: tuple[str, str] = ("", "")
        self._hint = ""
        self._shown: dict[str, Content] = {}

    @property
    def arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)

    def request(self) -> Mapping[str, Any]:
        """What to open."""
        raise NotImplementedError

    def show_opening(self) -> None:
        """Show what is known before the game's process has answered."""
        self.say("starting…")

    def show_side(self, scene: Scene) -> None:
        """Draw what stands beside the picture: the game has made a step, or its clock was changed."""
        raise NotImplementedError

    def answered(self, event: Event | Done) -> None:
        """An answer that is no refusal."""

    def refused(self, event: Refusal) -> None:
        """An answer that is one; it has been said."""

    def compose(self) -> ComposeResult:
        yield Note(id="banner")
        with Horizontal():
            with Vertical(id="left"):
                with Horizontal(id="pictures"):
                    yield FrameView("mine")
                    yield FrameView("theirs")
                yield BoardView()
                yield Static(id="status")
            with VerticalScroll(id="side", can_focus=False):
                yield Static(id="players")
                yield Static(id="outcome")
                yield Static(id="keys")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#mine").focus()
        self.show_opening()
        self.set_interval(1 / PAINTS_A_SECOND, self._look)
        self._follow()

    async def on_unmount(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            await self.arena.sessions.give_back(session)

    @work(exclusive=True, group="session", exit_on_error=False)
    async def _follow(self) -> None:
        """Open the game in a child and hear its answers; what is to be seen is looked at by the timer."""
        try:
            self.session = await self.arena.sessions.take("realtime")
            self.open()
            async for event in self.session:
                self._hear(event)
        except (SessionDied, ArenaError, OSError) as error:
            self.session = None
            self.post_message(SessionLost(str(error)))

    def open(self) -> None:
        """Start (or start anew) what this screen shows; after the child's death in a new one."""
        self.scene = self._newest = None
        self._opened, self._shown, self._clock = False, {}, {}
        if self.session is None:
            self._follow()
            return
        self._opening = self.session.send(self.request())

    def send(self, request: Mapping[str, Any]) -> bool:
        """Ask something of the session; False where there is none."""
        if self.session is None or not self._opened:
            return False
        self.session.send(request)
        return True

    def set_clock(self, *, running: bool | None = None, speed: float | None = None) -> None:
        """Let the game go on or pause, at this speed."""
        wanted = {name: value for name, value in (("running", running), ("speed", speed)) if value is not None}
        self._send_clock({"do": "clock", **wanted}, wanted)

    def single_step(self) -> None:
        """One step, and pause."""
        self._send_clock({"do": "step"}, {"running": False})

    def _send_clock(self, request: Mapping[str, Any], clock: Mapping[str, Any]) -> None:
        """Ask for something that sets the clock so, which is shown at once and not with the game's next step."""
        if self.scene is None or self.session is None or not self._opened:
            return
        self._clock_asked = self.session.send(request)
        self._clock |= clock
        if "running" in clock:
            self._clock["waiting"] = False
        self.scene = dataclasses.replace(self.scene, **self._clock)
        if self._said[1] == "$error":
            self.say("")
        self._refresh_side()

    def _hear(self, event: Event | Done) -> None:
        if not self._opened and event.id != self._opening:
            return  # of the game before
        if event.id == self._clock_asked:
            self._clock = {}
            self._look()
            self.scene = self._newest  # what was looked at before this answer has the clock that was asked for
            self._refresh_side()
        if isinstance(event, Refusal):
            self.say(event.message, "$error")
            self.refused(event)
            return
        self._opened = self._opened or event.id == self._opening
        self.answered(event)

    def _look(self) -> None:
        """Paint the newest scene. Those that came in between are never seen."""
        if self.session is None or not self._opened:
            return
        try:
            scene = self.session.scenes.newest()
        except SessionDied as error:
            self.post_message(SessionLost(str(error)))
            self.session = None
            return
        if scene is None:
            return
        self._newest = scene
        known, self.scene = self.scene, dataclasses.replace(scene, **self._clock) if self._clock else scene
        self.set_class(len(scene.positions) > 1, "-race")
        self.set_class(not scene.pictures, "-cells")
        for view, picture in zip(self.query(FrameView), scene.pictures, strict=False):
            view.show(picture)
        if known is None or known.positions is not scene.positions:
            if not scene.pictures:
                self.query_one(BoardView).show(scene.positions[0].drawing)
            self.stepped(scene)
            self._refresh_side()

    def stepped(self, scene: Scene) -> None:
        """The game has made a step, or its clock was changed."""

    def _refresh_side(self) -> None:
        if self.scene is not None:
            self.show_side(self.scene)

    def on_resize(self) -> None:
        self._shown = {}
        self._refresh_side()

    def on_session_lost(self, message: SessionLost) -> None:
        self.say(f"{message.problem} · {key_of(self, 'new', 'reopen')} starts again", "$error")

    def say(self, text: str, style: str = "") -> None:
        """The line below the picture; drawn where it differs. Errors take as many lines as they need."""
        if self._said != (text, style):
            self._said = (text, style)
            line = self.query_one("#status", Static)
            line.styles.height = "auto" if style == "$error" else 1
            line.update(Content.styled(inert(text), style))

    def put(self, **panels: Content) -> None:
        """Show these beside the picture, by the names of their places; drawn where they differ."""
        for name, content in panels.items():
            before = self._shown.get(name)
            if content != before:
                self._shown[name] = content
                panel = self.query_one(f"#{name}", Static)
                panel.update(content, layout=before is None or _lengths(content) != _lengths(before))
                panel.display = bool(content.plain)

    def size_words(self) -> str:
        """A hint where the window is small, or nothing."""
        view = self.query_one("#mine", FrameView)
        if not view.small or view.picture_size is None:
            self._hint = ""
        else:
            columns, lines = view.cells
            width, height = view.picture_size
            self._hint = f"{columns}×{2 * lines} of {width}×{height} pixels · {key_of(self, 'zoom')} zooms"
        return self._hint

    def clock_words(self, scene: Scene) -> str:
        """Whether and how fast it goes."""
        fractions = {0.25: "¼", 0.5: "½"}
        speed = f"{fractions.get(scene.speed, f'{scene.speed:g}')}×"
        return speed if scene.running else f"paused {speed}"

    def action_pause(self) -> None:
        if self.scene is not None and not self.scene.over:
            self.set_clock(running=not self.scene.running)

    def action_step(self) -> None:
        if self.scene is not None and not self.scene.over:
            self.single_step()

    def action_faster(self, change: int) -> None:
        if self.scene is not None:
            place = SPEEDS.index(self.scene.speed) + change
            if 0 <= place < len(SPEEDS):
                self.set_clock(speed=SPEEDS[place])

    def action_zoom(self) -> None:
        views = list(self.query(FrameView))
        zoom = ZOOMS[(ZOOMS.index(views[0].zoom) + 1) % len(ZOOMS)]
        for view in views:
            view.zoom = zoom
        words = {"fit": "all of it", "crop": "all of the space filled, the rest cut", "native": "pixel for pixel"}
        self.say(f"zoom {zoom}: {words[zoom]}")

    def action_leave(self) -> None:
        self.app.pop_screen()


def _lengths(content: Content) -> list[int]:
    """Of the lines: what differs in none of them takes the same room."""
    return [len(line) for line in content.plain.split("\n")]
