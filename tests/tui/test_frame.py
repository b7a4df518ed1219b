"""FrameView: what it paints, what it paints again, how it does without colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.color import Color
from textual.geometry import Region

from tui.widgets.frame import FrameView


class Painter(App[None]):
    CSS = "FrameView { height: 1fr; }"

    def compose(self) -> ComposeResult:
        yield FrameView()

    @property
    def view(self) -> FrameView:
        return self.query_one(FrameView)

    def colours(self, line: int) -> list[tuple[str, str]]:
        """The upper and the lower pixel of each cell of a line of the widget."""
        found = []
        for segment in self.view.render_line(line):
            style = segment.style
            assert style is not None
            assert style.bgcolor is not None
            below = style.bgcolor.get_truecolor().hex
            above = style.color.get_truecolor().hex if segment.text[0] == "▀" and style.color else below
            found += [(above, below)] * len(segment.text)
        return found


def picture(colour: tuple[int, int, int] = (20, 40, 60), size: tuple[int, int] = (210, 160)) -> np.ndarray[Any, Any]:
    return np.tile(np.array(colour, dtype=np.uint8), (*size, 1))


async def test_a_picture_stands_in_the_middle_pixel_for_pixel() -> None:
    app = Painter()
    async with app.run_test(size=(10, 4)):
        shown = picture((0, 0, 0), (4, 6))
        shown[1, 2] = (255, 0, 0)
        app.view.zoom = "native"
        app.view.show(shown)
        assert app.view.cells == (6, 2)
        line = app.colours(1)  # two lines of cells in four: one above them
        assert line[2 + 2] == ("#000000", "#ff0000")
        assert all(cell == ("#000000", "#000000") for x, cell in enumerate(line) if x not in (4, 0, 1, 8, 9))
        assert [s.text for s in app.view.render_line(0)] == [" " * 10]


async def test_only_the_bands_that_changed_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Painter()
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.show(picture())
        await pilot.pause()
        painted: list[Any] = []
        monkeypatch.setattr(FrameView, "refresh", lambda self, *regions, **_: painted.append(regions))
        app.view.show(picture())
        assert painted == []
        changed = picture()
        changed[100:104, 50:52] = 236
        changed[200:204, 50:52] = 236
        app.view.show(changed)
        ((first, second),) = painted
        x, width = (80 - app.view.cells[0]) // 2, app.view.cells[0]
        assert (first.x, first.width, second.width) == (x, width, width)
        assert {first.y, first.bottom - 1} <= {11, 12}
        assert {second.y, second.bottom - 1} <= {22, 23}
        assert isinstance(first, Region)


@pytest.mark.parametrize(("zoom", "cells"), [("fit", (64, 24)), ("crop", (80, 24)), ("native", (80, 24))])
async def test_zooms_fill_what_they_should(zoom: Any, cells: tuple[int, int]) -> None:
    app = Painter()
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.zoom = zoom
        app.view.show(picture())
        assert app.view.cells == cells
        assert app.view.small
        assert app.view.share(40, 12) == pytest.approx((0.5, 0.5), abs=0.03)
        assert app.view.share(-5, 99) == (0.0, 1.0)
        await pilot.resize_terminal(170, 110)
        await pilot.pause()
        assert app.view.cells[0] >= 146
        assert not app.view.small
        for line in range(110):
            assert app.view.render_line(line).cell_length == 170
        app.view.show(None)
        assert app.view.cells == (0, 0)


async def test_without_colours_things_stand_out_by_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Painter()
    async with app.run_test(size=(8, 4)):
        app.view.zoom = "native"
        shown = picture((144, 72, 17), (8, 8))
        shown[0, 1], shown[1, 2], shown[2:4, 3] = 236, 236, (10, 10, 10)
        app.view.show(shown)
        lines = ["".join(segment.text for segment in app.view.render_line(y)) for y in range(4)]
        assert lines == [" ▀▄     ", "   █    ", "        ", "        "]


async def test_what_lies_around_has_the_background() -> None:
    app = Painter()
    async with app.run_test(size=(20, 6)):
        app.view.zoom = "native"
        app.view.show(picture(size=(4, 4)))
        (left, *_), background = app.view.render_line(2), app.view.background_colors[1]
        assert left.style is not None
        assert left.style.bgcolor is not None
        assert Color.from_rich_color(left.style.bgcolor) == background
