"""The demonstration with trainings of a moment: it goes on where it was, ends, and shows its results again."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from arena import demo
from arena.cli.app import app
from arena.store import Store
from envs.errors import ArenaError

pytestmark = pytest.mark.slow


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    trainings = tuple(dataclasses.replace(training, steps=64) for training in demo.TRAININGS)
    monkeypatch.setattr(demo, "TRAININGS", trainings)
    for name, number in {"GAMES": 2, "LONG_MATCH": 4, "EPISODES": 2}.items():
        monkeypatch.setattr(demo, name, number)


def train(path: Path, training: demo.Training) -> None:
    words = ["train", training.game, "--algo", training.algorithm, "--name", training.name, "--db", str(path)]
    small = ["--set", "num_envs=8", "--set", "hidden_size=8", "--device", "cpu"]
    result = CliRunner().invoke(app, [*words, *small, "--steps", str(training.steps)])
    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("small")
def test_demo_goes_on_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    for training in demo.TRAININGS[:-1]:
        train(path, training)
    with Store(path) as store:
        events = demo.run_demo(store, lambda: False)
        lines = [event for event in events if event.job == demo.TRAININGS[-1].name]
        assert lines[-1].trained  # the one that was left ran as a child process
        assert demo.is_complete(store)
    first = CliRunner().invoke(app, ["demo", "--db", str(path)])
    assert first.exit_code == 0, first.output
    for text in (
        "tic_tac_toe\n",
        "connect_four\n",
        "minimax",
        "gridworld/recycling (perfect play: 11.00)",
        "value-iteration",
    ):
        assert text in first.stdout
    assert "tic-tac-toe: ppo-tictactoe@" in first.stdout
    assert "nothing was left to do" in first.stdout
    again = json.loads(CliRunner().invoke(app, ["demo", "--json", "--db", str(path)]).stdout)
    assert [row["games"] for row in again["tables"]["tic_tac_toe"]] == [10] * 6
    assert sum(row["games"] for row in again["tables"]["connect_four"]) == 2 * (2 * 8 + 4 * 2)
    assert {row["episodes"] for row in again["scores"]} == {2}


@pytest.mark.usefixtures("small")
def test_demo_stops_its_children_and_tells_why_they_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "league.db") as store:
        stop = threading.Event()
        for event in demo.run_demo(store, stop.is_set):
            assert not event.trained
            stop.set()
        assert {run.state for run in store.runs()} <= {"stopped", "finished"}
        broken = dataclasses.replace(demo.TRAININGS[0], name="broken", algorithm="pppo")
        monkeypatch.setattr(demo, "TRAININGS", (broken,))
        with pytest.raises(ArenaError, match="training broken failed: unknown algorithm 'pppo'; did you mean ppo"):
            list(demo.run_demo(store, lambda: False))
