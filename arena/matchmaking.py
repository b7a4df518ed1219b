"""Who plays whom, as pure functions.

Draws of opponents have the signature `(num_policies, count, rng) → count indexes`, index 0 the oldest policy and
`num_policies - 1` the latest; options are bound with `functools.partial` before they are handed to a learner. No
policies to draw from, or options out of range: ValueError.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Curve = Literal["squared", "linear", "variance"]
Role = Literal["main", "main-exploiter", "league-exploiter"]
LeagueDraw = Literal["role", "pfsp", "uniform", "latest"]
Floats = Sequence[float] | NDArray[np.float64]
Draw = Callable[[int, int, np.random.Generator], list[int]]


def latest(num_policies: int, count: int, rng: np.random.Generator) -> list[int]:
    """Always the latest policy: plain self-play."""
    _require(num_policies)
    return [num_policies - 1] * count


def uniform(num_policies: int, count: int, rng: np.random.Generator) -> list[int]:
    """Any policy alike: fictitious play."""
    _require(num_policies)
    return rng.integers(num_policies, size=count).tolist()


def uniform_window(num_policies: int, count: int, rng: np.random.Generator, *, delta: float) -> list[int]:
    """Any from δ·v on, v the latest: δ = 0 the whole history, δ = 1 the latest only (Bansal et al. 2018)."""
    _require(num_policies)
    if not 0 <= delta <= 1:
        raise ValueError(f"delta={delta} must be between 0 and 1")
    return rng.integers(int(np.ceil(delta * (num_policies - 1))), num_policies, size=count).tolist()


def mix(num_policies: int, count: int, rng: np.random.Generator, *, latest_share: float) -> list[int]:
    """The latest with probability `latest_share`, else any alike."""
    if not 0 <= latest_share <= 1:
        raise ValueError(f"latest_share={latest_share} must be between 0 and 1")
    past = np.asarray(uniform(num_policies, count, rng), dtype=np.int64)
    return np.where(rng.random(count) < latest_share, num_policies - 1, past).tolist()


def pfsp(
    num_policies: int,
    count: int,
    rng: np.random.Generator,
    *,
    points: Sequence[float],
    games: Sequence[float],
    curve: Curve = "squared",
) -> list[int]:
    """Prioritised fictitious self-play (Vinyals et al. 2019): opponent i with probability ∝ the expectation of f(x_i).

    x_i is the learner's win rate against it, of which its results tell a posterior: Beta(½ + points, ½ + games −
    points), so that an opponent met twice is not yet taken for easy. f(x) is (1 − x)² for "squared" (the hardest
    first), 1 − x for "linear", x (1 − x) for "variance" (equals first).

    Args:
        points: the learner's against each policy, a draw ½. games: played against each; 0 for one never met.
    """
    _require(num_policies)
    if not len(points) == len(games) == num_policies:
        raise ValueError(f"results against {len(points)} and {len(games)} policies for {num_policies}")
    weights = pfsp_weights(points, games, curve)
    return rng.choice(num_policies, size=count, p=weights / weights.sum()).tolist()


def pfsp_weights(points: Floats, games: Floats, curve: Curve = "squared") -> NDArray[np.float64]:
    """[P] the expectation of f(x) under the posterior of each win rate; `pfsp` says what f is."""
    won, met = np.asarray(points, dtype=np.float64), np.asarray(games, dtype=np.float64)
    if won.shape != met.shape:
        raise ValueError(f"results against {len(won)} and {len(met)} policies")
    if not ((won >= 0) & (won <= met)).all():
        raise ValueError("points lie between 0 and the number of games")
    a, b = won + 0.5, met - won + 0.5
    total = a + b
    curves = {
        "squared": b * (b + 1) / (total * (total + 1)),
        "linear": b / total,
        "variance": a * b / (total * (total + 1)),
    }
    return np.asarray(curves[curve])


def likely_score(points: float, games: float) -> float:
    """The mean of the posterior of a win rate: ½ where nothing is known."""
    return (points + 0.5) / (games + 1)


class Seated(NamedTuple):
    """Somebody whom a league's learner may train against: a frozen player, or the newest agent of another learner.

    Attributes:
        role, member: of the learner that left it.
        frozen: whether it has joined the frozen players. newest: whether it is its learner's newest agent.
    """

    role: Role
    member: int
    frozen: bool
    newest: bool


@dataclass(frozen=True)
class Mix:
    """Whom a learner trains against: `self_play` of its games against itself, `weights` [P] of them against others.

    They add up to 1.
    """

    self_play: float
    weights: tuple[float, ...]


SELF, PAST, HARD = 0.35, 0.5, 0.15
"""A main agent's shares: against itself, against all frozen players, against those it cannot beat (any more)."""
CURRICULUM = 0.2
"""While a main exploiter scores less against a main agent, half of its games are against that one's earlier selves."""


