"""One row of a file of preferences, in any of the forms that `prefs_io` knows, checked field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from arena.records_text import AnnotatorKind, Choice, ImportedPair, ImportedScore, Proposer, Side, Split
from arena.store_rows import valid_name, valid_text
from envs.errors import ArenaError

Row = dict[str, Any]
HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
"""What begins a turn in Anthropic's transcripts."""
WINNERS: dict[str, Choice] = {"model_a": "a", "model_b": "b", "tie": "tie", "tie (bothbad)": "both_bad"}
"""LMSYS's answers and ours."""


def parse_row(row: Row) -> ImportedPair | ImportedScore:
    """A row of any form; ArenaError says what is wrong with it."""
    if "a" in row and "b" in row:
        pair = _from_arena(row)
    elif "score" in row:
        return _score(row)
    elif "winner" in row or "winner_model_a" in row:
        pair = _from_lmsys(row)
    elif "chosen" in row or "rejected" in row:
        pair = _from_trl(row) if "prompt" in row or not isinstance(row.get("chosen"), str) else _from_hh(row)
    else:
        known = "prompt, a, b · prompt, chosen, rejected · winner, conversation_a, conversation_b"
        raise ArenaError(f"has none of the known sets of keys ({known})")
    _check_texts(pair.prompt, pair.text_a, pair.text_b)
    if pair.text_a == pair.text_b:
        raise ArenaError("both completions are the same text: nobody can compare them")
    return pair


def _check_texts(prompt: str, *completions: str) -> None:
    valid_text(prompt, "prompt")
    for completion in completions:
        valid_text(completion, "completion", may_be_empty=True)


def _from_arena(row: Row) -> ImportedPair:
    return ImportedPair(
        prompt=_string(row, "prompt"),
        text_a=_string(row, "a"),
        text_b=_string(row, "b"),
        choice=_one_of(row, "choice", get_args(Choice)),
        strength=_number(row, "strength", 1, 2) or 1,
        weight=_weight(row),
        left=_one_of(row, "left", get_args(Side)),
        milliseconds=_number(row, "milliseconds", 0, 2**53),
        annotator=_name(row),
        annotator_kind=_one_of(row, "annotator_kind", get_args(AnnotatorKind)) or "imported",
        split=_one_of(row, "split", get_args(Split)) or "train",
        proposed_by=_one_of(row, "proposed_by", get_args(Proposer)) or "import",
        pair=_number(row, "pair", 1, 2**53),
        repeat_of=_number(row, "repeat_of", 1, 2**53),
        model_a=_optional(row, "model_a"),
        model_b=_optional(row, "model_b"),
    )


def _score(row: Row) -> ImportedScore:
    score = _number(row, "score", 1, 7)
    if score is None:
        raise ArenaError("score is missing")
    found = ImportedScore(
        prompt=_string(row, "prompt"),
        text=_string(row, "completion"),
        score=score,
        annotator=_name(row),
        annotator_kind=_one_of(row, "annotator_kind", get_args(AnnotatorKind)) or "imported",
        split=_one_of(row, "split", get_args(Split)) or "train",
        milliseconds=_number(row, "milliseconds", 0, 2**53),
        model=_optional(row, "model"),
    )
    _check_texts(found.prompt, found.text)
    return found


def _from_trl(row: Row) -> ImportedPair:
    """Strings, or lists of messages; without a prompt it is what both lists begin with."""
    chosen, rejected = row.get("chosen"), row.get("rejected")
    prompt = row.get("prompt")
    if prompt is None and isinstance(chosen, list) and isinstance(rejected, list):
        shared = sum(1 for _ in _same_start(chosen, rejected))
        prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    texts = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    plain = {key: _talk(value, key) if isinstance(value, list) else _string(texts, key) for key, value in texts.items()}
    return ImportedPair(plain["prompt"], plain["chosen"], plain["rejected"], "a", annotator=_name(row))


def _same_start(first: list[Any], second: list[Any]) -> Iterator[Any]:
    for one, other in zip(first, second, strict=False):
        if one != other:
            return
        yield one


