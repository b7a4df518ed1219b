"""Pairs and what annotators say about them: the Store's methods about pairs and labels."""

from __future__ import annotations

import dataclasses
import itertools
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from arena.preferences import shown_left
from arena.records import from_row
from arena.records_text import (
    AnnotatorKind,
    Choice,
    Label,
    LabelledPair,
    LabelProgress,
    Pair,
    PairTask,
    Proposer,
    Side,
    Split,
)
from arena.store_judgements import JudgementStore, annotator_id, annotator_of, counts, newest, pace, undone
from arena.store_rows import insert, utc_ms
from envs.errors import UsageError

_LABEL_COUNTS = counts("labels")
_NOT_LABELLED = f"""NOT EXISTS (SELECT 1 FROM labels WHERE labels.pair = pairs.id AND labels.annotator = :annotator
    AND {_LABEL_COUNTS})"""
_STANDS = f"""labels.id <= :until AND {counts("labels", until="later.id <= :until")}
    AND NOT EXISTS (SELECT 1 FROM labels AS newer WHERE newer.annotator = labels.annotator
        AND newer.pair = labels.pair AND newer.id > labels.id AND newer.id <= :until
        AND {counts("labels", "newer", "later.id <= :until")})"""
"""The condition under which a label counted, and nothing newer did, when the row `until` was the newest."""
_NO_END = 2**63 - 1
_NEW = f"NOT EXISTS (SELECT 1 FROM labels WHERE labels.pair = pairs.id AND {_LABEL_COUNTS})"


