"""Preferences as JSON lines, in and out: our own full form, TRL's, Anthropic HH's, LMSYS-arena battles.

What comes in is hostile until it has been read: lines are limited, encodings strict, every field checked. A bad row is
refused by its line number, and then nothing of the file is taken.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, Literal

from arena.prefs_rows import ASSISTANT, HUMAN, WINNERS, Row, parse_row
from arena.records_text import (
    AnnotatorKind,
    Choice,
    ImportedPair,
    ImportedScore,
    LabelledPair,
    Proposer,
    ScoredCompletion,
    Split,
)
from arena.store import Store
from envs.errors import ArenaError

Format = Literal["arena", "trl", "hh", "lmsys"]
MAX_LINE_BYTES = 2**20
MAX_ROWS = 1_000_000
TOLD = 3
"""How many bad lines the message tells of."""
_OTHER: dict[Choice, Choice] = {"a": "b", "b": "a"}
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}


# Out


def rows_of(store: Store, form: Format, labels: Sequence[LabelledPair]) -> Iterator[Row]:
    """Labels in a form. All but our own drop hidden repeats and what they cannot say: TRL and HH have no ties."""
    if form == "arena":
        kinds = {annotator.name: annotator.kind for annotator in store.annotators()}
        yield from (_arena_row(row, kinds) for row in labels)
        return
    make = {"trl": _trl_row, "hh": _hh_row, "lmsys": _lmsys_row}[form]
    decisive = ("a", "b") if form != "lmsys" else ("a", "b", "tie", "both_bad")
    found = (row for row in labels if row.choice in decisive and row.repeat_of is None)
    yield from (make(row) for row in found if form != "hh" or not _speaks_for_others(row))


def score_rows(store: Store, scores: Iterable[ScoredCompletion]) -> Iterator[Row]:
    """Scores in our own form."""
    kinds = {annotator.name: annotator.kind for annotator in store.annotators()}
    for row in scores:
        yield {
            "prompt": row.prompt,
            "split": row.split,
            "completion": row.text,
            "score": row.score,
            "annotator": row.annotator,
            "annotator_kind": kinds[row.annotator],
            "milliseconds": row.milliseconds,
        }


def unlabelled_rows(
    store: Store, annotator: str, proposed_by: Sequence[Proposer] | None = None, split: Split | None = None
) -> Iterator[Row]:
    """The pairs that `annotator` has not labelled, to be labelled elsewhere: fill in `choice` and import the rows.

    `left` says which of `a` and `b` to show on the left: the same side that the label screen would show it on.
    """
    for pair in store.pairs(proposed_by, annotator, split):
        task = store.pair_task(annotator, pair.id)
        yield {
            "pair": pair.id,
            "prompt": task.prompt,
            "a": task.text_a,
            "b": task.text_b,
            "left": task.left,
            "choice": None,
            "strength": 1,
            "annotator": annotator,
        }


def line(row: Row) -> str:
    """A row as a line: ASCII, so that no terminal obeys it and no editor turns it round."""
    return json.dumps(row, ensure_ascii=True, allow_nan=False)


def _arena_row(row: LabelledPair, kinds: Mapping[str, AnnotatorKind]) -> Row:
    return {
        "prompt": row.prompt,
        "split": row.split,
        "a": row.text_a,
        "b": row.text_b,
        "model_a": row.model_a,
        "model_b": row.model_b,
        "choice": row.choice,
        "strength": row.strength,
        "weight": row.weight,
        "left": row.left,
        "milliseconds": row.milliseconds,
        "annotator": row.annotator,
        "annotator_kind": kinds[row.annotator],
        "proposed_by": row.proposed_by,
        "pair": row.pair,
        "repeat_of": row.repeat_of,
        "created_at": row.created_at,
    }


def _speaks_for_others(row: LabelledPair) -> bool:
    """Whether a text has in it what begins a turn in HH's transcripts, so that it would be read back as two."""
    prompt = "" if row.prompt.startswith(HUMAN) else row.prompt
    return any(turn in text for turn in (HUMAN, ASSISTANT) for text in (prompt, row.text_a, row.text_b))


