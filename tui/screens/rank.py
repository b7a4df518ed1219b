"""Two to four completions of a prompt to put in order, and one completion to mark from 1 to 7."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from arena.records_text import LabelProgress, RankTask, ScoreTask
from arena.store import Store
from tui.keymap import key_of
from tui.screens.judge_screen import COMMON, JudgeScreen, Shown
from tui.text import inert_block

LETTERS = "abcd"
MARKS = ("Bad", "Poor", "Weak", "Middling", "Fair", "Good", "Very good")


class RankScreen(JudgeScreen):
    """Completions to rank: their letters from best to worst, `=` before one that is as good as the one before it."""

    TITLE_WORD = "RANK"
    NEXT_MODE = "score"
    NOTHING = "There is nothing left to rank: every prompt with two different completions or more has been ranked."
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                letter, f"place({n})", letter.upper(), id=f"rank.{letter}", tooltip=f"{letter.upper()} is the next best"
            )
            for n, letter in enumerate(LETTERS)
        ),
        Binding("equals_sign", "tie", "Tie", id="rank.tie", key_display="=", tooltip="the next is as good as the last"),
        Binding("backspace", "clear", "Clear", id="rank.clear", tooltip="begin this order anew"),
        Binding("s", "later", "Later", id="rank.later", tooltip="not now"),
        *COMMON,
    ]

    def __init__(self) -> None:
        super().__init__()
        self._ranks: dict[int, int] = {}
        self._tied = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Each completion has its letter; a letter without one does nothing."""
        if action == "place" and self.asked is not None and parameters:
            return parameters[0] in range(len(self.asked.texts))
        return super().check_action(action, parameters)

    def panes(self) -> ComposeResult:
        for letter in LETTERS:
            pane = VerticalScroll(Static(id=f"{letter}-text"), id=letter, classes="text", can_focus=False)
            pane.border_title = Content(letter.upper())
            yield pane

    def _next(self, store: Store, after: int) -> RankTask | None:
        task = store.next_ranking(self.annotator, after)
        return task if task is not None or not after else store.next_ranking(self.annotator)

    def first(self, store: Store) -> RankTask | None:
        return self._next(store, 0)

    def count(self, store: Store) -> LabelProgress:
        return store.ranking_progress(self.annotator)

    def take_back(self, store: Store) -> RankTask | None:
        prompt = store.undo_ranking(self.annotator)
        return None if prompt is None else store.rank_task(self.annotator, prompt)

    def go_to(self, store: Store, number: int) -> RankTask:
        return store.rank_task(self.annotator, number)

    def write_note(self, store: Store, text: str) -> None:
        store.add_note(self.annotator, text, prompt=self.asked.prompt)

    def number(self) -> int:
        prompt: int = self.asked.prompt
        return prompt

    def answered(self, task: RankTask) -> bool:
        return task.ranking is not None

    def show_task(self) -> str:
        task: RankTask = self.asked
        for n, letter in enumerate(LETTERS):
            self.query_one(f"#{letter}").display = n < len(task.texts)
            if n < len(task.texts):
                self.query_one(f"#{letter}-text", Static).update(inert_block(task.texts[n]))
        self._ranks, self._tied = {}, False
        return task.text

    def hint(self) -> Content:
        task: RankTask | None = self.asked
        if task is None:
            return Content("")
        if not self._ranks and task.ranking is not None:
            order = self._words(dict(enumerate(task.ranking.ranks)))
            return Content(f"you said: {order}; letters say it anew")
        if not self._ranks:
            return Content("the letters from best to worst; = before one that is as good as the one before it")
        return Content(f"{self._words(self._ranks)} {'=' if self._tied else '>'} …")

    def _words(self, ranks: dict[int, int]) -> str:
        levels: dict[int, list[str]] = {}
        for place, rank in sorted(ranks.items(), key=lambda item: item[1]):
            levels.setdefault(rank, []).append(LETTERS[place].upper())
        return " > ".join(" = ".join(letters) for letters in levels.values())

    def action_place(self, place: int) -> None:
        task: RankTask | None = self.asked
        if self.busy or task is None or place >= len(task.texts) or place in self._ranks:
            return
        last = max(self._ranks.values(), default=0)
        self._ranks[place] = max(1, last if self._tied else last + 1)
        self._tied = False
        if len(self._ranks) < len(task.texts):
            self.say(self.hint())
            return
        ranks = [self._ranks[n] for n in range(len(task.texts))]
        milliseconds, annotator = self.milliseconds(), self.annotator

        def save(store: Store) -> int:
            return store.add_ranking(task.prompt, annotator, task.completions, ranks, milliseconds)

        said = f"#{task.prompt}: {self._words(self._ranks)} · saved · {key_of(self, 'undo')} takes it back"
        self.answer(save, lambda store: self._next(store, task.prompt), said)

    def action_tie(self) -> None:
        if self._ranks:
            self._tied = True
            self.say(self.hint())

    def action_clear(self) -> None:
        self._ranks, self._tied = {}, False
        self.say(self.hint())

    def action_later(self) -> None:
        if not self.busy and self.asked is not None:
            prompt = self.asked.prompt
            self.begin(lambda store: Shown(self._next(store, prompt)))


