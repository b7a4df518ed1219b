"""Upkeep of a league's file: check, stats, backup, gc."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from arena import store_results
from arena.migrations import SCORE_TOTALS
from arena.store_file import LeagueFile
from arena.store_rows import FILE_ALGORITHM
from envs.errors import ArenaError, UsageError
from envs.specs import find_game

DIGEST_BYTES = 8
METADATA_KEY = "arena"
"""Where a safetensors file holds the JSON that belongs to its tensors."""
RATING_TOLERANCE = 1e-6
SAFETENSORS_HEADER_LIMIT = 100_000_000


def check(file: LeagueFile) -> list[str]:
    """What is wrong with a league, one line each; empty: nothing."""
    try:
        with file.read() as connection:
            problems = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            if problems:
                return [f"the file is damaged: {problem}" for problem in problems]
            return [problem for part in _PARTS for problem in part(connection)]
    except ArenaError as error:
        return [str(error)]


def _foreign_keys(connection: sqlite3.Connection) -> Iterator[str]:
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"{table}: row {row} names a row of {parent} that does not exist"


def _chunked(connection: sqlite3.Connection, table: str, key: str, value: str | int) -> tuple[int, str, bytes, bool]:
    """Size, SHA-256, first bytes and continuity of a chunked blob, one chunk in memory at a time."""
    digest, size, head, whole = hashlib.sha256(), 0, b"", True
    rows = connection.execute(f"SELECT position, data FROM {table} WHERE {key} = ? ORDER BY position", (value,))
    for expected, (position, data) in enumerate(rows):
        head = head if size else data
        whole &= position == expected
        size += len(data)
        digest.update(data)
    return size, digest.hexdigest(), head, whole


def _checkpoints(connection: sqlite3.Connection) -> Iterator[str]:
    for row in connection.execute("SELECT sha256, size, algorithm, config FROM checkpoints").fetchall():
        size, digest, head, whole = _chunked(connection, "checkpoint_chunks", "sha256", row["sha256"])
        if not whole:
            yield f"checkpoint {row['sha256']}: a chunk is missing"
        elif size != row["size"]:
            yield f"checkpoint {row['sha256']}: {size} bytes instead of {row['size']}"
        elif digest != row["sha256"]:
            yield f"checkpoint {row['sha256']} is corrupt: its bytes have the hash {digest}"
        elif row["algorithm"] != FILE_ALGORITHM and _metadata(head) != {
            "algorithm": row["algorithm"],
            "config": json.loads(row["config"]),
        }:
            yield f"checkpoint {row['sha256']}: its algorithm and config are not those in its bytes"


def _metadata(head: bytes) -> Any:
    """What a policy's first bytes say about it; None where they are no policy's."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        header = json.loads(head[8 : 8 + int.from_bytes(head[:8], "little")])
        return json.loads(header["__metadata__"][METADATA_KEY])
    return None


def _run_states(connection: sqlite3.Connection) -> Iterator[str]:
    sql = "SELECT DISTINCT runs.id, name FROM run_states JOIN runs ON runs.id = run_states.run"
    for run, name in connection.execute(sql).fetchall():
        size, _, head, whole = _chunked(connection, "run_states", "run", run)
        if not whole:
            yield f"run {name!r}: a chunk of its resume state is missing"
        elif not _is_safetensors(head, size):
            yield f"run {name!r}: its resume state is unreadable"


def _is_safetensors(head: bytes, size: int) -> bool:
    """Whether bytes begin with a safetensors header that agrees with their number."""
    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 or length > SAFETENSORS_HEADER_LIMIT:
        return False
    if len(head) < 8 + length:
        return size >= 8 + length
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        entries = json.loads(head[8 : 8 + length])
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        return 8 + length + max(ends, default=0) == size
    return False


def _matches(connection: sqlite3.Connection) -> Iterator[str]:
    sql = "SELECT id FROM matches WHERE NOT EXISTS (SELECT 1 FROM episodes WHERE episodes.match = matches.id)"
    for (match,) in connection.execute(sql):
        yield f"match {match} has no episodes"


