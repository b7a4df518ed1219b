"""How strong somebody has become: ratings over a run's steps, or over a player's games. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arena.standings import fitted_ratings

if TYPE_CHECKING:
    from arena.store import Store

SCALE = 400 / math.log(10)
"""Elo points of one unit of log odds."""
GAMES = 1_000
"""Games of a player that are looked at, the newest."""
CUTS = 25
MAX_STEP = 3.0
STEPS = 30


@dataclass(frozen=True)
class RatingPoint:
    """A rating with its 95 % interval at `x`: env steps of a run, or rated games of a player."""

    x: int
    elo: float
    low: float
    high: float


def run_histories(store: Store, game: str, most: int = 6) -> dict[str, list[RatingPoint]]:
    """Of the runs with the best agents, the rating of each agent that they left, by env steps."""
    ratings = fitted_ratings(store, game)
    agents = {agent.id: agent for agent in store.agents(game, retired=True)}
    points: dict[int, list[RatingPoint]] = {}
    for rating in ratings:  # the best first, so the first runs to be seen are the best ones
        agent = agents[rating.agent]
        if agent.run is None or agent.step is None or not rating.connected:
            continue
        if agent.run in points or len(points) < most:
            points.setdefault(agent.run, []).append(RatingPoint(agent.step, rating.elo, rating.low, rating.high))
    names = {run.id: run.name for run in store.runs(game)} if points else {}
    return {names[run]: sorted(found, key=lambda point: point.x) for run, found in points.items() if run in names}


def player_history(store: Store, game: str, name: str) -> list[RatingPoint]:
    """An agent's or a person's rating after so many of its newest rated games, opponents rated as they are now."""
    agent = store.agent(game, name)
    elos = {rating.agent: rating.elo for rating in fitted_ratings(store, game) if rating.connected}
    results = [(elos[other], score) for other, score in store.results_of(agent.id, GAMES) if other in elos]
    if not results:
        return []
    stride = max(1, -(-len(results) // CUTS))
    cuts = range((len(results) - 1) % stride + 1, len(results) + 1, stride)
    return [_point(cut, performance(results[:cut])) for cut in cuts]


def _point(games: int, found: tuple[float, float]) -> RatingPoint:
    elo, half = found
    return RatingPoint(games, elo, elo - half, elo + half)


def performance(results: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The Elo that explains results against (opponent's Elo, score 0 … 1) best, and half its 95 % interval.

    The maximum of the likelihood of the logistic model with one draw against the mean opponent added, which keeps it
    finite where every game was won; Newton's method with steps of at most `MAX_STEP`, the interval from the Fisher
    information.
    """
    mean = sum(elo for elo, _ in results) / len(results)
    games = [(elo / SCALE, score) for elo, score in [*results, (mean, 0.5)]]
    strength = mean / SCALE
    for _ in range(STEPS):
        expected = [1 / (1 + math.exp(max(-700.0, min(700.0, other - strength)))) for other, _ in games]
        slope = sum(score - share for (_, score), share in zip(games, expected, strict=True))
        information = sum(share * (1 - share) for share in expected)
        step = max(-MAX_STEP, min(MAX_STEP, slope / max(information, 1e-9)))
        strength += step
        if abs(step) < 1e-9:
            break
    return SCALE * strength, 1.96 * SCALE / math.sqrt(max(information, 1e-9))
