"""Training: the form, the list, the curves, what can be done with a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable

from arena.jobs import Job, Jobs
from arena.locks import hold
from arena.records import Run
from arena.store import Store
from envs.errors import UsageError
from tests.tui.conftest import ready, sees, shown, until
from tui.app import ArenaApp
from tui.run_facts import algorithms, new_name
from tui.screens.job_log import JobLogScreen
from tui.screens.run_details import RunDetailsScreen
from tui.screens.train_form import TrainForm
from tui.screens.training import TrainingScreen
from tui.widgets.plot import PlotPanel

SIZES = [(80, 24), (160, 50)]
PROGRAM = (
    sys.executable,
    "-c",
    """
import signal, sys, time
asked = []
signal.signal(signal.SIGINT, lambda *_: asked.append(1))
print("learning", *sys.argv[1:], flush=True)
if "broken" in sys.argv:
    sys.exit("Error: it [bold]broke\\x1b[31m")
while not asked:
    time.sleep(0.01)
sys.exit(130)
""",
)


def add_run(db: Path, name: str, state: str = "finished", **settings: Any) -> int:
    """A run with three points of three metrics."""
    with Store(db) as store:
        config = {"settings": settings, "opponents": [], "reward": "", "record": 0}
        run = store.create_run(Run(name, "gridworld/cliff", "ppo", config, 1, 4000))
        for step in (1000, 2000, 3000):
            values = {"charts/episodic_return": -step / 10, "charts/SPS": 500.0, "losses/entropy": 1.0}
            store.commit_interval(run, step, 2.0, [(step, values)])
        if state != "running":
            store.finish_run(run, state, "out of luck" if state == "failed" else None)  # type: ignore[arg-type]
    return run


@pytest.fixture
def app(db: Path) -> Iterator[ArenaApp]:
    """The app with jobs that do nothing but wait."""
    made = ArenaApp(db, "Ann")
    made.jobs = Jobs(db, PROGRAM)
    yield made
    for job in made.jobs.all():
        made.jobs.kill(job.id)


async def training(pilot: Pilot[Any]) -> TrainingScreen:
    app = await ready(pilot)
    await pilot.press("f5")
    await until(
        pilot, lambda: (isinstance(app.screen, TrainingScreen) and "No run yet" in shown(app)) or "✓" in shown(app)
    )
    assert isinstance(app.screen, TrainingScreen)
    return app.screen


async def job_is(pilot: Pilot[Any], app: ArenaApp, state: str) -> Job:
    await until(pilot, lambda: app.jobs.all() and app.jobs.all()[0].state == state)
    return app.jobs.all()[0]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_runs_with_their_curves_are_listed_and_compared(app: ArenaApp, size: tuple[int, int]) -> None:
    add_run(app.db, "first", gamma=0.9)
    add_run(app.db, "second", gamma=0.8)
    async with app.run_test(size=size) as pilot:
        screen = await training(pilot)
        await sees(pilot, "second", "first", "75%", "500", "-300", "charts/episodic_return", "● second")
        await pilot.press("t")
        await sees(pilot, "-100", "-200")
        assert screen.query_one("#plot-0", PlotPanel).numbers
        await pilot.press("t", "space", "down")
        await sees(pilot, "●second", "● second", "◆ first")
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: shown(app).count("losses/entropy") == 1 and screen._metric == 1)
        if size[0] == 80:
            assert "charts/episodic_return" not in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunDetailsScreen))
        await sees(pilot, "gamma", "0.9", "0.8", "losses/entropy")
        assert "algorithm" not in shown(app)  # it is the same in both
        await pilot.press("escape", "space", "escape")
        await until(pilot, lambda: app.current_mode == "lobby")


@pytest.mark.slow
async def test_the_form_starts_what_it_says(app: ArenaApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await training(pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, TrainForm) and "arena train tic_tac_toe" in shown(app))
        form = app.screen
        assert isinstance(form, TrainForm)
        await until(pilot, lambda: form.fields["name"].value == "ppo-1" and not form.problem)
        assert form.fields["game"].value == "tic_tac_toe"
        await pilot.press(*"gridworld/cliff")
        await until(pilot, lambda: form._game == "gridworld/cliff" and "arena train gridworld/cliff" in shown(app))
        while form._algorithm != "q_learning":
            await pilot.press(*(["down"] if form.field.name == "game" else ["space"]))
        await until(pilot, lambda: "initial_values" in form.fields)
        await until(pilot, lambda: form.fields["name"].value == "q_learning-1")
        assert form.fields["steps"].value == "40_000"
        for name, wrong, told in (
            ("gamma", "1.5", "gamma=1.5 must be between"),
            ("num_envs", "many", "num_envs is a whole number"),
            ("steps", "0", "steps is a whole number of at least 1"),
            ("name", "a@b", "has no @"),
        ):
            before = form.fields[name].value
            form.put(name, wrong)
            await sees(pilot, told)
            await pilot.press("ctrl+s")
            await until(pilot, lambda name=name: form.field.name == name)  # what is wrong is gone to
            assert app.screen is form
            form.put(name, before)
            await until(pilot, lambda told=told: told not in str(form.problem))
        form.put("gamma", "0.9")
        await pilot.press("down", "down", *"12", "backspace", "backspace", *"2")
        assert (form.field.name, form.fields["minutes"].value) == ("minutes", "2")
        await sees(pilot, "--set gamma=0.9")
        await pilot.press("ctrl+s")
        job = await job_is(pilot, app, "running")
        words = "train gridworld/cliff --algo q_learning --name q_learning-1 --steps 40000 --minutes 2 --set gamma=0.9"
        assert job.command == tuple(words.split())
        assert job.resume == ("train", "gridworld/cliff", "--name", "q_learning-1", "--resume")
        await sees(pilot, "… starting", "q_learning-1")
        assert "0 of 0" not in shown(app)
        assert new_name(app.db, "q_learning", app.jobs) == "q_learning-2"
        await pilot.press("s")
        await job_is(pilot, app, "stopped")
        await sees(pilot, "■ stopped")


@pytest.mark.slow
async def test_a_failure_is_told_with_its_log(app: ArenaApp) -> None:
    app.jobs.start(["train", "tic_tac_toe", "broken"], "training x", "run x")
    await_state = app.jobs
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: await_state.all()[0].state == "failed")
        await pilot.press("f5")
        await sees(pilot, "✗ failed", "it [bold]broke\\x1b[31m")
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, JobLogScreen))
        await sees(pilot, "learning train tic_tac_toe broken", "Error: it [bold]broke\\x1b[31m")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TrainingScreen))


@pytest.mark.slow
async def test_what_was_killed_is_shown_and_gone_on_with(app: ArenaApp) -> None:
    killed = add_run(app.db, "killed", "running")
    async with app.run_test(size=(160, 50), notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("f5")
        await sees(pilot, "‼ killed", "it can go on from step 3,000")
        with hold(app.db, f"run-{killed}", "run killed"):
            await pilot.press("ctrl+r")
            await sees(pilot, "▶ running")
            await pilot.press("s")
            await sees(pilot, "killed was started elsewhere")
        await pilot.press("ctrl+r")
        await sees(pilot, "‼ killed")
        await pilot.press("r")
        job = await job_is(pilot, app, "running")
        assert job.command == ("train", "gridworld/cliff", "--name", "killed", "--resume")
        await sees(pilot, "▶ running", "learning train gridworld/cliff")
        await pilot.press("k")
        await sees(pilot, "at once?")
        await pilot.press("y")
        await job_is(pilot, app, "failed")
        await sees(pilot, "‼ killed")


@pytest.mark.slow
async def test_a_run_on_texts_leads_to_a_training_of_a_game(app: ArenaApp) -> None:
    with Store(app.db) as store:
        store.create_run(Run("texts", "pretrain", "pretrain", {}, 1, 100))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("f5")
        await sees(pilot, "texts")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, TrainForm))
        assert app.home.game in shown(app)


@pytest.mark.slow
async def test_why_a_run_failed_and_what_has_finished(app: ArenaApp) -> None:
    add_run(app.db, "bad", "failed")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("f5")
        await sees(pilot, "✗ failed", "out of luck")
        assert app.screen.query_one(DataTable).row_count == 1


def test_who_learns_what(tmp_path: Path) -> None:
    assert "q_learning" in algorithms("gridworld/cliff")
    assert algorithms("connect_four") == algorithms("go?size=5") == ["ppo", "vpg", "dqn", "az"]
    assert algorithms("gridworld/sumo") == ["ppo", "vpg", "dqn"]
    with pytest.raises(UsageError):
        algorithms("no_such_game")


@pytest.mark.slow
async def test_a_real_training_is_followed_to_its_end(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        command = ["train", "gridworld/tiny", "--algo", "q_learning", "--name", "mine", "--steps", "2000"]
        app.jobs.start(command, "training mine", "run mine")
        await pilot.press("f5")
        await sees(pilot, "✓ finished", "100%", "charts/episodic_return", "2,000/2,000")
        await until(pilot, lambda: app.jobs.all()[0].state == "done")  # a moment after its run
