"""Ratings as pure functions of results, in Elo points: 400 points are odds of ten to one in expected score.

All games are fitted at once (Bradley and Terry 1952) with a term for the earlier seat and one for draws (Davidson 1970;
Davidson and Beaver 1977). Online Elo, which depends on the order of the games, is kept beside it for those who want it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arena.records import PairResult

K = 16.0
"""How far one game moves the running Elo."""
Z = 1.959963984540054
"""The normal quantile of a 95 % interval."""
ELO = 400 / math.log(10)
"""Elo points per unit of log odds."""
ELO_LIMIT = 1200.0
"""Differences are told up to this, where a score of 99.9 % lies; 100 % would be infinity."""
STRENGTH_SD = 600 / ELO
"""The priors, all of them weak: a strength's distance from the mean is about 600 Elo, …"""
FIRST_PLAYER_SD = 400 / ELO
"""… the first player's advantage is about 400 Elo either way, …"""
DRAW_SD = 3.0
"""… and log ν about 3, ν = 1 making a third of the games between equals draws."""
MAX_ITERATIONS = 100
TOLERANCE = 1e-6
PROFILE_LIMIT = 1_000_000
"""Up to so many agents × pairs, intervals follow the likelihood; beyond, they are symmetric."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Interval(NamedTuple):
    """A number of Elo points with its 95 % interval."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Rating:
    """An agent's row in the table.

    Attributes:
        elo, low, high: with its 95 % interval, relative to the anchor.
        wins, draws, losses: over both seats.
        first_score, second_score: the share of points in the earlier and the later seat; None where it never sat there.
        connected: whether a chain of games leads to the anchor; if not, the number is the priors' word alone.
    """

    agent: int
    elo: float
    low: float
    high: float
    wins: int
    draws: int
    losses: int
    first_score: float | None
    second_score: float | None
    connected: bool

    @property
    def games(self) -> int:
        return self.wins + self.draws + self.losses


@dataclass(frozen=True)
class Fit:
    """Ratings of all agents that have played, best first.

    Attributes:
        first_player: what the earlier seat is worth.
        draw_rate: the share of draws between equals with the seats averaged out.
    """

    ratings: tuple[Rating, ...]
    first_player: Interval
    draw_rate: float

    def by_agent(self) -> dict[int, Rating]:
        return {rating.agent: rating for rating in self.ratings}


def elo_update(rating_a: float, rating_b: float, score: float, k: float = K) -> tuple[float, float]:
    """Both ratings after a game in which A scored `score` (1, ½ or 0). Elo (1978): r' = r + k (score − expected)."""
    change = k * (score - 1 / (1 + 10 ** ((rating_b - rating_a) / 400)))
    return rating_a + change, rating_b - change


def elo_difference(wins: int, draws: int, losses: int) -> Interval:
    """How much stronger one side of a match is, by its score s: −400 log₁₀(1/s − 1), with a 95 % interval.

    The interval is Wilson's for the mean score, with more effective games than real ones where draws make outcomes vary
    less (half a win and half a loss are added to the variance, so that it is never zero). All is kept within ±1200.
    """
    games = wins + draws + losses
    if games == 0:
        return Interval(0.0, -ELO_LIMIT, ELO_LIMIT)
    score = (wins + draws / 2) / games
    mean = (wins + draws / 2 + 0.5) / (games + 1)
    variance = (wins + draws / 4 + 0.5) / (games + 1) - mean**2
    effective = games * mean * (1 - mean) / variance
    centre = (score + Z**2 / (2 * effective)) / (1 + Z**2 / effective)
    half = Z / (1 + Z**2 / effective) * math.sqrt(score * (1 - score) / effective + (Z / (2 * effective)) ** 2)
    return Interval(*(_elo_of_score(s) for s in (score, centre - half, centre + half)))


def _elo_of_score(score: float) -> float:
    if not 0 < score < 1:
        return math.copysign(ELO_LIMIT, score - 0.5)
    return max(-ELO_LIMIT, min(ELO_LIMIT, 400 * math.log10(score / (1 - score))))


