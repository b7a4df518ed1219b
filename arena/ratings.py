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

from arena.davidson import ELO, Floats, Games, Ints, Z, elo_scale, groups_of, interval, most_probable
from arena.records import PairResult, Rating

K = 16.0
"""How far one game moves the running Elo."""
ELO_LIMIT = 1200.0
"""Differences are told up to this, where a score of 99.9 % lies; 100 % would be infinity."""


class Interval(NamedTuple):
    """A number of Elo points with its 95 % interval."""

    difference: float
    low: float
    high: float


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
    change = k * (score - elo_score(rating_a - rating_b))
    return rating_a + change, rating_b - change


def elo_score(difference: float) -> float:
    """The expected score of an agent that is so many Elo points above another."""
    return float(1 / (1 + 10 ** (-difference / 400)))


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

    Davidson's model (`davidson.py`) with weak normal priors, which keep unbeaten agents and unconnected groups finite,
    on the scale on which 1 / (1 + 10^(−d/400)) comes nearest to the expected score of an agent that is d Elo above
    another, seats averaged (`elo_scale`). An interval ends where the posterior has fallen as far as a normal one would
    (on the line along which the other parameters make room best), so that it is lopsided where results are; in very
    large leagues it is normal.

    Args:
        results: counts per ordered pair, in any order.
        anchor: the agent that has 0; all intervals are of differences to it. None, or an agent without games: the
            mean of each group of agents that are connected by games is 0.
    """
    agents, games = _games(results)
    parameters, covariance = most_probable(games)
    groups = groups_of(games)
    scale, change = elo_scale(parameters, groups)
    contrast = _contrast(groups, agents, anchor)
    difference = contrast @ scale
    low, high = interval(games, parameters, covariance, contrast @ change)

    anchored = groups[agents == anchor]
    connected = groups == anchored[0] if len(anchored) else np.ones(len(agents), dtype=bool)
    first = games.totals(games.i)
    second = games.totals(games.j)[:, ::-1]
    ratings = [
        Rating(
            agent=int(agent),
            elo=float(ELO * difference[n]),
            low=float(ELO * (difference[n] - low[n])),
            high=float(ELO * (difference[n] + high[n])),
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
    gamma, nu = float(parameters[-2]), math.exp(parameters[-1])
    half = Z * math.sqrt(covariance[-2, -2])
    first_player = Interval(*(_elo_of_score(_equals_score(g, nu)) for g in (gamma, gamma - half, gamma + half)))
    return Fit(tuple(ratings), first_player, nu / (2 + nu))


def _games(results: Iterable[PairResult]) -> tuple[Ints, Games]:
    """The agents that have played, in order, and their games."""
    rows = [(r.agent_0, r.agent_1, r.wins, r.draws, r.losses) for r in results]
    table = np.asarray(rows, dtype=np.int64).reshape(-1, 5)
    table = table[(table[:, 2:].sum(1) > 0) & (table[:, 0] != table[:, 1])]
    agents, index = np.unique(table[:, :2], return_inverse=True)
    index = index.reshape(-1, 2)
    wins, draws, losses = table[:, 2:].T.astype(np.float64)
    return agents, Games(index[:, 0].copy(), index[:, 1].copy(), wins, draws, losses, len(agents))


def _equals_score(gamma: float, nu: float) -> float:
    """What the earlier seat scores against an equal."""
    win, loss = math.exp(gamma / 2), math.exp(-gamma / 2)
    return (win + nu / 2) / (win + nu + loss)


def _contrast(groups: Ints, agents: Ints, anchor: int | None) -> Floats:
    """[A, A] weights of all ratings in each agent's distance from the anchor or from its group's mean."""
    if anchor in agents:
        centre = np.broadcast_to(agents == anchor, (len(agents), len(agents))).astype(np.float64)
    else:
        centre = (groups[:, None] == groups[None, :]).astype(np.float64)
        centre /= np.maximum(centre.sum(1, keepdims=True), 1)
    return np.eye(len(agents)) - centre


def _share(wins: float, draws: float, losses: float) -> float | None:
    games = wins + draws + losses
    return float((wins + draws / 2) / games) if games else None


@dataclass(frozen=True)
class Pair:
    """What two agents' games say beside their ratings; all from the first one's side, over both seats.

    Attributes:
        score: points per game. expected: by the ratings' model.
        superiority: the probability that the first one is the stronger of the two.
        surprise: how many standard deviations `score` lies above `expected`: beyond ±3 the two do not fit one scale.
    """

    agent: int
    other: int
    games: int
    score: float
    expected: float
    superiority: float
    surprise: float


@dataclass(frozen=True)
class Goodness:
    """How well the model fits: its deviance from the results, which is about `freedom` where the model is right.

    Attributes:
        p: the probability of such a deviance or a larger one if it is right (with few games a pair: roughly).
    """

    deviance: float
    freedom: int
    p: float


def examine_pairs(results: Iterable[PairResult]) -> tuple[list[Pair], Goodness]:
    """Every two agents that have met, and how well one number an agent and the model's terms explain all results."""
    agents, games = _games(results)
    parameters, covariance = most_probable(games)
    x = parameters[games.i] - parameters[games.j] + parameters[-2]
    logs = games.log_probabilities(x, parameters[-1:])
    win, draw, _ = (np.exp(log) for log in logs)
    counts = (games.wins, games.draws, games.losses)
    n = games.wins + games.draws + games.losses
    deviance = 2 * sum((k * (np.log(np.maximum(k, 1) / n) - log)).sum() for k, log in zip(counts, logs, strict=True))
    freedom = 2 * len(n) - (len(agents) - len(np.unique(groups_of(games))) + 2)
    goodness = Goodness(float(deviance), freedom, _chi_square_tail(float(deviance), freedom))

    lower, upper = np.minimum(games.i, games.j), np.maximum(games.i, games.j)
    keys, index = np.unique(lower * games.size + upper, return_inverse=True)
    mean = win + draw / 2
    turned = games.i > games.j

    def total(values: Floats) -> Floats:
        return np.bincount(index, values, len(keys)).astype(np.float64, copy=False)

    points = total(np.where(turned, games.losses, games.wins) + games.draws / 2)
    expected = total(n * np.where(turned, 1 - mean, mean))
    spread = np.sqrt(np.maximum(total(n * (win + draw / 4 - mean**2)), 1e-12))
    played = total(n)
    first, second = keys // games.size, keys % games.size
    variance = covariance[first, first] + covariance[second, second] - 2 * covariance[first, second]
    ahead = (parameters[first] - parameters[second]) / np.sqrt(np.maximum(variance, 1e-12))
    pairs = [
        Pair(
            agent=int(agents[first[k]]),
            other=int(agents[second[k]]),
            games=int(played[k]),
            score=float(points[k] / played[k]),
            expected=float(expected[k] / played[k]),
            superiority=math.erfc(-ahead[k] / math.sqrt(2)) / 2,
            surprise=float((points[k] - expected[k]) / spread[k]),
        )
        for k in range(len(keys))
    ]
    return pairs, goodness


def _chi_square_tail(value: float, freedom: int) -> float:
    """The probability of more than `value` (Wilson and Hilferty 1931: its cube root is nearly normal)."""
    if freedom <= 0:
        return 1.0
    spread = 2 / (9 * freedom)
    return math.erfc(((max(value, 0.0) / freedom) ** (1 / 3) - 1 + spread) / math.sqrt(2 * spread)) / 2


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