def _episodes(connection: sqlite3.Connection) -> Iterator[str]:
    sql = """SELECT episodes.*, matches.game AS match_game, count(seat) AS players, max(seat) AS last_seat,
            sum(score IS NULL) AS unscored, length(actions) AS action_bytes, length(chain) AS chain_bytes
        FROM episodes JOIN matches ON matches.id = episodes.match
        LEFT JOIN episode_players ON episode = episodes.id GROUP BY episodes.id"""
    for row in connection.execute(sql):
        problems = []
        seats, slots = _seats(row["game"], row["players"])
        if row["players"] != seats or row["last_seat"] != seats - 1:
            problems.append(f"{row['players']} players instead of {seats}")
        if row["rated"] and row["players"] > 1 and row["unscored"]:
            problems.append("a rated player has no score")
        if row["game"] != row["match_game"]:
            problems.append(f"its game is not its match's, {row['match_game']}")
        if not _fits(row["action_bytes"], row["length"], slots):
            problems.append(f"{row['action_bytes']} bytes of actions for {row['length']} steps")
        if row["chain_bytes"] != DIGEST_BYTES * (row["length"] + 1):
            problems.append(f"{row['chain_bytes']} bytes of hash chain for {row['length']} steps")
        yield from (f"episode {row['id']}: {problem}" for problem in problems)


def _episode_states(connection: sqlite3.Connection) -> Iterator[str]:
    sql = """SELECT episode, ply, length, json_array_length(returns) AS known,
            (SELECT count(*) FROM episode_players WHERE episode_players.episode = episodes.id) AS players
        FROM episode_states JOIN episodes ON episodes.id = episode
        WHERE ply >= length OR known <> players"""
    for row in connection.execute(sql):
        where = f"episode {row['episode']}: its state at step {row['ply']}"
        yield f"{where} of {row['length']} has {row['known']} returns for {row['players']} players"


def _seats(game: str, players: int) -> tuple[int, tuple[int, ...]]:
    """How many players an episode of `game` has, and how many may decide at once (more than one answer: unknown)."""
    try:
        known = find_game(game.partition("?")[0])
    except UsageError:
        return max(players, 1), (1, players)
    seats = known.num_players or max(players, 1)
    return seats, {"simultaneous": (seats,), "any": (1, seats)}.get(known.turns, (1,))


def _fits(size: int, length: int, slots: tuple[int, ...]) -> bool:
    """Whether `size` bytes can be the actions of `length` steps: one or two bytes a slot, or a few float32."""
    if length == 0 or size % length:
        return size == length == 0
    per_step = size // length
    return any(per_step in (k, 2 * k) or (per_step > 0 and per_step % (4 * k) == 0) for k in slots)


def _results(connection: sqlite3.Connection) -> Iterator[str]:
    tally = store_results.recompute(connection)
    stored = {tuple(row)[:4]: list(row)[4:] for row in connection.execute("SELECT * FROM pair_results")}
    for key in sorted(stored.keys() | tally.results.keys()):
        if stored.get(key) != tally.results.get(key):
            yield f"pair_results {key}: {stored.get(key)} instead of {tally.results.get(key)}"
    ratings = {tuple(row)[:3]: tuple(row)[3:] for row in connection.execute("SELECT * FROM online_ratings")}
    for key in sorted(ratings.keys() | tally.ratings.keys()):
        (rating, games), (right, right_games) = ratings.get(key, (0, 0)), tally.ratings.get(key, (0, 0))
        if games != right_games or abs(rating - right) > RATING_TOLERANCE:
            yield f"online_ratings {key}: {rating:.3f} after {games} games instead of {right:.3f} after {right_games}"


def _score_totals(connection: sqlite3.Connection) -> Iterator[str]:
    right = {tuple(row)[:3]: tuple(row)[3:] for row in connection.execute(SCORE_TOTALS)}
    stored = {tuple(row)[:3]: tuple(row)[3:] for row in connection.execute("SELECT * FROM score_totals")}
    for key in sorted(stored.keys() | right.keys()):
        found, wanted = stored.get(key), right.get(key)
        if (
            not found
            or not wanted
            or not all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(found, wanted, strict=True))
        ):
            yield f"score_totals {key}: {found} instead of {wanted}"


