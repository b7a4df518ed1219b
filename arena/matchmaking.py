"""Who plays whom, as pure functions.

Draws of opponents have the signature `(num_policies, count, rng) → count indexes`, index 0 the oldest policy and
`num_policies - 1` the latest; options are bound with `functools.partial` before they are handed to a learner. No
policies to draw from, or options out of range: ValueError.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Curve = Literal["hard", "linear", "even"]
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
    num_policies: int, count: int, rng: np.random.Generator, *, win_rates: Sequence[float], curve: Curve = "hard"
) -> list[int]:
    """Prioritised fictitious self-play (Vinyals et al. 2019): opponent i with probability ∝ f(x_i), x_i being the
    learner's win rate against it; f(x) is (1 − x)² for "hard", 1 − x for "linear", x (1 − x) for "even".

    Args:
        win_rates: one per policy; a missing one (NaN) counts as ½. Where every f is 0 all are drawn alike.
    """
    _require(num_policies)
    x = np.asarray(win_rates, dtype=np.float64)
    if x.shape != (num_policies,):
        raise ValueError(f"{len(x)} win rates for {num_policies} policies")
    x = np.where(np.isnan(x), 0.5, x)
    if ((x < 0) | (x > 1)).any():
        raise ValueError("win rates lie between 0 and 1")
    weights = {"hard": (1 - x) ** 2, "linear": 1 - x, "even": x * (1 - x)}[curve]
    total = weights.sum()
    return rng.choice(num_policies, size=count, p=weights / total if total > 0 else None).tolist()


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
