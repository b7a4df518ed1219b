"""How a match enters the Store: its row, its episodes and their players, and what follows from them."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Sequence

from arena import store_results
from arena.records import Agent, Episode, Match
from arena.store_rows import add_agent, insert, utc_ms
from envs.errors import ArenaError


def add_match(connection: sqlite3.Connection, match: Match, episodes: Sequence[Episode]) -> int:
    """Write a match with its episodes in the caller's transaction and return its id."""
    if not episodes:
        raise ArenaError("a match has at least one episode")
    now = utc_ms()
    match_id = insert(connection, "matches", dataclasses.replace(match, created_at=now))
    for episode in episodes:
        _add_episode(connection, dataclasses.replace(episode, match=match_id, created_at=now))
    store_results.record(connection, episodes)
    return match_id


def add_played(
    connection: sqlite3.Connection, matches: Sequence[tuple[Match, Sequence[Episode], Sequence[Sequence[str]]]]
) -> list[int]:
    """Write games of named players, matches of (match, episodes, names by seat), and return their episodes' ids.

    An agent of the game that has the name is the player; who is none yet becomes a person.
    """
    first = connection.execute("SELECT coalesce(max(id), 0) FROM episodes").fetchone()[0]
    for match, episodes, names in matches:
        known = {
            row["name"]: row["id"]
            for row in connection.execute("SELECT id, name FROM agents WHERE game = ?", (match.game,))
        }
        for name in {name for seats in names for name in seats} - known.keys():
            known[name] = add_agent(connection, Agent(match.game, name, "human"), None)
        seated = [
            dataclasses.replace(
                episode,
                players=tuple(
                    dataclasses.replace(player, agent=known[name])
                    for player, name in zip(episode.players, seats, strict=True)
                ),
            )
            for episode, seats in zip(episodes, names, strict=True)
        ]
        add_match(connection, match, seated)
    return [row["id"] for row in connection.execute("SELECT id FROM episodes WHERE id > ? ORDER BY id", (first,))]


def _add_episode(connection: sqlite3.Connection, episode: Episode) -> None:
    if not episode.players:
        raise ArenaError("an episode has at least one player")
    if episode.rated and len(episode.players) > 1 and any(player.score is None for player in episode.players):
        raise ArenaError("each player of a rated game has a score")
    episode_id = insert(connection, "episodes", episode)
    rows = ((episode_id, seat, p.agent, float(p.reward), p.score) for seat, p in enumerate(episode.players))
    connection.executemany(
        "INSERT INTO episode_players (episode, seat, agent, reward, score) VALUES (?, ?, ?, ?, ?)", rows
    )
    for state in episode.states:
        insert(connection, "episode_states", dataclasses.replace(state, episode=episode_id))
