"""Training runs: the Store's methods about their progress, metrics and resume states."""

from __future__ import annotations

import dataclasses
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from arena import store_check
from arena.records import Agent, Episode, LeagueFact, Match, PackedPolicy, Run, RunState, RunStatus, from_row
from arena.store_file import LeagueFile
from arena.store_leagues import replace_state
from arena.store_matches import add_match
from arena.store_rows import add_agent, filters, insert, utc_ms, valid_run_name
from envs.errors import ArenaError, UnknownNameError, UsageError


class RunStore:
    """The part of the Store that is about runs."""

    path: Path
    _file: LeagueFile

    def create_run(self, run: Run) -> int:
        """Begin a run and return its id; its name must be new and fit for `NAME@step`."""
        name = valid_run_name(run.name)
        with self._file.write() as connection:
            if connection.execute("SELECT 1 FROM runs WHERE name = ?", (name,)).fetchone():
                raise UsageError(
                    f"there is a run {name!r} already; choose another --name, or continue it with --resume"
                )
            now = utc_ms()
            return insert(connection, "runs", dataclasses.replace(run, name=name, created_at=now, updated_at=now))

    def run(self, name: str) -> Run:
        rows = self._file.rows("SELECT * FROM runs WHERE name = ?", name)
        if not rows:
            raise UnknownNameError("run", name, (run.name for run in self.runs()))
        return from_row(Run, rows[0])

    def runs(self, game: str | None = None, league: int | None = None, newest: int | None = None) -> list[Run]:
        """Runs in the order they began; with `newest` the latest so many alone."""
        where, values = filters({"game": game, "league": league})
        sql = f"SELECT * FROM runs {where} ORDER BY id DESC LIMIT ?"
        rows = self._file.rows(sql, *values, -1 if newest is None else newest)
        return [from_row(Run, row) for row in reversed(rows)]

    def commit_interval(
        self,
        run: int,
        step: int,
        seconds: float,
        metrics: Iterable[tuple[int, Mapping[str, float]]] = (),
        state: bytes | None = None,
        agent: Agent | None = None,
        policy: PackedPolicy | None = None,
        match: Match | None = None,
        episodes: Sequence[Episode] = (),
        fact: LeagueFact | None = None,
    ) -> int | None:
        """Keep a training interval: metrics, progress, resume state, agent and its checkpoint, all or nothing.

        Args:
            step, seconds: how far the run has come, in all.
            metrics: (step, key → number); what a resumed run reports once more is ignored, NaN is kept.
            state: replaces the run's resume state.
            agent, policy: a new agent and the checkpoint it plays.
            match, episodes: games of the interval that are kept; the agent 0 in them is the new one.
            fact: what it means to the run's league; its agent is the new one.

        Returns:
            The agent's id, if one was given.
        """
        with self._file.write() as connection:
            self._update_run(connection, run, {"step": step, "seconds": seconds, "state": "running"})
            _add_metrics(connection, run, metrics)
            if state is not None:
                replace_state(connection, run, step, state)
            agent_id = None if agent is None else add_agent(connection, agent, policy)
            if match is not None and agent_id is not None:
                add_match(connection, match, [_played_by(agent_id, episode) for episode in episodes])
            if fact is not None:
                insert(connection, "league_facts", dataclasses.replace(fact, agent=agent_id, created_at=utc_ms()))
        if state is not None:
            store_check.drop_sidecars(self.path, run, keep_step=step)
        return agent_id

    def add_metrics(self, run: int, metrics: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Keep metrics between two intervals: after a kill the run reports them once more, which is ignored."""
        if metrics:
            with self._file.write() as connection:
                _add_metrics(connection, run, metrics)

    def extend_run(self, run: int, total_steps: int) -> None:
        """Set a run going again, towards `total_steps`."""
        with self._file.write() as connection:
            self._update_run(connection, run, {"total_steps": total_steps, "state": "running", "error": None})

    def finish_run(self, run: int, state: RunStatus = "finished", error: str | None = None) -> None:
        """Say how a run ended; `error` is the line that tells why it failed."""
        with self._file.write() as connection:
            self._update_run(connection, run, {"state": state, "error": error})

    def run_state(self, run: int) -> RunState | None:
        """What a run resumes from, or None where there is nothing."""
        rows = self._file.rows("SELECT step, data FROM run_states WHERE run = ? ORDER BY position", run)
        return RunState(run, rows[0]["step"], b"".join(row["data"] for row in rows)) if rows else None

    def metric_keys(self, run: int) -> list[str]:
        """What a run has reported, by name."""
        sql = """SELECT key FROM metric_keys WHERE EXISTS
            (SELECT 1 FROM metrics WHERE metrics.run = ? AND metrics.key = metric_keys.id) ORDER BY key"""
        return [row["key"] for row in self._file.rows(sql, run)]

    def newest_metrics(self, run: int, keys: Sequence[str] | None = None) -> dict[str, float]:
        """The last value of each series of a run, or of those among `keys`."""
        sql = """SELECT metric_keys.key AS name, (SELECT value FROM metrics
                WHERE metrics.run = ?1 AND metrics.key = metric_keys.id ORDER BY step DESC LIMIT 1) AS value
            FROM metric_keys WHERE EXISTS
                (SELECT 1 FROM metrics WHERE metrics.run = ?1 AND metrics.key = metric_keys.id)"""
        chosen = f" AND metric_keys.key IN ({', '.join('?' * len(keys))})" if keys is not None else ""
        rows = self._file.rows(f"{sql}{chosen} ORDER BY name", run, *(keys or ()))
        return {row["name"]: math.nan if row["value"] is None else row["value"] for row in rows}

    def newest_step(self, run: int) -> int:
        """The step of the last metrics of a run; 0 before there are any."""
        sql = """SELECT max((SELECT max(step) FROM metrics WHERE run = ? AND key = metric_keys.id)) AS step
            FROM metric_keys"""
        return int(self._file.rows(sql, run)[0]["step"] or 0)

    def metrics(self, run: int, key: str, points: int | None = None) -> list[tuple[int, float]]:
        """(step, value) of one series, thinned evenly to at most `points` (the last one always among them)."""
        sql = """SELECT step, value FROM metrics WHERE run = ?
            AND key = (SELECT id FROM metric_keys WHERE metric_keys.key = ?) ORDER BY step"""
        series = [
            (row["step"], math.nan if row["value"] is None else row["value"]) for row in self._file.rows(sql, run, key)
        ]
        if points is None or len(series) <= points:
            return series
        stride = -(-len(series) // points)
        return series[(len(series) - 1) % stride :: stride]

    def _update_run(self, connection: sqlite3.Connection, run: int, values: dict[str, Any]) -> None:
        changes = ", ".join(f"{name} = ?" for name in values)
        cursor = connection.execute(
            f"UPDATE runs SET {changes}, updated_at = ? WHERE id = ?", (*values.values(), utc_ms(), run)
        )
        if cursor.rowcount != 1:
            raise ArenaError(f"{self.path}: there is no run with the id {run}")


def _played_by(agent: int, episode: Episode) -> Episode:
    players = (dataclasses.replace(player, agent=player.agent or agent) for player in episode.players)
    return dataclasses.replace(episode, players=tuple(players))


def _add_metrics(connection: sqlite3.Connection, run: int, metrics: Iterable[tuple[int, Mapping[str, float]]]) -> None:
    rows = [(step, key, float(value)) for step, values in metrics for key, value in values.items()]
    connection.executemany("INSERT OR IGNORE INTO metric_keys (key) VALUES (?)", {(key,) for _, key, _ in rows})
    ids = {row["key"]: row["id"] for row in connection.execute("SELECT id, key FROM metric_keys")}
    values = ((run, ids[key], step, None if math.isnan(value) else value) for step, key, value in rows)
    connection.executemany("INSERT OR IGNORE INTO metrics VALUES (?, ?, ?, ?)", values)
