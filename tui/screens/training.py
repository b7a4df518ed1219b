"""Training runs: start, follow, compare, stop, go on. Each is a job of its own, which outlives the app."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import DataTable, Static

from envs.errors import ArenaError
from tui.facts import is_game
from tui.keymap import key_of
from tui.messages import ReadFailed, RunsLoaded
from tui.run_facts import SIGNS, Curves, RunRow, read_curves, read_runs
from tui.screens.dialogs import ChooseScreen, ConfirmScreen
from tui.screens.live_screen import LiveScreen
from tui.text import inert, shorten
from tui.widgets.area_bar import AreaBar
from tui.widgets.fact_table import FactTable
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note
from tui.widgets.plot import PlotPanel, Series, turn_over
from tui.widgets.tables import chosen, fill

REFRESH_SECONDS = 2.0
PANELS = 4
"""Plots where there is room for so many."""
TAIL = 200
MAX_COMPARED = 6


class TrainingScreen(LiveScreen):
    """Runs, their curves, their logs."""

    CSS_PATH = "training.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New", id="training.new", tooltip="start a training"),
        Binding("space", "mark", "Mark", id="training.mark", tooltip="mark a run: its curves stay beside others'"),
        Binding("m", "metric", "Metric", id="training.metric"),
        Binding("left_square_bracket", "next(-1)", "Metric before", show=False, id="training.before", key_display="["),
        Binding("right_square_bracket", "next(1)", "Next metric", show=False, id="training.next", key_display="]"),
        Binding("t", "numbers", "Numbers", id="training.numbers", tooltip="the curves as numbers, and back"),
        Binding("o", "output", "Log", id="training.output"),
        Binding("s", "stop", "Stop", id="training.stop", tooltip="stop a run; everything is kept"),
        Binding("r", "resume", "Resume", id="training.resume", tooltip="go on with a run that was stopped or killed"),
        Binding("k", "kill", "Kill", show=False, id="training.kill", tooltip="end a run at once"),
        Binding("enter", "details", "Details", id="training.details"),
        Binding("ctrl+r", "load", "Refresh", show=False, id="training.refresh"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", show=False, id="training.leave"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, RunRow] = {}
        self._filled: tuple[object, ...] = ()
        self._curves = Curves()
        self._marked: list[str] = []
        self._drawn: list[str] = []
        self._tail: list[str] = []
        self._metric = 0
        self._next: str | None = None

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one("#runs", DataTable)

    @property
    def row(self) -> RunRow | None:
        """The run under the cursor."""
        return self._rows.get(chosen(self.table) or "")

    def compose(self) -> ComposeResult:
        yield AreaBar()
        with Horizontal(id="body"):
            with Vertical(id="left"):
                table = FactTable(id="runs", cursor_type="row", zebra_stripes=True)
                yield table
                yield Static(id="log")
            yield Container(id="plots")  # mounted when there is something to draw, and room
        yield Note(id="note")
        yield KeyBar()

    def on_mount(self) -> None:
        self.table.focus()
        self.refresh_every(REFRESH_SECONDS, self.action_load)
        self._arrange()

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()
        if self._rows:
            self._show()

    def _arrange(self) -> None:
        """As many plots as there is room for."""
        for panel, plot in enumerate(self.query(PlotPanel)):
            plot.display = panel < self._panels

    @property
    def _panels(self) -> int:
        if not self.wide:
            return 1
        return PANELS if self.size.height >= 40 else 2

    @property
    def _compared(self) -> list[str]:
        """The runs whose curves are shown: the marked ones, and that under the cursor."""
        row = self.row
        return list(dict.fromkeys([*self._marked, *([row.name] if row else [])]))

    def action_load(self, curves_alone: bool = False) -> None:
        self.when_at_rest(None)
        row = self.row
        job = row.job.id if row and row.job else None
        self._read(self._compared, self._metric, self._panels, job, curves_alone)

    @work(thread=True, exclusive=True, group="runs", exit_on_error=False)
    def _read(self, names: list[str], metric: int, panels: int, job: int | None, curves_alone: bool) -> None:
        arena = self.arena
        try:
            rows = None if curves_alone else read_runs(arena.db, arena.jobs)
            if not names and rows:  # the cursor will stand on the first
                names, job = [rows[0].name], rows[0].job.id if rows[0].job else None
            curves = read_curves(arena.db, names, metric, panels)
            tail = arena.jobs.tail(job, TAIL) if job is not None else []
            self.post_message(RunsLoaded(rows, names, curves, tail))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_runs_loaded(self, message: RunsLoaded) -> None:
        if message.rows is not None:
            self._rows = {row.name: row for row in message.rows}
            self._marked = [name for name in self._marked if name in self._rows]
        self._curves, self._drawn = message.curves, message.names
        self._tail = message.tail
        self._show()
        if self._next in self._rows:
            self.table.move_cursor(row=list(self._rows).index(self._next))
            self._next = None

    def on_read_failed(self, message: ReadFailed) -> None:
        self._say(message.problem, "$error")

    def _show(self) -> None:
        self._fill()
        self._draw()
        self._tell()
        height = max(1, self.query_one("#log").size.height - 2)
        lines = [inert(line) for line in self._tail[-height:]]
        ours = self.row is not None and self.row.job is not None
        nothing = "nothing printed yet" if ours else "no log: it was not started from the app"
        self.query_one("#log", Static).update(Content("\n".join(lines) or nothing), layout=False)

    def _fill(self) -> None:
        wide = self.wide
        wanted = (list(self._rows.values()), list(self._marked), wide)
        if wanted == self._filled:
            return
        self._filled = wanted
        name, game = (22, 20) if wide else (16, 14)
        columns = [("run", name), ("game", game), ("state", 10), ("done", 5), ("steps/s", 7), ("result", 8)]
        rows = []
        for row in self._rows.values():
            mark = "●" if row.name in self._marked else " "
            cells = [
                f"{mark}{shorten(row.name, name - 1)}",
                shorten(row.game, game),
                f"{SIGNS[row.state]} {row.state}",
                f"{min(100, 100 * row.step / row.total):.0f}%" if row.total else "",
                f"{row.rate:,.0f}" if row.rate is not None else "",
                f"{row.result:.3g}" if row.result is not None else "",
            ]
            bad = row.state in ("failed", "killed")
            rows.append(
                (
                    row.name,
                    [
                        Text(cell, style="bold" if row.active or (bad and i == 2) else "")
                        for i, cell in enumerate(cells)
                    ],
                )
            )
        fill(self.table, columns, rows)

    def _draw(self) -> None:
        """The plots: new ones at once, the others one after another, so that no key waits for all of them."""
        plots = list(self.query(PlotPanel))
        new = [PlotPanel(id=f"plot-{n}", empty="no metrics yet") for n in range(len(plots), self._panels)]
        for number, plot in enumerate(new, len(plots)):
            self._plot(plot, number)
        self.query_one("#plots").mount_all(new)
        self._draw_from(self._curves, plots[: self._panels])

    def _draw_from(self, curves: Curves, plots: list[PlotPanel], number: int = 0) -> None:
        if number < len(plots) and curves is self._curves:  # nothing newer has been read
            self._plot(plots[number], number)
            self.call_after_refresh(self._draw_from, curves, plots, number + 1)

    def _plot(self, plot: PlotPanel, number: int) -> None:
        """Of the metric with this number a curve a run."""
        metrics = list(self._curves.series.items())
        if number >= len(metrics):
            plot.show([], "", "", "")
            return
        key, series = metrics[number]
        plot.show([Series(name, *columns) for name, columns in series.items()], key, "environment steps", "")

    def _tell(self) -> None:
        """The line at the bottom: what there is to say about the chosen run."""
        row = self.row
        if row is None:
            self._say(f"No run yet: {key_of(self, 'new')} starts one. Runs go on when the app is closed.")
            return
        words = [f"{row.name} · {row.algorithm} · {row.game} · {row.state}"]
        words[0] += f" at {row.step:,} of {row.total:,}" if row.total else ""  # which is not known before it begins
        words += [row.left] if row.left else []
        words += [row.why] if row.why else []
        self._say(" · ".join(words), "$error" if row.state in ("failed", "killed") else "")

    def _warn(self, text: str) -> None:
        self.notify(inert(text), severity="warning", markup=False)

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#note", Static).update(Content.styled(inert(text), style))

    @on(DataTable.RowHighlighted, "#runs")
    def _highlighted(self) -> None:
        self._tell()
        stale = self._compared != self._drawn
        self.when_at_rest((lambda: self.action_load(curves_alone=True)) if stale else None)

    @on(DataTable.RowSelected, "#runs")
    def _selected(self) -> None:
        self.action_details()

    def action_mark(self) -> None:
        row = self.row
        if row is None:
            return
        if row.name in self._marked:
            self._marked.remove(row.name)
        elif len(self._marked) < MAX_COMPARED:
            self._marked.append(row.name)
        else:
            self.notify(f"at most {MAX_COMPARED} runs are compared", severity="warning")
        self._fill()
        self.action_load()

    def action_next(self, change: int) -> None:
        if self._curves.keys:
            self._turn_to((self._metric + change) % len(self._curves.keys))

    def _turn_to(self, metric: int) -> None:
        """Show the metrics from this one on; their names at once, since the curves must be read."""
        self._metric = metric
        keys = self._curves.keys
        for number, plot in enumerate(self.query(PlotPanel).results(PlotPanel)):
            if number < min(self._panels, len(keys)):
                plot.announce(keys[(metric + number) % len(keys)])
        self.action_load(curves_alone=True)

    def action_metric(self) -> None:
        keys = self._curves.keys

        def choose(index: int | None) -> None:
            if index is not None:
                self._turn_to(index)

        self.app.push_screen(ChooseScreen("Which metric?", keys), choose)

    def action_numbers(self) -> None:
        turn_over(list(self.query(PlotPanel)))

    def action_output(self) -> None:
        from tui.screens.job_log import JobLogScreen

        row = self.row
        if row is None or row.job is None:
            self._warn("No log: this run was not started from the app.")
            return
        self.app.push_screen(JobLogScreen(row.job.id, row.name))

    def action_details(self) -> None:
        from tui.screens.run_details import RunDetailsScreen

        names = [name for name in self._compared if self._rows[name].run is not None]
        if names:
            self.app.push_screen(RunDetailsScreen([self._rows[name] for name in names]))
        else:
            self._tell()

    def action_new(self) -> None:
        from tui.screens.train_form import TrainForm

        def start(wanted: tuple[str, list[str]] | None) -> None:
            if wanted is not None:
                name, command = wanted
                resume = ["train", command[1], "--name", name, "--resume"]
                self._next = name
                self.do(lambda: self.arena.jobs.start(command, f"training {name}", f"run {name}", resume))

        game = self.row.game if self.row and is_game(self.row.game) else self.arena.home.game  # texts are no game
        self.app.push_screen(TrainForm(game), start)

    def action_stop(self) -> None:
        row = self.row
        if row is None or row.job is None or row.job.state != "running":
            self._warn(_not_ours(row, "stopped"))
            return
        number = row.job.id
        self.do(lambda: self.arena.jobs.stop(number))
        self.notify(inert(f"{row.name} is asked to stop; everything is kept"), markup=False)

    def action_kill(self) -> None:
        row = self.row
        if row is None or row.job is None or row.job.state != "running":
            self._warn(_not_ours(row, "killed"))
            return
        number = row.job.id

        def kill(sure: bool | None) -> None:
            if sure:
                self.do(lambda: self.arena.jobs.kill(number))

        self.app.push_screen(
            ConfirmScreen(f"End {row.name} at once? What came after its last checkpoint is lost."), kill
        )

    def action_resume(self) -> None:
        row = self.row
        if row is None or row.active or (row.run is None and row.job is None):
            self._warn(f"{row.name} is at work already" if row else "No run to go on with.")
            return
        if row.state == "finished":
            self._warn(f"{row.name} has finished. arena train … --name {row.name} --resume --steps N goes further.")
            return
        self._next = row.name
        if row.run is None:
            assert row.job is not None
            command = list(row.job.command)
        else:
            command = ["train", row.game, "--name", row.name, "--resume"]
        resume = ["train", row.game, "--name", row.name, "--resume"]
        self.do(lambda: self.arena.jobs.start(command, f"training {row.name}", f"run {row.name}", resume))


def _not_ours(row: RunRow | None, done: str) -> str:
    if row is None:
        return "No run is chosen."
    if row.state == "running":
        return f"{row.name} was started elsewhere; it can only be {done} there."
    return f"{row.name} is not at work."
