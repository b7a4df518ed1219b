"""The torch-free end of a process that answers with language models: what front ends ask, and what comes back.

A request is a line of JSON: `{"do": "answer", "db", "prompt", "models", "tokens", "temperature", "seed", "id"}` is
answered by an `answer` per model as it comes and then `done`; `{"do": "look", "db", "prompt", "model", "reference",
"reward_model", "tokens", "id"}` by a `look` and `done`; whatever cannot be done by an `error`, which ends it too.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arena.child import AsyncChild, SessionDied
from arena.records_lens import Look
from envs.errors import ArenaError


@dataclass(frozen=True)
class Answer:
    """What a model says to the prompt; `ended`: it came to an end by itself."""

    model: str
    text: str
    ended: bool


@dataclass(frozen=True)
class Reply:
    """One message of the child about request `id`: with something, with the reason for nothing, or the end of it."""

    id: int | None
    what: Answer | Look | None = None
    problem: str = ""

    @property
    def last(self) -> bool:
        """Whether nothing more comes to this request."""
        return self.what is None


class TextSession(AsyncChild[Reply]):
    """The process, asked one thing at a time."""

    command = (sys.executable, "-m", "arena.text_session")
    what = "language model"

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process)
        self._turn = asyncio.Lock()

    def decode(self, line: bytes) -> Reply:
        return decode_reply(line)

    async def answers(
        self, db: str, prompt: str, models: Sequence[str], tokens: int = 64, temperature: float = 0.0, seed: int = 0
    ) -> AsyncIterator[Answer]:
        """What each model says, as it comes; at temperature 0 the likeliest token each time.

        Raises ArenaError where one cannot answer, SessionDied where the process ended.
        """
        request = {"prompt": prompt, "models": list(models), "tokens": tokens, "temperature": temperature, "seed": seed}
        async for what in self._ask({"do": "answer", "db": db, **request}):
            if isinstance(what, Answer):
                yield what

    async def look(
        self, db: str, prompt: str, model: str, reference: str, reward_model: str | None, tokens: int = 64
    ) -> Look:
        """`model`'s answer under the lens. Raises as `answers`."""
        request = {"prompt": prompt, "model": model, "reference": reference, "reward_model": reward_model}
        async for what in self._ask({"do": "look", "db": db, "tokens": tokens, **request}):
            if isinstance(what, Look):
                return what
        raise SessionDied("the language model's process sent no look")

    async def _ask(self, request: Mapping[str, Any]) -> AsyncIterator[Answer | Look]:
        async with self._turn:
            number = self.send(request)
            async for reply in self:
                if reply.id != number:
                    continue  # to a question whose asker has gone
                if reply.problem:
                    raise ArenaError(reply.problem)
                if reply.what is None:
                    return
                yield reply.what


def decode_reply(line: bytes) -> Reply:
    """A line from the child. Raises SessionDied for anything else: the child cannot be trusted."""
    try:
        data = json.loads(line)
        number = data.get("id")
        match data["event"]:
            case "answer":
                return Reply(number, Answer(str(data["model"]), str(data["text"]), bool(data["ended"])))
            case "look":
                return Reply(number, Look.from_json(data["look"]))
            case "done":
                return Reply(number)
            case "error":
                return Reply(number, problem=str(data["message"]) or "it cannot be done")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SessionDied(
            f"the language model's process sent a line that is no reply ({type(error).__name__})"
        ) from error
    raise SessionDied(f"the language model's process sent an unknown event {data['event']!r}")
