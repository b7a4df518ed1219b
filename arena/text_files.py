"""Demonstrations and prompts from a person's files: checked line by line before anything is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from arena.store_rows import valid_text
from envs.errors import ArenaError, UsageError

MAX_LINE_BYTES = 2**20
MAX_LINES = 1_000_000


def read_demonstrations(path: Path) -> list[tuple[str, str]]:
    """(prompt, response) of every line of a JSONL file; `completion` will do for `response`.

    Raises ArenaError with the number of the first line that is none.
    """
    found = []
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise ArenaError(f"{path}, line {number}: no JSON") from None
        values = [row.get("prompt"), row.get("response", row.get("completion"))] if isinstance(row, dict) else [None]
        if not all(isinstance(value, str) for value in values):
            raise ArenaError(f'{path}, line {number}: a demonstration is {{"prompt": "…", "response": "…"}}')
        try:
            prompt, response = (valid_text(str(value), what) for value, what in zip(values, _FIELDS, strict=True))
        except ArenaError as error:
            raise ArenaError(f"{path}, line {number}: {error}") from None
        found.append((prompt, response))
    if not found:
        raise UsageError(f"{path} has no demonstrations")
    return found


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty; ArenaError with the number of the first that will not do."""
    found = []
    for number, line in _lines(path):
        try:
            found.append(valid_text(line, "prompt"))
        except ArenaError as error:
            raise ArenaError(f"{path}, line {number}: {error}") from None
    if not found:
        raise UsageError(f"{path} has no prompts")
    return found


_FIELDS = ("prompt", "response")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as file:
            for number in range(1, MAX_LINES + 1):
                data = file.readline(MAX_LINE_BYTES + 1)
                if not data:
                    return
                if len(data) > MAX_LINE_BYTES:
                    raise ArenaError(f"{path}, line {number}: longer than {MAX_LINE_BYTES // 2**20} MiB")
                try:
                    text = data.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    raise ArenaError(f"{path}, line {number}: no UTF-8 ({error.reason})") from None
                if text:
                    yield number, text
            raise ArenaError(f"{path}: more than {MAX_LINES:,} lines")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
