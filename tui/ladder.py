"""Opponents by strength, and which of them is about your level. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arena.records import AgentKind
    from arena.standings import Standing

PASTIMES = ("random", "first-legal")
"""Nobody's level."""
EXACT = ("minimax", "perfect", "value-iteration")


@dataclass(frozen=True)
class Rung:
    """One opponent. elo: on this league's scale; None where nothing is known.

    known: rated in this league; else its Elo was measured in the round robin that the starters come with.
    """

    name: str
    kind: AgentKind
    elo: float | None
    known: bool = False
    standing: Standing | None = None


def ladder(
    standings: Sequence[Standing], others: Sequence[tuple[str, AgentKind]], measured: Mapping[str, float]
) -> list[Rung]:
    """All opponents, strongest first; exact players above all others, those of unknown strength below.

    `measured` Elo is moved onto this league's scale by what both tables say of the players that are in both.
    """
    rated = {row.agent: row for row in standings if row.connected}
    shifts = [row.elo - measured[name] for name, row in rated.items() if name in measured]
    shift = sum(shifts) / len(shifts) if shifts else 0.0
    names = {row.agent: row.kind for row in standings if row.kind != "human"} | dict(others)
    rungs = []
    for name, kind in names.items():
        row = rated.get(name)
        guess = measured[name] + shift if name in measured else None
        rungs.append(Rung(name, kind, row.elo if row else guess, row is not None, row))
    return sorted(rungs, key=lambda rung: (rung.name not in EXACT, rung.elo is None, -(rung.elo or 0.0)))


def about_your_level(rungs: Sequence[Rung], you: Standing | None) -> str | None:
    """The opponent whose strength is nearest to yours, the stronger of two; for a newcomer the weakest trained one."""
    able = [rung for rung in rungs if rung.elo is not None and rung.name not in PASTIMES]
    if not able:
        return None
    if you is None or not you.connected:
        trained = [rung for rung in able if rung.kind == "checkpoint"]
        return (trained or able)[-1].name
    level = you.elo
    return min(able, key=lambda rung: (abs((rung.elo or 0.0) - level), -(rung.elo or 0.0))).name
