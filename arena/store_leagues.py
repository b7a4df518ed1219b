"""Leagues: the Store's methods about their rounds, what became of their learners, and kept rating fits."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from arena.records import (
    Finish,
    FittedRating,
    League,
    LeagueFact,
    LeagueFactKind,
    PairResult,
    columns,
    from_row,
    to_row,
)
from arena.store_file import LeagueFile
from arena.store_rows import chunks, filters, insert, utc_ms, valid_name
from envs.errors import UnknownNameError, UsageError


class LeagueStore:
    """The part of the Store that is about leagues."""

    _file: LeagueFile

    def create_league(self, league: League) -> int:
        """Begin a league and return its id."""
        name = valid_name(league.name, "league")
        with self._file.write() as connection:
            if connection.execute("SELECT 1 FROM leagues WHERE name = ?", (name,)).fetchone():
                raise UsageError(f"there is a league {name!r} already; choose another name")
            return insert(connection, "leagues", dataclasses.replace(league, name=name, created_at=utc_ms()))

    def league(self, name: str) -> League:
        rows = self._file.rows("SELECT * FROM leagues WHERE name = ?", name)
        if not rows:
            raise UnknownNameError("league", name, (league.name for league in self.leagues()))
        return from_row(League, rows[0])

    def leagues(self, game: str | None = None) -> list[League]:
        where, values = filters({"game": game})
        return [from_row(League, row) for row in self._file.rows(f"SELECT * FROM leagues {where} ORDER BY id", *values)]

    def pause_league(self, name: str, paused: bool = True) -> League:
        """Ask whoever is at work on a league to stop and keep it from going on, or with `paused=False` let it go on."""
        league = self.league(name)
        with self._file.write() as connection:
            since = (league.paused_at or utc_ms()) if paused else None
            connection.execute("UPDATE leagues SET paused_at = ? WHERE id = ?", (since, league.id))
        return self.league(name)

    def advance_league(
        self,
        league: int,
        round: int,
        facts: Iterable[LeagueFact] = (),
        states: Mapping[int, tuple[int, bytes]] | None = None,
    ) -> None:
        """Go on to `round` with what the one before came to; a league never goes back, and a second call does nothing.

        Args:
            facts: about the round that is over.
            states: run → (step, resume state) of learners that go on with what others have learnt.
        """
        with self._file.write() as connection:
            sql = "UPDATE leagues SET round = ? WHERE id = ? AND round < ?"
            if not connection.execute(sql, (round, league, round)).rowcount:
                return
            for fact in facts:
                insert(connection, "league_facts", dataclasses.replace(fact, league=league, created_at=utc_ms()))
            for run, (step, state) in (states or {}).items():
                replace_state(connection, run, step, state)

    def league_facts(
        self, league: int, kind: LeagueFactKind | None = None, learner: int | None = None
    ) -> list[LeagueFact]:
        """What became of a league's learners, in the order in which it happened."""
        where, values = filters({"league": league, "kind": kind, "learner": learner})
        rows = self._file.rows(f"SELECT * FROM league_facts {where} ORDER BY round, id", *values)
        return [from_row(LeagueFact, row) for row in rows]

    def league_results(self, league: int, before: int, since: int = 0, slots: int | None = None) -> list[PairResult]:
        """Rated results of a league's matches of the rounds from `since` on and `before` another, per ordered pair.

        With `slots`, of the first so many slots of each round.
        """
        sql = """SELECT episodes.game, episodes.version, a.agent AS agent_0, b.agent AS agent_1,
                sum(a.score > b.score) AS wins, sum(a.score = b.score) AS draws, sum(a.score < b.score) AS losses
            FROM matches JOIN episodes ON episodes.match = matches.id
            JOIN episode_players AS a ON a.episode = episodes.id
            JOIN episode_players AS b ON b.episode = episodes.id AND a.seat < b.seat
            WHERE league = ?1 AND round >= ?2 AND round < ?3 AND (?4 IS NULL OR slot < ?4)
                AND rated AND a.agent <> b.agent AND a.score IS NOT NULL AND b.score IS NOT NULL
            GROUP BY episodes.game, episodes.version, a.agent, b.agent ORDER BY a.agent, b.agent"""
        return [from_row(PairResult, row) for row in self._file.rows(sql, league, since, before, slots)]

    # Kept fits

    def results_digest(self, game: str) -> tuple[int, str] | None:
        """(version of the rules, digest) of a game's rated results; None: there are none.

        The digest is one of everybody's running Elo and number of games, which every rated game moves, and of who
        bears which name, since tables are anchored by name: it costs next to nothing however many games there are.
        """
        sql = """SELECT version, online_ratings.agent, rating, games, name FROM online_ratings
            JOIN agents ON agents.id = online_ratings.agent
            WHERE online_ratings.game = ?1 AND version = (SELECT max(version) FROM online_ratings WHERE game = ?1)
            ORDER BY online_ratings.agent"""
        rows = self._file.rows(sql, game)
        if not rows:
            return None
        text = json.dumps([(row["agent"], row["rating"].hex(), row["games"], row["name"]) for row in rows])
        return rows[0]["version"], hashlib.sha256(text.encode()).hexdigest()

    def seats(self, game: str, version: int) -> int:
        """How many seats the recorded games of a game have; 0 where there are none."""
        sql = """SELECT count(*) AS seats FROM episode_players
            WHERE episode = (SELECT max(id) FROM episodes WHERE game = ? AND version = ?)"""
        return int(self._file.rows(sql, game, version)[0]["seats"])

    def finishes(self, game: str, version: int) -> list[Finish]:
        """Who sat in each rated game and how it ended, in the order in which the games were kept."""
        sql = """SELECT episodes.id, agent, score FROM episodes JOIN episode_players ON episode = episodes.id
            WHERE game = ? AND version = ? AND rated AND score IS NOT NULL ORDER BY episodes.id, seat"""
        found = []
        for _, rows in itertools.groupby(self._file.rows(sql, game, version), key=lambda row: row["id"]):
            seats = list(rows)
            found.append(Finish(tuple(row["agent"] for row in seats), tuple(row["score"] for row in seats)))
        return found

    def kept_fit(self, game: str, version: int, digest: str) -> list[FittedRating] | None:
        """The ratings that were fitted to results with this digest, best first; None: others or none are kept."""
        with self._file.read() as connection:
            sql = "SELECT 1 FROM fits WHERE game = ? AND version = ? AND digest = ?"
            if not connection.execute(sql, (game, version, digest)).fetchone():
                return None
            sql = """SELECT * FROM fitted_ratings WHERE game = ? AND version = ?
                ORDER BY connected DESC, elo DESC, agent"""
            return [from_row(FittedRating, row) for row in connection.execute(sql, (game, version))]

    def keep_fit(self, game: str, version: int, digest: str, ratings: Sequence[FittedRating]) -> None:
        """Keep a fit in the place of the one before."""
        names = columns(FittedRating)
        with self._file.write() as connection:
            connection.execute("DELETE FROM fitted_ratings WHERE game = ? AND version = ?", (game, version))
            sql = f"INSERT INTO fitted_ratings ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            connection.executemany(sql, (tuple(to_row(rating).values()) for rating in ratings))
            connection.execute("INSERT OR REPLACE INTO fits VALUES (?, ?, ?)", (game, version, digest))


def replace_state(connection: sqlite3.Connection, run: int, step: int, state: bytes) -> None:
    """Put a run's resume state in the place of the one before, in the caller's transaction."""
    connection.execute("DELETE FROM run_states WHERE run = ?", (run,))
    rows = ((run, position, step, chunk) for position, chunk in chunks(state))
    connection.executemany("INSERT INTO run_states VALUES (?, ?, ?, ?)", rows)
