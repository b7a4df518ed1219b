"""Continuous actions through the command line: trained, evaluated, recorded, verified, asked, in a league."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from agents.scripted import make_scripted
from arena.cli.app import app
from arena.episodes import verify
from arena.league import run_league
from arena.match import evaluate
from arena.openings import normal_draws
from arena.roster import game_spec, resolve
from arena.standings import score_table
from arena.store import Store

GAME = "gym/Pendulum-v1"
SMALL = ("--set", "num_envs=4", "--set", "num_steps=50", "--set", "num_minibatches=1", "--set", "num_epochs=1")


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.output if code else done.stdout


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("continuous") / "league.db"
    run("train", GAME, "--algo", "ppo", "--name", "p", "--steps", "800", *SMALL, "--db", str(path))
    return path


def test_evaluations_are_stored_and_verify(db: Path) -> None:
    result = json.loads(run("evaluate", GAME, "p", "--episodes", "3", "--json", "--db", str(db)))
    assert -2000 < result["mean"] < 0
    run("replay", "verify", "--all", "--db", str(db))
    with Store(db) as store:
        (episode, *others) = store.episodes(GAME)
    assert len(others) == 2
    assert len(episode.actions) == 200 * 4  # float32


@pytest.mark.slow
def test_sampled_play_depends_on_the_seed_alone(db: Path) -> None:
    with Store(db) as store:
        contender = resolve(store, GAME, "p")
    first, again, other = (
        evaluate(None, GAME, contender, episodes=2, seed=seed, greedy=False).returns for seed in (0, 0, 1)
    )
    assert first == again != other


def test_normal_draws_are_standard_normal() -> None:
    draws = normal_draws(torch.arange(20_000), 3, 0, 2)
    torch.testing.assert_close(draws.mean(0), torch.zeros(2), atol=0.03, rtol=0.0)
    torch.testing.assert_close(draws.std(0), torch.ones(2), atol=0.03, rtol=0.0)
    assert abs(float(torch.corrcoef(draws.T)[0, 1])) < 0.03
    assert torch.equal(draws[7:8], normal_draws(torch.tensor([7]), 3, 0, 2))


def test_ask(db: Path) -> None:
    answer = json.loads(run("ask", GAME, "--agent", "p", "--moves", "0.5,-2", "--json", "--db", str(db)))
    assert answer["ply"] == 2
    assert -2 <= float(answer["action"]) <= 2
    assert 0.5 < float(answer["deviation"]) < 2
    assert " ± " in run("ask", GAME, "--agent", "p", "--db", str(db))
    for moves in ("0.5,left", "0.5,2.5", "0.5:0.5"):
        assert "between -2 and 2" in run("ask", GAME, "--agent", "p", "--moves", moves, "--db", str(db), code=2)


def test_random_play_is_uniform_between_the_bounds(tmp_path: Path) -> None:
    turn = torch.zeros(20_000, 3), torch.ones(20_000, 0, dtype=torch.bool)
    normal = make_scripted("random", game_spec(GAME))(*turn).normal
    assert normal is not None
    numbers = normal.action(torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))).sort(0).values
    torch.testing.assert_close(numbers[:, 0], torch.linspace(-2, 2, 20_000), atol=0.05, rtol=0.0)
    assert normal.action().unique().tolist() == [0.0]
    result = json.loads(run("evaluate", GAME, "random", "--episodes", "3", "--json", "--db", str(tmp_path / "l.db")))
    assert result["mean"] < -500


def test_a_new_league_has_only_those_that_learn_them(tmp_path: Path) -> None:
    told = json.loads(run("league", "new", "p", GAME, "--show-config", "--json"))
    assert [member["algorithm"] for member in told["members"]] == ["vpg", "ppo"]


def test_who_cannot_learn_them_says_so(db: Path) -> None:
    assert "ppo and vpg learn them, dqn does not" in run("train", GAME, "--algo", "dqn", "--db", str(db), code=2)


@pytest.mark.slow
def test_a_league_of_its_own_trains_those_that_can(tmp_path: Path) -> None:
    with Store(tmp_path / "league.db") as store:
        *_, end = run_league(store, GAME, rounds=1, games=2, slice_steps={"ppo": 2048, "vpg": 2048})
        assert (end.kind, end.round) == ("end", 1)
        assert {run.algorithm for run in store.runs()} == {"ppo", "vpg"}
        assert len(store.scores(GAME)) == 3  # and random play
        assert all(verdict.ok for verdict in verify(store))


@pytest.mark.slow
def test_mujoco_games_are_trained_scored_and_verified(tmp_path: Path) -> None:
    """With the extra `mujoco`; the preset, cut short."""
    pytest.importorskip("mujoco")
    db = tmp_path / "league.db"
    short = ("--set", "num_envs=2", "--set", "num_steps=64", "--set", "num_minibatches=2")
    told = run("train", "gym/Hopper-v5", "--name", "h", "--steps", "256", *short, "--db", str(db), "--json")
    assert json.loads(told)["run"]["config"]["settings"]["normalise_rewards"]
    result = json.loads(run("evaluate", "gym/Hopper-v5", "h", "--episodes", "2", "--json", "--db", str(db)))
    assert result["mean"] > 0
    run("replay", "verify", "--all", "--db", str(db))
    with Store(db) as store:
        assert [row.agent for row in score_table(store, "gym/Hopper-v5")] == [result["agent"]]
