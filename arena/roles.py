"""What becomes of a league's newest agents: whether they join the frozen players, and who begins anew. Pure.

As in AlphaStar (Vinyals et al. 2019, Methods, "Multi-agent learning"), where main agents are copied after a while and
exploiters as soon as they beat whom they are for, or after a while; docs/plans/league.md has our deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from arena.league_config import Gate
from arena.matchmaking import Role, likely_score
from arena.sprt import Decision


class Met(NamedTuple):
    """What a newest agent has done against another in this round.

    Attributes:
        role: the other's. newest, frozen: whether it is its learner's newest agent, and a frozen player.
    """

    agent: int
    role: Role
    newest: bool
    frozen: bool
    points: float
    games: float


@dataclass(frozen=True)
class Verdict:
    """Whether the agent joins, and why; with the lowest score that counted, and against whom."""

    joins: bool
    why: str
    score: float | None = None
    against: int | None = None


def hardest(role: Role, met: Sequence[Met]) -> Met | None:
    """Whom it did worst against among those that its role must beat: main exploiters the newest mains, others the
    frozen players."""
    if role == "main-exploiter":
        due = [other for other in met if other.role == "main" and other.newest]
    else:
        due = [other for other in met if other.frozen]
    return min(due, key=lambda other: (likely_score(other.points, other.games), other.agent), default=None)


def judge(role: Role, gate: Gate, waited: int, met: Sequence[Met], decision: Decision | None = None) -> Verdict:
    """Whether a newest agent joins the frozen players.

    Args:
        waited: rounds since its learner's last copy, this one counted.
        decision: of the sequential test; None: none was played, or it did not decide.
    """
    worst = hardest(role, met)
    score = None if worst is None else likely_score(worst.points, worst.games)
    against = None if worst is None else worst.agent
    if gate.kind == "always":
        return Verdict(True, "always", score, against)
    if worst is None:
        return Verdict(True, "nobody to beat", score, against)
    if gate.kind == "rule" and score is not None and score >= gate.score:
        return Verdict(True, f"scores at least {score:.2f} against each", score, against)
    if gate.kind == "sprt" and decision == "elo1":
        return Verdict(True, f"{gate.elo1:g} Elo better rather than {gate.elo0:g}", score, against)
    if waited >= gate.patience:
        return Verdict(True, f"{waited} rounds without a copy", score, against)
    return Verdict(False, "not yet", score, against)


def begins_anew(role: Role, joins: bool, draw: float, reset: float) -> bool:
    """Whether a learner starts again after the round; `draw` is uniform in [0, 1)."""
    return joins and (role == "main-exploiter" or (role == "league-exploiter" and draw < reset))
