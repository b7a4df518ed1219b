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
from arena.realtime_client import Done, Scene, SceneReader, decode_answer
from arena.session_client import Position, Refusal, Result
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
from tui.widgets.board import EMPTY
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


async def walk(pilot: Pilot[Any], race: str | None = None) -> tuple[RealtimePlayScreen, LocalSession]:
    """Ann alone, where a step to the right ends the game at once."""
    app = await ready(pilot)
    screen = RealtimePlayScreen("gridworld/tiny", [{"human": "Ann"}], 1, race)
    app.push_screen(screen)
    await until(pilot, lambda: screen.scene is not None)
    return screen, session_of(screen)


async def test_in_a_race_the_persons_stored_game_stays_rated(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen, session = await walk(pilot, "first-legal")
        await pilot.press("right")
        await go(pilot, screen, 0.1)
        assert screen.scene is not None
        assert screen.scene.positions[0].over
        assert not screen.scene.over
        await pilot.press("minus")
        await until(pilot, lambda: session.requests[-1] == {"do": "clock", "speed": 0.5})
        assert app.screen is screen, "there is nothing to be asked"
        await sees(pilot, " rated · step 1 ")


@pytest.mark.parametrize(
    ("mine", "reason", "theirs", "verdict"),
    [
        (0, "resigned", -21, "Given up: 0 against -21"),
        (0, "terminated", -21, "You win: 0 against -21"),
        (-3, "terminated", 2, "You lose: -3 against 2"),
    ],
)
def test_who_gives_up_a_race_has_not_won_it(mine: float, reason: str, theirs: float, verdict: str) -> None:
    ends = [("Ann", mine, reason), ("bot", theirs, "terminated")]
    positions = [
        Position("ALE/Pong-v5", 9, EMPTY, [n], over=True, result=Result([None], [r], why)) for n, r, why in ends
    ]
    screen = RealtimePlayScreen("ALE/Pong-v5", [{"human": "Ann"}], race="bot")
    assert screen._headline(Scene(positions, running=False, speed=1.0, rate=15.0)) == verdict


async def test_a_race_asks_before_it_throws_a_game_away(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen, session = await walk(pilot)
        await pilot.press("up")
        await go(pilot, screen, 0.1)
        for answer in ("n", "y"):
            assert screen.race is None
            await pilot.press("c")
            await sees(pilot, "Race which agent?")
            await pilot.press("down", "enter")
            await sees(pilot, "will not be kept")
            await pilot.press(answer)
            await until(pilot, lambda: app.screen is screen)
        await until(pilot, lambda: screen.scene is not None and len(screen.scene.positions) == 2)
        assert [request["do"] for request in session.requests].count("open") == 2


async def test_a_step_that_failed_says_why_nothing_goes_on(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ArenaError("no move")

    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen, session = await walk(pilot)
        await pilot.press("up")
        await go(pilot, screen, 0.1)
        with monkeypatch.context() as patched:
            patched.setattr(session._server._table, "step", fail)
            with pytest.raises(ArenaError):
                session.go(0.5)
        session._server.halt()
        session._said.put_nowait(Refusal("no move " * 12 + "to offer"))
        await sees(pilot, "paused 1×", "to offer")
        await pilot.press("p")
        await until(pilot, lambda: "to offer" not in shown(app))
        await go(pilot, screen, 0.3)
        assert screen._ply > 1


@pytest.mark.slow
async def test_a_click_is_fire_for_a_moment(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen, session = await play(pilot, BREAKOUT, [])
        fire = next(a for a, n in screen.scene.positions[0].legal[0] if n == "fire") if screen.scene else -1
        for at in ((10, 15), (12, 15)):
            await pilot.hover("#mine", offset=at)
        await until(pilot, lambda: screen.mode == "mouse")
        await go(pilot, screen, 0.2)
        await pilot.click("#mine", offset=(12, 15))
        assert session.wishes()[-2:] == ["pointer", fire]
        await pilot.hover("#mine", offset=(14, 15))
        assert session.wishes()[-1] == fire, "it is not taken back before the game has made a step"
        await go(pilot, screen, 0.2)
        await until(pilot, lambda: session.wishes()[-2:] == [fire, "pointer"])
        x = session.requests[-1]["x"]
        await pilot.hover("#mine", offset=(16, 15))
        assert session.requests[-1]["x"] > x
        asked = len(session.requests)
        await pilot.click("#banner")
        await pilot.press("p")
        await until(pilot, lambda: screen.scene is not None and not screen.scene.running)
        await pilot.click("#mine", offset=(12, 15))
        assert fire not in [request.get("action") for request in session.requests[asked:]]


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


async def replay(pilot: Pilot[Any], db: Path, seconds: float) -> RealtimeReplayScreen:
    """Look at a game of so many seconds."""
    other = LocalSession()
    other.send({"do": "open", "db": str(db), "game": BREAKOUT, "seats": [{"human": "Ann"}], "seed": 1})
    other.send({"do": "input", "seat": 0, "action": 1})
    other.go(seconds)
    other.send({"do": "resign", "seat": 0})
    other.kill()
    app = await ready(pilot)
    app.open_replay(1)
    await until(pilot, lambda: isinstance(app.screen, RealtimeReplayScreen) and app.screen.scene is not None)
    assert isinstance(app.screen, RealtimeReplayScreen)
    return app.screen


@pytest.mark.slow
async def test_a_refused_seek_leaves_the_keys_as_they_are(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ply: int) -> None:
        raise ArenaError("from step 2 the game does not go on as recorded, which is a long story to tell")

    app = ArenaApp(db)
    async with app.run_test(size=SIZE) as pilot:
        screen = await replay(pilot, db, 1)
        session = session_of(screen)
        with monkeypatch.context() as patched:
            patched.setattr(session._server._table, "seek", refuse)
            await pilot.press("end")
            await sees(pilot, "as recorded", "story to tell", "step 0 of")
        session.busy = True
        await pilot.press("right", "right", "right")
        session._unheard.clear()
        session._said.put_nowait(Refusal("not there", id=len(session.requests)))  # the first; 3 is wanted by now
        session.busy = False
        await sees(pilot, "step 3 of")
        await until(pilot, lambda: screen.scene is not None and screen.scene.positions[0].ply == 3)


@pytest.mark.slow
async def test_keys_before_a_replay_has_opened_do_nothing(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = ArenaApp(db)
    async with app.run_test(size=SIZE) as pilot:
        first = await replay(pilot, db, 1)
        screen = RealtimeReplayScreen(first.episode)
        with monkeypatch.context() as patched:
            patched.setattr(LocalSession, "hear", lambda self: None)
            app.push_screen(screen)
            await until(pilot, lambda: screen.session is not None and session_of(screen).requests)
            await pilot.press("home", "end", "g")
            assert app.screen is screen, "nobody is asked where to go"
        session_of(screen).hear()
        await sees(pilot, "step 0 of")
        await pilot.press("space")
        await go(pilot, screen, 0.5)
        await sees(pilot, "step 8 of")


@pytest.mark.slow
async def test_a_replay_at_its_end_is_paused_whichever_comes_first(db: Path) -> None:
    """The answer, or what the game looks like after it."""
    app = ArenaApp(db)
    async with app.run_test(size=SIZE) as pilot:
        screen = await replay(pilot, db, 1)
        session = session_of(screen)
        session.busy = True
        await pilot.press("space")
        list(session._server.handle(session.requests[-1]))
        session.go(2)
        await until(pilot, lambda: screen.scene is not None and screen.scene.over)
        session._unheard.clear()
        session._said.put_nowait(Done(len(session.requests)))
        await sees(pilot, "paused 1×")


@pytest.mark.slow
async def test_a_replay_runs_and_goes_anywhere(db: Path) -> None:
    app = ArenaApp(db)
    async with app.run_test(size=SIZE) as pilot:
        screen = await replay(pilot, db, 4)
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
