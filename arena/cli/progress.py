"""Live progress on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import math
import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from arena.cli.output import clean, duration, say

if TYPE_CHECKING:
    from rich.progress import TaskID

    from arena.training import Progress

LINE_SECONDS = 5.0
"""How often a job gets a line where there is no terminal; ARENA_PROGRESS_SECONDS says otherwise."""


class Meter:
    """Shows how far some jobs are; use as a context manager.

    On a terminal every job has a bar that moves; elsewhere a job gets a line now and then, and one when it is done.
    """

    def __init__(self) -> None:
        self._seconds = float(os.environ.get("ARENA_PROGRESS_SECONDS", LINE_SECONDS))
        self._said: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[state]}", markup=False),
                console=Console(stderr=True),
                transient=True,
                refresh_per_second=4,
            )

    def __enter__(self) -> Meter:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, job: str, done: int, total: int, state: str = "") -> None:
        """`job` has done `done` of `total`; `state` says the rest."""
        job, state = clean(job), clean(state)
        if self._bars is not None:
            if job not in self._tasks:
                self._tasks[job] = self._bars.add_task(job, total=total, state=state)
            self._bars.update(self._tasks[job], completed=done, total=total, state=state)
        elif self._said.get(job) != math.inf and (
            done >= total or time.monotonic() >= self._said.get(job, 0) + self._seconds
        ):
            self._said[job] = math.inf if done >= total else time.monotonic()
            say(f"{job} {done:,}/{total:,}{f' · {state}' if state else ''}")

    def wait(self, job: str) -> None:
        """A bar that only moves to and fro, until `job` ends; nothing without a terminal."""
        if self._bars is not None:
            self._tasks[clean(job)] = self._bars.add_task(clean(job), total=None, state="")

    def note(self, text: str) -> None:
        """A line that stays, above the bars."""
        if self._bars is not None:
            self._bars.console.print(clean(text), markup=False, highlight=False, soft_wrap=True)
        else:
            say(clean(text))

    def end(self, job: str) -> None:
        """`job` is over: its bar goes."""
        task = self._tasks.pop(clean(job), None)
        if self._bars is not None and task is not None:
            self._bars.remove_task(task)


def training_state(progress: Progress) -> str:
    """Rate, return (in self-play the score against others, or the length of a game) and time left of a training run."""
    parts = [f"{progress.sps:,.0f} steps/s" if progress.sps else "starting"]
    scores = {key: progress.values.get(f"charts/score_vs_{key}") for key in ("pool", "random")}
    if any(score is not None for score in scores.values()):
        parts += [f"{score:.0%} against {key}" for key, score in scores.items() if score is not None]
    elif progress.episodic_return:
        parts.append(f"return {progress.episodic_return:.3g}")
    elif (length := progress.values.get("charts/episodic_length")) is not None:
        parts.append(f"{length:.1f} steps a game")
    if progress.seconds_left is not None:
        parts.append(f"{duration(max(0.0, progress.seconds_left))} left")
    return " · ".join(parts)
