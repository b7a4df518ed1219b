"""What one number an agent cannot say: who beats whom in circles. Pure functions of a matrix of scores.

`scores` [A, A] has each row's share of points against each column, a draw half; its opposite entries add up to 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from arena.davidson import Floats

MAX_STEPS = 100
TOLERANCE = 1e-10
LAST_TEMPERATURE = 1e-5
"""Where the cooling ends: about how much of a point an equilibrium may be off."""
RANKING_INTENSITY = 10.0
POPULATION = 50
"""α-rank's α and m: with these a score of 55 % takes over a population with probability 0.4, and is never displaced."""


def nash_average(scores: ArrayLike) -> tuple[Floats, Floats]:
    """The mixture of agents that no agent beats, of all such the most even one, and each agent's score against it.

    Balduzzi, Tuyls, Pérolat and Graepel (2018), "Re-evaluating evaluation": agents that are copies of each other share
    what one would have, and agents that add nothing have none. It is the limit of the mixtures in which each agent's
    share grows exponentially with its advantage over the mixture, p ∝ exp(advantage / τ), as τ falls; since advantages
    are antisymmetric, each of them is unique and Newton's method finds it from the one before.

    Returns:
        shares [A], adding up to 1, and scores [A] against that mixture: ½ where an agent has a share, else at most ½.
    """
    table = _table(scores)
    advantage = table - table.T
    size = len(table)
    logits = np.zeros(size)
    temperature = 1.0
    if size < 2:
        return np.ones(size), np.full(size, 0.5)
    while temperature > LAST_TEMPERATURE:
        temperature /= 2
        logits = _logit_equilibrium(advantage / temperature, logits * 2 if temperature < 0.5 else logits)
    shares = _softmax(logits)
    return shares, 0.5 + advantage @ shares / 2


def _table(scores: ArrayLike) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    return table.reshape(len(table), len(table))


def _logit_equilibrium(payoff: Floats, logits: Floats) -> Floats:
    """The z with z = payoff · softmax(z), from a start: the Jacobian I − payoff · Σ is never singular."""

    def residual(at: Floats) -> Floats:
        return at - payoff @ _softmax(at)

    missing = residual(logits)
    for _ in range(MAX_STEPS):
        shares = _softmax(logits)
        slope = np.eye(len(logits)) - payoff * shares + np.outer(payoff @ shares, shares)
        step = np.linalg.solve(slope, missing)
        length = 1.0
        while length > 1e-4 and np.abs(residual(logits - length * step)).max() >= np.abs(missing).max():
            length /= 2
        logits = logits - length * step
        missing = residual(logits)
        if np.abs(missing).max() < TOLERANCE * (1 + np.abs(logits).max()):
            break
    return logits


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())


def alpha_rank(scores: ArrayLike, intensity: float = RANKING_INTENSITY, population: int = POPULATION) -> Floats:
    """[A] the share of time that an evolving population spends with each agent.

    Omidshafiei et al. (2019), "α-Rank: multi-agent evaluation by evolution", for one population and a game of constant
    sum: a single mutant takes a population of `population` copies over with probability
    (1 − e^{−u}) / (1 − e^{−mu}), u = α m / (m − 1) · (score − ½).
    """
    table = _table(scores)
    size = len(table)
    if size < 2:
        return np.ones(size)
    u = intensity * population / (population - 1) * (table - 0.5)  # of the row as a mutant among copies of the column
    even = np.isclose(u, 0.0)
    safe = np.where(even, 1.0, u)
    # With both signs' exponents negative: for u < 0 the fraction is e^{(m − 1) u} (1 − e^u) / (1 − e^{mu}).
    size_of = np.abs(safe)
    ratio = -np.expm1(-size_of) / -np.expm1(-population * size_of)
    fixation = np.where(u < 0, ratio * np.exp(-(population - 1) * size_of), ratio)
    fixation = np.where(even, 1 / population, fixation)
    rates = fixation.T / (size - 1)  # from the row to the column
    np.fill_diagonal(rates, 0.0)
    return _stationary(rates)


def _stationary(rates: Floats) -> Floats:
    """The stationary distribution of a chain, by state reduction without subtractions (Grassmann, Taksar, Heyman 1985).

    rates [A, A] off the diagonal; tiny ones keep their relative accuracy.
    """
    rates = rates.copy()
    size = len(rates)
    for n in range(size - 1, 0, -1):
        rates[:n, n] /= rates[n, :n].sum()
        rates[:n, :n] += np.outer(rates[:n, n], rates[n, :n])
    time = np.ones(size)
    for n in range(1, size):
        time[n] = time[:n] @ rates[:n, n]
    return np.asarray(time / time.sum())
