"""One run's settings and newest metrics, or those of several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message

from arena.store import Store
from envs.errors import ArenaError
from tui.messages import ReadFailed
from tui.run_facts import RunRow, settings_that_differ
from tui.screens.table_screen import TableScreen
from tui.text import shorten
from tui.widgets.plot import number
from tui.widgets.tables import fill


class DetailsRead(Message):
    """(what, its value in each run), group by group."""

    def __init__(self, lines: list[tuple[str, list[str]]]) -> None:
        super().__init__()
        self.lines = lines


class RunDetailsScreen(TableScreen):
    """Of one run everything, of several what differs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "load", "Refresh", id="details.refresh"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", id="details.leave"),
    ]

    def __init__(self, rows: Sequence[RunRow]) -> None:
        super().__init__()
        self._rows = rows

    def action_load(self) -> None:
        alone = len(self._rows) == 1
        self.show_banner("Run" if alone else "Runs compared", ", ".join(row.name for row in self._rows))
        self._read()

    @work(thread=True, exclusive=True, group="details", exit_on_error=False)
    def _read(self) -> None:
        try:
            with Store(self.arena.db, create=False) as store:
                runs = [store.run(row.name) for row in self._rows]
                metrics = [store.newest_metrics(run.id) for run in runs]
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))
            return
        lines = [("state", [run.state if run.error is None else f"{run.state}: {run.error}" for run in runs])]
        lines.append(("steps", [f"{run.step:,} of {run.total_steps:,}" for run in runs]))
        lines.append(("minutes", [f"{run.seconds / 60:.1f}" for run in runs]))
        lines += settings_that_differ(runs)
        if len(runs) == 1:
            lines.append(("commit", [runs[0].commit_hash[:12]]))
            lines.append(("versions", [" ".join(f"{name} {found}" for name, found in runs[0].versions.items())]))
        for key in sorted({key for found in metrics for key in found}):
            lines.append((key, [number(found[key]) if key in found else "–" for found in metrics]))
        self.post_message(DetailsRead(lines))

    def on_details_read(self, message: DetailsRead) -> None:
        room = self.size.width - 30
        width = max(12, room // len(self._rows) - 2)
        columns = [("setting or metric", 26), *((shorten(row.name, width), width) for row in self._rows)]
        rows = [
            (what, [Text(shorten(what, 26)), *(Text(shorten(v, width)) for v in values)])
            for what, values in message.lines
        ]
        fill(self.table, columns, rows)
        self.say("What differs, and the newest metrics." if len(self._rows) > 1 else "Settings and the newest metrics.")
