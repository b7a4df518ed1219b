"""What the screens of one table share: a banner, the table, a line below it."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import DataTable, Static

from tui.messages import ReadFailed
from tui.screens.area_screen import AreaScreen
from tui.text import inert
from tui.widgets.area_bar import AreaBar
from tui.widgets.fact_table import FactTable
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note


class TableScreen(AreaScreen):
    """One table that is read from the league in a thread. Subclasses read it in `action_load` and fill it."""

    CSS_PATH = "table_screen.tcss"

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one("#table", DataTable)

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        table = FactTable(id="table", cursor_type="row", zebra_stripes=True)
        yield table
        yield Note(id="note")
        yield KeyBar()

    def on_mount(self) -> None:
        self.table.focus()
        self.action_load()

    def action_load(self) -> None:
        """Read the table anew."""
        raise NotImplementedError

    def show_banner(self, kind: str, what: str) -> None:
        """The line above the table."""
        banner = Content.assemble((f" {kind} ", "bold $background on $primary"), (f"  {inert(what)}", "bold"))
        self.query_one("#banner", Static).update(banner)

    def say(self, text: str, style: str = "") -> None:
        """The line below the table."""
        self.query_one("#note", Static).update(Content.styled(inert(text), style))

    def on_read_failed(self, message: ReadFailed) -> None:
        self.say(message.problem, "$error")
