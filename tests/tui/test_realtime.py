"""Playing in real time through the app: a session in this process whose clock the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from textual.events import AppBlur
from textual.pilot import Pilot

from arena.frames import FrameMemory
from arena.game_client import Kind
from arena.realtime import Server, line_of
from arena.realtime_client import SceneReader, decode_answer
from arena.session_client import Refusal
from arena.store import Store
from envs.errors import ArenaError
from tests.tui.conftest import LocalChild, ready, sees, shown, until
from tui.app import ArenaApp
from tui.areas import bindings
from tui.children import Children
from tui.screens.realtime import RealtimePlayScreen
from tui.screens.realtime_replay import RealtimeReplayScreen
from tui.screens.realtime_screen import RealtimeScreen
from tui.terminal_keys import KeyboardFlags, KeyUp
from tui.widgets.frame import FrameView

SIZE = (80, 24)
BREAKOUT = "ALE/Breakout-v5?idle_frames=0&sticky=0"


class LocalSession(LocalChild):
    """A game in real time; time goes on by `go` alone."""

    _server: Server

    def __init__(self) -> None:
        self.time = 0.0
        self.memory = FrameMemory.create()
        super().__init__(Server(self.memory, lambda: self.time))
        self.scenes = SceneReader(self.memory)
        self.busy = False
        self._unheard: list[tuple[int, Mapping[str, Any]]] = []

    def send(self, request: Mapping[str, Any]) -> int:
        number = self.number(request)
        self._unheard.append((number, request))
        if not self.busy:
            self.hear()
        return number

    def hear(self) -> None:
        """Answer what has been asked."""
        for number, request in self._unheard:
            self._answer(number, request)
        self._unheard.clear()

    def _answer(self, number: int, request: Mapping[str, Any]) -> None:
        try:
            answers: list[Any] = list(self._server.handle(request))
        except ArenaError as error:
            answers = [Refusal(str(error))]
        for answer in answers:
            self._said.put_nowait(decode_answer(line_of(answer, number)))

    def rest(self) -> None:
        """The next game has one of its own."""
        self.kill()

    def go(self, seconds: float) -> None:
        """Let time pass, doing what is due."""
        end = self.time + seconds
        while self.time < end:
            self.time += 1 / 120
            if (due := self._server.until_due()) is not None and due <= 1e-9:
                self._server.work()

    def wishes(self) -> list[Any]:
        """What was asked for, by button or pointer, in order."""
        return [r.get("action", "pointer") for r in self.requests if r["do"] in ("input", "pointer")]


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Games in real time are in this process, too."""
    take = Children.take

    async def local_take(children: Children, kind: Kind) -> Any:
        return LocalSession() if kind == "realtime" else await take(children, kind)

    monkeypatch.setattr(Children, "take", local_take)


async def play(pilot: Pilot[Any], game: str, opponents: list[str]) -> tuple[RealtimePlayScreen, LocalSession]:
    """Ann opens a game."""
    app = await ready(pilot)
    app.play_game(game, opponents, 0, seed=1)
    await until(pilot, lambda: isinstance(app.screen, RealtimePlayScreen) and app.screen.scene is not None)
    screen = app.screen
    assert isinstance(screen, RealtimePlayScreen)
    return screen, session_of(screen)


def session_of(screen: RealtimeScreen) -> LocalSession:
    session: Any = screen.session
    assert isinstance(session, LocalSession)
    return session


async def go(pilot: Pilot[Any], screen: RealtimeScreen, seconds: float) -> None:
    """Let the game's time pass, and the screen see what came of it."""
    session = session_of(screen)
    session.go(seconds)
    await until(pilot, lambda: screen.scene is not None and screen.scene.number == session.memory.number)


@pytest.mark.slow
async def test_tron_against_an_agent_from_the_first_key_to_the_rating(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen, session = await play(pilot, "gridworld/tron", ["first-legal"])
        await sees(pilot, "a direction begins", "input latch", "Ann (you)", "first-legal")
        await go(pilot, screen, 2)
        assert screen.scene is not None
        assert screen.scene.positions[0].ply == 0
        for key in ("down", "right", "down", "left") * 20:
            if screen.scene.over:
                break
            await pilot.press(key)
            await go(pilot, screen, 0.3)
        await sees(pilot, "n plays again", "stored as")
        with Store(db, create=False) as store:
            (episode,) = store.episodes()
            assert episode.rated
        assert set(screen.scene.positions[0].rating) == {"Ann", "first-legal"}
        await pilot.press("n")
        await until(pilot, lambda: screen.scene is not None and screen.scene.waiting)
        assert [request["do"] for request in session.requests].count("open") == 2
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)
        assert not session.alive


