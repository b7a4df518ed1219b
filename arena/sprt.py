"""The sequential probability ratio test of Elo differences, over pairs of games; pure.

A pair is one opening played from both sides, so its games are not independent: its sum is what counts, one of five
(0, ½, 1, 1½, 2 points: the pentanomial model). The log-likelihood ratio compares the most likely distributions of pairs
whose expected scores are those of `elo1` and `elo0` (generalised SPRT: Van den Bergh 2020, "A practical introduction to
the GSPRT"); Wald's bounds (1945) decide. The test looks only after batches of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arena.ratings import elo_score
from envs.errors import UsageError

POINTS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
"""Points per game of the five sums of a pair."""
EMPTY = 1e-3
"""What a sum that has not happened yet counts as, so that its logarithm exists."""
Decision = Literal["elo0", "elo1"]


@dataclass(frozen=True)
class Sprt:
    """A test of whether the first agent is `elo0` or `elo1` (larger) better than the second.

    Attributes:
        alpha: how often at most elo1 is decided for where elo0 is true. beta: elo0 where elo1 is true.
    """

    elo0: float
    elo1: float
    alpha: float = 0.05
    beta: float = 0.05

    def __post_init__(self) -> None:
        if not (math.isfinite(self.elo0) and math.isfinite(self.elo1) and self.elo0 < self.elo1):
            raise UsageError(f"SPRT from {self.elo0:g} to {self.elo1:g}: two numbers, the lower one first")
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5):
            raise UsageError("the error rates of an SPRT lie between 0 and ½")

    @property
    def bounds(self) -> tuple[float, float]:
        """The log-likelihood ratios at which elo0 and elo1 are decided for."""
        return math.log(self.beta / (1 - self.alpha)), math.log((1 - self.beta) / self.alpha)

    def ratio(self, pairs: Sequence[int]) -> float:
        """The log-likelihood ratio of elo1 to elo0, given how often each sum of a pair has happened [5]."""
        counts = np.maximum(np.asarray(pairs, dtype=np.float64), EMPTY)
        if len(counts) != len(POINTS):
            raise ValueError(f"{len(counts)} counts of pairs instead of {len(POINTS)}")
        if not sum(pairs):
            return 0.0
        shares = counts / counts.sum()
        likely = [np.log(_most_likely(shares, elo_score(elo))) for elo in (self.elo0, self.elo1)]
        return float(counts @ (likely[1] - likely[0]))

    def decide(self, pairs: Sequence[int]) -> Decision | None:
        """What the pairs so far decide for, None while they do not."""
        low, high = self.bounds
        ratio = self.ratio(pairs)
        return "elo1" if ratio >= high else "elo0" if ratio <= low else None


def parse_sprt(text: str) -> Sprt:
    """elo0,elo1 as typed → the test. Raises UsageError."""
    try:
        elo0, elo1 = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--sprt {text!r}: write elo0,elo1, for example 0,50") from None
    return Sprt(elo0, elo1)


def pentanomial(pair_points: Sequence[float]) -> list[int]:
    """How often each sum 0, ½, 1, 1½, 2 stands among the points that pairs brought."""
    sums = np.rint(2 * np.asarray(pair_points, dtype=np.float64)).astype(np.int64)
    return np.bincount(sums, minlength=len(POINTS)).tolist()


def _most_likely(shares: np.ndarray, score: float) -> np.ndarray:
    """The distribution over `POINTS` [5] with this mean under which `shares` [5] are the most likely.

    It is shares / (1 + θ (POINTS − score)); θ is the root of a falling function between two poles.
    """
    offset = POINTS - score
    low, high = -1 / offset.max(), -1 / offset.min()
    for _ in range(100):
        middle = (low + high) / 2
        if (shares * offset / (1 + middle * offset)).sum() > 0:
            low = middle
        else:
            high = middle
    return shares / (1 + (low + high) / 2 * offset)
