"""Orders, marks and remarks: the Store's methods about rankings, scores and notes."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Sequence

from arena.preferences import ranking_choices, shuffled
from arena.records import from_row
from arena.records_text import (
    CompletionScore,
    Label,
    LabelProgress,
    Note,
    Pair,
    Ranking,
    RankTask,
    ScoredCompletion,
    ScoreTask,
    Split,
    WrittenNote,
)
from arena.store_judgements import JudgementStore, annotator_id, annotator_of, counts, newest, pace, undone
from arena.store_labels import pair_of
from arena.store_rows import insert, utc_ms, valid_text
from envs.errors import UsageError

MAX_RANKED = 4
_CANDIDATES = 64
"""How many of a prompt's newest completions are looked through for different texts."""


class RankingStore(JudgementStore):
    """The part of the Store that is about rankings, scores and notes."""

    # Rankings

    def next_ranking(self, annotator: str, after: int = 0, size: int = MAX_RANKED) -> RankTask | None:
        """The first prompt behind the prompt `after` with several different completions that are not ranked yet."""
        with self._file.read() as connection:
            owner = annotator_id(connection, annotator)
            sql = f"""SELECT id FROM prompts WHERE id > ? AND NOT EXISTS (SELECT 1 FROM rankings
                    WHERE rankings.annotator = ? AND rankings.prompt = prompts.id
                    AND {counts("rankings")})
                AND (SELECT count(DISTINCT text) FROM (SELECT text FROM completions
                    WHERE completions.prompt = prompts.id AND run IS NULL LIMIT {_CANDIDATES})) > 1
                ORDER BY id LIMIT 1"""
            row = connection.execute(sql, (after, owner)).fetchone()
            return None if row is None else _rank_task(connection, annotator, row["id"], size)

    def rank_task(self, annotator: str, prompt: int, size: int = MAX_RANKED) -> RankTask:
        """Any prompt's completions to rank; the ranking that this annotator gave them, if there is one, is in it."""
        with self._file.read() as connection:
            return _rank_task(connection, annotator, prompt, size)

    def add_ranking(
        self, prompt: int, annotator: str, shown: Sequence[int], ranks: Sequence[int], milliseconds: int | None = None
    ) -> int:
        """Keep an order of completions, and the labels that follow from it, and return its id.

        Args:
            shown: the completions' ids, as they stood on the screen from left to right.
            ranks: their ranks, 1 the best; equal ranks are ties.
        """
        if len(shown) != len(ranks) or not 2 <= len(shown) <= MAX_RANKED or len(set(shown)) != len(shown):
            raise UsageError(f"a ranking has two to {MAX_RANKED} different completions and a rank for each")
        with self._file.write() as connection:
            owner, now = annotator_of(connection, annotator).id, utc_ms()
            ranking = Ranking(prompt, owner, list(shown), list(ranks), milliseconds, created_at=now)
            ranking_id = insert(connection, "rankings", ranking)
            for first, second, choice, weight in ranking_choices(shown, ranks):
                pair = pair_of(connection, Pair(prompt, first, second, "rank"))
                swapped = pair.completion_a != first
                label = Label(pair.id, owner, choice, weight=weight, left="a", ranking=ranking_id, created_at=now)
                insert(connection, "labels", label.turned() if swapped else label)
            return ranking_id

    def undo_ranking(self, annotator: str) -> int | None:
        """Take back this annotator's newest ranking with its labels and return the prompt; None: none is left."""
        with self._file.write() as connection:
            row = newest(connection, "rankings", annotator_id(connection, annotator))
            if row is None:
                return None
            insert(connection, "rankings", undone(from_row(Ranking, row)))
            labels = connection.execute("SELECT * FROM labels WHERE ranking = ?", (row["id"],)).fetchall()
            for label in labels:
                insert(connection, "labels", dataclasses.replace(undone(from_row(Label, label)), ranking=None))
            return row["prompt"]

    def ranking_progress(self, annotator: str) -> LabelProgress:
        """How many prompts with several completions this annotator has ranked."""
        sql = """SELECT count(*) FROM (SELECT prompt FROM completions WHERE run IS NULL
            GROUP BY prompt HAVING min(text) <> max(text))"""
        done = f"""SELECT count(DISTINCT prompt) FROM rankings WHERE annotator = ?
            AND {counts("rankings")}"""
        with self._file.read() as connection:
            owner = annotator_id(connection, annotator)
            ranked = connection.execute(done, (owner,)).fetchone()[0]
            total = connection.execute(sql).fetchone()[0]
            return LabelProgress(ranked, total, pace(connection, "rankings", owner))

    # Scores

    def next_score(self, annotator: str, after: int = 0) -> ScoreTask | None:
        """The first completion behind the completion `after` that this annotator has not scored."""
        with self._file.read() as connection:
            sql = f"""SELECT completions.id, prompts.text AS prompt, completions.text FROM completions
                JOIN prompts ON prompts.id = completions.prompt
                WHERE completions.id > ? AND run IS NULL AND NOT EXISTS (SELECT 1 FROM scores
                    WHERE scores.annotator = ? AND scores.completion = completions.id
                    AND {counts("scores")}) ORDER BY completions.id LIMIT 1"""
            row = connection.execute(sql, (after, annotator_id(connection, annotator))).fetchone()
            return None if row is None else ScoreTask(row["id"], row["prompt"], row["text"])

    def score_task(self, annotator: str, completion: int) -> ScoreTask:
        """Any completion as it is put before this annotator, scored or not."""
        with self._file.read() as connection:
            sql = """SELECT prompts.text AS prompt, completions.text FROM completions
                JOIN prompts ON prompts.id = completions.prompt WHERE completions.id = ?"""
            row = connection.execute(sql, (completion,)).fetchone()
            if row is None:
                raise UsageError(f"there is no completion {completion}")
            given = f"""SELECT score FROM scores WHERE annotator = ? AND completion = ?
                AND {counts("scores")} ORDER BY id DESC LIMIT 1"""
            score = connection.execute(given, (annotator_id(connection, annotator), completion)).fetchone()
            return ScoreTask(completion, row["prompt"], row["text"], score and score["score"])

    def add_score(self, completion: int, annotator: str, score: int, milliseconds: int | None = None) -> int:
        """Keep a mark from 1 to 7 and return its id; it takes the place of an earlier one by the same annotator."""
        if not 1 <= score <= 7:
            raise UsageError(f"a score is a whole number from 1 to 7, not {score}")
        with self._file.write() as connection:
            owner = annotator_of(connection, annotator).id
            row = CompletionScore(completion, owner, score, milliseconds, created_at=utc_ms())
            return insert(connection, "scores", row)

    def undo_score(self, annotator: str) -> int | None:
        """Take back this annotator's newest score and return the completion; None: none is left."""
        with self._file.write() as connection:
            row = newest(connection, "scores", annotator_id(connection, annotator))
            if row is None:
                return None
            insert(connection, "scores", undone(from_row(CompletionScore, row)))
            return row["completion"]

    def completion_scores(
        self, annotator: str | None = None, split: Split | None = None, until: int | None = None
    ) -> list[ScoredCompletion]:
        """The scores that count, with their texts, in the order they were given.

        With `until` (milliseconds since 1970) they are those that counted then.
        """
        where = ["created_at <= :until", *(["annotator = :annotator"] if annotator is not None else [])]
        values = {
            "annotator": None if annotator is None else self.annotator(annotator).id,
            "split": split,
            "until": 2**63 - 1 if until is None else until,
        }
        sql = f"""SELECT prompts.text AS prompt, completions.text, score, annotators.name AS annotator, completion,
                prompts.id AS prompt_id, split, milliseconds, scores.created_at
            FROM (SELECT max(id) AS counts FROM scores
                WHERE {" AND ".join(where)} AND {counts("scores", until="later.created_at <= :until")}
                GROUP BY annotator, completion)
            JOIN scores ON scores.id = counts JOIN completions ON completions.id = scores.completion
            JOIN prompts ON prompts.id = completions.prompt JOIN annotators ON annotators.id = scores.annotator
            WHERE :split IS NULL OR split = :split ORDER BY scores.id"""
        with self._file.read() as connection:
            return [from_row(ScoredCompletion, row) for row in connection.execute(sql, values)]

    def score_progress(self, annotator: str) -> LabelProgress:
        """How many completions this annotator has scored."""
        with self._file.read() as connection:
            owner = annotator_id(connection, annotator)
            sql = f"SELECT count(DISTINCT completion) FROM scores WHERE annotator = ? AND {counts('scores')}"
            done = connection.execute(sql, (owner,)).fetchone()[0]
            total = connection.execute("SELECT count(*) FROM completions WHERE run IS NULL").fetchone()[0]
            return LabelProgress(done, total, pace(connection, "scores", owner))

    # Notes

    def add_note(
        self,
        annotator: str,
        text: str,
        pair: int | None = None,
        completion: int | None = None,
        prompt: int | None = None,
    ) -> int:
        """Keep a note about a pair, a completion or a prompt, and return its id."""
        valid_text(text, "note")
        with self._file.write() as connection:
            for table, row in (("pairs", pair), ("completions", completion)):
                if row is not None:
                    found = connection.execute(f"SELECT prompt FROM {table} WHERE id = ?", (row,)).fetchone()
                    prompt = found["prompt"] if found else None
            if prompt is None:
                raise UsageError(f"{self.path}: there is nothing to write a note about")
            owner = annotator_of(connection, annotator).id
            return insert(connection, "notes", Note(prompt, owner, text, pair, completion, created_at=utc_ms()))

    def notes(self, annotator: str | None = None, pair: int | None = None) -> list[WrittenNote]:
        """Notes in the order they were written."""
        sql = """SELECT annotators.name AS annotator, prompts.text AS prompt, notes.text, pair, completion,
                notes.created_at FROM notes JOIN annotators ON annotators.id = notes.annotator
            JOIN prompts ON prompts.id = notes.prompt
            WHERE (?1 IS NULL OR annotators.name = ?1) AND (?2 IS NULL OR pair = ?2) ORDER BY notes.id"""
        return [from_row(WrittenNote, row) for row in self._file.rows(sql, annotator, pair)]


