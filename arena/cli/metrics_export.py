"""A run's metrics for other programs."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arena.cli.output import clean
from envs.errors import ArenaError, MissingPackageError

Series = Mapping[str, Sequence[tuple[int, float]]]
"""Metric key → (step, value) in the order of the steps."""


def write_csv(series: Series) -> None:
    """One line a step, one column a metric, on stdout; empty where a metric was not reported."""
    steps = sorted({step for values in series.values() for step, _ in values})
    by_step = {key: dict(values) for key, values in series.items()}
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["step", *map(clean, series)])
    for step in steps:
        writer.writerow([step, *(values.get(step, "") for values in by_step.values())])


def write_tensorboard(series: Series, folder: Path) -> None:
    """TensorBoard event files in `folder`. Raises MissingPackageError where tensorboard is not installed."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise MissingPackageError("TensorBoard is not installed; pip install 'arena-league[tensorboard]'") from None
    value: Any = Summary.Value
    try:
        writer = EventFileWriter(str(folder))
        for key, values in series.items():
            for step, number in values:
                if math.isfinite(number):
                    writer.add_event(Event(step=step, summary=Summary(value=[value(tag=key, simple_value=number)])))
        writer.close()
    except OSError as error:
        raise ArenaError(f"{folder} cannot be written: {error.strerror or error}") from error
