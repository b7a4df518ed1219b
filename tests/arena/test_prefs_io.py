"""Preferences in files: every form goes out and comes back; hostile files are refused by line, whole."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from arena.prefs_io import MAX_LINE_BYTES, line, read_rows, rows_of, score_rows, unlabelled_rows
from arena.records_text import Completion, ImportCounts, Pair
from arena.store import Store
from envs.errors import ArenaError, UsageError

HOSTILE = "\x1b[31mred\x1b[0m [bold]x[/]\u202egnp\u200b\0\r\n\tend"


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "league.db") as store:
        yield store


@pytest.fixture
def other(tmp_path: Path):
    with Store(tmp_path / "other.db") as store:
        yield store


def filled(store: Store) -> list[int]:
    """Six labels of two annotators, one of them of a hidden repeat, and a score."""
    model = store.add_text_model("sft-1", "sft", {"a": b""})
    pairs = []
    for n, text in enumerate(["how?", HOSTILE, "why?"]):
        (prompt,) = store.add_prompts([text], "test" if n == 2 else "train")
        a, b = store.add_completions([Completion(prompt, f"A{n}", model=model), Completion(prompt, f"B{n} {HOSTILE}")])
        pairs += store.add_pairs([Pair(prompt, a, b)])
    pairs += store.add_pairs([Pair(1, 1, 2, "repeat", pairs[0])])
    store.add_label(pairs[0], "Ann", "b", 2, "b", 1200)
    store.add_label(pairs[1], "Ann", "tie", left="a")
    store.add_label(pairs[2], "Ann", "a", left="b")
    store.add_label(pairs[3], "Ann", "b", left="a")
    store.add_label(pairs[0], "Bob", "both_bad")
    store.add_label(pairs[1], "Bob", "skip")
    store.add_score(1, "Ann", 6, 900)
    return pairs


def text_of(rows) -> bytes:
    return "".join(line(row) + "\n" for row in rows).encode()


def take(store: Store, data: bytes, annotator: str | None = None, split: Any = None) -> ImportCounts:
    rows = read_rows(io.BytesIO(data), "labels.jsonl", split)
    return store.add_imported(rows, annotator or "imported", override=annotator is not None)


def essence(store: Store) -> list[tuple[Any, ...]]:
    """What labels say, whichever completion came first."""
    found = []
    for row in store.labels(skipped=True):
        better = {"a": row.text_a, "b": row.text_b}.get(row.choice, row.choice)
        left = {"a": row.text_a, "b": row.text_b}.get(row.left or "")
        texts = tuple(sorted((row.text_a, row.text_b)))
        repeat = row.repeat_of is not None
        found.append(
            (row.prompt, texts, better, row.strength, left, row.annotator, row.split, repeat, row.milliseconds)
        )
    return found


def test_our_own_form_keeps_everything(store: Store, other: Store) -> None:
    filled(store)
    other.add_text_model("sft-1", "sft", {"a": b""})
    data = text_of(
        [*rows_of(store, "arena", store.labels(skipped=True)), *score_rows(store, store.completion_scores())]
    )
    assert data.isascii(), "no terminal obeys it"
    assert take(other, data) == ImportCounts(prompts=3, completions=6, pairs=4, labels=6, scores=1, known=0)
    assert essence(other) == essence(store)
    assert [a.kind for a in other.annotators()] == ["person", "person"]
    assert {row.model_a or row.model_b for row in other.labels()} == {"sft-1"}
    assert [row.score for row in other.completion_scores("Ann")] == [6]
    assert text_of(rows_of(other, "arena", other.labels(skipped=True))).count(b"\n") == 6
    assert take(other, data) == ImportCounts(prompts=0, completions=0, pairs=0, labels=0, scores=0, known=7)
    assert take(store, data).known == 7, "nor does it add anything where it came from"
    assert other.check() == []


@pytest.mark.parametrize(("form", "kept"), [("trl", 3), ("hh", 3), ("lmsys", 5)])
def test_other_forms_keep_what_they_can_say(store: Store, other: Store, form, kept: int) -> None:
    filled(store)
    labels = store.labels(skipped=True)
    wanted = [row for row in labels if row.repeat_of is None and row.choice != "skip"]
    wanted = [row for row in wanted if form == "lmsys" or row.choice in ("a", "b")]
    rows = list(rows_of(store, form, labels))
    assert len(rows) == len(wanted)
    counts = take(other, text_of(rows))
    assert counts.labels == len(wanted)
    got = other.labels()

    def better(row) -> tuple[str, str]:
        return row.prompt.strip(), {"a": row.text_a, "b": row.text_b}.get(row.choice, row.choice).strip()

    assert [better(row) for row in got] == [better(row) for row in wanted]
    if form == "lmsys":
        assert [row.annotator for row in got] == [row.annotator for row in wanted]
        lefts = [{"a": row.text_a, "b": row.text_b}.get(row.left) for row in wanted]
        assert [row.text_a if row.left == "a" else row.text_b for row in got][:3] == lefts[:3]


def test_a_text_that_would_be_read_back_as_two_turns_stays_out_of_transcripts(store: Store) -> None:
    prompts = ["how?", "a\n\nAssistant: b", "\n\nHuman: how?\n\nAssistant: so\n\nHuman: and?"]
    for prompt in prompts:
        (asked,) = store.add_prompts([prompt])
        texts = ["fine", "no", "so\n\nAssistant: so"]
        a, b, c = store.add_completions([Completion(asked, text) for text in texts])
        for pair in store.add_pairs([Pair(asked, a, b), Pair(asked, a, c)]):
            store.add_label(pair, "Ann", "a")
    kept = list(rows_of(store, "hh", store.labels()))
    assert [row["chosen"].count("Assistant:") for row in kept] == [1, 2]


def test_rows_as_the_peers_write_them(store: Store) -> None:
    user = {"role": "user", "content": "how?"}

    def reply(text: str) -> dict[str, str]:
        return {"role": "assistant", "content": text}

    rows: list[dict[str, Any]] = [
        {"prompt": "how?", "chosen": "so", "rejected": "no", "extra": 1},
        {"prompt": [user], "chosen": [reply("s2")], "rejected": [reply("n2")]},
        {"chosen": [user, reply("s3")], "rejected": [user, reply("n3")]},
        {"chosen": "\n\nHuman: how?\n\nAssistant: s4", "rejected": "\n\nHuman: how?\n\nAssistant: n4"},
        {"chosen": "\n\nHuman: how?\n\nAssistant: what?\n\nHuman: it\n\nAssistant: s5",
         "rejected": "\n\nHuman: how?\n\nAssistant: what?\n\nHuman: it\n\nAssistant: n5"},
        {"question_id": "x", "model_a": "m", "model_b": "n", "winner": "tie (bothbad)", "judge": "arena_user_1",
         "conversation_a": [user, reply("s6")],
         "conversation_b": [user, reply("n6")], "turn": 1, "language": "English"},
        {"id": 3, "model_a": "m", "model_b": "n", "prompt": '["how?"]', "response_a": '["s7"]', "response_b": '["n7"]',
         "winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0},
        {"prompt": "how?", "a": "s8", "b": "n8"},
        {"prompt": "how?", "a": "s9", "b": "n9", "choice": "skip", "annotator": "Eve"},
    ]  # fmt: skip
    counts = take(store, ("\ufeff" + "\r\n\r\n".join(map(json.dumps, rows))).encode(), annotator=None)
    assert (counts.pairs, counts.labels, counts.prompts) == (9, 8, 2)
    got = [(row.text_a, row.text_b, row.choice, row.annotator) for row in store.labels(skipped=True)]
    assert got == [
        ("so", "no", "a", "imported"),
        ("s2", "n2", "a", "imported"),
        ("s3", "n3", "a", "imported"),
        ("s4", "n4", "a", "imported"),
        ("s5", "n5", "a", "imported"),
        ("s6", "n6", "both_bad", "arena_user_1"),
        ("s7", "n7", "b", "imported"),
        ("s9", "n9", "skip", "Eve"),
    ]
    assert {row.prompt for row in store.labels()} == {"how?", "\n\nHuman: how?\n\nAssistant: what?\n\nHuman: it"}
    assert store.annotator("Eve").kind == "imported"
    assert store.next_pair("Ann") is not None


def test_pairs_are_labelled_elsewhere_and_come_back(store: Store) -> None:
    pairs = filled(store)
    rows = list(unlabelled_rows(store, "Bob"))
    assert [(row["pair"], row["choice"]) for row in rows] == [(pairs[2], None), (pairs[3], None)]
    assert take(store, text_of(rows)) == ImportCounts(0, 0, 0, 0, 0, 0), "not answered yet: nothing to add"
    assert [row["left"] for row in rows] == [store.pair_task("Bob", pair).left for pair in pairs[2:]]
    rows[0]["choice"], rows[0]["strength"] = "b", 2
    rows[1] |= {"a": rows[1]["b"], "b": rows[1]["a"], "choice": "a", "left": "a"}  # somebody turned it round
    assert take(store, text_of(rows)).labels == 2
    first, repeat = store.labels("Bob")[-2:]
    assert (first.pair, first.choice, first.strength) == (pairs[2], "b", 2)
    assert (repeat.pair, repeat.choice, repeat.left) == (pairs[3], "b", "b")
    assert list(unlabelled_rows(store, "Bob")) == []
    assert len(list(unlabelled_rows(store, "Eve", proposed_by=["random"], split="train"))) == 2
    with pytest.raises(ArenaError, match=r"line 1: the prompt is empty"):
        take(store, text_of([rows[0] | {"prompt": ""}]))
    wrong_number = rows[0] | {"pair": pairs[1]}
    assert take(store, text_of([wrong_number])).known == 1, "texts decide where the number is another pair's"


def test_whose_labels_they_are_can_be_said(store: Store) -> None:
    rows = [{"prompt": "p", "chosen": "x", "rejected": "y", "annotator": "Ann"}]
    take(store, text_of(rows), annotator="study", split="test")
    assert [(row.annotator, row.split) for row in store.labels()] == [("study", "test")]
    store.add_annotator("Bob")
    rows = [{"prompt": "p", "a": "x", "b": "y", "choice": "tie", "annotator": "Bob"}]
    take(store, text_of(rows))
    assert store.annotator("Bob").kind == "person", "a known person's labels from elsewhere are that person's"
    store.add_label(store.pairs()[0].id, "study", "b")
    assert len(store.labels("study")) == 1, "and whose labels came from elsewhere may label here"
    with pytest.raises(UsageError, match="will not do"):
        take(store, text_of(rows), annotator="a\x1b")


def test_one_file_may_say_a_thing_twice(store: Store) -> None:
    row = {"prompt": "p", "a": "x", "b": "y", "choice": "a", "annotator": "Ann"}
    turned = row | {"a": "y", "b": "x", "choice": "b"}
    other = row | {"b": "z", "choice": "b"}
    back = row | {"a": "z", "b": "y", "choice": "tie"}  # texts that are known, but no pair yet
    counts = take(store, text_of([row, turned, other, row | {"choice": "b"}, back, back]))
    assert counts == ImportCounts(prompts=1, completions=3, pairs=3, labels=4, scores=0, known=2, changed=1)
    assert [(row.text_a, row.text_b, row.choice) for row in store.labels()] == [
        ("x", "z", "b"), ("x", "y", "b"), ("z", "y", "tie"),
    ]  # fmt: skip
    assert store.check() == []


def test_a_new_row_is_four_statements(store: Store) -> None:
    """Two completions, a pair, a label, and no search for what cannot be there: a hundred thousand rows are seconds."""
    data = text_of([{"prompt": "p", "a": f"x{n}", "b": f"y{n}", "choice": "a"} for n in range(200)])
    seen: list[str] = []
    with store._file.exclusive() as connection:
        connection.set_trace_callback(seen.append)
    assert take(store, data).labels == 200
    assert len(seen) < 4 * 200 + 20
    assert sum(sql.startswith("INSERT") for sql in seen) >= 4 * 200


GOOD = b'{"prompt": "p", "chosen": "x", "rejected": "y"}'


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"{", "is no JSON"),
        (b"[1, 2]", "is no JSON object"),
        (b'"text"', "is no JSON object"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"prompt": "p", "chosen": "x", "rejected": NaN}', "NaN is no JSON"),
        (b'{"x": ' + b"9" * 5000 + b"}", "is no JSON"),
        (b"{}", "none of the known sets of keys"),
        (b'{"prompt": "p", "chosen": "x"}', "rejected is missing"),
        (b'{"prompt": "p", "chosen": 3, "rejected": "y"}', "chosen is no string: 3"),
        (b'{"prompt": "p", "chosen": "x", "rejected": "x"}', "the same text"),
        (b'{"prompt": "", "chosen": "x", "rejected": "y"}', "the prompt is empty"),
        (b'{"prompt": "\\ud800", "chosen": "x", "rejected": "y"}', "half of a surrogate pair"),
        (b'{"prompt": "p", "chosen": [], "rejected": "y"}', "chosen is no list of messages"),
        (b'{"prompt": "p", "chosen": [{"role": 1}], "rejected": "y"}', "a message without role and content"),
        (b'{"chosen": "no turns", "rejected": "none"}', "chosen has no"),
        (b'{"chosen": "a\\n\\nAssistant: b", "rejected": "c\\n\\nAssistant: d"}', "differ before"),
        (b'{"winner": "model_c", "conversation_a": [], "conversation_b": []}', "winner is none of"),
        (b'{"winner": "tie", "conversation_b": []}', "conversation_a is missing"),
        (b'{"winner_model_a": 1, "winner_tie": 1, "prompt": "p", "response_a": "x", "response_b": "y"}', "exactly one"),
        (b'{"prompt": "p", "a": "x", "b": "y", "choice": "c"}', "choice is none of a, b, tie"),
        (b'{"prompt": "p", "a": "x", "b": "y", "choice": ["a"]}', "choice is none of"),
        (b'{"prompt": "p", "a": "x", "b": "y", "choice": "a", "strength": 3}', "strength is no whole number"),
        (b'{"prompt": "p", "a": "x", "b": "y", "choice": "a", "strength": true}', "strength is no whole number"),
        (b'{"prompt": "p", "a": "x", "b": "y", "choice": "a", "weight": 0}', "weight is no number"),
        (b'{"prompt": "p", "a": "x", "b": "y", "choice": "a", "weight": 1e400}', "weight is no number"),
        (b'{"prompt": "p", "a": "x", "b": "y", "choice": "a", "pair": 99999999999999999}', "pair is no whole number"),
        (b'{"prompt": "p", "a": "x", "b": "y", "choice": "a", "annotator": "\\u001b[31m"}', "will not do"),
        (b'{"prompt": "p", "completion": "x", "score": 8}', "score is no whole number from 1 to 7"),
        (b'{"prompt": "p", "completion": "x", "score": null}', "score is missing"),
        (b'{"prompt": "p", "chosen": "caf\xe9", "rejected": "y"}', r"not UTF-8 \(byte 0xe9 at 31\)"),
        (b'{"prompt": "p", "chosen": "' + b"x" * 100_001 + b'", "rejected": "y"}', "100,001 characters"),
        (b'{"prompt": "' + b"x" * 10 * 2**20 + b'"}', "more than 1,048,576 bytes"),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_by_its_line_and_nothing_is_taken(store: Store, bad: bytes, words: str) -> None:
    before = store.stats()
    with pytest.raises(ArenaError, match=words) as raised:
        take(store, GOOD + b"\n\n" + bad + b"\n" + GOOD)
    message = str(raised.value)
    assert message.startswith("labels.jsonl: line 3: ")
    assert message.endswith("nothing was imported")
    assert "\n" not in message
    assert len(message) < 400
    assert store.stats() | {"bytes": 0} == before | {"bytes": 0}


def test_wrong_encodings_and_empty_files_are_told(store: Store) -> None:
    for encoding, words in (("utf-16", "is UTF-16; save the file as UTF-8"), ("utf-32-be", "is no JSON|not UTF-8")):
        with pytest.raises(ArenaError, match=words):
            take(store, GOOD.decode().encode(encoding))
    for empty in (b"", b"\n \n\n"):
        with pytest.raises(ArenaError, match="has no rows"):
            take(store, empty)
    with pytest.raises(ArenaError, match="line 1"):
        take(store, bytes(range(256)) * 10)


def test_many_bad_lines_are_counted(store: Store) -> None:
    with pytest.raises(
        ArenaError, match=r"line 1: .*; line 2: .*; line 3: .*; and 97 more bad lines; nothing was imported"
    ):
        take(store, b"nonsense\n" * 100)


def test_the_longest_line_that_is_allowed(store: Store) -> None:
    fill = MAX_LINE_BYTES - len(GOOD) - len(b', "x": ""')
    row = GOOD[:-1] + b', "x": "' + b"y" * fill + b'"}'
    assert len(row) == MAX_LINE_BYTES
    assert take(store, row + b"\n" + row.replace(b'"p"', b'"q"')).labels == 2
    with pytest.raises(ArenaError, match="line 2: has more than"):
        take(store, GOOD + b"\n" + row.replace(b'"p"', b'"pp"') + b"\n")
