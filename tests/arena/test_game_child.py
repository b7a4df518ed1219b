"""One child for games of both kinds, one after another."""

from __future__ import annotations

import io
import json
import queue
from pathlib import Path
from typing import Any

import pytest

from arena import session_pipe
from arena.frames import FrameMemory
from arena.game_child import serve
from arena.game_client import GameSession
from arena.realtime_client import Done, SceneReader
from arena.session_client import Position

ANN = {"human": "Ann"}


def answers(memory: FrameMemory, *requests: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """The exit status and all that is answered until the requests are at their end."""
    lines: queue.Queue[bytes | None] = queue.Queue()
    for number, request in enumerate(requests, 1):
        lines.put(json.dumps({**request, "id": number}).encode())
    for _ in range(2):
        lines.put(None)
    output = io.BytesIO()
    status = serve(memory, lines, output)
    return status, [json.loads(line) for line in output.getvalue().splitlines()]


def test_games_of_both_kinds_one_after_another(tmp_path: Path) -> None:
    memory = FrameMemory.create()
    board = {"do": "open", "db": str(tmp_path / "l.db"), "game": "tic_tac_toe", "seats": [ANN, "random"], "seed": 1}
    ticking = board | {"game": "gridworld/tron"}
    turns, realtime, close = {"do": "begin", "kind": "turns"}, {"do": "begin", "kind": "realtime"}, {"do": "close"}
    requests = (turns, board, close, realtime, ticking, close, turns, board)
    status, said = answers(memory, *requests)
    assert status == 0
    assert [(answer["event"], answer["id"]) for answer in said] == [("position", 2), ("done", 5), ("position", 8)]
    scene = SceneReader(memory).newest()
    assert scene is not None
    assert scene.positions[0].game == "gridworld/tron"
    memory.close()


@pytest.mark.parametrize("request_", [{"do": "open"}, {"do": "begin", "kind": "chance"}, {}])
def test_without_a_kind_there_is_no_game(request_: dict[str, Any]) -> None:
    memory = FrameMemory.create()
    status, said = answers(memory, request_, {"do": "begin", "kind": "turns"}, {"do": "undo", "seat": 0})
    assert status == 0
    assert [(answer["event"], answer["fatal"], answer["id"]) for answer in said] == [
        ("error", False, 1),
        ("error", False, 3),
    ]
    assert answers(memory, {"do": "close"}, {}) == (0, [])
    memory.close()


def test_the_end_of_the_input_is_told_to_the_game_and_to_who_waits_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(session_pipe, "EXIT_SECONDS", 0.0)
    monkeypatch.setattr(session_pipe.os, "_exit", ended.append)
    lines: queue.Queue[bytes | None] = queue.Queue()
    for request in ({"do": "begin", "kind": "turns"}, {"do": "undo", "seat": 0}):
        lines.put(json.dumps(request).encode())
    session_pipe.queue_lines(io.BytesIO(), lines)
    memory, output = FrameMemory.create(), io.BytesIO()
    assert serve(memory, lines, output) == 0
    assert b"no game is being played" in output.getvalue()
    assert lines.empty()
    assert ended == [0]
    memory.close()


@pytest.mark.slow
@pytest.mark.parametrize("playing", [False, True])
async def test_the_process_plays_both_and_ends_when_it_is_asked_to(tmp_path: Path, playing: bool) -> None:
    session = await GameSession.start()
    request = {"do": "open", "db": str(tmp_path / "l.db"), "game": "tic_tac_toe", "seats": [ANN, "random"], "seed": 1}
    session.begin("turns")
    session.send(request)
    assert isinstance(await anext(session), Position)
    session.rest()
    session.begin("realtime")
    session.send(request | {"game": "gridworld/sumo", "seats": ["random", "random"]})
    assert isinstance(await anext(session), Done)
    scene = session.scenes.newest()
    assert scene is not None
    assert scene.positions[0].game == "gridworld/sumo"
    if not playing:
        session.rest()
    session._process.stdin.close()  # type: ignore[union-attr]  # as when the app is killed
    assert [event async for event in ended(session)] == []
    assert session._process.returncode == 0
    await session.close()


async def ended(session: GameSession) -> Any:
    """What comes until the child ends, which is no mistake here."""
    session._closing = True
    async for event in session:
        yield event
