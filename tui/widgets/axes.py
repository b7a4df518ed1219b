"""The axes of a plot: where they end, which round numbers stand at them, and how these are written."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

from textual_plot.axis_formatter import AxisFormatter


class Ticks(AxisFormatter):
    """Round numbers, at most `count` or so of them, written short."""

    count = 5

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        return ticks(min_, max_, self.count)

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return tick_labels(ticks)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten in low–high (low < high), at most about `count`."""
    rough = (high - low) / max(1, count)
    power = 10.0 ** floor(log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10, 20) if factor * power >= rough * 0.75)
    return [n * step for n in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def tick_labels(values: Sequence[float]) -> list[str]:
    """Evenly spaced numbers with the decimals that tell them apart: 0.2, 40k, 2M, 1e-07."""
    if not values:
        return []
    largest = max(abs(value) for value in values)
    step = abs(values[1] - values[0]) if len(values) > 1 else largest or 1.0
    scale, unit = next(((s, u) for s, u in ((1e9, "G"), (1e6, "M"), (1e4, "k")) if largest >= s), (1.0, ""))
    scale = 1e3 if unit == "k" else scale
    if largest >= 1e12 or step < 1e-4:
        return [f"{value:.1e}" if value else "0" for value in values]
    decimals = max(0, -floor(log10(step / scale) + 1e-9))
    return [f"{value / scale:.{decimals}f}{unit}" if abs(value) > step / 2 else "0" for value in values]


def limits(values: Sequence[float], margin: float) -> tuple[float, float]:
    """The axis for these finite values [N ≥ 1]: a share of `margin` more at either end, and never empty."""
    low, high = min(values), max(values)
    least = max(abs(low), abs(high)) * 1e-6
    if high - low <= least:
        room = max(abs(low), abs(high)) * 0.13 or 1.0
        return low - room, high + room
    room = (high - low) * margin
    return low - room, high + room
