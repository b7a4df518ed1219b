"""The forms in which recorded games leave Arena and come in: a module each. Importing this imports no torch."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from arena.records import Episode
from envs.errors import UnknownNameError, UsageError


class Recorded(NamedTuple):
    """An episode and who played it, by seat."""

    episode: Episode
    names: Sequence[str]


class Played(NamedTuple):
    """A game as a file tells it, not yet checked by the game itself.

    Attributes:
        game: the canonical variant. names: by seat, as the file has them, "" where it has none.
        actions, places: every action, and where in the file it stands, in words for an error.
        scores: by seat what the file says came of it; None where it does not say.
    """

    game: str
    names: tuple[str, ...]
    actions: list[int]
    places: list[str]
    scores: tuple[float, ...] | None


Writer = Callable[[Sequence[Recorded]], bytes]
"""Raises UsageError for games that cannot be said in its form, ArenaError for records that cannot be played."""


Reader = Callable[[bytes, str | None], list[Played]]
"""(a file's bytes, the variant to take its games for, None: the file's) → its games; ArenaError names what is wrong."""


class Format(NamedTuple):
    """A form of recorded games.

    Attributes:
        write, read: "module:function" of a `Writer` and, where it can be read, of a `Reader`.
        suffix: of its files.
        summary: what it is, in a few words.
        binary: nothing for a terminal.
    """

    write: str
    suffix: str
    summary: str
    binary: bool = False
    read: str | None = None


FORMATS: dict[str, Format] = {
    "text": Format("arena.formats.text:write", ".txt", "players, moves, last position, outcome"),
    "gif": Format("arena.formats.gif:write", ".gif", "one game as a moving picture", binary=True),
    "asciicast": Format("arena.formats.asciicast:write", ".cast", "one game as a terminal recording"),
    "pgn": Format("arena.formats.pgn:write", ".pgn", "chess games", read="arena.formats.pgn:read"),
    "sgf": Format("arena.formats.sgf:write", ".sgf", "go games", read="arena.formats.sgf:read"),
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
    writer: Writer = _load(FORMATS[name].write)
    return writer(games)


def read(name: str, data: bytes, game: str | None = None) -> list[Played]:
    """The games of a file in this format. Raises UsageError where that format cannot be read, ArenaError."""
    reader = FORMATS[name].read
    if reader is None:
        known = ", ".join(known for known, form in FORMATS.items() if form.read)
        raise UsageError(f"{name} is for people to read; files that can be taken in: {known}")
    found: list[Played] = _load(reader)(data, game)
    if not found:
        raise UsageError(f"there is no game in the file, which is read as {name}")
    return found


def _load(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)
