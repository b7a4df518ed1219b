"""Davidson's model of games with draws (1970; with a first-player term, Davidson and Beaver 1977), fitted to results.

With x = θ_i − θ_j + γ for agent i in the earlier seat: win ∝ e^{x/2}, draw ∝ ν, loss ∝ e^{−x/2}. M ordered pairs of
agents, A agents; a model's parameters are (θ [A], γ, log ν), in log odds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""The normal quantile of a 95 % interval."""
ELO = 400 / math.log(10)
"""Elo points per unit of log odds."""
STRENGTH_SD = 600 / ELO
"""The priors, all of them weak: a strength's distance from the mean is about 600 Elo, …"""
FIRST_PLAYER_SD = 400 / ELO
"""… the first player's advantage is about 400 Elo either way, …"""
DRAW_SD = 3.0
"""… and log ν about 3, ν = 1 making a third of the games between equals draws."""
MAX_ITERATIONS = 100
TOLERANCE = 1e-6
SCALE_TOLERANCE = 1e-9
"""Newton's method ends where a step promises less than this: of log posterior, of the Elo scale's log likelihood."""
PROFILE_LIMIT = 1_000_000
"""Up to so many agents × pairs, intervals follow the likelihood; beyond, they are symmetric."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Games:
    """M ordered pairs of A agents: indexes i and j [M] of the earlier and later seat, counts [M] from i's side."""

    i: Ints
    j: Ints
    wins: Floats
    draws: Floats
    losses: Floats
    size: int

    def at(self, seat: Ints, values: Floats) -> Floats:
        """[A] sums of values [M] over the pairs in which an agent has the seat."""
        return np.bincount(seat, values, self.size).astype(np.float64, copy=False)

    def totals(self, seat: Ints) -> Floats:
        """[A, 3] wins, draws and losses of i's side over the pairs in which an agent has the seat."""
        return np.stack([self.at(seat, counts) for counts in (self.wins, self.draws, self.losses)], axis=1)

    def precision(self) -> Floats:
        """[A + 2] of the priors on (θ, γ, log ν)."""
        sd = np.concatenate((np.full(self.size, STRENGTH_SD), [FIRST_PLAYER_SD, DRAW_SD]))
        return sd**-2

    def log_probabilities(self, x: Floats, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """Of a win, a draw and a loss of i's side, given x […, M] and log ν […, 1]."""
        log_total = np.logaddexp(np.logaddexp(x / 2, -x / 2), eta)
        return x / 2 - log_total, eta - log_total, -x / 2 - log_total


def most_probable(games: Games) -> tuple[Floats, Floats]:
    """The most probable parameters [A + 2] and their covariance there."""
    parameters, hessian = maximise(lambda p: posterior(games, p), np.zeros(games.size + 2), TOLERANCE)
    return parameters, np.asarray(np.linalg.inv(hessian), dtype=np.float64)


def maximise(
    function: Callable[[Floats], tuple[float, Floats, Floats]], start: Floats, tolerance: float
) -> tuple[Floats, Floats]:
    """Where a concave function (value, gradient, negative Hessian) is largest, and the negative Hessian there."""
    at = start
    value, gradient, hessian = function(at)
    for _ in range(MAX_ITERATIONS):
        step = np.linalg.solve(hessian, gradient)
        if gradient @ step < tolerance:
            at = at + step
            break
        length = 1.0
        while True:  # a step that is short enough leads up
            proposal = function(at + length * step)
            if proposal[0] >= value or length < 1e-6:
                break
            length /= 2
        at = at + length * step
        value, gradient, hessian = proposal
    return at, hessian


def posterior(games: Games, parameters: Floats) -> tuple[float, Floats, Floats]:
    """The log posterior up to a constant, its gradient and its negative Hessian."""
    i, j, size, precision = games.i, games.j, games.size, games.precision()
    x = parameters[i] - parameters[j] + parameters[-2]
    log_win, log_draw, log_loss = games.log_probabilities(x, parameters[-1:])
    win, draw, loss = np.exp(log_win), np.exp(log_draw), np.exp(log_loss)
    n = games.wins + games.draws + games.losses
    value = games.wins @ log_win + games.draws @ log_draw + games.losses @ log_loss
    value -= 0.5 * precision @ parameters**2

    lead = win - loss
    dx = (games.wins - games.losses - n * lead) / 2
    gradient = -precision * parameters
    gradient[:size] += games.at(i, dx) - games.at(j, dx)
    gradient[-2:] += dx.sum(), (games.draws - n * draw).sum()

    xx, xe, ee = n * (win + loss - lead**2) / 4, -n * draw * lead / 2, n * draw * (1 - draw)
    cross = np.bincount(i * size + j, xx, size * size).reshape(size, size)
    hessian = np.zeros((size + 2, size + 2))
    hessian[:size, :size] = np.diag(games.at(i, xx) + games.at(j, xx)) - cross - cross.T
    for column, weight in ((-2, xx), (-1, xe)):
        hessian[:size, column] = hessian[column, :size] = games.at(i, weight) - games.at(j, weight)
    hessian[-2:, -2:] = [[xx.sum(), xe.sum()], [xe.sum(), ee.sum()]]
    return float(value), gradient, hessian + np.diag(precision)


def interval(games: Games, parameters: Floats, covariance: Floats, contrast: Floats) -> tuple[Floats, Floats]:
    """How far below and above its estimate each contrast [C, A + 2] of the parameters may lie: [C] and [C] log odds."""
    direction = contrast @ covariance
    variance = (direction * contrast).sum(1)
    half = Z * np.sqrt(np.maximum(variance, 0.0))
    if len(contrast) * len(games.i) > PROFILE_LIMIT:
        return half, half
    direction /= np.maximum(variance, 1e-12)[:, None]
    low, high = (sign * _fall(games, parameters, sign * direction, half) for sign in (-1, 1))
    return -low, high


def _fall(games: Games, parameters: Floats, direction: Floats, start: Floats) -> Floats:
    """[C] where along each direction [C, A + 2] the log posterior has fallen by z²/2, a normal one at `start`."""
    precision = games.precision()
    eta = parameters[-1]
    x = parameters[games.i] - parameters[games.j] + parameters[-2]
    slope = direction[:, games.i] - direction[:, games.j] + direction[:, -2:-1]
    n = games.wins + games.draws + games.losses
    linear = direction @ (precision * parameters)
    square = direction**2 @ precision
    best = sum(
        c @ p for c, p in zip((games.wins, games.draws, games.losses), games.log_probabilities(x, eta), strict=True)
    )

    def excess(t: Floats) -> tuple[Floats, Floats]:
        """The fall at t beyond z²/2, and its derivative."""
        log_p = games.log_probabilities(x + t[:, None] * slope, eta + t[:, None] * direction[:, -1:])
        fall = best - sum(p @ c for c, p in zip((games.wins, games.draws, games.losses), log_p, strict=True))
        win, draw, loss = (np.exp(p) for p in log_p)
        rise = slope * (games.wins - games.losses - n * (win - loss)) / 2 + direction[:, -1:] * (games.draws - n * draw)
        return fall + t * linear + t**2 * square / 2 - Z**2 / 2, linear + t * square - rise.sum(1)

    # The fall is convex in t: beyond the point that is looked for, Newton's steps come back to it and never pass it.
    t = start.copy()
    value, derivative = excess(t)
    for _ in range(MAX_ITERATIONS):
        short = (value < 0) & (start > 0)
        if not short.any():
            break
        t = np.where(short, 1.5 * t, t)
        value, derivative = excess(t)
    for _ in range(MAX_ITERATIONS):
        step = np.where(start > 0, value / np.where(derivative > 0, derivative, 1.0), 0.0)
        t = t - step
        if (np.abs(step) < 1e-4).all():
            break
        value, derivative = excess(t)
    return t


def groups_of(games: Games) -> Ints:
    """[A] the smallest index that a chain of games leads to: equal where two agents are connected."""
    group = np.arange(games.size)
    while True:
        low = np.minimum(group[games.i], group[games.j])
        new = group.copy()
        np.minimum.at(new, games.i, low)
        np.minimum.at(new, games.j, low)
        new = new[new]
        if (new == group).all():
            return group
        group = new


def expected_scores(parameters: Floats) -> Floats:
    """[A, A] the row's expected score against the column, draws half, the mean over both seats."""
    return _expected(parameters)[0]


def elo_scale(parameters: Floats, groups: Ints) -> tuple[Floats, Floats]:
    """Ratings in log odds [A], each group's mean 0, and how they change with the parameters [A, A + 2].

    Elo's formula makes expected scores a logistic function of differences. Davidson's are one only where ν is 0 or 2;
    elsewhere no scale makes all of them one. These ratings come nearest to it: they are what Bradley and Terry's model
    makes of the round robin that these parameters expect of a group, in which everybody meets everybody in both seats
    and a draw is half a win. So every agent's expected total is exact, and two agents' difference is their score's.

    Args:
        groups: [A], equal for agents that are connected by games; a group's distance from others is not rescaled.
    """
    together = (groups[:, None] == groups[None, :]).astype(np.float64)
    mean = together / together.sum(1, keepdims=True)
    together -= np.eye(len(groups))
    expected, by_x, by_gamma, by_eta = _expected(parameters)
    theta, equals = parameters[:-2], 2 / (2 + math.exp(parameters[-1]))

    def likelihood(ratings: Floats) -> tuple[float, Floats, Floats]:
        gap = ratings[:, None] - ratings[None, :]
        log_score = -np.logaddexp(0, -gap)
        score = np.exp(log_score)
        surplus = together * (expected - score)
        surplus = np.where(gap > 0, -surplus.T, surplus)  # the smaller score of two is the exact one
        weight = together * score * score.T
        return float((together * expected * log_score).sum()), surplus.sum(1), np.diag(weight.sum(1)) - weight + mean

    ratings, hessian = maximise(likelihood, np.zeros_like(theta), SCALE_TOLERANCE)
    slopes = together * by_x
    change = np.diag(slopes.sum(1)) - slopes + equals * mean
    seat_and_draws = np.stack([(together * by_gamma).sum(1), (together * by_eta).sum(1)], axis=1)
    return ratings, np.linalg.solve(hessian, np.concatenate([change, seat_and_draws], axis=1))


def _expected(parameters: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """[A, A] expected scores and their derivatives by θ_i − θ_j, γ and log ν."""
    theta, gamma, eta = parameters[:-2], parameters[-2], parameters[-1]
    x = theta[:, None] - theta[None, :] + gamma
    log_total = np.logaddexp(np.logaddexp(x / 2, -x / 2), eta)
    win, draw, loss = np.exp(x / 2 - log_total), np.exp(eta - log_total), np.exp(-x / 2 - log_total)
    first, second = win + draw / 2, loss + draw / 2  # of the row against the column, of the column against the row
    by_x = (win + first - 2 * first**2) / 2
    by_eta = draw * (loss - win) / 2
    return (first + second.T) / 2, (by_x + by_x.T) / 2, (by_x - by_x.T) / 2, (by_eta - by_eta.T) / 2
