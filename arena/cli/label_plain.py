"""Judging text in plain lines: print a question, read an answer, save it, say so, go on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from arena.cli.output import clean
from arena.records_text import Choice, PairTask, Proposer, RankTask, ScoreTask, Side
from arena.store import Store
from envs.errors import ArenaError

LETTERS = "abcd"
NOTHING = "nothing is left to judge; `arena prefs pairs` and `arena prefs import` bring more"


class Judging(Protocol):
    """One kind of question."""

    keys: str

    def ask(self, after: int) -> Any:
        """The first open question behind the number `after`, None: there is none."""

    def prompt(self, task: Any) -> str:
        """What the completions continue."""

    def show(self, task: Any) -> tuple[int, str]:
        """The question's number and text."""

    def save(self, task: Any, answer: str, milliseconds: int) -> str | None:
        """Keep an answer and say what it was; None where the line is none."""

    def undo(self) -> Any:
        """Take back the newest answer; its question, None: there is none."""

    def note(self, task: Any, text: str) -> None:
        """Keep a remark."""


def label_plain(
    store: Store,
    annotator: str,
    mode: str,
    read: Callable[[str], str],
    proposed_by: Sequence[Proposer] | None = None,
    new: bool = False,
) -> None:
    """Ask until the person quits or `read(prompt)` raises EOFError."""
    kinds: dict[str, Judging] = {"rank": Rank(store, annotator), "score": Score(store, annotator)}
    judging = kinds.get(mode) or Pairs(store, annotator, proposed_by, new)
    task, said = (
        judging.ask(0),
        f"{judging.keys} · u undo · n TEXT note · w TEXT a better answer · g guidelines · q quit",
    )
    while True:
        print(said, flush=True)
        number, text = judging.show(task) if task is not None else (0, NOTHING)
        print(text, flush=True)
        began = time.monotonic()
        try:
            line = read(f"#{number}> ").strip()
        except EOFError:
            return
        word, _, rest = line.partition(" ")
        if word in ("q", "quit", "exit"):
            return
        if word == "u":
            undone = judging.undo()
            task, said = (task, "nothing is left to undo") if undone is None else (undone, "taken back")
        elif word == "g":
            said = "\n".join(clean(row) for row in store.guidelines().splitlines())
        elif task is None:
            task, said = judging.ask(0), "u undo · q quit"
        elif word == "n":
            said = _kept("noted", partial(judging.note, task, rest))
        elif word == "w":
            rows = [(judging.prompt(task), rest)]
            said = _kept("kept as a demonstration", partial(store.add_demonstrations, rows, annotator))
        else:
            answer = judging.save(task, line, round(1000 * (time.monotonic() - began)))
            if answer is None:
                said = f"{clean(line)!r} is no answer: {judging.keys}"
            else:
                said = f"saved #{number}: {answer}"
                task = judging.ask(number) or judging.ask(0)


def _kept(said: str, keep: Callable[[], object]) -> str:
    try:
        keep()
    except ArenaError as error:
        return clean(str(error))
    return said


