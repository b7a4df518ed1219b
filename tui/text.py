"""Text as the screens show it: what is stored is never markup and never a control character."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arena.records import AgentKind

KINDS: dict[str, str] = {
    "checkpoint": "trained",
    "scripted": "script",
    "solver": "solver",
    "engine": "engine",
    "human": "person",
}


def inert(text: str) -> str:
    """`text` with control and other unprintable characters made visible (as \\x1b)."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shorten(text: str, width: int) -> str:
    """`text`, inert, in at most `width` characters."""
    text = inert(text)
    return text if len(text) <= width else text[: width - 1] + "…"


def natural(text: str) -> tuple[bool, int, str]:
    """A key that sorts numbers by size, before words."""
    return (False, int(text), "") if text.isascii() and text.isdigit() else (True, 0, text)


def kind_name(kind: AgentKind) -> str:
    """An agent's kind in a word of at most seven letters."""
    return KINDS.get(kind, kind)


def rating(elo: float, low: float, high: float) -> str:
    """Elo with half the width of its interval."""
    return f"{elo:.0f} ±{(high - low) / 2:.0f}"


def share(score: float | None) -> str:
    """A share of points as a percentage."""
    return "–" if score is None else f"{100 * score:.0f}%"
