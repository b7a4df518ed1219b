"""The lab of human feedback: what is done, what comes next, runs and their metrics. Work is done by jobs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable, Static

from arena.feedback_status import ALGORITHMS
from arena.jobs import Job
from envs.errors import ArenaError, UsageError
from tui.keymap import key_of
from tui.lab_facts import FIRST_KEYS, KIND_WORDS, Lab, LabRow, Stage, read_lab
from tui.lab_jobs import start, typed
from tui.messages import ReadFailed
from tui.run_facts import SIGNS
from tui.screens.dialogs import AskScreen, ChooseScreen
from tui.screens.live_screen import LiveScreen
from tui.screens.samples import changing
from tui.text import inert, shorten
from tui.widgets.area_bar import AreaBar
from tui.widgets.fact_table import FactTable
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note
from tui.widgets.plot import PlotPanel, Series, turn_over
from tui.widgets.tables import chosen, fill

REFRESH_SECONDS = 2.0
IDLE_TICKS = 5
"""Of so many refreshes one is done while nothing is at work here."""
PANELS = 6
EXTRAS = ("curve", "demo")
"""What stands beside the way."""


@dataclass
class LabLoaded(Message):
    """Everything that the lab shows has been read, as the `number`th reading that was asked for."""

    lab: Lab
    number: int


class LabScreen(LiveScreen):
    """Stages, models and runs, curves."""

    CSS_PATH = "lab.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "Next", id="lab.start", tooltip="do what comes next"),
        Binding("n", "new", "New", id="lab.new", tooltip="choose a step, with settings of your own"),
        Binding("x", "stop", "Stop", id="lab.stop", tooltip="stop the chosen run, or what is at work; all is kept"),
        Binding("r", "resume", "Resume", id="lab.resume", tooltip="go on with a run that was stopped or killed"),
        Binding("o", "output", "Log", id="lab.output", tooltip="what a job has printed, its results too"),
        Binding("a", "answers", "Answers", id="lab.answers", tooltip="one prompt's answers as a run went on"),
        Binding("c", "compare", "Compare", id="lab.compare", tooltip="SFT, DPO and PPO answer a prompt of yours"),
        Binding("i", "lens", "Lens", id="lab.lens", tooltip="look inside: tokens, layers, where the reward comes from"),
        Binding("g", "curve", "Curve", id="lab.curve", tooltip="gold against √KL: over-optimisation"),
        Binding("l", "label", "Label", show=False, id="lab.label", tooltip="go on labelling"),
        Binding(
            "m", "metric(1)", "Metric", show=False, id="lab.metric", tooltip="the next metric where one plot is shown"
        ),
        Binding("t", "numbers", "Numbers", show=False, id="lab.numbers", tooltip="the curves as numbers, and back"),
        Binding("ctrl+r", "load", "Refresh", show=False, id="lab.refresh"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", show=False, id="lab.leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._lab: Lab | None = None
        self._metric = 0
        self._ticks = 0
        self._asked = self._shown = 0
        self._said = ""

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one("#runs", DataTable)

    @property
    def row(self) -> LabRow | None:
        """The model or run under the cursor."""
        name = chosen(self.table)
        return next((row for row in self._lab.rows if row.name == name), None) if self._lab else None

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Static(id="stages")
        yield Static(id="next")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                table = FactTable(id="runs", cursor_type="row", zebra_stripes=True)
                yield table
                yield VerticalScroll(Static(id="answers"), id="changing", can_focus=False)
            yield Container(id="plots")  # mounted one by one, as there are metrics to draw
        yield Note(id="note")
        yield KeyBar()

    def on_mount(self) -> None:
        self.table.focus()
        self.refresh_every(REFRESH_SECONDS, self._tick)

    def on_resize(self, event: events.Resize) -> None:
        if self._lab is not None:
            self._show()

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks % IDLE_TICKS == 0 or (self._lab is not None and self._lab.jobs):
            self.action_load()

    def action_load(self) -> None:
        """Read everything anew."""
        row = self.row
        self._asked += 1
        self._read(row.name if row is not None else None, self._asked)

    @work(thread=True, exclusive=True, group="lab", exit_on_error=False)
    def _read(self, name: str | None, number: int) -> None:
        try:
            self.post_message(LabLoaded(read_lab(self.arena.db, self.arena.jobs, name), number))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_lab_loaded(self, message: LabLoaded) -> None:
        if message.number < self._shown:
            return  # overtaken by a later reading
        self._shown = message.number
        known = {row.name for row in self._lab.rows} if self._lab else set()
        if self._lab is not None and [job.id for job in self._lab.jobs] != [job.id for job in message.lab.jobs]:
            self._said = ""  # what was asked for has come about
        self._lab = message.lab
        self._show()
        new = [number for number, row in enumerate(self._lab.rows) if row.name not in known]
        if new:
            self.table.move_cursor(row=new[-1])

    def on_read_failed(self, message: ReadFailed) -> None:
        self._said = ""
        self.query_one("#note", Static).update(Content.styled(inert(message.problem), "$error"))

    @on(DataTable.RowHighlighted, "#runs")
    def _highlighted(self) -> None:
        if self._lab is None or self.row is None:
            return
        self._tell(self._said or self._about(self.row))
        if self.row.name != self._lab.curves.run:
            self._said = ""
            self.when_at_rest(self.action_load)

    @on(DataTable.RowSelected, "#runs")
    def _selected(self) -> None:
        self.action_answers()

    def on_click(self, event: events.Click) -> None:
        if event.widget is not None and event.widget.id == "next":
            self.action_start()

    # What is shown

    def _show(self) -> None:
        assert self._lab is not None
        self.query_one("#stages", Static).update(self._stage_line(self._lab))
        self.query_one("#next", Static).update(self._next_line(self._lab))
        self._fill(self._lab)
        self._draw(self._lab)
        self._tell(self._said or self._about(self.row))

    def _stage_line(self, lab: Lab) -> Content:
        return Content("  " if self.has_class("-wide") else " ").join(
            _stage(stage) for stage in lab.stages if stage.next or stage.word not in EXTRAS
        )

    def _next_line(self, lab: Lab) -> Content:
        if lab.jobs:
            parts = [f"{job.title}{_progress(job)}" for job in lab.jobs]
            return Content.assemble(("▶ at work: ", "bold $primary"), inert(" · ".join(parts)))
        if lab.status is not None and lab.status.at_work:
            names = ", ".join(lab.status.at_work)
            return Content.assemble(("▶ at work: ", "bold $primary"), inert(f"{names}, started elsewhere"))
        if lab.status is None:
            return Content.assemble(
                ("▸ next: arena rlhf pretrain", "bold $primary"), f" · {key_of(self, 'start')} starts it"
            )
        return Content.assemble(
            ("▸ next: ", "bold $primary"), (inert(lab.status.next), "bold"), f" · {inert(lab.status.why)}"
        )

    def _fill(self, lab: Lab) -> None:
        wide = self.has_class("-wide")
        columns = [("model", 12), ("kind", 11), ("state", 9)]
        if wide:
            columns = [("model", 20), ("kind", 11), ("from", 11), ("state", 12)]
        rows = []
        for row in lab.rows:
            cells = [
                shorten(row.name, columns[0][1]),
                KIND_WORDS.get(row.kind, row.kind)[: columns[1][1]],
                *([shorten(row.parent, 11)] if wide else []),
                _state(row)[: columns[-1][1]],
            ]
            busy = row.run is not None and row.run.active
            rows.append((row.name, [Text(cell, style="bold" if busy else "") for cell in cells]))
        fill(self.table, columns, rows)

    def _draw(self, lab: Lab) -> None:
        prompts = lab.sampled.prompts
        self.query_one("#changing").display = bool(prompts) and self.has_class("-wide")
        if prompts:
            prompt, answers = prompts[0]
            text = Content.assemble((inert(prompt), "bold"), "\n", changing(answers))
            self.query_one("#answers", Static).update(text)
        series = lab.curves.series
        wide = self.has_class("-wide")
        shown = min(PANELS if self.size.height >= 36 else 4, max(1, len(series))) if wide else 1
        first = self._metric % len(series) if series and not wide else 0
        new = False
        for number in range(PANELS):
            plot = next(iter(self.query(f"#plot-{number}").results(PlotPanel)), None)
            if plot is None and number < shown:
                if new:  # one after another: all else is painted first
                    self.call_after_refresh(self._draw_more)
                    break
                plot, new = PlotPanel(id=f"plot-{number}", empty="no metrics yet"), True
                self.query_one("#plots").mount(plot)
            if plot is not None:
                plot.set_class(number < shown, "-shown")
            if plot is None or number >= shown:
                continue
            if first + number >= len(series):
                plot.show([], lab.curves.run, "", "")
                continue
            key, steps, values = series[first + number]
            title = FIRST_KEYS.get(key, key)
            hint = "" if wide or len(series) < 2 else f"{key_of(self, 'metric(1)')}: the next of {len(series)} metrics"
            plot.show([Series(lab.curves.run, steps, values)], title, lab.curves.counted, hint)

    def _draw_more(self) -> None:
        if self._lab is not None and self.is_attached:
            self._draw(self._lab)

    def _about(self, row: LabRow | None) -> str:
        if row is None:
            start, new = key_of(self, "start"), key_of(self, "new")
            all_steps = f"{new} offers every step, also the whole way as a demonstration."
            return f"No model yet. {start} does what comes next; {all_steps}"
        words = [row.name, KIND_WORDS.get(row.kind, row.kind)] + ([f"from {row.parent}"] if row.parent else [])
        if row.run is not None:
            words.append(f"{row.run.state} at {row.run.step:,} of {row.run.total:,}")
            words += [word for word in (row.run.left, row.run.why) if word]
        latest = self._lab.latest if self._lab else None
        if latest is not None and latest.state == "failed":
            words.append(f"{latest.title} failed: {latest.why}")
        return " · ".join(words)

    def _tell(self, text: str, style: str = "") -> None:
        self.query_one("#note", Static).update(Content.styled(inert(text), style))

    def _say(self, text: str, style: str = "$warning") -> None:
        """Something about what was just asked for; it stays until another row is chosen."""
        self._said = text
        self._tell(text, style)

    # What is done

    def action_start(self) -> None:
        if self._lab is None:
            return
        if self._lab.jobs:
            stop, new = key_of(self, "stop"), key_of(self, "new")
            self._say(f"{self._lab.jobs[0].title} is at work; {stop} stops it, {new} starts something beside it")
            return
        status = self._lab.status
        words = status.words if status else ["rlhf", "pretrain"]
        if status and status.at_work:
            self._say(f"{status.why}, started elsewhere; {key_of(self, 'new')} starts something beside it")
            return
        self._go(words)

    def action_new(self) -> None:
        if self._lab is None:
            return
        stages = self._lab.stages
        lines = [f"{_mark(stage)} {stage.word:9}{stage.help}" for stage in stages]

        def asked(word: str, text: str | None) -> None:
            if text is not None:
                text = f"rlhf {word} {text}" if text.startswith("-") else text
                try:
                    self._go(typed(text, [stage.word for stage in stages]))
                except UsageError as error:
                    self._say(str(error), "$error")

        def choose(index: int | None) -> None:
            if index is None:
                return
            word = stages[index].word
            if word == "label":
                self.action_label()
            else:
                explanation = f"Enter starts it; or type options: arena rlhf {word} --help names them."
                self.app.push_screen(AskScreen("arena …", f"rlhf {word}", explanation), partial(asked, word))

        self.app.push_screen(ChooseScreen("Which step?", lines), choose)

    def _go(self, words: Sequence[str]) -> None:
        """Do a command: labelling here, anything else as a job."""
        if words[0] == "label":
            self.action_label()
            return
        self._say(f"arena {shlex.join(words)} has been started", "")
        self.do(lambda: start(self.arena.jobs, self.arena.db, words))

    def action_stop(self) -> None:
        row = self.row
        jobs = self._lab.jobs if self._lab else []
        if row is not None and row.run is not None and row.run.job is not None and row.run.job.state == "running":
            job = row.run.job
        elif jobs:
            job = jobs[0]
        else:
            self._say("nothing that was started here is at work")
            return
        self._say(f"{job.title} is asked to stop; everything is kept", "")
        self.do(lambda: self.arena.jobs.stop(job.id))

    def action_resume(self) -> None:
        row = self.row
        if row is None or row.run is None or row.done:
            self._say("there is nothing to go on with: choose a run that has not finished")
        elif row.run.active:
            self._say(f"{row.name} is at work already")
        else:
            self._go(["rlhf", ALGORITHMS[row.run.algorithm], "--name", row.name, "--resume"])

    def action_output(self) -> None:
        from tui.screens.job_log import JobLogScreen

        row = self.row
        job = row.run.job if row is not None and row.run is not None else None
        job = job or (self._lab.latest if self._lab else None)
        if job is None:
            self._say("no log: nothing was started from the app")
        else:
            self.app.push_screen(JobLogScreen(job.id, job.title))

    def action_answers(self) -> None:
        from tui.screens.samples import SamplesScreen

        row = self.row
        if row is None or row.run is None or row.kind not in ("rlhf", "online_dpo"):
            self._say("answers are kept of runs of PPO and online DPO: choose one")
        else:
            self.app.push_screen(SamplesScreen(row.name))

    def action_label(self) -> None:
        self.arena.go("label")

    def action_compare(self) -> None:
        from tui.screens.compare import CompareScreen

        self.app.push_screen(CompareScreen())

    def action_lens(self) -> None:
        from tui.screens.lens import LensScreen

        self.app.push_screen(LensScreen())

    def action_curve(self) -> None:
        from tui.screens.curve import CurveScreen

        self.app.push_screen(CurveScreen())

    def action_metric(self, change: int) -> None:
        if self._lab is not None and self._lab.curves.series and not self.has_class("-wide"):
            self._metric = (self._metric + change) % len(self._lab.curves.series)
            self._draw(self._lab)

    def action_numbers(self) -> None:
        turn_over([plot for plot in self.query(PlotPanel) if plot.has_class("-shown")])


def _mark(stage: Stage) -> str:
    return "▸" if stage.next else "✓" if stage.amount else " "


def _stage(stage: Stage) -> Content:
    """One of the stages in a line: done, next or to come, and how much."""
    amount = f" {stage.amount:,}" if stage.amount > 1 else ""
    look = "bold $primary" if stage.next else "" if stage.amount else "$text-muted"
    return Content.styled(f"{_mark(stage).strip()}{stage.word}{amount}", look)


def _state(row: LabRow) -> str:
    if row.run is None:
        return "✓ kept"
    if row.run.active and row.run.total:
        return f"{SIGNS[row.run.state]} {min(100, 100 * row.run.step // row.run.total)}%"
    return f"{SIGNS[row.run.state]} {'done' if row.run.state == 'finished' else row.run.state}"


def _progress(job: Job) -> str:
    progress = job.progress
    if progress is None:
        return " …"
    words = f" · {progress.words}" if progress.words else ""
    return f" {progress.done:,}/{progress.total:,}{words}"
