"""The table widget draws what Textual's would."""

from __future__ import annotations

from rich.text import Text
from textual.app import App, ComposeResult
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from tests.tui.conftest import until
from tui.widgets.fact_table import FactTable
from tui.widgets.tables import Cells, fill

ROWS = [
    ("a", [Text("one"), Text("bold", style="bold"), Text("far too long for its column", style="reverse")]),
    ("b", [Text("日本語のとても長い名前"), Text(""), Text("x", style="red on blue")]),
    ("c", [Text("tab\tin"), Text("7", justify="right"), Text.assemble("two", (" styles", "bold"))]),
    ("d", [Text("fits in"), Text("fits"), Text("fits in it")]),
]


class Both(App[None]):
    AUTO_FOCUS = None

    def compose(self) -> ComposeResult:
        for kind in (DataTable, FactTable):
            table: Cells = kind(cursor_type="row", zebra_stripes=True)
            table.styles.height = 6
            yield table


async def test_it_draws_what_a_data_table_does() -> None:
    async with Both().run_test(size=(60, 20)) as pilot:
        theirs, ours = pilot.app.query(DataTable)

        async def compare() -> None:
            await until(
                pilot, lambda: not any(t._require_update_dimensions or t._updated_cells for t in (theirs, ours))
            )
            assert ours.virtual_size == theirs.virtual_size
            for y in range(6):
                one, other = theirs.render_line(y), ours.render_line(y)
                assert list(one.simplify()) == list(other.simplify()), y

        for table in (theirs, ours):
            fill(table, [("name", 8), ("n", 4), ("", 10)], ROWS)
        await compare()
        for table in (theirs, ours):
            table.move_cursor(row=1)
            table._set_hover_cursor(True)
            table.hover_coordinate = Coordinate(3, 0)
        await compare()
        for table in (theirs, ours):
            fill(table, [("name", 8), ("n", 4), ("", 10)], [*ROWS[:3], ("d", [Text("new"), Text("1"), Text("2")])])
        await compare()
        for table in (theirs, ours):
            table.add_column("fits what is in it", default=Text("wide"))
        await compare()
