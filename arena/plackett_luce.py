"""Ratings in games of more than two players, as a pure function of who finished where, in Elo points.

Plackett and Luce's model (Luce 1959, Plackett 1975): the first place goes to player i with probability e^θᵢ / Σ e^θⱼ,
the next among those who are left in the same way, and so on. Of any two players, i finishes ahead of j with odds
e^(θᵢ − θⱼ), so that 400 Elo points are ten to one here, too. All games are fitted at once, with a weak normal prior.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from arena.davidson import ELO, STRENGTH_SD, TOLERANCE, Floats, Ints, Z, maximise
from arena.ratings import Fit, Interval
from arena.records import Finish, Rating

ALL_ORDERS = 4
"""Up to so many players who tie are taken in every order; more in as many orders as they are, each once in each place.
"""


def fit_plackett_luce(games: Iterable[Finish], anchor: int | None = None) -> Fit:
    """The likeliest ratings given who finished where in all games, best first, with normal 95 % intervals.

    Players who tie count as the mean over the orders in which they may have come in, which makes intervals a little too
    wide where games end in ties. Seats have no term: matches rotate them. An agent that holds several seats of a game
    is as strong in each; a game's result for it is its best seat's.

    Args:
        games: an agent and a score for each seat; only the scores' order counts.
        anchor: the agent that has 0; None, or one without games: the mean of each group of agents that are connected by
            games is 0.
    """
    counts = Counter(finish for finish in map(_ordered, games) if len(set(finish.agents)) > 1)
    agents = np.array(sorted({agent for finish in counts for agent in finish.agents}), dtype=np.int64)
    index = {int(agent): row for row, agent in enumerate(agents)}
    by_size: dict[int, list[tuple[list[int], float]]] = {}
    for finish, count in counts.items():
        orders = list(_orders(finish))
        rows = [([index[agent] for agent in order], count / len(orders)) for order in orders]
        by_size.setdefault(len(finish.agents), []).extend(rows)
    tables = [(np.array([o for o, _ in rows]), np.array([w for _, w in rows])) for rows in by_size.values()]
    size = len(agents)
    theta, hessian = maximise(lambda at: _posterior(tables, at), np.zeros(size), TOLERANCE)
    covariance = np.linalg.inv(hessian) if size else np.zeros((0, 0))

    groups = _groups(tables, size)
    if anchor in index:
        centre = np.broadcast_to(agents == anchor, (size, size)).astype(np.float64)
        connected = groups == groups[index[anchor]]
    else:
        centre = (groups[:, None] == groups[None, :]).astype(np.float64)
        centre /= np.maximum(centre.sum(1, keepdims=True), 1)
        connected = np.ones(size, dtype=bool)
    contrast = np.eye(size) - centre
    elo = ELO * (contrast @ theta)
    half = ELO * Z * np.sqrt(np.maximum(((contrast @ covariance) * contrast).sum(1), 0.0))
    tallies = _tallies(counts, index)
    ratings = [
        Rating(
            agent=int(agent),
            elo=float(elo[row]),
            low=float(elo[row] - half[row]),
            high=float(elo[row] + half[row]),
            wins=int(tallies[row, 0]),
            draws=int(tallies[row, 1]),
            losses=int(tallies[row, 2]),
            first_score=None,
            second_score=None,
            connected=bool(connected[row]),
        )
        for row, agent in enumerate(agents)
    ]
    ratings.sort(key=lambda rating: (not rating.connected, -rating.elo, rating.agent))
    return Fit(tuple(ratings), Interval(0.0, 0.0, 0.0), 0.0)


def _ordered(finish: Finish) -> Finish:
    """The seats from first to last place, scores as places: equal for all games that came out alike."""
    seats = sorted(zip(finish.scores, finish.agents, strict=True), key=lambda seat: (-seat[0], seat[1]))
    scores = sorted({score for score, _ in seats})
    return Finish(tuple(agent for _, agent in seats), tuple(float(scores.index(score)) for score, _ in seats))


def _orders(finish: Finish) -> Iterator[tuple[int, ...]]:
    """The orders in which the seats of a game may have come in, all of them equally likely."""
    tied = [
        [agent for _, agent in seats]
        for _, seats in itertools.groupby(zip(finish.scores, finish.agents, strict=True), key=lambda seat: seat[0])
    ]
    for parts in itertools.product(*(_shuffles(group) for group in tied)):
        yield tuple(itertools.chain.from_iterable(parts))


def _shuffles(group: Sequence[int]) -> list[tuple[int, ...]]:
    if len(group) <= ALL_ORDERS:
        return list(itertools.permutations(group))
    return [(*group[turn:], *group[:turn]) for turn in range(len(group))]


def _posterior(tables: Sequence[tuple[Ints, Floats]], theta: Floats) -> tuple[float, Floats, Floats]:
    """The log posterior, its gradient and its negative Hessian; tables: orders [G, P] of agents and weights [G]."""
    size = len(theta)
    value = -0.5 * float(theta @ theta) / STRENGTH_SD**2
    gradient, hessian = -theta / STRENGTH_SD**2, np.eye(size) / STRENGTH_SD**2
    for orders, weights in tables:
        strength = theta[orders]
        for place in range(orders.shape[1] - 1):
            left, logits = orders[:, place:], strength[:, place:]
            top = logits.max(1, keepdims=True)
            share = np.exp(logits - top)
            total = share.sum(1, keepdims=True)
            share /= total
            value += float(weights @ (logits[:, 0] - top[:, 0] - np.log(total[:, 0])))
            gradient += np.bincount(left[:, 0], weights, size)
            weighted = weights[:, None] * share
            expected = np.bincount(left.ravel(), weighted.ravel(), size)
            gradient -= expected
            both = (left[:, :, None] * size + left[:, None, :]).ravel()
            cross = np.bincount(both, (weighted[:, :, None] * share[:, None, :]).ravel(), size * size)
            hessian += np.diag(expected) - cross.reshape(size, size)
    return value, gradient, hessian


def _groups(tables: Sequence[tuple[Ints, Floats]], size: int) -> Ints:
    """[A] the smallest index that a chain of games leads to."""
    group = np.arange(size)
    while True:
        new = group.copy()
        for orders, _ in tables:
            np.minimum.at(new, orders, new[orders].min(1, keepdims=True))
        new = new[new]
        if (new == group).all():
            return group
        group = new


def _tallies(counts: Counter[Finish], index: dict[int, int]) -> Ints:
    """[A, 3] games in which an agent came in first alone, first with others, or behind another."""
    tallies = np.zeros((len(index), 3), dtype=np.int64)
    for finish, count in counts.items():
        winners = {a for a, score in zip(finish.agents, finish.scores, strict=True) if score == finish.scores[0]}
        for agent in set(finish.agents):
            tallies[index[agent], 2 if agent not in winners else 1 if len(winners) > 1 else 0] += count
    return tallies
