"""Language models in a process of their own: loaded once, asked in lines of JSON (`arena.text_client` has the form)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from arena.child import MAX_LINE, encode
from arena.feedback_lens import look_inside
from arena.session_pipe import take_stdout
from arena.store import Store
from arena.text_models import Shelf, complete
from envs.errors import ArenaError, UsageError

MAX_TOKENS = 1024


class TextServer:
    """Answers requests about the models of any Store."""

    def __init__(self) -> None:
        self._shelf = Shelf()

    def handle(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The events that answer a request, in order. Raises ArenaError where it cannot be done."""
        does = {"answer": self._answer, "look": self._look}
        act = does.get(str(request.get("do")))
        if act is None:
            raise UsageError(f"unknown request {request.get('do')!r}")
        with Store(Path(_text(request, "db")), create=False) as store:
            yield from act(store, request)
        yield {"event": "done"}

    def _answer(self, store: Store, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        prompt, tokens = _text(request, "prompt"), _count(request)
        temperature, seed = float(request.get("temperature", 0.0)), int(request.get("seed", 0))
        for name in request["models"]:
            found = complete(
                self._shelf.text(store, str(name)), [prompt], tokens,
                temperature=temperature or 1.0, seed=seed, greedy=temperature == 0,
            )  # fmt: skip
            yield {"event": "answer", "model": str(name), "text": found[0][0], "ended": found[0][1]}

    def _look(self, store: Store, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        names = _text(request, "model"), _text(request, "reference")
        judge = request.get("reward_model")
        judge = None if judge is None else str(judge)
        found = look_inside(store, _text(request, "prompt"), *names, judge, _count(request), shelf=self._shelf)
        yield {"event": "look", "look": dataclasses.asdict(found)}


def _text(request: Mapping[str, Any], key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str):
        raise UsageError(f"a request needs {key} as text")
    return value


def _count(request: Mapping[str, Any]) -> int:
    tokens = int(request.get("tokens", 64))
    if not 1 <= tokens <= MAX_TOKENS:
        raise UsageError(f"an answer has 1 to {MAX_TOKENS} tokens, not {tokens}")
    return tokens


def serve(requests: BinaryIO, output: BinaryIO) -> None:
    """Answer line after line until there are no more or one asks to close."""
    server = TextServer()
    while line := requests.readline(MAX_LINE + 1):
        number: Any = None
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise UsageError("a request is a JSON object")
            number = request.get("id")
            if request.get("do") == "close":
                return
            for event in server.handle(request):
                output.write(encode({**event, "id": number}))
                output.flush()
        except ArenaError as error:
            problem = str(error)
        except Exception as error:  # whatever a model or a library does, the next question may be answered
            problem = f"{type(error).__name__}: {error}"
        else:
            continue
        output.write(encode({"event": "error", "message": problem, "id": number}))
        output.flush()


def main() -> None:
    """Serve stdin and stdout."""
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    output = take_stdout()
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, output)


if __name__ == "__main__":
    main()
