"""Language models in a process of their own: what is asked is answered as by the functions; garbage does no harm."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.transformer import TextModel, model_files
from arena.child import SessionDied
from arena.feedback_lens import look_inside
from arena.store import Store
from arena.text_client import Answer, TextSession, decode_reply
from arena.text_models import Shelf, answer
from arena.text_session import serve
from envs.errors import ArenaError, UsageError

Tiny = Callable[[int], TextModel]
PROMPT = "one two"


@pytest.fixture
def db(tmp_path: Path, tiny_model: Tiny) -> Path:
    path = tmp_path / "league.db"
    with Store(path) as store:
        for seed, name in enumerate(("sft", "ppo")):
            store.add_text_model(name, "sft" if name == "sft" else "rlhf", model_files(tiny_model(seed)))
    return path


def ask(*requests: object) -> list[dict[str, Any]]:
    lines = b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in requests)
    output = io.BytesIO()
    serve(io.BytesIO(lines), output)
    return [json.loads(line) for line in output.getvalue().splitlines()]


@pytest.mark.slow
def test_answers_and_looks_are_those_of_the_functions(db: Path) -> None:
    wanted = {"db": str(db), "prompt": PROMPT, "tokens": 6}
    replies = ask(
        {"do": "answer", **wanted, "models": ["sft", "ppo"], "id": 1},
        {"do": "answer", **wanted, "models": ["ppo"], "temperature": 0.9, "seed": 3, "id": 2},
        {"do": "look", **wanted, "model": "ppo", "reference": "sft", "reward_model": None, "id": 3},
    )
    assert [(r["event"], r["id"]) for r in replies] == [
        ("answer", 1), ("answer", 1), ("done", 1), ("answer", 2), ("done", 2), ("look", 3), ("done", 3),
    ]  # fmt: skip
    with Store(db) as store:
        assert [r["text"] for r in replies[:2]] == [answer(store, name, PROMPT, 6) for name in ("sft", "ppo")]
        assert replies[3]["text"] == answer(store, "ppo", PROMPT, 6, 0.9, 3)
        look = look_inside(store, PROMPT, "ppo", "sft", None, 6)
    assert decode_reply(json.dumps(replies[5]).encode()).what == look


def test_what_cannot_be_done_is_told_and_the_next_is_answered(db: Path) -> None:
    wanted = {"db": str(db), "prompt": PROMPT, "models": ["sft"]}
    replies = ask(
        b"no json",
        b"[1]",
        {"do": "dance", **wanted, "id": 1},
        {"do": "answer", **wanted, "models": ["sftt"], "id": 2},
        {"do": "answer", **wanted, "tokens": 10**9, "id": 3},
        {"do": "answer", "db": str(db), "models": ["sft"], "id": 4},
        {"do": "look", **wanted, "model": "ppo", "reference": "sft", "reward_model": "sft", "tokens": 4, "id": 5},
        {"do": "answer", **wanted, "tokens": 4, "id": 6},
        {"do": "close"},
        {"do": "answer", **wanted, "tokens": 4, "id": 7},
    )
    assert [r["event"] for r in replies] == ["error"] * 7 + ["answer", "done"]
    problems = [r["message"] for r in replies[2:7]]
    for problem, word in zip(problems, ("dance", "did you mean sft", "1 to 1024", "prompt", "no reward"), strict=True):
        assert word in problem


def test_a_shelf_loads_once_and_keeps_no_more_than_it_has_room_for(db: Path) -> None:
    shelf = Shelf(room=1)
    with Store(db) as store:
        sft = shelf.text(store, "sft")
        assert shelf.text(store, "sft") is sft
        assert shelf.text(store, "ppo") is not sft
        assert shelf.text(store, "sft") is not sft
        with pytest.raises(UsageError, match="no reward model"):
            shelf.reward(store, "sft")


@pytest.mark.parametrize(
    "line", [b"hello", b"[]", b'{"event": "answer"}', b'{"event": "dance"}', b'{"event": "look", "look": {}}']
)
def test_what_is_no_reply_means_that_the_child_is_broken(line: bytes) -> None:
    with pytest.raises(SessionDied):
        decode_reply(line)


async def test_replies_to_those_who_have_gone_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    says = [{"event": "answer", "model": "old", "text": "x", "ended": True, "id": 7}, {"event": "done", "id": 7}]
    says += [{"event": "answer", "model": "new", "text": "[b]", "ended": False, "id": 1}, {"event": "done", "id": 1}]
    says += [{"event": "error", "message": "no such model", "id": 2}]
    text = "".join(json.dumps(one) + "\n" for one in says)
    code = f"import sys; sys.stdin.readline(); print({text!r}, end='', flush=True); sys.stdin.readline()"
    monkeypatch.setattr(TextSession, "command", (sys.executable, "-c", code))
    session = await TextSession.start()
    assert [one async for one in session.answers("db", PROMPT, ["new"])] == [Answer("new", "[b]", False)]
    with pytest.raises(ArenaError, match="no such model"):
        await session.look("db", PROMPT, "a", "b", None)
    with pytest.raises(SessionDied, match="language model's process ended"):
        await session.look("db", PROMPT, "a", "b", None)
    await session.close()


@pytest.mark.slow
async def test_the_real_process(db: Path) -> None:
    session = await TextSession.start()
    found = [one.text async for one in session.answers(str(db), PROMPT, ["sft", "ppo"], 6)]
    with Store(db) as store:
        assert found == [answer(store, name, PROMPT, 6) for name in ("sft", "ppo")]
    await session.close()
    assert not session.alive
