"""The app's plot: curves with intervals, and the same as numbers.

    panel = PlotPanel(id="curve")                        # compose it like any widget
    panel.show(
        [Series("ppo", steps, returns, low, high), Series("dqn", steps, returns)],
        title="return", x_title="steps", y_title="mean of 100 episodes",
    )

`show` may be called at any time, before mounting and as often as wanted (live curves): what was zoomed into stays, and
values that are not finite are left out. Where there is no point to draw, `empty` is said. `t` shows numbers instead of
the curves and back (also a click on the title line), `+` and `-` or the wheel zoom, dragging pans, `0` shows all again.
These keys work where the focus is in the panel; a screen whose focus is elsewhere binds `t` itself and calls
`toggle_numbers()`. Colours come from the theme (orange, blue, …), each series has a sign of its own as well. Names and
titles are shown inert. A series of more than `MAX_POINTS` points is thinned: the extremes of each stretch stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, repeat
from math import ceil, floor, isfinite
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.containers import Grid, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import DataTable, Static
from textual_hires_canvas import Canvas, TextAlign
from textual_plot import HiResMode, PlotWidget
from textual_plot.plot_widget import Legend

from tui.text import inert
from tui.widgets.axes import Ticks, limits
from tui.widgets.canvas import PlotCanvas
from tui.widgets.fact_table import FactTable
from tui.widgets.note import Note

MAX_POINTS = 200
"""Points of one series that are drawn: drawing takes time, and a terminal has not many more columns."""
MAX_ROWS = 500
"""Rows of numbers that are listed."""
MAX_BARS = 40
"""Points whose intervals are drawn one by one; of longer curves the two edges of the band are drawn."""
MAX_MARKED = 12
"""Points with a sign each; longer curves get a sign here and there."""
SIGNS = "●◆▲■×+"
COLOURS = ("primary", "secondary", "warning", "error", "foreground")
LARGEST = 1e150


@dataclass(frozen=True)
class Series:
    """A named curve: `y` [N] over `x` [N], with an interval `low`–`high` [N] each where it is known."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    low: float | None = None
    high: float | None = None

    def extremes(self) -> list[float]:
        return [self.y, *(v for v in (self.low, self.high) if v is not None)]