def _rank_task(connection: sqlite3.Connection, annotator: str, prompt: int, size: int) -> RankTask:
    row = connection.execute("SELECT text FROM prompts WHERE id = ?", (prompt,)).fetchone()
    if row is None:
        raise UsageError(f"there is no prompt {prompt}")
    given = f"""SELECT * FROM rankings WHERE annotator = ? AND prompt = ? AND {counts("rankings")}
        ORDER BY id DESC LIMIT 1"""
    found = connection.execute(given, (annotator_id(connection, annotator), prompt)).fetchone()
    ranking = from_row(Ranking, found) if found else None
    newest = (
        f"""SELECT id, text FROM completions WHERE prompt = ? AND run IS NULL ORDER BY id DESC LIMIT {_CANDIDATES}"""
    )
    texts: dict[str, int] = {}
    for candidate in connection.execute(newest, (prompt,)):
        texts.setdefault(candidate["text"], candidate["id"])
    ids = {completion: text for text, completion in texts.items()}
    if ranking is not None:
        chosen = ranking.shown
        sql = "SELECT text FROM completions WHERE id = ?"
        ids |= {each: connection.execute(sql, (each,)).fetchone()["text"] for each in chosen}
    else:
        chosen = shuffled(list(ids)[:size], annotator, prompt)
    if len(chosen) < 2:
        raise UsageError(f"prompt {prompt} has fewer than two different completions")
    return RankTask(prompt, row["text"], tuple(chosen), tuple(ids[each] for each in chosen), ranking)
