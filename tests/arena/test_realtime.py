"""Real-time sessions by a clock of the tests' own, and as a process that nobody listens to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arena.episodes import verify
from arena.frames import FrameMemory
from arena.realtime import Clock, Server
from arena.realtime_client import Done, Scene, SceneReader, has_pictures, in_real_time, open_request, replay_request
from arena.session_client import Verified
from arena.store import Store
from envs.errors import ArenaError, UsageError

ANN, BOB = {"human": "Ann"}, {"human": "Bob"}
BREAKOUT = "ALE/Breakout-v5"


class Session:
    """A server, its memory and a clock that stands still unless it is told to go on."""

    def __init__(self, db: Path) -> None:
        self.db, self.time = str(db), 0.0
        self.memory = FrameMemory.create()
        self.server = Server(self.memory, lambda: self.time)
        self.reader = SceneReader(self.memory)
        self.scenes: list[Scene] = []

    def ask(self, do: str, **fields: Any) -> list[Any]:
        answers = list(self.server.handle({"do": do, **fields}))
        self.look()
        return answers

    def open(self, game: str, seats: list[Any], race: str | None = None, seed: int = 1) -> Scene:
        list(self.server.handle(open_request(self.db, game, seats, seed, race)))
        return self.scene

    def go(self, seconds: float, every: float = 1 / 240) -> None:
        """Let time pass in small steps, doing what is due."""
        end = self.time + seconds
        while self.time < end:
            self.time += every
            due = self.server.until_due()
            if due is not None and due <= 1e-9:
                self.server.work()
            self.look()

    def look(self) -> None:
        scene = self.reader.newest()
        if scene is not None:
            self.scenes.append(scene)

    @property
    def scene(self) -> Scene:
        self.look()
        return self.scenes[-1]

    @property
    def ply(self) -> int:
        return self.scene.positions[0].ply


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path / "league.db")
    yield session
    session.server.close()
    session.memory.close()


def test_which_games_go_on_by_themselves() -> None:
    assert all(map(in_real_time, [BREAKOUT, "pettingzoo/atari/pong_v3", "gridworld/sumo?size=9", "gridworld/tron"]))
    assert not any(map(in_real_time, ["connect_four", "gridworld/maze", "gym/CartPole-v1", "pettingzoo/classic/go_v5"]))
    assert not has_pictures("gridworld/tron")


def test_two_at_one_keyboard_at_a_steady_tick(session: Session) -> None:
    scene = session.open("gridworld/sumo", [ANN, BOB])
    assert (scene.waiting, scene.running, scene.rate, scene.pictures) == (True, False, 4.0, [])
    assert scene.positions[0].drawing.lines
    session.go(2)
    assert session.ply == 0, "it begins with the first button"
    actions = {name: action for action, name in scene.positions[0].legal[0]}
    session.ask("input", seat=0, action=actions["stay"])
    session.go(1.1)
    assert session.ply == 5, "one at once, then four a second"
    assert session.scene.positions[0].last == {0: "stay", 1: "stay"}
    session.ask("input", seat=0, action=actions["up"])
    session.ask("input", seat=0, action=actions["down"])
    session.ask("input", seat=1, action=actions["left"])
    session.go(0.25)
    assert session.scene.positions[0].last == {0: "down", 1: "left"}, "the latest counts"
    session.ask("input", seat=0, action=None)
    session.go(0.25)
    assert session.scene.positions[0].last == {0: "stay", 1: "left"}


def test_pause_lets_go_of_everything_and_speed_is_what_it_says(session: Session) -> None:
    session.open("gridworld/sumo", [ANN, BOB])
    session.ask("input", seat=1, action=1)
    session.go(0.1)
    assert session.scene.positions[0].last[1] == "up"
    assert session.ask("clock", running=False) == [Done()]
    before = session.ply
    session.go(2)
    assert session.ply == before
    assert not session.scene.running
    session.ask("clock", running=True, speed=8.0)
    session.go(0.5)
    assert 15 <= session.ply - before <= 17
    assert session.scene.positions[0].last[1] == "stay"
    assert session.scene.positions[0].rated
    session.ask("clock", speed=0.25)
    before = session.ply
    session.go(2.1)
    assert session.ply - before in (2, 3)
    assert not session.scene.positions[0].rated, "who slows the game down is not rated"


def test_a_slow_machine_drops_steps_and_never_catches_up(session: Session) -> None:
    session.open("gridworld/sumo", [ANN, BOB])
    session.ask("input", seat=0, action=0)
    session.go(0.1)
    session.time += 10
    before = session.ply
    session.go(1.0)
    assert 4 <= session.ply - before <= 5
    assert session.scene.late == 1


def test_in_tron_who_presses_nothing_goes_on_straight(session: Session) -> None:
    scene = session.open("gridworld/tron", [ANN, BOB])
    legal = {name: action for action, name in scene.positions[0].legal[0]}
    name, action = next(iter(legal.items()))
    session.ask("input", seat=0, action=action)
    session.go(0.3)
    session.ask("input", seat=0, action=None)
    for _ in range(60):
        if session.scene.over:
            break
        assert session.scene.positions[0].last[0] == name
        session.go(0.25)
    assert session.scene.over
    assert not session.scene.running
    session.ask("input", seat=0, action=action)
    with Store(Path(session.db), create=False) as store:
        (episode,) = store.episodes()
        assert episode.rated
        assert [verdict.ok for verdict in verify(store)] == [True]
    assert session.scene.positions[0].episode == episode.id
    assert set(session.scene.positions[0].rating) == {"Ann", "Bob"}


@pytest.mark.slow
def test_a_game_alone_shows_every_frame_sixty_times_a_second(session: Session) -> None:
    scene = session.open(BREAKOUT, [ANN])
    assert (scene.rate, scene.pointer) == (15.0, True)
    assert scene.pictures[0].shape == (210, 160, 3)
    assert list(scene.positions[0].drawing.lines) == []
    session.ask("input", seat=0, action=1)
    del session.scenes[:-1]
    session.go(1.0)
    assert session.ply in (15, 16)
    assert 56 <= len(session.scenes) <= 65
    session.ask("clock", speed=8.0)
    del session.scenes[:-1]
    before = session.ply
    session.go(0.5)
    assert 58 <= session.ply - before <= 62
    assert len(session.scenes) <= 35, "faster games do not show more pictures"
    session.ask("resign", seat=0)
    with Store(Path(session.db), create=False) as store:
        assert [(e.reason, e.length) for e in store.episodes()] == [("resigned", session.ply)]


@pytest.mark.slow
def test_a_pointer_moves_the_paddle(session: Session) -> None:
    session.open(BREAKOUT + "?sticky=0", [ANN])
    session.ask("pointer", seat=0, x=0.0, y=0.5)
    session.go(0.1)
    assert session.scene.positions[0].last == {0: "left"}
    session.ask("pointer", seat=0, x=0.95, y=0.5)
    session.go(0.2)
    assert session.scene.positions[0].last == {0: "right"}


@pytest.mark.slow
def test_a_race_is_two_games_from_one_seed(session: Session) -> None:
    scene = session.open(BREAKOUT, [ANN], race="random", seed=7)
    assert [position.seats for position in scene.positions] == [["Ann"], ["random"]]
    assert (scene.pictures[0] == scene.pictures[1]).all()
    session.ask("input", seat=0, action=2)
    session.go(0.5)
    assert [position.ply for position in session.scene.positions] == [8, 8]
    session.ask("resign", seat=0)
    session.ask("clock", running=True, speed=8.0)
    for _ in range(200):
        if session.scene.over:
            break
        session.go(0.5)
    assert session.scene.over
    with Store(Path(session.db), create=False) as store:
        episodes = store.episodes()
        assert {episode.seed for episode in episodes} == {7}
        assert not any(episode.rated for episode in episodes), "one was given up, one is an agent's"
        assert all(verdict.ok for verdict in verify(store))


def test_a_race_goes_on_when_the_persons_game_is_stored(session: Session) -> None:
    scene = session.open("gridworld/tiny", [ANN], race="first-legal")
    legal = {name: action for action, name in scene.positions[0].legal[0]}
    session.ask("input", seat=0, action=legal["right"])
    session.go(0.6)
    session.ask("clock", speed=0.5)
    session.ask("step")
    mine, theirs = session.scene.positions
    assert (mine.over, mine.rated, theirs.over) == (True, True, False), "a stored game counts for good"


@pytest.mark.slow
def test_a_race_shows_the_last_picture_of_what_is_over(session: Session) -> None:
    session.open(BREAKOUT + "?sticky=0", [ANN], race="random")
    session.ask("input", seat=0, action=2)
    session.go(0.5)
    session.ask("resign", seat=0)
    last = session.scene.pictures[0]
    del session.scenes[:-1]
    session.go(0.5)
    assert session.scene.positions[1].ply > 10
    assert all((scene.pictures[0] == last).all() for scene in session.scenes)


def test_after_a_failed_step_it_is_told_that_nothing_goes_on(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ArenaError("no move")

    session.open("gridworld/sumo", [ANN, BOB])
    session.ask("input", seat=0, action=1)
    session.go(0.1)
    monkeypatch.setattr(session.server._table, "step", fail)
    with pytest.raises(ArenaError):
        session.go(1.0)
    session.server.halt()
    assert not session.scene.running


def test_refused_requests_change_nothing(session: Session) -> None:
    session.open("gridworld/sumo", [ANN, "random"])
    for fields, match in [
        ({"do": "input", "seat": 1, "action": 0}, "not a person's"),
        ({"do": "input", "seat": 0, "action": 5}, "outside 0"),
        ({"do": "input", "seat": "0", "action": 5}, "seat must be"),
        ({"do": "pointer", "seat": 0, "x": 2, "y": 0}, "from 0 to 1"),
        ({"do": "clock", "speed": 3}, "a speed is one of"),
        ({"do": "seek", "ply": 0}, "only in replays"),
        ({"do": "open", "db": session.db, "game": BREAKOUT, "seats": ["random"], "race": "random"}, "race"),
        ({"do": "open", "db": session.db, "game": "gridworld/sumo", "seats": [ANN, "nobody"]}, "unknown agent"),
        ({"do": "dance"}, "unknown request"),
    ]:
        with pytest.raises(UsageError, match=match):
            list(session.server.handle(fields))
    assert session.ply == 0
    assert session.scene.waiting


@pytest.mark.slow
def test_a_replay_goes_anywhere_and_is_as_it_was(session: Session) -> None:
    session.open(BREAKOUT, ["random"], seed=3)
    seen = {}
    for _ in range(4000):
        session.go(1 / 15, every=1 / 15)
        session.ask("clock")
        seen[session.ply] = session.scene.pictures[0].tobytes()
        if session.scene.over:
            break
    episode, length = session.scene.positions[0].episode, session.ply
    assert episode is not None
    list(session.server.handle(replay_request(session.db, episode)))
    assert session.scene.positions[0].length == length
    while session.server.until_due() is not None:
        session.server.work()
    assert session.scene.ready == length
    returns = {}
    for ply in [length, 0, 81, 80, 79, length - 1, 40, 41]:
        session.ask("seek", ply=ply)
        assert session.ply == ply
        assert ply not in seen or session.scene.pictures[0].tobytes() == seen[ply]
        returns[ply] = session.scene.positions[0].returns
    assert returns[0] == [0.0]
    with Store(Path(session.db), create=False) as store:
        assert returns[length] == [store.episode(episode).players[0].reward]
    assert session.ask("verify") == [Verified(True, "every step is as recorded")]
    session.ask("seek", ply=100)
    session.ask("clock", running=True)
    session.go(0.5)
    assert session.ply in (107, 108)
    with pytest.raises(UsageError, match="outside"):
        session.ask("seek", ply=length + 1)


@pytest.mark.slow
def test_an_episode_that_ends_before_its_record_is_no_replay(session: Session) -> None:
    session.open(BREAKOUT, [ANN], seed=3)
    session.ask("input", seat=0, action=1)
    session.go(0.4)
    session.ask("resign", seat=0)
    with Store(Path(session.db)) as store, store._file.write() as connection:
        connection.execute("DROP TRIGGER episodes_no_update")
        connection.execute("UPDATE episodes SET actions = CAST(zeroblob(length) || x'00' AS BLOB)")
    with pytest.raises(ArenaError, match="steps have"):
        session.ask("replay", db=session.db, episode=1)


def test_the_clock_counts_from_its_start() -> None:
    now = [100.0]
    clock = Clock(10.0, lambda: now[0])
    clock.start()
    assert clock.until_step() <= 0
    clock.step_begins()
    assert clock.until_step() == pytest.approx(0.1)
    now[0] += 0.15
    clock.step_begins()
    assert clock.until_step() == pytest.approx(0.05), "half a step late is made up for"
    assert clock.late == 0


class Process:
    """The child as the app starts it."""

    def __init__(self) -> None:
        self.memory = FrameMemory.create()
        command = [sys.executable, "-m", "arena.game_child", str(self.memory.fileno())]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(self.memory.fileno(),)
        )
        self.reader = SceneReader(self.memory)
        self.send(do="begin", kind="realtime")

    def send(self, **request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, ply: int) -> Scene:
        """Long, for machines that are busy."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            scene = self.reader.newest()
            if scene is not None and scene.positions[0].ply >= ply:
                return scene
            time.sleep(0.01)
        raise AssertionError(f"the game never came to ply {ply}")


@pytest.mark.slow
def test_nobody_need_listen_and_a_killed_child_leaves_what_was_finished(tmp_path: Path) -> None:
    """Its answers are never read, more of them than a pipe holds: the game goes on, and ends when its asker is gone."""
    db = str(tmp_path / "league.db")
    child = Process()
    child.send(do="open", db=db, game="gridworld/tron", seats=["random", "random"], seed=1)
    end = time.monotonic() + 60
    scene = child.wait_for(1)
    while not scene.over and time.monotonic() < end:
        scene = child.reader.newest() or scene
        time.sleep(0.01)
    assert scene.over
    child.send(do="open", db=db, game="gridworld/sumo", seats=[ANN, BOB], seed=1)
    for _ in range(4000):
        child.send(do="clock", running=True, speed=8.0)
    child.wait_for(5)
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait(60)
    with Store(Path(db), create=False) as store:
        assert [episode.game for episode in store.episodes()] == ["gridworld/tron"]
        assert all(verdict.ok for verdict in verify(store))
    for stream in (child.process.stdin, child.process.stdout):
        assert stream is not None
        stream.close()
    child.memory.close()
