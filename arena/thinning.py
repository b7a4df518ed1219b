"""Metrics of a run, fewer than it reports."""

from __future__ import annotations

from agents.metrics import Metrics

METRIC_POINTS = 400
"""About how many points of each series a run keeps."""


class Thinner:
    """Means of every series over equal stretches of a run's steps."""

    def __init__(self, total_steps: int) -> None:
        self._width = max(1, total_steps // METRIC_POINTS)
        self._stretch = 0
        self._step = 0
        self._sums: dict[str, tuple[float, int]] = {}
        self._rows: list[tuple[int, dict[str, float]]] = []

    def add(self, metrics: Metrics) -> None:
        if metrics.step // self._width != self._stretch:
            self._close()
            self._stretch = metrics.step // self._width
        self._step = metrics.step
        for key, value in metrics.values.items():
            total, count = self._sums.get(key, (0.0, 0))
            self._sums[key] = (total + value, count + 1)

    def take(self) -> list[tuple[int, dict[str, float]]]:
        """(step, means) of what has been added since the last call."""
        self._close()
        return self.take_whole()

    def take_whole(self) -> list[tuple[int, dict[str, float]]]:
        """The same without the stretch that is not over yet, so that it does not matter when this is called."""
        rows, self._rows = self._rows, []
        return rows

    def _close(self) -> None:
        if self._sums:
            self._rows.append((self._step, {key: total / count for key, (total, count) in self._sums.items()}))
            self._sums = {}
