"""The one table widget: a DataTable that draws cells of plain text itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Size
from textual.widgets import DataTable

from tui.widgets.styled_once import StyledOnce


class FactTable(StyledOnce, DataTable[Text]):
    """Rows of one line in columns of fixed width, which need no measuring.

    Rich's console renders a cell by way of its padding, wrapping and cropping; a cell of one line in one style is put
    together at a fifth of that here, with the same result (a test compares both). Others are left to the DataTable.
    """

    def on_unmount(self) -> None:
        self._get_styles_to_render_cell.cache_clear()  # which would keep the table, and its screen with it

    def _update_dimensions(self, new_rows: Iterable[Any]) -> None:
        if any(column.auto_width for column in self.columns.values()):
            super()._update_dimensions(new_rows)
            return
        width = sum(column.get_render_width(self) for column in self.columns.values()) + self._row_label_column_width
        self.virtual_size = Size(width, self._total_row_height + (self.header_height if self.show_header else 0))

    def _update_column_widths(self, updated_cells: set[Any]) -> None:
        if any(column.auto_width for column in self.columns.values()):
            super()._update_column_widths(updated_cells)

    def _render_cell(
        self,
        row_index: int,
        column_index: int,
        base_style: Style,
        width: int,
        cursor: bool = False,
        hover: bool = False,
    ) -> list[list[Segment]]:
        if row_index < self.fixed_rows or column_index < self.fixed_columns:  # the header is row -1
            return super()._render_cell(row_index, column_index, base_style, width, cursor, hover)
        row, column = self._row_locations.get_key(row_index), self._column_locations.get_key(column_index)
        shown = self._show_hover_cursor
        key: Any = (row, column, base_style, cursor, hover, shown, self._update_count, self._pseudo_class_state)
        lines = self._cell_render_cache.get(key)
        if lines is None:
            assert row is not None
            assert column is not None
            cell = self._data[row][column]
            if not _is_plain(cell) or self.rows[row].height != 1:
                return super()._render_cell(row_index, column_index, base_style, width, cursor, hover)
            priorities = self.cursor_foreground_priority == "css", self.cursor_background_priority == "css"
            component, post = self._get_styles_to_render_cell(
                False, False, False, hover, cursor, self.show_cursor, shown, *priorities
            )
            pre = base_style + Style.from_meta({"row": row_index, "column": column_index}) + component
            own, room = self.app.console.get_style(cell.style), max(0, width - 2 * self.cell_padding)
            text = cell.plain if cell_len(cell.plain) <= room else set_cell_size(cell.plain, room)
            left, right = " " * self.cell_padding, " " * (width - self.cell_padding - cell_len(text))
            blank = pre + post
            lines = [[Segment(left, blank), Segment(text, pre + own + post), Segment(right, blank)]]
            self._cell_render_cache[key] = lines
        return lines


def _is_plain(cell: object) -> bool:
    """Whether a cell is text of one line in one style that starts at the left."""
    if not isinstance(cell, Text) or cell.spans or cell.justify or cell.overflow:
        return False
    return cell.plain.isprintable()
