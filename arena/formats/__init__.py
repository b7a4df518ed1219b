"""The forms in which recorded games leave Arena and come in: a module each. Importing this imports no torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from arena.records import Episode
from envs.errors import UnknownNameError, UsageError


class Recorded(NamedTuple):
    """An episode and who played it, by seat."""

    episode: Episode
    names: Sequence[str]


Writer = Callable[[Sequence[Recorded]], bytes]
"""Raises UsageError for games that cannot be said in its form, ArenaError for records that cannot be played."""


class Format(NamedTuple):
    """A form of recorded games.

    Attributes:
        write: "module:function" of a `Writer`.
        suffix: of its files.
        summary: what it is, in a few words.
        binary: nothing for a terminal.
    """

    write: str
    suffix: str
    summary: str
    binary: bool = False


FORMATS: dict[str, Format] = {
    "text": Format("arena.formats.text:write", ".txt", "players, moves, last position, outcome"),
}


def find_format(name: str | None, out: Path | None = None) -> str:
    """The name of a format: as typed, else the one that `out`'s ending names, else text. Raises UnknownNameError."""
    if name is not None:
        if name not in FORMATS:
            raise UnknownNameError("format", name, FORMATS)
        return name
    suffix = "" if out is None else out.suffix.lower()
    return next((known for known, form in FORMATS.items() if form.suffix == suffix), "text")


def write(name: str, games: Sequence[Recorded]) -> bytes:
    """The games in this format."""
    if not games:
        raise UsageError("there is no game to write")
    module, _, function = FORMATS[name].write.partition(":")
    writer: Writer = getattr(importlib.import_module(module), function)
    return writer(games)
