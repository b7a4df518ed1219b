"""The session as a process: its protocol, what garbage does to it, who survives whom."""

from __future__ import annotations

import io
import json
import os
import queue
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from arena.child import MAX_LINE, SessionDied
from arena.game_client import GameSession
from arena.session import serve
from arena.session_client import COMMAND, Position, Refusal, Session, SessionError, decode_event
from arena.store import Store

ANN = {"human": "Ann"}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session() as session:
        yield session


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "league.db")


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie counts); long, for machines that are busy."""
    for _ in range(2400):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_a_game_against_minimax_to_the_end(session: Session, db: str) -> None:
    position = session.wait(session.open(db, "tic_tac_toe", ["minimax", ANN], seed=7))
    assert (position.to_move, position.over, position.seats) == ([1], False, ["minimax", "Ann"])
    while not position.over:
        position = session.wait(session.act(1, position.legal[1][0][0]))
    assert position.result is not None
    assert position.result.scores in ([0.5, 0.5], [1.0, 0.0])
    assert set(position.rating) == {"minimax", "Ann"}
    with Store(db, create=False) as store:
        assert [e.id for e in store.episodes(rated=True)] == [position.episode]
    replayed = session.replay(db, position.episode or 0)
    assert replayed.length == position.ply
    assert session.seek(position.ply).drawing.text() == position.drawing.text()
    assert session.verify().ok


@pytest.mark.slow
def test_a_changed_episode_is_named(session: Session, db: str) -> None:
    position = session.open(db, "tic_tac_toe", ["first-legal", "first-legal"], seed=7)
    while not position.over:
        position = session.step()
    with Store(db) as store, store._file.write() as connection:
        connection.execute("DROP TRIGGER episodes_no_update")
        connection.execute("UPDATE episodes SET chain = CAST(zeroblob(8) || substr(chain, 9) AS BLOB)")
    session.replay(db, position.episode or 0)
    verdict = session.verify()
    assert not verdict.ok
    assert "hash" in verdict.message


@pytest.mark.slow
def test_what_is_refused_leaves_the_position(session: Session, db: str) -> None:
    before = session.wait(session.open(db, "connect_four", [ANN, "random"], seed=7))
    for request, match in [
        ({"do": "act", "seat": 0, "action": 7}, "7 is not allowed"),
        ({"do": "act", "seat": 0, "action": True}, "action must be of type int"),
        ({"do": "act", "seat": "0", "action": 1}, "seat must be of type int"),
        ({"do": "act", "seat": 0}, "which action"),
        ({"do": "act", "seat": 0, "move": "\ud800"}, "cannot be printed"),
        ({"do": "act", "seat": 10**30, "action": 10**30}, "not a person's"),
        ({"do": "step"}, "person's turn"),
        ({"do": "undo", "seat": 0}, "no move to take back"),
        ({"do": "hint", "seat": 0, "agent": "nobody"}, "unknown agent"),
        ({"do": "seek", "ply": 1}, "no episode"),
        ({"do": "dance"}, "unknown request"),
        ({"seat": 1}, "do must be"),
        ({"do": "open", "db": db, "game": "tic_tac_toe", "seats": [ANN, "random"], "seed": -1}, "outside"),
        ({"do": "open", "db": db, "game": "chess", "seats": []}, "unknown game"),
        ({"do": "replay", "db": db, "episode": 99}, "no episode 99"),
        ({"do": "replay", "db": db + "x", "episode": 1}, "does not exist"),
    ]:
        with pytest.raises(SessionError, match=match):
            session.request(request)
    after = session.wait(session.act(0, action=3))
    assert (before.ply, after.ply) == (0, 2)


@pytest.mark.slow
def test_garbage_is_answered_and_does_no_harm(db: str) -> None:
    rng = random.Random(0)
    lines = [b"", b"{", b"[]", b"null", b'"do"', b"\xff\xfe\x00", b"[" * 5000, b'{"do": "act", "id": "x"}', b"1" * 5000]
    lines += [b'{"id": ' + b"9" * 5000 + b"}", b"{" + b" " * (3 * MAX_LINE) + b"}"]
    lines += [bytes(rng.randrange(256) for _ in range(rng.randrange(1, 200))).replace(b"\n", b" ") for _ in range(100)]
    values = [None, True, -1, 10**40, 1.5, "x", "\x00", [], {}, [[]], {"human": 1}]
    for do in ("open", "replay", "act", "step", "undo", "hint", "resign", "seek", "verify"):
        for _ in range(12):
            names = rng.sample(["db", "game", "seats", "seed", "greedy", "episode", "seat", "action", "move", "ply"], 5)
            request = {"do": do} | {name: rng.choice(values) for name in names}
            lines.append(json.dumps(request | ({"db": db} if "db" in request else {})).encode())
    lines.append(
        json.dumps({"do": "open", "db": db, "game": "tic_tac_toe", "seats": [ANN, "random"], "id": 1}).encode()
    )
    done = subprocess.run(COMMAND, input=b"\n".join(lines) + b"\n", capture_output=True, timeout=300, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert done.stderr == b""
    assert [event["event"] for event in events[:-1]] == ["error"] * (len(events) - 1)
    assert not any(event.get("fatal") for event in events)
    assert len(events) == sum(1 for line in lines if line.strip())
    assert (events[-1]["event"], events[-1]["id"]) == ("position", 1)


def test_another_protocol_is_refused_for_good() -> None:
    requests: queue.Queue[bytes | None] = queue.Queue()
    requests.put(b'{"do": "open", "protocol": 2, "id": 5}')
    output = io.BytesIO()
    assert serve(requests, output) == 1
    (line,) = output.getvalue().splitlines()
    assert decode_event(line) == Refusal("protocol 2 is not spoken here; this is 1", fatal=True, id=5)


@pytest.mark.slow
def test_the_child_ends_with_its_front_end_and_keeps_nothing_unfinished(db: str) -> None:
    code = (
        "import os, sys, signal\nfrom arena.session_client import Session\nsession = Session()\n"
        f"session.open({db!r}, 'connect_four', [{ANN!r}, 'random'])\nsession.act(0, action=3)\n"
        "print(session.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))
    with Store(db, create=False) as store:
        assert store.episodes() == []
        assert store.check() == []


@pytest.mark.slow
async def test_the_childs_death_is_told_and_ctrl_c_does_not_kill_it(db: str) -> None:
    session = await GameSession.start()
    session.begin("turns")
    request = {"do": "open", "db": db, "game": "tic_tac_toe", "seats": [ANN, "random"]}
    number = session.send(request)
    event = await anext(session)
    assert isinstance(event, Position)
    assert event.id == number
    os.kill(session.pid, signal.SIGINT)
    session.send(request)
    assert isinstance(await anext(session), Position)
    os.kill(session.pid, signal.SIGKILL)
    with pytest.raises(SessionDied, match="killed by signal 9"):
        await anext(session)
    session.send(request)
    await session.close()
