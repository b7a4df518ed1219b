"""What all judgements share: annotators, what counts, what is undone, how fast they come.

Judgements are append-only. To undo one is to add a row that `undoes` it; of an annotator's judgements of the same thing
that are not undone the last one counts. So two windows of one annotator can never contradict each other.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arena.records import from_row
from arena.records_text import Annotator, AnnotatorKind
from arena.store_file import LeagueFile
from arena.store_rows import insert, utc_ms, valid_name, valid_text
from envs.errors import UnknownNameError, UsageError

PAUSE_MS = 120_000
"""An answer that took longer counts as this long where the pace is measured: the person was away."""
_RECENT = 50
_GUIDELINES = "guidelines"
GUIDELINES = """\
Choose the answer that you would rather have got if the question were yours.

1. Does it help? An answer that names something to do, for this device and this problem, beats one that does not.
2. Is it true? A wrong or dangerous advice is worse than none.
3. Is it kind? Of two answers that help alike, the friendlier is better.
4. Is it short? Of two answers that are alike in all that, the shorter is better.

Choose "much better" where you would not hesitate for a moment. Choose "tie" where you would not care which you get, \
"both bad" where you would want neither, "skip" where you cannot tell (another language, no sense in the question).

Trust the text, not the side it stands on.
"""
"""What annotators are told unless the league has guidelines of its own."""


class JudgementStore:
    """The part of the Store that is about annotators."""

    path: Path
    _file: LeagueFile

    def guidelines(self) -> str:
        """What annotators are told."""
        rows = self._file.rows("SELECT value FROM settings WHERE name = ?", _GUIDELINES)
        return rows[0]["value"] if rows else GUIDELINES

    def set_guidelines(self, text: str) -> None:
        """Tell annotators something else from now on."""
        valid_text(text, "text of the guidelines")
        with self._file.write() as connection:
            sql = "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2"
            connection.execute(sql, (_GUIDELINES, text))

    def add_annotator(
        self, name: str, kind: AnnotatorKind = "person", config: Mapping[str, Any] | None = None
    ) -> Annotator:
        """The annotator of this name, who is added at the first call.

        A name that is already another kind's, or a simulated annotator's with other settings, is a UsageError.
        """
        with self._file.write() as connection:
            return annotator_of(connection, name, kind, config)

    def annotators(self) -> list[Annotator]:
        """Annotators in the order they came."""
        return [from_row(Annotator, row) for row in self._file.rows("SELECT * FROM annotators ORDER BY id")]

    def annotator(self, name: str) -> Annotator:
        rows = self._file.rows("SELECT * FROM annotators WHERE name = ?", name)
        if not rows:
            raise UnknownNameError("annotator", name, (annotator.name for annotator in self.annotators()))
        return from_row(Annotator, rows[0])


def counts(table: str, alias: str | None = None, until: str = "TRUE") -> str:
    """The condition under which a row of labels, rankings or scores has not been undone, nor undoes another.

    Only rows `later` of which `until` is true undo. The + keeps SQLite from looking such rows up by
    `undoes`, which nearly all rows have in common.
    """
    row = alias or table
    return f"""+{row}.undoes IS NULL
        AND NOT EXISTS (SELECT 1 FROM {table} AS later WHERE later.undoes = {row}.id AND {until})"""


def annotator_of(
    connection: sqlite3.Connection, name: str, kind: AnnotatorKind = "person", config: Mapping[str, Any] | None = None
) -> Annotator:
    """The annotator of this name, who is added where it is new; a UsageError where the name is another kind's.

    A person may go on under the name of an imported annotator.
    """
    config = dict(config or {})
    name = valid_name(name, "annotator")
    row = connection.execute("SELECT * FROM annotators WHERE name = ?", (name,)).fetchone()
    if row is None:
        annotator = Annotator(name, kind, config, created_at=utc_ms())
        return dataclasses.replace(annotator, id=insert(connection, "annotators", annotator))
    annotator = from_row(Annotator, row)
    came_back = (annotator.kind, kind) == ("imported", "person")  # whose answers came in a file labels here, too
    if annotator.kind != kind and not came_back:
        raise UsageError(f"{name!r} is a {annotator.kind} annotator here; choose another name")
    if annotator.config != config:
        raise UsageError(f"the annotator {name!r} has other settings here; choose another name")
    return annotator


def annotator_id(connection: sqlite3.Connection, name: str) -> int | None:
    """The id of an annotator who has judged something, else None."""
    row = connection.execute("SELECT id FROM annotators WHERE name = ?", (name,)).fetchone()
    return row["id"] if row else None


def newest(connection: sqlite3.Connection, table: str, annotator: int | None, more: str = "") -> sqlite3.Row | None:
    """An annotator's newest judgement that is not undone."""
    sql = f"""SELECT * FROM {table} WHERE annotator = ? AND {counts(table)} {more}
        ORDER BY id DESC LIMIT 1"""
    row: sqlite3.Row | None = connection.execute(sql, (annotator,)).fetchone()
    return row


def undone(row: Any) -> Any:
    """The row that takes `row` back."""
    empty = {name: None for name in ("choice", "score") if hasattr(row, name)}
    return dataclasses.replace(row, **empty, milliseconds=None, undoes=row.id, id=0, created_at=utc_ms())


def pace(connection: sqlite3.Connection, table: str, annotator: int | None) -> float | None:
    """Seconds that an annotator's newest judgements took on average."""
    sql = f"""SELECT avg(min(milliseconds, {PAUSE_MS})) / 1000.0 FROM (SELECT milliseconds FROM {table}
        WHERE annotator = ? AND undoes IS NULL ORDER BY id DESC LIMIT {_RECENT})"""
    seconds: float | None = connection.execute(sql, (annotator,)).fetchone()[0]
    return seconds
