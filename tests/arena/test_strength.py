"""Strength against perfect play: perfect players have no fault, others' faults are counted and named."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from arena.cli.app import app
from arena.match import evaluate
from arena.roster import resolve
from arena.store import Store
from arena.strength import _distances, check_strength, optimum
from envs.errors import UsageError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def test_tic_tac_toe_is_gone_through_whole(store: Store) -> None:
    perfect = check_strength("tic_tac_toe", resolve(store, "tic_tac_toe", "minimax").policy)
    assert (perfect.perfect, perfect.fault, perfect.checked) == (True, "", "lines")
    tactician = check_strength("tic_tac_toe", resolve(store, "tic_tac_toe", "tactician").policy)
    assert not tactician.perfect
    assert 0.5 * tactician.cases < tactician.faultless < tactician.cases
    assert tactician.fault.startswith("as first player it loses 1 ")


@pytest.mark.parametrize(
    ("game", "best"),
    [
        ("gridworld/recycling", 11.0),
        ("gridworld/recycling?minutes=3", 11.0),
        ("gridworld/cliff", -13.0),
        ("gridworld/trap", 1000.0),
        ("gridworld/maze?level=3", None),
    ],
)
def test_the_optimum_is_what_the_planner_gets(store: Store, game: str, best: float | None) -> None:
    planner = resolve(store, game, "value-iteration")
    assert check_strength(game, planner.policy).perfect
    assert optimum(game) == pytest.approx(evaluate(None, game, planner, episodes=3).mean, abs=1e-5)
    assert best is None or optimum(game) == best


def test_faults_in_gridworlds_are_named(store: Store) -> None:
    first = check_strength("gridworld/cliff", resolve(store, "gridworld/cliff", "first-legal").policy)
    assert (first.cases, first.faultless, first.mean, first.optimum) == (1, 0, -100.0, -13.0)
    assert first.fault == "from row 4, column 1 it gets -100 instead of -13"
    everywhere = check_strength(
        "gridworld/cliff?start=any", resolve(store, "gridworld/cliff", "value-iteration").policy
    )
    assert (everywhere.cases, everywhere.perfect) == (37, True)


def test_mazes_are_compared_one_by_one(store: Store) -> None:
    walls = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 1, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]])
    distances = _distances(walls.bool().view(1, 25), torch.tensor([16]), 5).view(5, 5)
    assert distances[1:4, 1].tolist() == [2, 1, 0]
    assert distances[1:4, 3].tolist() == [4, 5, 6]
    wandering = check_strength("gridworld/maze", resolve(store, "gridworld/maze", "first-legal").policy, games=100)
    assert wandering.mean is not None
    assert wandering.optimum is not None
    assert wandering.mean < 0 < wandering.optimum
    assert 0 < wandering.faultless < 50


def test_exploitability_of_tic_tac_toe(store: Store) -> None:
    found = {
        name: check_strength("tic_tac_toe", policy.policy, samples=policy.samples).exploitability
        for name in ("minimax", "random", "first-legal")
        for policy in [resolve(store, "tic_tac_toe", name)]
    }
    assert found["minimax"] == 0.0
    assert found["first-legal"] == 1.0  # it loses as either player
    assert found["random"] == pytest.approx(_random_exploitability(), abs=1e-6)


def _random_exploitability() -> float:
    """By plain recursion over boards as strings."""
    lines = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))

    @functools.cache
    def best(board: str, mine: str) -> float:
        mover = "xo"[board.count(".") % 2 == 0]
        if any(
            all(board[i] != mover and board[i] != "." for i in line) and len({board[i] for i in line}) == 1
            for line in lines
        ):
            return -1.0 if mover == mine else 1.0
        values = [best(board[:i] + mover + board[i + 1 :], mine) for i in range(9) if board[i] == "."]
        if not values:
            return 0.0
        return max(values) if mover == mine else sum(values) / len(values)

    return (best("." * 9, "x") + best("." * 9, "o")) / 2


def test_other_games_are_refused(store: Store) -> None:
    for game in ("othello", "gridworld/sumo"):
        with pytest.raises(UsageError, match="perfect play is known for"):
            check_strength(game, resolve(store, game, "random").policy)


@pytest.mark.slow
def test_poker_agents_one_by_one_and_together(tmp_path: Path) -> None:
    db = str(tmp_path / "league.db")

    def arena(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*words, "--db", db])
        return result.exit_code, result.output

    settings = ["--set", "num_envs=16", "--set", "report_steps=64", "--set", "learning_starts=64"]
    code, out = arena("train", "kuhn_poker", "--algo", "dqn", "--steps", "512", "--checkpoint-steps", "128", *settings)
    assert code == 0, out
    code, out = arena("strength", "kuhn_poker", "random", "--json")
    found = json.loads(out)
    assert (code, found["agents"], round(found["nash_conv"], 4)) == (0, 1, 0.9167)
    code, out = arena("strength", "kuhn_poker", "dqn-1@latest", "--average", "--json")
    assert (code, json.loads(out)["agents"]) == (0, 4), out
    assert arena("strength", "kuhn_poker", "random", "--average")[0] == 2
    code, out = arena("strength", "kuhn_poker", "dqn-1@latest")
    assert "NashConv" in out
