"""What follows from rated episodes: results per pair of agents and running Elo, recomputed by `arena db check`."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from arena.records import Episode

GameKey = tuple[str, int]
"""A game (variant) and the version of its rules."""

Seats = Sequence[tuple[int, float | None]]
"""(agent, score) of each seat, in order."""


def pairings(seats: Seats) -> Iterator[tuple[int, int, int]]:
    """For each two seats with different agents: earlier seat's agent, later seat's, 1, 0 or -1 for the earlier one."""
    for (agent_0, score_0), (agent_1, score_1) in itertools.combinations(seats, 2):
        if agent_0 != agent_1 and score_0 is not None and score_1 is not None:
            yield agent_0, agent_1, (score_0 > score_1) - (score_0 < score_1)


class Tally:
    """Pair results and running Elo of a sequence of games.

    Attributes:
        results: (game, version, agent_0, agent_1) → [wins, draws, losses] of agent_0.
        ratings: (game, version, agent) → (rating, games); fill in what is known before adding games.
    """

    def __init__(self) -> None:
        self.results: dict[tuple[str, int, int, int], list[int]] = {}
        self.ratings: dict[tuple[str, int, int], tuple[float, int]] = {}

    def add(self, game: GameKey, seats: Seats) -> None:
        """Count one rated game. With more than two players K is shared among the opponents."""
        from arena.ratings import K, elo_update

        changes = dict.fromkeys((agent for agent, _ in seats), 0.0)
        met: set[int] = set()
        for agent_0, agent_1, outcome in pairings(seats):
            self.results.setdefault((*game, agent_0, agent_1), [0, 0, 0])[1 - outcome] += 1
            before_0, before_1 = (self.ratings.get((*game, agent), (0.0, 0))[0] for agent in (agent_0, agent_1))
            after_0, after_1 = elo_update(before_0, before_1, (1 + outcome) / 2, K / (len(seats) - 1))
            changes[agent_0] += after_0 - before_0
            changes[agent_1] += after_1 - before_1
            met |= {agent_0, agent_1}
        for agent in met:
            rating, games = self.ratings.get((*game, agent), (0.0, 0))
            self.ratings[*game, agent] = (rating + changes[agent], games + 1)


def record(connection: sqlite3.Connection, episodes: Iterable[Episode]) -> None:
    """Bring `pair_results` and `online_ratings` up to date with new episodes, in the transaction that adds them."""
    tally = Tally()
    rated = [episode for episode in episodes if episode.rated]
    for key in {(e.game, e.version, player.agent) for e in rated for player in e.players}:
        sql = "SELECT rating, games FROM online_ratings WHERE game = ? AND version = ? AND agent = ?"
        if row := connection.execute(sql, key).fetchone():
            tally.ratings[key] = (row["rating"], row["games"])
    for episode in rated:
        tally.add((episode.game, episode.version), [(player.agent, player.score) for player in episode.players])
    connection.executemany(
        """INSERT INTO pair_results VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
            wins = wins + excluded.wins, draws = draws + excluded.draws, losses = losses + excluded.losses""",
        [(*key, *counts) for key, counts in tally.results.items()],
    )
    connection.executemany(
        """INSERT INTO online_ratings VALUES (?, ?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET rating = excluded.rating, games = excluded.games""",
        [(*key, *value) for key, value in tally.ratings.items()],
    )


def recompute(connection: sqlite3.Connection) -> Tally:
    """The tally of all rated episodes of a league."""
    tally = Tally()
    rows = connection.execute(
        """SELECT episodes.id, game, version, agent, score FROM episodes
            JOIN episode_players ON episode = episodes.id WHERE rated ORDER BY episodes.id, seat"""
    )
    for _, players in itertools.groupby(rows, key=lambda row: row["id"]):
        seats = list(players)
        tally.add((seats[0]["game"], seats[0]["version"]), [(row["agent"], row["score"]) for row in seats])
    return tally
