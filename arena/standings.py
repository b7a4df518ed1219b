"""Leaderboards: what the facts in the Store say about who is how strong. Imports no torch.

Ratings are fitted to all rated games at once (`ratings.py`; `plackett_luce.py` for games of more than two), with
random = 0 where random has played; a fit is kept in the Store until the results change. One-player games have score
tables instead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from arena.records import AgentKind, FittedRating
from envs.errors import ArenaError
from envs.human_scores import human_share

if TYPE_CHECKING:
    from arena.ratings import Fit, Goodness
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
    """A row of a one-player game's score table: returns over all rated episodes, `std` the population's.

    `human`: the mean as a share of the way from random play to a human's score, in Atari games where that is known.
    """

    rank: int | None
    agent: str
    kind: AgentKind
    retired: bool
    mean: float
    std: float
    best: float
    episodes: int
    mean_length: float
    human: float | None = None


def fitted_ratings(store: Store, game: str) -> list[FittedRating]:
    """Everybody's rating, best first: the kept fit where the results are still those that it was fitted to.

    A new fit is kept, unless the file cannot be written.
    """
    found = store.results_digest(game)
    if found is None:
        return []
    version, digest = found
    kept = store.kept_fit(game, version, digest)
    if kept is not None:
        return kept
    anchor = next((agent.id for agent in store.agents(game, retired=True) if agent.name == ANCHOR), None)
    ratings = [
        FittedRating(**vars(rating), game=game, version=version)
        for rating in _fit(store, game, version, anchor).ratings
    ]
    if store.results_digest(game) == found:  # no game has come in between
        with contextlib.suppress(ArenaError):
            store.keep_fit(game, version, digest, ratings)
    return ratings


def _fit(store: Store, game: str, version: int, anchor: int | None) -> Fit:
    """By results of two against each other; in games of more players by who finished where."""
    if store.seats(game, version) > 2:
        from arena.plackett_luce import fit_plackett_luce

        return fit_plackett_luce(store.finishes(game, version), anchor)
    from arena.ratings import fit_bradley_terry

    return fit_bradley_terry(store.pair_results(game, version), anchor)


def standings(store: Store, game: str, retired: bool = False) -> list[Standing]:
    """The rating table of a game (a canonical variant), best first.

    Retired agents count in the fit; with `retired` they are shown, too.
    """
    ratings, online = fitted_ratings(store, game), store.online_ratings(game)
    agents = {agent.id: agent for agent in store.agents(game, retired=True)}  # after the facts that name them
    rows: list[Standing] = []
    rank = 0
    for rating in ratings:
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


@dataclass(frozen=True)
class PairRow:
    """Two agents that have met, from the first one's side; `ratings.Pair` says what the numbers are."""

    agent: str
    other: str
    games: int
    score: float
    expected: float
    superiority: float
    surprise: float


@dataclass(frozen=True)
class Matrix:
    """Who beats whom, by agents in the table's order.

    Attributes:
        scores, games: [A][A] the row's share of points against the column (None: never met), and how many games.
        nash: [A] each agent's share in the mixture that nobody beats. nash_scores: [A] what it scores against that.
        alpha_rank: [A] the share of time that an evolving population spends with it.
    """

    agents: tuple[str, ...]
    scores: tuple[tuple[float | None, ...], ...]
    games: tuple[tuple[int, ...], ...]
    nash: tuple[float, ...]
    nash_scores: tuple[float, ...]
    alpha_rank: tuple[float, ...]


def pair_rows(store: Store, game: str) -> tuple[list[PairRow], Goodness]:
    """All pairs of a game that have met in rated games, and how well ratings explain their results."""
    from arena.ratings import examine_pairs

    pairs, goodness = examine_pairs(store.pair_results(game))
    names = {agent.id: agent.name for agent in store.agents(game, retired=True)}
    rows = [
        PairRow(names[p.agent], names[p.other], p.games, p.score, p.expected, p.superiority, p.surprise) for p in pairs
    ]
    return rows, goodness


def matrix(
    store: Store,
    game: str,
    retired: bool = False,
    most: int | None = None,
    agents: Collection[str] | None = None,
) -> Matrix:
    """Who beats whom in a game of two, among the agents that the table ranks (or those of them that are named), or the
    best so many of them.

    Pairs that have not met count in the mixtures with the score that their ratings make them expect.
    """
    from arena.metagame import alpha_rank, nash_average
    from arena.ratings import elo_score, win_matrix

    rows = [
        row for row in standings(store, game, retired) if row.connected and (agents is None or row.agent in agents)
    ][:most]
    ids = {agent.name: agent.id for agent in store.agents(game, retired=True)}
    shares, games = win_matrix(store.pair_results(game), [ids[row.agent] for row in rows])
    scores = [
        [shares[a, b] if games[a, b] else elo_score(one.elo - other.elo) for b, other in enumerate(rows)]
        for a, one in enumerate(rows)
    ]
    nash, nash_scores = nash_average(scores)
    return Matrix(
        agents=tuple(row.agent for row in rows),
        scores=tuple(
            tuple(float(shares[a, b]) if games[a, b] else None for b in range(len(rows))) for a in range(len(rows))
        ),
        games=tuple(map(tuple, games.tolist())),
        nash=tuple(nash.tolist()),
        nash_scores=tuple(nash_scores.tolist()),
        alpha_rank=tuple(alpha_rank(scores).tolist()),
    )


def score_table(store: Store, game: str, retired: bool = False) -> list[ScoreRow]:
    """The score table of a one-player game (a canonical variant), best mean return first; people are in it too."""
    scores = store.scores(game)
    agents = {agent.id: agent for agent in store.agents(game, retired=True)}
    rows: list[ScoreRow] = []
    rank = 0
    for score in scores:
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
                human=human_share(game, score.mean),
            )
        )
    return rows
