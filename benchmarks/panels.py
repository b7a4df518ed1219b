"""Learning curves as an SVG: a panel for each game, a line for each side with its 95 % interval over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS, DASHES = ("#0072b2", "#d55e00"), ("", ' stroke-dasharray="6 3"')
WIDTH, HEIGHT, LEFT, TOP, COLUMNS = 300, 200, 56, 28, 4
TICKS = 4
T = (math.inf, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
"""Student's 97.5 % quantile by degrees of freedom; 1.96 beyond these."""


def quantile(freedom: float) -> float:
    return T[int(freedom)] if freedom < len(T) else 1.96


def half_width(values: Sequence[float]) -> float:
    """Of the 95 % interval of the mean of two values or more."""
    return quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))


@dataclass(frozen=True)
class Line:
    """One side's runs: each a list of (step, return) at the same steps, as far as it has them."""

    name: str
    runs: Sequence[Sequence[Sequence[float]]]

    def points(self) -> list[tuple[float, float, float]]:
        """(step, mean, half of the interval)."""
        by_step: dict[float, list[float]] = {}
        for run in self.runs:
            for step, value in run:
                by_step.setdefault(step, []).append(value)
        return [
            (step, statistics.fmean(v), half_width(v) if len(v) > 1 else 0.0) for step, v in sorted(by_step.items())
        ]


def draw(panels: Sequence[tuple[str, Sequence[Line]]]) -> str:
    """All panels in rows of `COLUMNS`."""
    wide, tall = min(COLUMNS, len(panels)) * WIDTH + 20, -(-len(panels) // COLUMNS) * HEIGHT + 24
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" font-family="sans-serif" font-size="11">',
        f'<rect width="{wide}" height="{tall}" fill="white"/>',
    ]
    for number, (title, lines) in enumerate(panels):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT
        svg += [f'<g transform="translate({x} {y})">', *_panel(title, lines), "</g>"]
    names = list(dict.fromkeys(line.name for _, lines in panels for line in lines))
    for number, name in enumerate(names):
        x = LEFT + 220 * number
        svg.append(f'<line x1="{x}" x2="{x + 30}" y1="{tall - 12}" y2="{tall - 12}" {_stroke(number)}/>')
        svg.append(f'<text x="{x + 36}" y="{tall - 8}">{escape(name)}</text>')
    return "\n".join([*svg, "</svg>"]) + "\n"


def _stroke(number: int) -> str:
    return f'stroke="{COLOURS[number]}" stroke-width="1.8" fill="none"{DASHES[number]}'


def _panel(title: str, lines: Sequence[Line]) -> list[str]:
    svg = [f'<text x="{LEFT}" y="{TOP - 10}" font-weight="bold">{escape(title)}</text>']
    curves = [(number, line.points()) for number, line in enumerate(lines)]
    points = [point for _, curve in curves for point in curve]
    if not points:
        return svg
    last = max(step for step, _, _ in points)
    low, high = min(mean - half for _, mean, half in points), max(mean + half for _, mean, half in points)
    if high - low < 1e-9:
        low, high = low - 1, high + 1
    right, bottom = WIDTH - 14, HEIGHT - 26

    def x(step: float) -> float:
        return LEFT + (right - LEFT) * step / last

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * (value - low) / (high - low)

    for tick in range(TICKS + 1):
        value, step = low + (high - low) * tick / TICKS, last * tick / TICKS
        svg.append(f'<line x1="{LEFT}" x2="{right}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#dddddd"/>')
        svg.append(f'<text x="{LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.0f}</text>')
        svg.append(f'<text x="{x(step):.1f}" y="{bottom + 14}" text-anchor="middle">{step / 1000:.0f} k</text>')
    for number, curve in curves:
        upper = [f"{x(step):.1f},{y(mean + half):.1f}" for step, mean, half in curve]
        lower = [f"{x(step):.1f},{y(mean - half):.1f}" for step, mean, half in reversed(curve)]
        svg.append(f'<polygon points="{" ".join(upper + lower)}" fill="{COLOURS[number]}" opacity="0.2"/>')
        middle = " ".join(f"{x(step):.1f},{y(mean):.1f}" for step, mean, _ in curve)
        svg.append(f'<polyline points="{middle}" {_stroke(number)}/>')
    return svg
