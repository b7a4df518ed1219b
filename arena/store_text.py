"""Language models and what they continue: the Store's methods about text models, prompts, demonstrations, completions.

Judgements are in `store_labels.LabelStore`, `store_rankings.RankingStore` and `store_import.ImportStore`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from arena.records import PackedPolicy, from_row
from arena.records_text import Completion, Demonstration, Example, Prompt, Split, TextModel, TextModelKind
from arena.store_import import ImportStore, add_prompt
from arena.store_labels import LabelStore
from arena.store_rankings import RankingStore
from arena.store_rows import (
    FILE_ALGORITHM,
    add_checkpoint,
    checkpoint_data,
    filters,
    insert,
    utc_ms,
    valid_name,
    valid_text,
)
from envs.errors import ArenaError, UnknownNameError, UsageError

MAX_FILE_NAME = 200


class TextStore(LabelStore, RankingStore, ImportStore):
    """The part of the Store that is about text."""

    # Models

    def add_text_model(
        self,
        name: str,
        kind: TextModelKind,
        files: Mapping[str, bytes],
        parent: int | None = None,
        run: int | None = None,
    ) -> int:
        """Keep a model's directory (relative file name → bytes) under a new name, all or nothing, and return its id.

        Args:
            parent: id of the model it was trained from.
            run: id of the run that trained it.
        """
        name = valid_name(name, "model")
        if not files:
            raise ArenaError(f"the model {name!r} has no files")
        for file in files:
            _check_file_name(file)
        with self._file.write() as connection:
            if connection.execute("SELECT 1 FROM text_models WHERE name = ?", (name,)).fetchone():
                raise UsageError(f"there is a model {name!r} already; choose another name")
            model = insert(connection, "text_models", TextModel(name, kind, parent, run, created_at=utc_ms()))
            for file, data in files.items():
                blob = PackedPolicy(hashlib.sha256(data).hexdigest(), FILE_ALGORITHM, {}, data)
                add_checkpoint(connection, blob)
                connection.execute("INSERT INTO text_model_files VALUES (?, ?, ?)", (model, file, blob.sha256))
            return model

    def text_model(self, name: str) -> TextModel:
        rows = self._file.rows("SELECT * FROM text_models WHERE name = ?", name)
        if not rows:
            raise UnknownNameError("model", name, (model.name for model in self.text_models()))
        return from_row(TextModel, rows[0])

    def text_models(self, kind: TextModelKind | None = None) -> list[TextModel]:
        """Models in the order they came."""
        where, values = filters({"kind": kind})
        return [
            from_row(TextModel, row)
            for row in self._file.rows(f"SELECT * FROM text_models {where} ORDER BY id", *values)
        ]

    def text_model_files(self, name: str) -> dict[str, bytes]:
        """A model's directory, every file verified by its hash: ArenaError where one is damaged."""
        sql = "SELECT name, sha256 FROM text_model_files WHERE model = ? ORDER BY name"
        rows = self._file.rows(sql, self.text_model(name).id)
        for row in rows:
            _check_file_name(row["name"])
        return {row["name"]: checkpoint_data(self._file, row["sha256"]) for row in rows}

    # Prompts and demonstrations

    def add_prompts(self, texts: Sequence[str], split: Split = "train", source: str = "") -> list[int]:
        """Their ids, in order. A prompt that is there already keeps its split and source."""
        with self._file.write() as connection:
            return [add_prompt(connection, text, split, source) for text in texts]

    def prompts(self, split: Split | None = None, limit: int | None = None) -> list[Prompt]:
        """Prompts in the order they came."""
        where, values = filters({"split": split})
        sql = f"SELECT * FROM prompts {where} ORDER BY id LIMIT ?"
        return [from_row(Prompt, row) for row in self._file.rows(sql, *values, -1 if limit is None else limit)]

    def prompt(self, prompt: int) -> Prompt:
        rows = self._file.rows("SELECT * FROM prompts WHERE id = ?", prompt)
        if not rows:
            raise UsageError(f"there is no prompt {prompt}")
        return from_row(Prompt, rows[0])

    def add_demonstrations(self, rows: Iterable[tuple[str, str]], source: str = "", split: Split = "train") -> int:
        """Keep (prompt, response) examples, and say how many were new. Prompts that are new belong to `split`."""
        added = 0
        with self._file.write() as connection:
            for text, response in rows:
                prompt = add_prompt(connection, text, split, source)
                valid_text(response, "response")
                sql = "SELECT 1 FROM demonstrations WHERE prompt = ? AND response = ?"
                if connection.execute(sql, (prompt, response)).fetchone() is None:
                    insert(connection, "demonstrations", Demonstration(prompt, response, source, created_at=utc_ms()))
                    added += 1
        return added

    def demonstrations(self, split: Split | None = None) -> list[Example]:
        """Examples with their prompts' texts, in the order they came."""
        sql = """SELECT prompts.text AS prompt, response, split, demonstrations.source
            FROM demonstrations JOIN prompts ON prompts.id = demonstrations.prompt
            WHERE ?1 IS NULL OR split = ?1 ORDER BY demonstrations.id"""
        return [from_row(Example, row) for row in self._file.rows(sql, split)]

    # Completions

    def add_completions(self, rows: Sequence[Completion]) -> list[int]:
        """Keep completions of prompts that are there, and return their ids in order."""
        now = utc_ms()
        with self._file.write() as connection:
            for row in rows:
                valid_text(row.text, "completion", may_be_empty=True)
            return [insert(connection, "completions", dataclasses.replace(row, created_at=now)) for row in rows]

    def completions(
        self,
        prompt: int | None = None,
        model: int | None = None,
        run: int | None = None,
        split: Split | None = None,
        limit: int | None = None,
    ) -> list[Completion]:
        """Completions in the order they came. What a run sampled while it trained comes only where `run` is given."""
        where, values = filters({"prompt": prompt, "model": model, "run": run, "split": split})
        where = where or "WHERE TRUE"
        if run is None:
            where += " AND run IS NULL"
        sql = "SELECT completions.* FROM completions"
        if split is not None:
            sql += " JOIN prompts ON prompts.id = completions.prompt"
        sql = f"{sql} {where} ORDER BY completions.id LIMIT ?"
        return [from_row(Completion, row) for row in self._file.rows(sql, *values, -1 if limit is None else limit)]

    def count_texts(self) -> dict[str, int]:
        """How many demonstrations, prompts, completions of training prompts, and pairs but those of rankings.

        All of a table are counted in no time, and the few that are none of them taken away.
        """
        count = {
            "demonstrations": ["demonstrations"],
            "train prompts": ["prompts", "prompts WHERE split = 'test'"],
            "test prompts": ["prompts WHERE split = 'test'"],
            "completions": [
                "completions",
                "completions WHERE run IS NOT NULL",
                "completions JOIN prompts ON prompts.id = completions.prompt WHERE run IS NULL AND split = 'test'",
            ],
            "pairs": ["pairs", "pairs WHERE proposed_by = 'rank'"],
        }
        columns = (
            " - ".join(f"(SELECT count(*) FROM {part})" for part in parts) + f" AS '{name}'"
            for name, parts in count.items()
        )
        return dict(self._file.rows(f"SELECT {', '.join(columns)}")[0])


def _check_file_name(name: str) -> None:
    """A model's files lie below its directory, wherever that is: ArenaError for any other name."""
    path = PurePosixPath(name)
    plain = name.isprintable() and "\\" not in name and 0 < len(name) <= MAX_FILE_NAME
    if not plain or path.is_absolute() or ".." in path.parts or str(path) != name or name == ".":
        raise ArenaError(
            f"{name[: MAX_FILE_NAME + 1]!r} is no name for a model's file: a relative path such as config.json"
        )