def block(title: str, text: str) -> str:
    """A text under its title, nothing in it that a terminal would obey or that looks like a title."""
    lines = ["  " + clean(line.expandtabs(4)) for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join([f"{title}:", *lines])


class Pairs:
    """Two completions: which is better?"""

    keys = "1 left is better, 2 right is, = tie, b both bad, s skip, m1 or m2 much better"
    _ANSWERS: dict[str, tuple[str, int, str]] = {  # noqa: RUF012
        "1": ("left", 1, "left is better"),
        "2": ("right", 1, "right is better"),
        "m1": ("left", 2, "left is much better"),
        "m2": ("right", 2, "right is much better"),
        "=": ("tie", 1, "a tie"),
        "b": ("both_bad", 1, "both bad"),
        "s": ("skip", 1, "skipped"),
    }

    def __init__(self, store: Store, annotator: str, proposed_by: Sequence[Proposer] | None, new: bool) -> None:
        self._store, self._annotator, self._proposed_by, self._new = store, annotator, proposed_by, new

    def ask(self, after: int) -> PairTask | None:
        return self._store.next_pair(self._annotator, after, self._proposed_by, self._new)

    def prompt(self, task: PairTask) -> str:
        return task.prompt

    def show(self, task: PairTask) -> tuple[int, str]:
        left, right = (task.text_a, task.text_b) if task.left == "a" else (task.text_b, task.text_a)
        return task.pair, "\n".join([block("prompt", task.prompt), block("1", left), block("2", right)])

    def save(self, task: PairTask, answer: str, milliseconds: int) -> str | None:
        if answer not in self._ANSWERS:
            return None
        what, strength, said = self._ANSWERS[answer]
        right: Side = "b" if task.left == "a" else "a"
        sides: dict[str, Any] = {"left": task.left, "right": right}
        choice: Choice = sides.get(what, what)
        self._store.add_label(task.pair, self._annotator, choice, strength, task.left, milliseconds)
        return said

    def undo(self) -> PairTask | None:
        pair = self._store.undo_label(self._annotator)
        return None if pair is None else self._store.pair_task(self._annotator, pair)

    def note(self, task: PairTask, text: str) -> None:
        self._store.add_note(self._annotator, text, pair=task.pair)


class Rank:
    """Up to four completions: in which order?"""

    keys = "the letters from best to worst with > and =, such as b>a=c"

    def __init__(self, store: Store, annotator: str) -> None:
        self._store, self._annotator = store, annotator

    def ask(self, after: int) -> RankTask | None:
        return self._store.next_ranking(self._annotator, after)

    def prompt(self, task: RankTask) -> str:
        return task.text

    def show(self, task: RankTask) -> tuple[int, str]:
        texts = [block(letter, text) for letter, text in zip(LETTERS, task.texts, strict=False)]
        return task.prompt, "\n".join([block("prompt", task.text), *texts])

    def save(self, task: RankTask, answer: str, milliseconds: int) -> str | None:
        order = answer.lower().replace(" ", "")
        letters = re.split("[>=]", order)
        if sorted(letters) != list(LETTERS[: len(task.texts)]):
            return None
        ranks = {letter: rank for rank, level in enumerate(order.split(">"), 1) for letter in level.split("=")}
        placed = [ranks[letter] for letter in LETTERS[: len(task.texts)]]
        self._store.add_ranking(task.prompt, self._annotator, task.completions, placed, milliseconds)
        return order

    def undo(self) -> RankTask | None:
        prompt = self._store.undo_ranking(self._annotator)
        return None if prompt is None else self._store.rank_task(self._annotator, prompt)

    def note(self, task: RankTask, text: str) -> None:
        self._store.add_note(self._annotator, text, prompt=task.prompt)


class Score:
    """One completion: how good is it?"""

    keys = "1 bad … 7 very good"

    def __init__(self, store: Store, annotator: str) -> None:
        self._store, self._annotator = store, annotator

    def ask(self, after: int) -> ScoreTask | None:
        return self._store.next_score(self._annotator, after)

    def prompt(self, task: ScoreTask) -> str:
        return task.prompt

    def show(self, task: ScoreTask) -> tuple[int, str]:
        return task.completion, "\n".join([block("prompt", task.prompt), block("completion", task.text)])

    def save(self, task: ScoreTask, answer: str, milliseconds: int) -> str | None:
        if answer not in {"1", "2", "3", "4", "5", "6", "7"}:
            return None
        self._store.add_score(task.completion, self._annotator, int(answer), milliseconds)
        return answer

    def undo(self) -> ScoreTask | None:
        completion = self._store.undo_score(self._annotator)
        return None if completion is None else self._store.score_task(self._annotator, completion)

    def note(self, task: ScoreTask, text: str) -> None:
        self._store.add_note(self._annotator, text, completion=task.completion)