def _from_hh(row: Row) -> ImportedPair:
    """Two transcripts that differ in the assistant's last turn."""
    prompts, replies = [], []
    for key in ("chosen", "rejected"):
        context, mark, reply = _string(row, key).rpartition(ASSISTANT)
        if not mark:
            raise ArenaError(f"{key} has no {ASSISTANT!r} in it")
        prompts.append(context)
        replies.append(reply.strip())
    if prompts[0] != prompts[1]:
        raise ArenaError("chosen and rejected differ before the assistant's last turn")
    (prompt, _) = prompts
    if prompt.count(HUMAN) == 1 and prompt.startswith(HUMAN):
        prompt = prompt.removeprefix(HUMAN).strip()
    return ImportedPair(prompt, replies[0], replies[1], "a", annotator=_name(row))


def _from_lmsys(row: Row) -> ImportedPair:
    """Conversations with a `winner`, or prompt and responses with `winner_model_a`, `_b` and `winner_tie`."""
    if "winner" in row:
        choice = WINNERS.get(str(row["winner"]))
        if choice is None:
            raise ArenaError(f"winner is none of {', '.join(WINNERS)}: {_shown(row['winner'])}")
        talks = [_messages(row.get(key), key) for key in ("conversation_a", "conversation_b")]
        prompt = talks[0][0][1]
        if talks[1][0][1] != prompt:
            raise ArenaError("the two conversations begin with different prompts")
        text_a, text_b = (_transcript(messages[1:]) for messages in talks)
    else:
        won = [key for key in ("winner_model_a", "winner_model_b", "winner_tie") if row.get(key) in (1, "1", True)]
        if len(won) != 1:
            raise ArenaError("exactly one of winner_model_a, winner_model_b, winner_tie must be 1")
        choices: dict[str, Choice] = {"winner_model_a": "a", "winner_model_b": "b", "winner_tie": "tie"}
        choice = choices[won[0]]
        prompt = "\n\n".join(_parts(row, "prompt"))
        text_a, text_b = ("\n\n".join(_parts(row, key)) for key in ("response_a", "response_b"))
    judge = _name(row) if "annotator" in row else _name(row, "judge")
    model_a, model_b = _optional(row, "model_a"), _optional(row, "model_b")
    return ImportedPair(prompt, text_a, text_b, choice, left="a", annotator=judge, model_a=model_a, model_b=model_b)


def _parts(row: Row, key: str) -> list[str]:
    """A text, or several in a JSON list in a string, as that dataset has them."""
    text = _string(row, key)
    try:
        parts = json.loads(text) if text.startswith("[") else None
    except (ValueError, RecursionError):
        parts = None
    if isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts):
        return parts
    return [text]


def _talk(messages: Any, key: str) -> str:
    """Messages as one text: one message's content, or a transcript."""
    return _transcript(_messages(messages, key))


def _messages(value: Any, key: str) -> list[tuple[str, str]]:
    if not isinstance(value, list) or not value:
        raise ArenaError(f"{key} is missing" if value is None else f"{key} is no list of messages")
    found = []
    for message in value:
        if not isinstance(message, dict) or not all(isinstance(message.get(k), str) for k in ("role", "content")):
            raise ArenaError(f"{key} has a message without role and content")
        found.append((message["role"], message["content"]))
    return found


def _transcript(messages: Sequence[tuple[str, str]]) -> str:
    if len(messages) == 1:
        return messages[0][1]
    names = {"user": "Human", "assistant": "Assistant"}
    return "".join(f"\n\n{names.get(role, role)}: {content}" for role, content in messages)


def _string(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise ArenaError(f"{key} is missing" if value is None else f"{key} is no string: {_shown(value)}")
    return value


def _optional(row: Row, key: str) -> str | None:
    return None if row.get(key) is None else _string(row, key)


def _name(row: Row, key: str = "annotator") -> str | None:
    name = _optional(row, key)
    return None if name is None else valid_name(name, "annotator")


def _one_of(row: Row, key: str, known: Sequence[str]) -> Any:
    value = row.get(key)
    if value is not None and value not in known:
        raise ArenaError(f"{key} is none of {', '.join(known)}: {_shown(value)}")
    return value


def _number(row: Row, key: str, low: int, high: int) -> int | None:
    value = row.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ArenaError(f"{key} is no whole number from {low} to {high:,}: {_shown(value)}")
    return value


def _weight(row: Row) -> float:
    value = row.get("weight", 1.0)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 1:
        raise ArenaError(f"weight is no number above 0 and up to 1: {_shown(value)}")
    return float(value)


def _shown(value: Any) -> str:
    """The beginning of a bad value."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
