"""What a job has printed, as it prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Log, Static

from arena.jobs import Job
from envs.errors import ArenaError
from tui.messages import ReadFailed
from tui.text import inert
from tui.widgets.area_bar import AreaBar
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note

if TYPE_CHECKING:
    from tui.app import ArenaApp

REFRESH_SECONDS = 1.0
LINES = 500


class JobRead(Message):
    """A job and the end of its log have been read."""

    def __init__(self, job: Job, lines: list[str]) -> None:
        super().__init__()
        self.job = job
        self.lines = lines


class JobLogScreen(Screen[None]):
    """The last lines of a job's log; follows it while the end is in sight."""

    CSS_PATH = "job_log.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("end", "end", "End", id="job.end", tooltip="to the last line, and follow"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", id="job.leave"),
    ]

    def __init__(self, job: int, title: str) -> None:
        super().__init__()
        self._job = job
        self._title = title
        self._lines: list[str] = []

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        yield Log(id="lines", max_lines=LINES)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(Log).focus()
        self.set_interval(REFRESH_SECONDS, self._read)
        self._read()

    @work(thread=True, exclusive=True, group="log", exit_on_error=False)
    def _read(self) -> None:
        jobs = cast("ArenaApp", self.app).jobs
        try:
            self.post_message(JobRead(jobs.job(self._job), jobs.tail(self._job, LINES)))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_job_read(self, message: JobRead) -> None:
        job = message.job
        words = f"  {inert(self._title)} · {job.state}{f': {inert(job.why)}' if job.why else ''}"
        words += "" if message.lines else " · no line yet"
        command = f"   arena {inert(' '.join(job.command))}"
        banner = [(" log ", "bold $background on $primary"), (words, "bold"), (command, "$text-muted")]
        self.query_one("#banner", Static).update(Content.assemble(*banner))
        if message.lines != self._lines:
            log = self.query_one(Log)
            new = message.lines[len(self._lines) :]
            if message.lines[: len(self._lines)] != self._lines:
                log.clear()
                new = message.lines
            log.write_lines([inert(line) for line in new], scroll_end=log.is_vertical_scroll_end)
            self._lines = message.lines

    def on_read_failed(self, message: ReadFailed) -> None:
        self.query_one("#banner", Static).update(Content.styled(inert(message.problem), "$error"))

    def action_end(self) -> None:
        self.query_one(Log).scroll_end(animate=False)
