"""How well predicted preferences fit labels: pure functions. n comparisons.

`difference` is r(a) − r(b), `target` the probability that a is preferred as the label has it (1, 0, or ½ for a tie).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Predictions between `low` and `high`: how many, their mean, and how often they came true."""

    low: float
    high: float
    count: int
    predicted: float
    observed: float


@dataclass(frozen=True)
class Fit:
    """How a reward model fits labels it has not seen.

    Attributes:
        comparisons, ties: how many; ties (targets of exactly ½) count in everything but the accuracy.
        accuracy: share of the others whose preferred completion has the higher reward (equal rewards: ½); NaN: none.
        log_loss: mean cross-entropy in nats; ½ everywhere gives ln 2.
        brier: mean squared error of the predicted probability.
        ece: expected calibration error: |predicted − observed| averaged over the bins by their counts.
        bins: the reliability diagram, of the preferred side's probability (0.5 … 1).
    """

    comparisons: int
    ties: int
    accuracy: float
    log_loss: float
    brier: float
    ece: float
    bins: tuple[Bin, ...]


def fit(difference: Array, target: Array, num_bins: int = 5) -> Fit:
    """The figures of n ≥ 1 comparisons."""
    assert difference.ndim == 1
    assert difference.shape == target.shape
    probability = sigmoid(difference)
    log_loss = float(np.mean(np.logaddexp(0, difference) - target * difference))
    bins = reliability(difference, target, num_bins)
    total = sum(each.count for each in bins)
    return Fit(
        comparisons=len(target),
        ties=int((target == 0.5).sum()),
        accuracy=accuracy(difference, target),
        log_loss=log_loss,
        brier=float(np.mean((probability - target) ** 2)),
        ece=sum(each.count * abs(each.predicted - each.observed) for each in bins) / max(total, 1),
        bins=bins,
    )


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^−x) without overflow."""
    return np.exp(-np.logaddexp(0, -x))


def accuracy(difference: Array, target: Array) -> float:
    """Share of decided comparisons whose sign is right; an equal score is half right; NaN where all are ties."""
    decided = target != 0.5
    if not decided.any():
        return float("nan")
    right = np.sign(difference[decided]) * np.sign(target[decided] - 0.5)
    return float(np.mean((right + 1) / 2))


def reliability(difference: Array, target: Array, num_bins: int = 5) -> tuple[Bin, ...]:
    """Bins of the preferred side's probability (½ … 1), and how often labels agree with it; empty ones left out."""
    probability = sigmoid(np.abs(difference))
    agrees = np.where(difference >= 0, target, 1 - target)
    edges = np.linspace(0.5, 1.0, num_bins + 1)
    place = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, num_bins - 1)
    found = []
    for index in range(num_bins):
        chosen = place == index
        count = int(chosen.sum())
        predicted = float(probability[chosen].mean()) if count else float("nan")
        observed = float(agrees[chosen].mean()) if count else float("nan")
        found.append(Bin(float(edges[index]), float(edges[index + 1]), count, predicted, observed))
    return tuple(bin for bin in found if bin.count)


def correlation(x: Array, y: Array) -> float:
    """Pearson's; 0 where one of them does not vary."""
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
