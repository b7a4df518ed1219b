"""Who plays whom, as pure functions.

Draws of opponents have the signature `(num_policies, count, rng) → count indexes`, index 0 the oldest policy and
`num_policies - 1` the latest; options are bound with `functools.partial` before they are handed to a learner. No
policies to draw from, or options out of range: ValueError.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Curve = Literal["squared", "linear", "variance"]
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
    won, met = np.asarray(points, dtype=np.float64), np.asarray(games, dtype=np.float64)
    if won.shape != (num_policies,) or met.shape != (num_policies,):
        raise ValueError(f"results against {len(won)} and {len(met)} policies for {num_policies}")
    if not ((won >= 0) & (won <= met)).all():
        raise ValueError("points lie between 0 and the number of games")
    a, b = won + 0.5, met - won + 0.5
    total = a + b
    weights = {
        "squared": b * (b + 1) / (total * (total + 1)),
        "linear": b / total,
        "variance": a * b / (total * (total + 1)),
    }[curve]
    return rng.choice(num_policies, size=count, p=weights / weights.sum()).tolist()


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
