"""What labelling, ranking and scoring share: one thing to judge after the other, saved before the next one is shown."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from arena.records_text import LabelProgress
from arena.store import Store
from envs.errors import ArenaError
from tui.keymap import key_of
from tui.screens.area_screen import AreaScreen
from tui.screens.dialogs import AskScreen, WriteScreen
from tui.text import clock, inert, inert_block
from tui.widgets.area_bar import AreaBar
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note

JUDGING = frozenset(("choose", "much", "place", "tie", "clear", "score", "later", "note", "write"))
"""Actions about what is shown: where nothing is, there is nothing to do them to."""
RECENT = 50
RECOUNT = 200
"""Answers after which it is counted anew how many there are: others may propose and label at the same time."""
PAUSE_SECONDS = 120.0
"""An answer that took longer counts as this long in the pace: the person was away."""

COMMON: list[BindingType] = [
    Binding("u", "undo", "Undo", id="label.undo", tooltip="take back your newest answer, as often as you want"),
    Binding("n", "note", "Note", id="label.note", tooltip="write down something about what is shown"),
    Binding("g", "guidelines", "Guide", id="label.guidelines", tooltip="what annotators are told"),
    Binding("j", "jump", "Jump", id="label.jump", tooltip="go to any number, also to answer it anew"),
    Binding(
        "w",
        "write",
        "Write",
        show=False,
        id="label.write",
        tooltip="write the answer you would have wanted: a demonstration to learn from",
    ),
    Binding(
        "v", "mode", "Mode", show=False, id="label.mode", tooltip="pairs, then ranking, then scoring, then pairs again"
    ),
    Binding("down", "scroll(3)", "Scroll the texts", show=False, id="label.down"),
    Binding("up", "scroll(-3)", "Scroll back", show=False, id="label.up"),
    Binding("right_square_bracket", "scroll_prompt(3)", "Scroll the prompt", show=False, id="label.prompt_down"),
    Binding("left_square_bracket", "scroll_prompt(-3)", "Scroll it back", show=False, id="label.prompt_up"),
    Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
    Binding("escape", "app.back", "Back", id="label.leave"),
]


@dataclass
class Shown(Message):
    """A worker has saved what there was to save and read what comes next (`task` None: nothing is left)."""

    task: Any
    said: str = ""
    change: int = 0


@dataclass
class Progress(Message):
    """How far this annotator is has been counted."""

    progress: LabelProgress


@dataclass
class Failed(Message):
    """The league could not be read or written; nothing was saved."""

    problem: str


class JudgeScreen(AreaScreen):
    """Shows one task, takes one answer, goes on. Subclasses say what a task is.

    Everything that touches the league runs in one worker at a time; keys that come meanwhile are for a text that nobody
    has seen yet and are dropped.
    """

    CSS_PATH = "label.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-stacked"), (80, "-beside")]  # noqa: RUF012
    TITLE_WORD: ClassVar[str] = ""
    NEXT_MODE: ClassVar[str] = ""
    NOTHING: ClassVar[str] = ""
    """What is said when no task is left; {jump} and {undo} stand for these keys."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Any = None
        self.busy = True
        self._store: Store | None = None
        self._progress = LabelProgress(0, 0)
        self._times: deque[float] = deque(maxlen=RECENT)
        self._answers = 0
        self._prompt = ""
        self._began = time.monotonic()

    # What subclasses fill in

    def first(self, store: Store) -> Any:
        """The first task that is not done."""
        raise NotImplementedError

    def count(self, store: Store) -> LabelProgress:
        raise NotImplementedError

    def take_back(self, store: Store) -> Any:
        """Undo the newest answer and return its task; None where there is none."""
        raise NotImplementedError

    def go_to(self, store: Store, number: int) -> Any:
        """The task of this number."""
        raise NotImplementedError

    def write_note(self, store: Store, text: str) -> None:
        raise NotImplementedError

    def number(self) -> int:
        """The number of the shown task."""
        raise NotImplementedError

    def panes(self) -> ComposeResult:
        """The widgets that show the texts, in `#texts`."""
        raise NotImplementedError

    def answered(self, task: Any) -> bool:
        """Whether this annotator has judged the task before."""
        raise NotImplementedError

    def show_task(self) -> str:
        """Show the texts; returns the prompt."""
        raise NotImplementedError

    def hint(self) -> Content:
        """The status line where nothing has just been said."""
        return Content("")

    # The rest

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where nothing is left to judge, no key judges."""
        return self.asked is not None or self.busy or action not in JUDGING

    @property
    def annotator(self) -> str:
        assert self.arena.user is not None
        return self.arena.user

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        with VerticalScroll(id="prompt", can_focus=False):
            yield Static(id="prompt-text")
        with Container(id="texts"):
            yield from self.panes()
        yield Static(id="status")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#texts").display = False
        self.begin(lambda store: Shown(self.first(store)), count=True)

    def on_unmount(self) -> None:
        if self._store is not None:
            self._store.close()

    def milliseconds(self) -> int:
        """How long the shown task has been looked at."""
        return round(1000 * (time.monotonic() - self._began))

    def answer(self, save: Callable[[Store], object], following: Callable[[Store], Any], said: str) -> None:
        """Save an answer, then show what follows."""
        self._times.append(min(self.milliseconds() / 1000, PAUSE_SECONDS))
        self._answers += 1
        change = 0 if self.answered(self.asked) else 1

        def run(store: Store) -> Shown:
            save(store)
            return Shown(following(store), said, change)

        self.begin(run, count=self._answers % RECOUNT == 0)

    def begin(self, run: Callable[[Store], Shown], count: bool = False) -> None:
        """Do this to the league, unless something is being done already."""
        self.busy = True
        self._work(run, count)

    @work(thread=True, group="judge", exit_on_error=False)
    def _work(self, run: Callable[[Store], Shown], count: bool) -> None:
        try:
            if self._store is None:
                if not self.arena.db.exists():
                    self.post_message(Shown(None))
                    return
                self._store = Store(self.arena.db)
            shown = run(self._store)
            self.post_message(shown)
            if count or shown.task is None:
                self.post_message(Progress(self.count(self._store)))
        except ArenaError as error:
            self.post_message(Failed(str(error)))

    def on_shown(self, message: Shown) -> None:
        self.busy = False
        if message.task is self.asked and self.asked is not None:
            self.say(Content(message.said))
            return
        self.asked = message.task
        self._progress = LabelProgress(
            self._progress.done + message.change, self._progress.total, self._progress.seconds
        )
        self.query_one("#texts").display = self.asked is not None
        self.query_one("#prompt").set_class(self.asked is None, "-alone")
        if self.asked is None:
            nothing = self.NOTHING.format(jump=key_of(self, "jump"), undo=key_of(self, "undo"))
            self.query_one("#prompt-text", Static).update(Content(nothing))
        else:
            self._prompt = self.show_task()
            self.query_one("#prompt-text", Static).update(inert_block(self._prompt))
            for pane in self.query(VerticalScroll):
                pane.scroll_home(animate=False)
        self.say(Content(message.said) if message.said else self.hint())
        self._show_banner()
        self.refresh_bindings()  # the keys are those of what is shown
        self._began = time.monotonic()

    def on_progress(self, message: Progress) -> None:
        self._progress = message.progress
        self._show_banner()

    def on_failed(self, message: Failed) -> None:
        self.say(Content.styled(inert(message.problem), "$error"))
        self.busy = False

    def say(self, words: Content) -> None:
        self.query_one("#status", Static).update(words)

    def _show_banner(self) -> None:
        done, total = self._progress.done, self._progress.total
        parts = [f"{inert(self.annotator)}", f"{done:,} of {total:,}"]
        seconds = sum(self._times) / len(self._times) if self._times else self._progress.seconds
        if seconds:
            parts += [f"{3600 / seconds:,.0f}/hour", f"{clock(seconds * (total - done))} left"]
        if self.asked is not None:
            parts.append(f"#{self.number()}")
        self.query_one("#banner", Static).update(
            Content.assemble((f" {self.TITLE_WORD} ", "bold $background on $primary"), f"  {' · '.join(parts)}")
        )

    def action_undo(self) -> None:
        def run(store: Store) -> Shown:
            task = self.take_back(store)
            if task is None:
                return Shown(self.asked, "nothing is left to undo")
            return Shown(task, "taken back", 0 if self.answered(task) else -1)

        if not self.busy:
            self.begin(run)

    def action_note(self) -> None:
        def written(text: str | None) -> None:
            if text is not None and self.asked is not None:
                self.begin(lambda store: self._noted(store, text))

        if self.asked is not None:
            self.app.push_screen(
                AskScreen(f"A note about #{self.number()}", "", "Only you and reports see it."), written
            )

    def _noted(self, store: Store, text: str) -> Shown:
        self.write_note(store, text)
        return Shown(self.asked, "noted")

    def action_write(self) -> None:
        prompt, annotator = self._prompt, self.annotator

        def run(store: Store, text: str) -> Shown:
            new = store.add_demonstrations([(prompt, text)], annotator)
            return Shown(self.asked, "kept as a demonstration" if new else "that answer was there already")

        def written(text: str | None) -> None:
            if text is not None:
                self.begin(lambda store: run(store, text))

        if self.asked is not None:
            explanation = "It is kept as a demonstration, for supervised fine-tuning."
            self.app.push_screen(WriteScreen("What should have been answered?", explanation), written)

    def action_mode(self) -> None:
        self.arena.change_label_mode(self.NEXT_MODE)

    def action_guidelines(self) -> None:
        if self._store is not None:
            self.app.push_screen(GuidelinesScreen(self._store.guidelines()))

    def action_jump(self) -> None:
        def chosen(text: str | None) -> None:
            if text is None:
                return
            number = text.strip().removeprefix("#").replace(",", "")
            if not (number.isascii() and number.isdigit() and len(number) < 16):
                self.say(Content.styled(f"{inert(text)} is no number", "$error"))
                return
            self.begin(lambda store: Shown(self.go_to(store, int(number))))

        number = str(self.number()) if self.asked is not None else ""
        self.app.push_screen(
            AskScreen("Go to which number?", number, "As it stands at the end of the top line."), chosen
        )

    def action_scroll(self, lines: int) -> None:
        for pane in self.query_one("#texts").query(VerticalScroll):
            pane.scroll_relative(y=lines, animate=False)

    def action_scroll_prompt(self, lines: int) -> None:
        self.query_one("#prompt", VerticalScroll).scroll_relative(y=lines, animate=False)


class GuidelinesScreen(ModalScreen[None]):
    """What annotators are told."""

    CSS_PATH = "label.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,g,q,enter", "dismiss", "Close", id="guidelines.close")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="guidelines"):
            yield Static(inert_block(self._text))
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
