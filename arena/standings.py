"""Leaderboards: what the facts in the Store say about who is how strong. Imports no torch.

Ratings are fitted to all rated games at once (`ratings.py`), with random = 0 where random has played. One-player games
have score tables instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from arena.records import AgentKind

if TYPE_CHECKING:
    from arena.store import Store

ANCHOR = "random"


@dataclass(frozen=True)
class Standing:
    """A row of a rating table.

    Attributes:
        rank: 1 is the best; None for retired agents and for those that no chain of games joins to the anchor.
        elo, low, high: with its 95 % interval, relative to the anchor.
        online: the running Elo, which depends on the order of the games.
        first_score, second_score: the share of points in the earlier and the later seat; None where it never sat there.
        connected: whether a chain of games leads to the anchor.
    """

    rank: int | None
    agent: str
    kind: AgentKind
    retired: bool
    elo: float
    low: float
    high: float
    online: float
    games: int
    wins: int
    draws: int
    losses: int
    first_score: float | None
    second_score: float | None
    connected: bool


@dataclass(frozen=True)
class ScoreRow:
    """A row of a one-player game's score table: returns over all rated episodes, `std` the population's."""

    rank: int | None
    agent: str
    kind: AgentKind
    retired: bool
    mean: float
    std: float
    best: float
    episodes: int
    mean_length: float


def standings(store: Store, game: str, retired: bool = False) -> list[Standing]:
    """The rating table of a game (a canonical variant), best first.

    Retired agents count in the fit; with `retired` they are shown, too.
    """
    from arena.ratings import fit_bradley_terry

    agents = {agent.id: agent for agent in store.agents(game, retired=True)}
    anchor = next((agent.id for agent in agents.values() if agent.name == ANCHOR), None)
    online = store.online_ratings(game)
    rows: list[Standing] = []
    rank = 0
    for rating in fit_bradley_terry(store.pair_results(game), anchor).ratings:
        agent = agents[rating.agent]
        is_retired = agent.retired_at is not None
        if is_retired and not retired:
            continue
        ranked = rating.connected and not is_retired
        rank += ranked
        running = online.get(agent.id)
        rows.append(
            Standing(
                rank=rank if ranked else None,
                agent=agent.name,
                kind=agent.kind,
                retired=is_retired,
                elo=rating.elo,
                low=rating.low,
                high=rating.high,
                online=running.rating if running else 0.0,
                games=rating.games,
                wins=rating.wins,
                draws=rating.draws,
                losses=rating.losses,
                first_score=rating.first_score,
                second_score=rating.second_score,
                connected=rating.connected,
            )
        )
    return rows


def score_table(store: Store, game: str, retired: bool = False) -> list[ScoreRow]:
    """The score table of a one-player game (a canonical variant), best mean return first; people are in it too."""
    agents = {agent.id: agent for agent in store.agents(game, retired=True)}
    rows: list[ScoreRow] = []
    rank = 0
    for score in store.scores(game):
        agent = agents[score.agent]
        is_retired = agent.retired_at is not None
        if is_retired and not retired:
            continue
        rank += not is_retired
        rows.append(
            ScoreRow(
                rank=None if is_retired else rank,
                agent=agent.name,
                kind=agent.kind,
                retired=is_retired,
                mean=score.mean,
                std=score.std,
                best=score.best,
                episodes=score.episodes,
                mean_length=score.mean_length,
            )
        )
    return rows
