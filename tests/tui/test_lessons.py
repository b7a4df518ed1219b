"""Lessons: every one can be run; what its runs measure is drawn; nothing of them is left."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from agents.configs import default_config
from arena.config import apply_sets
from arena.jobs import Job
from envs.specs import parse_variant
from tests.tui.conftest import ready, sees, shown, until
from tui.app import ArenaApp
from tui.lessons import LESSONS, Curve, Lesson
from tui.screens import lessons
from tui.screens.lessons import Bench, LessonsScreen
from tui.widgets.plot import Series

SIZE = (80, 24)


def test_every_lesson_draws_what_its_runs_measure_with_settings_that_exist() -> None:
    for lesson in LESSONS:
        trainings = [command for command in lesson.commands if command[0] == "train"]
        names = {command[command.index("--name") + 1] for command in trainings}
        for command in trainings:
            game, algorithm = command[1], command[command.index("--algo") + 1]
            assert str(parse_variant(game)) == game
            sets = [word for before, word in itertools.pairwise(command) if before == "--set"]
            apply_sets(default_config(algorithm, game), sets)
        if trainings:
            assert {curve.run for curve in lesson.curves} <= names
        assert lesson.text
        assert lesson.look


class FakeBench(Bench):
    """Runs nothing."""

    def start(self) -> None:
        self.started = True

    def jobs(self) -> list[Job]:
        return [Job(1, self.lesson.commands[0], "x", "", (), 0, "done" if hasattr(self, "started") else "running")]

    def read(self) -> list[Series]:
        return [Series(curve.name, [0.0, 100.0], [1.0, 2.0]) for curve in self.lesson.curves]


@pytest.mark.slow
async def test_a_lesson_is_read_run_and_left(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessons, "Bench", FakeBench)
    monkeypatch.setattr(lessons, "REFRESH_SECONDS", 0.01)
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f9")
        await sees(pilot, f"Lesson 1 of {len(LESSONS)}", "Bellman", "space starts")
        await pilot.press("space")
        await sees(pilot, "TD error × 20", "done; space runs it again")
        await pilot.press("right", "space")
        await sees(pilot, "Exploring", "ε falls from 1", "done; space runs it again")
        screen = app.screen
        assert isinstance(screen, LessonsScreen)
        assert screen.bench is not None
        folder = screen.bench.folder
        assert folder.exists()
        await pilot.press("left")
        await until(pilot, lambda: not folder.exists())
        await sees(pilot, "Bellman")
        await pilot.press("left")
        await sees(pilot, f"Lesson {len(LESSONS)} of {len(LESSONS)}")
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "lobby")
        assert "Lesson" not in shown(app)
    assert not db.exists()


@pytest.mark.slow
def test_a_run_is_alive_and_leaves_nothing() -> None:
    command = ("train", "gridworld/trap", "--algo", "q_learning", "--steps", "400", "--name", "q", "--device", "cpu")
    bench = Bench(Lesson("x", ("x",), "x", (command,), (Curve("return", "q"), Curve("three times", "q", times=3))))
    try:
        bench.start()
        end = time.monotonic() + 120
        while any(job.state == "running" for job in bench.jobs()) and time.monotonic() < end:
            time.sleep(0.1)
        assert [job.state for job in bench.jobs()] == ["done"], bench.jobs()
        series, larger = bench.read()
        assert (series.name, larger.name) == ("return", "three times")
        assert larger.y == [3 * value for value in series.y]
        assert any(series.y)
        assert 0 < series.x[-1] <= 110
    finally:
        bench.close()
    assert not bench.folder.exists()