class PlotPanel(Vertical):
    """Curves with a title, a legend and titled axes; `t` shows the numbers."""

    DEFAULT_CSS = """
    PlotPanel {
        min-height: 6;
        #plot-head { height: auto; max-height: 2; padding: 0 1; }
        #plot-y, #plot-x { height: 1; padding: 0 1; color: $text-muted; }
        #plot-x { text-align: center; }
        #plot-area {
            height: 1fr;
            .plot--axis, &:focus > .plot--axis { color: $foreground-muted; }
            .plot--tick { color: $foreground-muted; text-style: none; }
        }
        &:focus-within #plot-head { background: $panel; }
        #plot-numbers { height: 1fr; background: $background; scrollbar-size-vertical: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "numbers", "Numbers", id="plot.numbers", tooltip="the curves as numbers, and back"),
        Binding("plus,equals_sign", "zoom(0.15)", "Zoom", show=False, id="plot.zoom_in", tooltip="zoom into a plot"),
        Binding("minus", "zoom(-0.15)", "Zoom out", show=False, id="plot.zoom_out"),
        Binding("0", "reset", "All", show=False, id="plot.reset", tooltip="show all of a plot again"),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None, empty: str = "nothing yet") -> None:
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._titles = ("", "", "")
        self._announced = False
        self._given: Sequence[Series] = ()
        self._series: list[tuple[str, list[_Point]]] = []
        self._numbers = False
        self._listed: object = None
        self._drawn: object = None

    def compose(self) -> ComposeResult:
        yield Note(id="plot-head")
        yield Static(id="plot-y")
        yield _Area(id="plot-area")
        yield Static(id="plot-x")  # the table of numbers is mounted when it is first asked for

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())
        self._draw()

    def on_unmount(self) -> None:
        self.app.theme_changed_signal.unsubscribe(self)  # who is subscribed is kept for ever

    def show(self, series: Sequence[Series], title: str, x_title: str, y_title: str) -> None:
        """Draw these and nothing else. Raises ValueError where a series' parts differ in length."""
        titles, given = (title, x_title, y_title), list(series)
        if (given, titles) == (self._given, self._titles) and not self._announced:
            return
        self._announced = False
        self._series = [(one.name, _points(one)) for one in given]
        self._given, self._titles = given, titles
        if self.is_mounted:
            self._draw()

    def announce(self, title: str) -> None:
        """Name what is being read, which is shown next: a key is answered before that."""
        if self.is_mounted:
            self._announced = True
            words = Content.assemble((inert(title), "bold"), ("  …", "$text-muted"))
            self.query_one("#plot-head", Static).update(words, layout=False)

    @property
    def numbers(self) -> bool:
        """Whether numbers are shown instead of curves."""
        return self._numbers

    def toggle_numbers(self) -> None:
        """Numbers instead of curves, or curves again."""
        self._numbers = not self._numbers
        if not self.is_mounted:
            return
        had_focus = self.has_focus_within
        self._draw()
        if had_focus:
            self.query_one("#plot-numbers" if self.numbers else "#plot-area").focus()

    action_numbers = toggle_numbers

    def action_zoom(self, factor: float) -> None:
        self.query_one(_Area).zoom(factor)

    def action_reset(self) -> None:
        self.query_one(_Area).action_reset_scales()

    def on_click(self, event: events.Click) -> None:
        if event.widget is not None and event.widget.id == "plot-head":
            self.toggle_numbers()

    def _colours(self) -> list[Color]:
        return [Color.parse(self.app.theme_variables[name]) for name in COLOURS]

    def _draw(self) -> None:
        if self.numbers and not self.query("#plot-numbers"):
            self.mount(FactTable(id="plot-numbers", cursor_type="row", zebra_stripes=True))
        self.query_one(_Area).display = not self.numbers
        for table in self.query("#plot-numbers"):
            table.display = self.numbers
        title, x_title, y_title = (inert(text) for text in self._titles)
        colours = self._colours()
        drawn = [
            (name, points, SIGNS[i % len(SIGNS)], colours[i % len(colours)])
            for i, (name, points) in enumerate(self._series)
        ]
        legend = [(f"  {sign} {inert(name)}", colour.css) for name, _, sign, colour in drawn]
        key = ("  t curves" if self.numbers else "  t numbers", "$text-muted")
        self.query_one("#plot-head", Static).update(Content.assemble((title, "bold"), *legend, key))
        self.query_one("#plot-y", Static).update(Content(y_title), layout=False)
        empty = not any(points for _, points in self._series)
        self.query_one("#plot-x", Static).update(Content(self._empty if empty else x_title), layout=False)
        self.query_one("#plot-y").display = bool(y_title) and not self.numbers
        self.query_one("#plot-x").display = empty or not self.numbers
        if self.numbers and self._listed is not self._series:
            self._listed = self._series
            self._fill(x_title)
        elif not self.numbers and self._drawn != (self._series, self.app.theme):
            self._drawn = (self._series, self.app.theme)
            background = Color.parse(self.app.theme_variables["background"])
            self.query_one(_Area).draw([(p, sign, colour, _fade(colour, background)) for _, p, sign, colour in drawn])

    def _fill(self, x_title: str) -> None:
        table = self.query_one("#plot-numbers", DataTable)
        at = table.scroll_y
        table.clear(columns=True)
        columns = [{point.x: point for point in points} for _, points in self._series]
        xs = _every(sorted({x for column in columns for x in column}), MAX_ROWS)
        listed = [[number(x) for x in xs], *([_cell(column.get(x)) for x in xs] for column in columns)]
        names = [x_title or "x", *(inert(name) for name, _ in self._series)]
        widths = [max(map(cell_len, (name, *cells))) for name, cells in zip(names, listed, strict=True)]
        for name, width in zip(names, widths, strict=True):
            table.add_column(Text(name, justify="right" if table.columns else None), width=width)
        for x, *cells in zip(*listed, strict=True):  # padded, so that the table draws them itself
            table.add_row(Text(x), *(Text(cell.rjust(width)) for cell, width in zip(cells, widths[1:], strict=True)))
        if at:
            table.scroll_to(y=at, animate=False)


