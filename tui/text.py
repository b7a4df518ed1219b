"""Text as the screens show it: what is stored is never markup and never a control character."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from textual.content import Content

if TYPE_CHECKING:
    from arena.records import AgentKind

KINDS: dict[str, str] = {
    "checkpoint": "trained",
    "scripted": "script",
    "solver": "solver",
    "engine": "engine",
    "human": "person",
}
MAX_SHOWN = 20_000
"""Characters of one text that a screen shows: nobody reads more, and laying out 100,000 would take a second."""
MAX_MARKS = 4


def inert(text: str) -> str:
    """`text` with control and other unprintable characters made visible (as \\x1b)."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def inert_block(text: str, limit: int = MAX_SHOWN) -> Content:
    """Text of many lines: line breaks stay, all else that is not printable is made visible and set off.

    Escape sequences, control characters, changes of direction and invisible characters show as \\x1b, \\u202e …, tabs
    as →, piles of combining marks are cut. Of a longer text the first `limit` are shown, and how many more there are.
    """
    parts: list[str | tuple[str, str]] = []
    shown = text[:limit].replace("\r\n", "\n")
    for plain, run in groupby(shown, lambda c: c == "\n" or c.isprintable()):
        characters = "".join(run)
        if plain:
            parts.append(characters if characters.isascii() else _flat(characters))
        else:
            parts += [("→   ", "$text-muted") if c == "\t" else (repr(c)[1:-1], "$warning") for c in characters]
    if not text:
        parts.append(("(empty)", "$text-muted"))
    if len(text) > limit:
        parts.append((f"\n… and {len(text) - limit:,} characters more", "$warning"))
    return Content.assemble(*parts)


def _flat(text: str) -> str:
    """`text` with at most `MAX_MARKS` combining marks on one character."""
    kept, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def shorten(text: str, width: int) -> str:
    """`text`, inert, in at most `width` characters; of RUN@STEP the step is kept, which tells one from another."""
    text = inert(text)
    if len(text) <= width:
        return text
    head, at, step = text.rpartition("@")
    room = width - len(at + step) - 1
    return f"{head[:room]}…{at}{step}" if at and room > 2 else text[: width - 1] + "…"


def versus(names: Sequence[str], width: int) -> str:
    """Who plays, in at most `width` characters: each name has its share, and what shorter ones leave."""
    room = width - 3 * (len(names) - 1)
    shown: dict[int, str] = {}
    for left, (seat, name) in enumerate(sorted(enumerate(names), key=lambda one: len(one[1]))):
        shown[seat] = shorten(name, max(1, room // (len(names) - left)))
        room -= len(shown[seat])
    return " – ".join(shown[seat] for seat in range(len(names)))


def winner_name(names: Sequence[str], seat: int) -> str:
    """Who won: the name, or the seat where one name holds several."""
    return f"seat {seat + 1}" if names.count(names[seat]) > 1 else inert(names[seat])


def natural(text: str) -> tuple[bool, int, str]:
    """A key that sorts numbers by size, before words."""
    return (False, int(text), "") if text.isascii() and text.isdigit() else (True, 0, text)


def kind_name(kind: AgentKind) -> str:
    """An agent's kind in a word of at most seven letters."""
    return KINDS.get(kind, kind)


def rating(elo: float, low: float, high: float) -> str:
    """Elo with half the width of its interval."""
    return f"{elo:.0f} ±{(high - low) / 2:.0f}" if high > low else f"{elo:.0f}"


def share(score: float | None) -> str:
    """A share of points as a percentage."""
    return "–" if score is None else f"{100 * score:.0f}%"


def clock(seconds: float) -> str:
    """A time to come, roughly: 40 s, 12 min, 3 h 05."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d}"