def league_mix(
    role: Role,
    players: Sequence[Seated],
    points: Floats,
    games: Floats,
    draw: LeagueDraw = "role",
) -> Mix:
    """Whom a learner of this role trains against in its next phase.

    With `draw` "role" as in AlphaStar (Vinyals et al. 2019, Methods, "Multi-agent learning"; docs/plans/league.md has
    our deviations); else a main agent's share of self-play, and for the rest PFSP over all frozen players ("pfsp"), any
    of them alike ("uniform"), or the other learners' newest agents ("latest"). Where there is nobody: self-play.

    Args:
        players: all that there are, the learner's own frozen copies among them.
        points, games: [P] the learner's against each of them.
    """
    won, met = np.asarray(points, dtype=np.float64), np.asarray(games, dtype=np.float64)
    if not len(won) == len(met) == len(players):
        raise ValueError(f"{len(won)} and {len(met)} results against {len(players)} players")
    frozen = np.array([player.frozen for player in players], dtype=bool)
    newest = np.array([player.newest for player in players], dtype=bool)
    if draw == "latest":
        return _mix(SELF, (1 - SELF, _share(newest)))
    if draw == "uniform":
        return _mix(SELF, (1 - SELF, _share(frozen)))
    hardest = _share(frozen, pfsp_weights(won, met))
    if draw == "pfsp":
        return _mix(SELF, (1 - SELF, hardest))
    if role == "main":
        lost = np.array([likely_score(*pair) < 0.5 for pair in zip(won, met, strict=True)], dtype=bool)
        feared = np.array([player.role != "league-exploiter" for player in players], dtype=bool) & lost & frozen
        return _mix(SELF, (PAST, hardest), (HARD, _share(feared, pfsp_weights(won, met))))
    if role == "league-exploiter":
        return _mix(0.0, (1.0, _share(frozen, pfsp_weights(won, met, "linear"))))
    mains = sorted({player.member for player in players if player.role == "main"})
    parts = []
    for main in mains:
        its = np.array([player.member == main and player.role == "main" for player in players], dtype=bool)
        current, past = its & newest, its & frozen & ~newest
        too_hard = likely_score(float(won[current].sum()), float(met[current].sum())) < CURRICULUM
        half = 0.5 if too_hard and past.any() and current.any() else float(not current.any())
        parts.append(((1 - half) / len(mains), _share(current)))
        parts.append((half / len(mains), _share(past, pfsp_weights(won, met, "variance"))))
    return _mix(0.0, *parts)


def _share(chosen: NDArray[np.bool_], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """[P] weights of the chosen ones, adding up to 1; all 0 where none is chosen."""
    kept = np.where(chosen, 1.0 if weights is None else weights, 0.0)
    return np.asarray(kept / kept.sum() if kept.any() else kept, dtype=np.float64)


def _mix(self_play: float, *parts: tuple[float, NDArray[np.float64]]) -> Mix:
    """Parts of all games with their distributions; the share of a part with nobody in it is self-play's."""
    total = sum((share * weights for share, weights in parts), np.zeros(len(parts[0][1]) if parts else 0))
    empty = sum(share for share, weights in parts if not weights.any())
    return Mix(float(self_play + empty) if parts else 1.0, tuple(total.tolist()))


def spread(weights: Sequence[float], count: int, rng: np.random.Generator) -> list[int]:
    """`count` indexes, in which each stands as often as its share of the weights says, but for rounding.

    Systematic sampling: equally spaced points on the cumulative weights, begun at random. So few blocks of opponents
    follow a distribution better than independent draws would.
    """
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    if not len(edges) or not edges[-1] > 0:
        raise ValueError("there is nobody to draw from")
    points = (rng.random() + np.arange(count)) / count * edges[-1]
    return np.minimum(np.searchsorted(edges, points, side="right"), np.flatnonzero(weights)[-1]).tolist()


def in_order(num_policies: int, count: int, rng: np.random.Generator) -> list[int]:
    """The first `count` policies, one a block: for opponents that have been drawn already; over again if too few."""
    _require(num_policies)
    return [index % num_policies for index in range(count)]


POOL_DRAWS: dict[str, Draw] = {
    "latest": latest,
    "window": functools.partial(uniform_window, delta=0.5),
    "mostly-latest": functools.partial(mix, latest_share=0.8),
}
"""What a learner's setting `pool_draw` may be beside "uniform", by whom it is drawn from the pool of snapshots."""


def round_robin(names: Sequence[str]) -> list[tuple[str, str]]:
    """Every pair once, in rounds in which nobody plays twice (circle method); of an odd number one rests each round."""
    if len(set(names)) != len(names):
        raise ValueError("a name stands twice in the round robin")
    circle: list[str | None] = [*names, None] if len(names) % 2 else [*names]
    pairs = []
    for turn in range(len(circle) - 1):
        others = circle[1:]
        order = [circle[0], *others[turn:], *others[:turn]]
        for a, b in itertools.islice(zip(order, reversed(order), strict=True), len(order) // 2):
            if a is not None and b is not None:
                pairs.append((a, b))
    return pairs


def _require(num_policies: int) -> None:
    if num_policies < 1:
        raise ValueError("there is no policy to draw from")