def turn_over(plots: Sequence[PlotPanel]) -> None:
    """Numbers instead of curves in all of these, or curves again: one after another, so that no key waits for all."""
    if plots:
        _turn(plots, not plots[0].numbers)


def _turn(plots: Sequence[PlotPanel], numbers: bool, place: int = 0) -> None:
    if place and plots[0].numbers != numbers:  # somebody has turned them again meanwhile
        return
    plot = plots[place]
    if plot.is_mounted and plot.numbers != numbers:
        plot.toggle_numbers()
    if place + 1 < len(plots):
        plot.screen.call_after_refresh(_turn, plots, numbers, place + 1)


class _Area(PlotWidget, can_focus=True, inherit_bindings=False):
    """The drawing itself; its limits follow the data until somebody zooms or pans."""

    margin_top = reactive(0)
    margin_bottom = reactive(1)
    margin_left = reactive(9)

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._last_x: tuple[float, float] | None = None
        self._last_y: tuple[float, float] | None = None
        self._x_formatter: Ticks = Ticks()
        self._y_formatter: Ticks = Ticks()

    def compose(self) -> ComposeResult:
        with Grid():
            for part in ("margin-top", "margin-left", "plot", "margin-bottom"):
                yield PlotCanvas(1, 1, id=part)
        yield Legend(id="legend")

    def on_resize(self) -> None:
        self._x_formatter.count = min(8, max(2, (self.size.width - 9) // 10))
        self._y_formatter.count = min(8, max(2, (self.size.height - 1) // 3))

    def combine_quad_with_pixel(self, quad: tuple[int, int, int, int], canvas: Canvas, x: int, y: int) -> str:
        """The tick's mark on the frame; where there is no room for a frame, what is there."""
        try:
            return super().combine_quad_with_pixel(quad, canvas, x, y)
        except ValueError:
            return canvas.get_pixel(x, y)[0]

    def zoom(self, factor: float) -> None:
        self._zoom_with_keyboard(factor)

    def _render_plot(self) -> None:
        """Draw everything, and then have it painted once: as it comes, each character asks for that."""
        with ExitStack() as stack:
            for canvas in self.query(Canvas):
                stack.enter_context(canvas.batch_refresh())
            super()._render_plot()

    def _render_x_ticks(self) -> None:
        """As it comes, a number at the right end is cut off: here it ends where the plot does."""
        super()._render_x_ticks()
        if self._x_ticks is not None:
            return
        places, labels = self._x_formatter.get_ticks_and_labels(self._x_min, self._x_max)
        if not labels:
            return
        below, (x, _) = self.query_one("#margin-bottom", Canvas), self.get_pixel_from_coordinate(places[-1], 0.0)
        if x + self.margin_left + len(labels[-1]) // 2 >= below.size.width:
            style = self.get_component_rich_style("plot--tick")
            below.write_text(below.size.width - 1, 0, f"[{style}]{labels[-1]}", TextAlign.RIGHT)

    def draw(self, curves: list[tuple[list[_Point], str, Color, Color]]) -> None:
        """Each as (points, sign, colour, colour of its interval)."""
        self.clear()
        every = [point for points, *_ in curves for point in points]
        if not every:
            self._last_x = self._last_y = None
            self.set_xticks([])
            self.set_yticks([])
            return
        self.set_xticks()
        self.set_yticks()
        x_limits = limits([point.x for point in every], 0.01)
        y_limits = limits([y for point in every for y in point.extremes()], 0.05)
        self._user_x_min, self._user_x_max = x_limits
        self._user_y_min, self._user_y_max = y_limits
        if self._follows((self._x_min, self._x_max), self._last_x):
            self.set_xlimits(*x_limits)
        if self._follows((self._y_min, self._y_max), self._last_y):
            self.set_ylimits(*y_limits)
        self._last_x, self._last_y = x_limits, y_limits
        for points, _, _, faded in curves:
            self._draw_interval(points, _style(faded))
        for points, _, colour, _ in curves:
            thin = _thin(points)
            self.plot([p.x for p in thin], [p.y for p in thin], _style(colour), HiResMode.BRAILLE)
        for points, sign, colour, _ in curves:  # above all lines, or another curve would hide them
            marked = points if len(points) <= MAX_MARKED else _every(points, MAX_MARKED // 2)
            self.scatter([p.x for p in marked], [p.y for p in marked], sign, _style(colour))
        if self.size:
            self.render()  # now, so that it is painted with all else and not in a frame of its own behind it

    @staticmethod
    def _follows(now: tuple[float, float], last: tuple[float, float] | None) -> bool:
        """Whether nobody has moved an axis since it was fitted to the data."""
        return last is None or now == last

    def _draw_interval(self, points: list[_Point], style: str) -> None:
        """A bar for each of few points; of many the two edges, of each stretch the widest."""
        known = [(p.x, p.low, p.high) for p in points if p.low is not None and p.high is not None]
        if len(known) <= MAX_BARS:
            for x, low, high in known:
                self.plot([x, x], [low, high], style, HiResMode.BRAILLE)
        else:
            size = ceil(len(known) / MAX_BARS)
            stretches = [known[start : start + size] for start in range(0, len(known), size)]
            middle = [stretch[len(stretch) // 2][0] for stretch in stretches]
            self.plot(middle, [min(low for _, low, _ in stretch) for stretch in stretches], style, HiResMode.BRAILLE)
            self.plot(middle, [max(high for *_, high in stretch) for stretch in stretches], style, HiResMode.BRAILLE)


def number(value: float) -> str:
    """A number in a table: whole ones in full, others to four digits."""
    return f"{value:,.0f}" if value == floor(value) and abs(value) < 1e15 else f"{value:,.4g}"


def _cell(point: _Point | None) -> str:
    if point is None:
        return ""
    if point.low is None or point.high is None:
        return number(point.y)
    return f"{number(point.y)} ({number(point.low)} – {number(point.high)})"


def _points(series: Series) -> list[_Point]:
    """The points of a series that can be drawn, by x."""
    sure = series.low is not None and series.high is not None
    low = series.low if sure and series.low is not None else repeat(None, len(series.x))
    high = series.high if sure and series.high is not None else repeat(None, len(series.x))
    points = [
        _Point(float(x), float(y), _finite(a), _finite(b))
        for x, y, a, b in zip(series.x, series.y, low, high, strict=True)
        if -LARGEST < x < LARGEST and -LARGEST < y < LARGEST
    ]
    return sorted(points, key=lambda point: point.x)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and isfinite(value) and abs(value) < LARGEST else None


def _thin(points: list[_Point]) -> list[_Point]:
    """At most `MAX_POINTS` points: the lowest and the highest of each stretch, in their order."""
    if len(points) <= MAX_POINTS:
        return points
    size = ceil(2 * len(points) / MAX_POINTS)
    kept: list[_Point] = []
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        ends = {min(stretch, key=lambda i: points[i].y), max(stretch, key=lambda i: points[i].y)}
        kept += [points[i] for i in sorted(ends)]
    return kept


def _every(values: list, most: int) -> list:
    """All of them, or at most `most` at even distances, the last one among them."""
    step = ceil(len(values) / most) if values else 1
    return list(islice(reversed(values), 0, None, step))[::-1]


def _fade(colour: Color, background: Color) -> Color:
    return colour if colour.ansi is not None else colour.blend(background, 0.55)


def _style(colour: Color) -> str:
    return str(Style(color=colour.rich_color))