class ScoreScreen(JudgeScreen):
    """One completion after the other, marked from 1 (bad) to 7 (very good)."""

    TITLE_WORD = "SCORE"
    NEXT_MODE = "pairs"
    NOTHING = "There is nothing left to score: every completion has been scored."
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(n), f"score({n})", words, show=n in (1, 4, 7), id=f"score.{n}")
            for n, words in enumerate(MARKS, 1)
        ),
        Binding("s", "later", "Later", id="score.later", tooltip="not now"),
        *COMMON,
    ]

    def panes(self) -> ComposeResult:
        yield VerticalScroll(Static(id="only-text"), id="only", classes="text", can_focus=False)

    def _next(self, store: Store, after: int) -> ScoreTask | None:
        task = store.next_score(self.annotator, after)
        return task if task is not None or not after else store.next_score(self.annotator)

    def first(self, store: Store) -> ScoreTask | None:
        return self._next(store, 0)

    def count(self, store: Store) -> LabelProgress:
        return store.score_progress(self.annotator)

    def take_back(self, store: Store) -> ScoreTask | None:
        completion = store.undo_score(self.annotator)
        return None if completion is None else store.score_task(self.annotator, completion)

    def go_to(self, store: Store, number: int) -> ScoreTask:
        return store.score_task(self.annotator, number)

    def write_note(self, store: Store, text: str) -> None:
        store.add_note(self.annotator, text, completion=self.asked.completion)

    def number(self) -> int:
        completion: int = self.asked.completion
        return completion

    def answered(self, task: ScoreTask) -> bool:
        return task.score is not None

    def show_task(self) -> str:
        task: ScoreTask = self.asked
        self.query_one("#only-text", Static).update(inert_block(task.text))
        return task.prompt

    def hint(self) -> Content:
        task: ScoreTask | None = self.asked
        if task is None:
            return Content("")
        if task.score is not None:
            return Content(f"you said: {task.score}; a key says it anew")
        return Content("1 bad … 4 middling … 7 very good")

    def action_score(self, score: int) -> None:
        task: ScoreTask | None = self.asked
        if self.busy or task is None:
            return
        milliseconds, annotator = self.milliseconds(), self.annotator

        def save(store: Store) -> int:
            return store.add_score(task.completion, annotator, score, milliseconds)

        said = f"#{task.completion}: {score} · saved · {key_of(self, 'undo')} takes it back"
        self.answer(save, lambda store: self._next(store, task.completion), said)

    def action_later(self) -> None:
        if not self.busy and self.asked is not None:
            completion = self.asked.completion
            self.begin(lambda store: Shown(self._next(store, completion)))