def fit_bradley_terry(results: Iterable[PairResult], anchor: int | None = None) -> Fit:
    """The likeliest ratings given all results, with 95 % intervals.

    With x = θ_i − θ_j + γ for agent i in the earlier seat: win ∝ e^{x/2}, draw ∝ ν, loss ∝ e^{−x/2}. Newton's
    method on (θ, γ, log ν) with weak normal priors (`STRENGTH_SD`, …), which keep unbeaten agents and unconnected
    groups finite. An interval ends where the posterior has fallen as far as a normal one would (on the line along which
    the other parameters make room best), so that it is lopsided where results are; in very large leagues it is normal.
    θ is scaled to Elo by 2/(2 + ν), so that close agents' expected score is what Elo's formula says in spite of draws.

    Args:
        results: counts per ordered pair, in any order.
        anchor: the agent that has 0; all intervals are of differences to it. None, or an agent without games: the
            mean of each group of agents that are connected by games is 0.
    """
    rows = [(r.agent_0, r.agent_1, r.wins, r.draws, r.losses) for r in results]
    table = np.asarray(rows, dtype=np.int64).reshape(-1, 5)
    table = table[(table[:, 2:].sum(1) > 0) & (table[:, 0] != table[:, 1])]
    agents, index = np.unique(table[:, :2], return_inverse=True)
    index = index.reshape(-1, 2)
    i, j = index[:, 0].copy(), index[:, 1].copy()
    wins, draws, losses = table[:, 2:].T.astype(np.float64)
    games = _Games(i, j, wins, draws, losses, len(agents))
    parameters, covariance = _newton(games)
    groups = _groups(games)
    contrast = _contrast(groups, agents, anchor)
    difference = contrast @ parameters
    low, high = _interval(games, parameters, covariance, contrast)
    nu = math.exp(parameters[-1])
    scale = ELO * 2 / (2 + nu)

    anchored = groups[agents == anchor]
    connected = groups == anchored[0] if len(anchored) else np.ones(len(agents), dtype=bool)
    first = games.totals(games.i)
    second = games.totals(games.j)[:, ::-1]
    ratings = [
        Rating(
            agent=int(agent),
            elo=float(scale * difference[n]),
            low=float(scale * (difference[n] - low[n])),
            high=float(scale * (difference[n] + high[n])),
            wins=int(first[n, 0] + second[n, 0]),
            draws=int(first[n, 1] + second[n, 1]),
            losses=int(first[n, 2] + second[n, 2]),
            first_score=_share(*first[n]),
            second_score=_share(*second[n]),
            connected=bool(connected[n]),
        )
        for n, agent in enumerate(agents)
    ]
    ratings.sort(key=lambda rating: (not rating.connected, -rating.elo, rating.agent))
    advantage = float(scale * parameters[-2])
    half = float(scale * Z * math.sqrt(covariance[-2, -2]))
    return Fit(tuple(ratings), Interval(advantage, advantage - half, advantage + half), nu / (2 + nu))


@dataclass(frozen=True)
class _Games:
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


def _newton(games: _Games) -> tuple[Floats, Floats]:
    """The most probable (θ [A], γ, log ν) and the covariance there."""
    parameters = np.zeros(games.size + 2)
    value, gradient, hessian = _posterior(games, parameters)
    for _ in range(MAX_ITERATIONS):
        step = np.linalg.solve(hessian, gradient)
        if gradient @ step < TOLERANCE:
            parameters = parameters + step
            break
        length = 1.0
        while True:  # the posterior is concave: a step that is short enough leads up
            proposal = _posterior(games, parameters + length * step)
            if proposal[0] >= value or length < 1e-6:
                break
            length /= 2
        parameters = parameters + length * step
        value, gradient, hessian = proposal
    return parameters, np.asarray(np.linalg.inv(hessian), dtype=np.float64)


def _posterior(games: _Games, parameters: Floats) -> tuple[float, Floats, Floats]:
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


def _interval(games: _Games, parameters: Floats, covariance: Floats, contrast: Floats) -> tuple[Floats, Floats]:
    """How far below and above its estimate each contrast [C, A + 2] of the parameters may lie: [C] and [C] log odds."""
    direction = contrast @ covariance
    variance = (direction * contrast).sum(1)
    half = Z * np.sqrt(np.maximum(variance, 0.0))
    if len(contrast) * len(games.i) > PROFILE_LIMIT:
        return half, half
    direction /= np.maximum(variance, 1e-12)[:, None]
    low, high = (sign * _fall(games, parameters, sign * direction, half) for sign in (-1, 1))
    return -low, high


def _fall(games: _Games, parameters: Floats, direction: Floats, start: Floats) -> Floats:
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


def _groups(games: _Games) -> Ints:
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


def _contrast(groups: Ints, agents: Ints, anchor: int | None) -> Floats:
    """[A, A + 2] weights of the parameters in each agent's distance from the anchor or from its group's mean."""
    if anchor in agents:
        centre = np.broadcast_to(agents == anchor, (len(agents), len(agents))).astype(np.float64)
    else:
        centre = (groups[:, None] == groups[None, :]).astype(np.float64)
        centre /= np.maximum(centre.sum(1, keepdims=True), 1)
    return np.pad(np.eye(len(agents)) - centre, ((0, 0), (0, 2)))


def _share(wins: float, draws: float, losses: float) -> float | None:
    games = wins + draws + losses
    return float((wins + draws / 2) / games) if games else None


def win_matrix(results: Iterable[PairResult], agents: Sequence[int]) -> tuple[Floats, Ints]:
    """[A, A] the row's share of points against the column over both seats (NaN: never met), and [A, A] games."""
    row = {agent: n for n, agent in enumerate(agents)}
    points = np.zeros((len(agents), len(agents)))
    games = np.zeros((len(agents), len(agents)), dtype=np.int64)
    for r in results:
        if r.agent_0 in row and r.agent_1 in row:
            a, b = row[r.agent_0], row[r.agent_1]
            n = r.wins + r.draws + r.losses
            points[a, b] += r.wins + r.draws / 2
            points[b, a] += r.losses + r.draws / 2
            games[a, b] += n
            games[b, a] += n
    return np.where(games > 0, points / np.maximum(games, 1), np.nan), games
