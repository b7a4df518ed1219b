"""Judgements that come from elsewhere: the Store's method that takes a whole file of them, or nothing."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections import Counter
from collections.abc import Sequence

from arena.records_text import (
    Annotator,
    AnnotatorKind,
    Completion,
    CompletionScore,
    ImportCounts,
    ImportedPair,
    ImportedScore,
    Label,
    Pair,
    Prompt,
    Split,
)
from arena.store_judgements import JudgementStore, counts
from arena.store_labels import pair_of
from arena.store_rows import insert, utc_ms, valid_name, valid_text


class ImportStore(JudgementStore):
    """The part of the Store that takes in files."""

    def add_imported(
        self, rows: Sequence[ImportedPair | ImportedScore], annotator: str, override: bool = False
    ) -> ImportCounts:
        """Keep pairs, labels and scores from a file, all or none. What is there already is not added again.

        Args:
            annotator: whose judgements they are where the file does not say so, or, with `override`, in any case.
        """
        with self._file.write() as connection:
            taker = _Taker(connection, annotator, override)
            for row in rows:
                if isinstance(row, ImportedPair):
                    taker.take_pair(row)
                else:
                    taker.take_score(row)
            added = taker.added
            return ImportCounts(**{field.name: added[field.name] for field in dataclasses.fields(ImportCounts)})


def add_prompt(connection: sqlite3.Connection, text: str, split: Split, source: str) -> int:
    """The id of a prompt, which is added where it is new."""
    valid_text(text, "prompt")
    row = connection.execute("SELECT id FROM prompts WHERE text = ?", (text,)).fetchone()
    return row["id"] if row else insert(connection, "prompts", Prompt(text, split, source, created_at=utc_ms()))


class _Taker:
    """One import in one transaction: remembers what it has seen, so that a file of one prompt is not quadratic."""

    def __init__(self, connection: sqlite3.Connection, annotator: str, override: bool) -> None:
        self.added: Counter[str] = Counter()
        self._connection = connection
        self._annotator = valid_name(annotator, "annotator")
        self._override = override
        self._now = utc_ms()
        self._texts: dict[int, dict[str, int]] = {}
        self._prompts: dict[str, int] = {}
        self._annotators: dict[str, int] = {}
        self._pairs: dict[int, int] = {}
        models = connection.execute("SELECT name, id FROM text_models")
        self._models: dict[str, int] = {row["name"]: row["id"] for row in models}

    def take_pair(self, row: ImportedPair) -> None:
        prompt = self._prompt(row.prompt, row.split)
        known = self.added["completions"]
        a = self._completion(prompt, row.text_a, row.model_a)
        b = self._completion(prompt, row.text_b, row.model_b)
        new = self.added["completions"] > known  # so nobody can have paired the two before, nor judged them
        pair, turned = self._pair(row, prompt, a, b, new)
        if row.choice is None:
            return
        label = Label(
            pair,
            self._owner(row.annotator, row.annotator_kind),
            row.choice,
            row.strength,
            row.weight,
            row.left,
            row.milliseconds,
            created_at=self._now,
        )
        label = label.turned() if turned else label
        before = None if new else self._judged(label)
        if before == (label.choice, label.strength):
            self.added["known"] += 1
        else:
            insert(self._connection, "labels", label)
            self.added["labels"] += 1
            self.added["changed"] += before is not None

    def _judged(self, label: Label) -> tuple[str, int] | None:
        """How this annotator has judged the pair so far: choice and strength."""
        sql = f"""SELECT choice, strength FROM labels WHERE annotator = ? AND pair = ? AND {counts("labels")}
            ORDER BY id DESC LIMIT 1"""
        found = self._connection.execute(sql, (label.annotator, label.pair)).fetchone()
        return found and (found["choice"], found["strength"])

    def take_score(self, row: ImportedScore) -> None:
        prompt = self._prompt(row.prompt, row.split)
        completion = self._completion(prompt, row.text, row.model)
        owner = self._owner(row.annotator, row.annotator_kind)
        sql = f"""SELECT score FROM scores WHERE annotator = ? AND completion = ? AND {counts("scores")}
            ORDER BY id DESC LIMIT 1"""
        found = self._connection.execute(sql, (owner, completion)).fetchone()
        if found and found["score"] == row.score:
            self.added["known"] += 1
        else:
            score = CompletionScore(completion, owner, row.score, row.milliseconds, created_at=self._now)
            insert(self._connection, "scores", score)
            self.added["scores"] += 1
            self.added["changed"] += found is not None

    def _prompt(self, text: str, split: Split) -> int:
        if text not in self._prompts:
            before = self._connection.total_changes
            self._prompts[text] = add_prompt(self._connection, text, split, "import")
            self.added["prompts"] += self._connection.total_changes - before
        return self._prompts[text]

    def _completion(self, prompt: int, text: str, model: str | None) -> int:
        if prompt not in self._texts:
            sql = "SELECT id, text FROM completions WHERE prompt = ? AND run IS NULL ORDER BY id DESC"
            self._texts[prompt] = {row["text"]: row["id"] for row in self._connection.execute(sql, (prompt,))}
        known = self._texts[prompt]
        if text not in known:
            valid_text(text, "completion", may_be_empty=True)
            completion = Completion(prompt, text, model=self._models.get(model or ""), created_at=self._now)
            known[text] = insert(self._connection, "completions", completion)
            self.added["completions"] += 1
        return known[text]

    def _pair(self, row: ImportedPair, prompt: int, a: int, b: int, new: bool) -> tuple[int, bool]:
        """The pair of a row, and whether its completions stand the other way round there.

        It is the one of the row's number if that has the row's texts, else the one that has the texts; neither is
        looked for where one of the texts is `new`.
        """
        if row.pair is not None and not new:
            sql = """SELECT pairs.id, pairs.prompt, a.text AS first, b.text AS second FROM pairs
                JOIN completions AS a ON a.id = completion_a JOIN completions AS b ON b.id = completion_b
                WHERE pairs.id = ?"""
            found = self._connection.execute(sql, (self._pairs.get(row.pair, row.pair),)).fetchone()
            if found and found["prompt"] == prompt and {found["first"], found["second"]} == {row.text_a, row.text_b}:
                return found["id"], found["first"] != row.text_a
        before = self._connection.total_changes
        pair = Pair(prompt, a, b, "import" if row.proposed_by == "repeat" else row.proposed_by, created_at=self._now)
        first = a
        if new:
            number = insert(self._connection, "pairs", pair)
        else:
            stored = pair_of(self._connection, pair)
            number, first = stored.id, stored.completion_a
        if row.repeat_of is not None:
            number, first = pair_of(self._connection, Pair(prompt, a, b, "repeat", number)).id, a
        self.added["pairs"] += self._connection.total_changes - before
        if row.pair is not None:
            self._pairs[row.pair] = number
        return number, first != a

    def _owner(self, name: str | None, kind: AnnotatorKind) -> int:
        name = self._annotator if name is None or self._override else name
        if name not in self._annotators:
            name = valid_name(name, "annotator")
            row = self._connection.execute("SELECT id FROM annotators WHERE name = ?", (name,)).fetchone()
            self._annotators[name] = (
                row["id"]
                if row
                else insert(self._connection, "annotators", Annotator(name, kind, created_at=self._now))
            )
        return self._annotators[name]
