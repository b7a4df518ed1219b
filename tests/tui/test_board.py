"""BoardView draws any Drawing: styles, cursor, targets, small and large."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from envs.rendering import Drawing, draw_grid, grid_box
from tests.tui.conftest import sees, shown, until
from tui.theme import style_of
from tui.widgets.board import BoardView

GRID = Drawing(
    draw_grid([[("x", "player0"), (" ", "legal")], [(" ", "legal"), ("o", "player1 last")]]),
    targets={1: [grid_box(0, 1)], 2: [grid_box(1, 0)]},
    caption="x to move",
)


class BoardApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.chosen: list[int] = []

    def compose(self) -> ComposeResult:
        yield BoardView()

    def on_board_view_chosen(self, message: BoardView.Chosen) -> None:
        self.chosen.append(message.action)


async def test_the_drawing_is_in_the_middle_with_its_caption() -> None:
    app = BoardApp()
    async with app.run_test(size=(21, 11)) as pilot:
        app.query_one(BoardView).show(GRID)
        await pilot.pause()
        lines = shown(app).splitlines()
        assert lines[2:9] == [" " * 6 + line for line in GRID.text().splitlines()] + ["", "      x to move"]


async def test_only_the_cells_of_the_cursor_are_marked() -> None:
    app = BoardApp()
    async with app.run_test(size=(21, 11)) as pilot:
        board = app.query_one(BoardView)
        board.show(GRID, {1: "b", 2: "c"})
        await pilot.pause()
        cursor = style_of("cursor", app.theme).bgcolor
        marked = []
        for y in range(11):
            x = 0
            for segment in board.render_line(y):
                if segment.style is not None and segment.style.bgcolor == cursor:
                    marked.append((x, y, segment.text))
                x += len(segment.text)
        x, y, *_ = grid_box(1, 0)
        assert board.cursor == 2
        assert marked == [(6 + x + 1, 2 + y + 1, "   ")]


async def test_keys_mouse_and_nothing_when_nothing_is_legal() -> None:
    app = BoardApp()
    async with app.run_test(size=(21, 11)) as pilot:
        board = app.query_one(BoardView)
        board.focus()
        board.show(GRID, {1: "b", 2: "c"})
        await pilot.press("enter", "up", "right", "enter")
        await pilot.click(BoardView, offset=(6 + 5, 2 + 1))
        await pilot.pause()
        assert app.chosen == [2, 1, 1]
        board.show(GRID)
        await pilot.press("enter", "down")
        await pilot.click(BoardView, offset=(6 + 5, 2 + 1))
        await pilot.pause()
        assert app.chosen == [2, 1, 1]


async def test_a_games_own_keys_come_first() -> None:
    app = BoardApp()
    walk = Drawing([[("◆", "agent")]], targets={0: [(0, 0, 1, 1)]}, keys={0: ["left"], 1: ["1"], 2: ["up"]})
    async with app.run_test(size=(21, 11)) as pilot:
        board = app.query_one(BoardView)
        board.focus()
        board.show(walk, {0: "west", 1: "one"})
        assert not board.uses_cursor
        await pilot.press("left", "1", "up", "enter")
        await pilot.pause()
        assert app.chosen == [0, 1]


@pytest.mark.slow
async def test_a_board_larger_than_its_space_scrolls_to_the_cursor() -> None:
    app = BoardApp()
    size = 20
    cells = [[(str((row + column) % 10), "legal") for column in range(size)] for row in range(size)]
    targets = {row * size + column: [grid_box(row, column)] for row in range(size) for column in range(size)}
    async with app.run_test(size=(30, 12)) as pilot:
        board = app.query_one(BoardView)
        board.focus()
        board.show(Drawing(draw_grid(cells), targets), {action: str(action) for action in targets})
        for _ in range(size):
            await pilot.press("right", "down")
        await pilot.pause()
        assert board.cursor == size * size - 1
        assert board.scroll_offset.y > 0
        assert board.scroll_offset.x > 0
        await pilot.press("enter")
        await pilot.pause()
        assert app.chosen == [size * size - 1]


async def test_of_a_board_that_is_too_wide_the_middle_is_shown() -> None:
    app = BoardApp()
    async with app.run_test(size=(11, 5)) as pilot:
        app.query_one(BoardView).show(Drawing([[("left" + "." * 10 + "middle" + "." * 10 + "right", "plain")]]))
        await until(pilot, lambda: "middle" in shown(app))
        await until(pilot, lambda: "left" not in shown(app))
        await until(pilot, lambda: "right" not in shown(app))


async def test_text_in_a_drawing_is_inert() -> None:
    app = BoardApp()
    async with app.run_test(size=(40, 5)) as pilot:
        app.query_one(BoardView).show(Drawing([[("\x1b[2J[red]", "#zzzzzz")], [("ok", "on #102030")]], caption="\x07"))
        await pilot.pause()
        await sees(pilot, "\\x1b[2J[red]")
        await sees(pilot, "\\x07")


PIECES = Drawing(
    [[("ab cde", "plain")]],
    targets={1: [(3, 0, 1, 1)], 2: [(4, 0, 1, 1)], 3: [(5, 0, 1, 1)]},
    origins={1: (0, 0, 1, 1), 2: (0, 0, 1, 1), 3: (1, 0, 1, 1)},
)
"""Piece a goes to c and d, piece b to e."""


async def test_a_piece_is_chosen_and_then_where_it_goes() -> None:
    app = BoardApp()
    async with app.run_test(size=(6, 1)) as pilot:
        board = app.query_one(BoardView)
        board.show(PIECES, {1: "ac", 2: "ad", 3: "be"})
        board.focus()
        await until(pilot, lambda: board.has_focus and "ab cde" in shown(app))
        await pilot.press("left", "enter", "right", "enter")
        await until(pilot, lambda: app.chosen == [2])
        await pilot.press("escape", "right", "enter")  # lets go of a, takes b, which has one place to go
        assert board.picked == (1, 0, 1, 1)
        await pilot.click(offset=(0, 0))  # another piece
        assert board.picked == (0, 0, 1, 1)
        await pilot.click(offset=(2, 0))  # nothing: lets go
        assert board.picked is None
        await pilot.click(offset=(1, 0))
        await pilot.click(offset=(5, 0))
        await until(pilot, lambda: app.chosen == [2, 3])
        board.hint(1)
        assert (board.picked, board.cursor) == ((0, 0, 1, 1), 1)
        board.show(PIECES, {3: "be"})
        assert (board.picked, board.hinted, board.cursor) == (None, None, 3)
