"""The plot: what is drawn, the numbers, the axes, what stays zoomed, sizes that are too small."""

from __future__ import annotations

import math

import pytest
from textual.app import App, ComposeResult
from textual.widgets import DataTable

from tests.tui.conftest import shown, until
from tui.theme import THEMES
from tui.widgets.axes import limits, tick_labels, ticks
from tui.widgets.plot import MAX_POINTS, PlotPanel, Series, _Area, _points, _thin, turn_over


class Plots(App[None]):
    def compose(self) -> ComposeResult:
        yield PlotPanel(id="panel", empty="no run yet")

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "arena-dark"

    @property
    def panel(self) -> PlotPanel:
        return self.query_one(PlotPanel)


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 10.0, 5, [0, 2, 4, 6, 8, 10]),
        (-0.3, 0.31, 3, [-0.2, 0, 0.2]),
        (1e6, 3e6, 4, [1e6, 1.5e6, 2e6, 2.5e6, 3e6]),
        (0.01, 0.012, 2, [0.01, 0.011, 0.012]),
    ],
)
def test_ticks_are_round_numbers_inside_the_axis(low: float, high: float, count: int, expected: list[float]) -> None:
    assert ticks(low, high, count) == pytest.approx(expected)


def test_tick_labels_tell_ticks_apart() -> None:
    assert tick_labels([0, 0.2, 0.4]) == ["0", "0.2", "0.4"]
    assert tick_labels([0, 20_000, 40_000]) == ["0", "20k", "40k"]
    assert tick_labels([1e6, 1.5e6]) == ["1.0M", "1.5M"]
    assert tick_labels([0, 1e-7]) == ["0", "1.0e-07"]
    assert tick_labels([]) == []


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [1e16, 1e16 + 2], [-1e149, 1e149], [1e-300]])
def test_an_axis_is_never_empty(values: list[float]) -> None:
    low, high = limits(values, 0.05)
    assert low < min(values)
    assert high > max(values)
    assert all(math.isfinite(tick) for tick in ticks(low, high, 5))


def test_a_thinned_curve_keeps_its_extremes() -> None:
    y = [0.0] * 10_000
    y[1234], y[7777] = 9.0, -9.0
    thin = _thin(_points(Series("a", range(10_000), y)))
    assert len(thin) <= MAX_POINTS
    assert (1234, 9.0) in [(p.x, p.y) for p in thin]
    assert (7777, -9.0) in [(p.x, p.y) for p in thin]
    assert [p.x for p in thin] == sorted(p.x for p in thin)


def test_parts_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        _points(Series("a", [1, 2], [1]))


async def test_curves_and_their_numbers() -> None:
    app = Plots()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "no run yet" in shown(app))
        curve = Series("ppo [b]\x1b", [0, 10_000, 20_000], [1.5, 2, math.nan], [1, 1, 1], [2, 4.25, 2])
        app.panel.show([curve, Series("dpo", [0], [7])], "Gold", "steps", "score")
        await until(pilot, lambda: "● ppo [b]\\x1b" in shown(app) and "steps" in shown(app))
        text = shown(app)
        assert "Gold" in text
        assert "◆ dpo" in text
        assert "score" in text
        assert any(0x2800 < ord(c) < 0x2900 for c in text)  # the line, in braille
        assert "10k" in text or "5k" in text
        app.panel.query_one(_Area).focus()
        await pilot.press("t")
        await until(pilot, lambda: "1.5 (1 – 2)" in shown(app))
        table = app.panel.query_one(DataTable)
        assert [[str(cell).strip() for cell in table.get_row_at(row)] for row in range(table.row_count)] == [
            ["0", "1.5 (1 – 2)", "7"],
            ["10,000", "2 (1 – 4.25)", ""],
        ]
        await pilot.click("#plot-head")
        await until(pilot, lambda: not app.panel.numbers and "score" in shown(app))


async def test_what_comes_next_is_named_before_it_is_there() -> None:
    app = Plots()
    async with app.run_test(size=(80, 24)) as pilot:
        curve = Series("ppo", [0, 1], [1, 2])
        app.panel.show([curve], "loss", "steps", "")
        await until(pilot, lambda: "loss  ● ppo" in shown(app))
        app.panel.announce("entropy [b]")
        await until(pilot, lambda: "entropy [b]  …" in shown(app))
        assert any(0x2800 < ord(c) < 0x2900 for c in shown(app))  # what is there stays until then
        app.panel.show([curve], "loss", "steps", "")  # nothing else came of it
        await until(pilot, lambda: "loss  ● ppo" in shown(app))


async def test_the_last_number_below_is_whole() -> None:
    app = Plots()
    async with app.run_test(size=(80, 24)) as pilot:
        app.panel.show([Series("a", [1000, 2000, 3000], [1, 2, 3])], "", "steps", "score")
        await until(pilot, lambda: "2000" in shown(app))
        [line] = [line for line in shown(app).splitlines() if "2000" in line]
        assert line.split() == ["1000", "1500", "2000", "2500", "3000"]


async def test_what_was_zoomed_into_stays() -> None:
    app = Plots()
    async with app.run_test(size=(80, 24)) as pilot:
        area = app.panel.query_one(_Area)
        app.panel.show([Series("a", [0, 10], [0, 10])], "", "x", "y")
        assert (area._x_min, area._x_max) == pytest.approx((-0.1, 10.1))
        app.panel.show([Series("a", [0, 20], [0, 10])], "", "x", "y")
        assert area._x_max == pytest.approx(20.2)
        area.focus()
        await pilot.press("plus")
        await until(pilot, lambda: area._x_max < 19)
        zoomed = area._x_max
        app.panel.show([Series("a", [0, 40], [0, 10])], "", "x", "y")
        assert area._x_max == zoomed
        await pilot.press("0")
        await until(pilot, lambda: area._x_max == pytest.approx(40.4))


async def test_the_theme_colours_it_at_any_size() -> None:
    app = Plots()
    async with app.run_test(size=(60, 16)) as pilot:
        app.panel.show([Series("a", [0, 1, 2], [1, 1, 1])], "t", "x", "y")
        seen = set()
        for theme in THEMES:
            app.theme = theme.name
            await until(pilot, lambda: _styles(app)[0].lower() == app.theme_variables["primary"].lower())
            seen.add(_styles(app)[0])
        assert len(seen) == len(THEMES)
        for size in ((20, 6), (8, 3), (160, 50)):
            await pilot.resize_terminal(*size)
        await until(pilot, lambda: "t numbers" in shown(app))


def _styles(app: Plots) -> list[str]:
    return [getattr(d, "line_style", "") for d in app.panel.query_one(_Area)._datasets]


class Many(Plots):
    def compose(self) -> ComposeResult:
        for number in range(4):
            yield PlotPanel(id=f"panel-{number}")


async def test_turned_over_and_back_at_once_no_plot_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    toggled: list[bool] = []
    toggle = PlotPanel.toggle_numbers

    def watched(panel: PlotPanel) -> None:
        toggle(panel)
        toggled.append(panel.numbers)

    monkeypatch.setattr(PlotPanel, "toggle_numbers", watched)
    app = Many()
    async with app.run_test() as pilot:
        panels = list(app.query(PlotPanel))
        for times in (1, 2):
            toggled.clear()
            for _ in range(times):
                turn_over(panels)
            await until(pilot, lambda: all(panel.numbers == panels[0].numbers for panel in panels))
            await pilot.pause(0.2)
            assert [panel.numbers for panel in panels] == [True] * 4
            assert toggled == ([True] * 4 if times == 1 else [False, True])
