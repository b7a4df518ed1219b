"""The one door to a league's facts, and (with the other `store_*` modules) the only place with SQL.

Every method is one transaction or one read. Names that do not exist raise UnknownNameError, bad names UsageError,
everything that goes wrong with the file ArenaError; then nothing has been written. Imports no torch, and sqlite_utils
only when a file is made or migrated. Methods about runs are in `store_runs.RunStore`, those about leagues in
`store_leagues.LeagueStore`, those about text in `store_text.TextStore`, those about judgements of it in
`store_labels.LabelStore` and `store_rankings.RankingStore`.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arena import store_check
from arena.records import (
    Agent,
    Checkpoint,
    Episode,
    EpisodePlayer,
    EpisodeState,
    GameCount,
    Match,
    MatchKind,
    OnlineRating,
    PackedPolicy,
    PairResult,
    Score,
    columns,
    from_row,
)
from arena.replay_search import Search
from arena.store_file import LeagueFile
from arena.store_leagues import LeagueStore
from arena.store_matches import add_match, add_played
from arena.store_rows import (
    add_agent,
    add_checkpoint,
    checkpoint,
    checkpoint_data,
    filters,
    utc_ms,
    valid_name,
)
from arena.store_runs import RunStore
from arena.store_text import TextStore
from envs.errors import ArenaError, UnknownNameError, UsageError

_AT_ONCE = 500
"""Episodes whose players one query asks for."""


class Store(RunStore, LeagueStore, TextStore):
    """A league's facts.

    Args:
        path: the league's file.
        create: make the file where it is missing; False (for commands that only read): a missing file is a UsageError.
    """

    def __init__(self, path: str | Path, create: bool = True) -> None:
        self._file = LeagueFile(path, create)
        self.path = self._file.path

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Agents

    def add_agent(self, agent: Agent, policy: PackedPolicy | None = None) -> int:
        """Add an agent, and the checkpoint it plays if it is given, and return its id."""
        with self._file.write() as connection:
            return add_agent(connection, agent, policy)

    def agents(self, game: str | None = None, retired: bool = False) -> list[Agent]:
        """Agents of a game (or of all) in the order they came; `retired=True` lists the retired ones too."""
        where, values = filters({"game": game})
        rows = self._file.rows(f"SELECT * FROM agents {where} ORDER BY id", *values)
        return [from_row(Agent, row) for row in rows if retired or row["retired_at"] is None]

    def agent(self, game: str, name: str) -> Agent:
        """The agent of this name, retired or not. `RUN@latest` is the newest checkpoint of the run RUN."""
        run, _, latest = name.rpartition("@")
        if latest == "latest":
            sql = """SELECT agents.* FROM agents JOIN runs ON runs.id = agents.run
                WHERE runs.name = ? AND agents.game = ? ORDER BY agents.step DESC, agents.id DESC LIMIT 1"""
            rows = self._file.rows(sql, run, game)
        else:
            rows = self._file.rows("SELECT * FROM agents WHERE game = ? AND name = ?", game, name)
        if not rows:
            raise UnknownNameError(f"agent of {game}", name, (agent.name for agent in self.agents(game)))
        return from_row(Agent, rows[0])

    def agent_by_id(self, agent: int) -> Agent:
        rows = self._file.rows("SELECT * FROM agents WHERE id = ?", agent)
        if not rows:
            raise ArenaError(f"{self.path}: there is no agent with the id {agent}")
        return from_row(Agent, rows[0])

    def rename_agent(self, game: str, name: str, new_name: str) -> None:
        agent = self.agent(game, name)
        new_name = valid_name(new_name, "agent")
        with self._file.write() as connection:
            other = connection.execute("SELECT id FROM agents WHERE game = ? AND name = ?", (game, new_name)).fetchone()
            if other and other["id"] != agent.id:
                raise UsageError(f"{game} already has an agent {new_name!r}; choose another name")
            connection.execute("UPDATE agents SET name = ? WHERE id = ?", (new_name, agent.id))

    def retire_agent(self, game: str, name: str, retired: bool = True) -> None:
        """Take an agent out of lists and leagues (its games and rating stay), or with `retired=False` bring it back."""
        agent = self.agent(game, name)
        with self._file.write() as connection:
            connection.execute(
                "UPDATE agents SET retired_at = ? WHERE id = ?", (utc_ms() if retired else None, agent.id)
            )

    def human(self, game: str, name: str) -> Agent:
        """The person of this name as a player of `game`, who is added at the first call."""
        name = valid_name(name, "player")
        with self._file.write() as connection:
            row = connection.execute("SELECT * FROM agents WHERE game = ? AND name = ?", (game, name)).fetchone()
            if row is None:
                add_agent(connection, Agent(game=game, name=name, kind="human"), None)
                row = connection.execute("SELECT * FROM agents WHERE game = ? AND name = ?", (game, name)).fetchone()
        if row["kind"] != "human":
            raise UsageError(f"{name!r} is the name of an agent of {game}; choose another for yourself")
        return from_row(Agent, row)

    # Checkpoints

    def add_checkpoint(self, policy: PackedPolicy) -> str:
        """Store a policy's bytes under their hash, which is returned. Until an agent names it, `gc` may drop it."""
        with self._file.write() as connection:
            add_checkpoint(connection, policy)
        return policy.sha256

    def checkpoint(self, sha256: str) -> Checkpoint:
        return checkpoint(self._file, sha256)

    def checkpoint_data(self, sha256: str) -> bytes:
        """A checkpoint's bytes, verified: ArenaError names the checkpoint whose bytes are not what its hash says."""
        return checkpoint_data(self._file, sha256)

    # Matches and episodes

    def add_match(self, match: Match, episodes: Sequence[Episode]) -> int:
        """Record a match with its episodes, and what follows from them, and return its id.

        A league's (round, slot) is played once: a second call returns the first one's id and adds nothing.
        """
        with self._file.write() as connection:
            if match.league is not None:
                slot = (match.league, match.round, match.slot)
                sql = "SELECT id FROM matches WHERE league = ? AND round = ? AND slot = ?"
                if row := connection.execute(sql, slot).fetchone():
                    return row["id"]
            return add_match(connection, match, episodes)

    def add_played(self, matches: Sequence[tuple[Match, Sequence[Episode], Sequence[Sequence[str]]]]) -> list[int]:
        """Record games of named players, (match, episodes, names by seat), all or none; their episodes' ids."""
        with self._file.write() as connection:
            return add_played(connection, matches)

    def match(self, match: int) -> Match:
        rows = self._file.rows("SELECT * FROM matches WHERE id = ?", match)
        if not rows:
            raise UsageError(f"{self.path}: there is no match {match}")
        return from_row(Match, rows[0])

    def matches(
        self,
        game: str | None = None,
        kind: MatchKind | None = None,
        league: int | None = None,
        round: int | None = None,
        limit: int | None = None,
        before: int | None = None,
    ) -> list[Match]:
        """Matches, newest first; `before` a match's id gives the next page."""
        where, values = filters({"game": game, "kind": kind, "league": league, "round": round})
        if before is not None:
            where, values = f"{where} {'AND' if where else 'WHERE'} id < ?", [*values, before]
        rows = self._file.rows(
            f"SELECT * FROM matches {where} ORDER BY id DESC LIMIT ?", *values, -1 if limit is None else limit
        )
        return [from_row(Match, row) for row in rows]

    def episodes(
        self,
        game: str | None = None,
        agent: int | None = None,
        match: int | None = None,
        rated: bool | None = None,
        limit: int | None = None,
        before: int | None = None,
        other: int | None = None,
        search: Search | None = None,
    ) -> list[Episode]:
        """Episodes, newest first, of an agent, against an `other`; `before` an episode's id gives the next page."""
        where, values = filters({"game": game, "match": match, "rated": rated})
        conditions = [where.removeprefix("WHERE ")] if where else ["TRUE"]
        for player in (agent, other):
            if player is not None:
                conditions.append("id IN (SELECT episode FROM episode_players WHERE agent = ?)")
                values.append(player)
        if before is not None:
            conditions.append("id < ?")
            values.append(before)
        if search is not None:
            more, chosen_by = self._searched(search, game)
            conditions += more
            values += chosen_by
        chosen = f"SELECT * FROM episodes WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"
        with self._file.read() as connection:
            rows = connection.execute(chosen, (*values, -1 if limit is None else limit)).fetchall()
            players = _players(connection, [row["id"] for row in rows])
            return [from_row(Episode, row, players=players[row["id"]]) for row in rows]

    def _searched(self, search: Search, game: str | None) -> tuple[list[str], list[Any]]:
        """The conditions of a search, and their values."""
        conditions: list[str] = []
        values: list[Any] = []
        plain = {"id = ?": search.episode, "rated = ?": search.rated, "reason = ?": search.reason}
        for condition, value in (plain | {"length > ?": search.longer, "length < ?": search.shorter}).items():
            if value is not None:
                conditions.append(condition)
                values.append(value)
        scores = {"won": " AND score = 1", "lost": " AND score = 0"}
        for number, part in enumerate(search.players):
            of_game = "AND game = ?" if game is not None else ""
            score = scores.get(search.result or "", "") if number == 0 else ""
            conditions.append(
                f"""id IN (SELECT episode FROM episode_players WHERE agent IN
                    (SELECT id FROM agents WHERE instr(lower(name), lower(?)) {of_game}){score})"""
            )
            values += [part, *([game] if game is not None else [])]
        if search.result == "draw":
            conditions.append("EXISTS (SELECT 1 FROM episode_players WHERE episode = episodes.id AND score = 0.5)")
        return conditions, values

    def episode(self, episode: int) -> Episode:
        rows = self._file.rows("SELECT * FROM episodes WHERE id = ?", episode)
        if not rows:
            raise UsageError(f"{self.path}: there is no episode {episode}; `arena replay list` shows those there are")
        with self._file.read() as connection:
            return from_row(Episode, rows[0], players=_players(connection, [episode])[episode])

    def with_states(self, episode: Episode) -> Episode:
        """The episode with its stored states, in the order of its steps; most games have none."""
        rows = self._file.rows("SELECT * FROM episode_states WHERE episode = ? ORDER BY ply", episode.id)
        return dataclasses.replace(episode, states=tuple(from_row(EpisodeState, row) for row in rows))

    # Results (of the newest version of a game's rules, unless told otherwise)

    def pair_results(self, game: str, version: int | None = None) -> list[PairResult]:
        """All rated results, counted per ordered pair of agents: what ratings are computed from."""
        names = ", ".join(columns(PairResult))
        sql = f"SELECT {names} FROM pair_results WHERE game = ?1 AND version = {_version('pair_results')}"
        return [PairResult(*row) for row in self._file.rows(sql, game, version)]  # there may be a million of them

    def online_ratings(self, game: str, version: int | None = None) -> dict[int, OnlineRating]:
        """Agent id → its running Elo."""
        sql = f"SELECT * FROM online_ratings WHERE game = ?1 AND version = {_version('online_ratings')}"
        return {row["agent"]: from_row(OnlineRating, row) for row in self._file.rows(sql, game, version)}

    def scores(self, game: str, version: int | None = None) -> list[Score]:
        """Returns per agent over the rated episodes of a one-player game, best mean first."""
        sql = f"""SELECT agent, episodes, rewards / episodes AS mean, best, 1.0 * steps / episodes AS mean_length,
                sqrt(max(0, squares / episodes - rewards * rewards / episodes / episodes)) AS std
            FROM score_totals WHERE game = ?1 AND version = {_version("score_totals")} ORDER BY mean DESC, agent"""
        return [from_row(Score, row) for row in self._file.rows(sql, game, version)]

    def results_of(self, agent: int, newest: int) -> list[tuple[int, float]]:
        """(opponent, own score) of an agent's newest rated games of two, oldest first; a draw is ½."""
        sql = """SELECT others.agent AS other, own.score AS score FROM episode_players AS own
            JOIN episodes ON episodes.id = own.episode
            JOIN episode_players AS others ON others.episode = own.episode AND others.seat <> own.seat
            WHERE own.agent = ? AND rated AND own.score IS NOT NULL AND others.agent <> own.agent
            ORDER BY own.episode DESC LIMIT ?"""
        return [(row["other"], row["score"]) for row in reversed(self._file.rows(sql, agent, newest))]

    def match_totals(self, matches: Sequence[int]) -> dict[int, list[tuple[int, int, float]]]:
        """Match → (agent, its games, its points, or the sum of its returns where there is one player), by seat."""
        marks = ", ".join("?" * len(matches))
        sql = f"""SELECT match, agent, count(*) AS games, total(coalesce(score, reward)) AS points
            FROM episodes JOIN episode_players ON episode_players.episode = episodes.id
            WHERE match IN ({marks}) GROUP BY match, agent ORDER BY match, min(episodes.id * 8 + seat)"""
        found: dict[int, list[tuple[int, int, float]]] = {}
        for row in self._file.rows(sql, *matches):
            found.setdefault(row["match"], []).append((row["agent"], row["games"], row["points"]))
        return found

    def games(self) -> list[GameCount]:
        """The games that this league knows something about."""
        sql = """SELECT game, sum(agents) AS agents, sum(episodes) AS episodes FROM (
                SELECT game, count(*) AS agents, 0 AS episodes FROM agents WHERE retired_at IS NULL GROUP BY game
                UNION ALL SELECT game, 0, count(*) FROM episodes GROUP BY game) GROUP BY game ORDER BY game"""
        return [from_row(GameCount, row) for row in self._file.rows(sql)]

    def game_names(self) -> list[str]:
        """The games that this league has members in: what `games` counts, without counting."""
        return [row["game"] for row in self._file.rows("SELECT DISTINCT game FROM agents ORDER BY game")]

    # Settings

    def setting(self, name: str, default: str | None = None) -> str | None:
        rows = self._file.rows("SELECT value FROM settings WHERE name = ?", name)
        return rows[0]["value"] if rows else default

    def set_setting(self, name: str, value: str) -> None:
        with self._file.write() as connection:
            connection.execute(
                "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2", (name, value)
            )

    # Upkeep

    def check(self) -> list[str]:
        """What is wrong with the file, one line each; empty: nothing."""
        return store_check.check(self._file)

    def stats(self) -> dict[str, int]:
        """Rows per table, and `bytes` of the file."""
        return store_check.stats(self._file)

    def backup(self, path: str | Path) -> None:
        """Copy the league to a new file while others write; an existing file is never overwritten."""
        store_check.backup(self._file, Path(path).absolute())

    def gc(self) -> dict[str, int]:
        """Drop `checkpoints` that nothing names, resume `states` and `sidecars` of finished runs; `bytes` are freed."""
        return store_check.gc(self._file)


def _version(table: str) -> str:
    return f"coalesce(?2, (SELECT max(version) FROM {table} WHERE game = ?1))"


def _players(connection: sqlite3.Connection, episodes: Sequence[int]) -> dict[int, tuple[EpisodePlayer, ...]]:
    """Episode → who played it, by seat."""
    found: dict[int, tuple[EpisodePlayer, ...]] = dict.fromkeys(episodes, ())
    for start in range(0, len(episodes), _AT_ONCE):
        some = episodes[start : start + _AT_ONCE]
        sql = f"SELECT * FROM episode_players WHERE episode IN ({', '.join('?' * len(some))}) ORDER BY episode, seat"
        for row in connection.execute(sql, some):
            found[row["episode"]] += (from_row(EpisodePlayer, row),)
    return found