class LabelStore(JudgementStore):
    """The part of the Store that is about pairs and their labels."""

    # Pairs

    def add_pairs(self, rows: Iterable[Pair]) -> list[int]:
        """Their ids, in order. Two completions are one pair, whichever comes first, and are added once.

        A repeat (`repeat_of`) is always new. Completions with the same text, or of different prompts, are a UsageError.
        """
        with self._file.write() as connection:
            return [pair_of(connection, row).id for row in rows]

    def pair(self, pair: int) -> Pair:
        rows = self._file.rows("SELECT * FROM pairs WHERE id = ?", pair)
        if not rows:
            raise UsageError(f"there is no pair {pair}")
        return from_row(Pair, rows[0])

    def pairs(
        self, proposed_by: Sequence[Proposer] | None = None, annotator: str | None = None, split: Split | None = None
    ) -> list[Pair]:
        """Pairs in the order they came; with an `annotator`, those that this annotator has not labelled."""
        where, values = _wanted(proposed_by)
        if annotator is not None:
            where.append(_NOT_LABELLED)
        if split is not None:
            where.append("prompt IN (SELECT id FROM prompts WHERE split = :split)")
        with self._file.read() as connection:
            values |= {"annotator": annotator_id(connection, annotator or ""), "split": split}
            rows = connection.execute(f"SELECT * FROM pairs WHERE {' AND '.join(where)} ORDER BY id", values)
            return [from_row(Pair, row) for row in rows]

    def next_pair(
        self,
        annotator: str,
        after: int = 0,
        proposed_by: Sequence[Proposer] | None = None,
        new: bool = False,
    ) -> PairTask | None:
        """The first pair behind the pair `after` that this annotator has not labelled; None: there is none.

        Args:
            proposed_by: only pairs of these origins (by default all but those that rankings made).
            new: only pairs that nobody has labelled.
        """
        where, values = _wanted(proposed_by)
        where += ["pairs.id > :after", _NEW if new else _NOT_LABELLED]
        with self._file.read() as connection:
            values |= {"after": after, "annotator": annotator_id(connection, annotator)}
            sql = f"SELECT * FROM pairs WHERE {' AND '.join(where)} ORDER BY id LIMIT 1"
            row = connection.execute(sql, values).fetchone()
            return None if row is None else _pair_task(connection, annotator, from_row(Pair, row))

    def is_waiting(self) -> bool:
        """Whether a pair of a training prompt waits for its first label (those of rankings and repeats do not)."""
        sql = f"""SELECT 1 FROM pairs JOIN prompts ON prompts.id = prompt AND split = 'train'
            WHERE proposed_by NOT IN ('rank', 'repeat') AND {_NEW} LIMIT 1"""
        return bool(self._file.rows(sql))

    def is_paired(self, model: int) -> bool:
        """Whether an answer of this model (its id) to a training prompt is in a pair."""
        sql = """SELECT 1 FROM completions JOIN prompts ON prompts.id = completions.prompt AND split = 'train'
            JOIN pairs ON pairs.prompt = completions.prompt AND completions.id IN (completion_a, completion_b)
            WHERE model = ? AND completions.run IS NULL LIMIT 1"""
        return bool(self._file.rows(sql, model))

    def pair_task(self, annotator: str, pair: int) -> PairTask:
        """Any pair as it is put before this annotator, labelled or not."""
        found = self.pair(pair)
        with self._file.read() as connection:
            return _pair_task(connection, annotator, found)

    def pair_tasks(self, annotator: str, pairs: Iterable[Pair]) -> list[PairTask]:
        """These pairs as they are put before this annotator."""
        with self._file.read() as connection:
            return [_pair_task(connection, annotator, pair) for pair in pairs]

    def label_progress(
        self, annotator: str, proposed_by: Sequence[Proposer] | None = None, new: bool = False
    ) -> LabelProgress:
        """How many of the pairs this annotator has labelled (with `new`: how many anybody has), and how fast."""
        where, values = _wanted(proposed_by)
        with self._file.read() as connection:
            values["annotator"] = annotator_id(connection, annotator)
            count = f"SELECT count(*) FROM pairs WHERE {' AND '.join(where)}"
            total = connection.execute(count, values).fetchone()[0]
            left = connection.execute(f"{count} AND {_NEW if new else _NOT_LABELLED}", values).fetchone()[0]
            seconds = pace(connection, "labels", values["annotator"])
        return LabelProgress(total - left, total, seconds)

    # Labels

    def add_label(
        self,
        pair: int,
        annotator: str,
        choice: Choice,
        strength: int = 1,
        left: Side | None = None,
        milliseconds: int | None = None,
    ) -> int:
        """Keep a person's judgement of a pair and return its id; it takes the place of an earlier one of that person's.

        When this returns the label is in the file: no end of the process loses it.
        """
        label = Label(pair, 0, choice, strength, left=left, milliseconds=milliseconds)
        return self.add_labels(annotator, [label])[0]

    def add_labels(
        self,
        annotator: str,
        labels: Iterable[Label],
        kind: AnnotatorKind = "person",
        config: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Keep many labels of one annotator (whose id in them is filled in), all or none, and return their ids."""
        with self._file.write() as connection:
            owner = annotator_of(connection, annotator, kind, config).id
            now = utc_ms()
            return [
                insert(connection, "labels", dataclasses.replace(label, annotator=owner, created_at=now))
                for label in labels
            ]

    def undo_label(self, annotator: str) -> int | None:
        """Take back this annotator's newest label (not of a ranking) and return its pair; None: none is left."""
        with self._file.write() as connection:
            row = newest(connection, "labels", annotator_id(connection, annotator), "AND ranking IS NULL")
            if row is None:
                return None
            insert(connection, "labels", undone(from_row(Label, row)))
            return row["pair"]

    def labels(
        self,
        annotator: str | None = None,
        split: Split | None = None,
        proposed_by: Sequence[Proposer] | None = None,
        skipped: bool = False,
        newest: int | None = None,
        until: int | None = None,
    ) -> list[LabelledPair]:
        """The labels that count, with their texts, in the order they were given.

        Pairs that could not be compared are left out unless they are asked for with `skipped`. With `newest` only so
        many of the newest come, the newest first; with `until` what counted when the row of that id was the newest.
        """
        conditions = [_STANDS]
        conditions += ["labels.annotator = :annotator"] if annotator is not None else []
        conditions += ["split = :split"] if split is not None else []
        conditions += [] if skipped else ["choice <> 'skip'"]
        wanted, values = _wanted(proposed_by) if proposed_by is not None else ([], {})
        values |= {
            "annotator": None if annotator is None else self.annotator(annotator).id,
            "split": split,
            "newest": -1 if newest is None else newest,
            "until": _NO_END if until is None else until,
        }
        # CROSS JOIN keeps labels outermost: they come in the order of their ids, and a few of them are few look-ups.
        # The columns are the record's fields in their order.
        sql = f"""SELECT prompts.text AS prompt, a.text AS text_a, b.text AS text_b, choice, strength, weight,
                annotators.name AS annotator, pairs.id AS pair, prompts.id AS prompt_id, completion_a, completion_b,
                split, proposed_by, repeat_of, "left", milliseconds, ranking, labels.id AS label, labels.created_at,
                model_a.name AS model_a, model_b.name AS model_b
            FROM labels CROSS JOIN pairs ON pairs.id = labels.pair
            CROSS JOIN prompts ON prompts.id = pairs.prompt CROSS JOIN annotators ON annotators.id = labels.annotator
            CROSS JOIN completions AS a ON a.id = completion_a CROSS JOIN completions AS b ON b.id = completion_b
            LEFT JOIN text_models AS model_a ON model_a.id = a.model
            LEFT JOIN text_models AS model_b ON model_b.id = b.model
            WHERE {" AND ".join([*conditions, *wanted])}
            ORDER BY labels.id {"ASC" if newest is None else "DESC"} LIMIT :newest"""
        with self._file.read() as connection:
            return [LabelledPair(*row) for row in connection.execute(sql, values)]

    def count_judgements(self, label: int = 0, scored: int = 0) -> int:
        """How many labels and scores there are to learn from, of training prompts and not of a curve's annotators.

        Only labels behind the id `label` and scores given after `scored` (milliseconds) count.
        """
        mine = "annotator NOT IN (SELECT id FROM annotators WHERE name LIKE 'curve-%')"
        told = "SELECT {0}.id FROM prompts JOIN {0} ON {0}.prompt = prompts.id WHERE split = 'test'"
        sql = f"""SELECT (SELECT count(*) FROM labels WHERE id > :label AND {_STANDS} AND choice <> 'skip'
                AND {mine} AND pair NOT IN ({told.format("pairs")}))
            + (SELECT count(DISTINCT annotator || ' ' || completion) FROM scores
                WHERE created_at > :scored AND {counts("scores")}
                AND {mine} AND completion NOT IN ({told.format("completions")}))"""
        with self._file.read() as connection:
            number: int = connection.execute(sql, {"label": label, "scored": scored, "until": _NO_END}).fetchone()[0]
        return number

    def newest_judgements(self) -> tuple[int, int]:
        """The id of the newest row of labels, and when the newest of scores came; 0: there is none."""
        sql = """SELECT (SELECT coalesce(max(id), 0) FROM labels) AS label,
            (SELECT coalesce(max(created_at), 0) FROM scores) AS scored"""
        row = self._file.rows(sql)[0]
        return row["label"], row["scored"]


def pair_of(connection: sqlite3.Connection, row: Pair) -> Pair:
    """A pair as it stands in the file, where it is added if it is new."""
    same = """SELECT count(DISTINCT text) AS texts, min(prompt) AS low, max(prompt) AS high
        FROM completions WHERE id IN (?, ?)"""
    about = connection.execute(same, (row.completion_a, row.completion_b)).fetchone()
    if about["low"] is None or about["low"] != about["high"] or about["low"] != row.prompt:
        raise UsageError(f"completions {row.completion_a} and {row.completion_b} are not both of prompt {row.prompt}")
    if about["texts"] != 2:
        raise UsageError(
            f"completions {row.completion_a} and {row.completion_b} have the same text: nobody can compare them"
        )
    if row.repeat_of is None:
        sql = """SELECT * FROM pairs WHERE repeat_of IS NULL AND completion_a = ? AND completion_b = ?"""
        for both in itertools.permutations((row.completion_a, row.completion_b)):
            if found := connection.execute(sql, both).fetchone():
                return from_row(Pair, found)
    row = dataclasses.replace(row, created_at=utc_ms())
    return dataclasses.replace(row, id=insert(connection, "pairs", row))


def _wanted(proposed_by: Sequence[Proposer] | None) -> tuple[list[str], dict[str, Any]]:
    """The condition on where a pair comes from, as SQL with named values."""
    if proposed_by is None:
        return ["proposed_by <> 'rank'"], {}
    names = {f"origin{n}": origin for n, origin in enumerate(proposed_by)}
    return [f"proposed_by IN ({', '.join(':' + name for name in names)})"], dict(names)


def _label(connection: sqlite3.Connection, annotator: str, pair: int) -> Label | None:
    sql = f"""SELECT * FROM labels WHERE annotator = ? AND pair = ? AND {_LABEL_COUNTS} ORDER BY id DESC LIMIT 1"""
    row = connection.execute(sql, (annotator_id(connection, annotator), pair)).fetchone()
    return from_row(Label, row) if row else None


def _pair_task(connection: sqlite3.Connection, annotator: str, pair: Pair) -> PairTask:
    sql = """SELECT (SELECT text FROM prompts WHERE id = ?) AS prompt,
        (SELECT text FROM completions WHERE id = ?) AS a, (SELECT text FROM completions WHERE id = ?) AS b"""
    texts = connection.execute(sql, (pair.prompt, pair.completion_a, pair.completion_b)).fetchone()
    before = None if pair.repeat_of is None else _label(connection, annotator, pair.repeat_of)
    original = pair if pair.repeat_of is None else _original(connection, pair.repeat_of)
    # A repeat stands the other way round: it may have its completions in the other order, so compare them, not a and b.
    first = before.left if before and before.left else shown_left(annotator, original.id)
    left: Side = first
    if pair.repeat_of is not None:
        left = first if original.completion_a == pair.completion_b else ("b" if first == "a" else "a")
    return PairTask(pair.id, texts["prompt"], texts["a"], texts["b"], left, _label(connection, annotator, pair.id))


def _original(connection: sqlite3.Connection, pair: int) -> Pair:
    return from_row(Pair, connection.execute("SELECT * FROM pairs WHERE id = ?", (pair,)).fetchone())
