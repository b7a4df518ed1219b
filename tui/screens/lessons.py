"""Lessons: a page of text beside a small run of the code it is about, alive, in child processes."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from arena.jobs import Job, Jobs
from arena.store import Store
from envs.errors import ArenaError
from tui.lessons import LESSONS, Lesson
from tui.screens.area_screen import AreaScreen
from tui.text import inert
from tui.widgets.area_bar import AreaBar
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note
from tui.widgets.plot import PlotPanel, Series

REFRESH_SECONDS = 0.5
POINTS = 200


@dataclass
class LessonRead(Message):
    """What the runs of a lesson have measured so far, and how their jobs stand."""

    number: int
    series: list[Series]
    jobs: list[Job]


class Bench:
    """The runs of one lesson, on a league of their own in a temporary folder. Its methods are for threads."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        self.folder = Path(tempfile.mkdtemp(prefix="arena-lesson-"))
        self.db = self.folder / "league.db"
        self._jobs = Jobs(self.db)
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Start the runs. Raises ArenaError."""
        with self._lock:
            for command in () if self._closed else self.lesson.commands:
                self._jobs.start(command, self.lesson.title)

    def jobs(self) -> list[Job]:
        return self._jobs.all()[::-1]

    def read(self) -> list[Series]:
        """The curves so far, over per cent of each run."""
        if not self.db.exists():
            return []
        found = []
        with Store(self.db, create=False) as store:
            runs = {run.name: run for run in store.runs()}
            for curve in self.lesson.curves:
                run = runs.get(curve.run)
                points = store.metrics(run.id, curve.metric, POINTS) if run is not None else []
                if run is not None and points:
                    x = [100 * step / run.total_steps for step, _ in points]
                    found.append(Series(curve.name, x, [curve.times * value for _, value in points]))
        return found

    def close(self) -> None:
        """End what runs and throw everything away."""
        with self._lock:
            self._closed = True
            with contextlib.suppress(ArenaError):
                for job in self._jobs.all():
                    if job.state == "running":
                        self._jobs.kill(job.id)
            shutil.rmtree(self.folder, ignore_errors=True)


class LessonsScreen(AreaScreen):
    """One lesson at a time."""

    CSS_PATH = "lessons.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "run", "Run", id="lessons.run", tooltip="start the lesson's runs, or end them"),
        Binding("right,n", "turn(1)", "Next", id="lessons.next", key_display="→"),
        Binding("left,b", "turn(-1)", "Before", id="lessons.before", key_display="←"),
        Binding("t", "numbers", "Numbers", id="lessons.numbers", tooltip="the curves as numbers, and back"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", id="lessons.leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self._at_work = False
        self.bench: Bench | None = None

    @property
    def lesson(self) -> Lesson:
        return LESSONS[self.number]

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        with Horizontal():
            with VerticalScroll(id="page"):
                yield Static(id="text")
            with Vertical(id="live"):
                yield PlotPanel(id="plot")
                yield Note(id="note")
        yield KeyBar()

    def on_mount(self) -> None:
        self._show()
        self.query_one("#page").focus()
        self.set_interval(REFRESH_SECONDS, self._refresh)

    def on_unmount(self) -> None:
        if self.bench is not None:
            self.bench.close()

    def _show(self) -> None:
        lesson = self.lesson
        self.query_one("#banner", Static).update(
            Content.assemble(
                (f" Lesson {self.number + 1} of {len(LESSONS)} ", "bold $background on $primary"),
                (f"  {lesson.title}", "bold"),
            )
        )
        parts: list[str | tuple[str, str]] = [f"{paragraph}\n\n" for paragraph in lesson.text]
        parts += [("To see\n", "bold $primary"), f"{lesson.look}\n\n", ("What runs\n", "bold $primary")]
        parts += [(f"arena {' '.join(command)}\n", "$text-muted") for command in lesson.commands]
        self.query_one("#text", Static).update(Content.assemble(*parts))
        self.query_one("#page", VerticalScroll).scroll_home(animate=False)
        self._draw([])
        self._say("space starts it, live, in a child process; nothing of it is kept")

    def _draw(self, series: list[Series]) -> None:
        self.query_one(PlotPanel).show(series, self.lesson.y_title, "% of the run", "")

    def _say(self, text: str, style: str = "$text-muted") -> None:
        self.query_one("#note", Static).update(Content.styled(inert(text), style))

    def action_turn(self, change: int) -> None:
        self._end()
        self._at_work = False
        self.number = (self.number + change) % len(LESSONS)
        self._show()

    def action_numbers(self) -> None:
        self.query_one(PlotPanel).toggle_numbers()

    def action_run(self) -> None:
        running, self._at_work = self._at_work, False
        self._end()
        if running:
            self._say("ended; space starts it anew")
            return
        self._at_work = True
        self._draw([])
        self._say("starting…")
        self.bench = Bench(self.lesson)
        self._start(self.bench)

    def _end(self) -> None:
        bench, self.bench = self.bench, None
        if bench is not None:
            self._close(bench)

    @work(thread=True, group="close", exit_on_error=False)
    def _close(self, bench: Bench) -> None:
        bench.close()

    @work(thread=True, group="start", exit_on_error=False)
    def _start(self, bench: Bench) -> None:
        try:
            bench.start()
        except ArenaError as error:
            self.app.call_from_thread(self._say, str(error), "$error")

    def _refresh(self) -> None:
        if self.bench is not None and self.is_current:
            self._read(self.bench, self.number)

    @work(thread=True, exclusive=True, group="read", exit_on_error=False)
    def _read(self, bench: Bench, number: int) -> None:
        with contextlib.suppress(ArenaError):  # thrown away meanwhile, or being made just now
            self.post_message(LessonRead(number, bench.read(), bench.jobs()))

    def on_lesson_read(self, message: LessonRead) -> None:
        if self.bench is None or message.number != self.number or not message.jobs:
            return
        if message.series:
            self._draw(message.series)
        failed = next((job for job in message.jobs if job.state == "failed"), None)
        if failed is not None:
            self._at_work = False
            self._say(f"it failed: {failed.why}", "$error")
        elif all(job.state == "done" for job in message.jobs):
            self._at_work = False
            self._say("done; space runs it again, → is the next lesson")
        else:
            told = [job.progress for job in message.jobs if job.state == "running" and job.progress is not None]
            words = [f"{each.part} {min(100, 100 * each.done // max(each.total, 1))} %" for each in told]
            self._say(f"running: {' · '.join(words) or 'starting…'}")
