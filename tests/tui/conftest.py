"""The app on a league of its own, its sessions in this process: the real games without the seconds a child takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from textual.pilot import Pilot

from arena.child import SessionDied, encode
from arena.game_client import GameSession
from arena.session import Server, _line
from arena.session_client import Refusal, decode_event
from arena.session_pipe import StoreServer
from arena.store import Store
from envs.errors import ArenaError
from tui.app import ArenaApp
from tui.children import Children


class LocalChild:
    """What `AsyncChild` is to the app, around a server in this process: subclasses say how it is asked."""

    def __init__(self, server: StoreServer) -> None:
        self.alive = True
        self.requests: list[dict[str, Any]] = []
        self._server = server
        self._said: asyncio.Queue[Any] = asyncio.Queue()

    def number(self, request: Mapping[str, Any]) -> int:
        """Take a request down; its number."""
        assert encode(request)
        self.requests.append(dict(request))
        return len(self.requests)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        said = await self._said.get()
        if said is None:
            raise SessionDied("the game's process ended (killed by signal 9)")
        return said

    def begin(self, kind: str) -> None:
        """It plays games of one kind alone."""

    def rest(self) -> None:
        """It is asked for one game after another."""

    def die(self) -> None:
        self.alive = False
        self._said.put_nowait(None)

    async def close(self) -> None:
        self.kill()

    def kill(self) -> None:
        self.alive = False
        self._server.close()


class LocalSession(LocalChild):
    """A game in turns."""

    _server: Server

    def __init__(self) -> None:
        super().__init__(Server())

    def send(self, request: Mapping[str, Any]) -> int:
        number = self.number(request)
        answer: int | None = number
        try:
            for event in self._server.handle(request):
                self._said.put_nowait(decode_event(_line(event, answer)))
                answer = None
        except ArenaError as error:
            self._said.put_nowait(decode_event(_line(Refusal(str(error)), number)))
        return number


@pytest.fixture(autouse=True)
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[LocalSession]:
    """All sessions that the app has started."""
    started: list[LocalSession] = []

    async def start() -> LocalSession:
        started.append(LocalSession())
        return started[-1]

    async def never() -> None:
        return None

    monkeypatch.setattr(GameSession, "start", start)
    monkeypatch.setattr(Children, "warm", lambda self: never())
    return started


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the person's own keymap would be."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "arena" / "keys.toml"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "league.db"


@pytest.fixture
def league(db: Path) -> Path:
    """A league in which Ann has beaten first-legal at tic-tac-toe and given up a walk, which is unrated."""
    server = Server()
    for game, opponents, moves in (
        ("tic_tac_toe", ["first-legal"], ["5", "3", "7"]),
        ("gridworld/tiny", [], ["up"]),
    ):
        seats = [{"human": "Ann"}, *opponents]
        list(server.handle({"do": "open", "db": str(db), "game": game, "seats": seats, "seed": 1}))
        for move in moves:
            list(server.handle({"do": "act", "seat": 0, "move": move}))
    list(server.handle({"do": "resign", "seat": 0}))
    server.close()
    with Store(db) as store:
        store.set_setting("name", "Ann")
    return db


async def until(pilot: Pilot[Any], true: Callable[[], object]) -> None:
    """Wait for workers and messages until something holds; long, for machines that are busy."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        await pilot.pause()
        for _ in range(20):  # messages pass from hand to hand, a turn of the loop each, however slow the machine is
            await asyncio.sleep(0)
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"it never came true; the screen shows\n{shown(pilot.app)}")


async def sees(pilot: Pilot[Any], *texts: str) -> None:
    """Wait until the screen shows all of these."""
    await until(pilot, lambda: all(text in shown(pilot.app) for text in texts))


async def ready(pilot: Pilot[Any]) -> ArenaApp:
    """The app once its league and the first game have been read."""
    app = pilot.app
    assert isinstance(app, ArenaApp)
    await until(pilot, lambda: app.home._facts is not None and not app.workers._workers)
    return app


def shown(app: Any) -> str:
    """What the terminal would show, as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line).rstrip() for line in lines)
