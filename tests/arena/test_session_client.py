"""The client against children that misbehave; and that it needs no torch."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from arena import child as children
from arena import session_client
from arena.child import SessionDied, encode
from arena.game_client import GameSession
from arena.session_client import Hint, Mind, Position, Refusal, Result, Session, decode_event
from envs.rendering import Drawing


def child(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    command = (sys.executable, "-c", f"import sys, time\n{code}")
    monkeypatch.setattr(session_client, "COMMAND", command)
    monkeypatch.setattr(GameSession, "command", command)


def test_a_position_survives_the_wire() -> None:
    position = Position(
        game="tic_tac_toe",
        ply=3,
        drawing=Drawing(
            [[("✕ \x1b[31m", "player0 last"), ("[b]", "dim")]], {4: [(0, 1, 2, 3)]}, {4: ["5"]}, "✕ to move"
        ),
        seats=["Ann", "minimax"],
        to_move=[0],
        legal={0: [(4, "5"), (5, "8")]},
        returns=[0.0, 0.0],
        last={1: "1"},
        over=True,
        rated=False,
        result=Result([None, 0.5], [1.0, -1.0], "terminated"),
        episode=7,
        rating={"Ann": (None, 12.5), "minimax": (3.0, 2.0)},
        minds={1: Mind(None, [("1", 0.75)])},
        length=9,
        kept=True,
        id=2,
    )
    line = encode(position.to_json())
    assert line.count(b"\n") == 1
    assert decode_event(line) == position
    bare = Position("g", 0, Drawing([]), seats=[], to_move=[], returns=[])
    assert decode_event(encode(bare.to_json())) == bare


def test_a_hint_is_read() -> None:
    line = b'{"event":"hint","seat":1,"agent":"m","value":null,"top":[["4",0.5]],"id":3}'
    assert decode_event(line) == Hint(1, "m", Mind(None, [("4", 0.5)]), 3)


@pytest.mark.parametrize(
    "line", [b"hello", b"[]", b'{"event": "position"}', b'{"event": "dance"}', b'{"event": "hint"}']
)
def test_what_is_no_event_means_that_the_child_is_broken(line: bytes) -> None:
    with pytest.raises(SessionDied):
        decode_event(line)


def test_the_last_line_of_stderr_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    child(monkeypatch, "sys.stdin.readline(); print('noise\\nout of memory\\n', file=sys.stderr); sys.exit(3)")
    with Session() as session, pytest.raises(SessionDied, match=r"exit status 3\): out of memory"):
        session.step()


async def test_the_async_client_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    child(monkeypatch, "sys.stdin.readline(); print('out of memory', file=sys.stderr); sys.exit(3)")
    session = await GameSession.start()
    session.send({"do": "step"})
    with pytest.raises(SessionDied, match=r"exit status 3\): out of memory"):
        await anext(session)
    assert not session.alive
    await session.close()


async def test_who_reads_next_waits_until_the_one_before_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    child(monkeypatch, """sys.stdin.readline(); print('{"event": "error", "message": "no", "fatal": false}')""")
    session = await GameSession.start()
    before = asyncio.ensure_future(anext(session))
    await asyncio.sleep(0)
    before.cancel()  # a screen that is closed; the next one has its child at once
    session.send({"do": "step"})
    async with asyncio.timeout(60):
        assert await anext(session) == Refusal("no")
    await session.close()


async def test_a_child_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    child(monkeypatch, "print('{}', flush=True); time.sleep(600)")
    for module in (session_client, children):
        monkeypatch.setattr(module, "GRACE_SECONDS", 0.1)
    session = await GameSession.start()
    await session.close()
    assert session._process.returncode == -9
    with Session() as blocking:
        pass
    assert blocking._process.returncode == -9


async def test_closing_ends_the_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    child(monkeypatch, "sys.stdin.read()")
    session = await GameSession.start()
    await session.close()
    assert [event async for event in session] == []


def test_neither_client_nor_app_imports_what_is_heavy() -> None:
    heavy = ("torch", "arena.store", "pandas", "sqlite_utils", "numpy", "transformer_lens")
    code = f"import sys, arena.session_client, tui.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"