@pytest.mark.slow
async def test_breakout_by_keys_and_mouse(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen, session = await play(pilot, BREAKOUT, [])
        names = dict(screen.scene.positions[0].legal[0]) if screen.scene else {}
        fire, left, right = (next(a for a, n in names.items() if n == name) for name in ("fire", "left", "right"))
        await sees(pilot, "a direction begins", "56×42 of 160×210 pixels · z zooms", "space f fire")
        view = screen.query_one("#mine", FrameView)
        assert view.cells == (56, 21)
        await pilot.press("right")
        await sees(pilot, "●right")  # before the game has made a step
        assert screen.scene is not None
        assert screen.scene.positions[0].ply == 0
        await go(pilot, screen, 0.5)
        await pilot.press("space")
        await sees(pilot, "●right", "●fire")
        await go(pilot, screen, 0.5)
        assert session.wishes() == [right, fire, right], "the direction is latched, FIRE is a moment"
        await pilot.hover("#mine", offset=(10, 15))
        await pilot.hover("#mine", offset=(12, 15))
        await until(pilot, lambda: screen.mode == "mouse")
        await sees(pilot, "input mouse")
        await pilot.press("left")
        assert screen.mode == "latch"
        assert session.wishes()[-3:] == ["pointer", None, left]
        await pilot.press("p")
        await sees(pilot, "paused")
        assert session.wishes()[-1] is None, "a pause lets go"
        assert not any("●" in str(panel.render()) for panel in screen.query("#keys"))
        await pilot.press("z")
        assert view.zoom == "crop"
        await pilot.press("minus")
        await sees(pilot, "no longer counts")
        await pilot.press("n")
        await pilot.press("p")
        await until(pilot, lambda: screen.scene is not None and screen.scene.running)
        await pilot.press("r")
        await sees(pilot, "Give up?")
        assert screen.scene is not None
        await until(pilot, lambda: screen.scene is not None and not screen.scene.running)
        await pilot.press("y")
        await sees(pilot, "Given up: return 0")


@pytest.mark.slow
async def test_a_race_shows_both_games(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen, session = await play(pilot, BREAKOUT, [])
        await pilot.press("c")
        await sees(pilot, "Race which agent?")
        await pilot.press("down", "enter")
        await until(pilot, lambda: screen.scene is not None and len(screen.scene.positions) == 2)
        assert session.requests[-1]["race"] == "random"
        await sees(pilot, "Ann (you)", "random")
        assert all(view.display and view.cells[0] >= 28 for view in screen.query(FrameView))


@pytest.mark.slow
async def test_keys_that_are_let_go_where_the_terminal_says_so(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen, session = await play(pilot, "gridworld/sumo", ["random"])
        assert screen.mode == "tap"
        app.post_message(KeyboardFlags(25))
        await pilot.pause()
        assert screen.mode == "tap", "that it knows the protocol is not enough"
        app.post_message(KeyboardFlags(27))
        await until(pilot, lambda: screen.mode == "release")
        await pilot.press("w")
        await go(pilot, screen, 0.1)
        up = session.wishes()[-1]
        assert up is not None
        app.post_message(KeyUp("up"))
        app.post_message(KeyUp("w"))
        await until(pilot, lambda: session.wishes()[-1] is None)
        await pilot.press("up")
        await until(pilot, lambda: session.wishes()[-1] == up)
        screen.post_message(AppBlur())
        await until(pilot, lambda: session.wishes()[-1] is None)


@pytest.mark.slow
async def test_two_at_one_keyboard_have_a_hand_each(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.open_game("gridworld/sumo", [{"human": "Ann"}, {"human": "Bob"}])
        await until(pilot, lambda: isinstance(app.screen, RealtimePlayScreen) and app.screen.scene is not None)
        screen = app.screen
        assert isinstance(screen, RealtimePlayScreen)
        await pilot.press("d", "up")
        await go(pilot, screen, 0.1)
        assert screen.scene is not None
        assert screen.scene.positions[0].last == {0: "right", 1: "up"}


@pytest.mark.slow
async def test_who_plays_is_shown_before_the_games_process_is_there(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, take = asyncio.Event(), Children.take

    async def take_late(children: Children, kind: Kind) -> Any:
        await there.wait()
        return await take(children, kind)

    monkeypatch.setattr(Children, "take", take_late)
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.play_game("gridworld/tron", ["first-legal"], 1, seed=1)
        await sees(pilot, "gridworld/tron", "first-legal", "Ann (you)", "starting…")
        screen = app.screen
        assert isinstance(screen, RealtimePlayScreen)
        assert screen.scene is None
        there.set()
        await sees(pilot, "a direction begins")


@pytest.mark.slow
async def test_the_clock_is_shown_as_asked_for_before_the_game_has_heard(db: Path) -> None:
    app = ArenaApp(db)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.open_game("gridworld/sumo", ["first-legal", "first-legal"], seed=1)
        await until(pilot, lambda: isinstance(app.screen, RealtimePlayScreen) and app.screen.scene is not None)
        screen = app.screen
        assert isinstance(screen, RealtimePlayScreen)
        await sees(pilot, " 1×")
        session = session_of(screen)
        session.busy = True
        await pilot.press("space", "plus", "plus")
        await sees(pilot, "paused 4×", "p goes on")
        session.go(0.5)  # steps of before it has heard do not let it go on again
        await until(pilot, lambda: screen.scene is not None and screen.scene.positions[0].ply)
        await sees(pilot, "paused 4×")
        await pilot.press("space")
        await until(pilot, lambda: "paused" not in shown(app))
        await pilot.press("full_stop")
        await sees(pilot, "paused 4×")
        session.busy = False
        session.hear()
        await until(pilot, lambda: not screen._clock and screen.scene is not None and screen.scene.speed == 4)
        await go(pilot, screen, 1.0)
        assert screen.scene is not None
        assert not screen.scene.running
        assert "paused 4×" in shown(app)
        await pilot.press("p")
        await until(pilot, lambda: "paused" not in shown(app))


@pytest.mark.slow
async def test_a_dead_session_is_told_and_begun_anew(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen, session = await play(pilot, "gridworld/sumo", ["random"])
        session.die()
        await sees(pilot, "killed by signal 9")
        await pilot.press("n")
        await until(pilot, lambda: screen.session is not None and screen.scene is not None)
        assert session_of(screen) is not session


@pytest.mark.slow
async def test_a_replay_runs_and_goes_anywhere(db: Path) -> None:
    other = LocalSession()
    other.send({"do": "open", "db": str(db), "game": BREAKOUT, "seats": [{"human": "Ann"}], "seed": 1})
    other.send({"do": "input", "seat": 0, "action": 1})
    other.go(4)
    other.send({"do": "resign", "seat": 0})
    other.kill()
    app = ArenaApp(db)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.open_replay(1)
        await until(pilot, lambda: isinstance(app.screen, RealtimeReplayScreen) and app.screen.scene is not None)
        screen = app.screen
        assert isinstance(screen, RealtimeReplayScreen)
        length = screen.length
        assert length in (60, 61)
        await pilot.press("end")
        await sees(pilot, f"step {length} of {length}", "Given up", "Ann")
        await pilot.press("left", "left")
        await sees(pilot, f"step {length - 2} of")
        await pilot.press("home")
        await sees(pilot, "step 0 of")
        await pilot.press("space")
        await go(pilot, screen, 1.0)
        await sees(pilot, "step 16 of")
        await pilot.press("v")
        await sees(pilot, "every step is as recorded")
        await pilot.press("home")
        await sees(pilot, "step 0 of")
        session = session_of(screen)
        session.busy = True
        await pilot.press("right", "right", "right")
        await sees(pilot, "step 3 of")
        assert screen.scene is not None
        assert screen.scene.positions[0].ply == 0
        session.busy = False
        session.hear()
        await until(pilot, lambda: screen.scene is not None and screen.scene.positions[0].ply == 3)
        assert "step 3 of" in shown(app)


def test_every_button_can_be_rebound() -> None:
    ids = {binding.id for binding in bindings("tui.screens.realtime:RealtimePlayScreen")}
    assert {
        f"pad.{button}.{side}" for button in ("up", "down", "left", "right", "fire") for side in ("left", "right")
    } <= ids
