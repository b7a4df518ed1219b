"""What the parts of the Store share: names, rows, chunks, and the agents that enter with their checkpoints."""

from __future__ import annotations

import dataclasses
import hashlib
import sqlite3
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any

from arena.records import Agent, Checkpoint, PackedPolicy, columns, from_row, has_json, to_row
from arena.store_file import LeagueFile
from envs.errors import ArenaError, UsageError

CHUNK_BYTES = 8 * 2**20
MAX_BLOB_BYTES = 2 * 2**30
FILE_ALGORITHM = "file"
"""The `algorithm` of a blob that is a file of a model's directory, whatever its format."""
MAX_NAME = 64
MAX_RUN_NAME = MAX_NAME - len(f"@{2**63 - 1}")
"""A run's agents are named NAME@step."""
MAX_TEXT = 100_000
"""Characters of a prompt, a completion or a note."""


def valid_name(name: str, kind: str) -> str:
    """`name` in Unicode's normal form, or a UsageError that says what is wrong with it."""
    name = unicodedata.normalize("NFC", name)
    problem = None
    if not name or name != name.strip():
        problem = "must not be empty nor begin or end with a space"
    elif len(name) > MAX_NAME:
        problem = f"has at most {MAX_NAME} characters"
    elif not name.isprintable():
        problem = "has printable characters only"
    elif name.startswith("-"):
        problem = "must not begin with -"
    elif name == "latest" or name.endswith("@latest"):
        problem = "must not end in @latest, which means a run's newest checkpoint"
    if problem:
        raise UsageError(f"the {kind}'s name {name[: MAX_NAME + 1]!r} will not do: a name {problem}")
    return name


def valid_run_name(name: str) -> str:
    """`valid_name` of a run, whose agents' names begin with it."""
    name = valid_name(name, "run")
    if "@" in name:
        raise UsageError(f"a run's name has no @ in it: {name!r}; its agents are named {name.replace('@', '-')}@step")
    if len(name) > MAX_RUN_NAME:
        raise UsageError(f"a run's name has at most {MAX_RUN_NAME} characters, so that NAME@step is one: {name!r}")
    return name


def valid_text(text: str, kind: str, may_be_empty: bool = False) -> str:
    """`text` as it is, or a UsageError that says why it cannot be kept."""
    if not text and not may_be_empty:
        raise UsageError(f"the {kind} is empty")
    if len(text) > MAX_TEXT:
        raise UsageError(f"the {kind} has {len(text):,} characters; at most {MAX_TEXT:,} are taken")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the {kind} is no Unicode text: it has half of a surrogate pair in it") from None
    return text


def utc_ms() -> int:
    return time.time_ns() // 1_000_000


def filters(values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The WHERE clause of the columns that are not None, and their values."""
    given = {name: value for name, value in values.items() if value is not None}
    return ("WHERE " + " AND ".join(f"{name} = ?" for name in given) if given else ""), list(given.values())


def insert(connection: sqlite3.Connection, table: str, record: Any) -> int:
    kind: type = type(record)
    sql, values = _insertion(table, kind)
    cursor = connection.execute(sql, values(record))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


@cache
def _insertion(table: str, kind: type) -> tuple[str, Callable[[Any], Sequence[Any]]]:
    """The statement, and what makes its values of a record: by far the most of an import's time goes this way."""
    names = [name for name in columns(kind) if name != "id"]
    sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    if not has_json(kind):
        return sql, attrgetter(*names)
    chosen = itemgetter(*names)
    return sql, lambda record: chosen(to_row(record))


def chunks(data: bytes) -> Iterable[tuple[int, memoryview]]:
    if len(data) > MAX_BLOB_BYTES:
        raise ArenaError(
            f"{len(data) / 2**20:,.0f} MiB are too much for one blob (at most {MAX_BLOB_BYTES // 2**20:,} MiB)"
        )
    view = memoryview(data)
    return enumerate(view[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES))


def add_checkpoint(connection: sqlite3.Connection, policy: PackedPolicy) -> None:
    if connection.execute("SELECT 1 FROM checkpoints WHERE sha256 = ?", (policy.sha256,)).fetchone():
        return
    insert(
        connection,
        "checkpoints",
        Checkpoint(policy.sha256, len(policy.data), policy.algorithm, policy.config, utc_ms()),
    )
    rows = ((policy.sha256, position, chunk) for position, chunk in chunks(policy.data))
    connection.executemany("INSERT INTO checkpoint_chunks VALUES (?, ?, ?)", rows)


def checkpoint(file: LeagueFile, sha256: str) -> Checkpoint:
    rows = file.rows("SELECT * FROM checkpoints WHERE sha256 = ?", sha256)
    if not rows:
        raise ArenaError(f"{file.path}: there is no checkpoint {sha256}")
    return from_row(Checkpoint, rows[0])


def checkpoint_data(file: LeagueFile, sha256: str) -> bytes:
    """A checkpoint's bytes, verified: ArenaError names the checkpoint whose bytes are not what its hash says."""
    size = checkpoint(file, sha256).size
    if size > MAX_BLOB_BYTES:
        raise ArenaError(f"checkpoint {sha256} is too large ({size:,} bytes)")
    sql = "SELECT data FROM checkpoint_chunks WHERE sha256 = ? ORDER BY position LIMIT ?"
    data = b"".join(row["data"] for row in file.rows(sql, sha256, size // CHUNK_BYTES + 1))
    if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
        raise ArenaError(f"checkpoint {sha256} is corrupt; restore a backup made by `arena db backup`")
    return data


def add_agent(connection: sqlite3.Connection, agent: Agent, policy: PackedPolicy | None) -> int:
    name = valid_name(agent.name, "agent")
    if connection.execute("SELECT 1 FROM agents WHERE game = ? AND name = ?", (agent.game, name)).fetchone():
        raise UsageError(f"{agent.game} already has an agent {name!r}; choose another name")
    if policy is not None:
        add_checkpoint(connection, policy)
        agent = dataclasses.replace(agent, checkpoint=policy.sha256)
    return insert(connection, "agents", dataclasses.replace(agent, name=name, created_at=utc_ms()))