def _judgements(connection: sqlite3.Connection) -> Iterator[str]:
    about = {"labels": "pair", "rankings": "prompt", "scores": "completion"}
    for table, thing in about.items():
        sql = f"""SELECT {table}.id FROM {table} JOIN {table} AS undone ON undone.id = {table}.undoes
            WHERE undone.undoes IS NOT NULL OR undone.annotator <> {table}.annotator
            OR undone.{thing} <> {table}.{thing} OR undone.id >= {table}.id"""
        for (row,) in connection.execute(sql):
            yield f"{table}: row {row} undoes what it is not about"
    sql = """SELECT pairs.id FROM pairs JOIN completions AS a ON a.id = completion_a
        JOIN completions AS b ON b.id = completion_b WHERE a.text = b.text"""
    for (pair,) in connection.execute(sql):
        yield f"pair {pair}: its two texts are the same"
    for row in connection.execute("SELECT id, shown, ranks FROM rankings WHERE undoes IS NULL"):
        shown, ranks = json.loads(row["shown"]), json.loads(row["ranks"])
        labels = connection.execute("SELECT count(*) FROM labels WHERE ranking = ?", (row["id"],)).fetchone()[0]
        if len(shown) != len(ranks) or labels != len(shown) * (len(shown) - 1) // 2:
            yield f"ranking {row['id']}: {labels} labels from {len(shown)} completions with {len(ranks)} ranks"


_PARTS = (
    _foreign_keys,
    _checkpoints,
    _run_states,
    _matches,
    _episodes,
    _episode_states,
    _results,
    _score_totals,
    _judgements,
)


def stats(file: LeagueFile) -> dict[str, int]:
    """Rows per table, and `bytes` of the file."""
    with file.read() as connection:
        tables = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY name"
        )
        names = [row[0] for row in connection.execute(tables).fetchall() if not row[0].startswith("sqlite_")]
        counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
        return counts | {"bytes": _bytes(connection)}


def _bytes(connection: sqlite3.Connection) -> int:
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return pages * size


def backup(file: LeagueFile, path: Path) -> None:
    """Copy a league, as it is at one moment, to a new file while others write. The copy is whole or not there."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists; a backup never overwrites: name a new file")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; make it first")
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        with file.exclusive() as connection:
            with contextlib.closing(sqlite3.connect(partial)) as copy:
                connection.backup(copy)
            os.link(partial, path)
    except FileExistsError:
        raise UsageError(f"{path} exists; a backup never overwrites: name a new file") from None
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def sidecar_path(database: Path, run: int, step: int) -> Path:
    """Where a replay memory lies that is too large for the league's file."""
    return database.with_name(database.name + ".runs") / f"run-{run}-{step}.safetensors"


def drop_sidecars(database: Path, run: int, keep_step: int | None = None) -> int:
    """Remove a run's sidecars but that of `keep_step`, and say how many."""
    pattern, kept = sidecar_path(database, run, 0), sidecar_path(database, run, -1 if keep_step is None else keep_step)
    stale = [path for path in pattern.parent.glob(f"run-{run}-*.safetensors") if path != kept]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def gc(file: LeagueFile) -> dict[str, int]:
    """Drop checkpoints that nothing names, finished runs' resume states and sidecars; say how many of each."""
    with file.write() as connection:
        before = _bytes(connection)
        unnamed = """DELETE FROM checkpoints WHERE sha256 NOT IN (SELECT sha256 FROM text_model_files)
            AND sha256 NOT IN (SELECT checkpoint FROM agents WHERE checkpoint IS NOT NULL)"""
        checkpoints = connection.execute(unnamed).rowcount
        finished = "run IN (SELECT id FROM runs WHERE state = 'finished')"
        states = connection.execute(f"SELECT count(DISTINCT run) FROM run_states WHERE {finished}").fetchone()[0]
        connection.execute(f"DELETE FROM run_states WHERE {finished}")
        runs = [row[0] for row in connection.execute("SELECT id FROM runs WHERE state = 'finished'")]
    sidecars = sum(drop_sidecars(file.path, run) for run in runs)
    with file.exclusive() as connection:
        connection.execute("VACUUM")
        freed = before - _bytes(connection)
    return {"checkpoints": checkpoints, "states": states, "sidecars": sidecars, "bytes": freed}