def _chosen(row: LabelledPair) -> tuple[str, str]:
    return (row.text_a, row.text_b) if row.choice == "a" else (row.text_b, row.text_a)


def _trl_row(row: LabelledPair) -> Row:
    chosen, rejected = _chosen(row)
    return {"prompt": row.prompt, "chosen": chosen, "rejected": rejected}


def _hh_row(row: LabelledPair) -> Row:
    context = row.prompt if row.prompt.startswith(HUMAN) else f"{HUMAN} {row.prompt}"
    chosen, rejected = _chosen(row)
    return {"chosen": f"{context}{ASSISTANT} {chosen}", "rejected": f"{context}{ASSISTANT} {rejected}"}


def _lmsys_row(row: LabelledPair) -> Row:
    """model_a is what stood on the left."""
    sides = [(row.text_a, row.model_a), (row.text_b, row.model_b)]
    choice = row.choice
    if row.left == "b":
        sides.reverse()
        choice = _OTHER.get(choice, choice)
    talks = [[{"role": "user", "content": row.prompt}, {"role": "assistant", "content": text}] for text, _ in sides]
    return {
        "question_id": str(row.pair),
        "model_a": sides[0][1] or "unknown",
        "model_b": sides[1][1] or "unknown",
        "winner": {own: theirs for theirs, own in WINNERS.items()}[choice],
        "judge": row.annotator,
        "conversation_a": talks[0],
        "conversation_b": talks[1],
        "turn": 1,
        "anony": True,
        "tstamp": row.created_at / 1000,
    }


# In


def read_rows(file: BinaryIO, name: str, split: Split | None = None) -> list[ImportedPair | ImportedScore]:
    """The rows of a file of JSON lines of any of the forms, for `Store.add_imported`.

    Args:
        name: what messages call the file.
        split: where new prompts belong, whatever the file says.

    Raises:
        ArenaError: lines are bad; the message names the first ones and what is wrong with them.
    """
    rows: list[ImportedPair | ImportedScore] = []
    bad: list[str] = []
    count = 0
    for number, data in enumerate(_lines(file), 1):
        try:
            row = parse_line(data, first=number == 1)
            if row is not None:
                rows.append(row if split is None else dataclasses.replace(row, split=split))
        except ArenaError as error:
            count += 1
            if count <= TOLD:
                bad.append(f"line {number}: {error}")
        if len(rows) > MAX_ROWS:
            raise ArenaError(f"{name} has more than {MAX_ROWS:,} rows; split it")
    if count:
        more = f"; and {count - TOLD:,} more bad lines" if count > TOLD else ""
        raise ArenaError(f"{name}: {'; '.join(bad)}{more}; nothing was imported")
    if not rows:
        raise ArenaError(f"{name} has no rows; nothing was imported")
    return rows


def parse_line(data: bytes, first: bool = False) -> ImportedPair | ImportedScore | None:
    """One line of any form; None for an empty one. ArenaError says what is wrong with it."""
    if len(data) > MAX_LINE_BYTES:
        raise ArenaError(f"has more than {MAX_LINE_BYTES:,} bytes")
    if first:
        encoding = next((words for mark, words in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
        if encoding:
            raise ArenaError(f"is {encoding}; save the file as UTF-8")
        data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ArenaError(f"is not UTF-8 (byte 0x{data[error.start]:02x} at {error.start + 1})") from None
    if not text.strip():
        return None
    try:
        row = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ArenaError(f"is no JSON ({error.msg} at character {error.pos + 1})") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ArenaError(f"is no JSON ({reason})") from None
    if not isinstance(row, dict):
        raise ArenaError("is no JSON object")
    return parse_row(row)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines without their ends. One that is too long comes cut, one byte longer than allowed; the rest is skipped."""
    while data := file.readline(MAX_LINE_BYTES + 2):
        if len(data) > MAX_LINE_BYTES and not data.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield data[: MAX_LINE_BYTES + 1]
        else:
            yield data.rstrip(b"\r\n")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
