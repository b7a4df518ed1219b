"""Two completions of a prompt side by side: one key says which is better, saves it and goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from arena.records_text import Choice, LabelProgress, PairTask, Proposer
from arena.store import Store
from tui.keymap import key_of
from tui.screens.judge_screen import COMMON, JudgeScreen
from tui.text import inert_block

WORDS = {"tie": "a tie", "both_bad": "both bad", "skip": "skipped"}


class LabelScreen(JudgeScreen):
    """Pairs to compare.

    Args:
        proposed_by: only pairs of these origins.
        new: only pairs that nobody has labelled.
    """

    TITLE_WORD = "LABEL"
    NEXT_MODE = "rank"
    NOTHING = (
        "There is no pair left to label.\n\n{jump} goes to a number, {undo} takes back your newest label. "
        "Where more come from:\n"
        "  arena prefs pairs               proposes pairs of completions\n"
        "  arena prefs import FILE.jsonl   takes pairs from a file\n"
        "  arena rlhf sample               makes completions with a model\n"
        "  F8, the lab                     does it all from the beginning, step by step"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1,left", "choose('left')", "←", id="label.left", key_display="1", tooltip="the left one is better"),
        Binding(
            "2,right", "choose('right')", "→", id="label.right", key_display="2", tooltip="the right one is better"
        ),
        Binding("equals_sign", "choose('tie')", "Tie", id="label.tie", key_display="="),
        Binding("b", "choose('both_bad')", "Bad", id="label.bad", tooltip="both are bad"),
        Binding("s", "choose('skip')", "Skip", id="label.skip", tooltip="they cannot be compared"),
        Binding("m", "much", "Much", id="label.much", tooltip="the next choice is “much better”"),
        Binding("shift+left", "choose('left', 2)", "Left much better", show=False, id="label.much_left"),
        Binding("shift+right", "choose('right', 2)", "Right much better", show=False, id="label.much_right"),
        *COMMON,
    ]

    def __init__(self, proposed_by: Sequence[Proposer] | None = None, new: bool = False) -> None:
        super().__init__()
        self._proposed_by = proposed_by
        self._new = new
        self._much = False

    def panes(self) -> ComposeResult:
        for side, key in (("left", "1 ←"), ("right", "2 →")):
            pane = VerticalScroll(Static(id=f"{side}-text"), id=side, classes="text", can_focus=False)
            pane.border_title = Content(key)
            yield pane

    def _next(self, store: Store, after: int) -> PairTask | None:
        asked = (self._proposed_by, self._new)
        task = store.next_pair(self.annotator, after, *asked)
        return task if task is not None or not after else store.next_pair(self.annotator, 0, *asked)

    def first(self, store: Store) -> PairTask | None:
        return self._next(store, 0)

    def count(self, store: Store) -> LabelProgress:
        return store.label_progress(self.annotator, self._proposed_by, self._new)

    def take_back(self, store: Store) -> PairTask | None:
        pair = store.undo_label(self.annotator)
        return None if pair is None else store.pair_task(self.annotator, pair)

    def go_to(self, store: Store, number: int) -> PairTask:
        return store.pair_task(self.annotator, number)

    def write_note(self, store: Store, text: str) -> None:
        store.add_note(self.annotator, text, pair=self.asked.pair)

    def number(self) -> int:
        pair: int = self.asked.pair
        return pair

    def answered(self, task: PairTask) -> bool:
        return task.label is not None

    def show_task(self) -> str:
        task: PairTask = self.asked
        texts = (task.text_a, task.text_b) if task.left == "a" else (task.text_b, task.text_a)
        for side, text in zip(("left", "right"), texts, strict=True):
            self.query_one(f"#{side}-text", Static).update(inert_block(text))
        self._show_much(False)
        return task.prompt

    def hint(self) -> Content:
        task: PairTask | None = self.asked
        if task is None:
            return Content("")
        if task.label is not None and task.label.choice is not None:
            return Content(f"you said: {self._words(task.label.choice, task.label.strength)}; a key says it anew")
        return Content("1 or ← left is better · 2 or → right is · shift+←→ or m first: much better")

    def _words(self, choice: str, strength: int) -> str:
        """A choice between a and b in words about left and right."""
        if choice in WORDS:
            return WORDS[choice]
        side = "left" if choice == self.asked.left else "right"
        return f"{side} is {'much ' if strength == 2 else ''}better"

    def action_choose(self, what: str, strength: int = 1) -> None:
        if self.busy or self.asked is None:
            return
        task: PairTask = self.asked
        other: dict[str, Any] = {"a": "b", "b": "a"}
        sides: dict[str, Choice] = {"left": task.left, "right": other[task.left]}
        choice: Any = sides.get(what, what)
        strength = 2 if self._much and what in sides else strength
        left, milliseconds, annotator = task.left, self.milliseconds(), self.annotator

        def save(store: Store) -> int:
            return store.add_label(task.pair, annotator, choice, strength, left, milliseconds)

        said = f"#{task.pair}: {self._words(choice, strength)} · saved · {key_of(self, 'undo')} takes it back"
        self.answer(save, lambda store: self._next(store, task.pair), said)

    def action_much(self) -> None:
        if self.asked is not None and not self.busy:
            self._show_much(not self._much)
            self.say(Content("much better: now 1 or 2") if self._much else self.hint())

    def _show_much(self, much: bool) -> None:
        self._much = much
        self.query_one("#texts").set_class(much, "-much")
