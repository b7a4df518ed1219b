"""Runs that start from a stored agent: which one is meant, what is kept, and that demonstrations help."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from agents.configs import BCConfig, DQNConfig, PPOConfig
from arena.checkpoints import load_weights
from arena.cli.app import app
from arena.match import evaluate
from arena.roster import resolve
from arena.store import Store
from arena.training import TrainRequest, continue_run, start_run, train_agent
from arena.warm_start import find_start, starting_config
from envs.errors import UnknownNameError, UsageError

GAME, OTHER = "gridworld/maze?level=1", "gridworld/maze?level=2"
SMALL = PPOConfig(num_envs=4, num_steps=8, network="mlp", hidden_size=8)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def train(store: Store, asked: TrainRequest) -> None:
    assert [*train_agent(store, asked)][-1].state == "finished"


def first(store: Store, name: str = "first", game: str = GAME) -> TrainRequest:
    asked = TrainRequest(game, "ppo", name, SMALL, steps=64, checkpoint_steps=32, device="cpu")
    train(store, asked)
    return dataclasses.replace(asked, name="second", init=name, steps=128, checkpoint_steps=64)


def test_a_run_starts_from_an_agent_and_says_so(store: Store) -> None:
    asked = first(store)
    agent = store.agent(GAME, "first@64")
    assert find_start(store, GAME, "first") == find_start(store, OTHER, f"{GAME}:first@64") == agent
    slow = dataclasses.replace(SMALL, learning_rate=0.0)
    train(store, dataclasses.replace(asked, config=slow, game=OTHER))
    assert store.run("second").config["init"] == {"game": GAME, "agent": "first@64", "checkpoint": agent.checkpoint}
    begun, learnt = (load_weights(store, store.agent(*who).checkpoint or "").tensors for who in
                     ((GAME, "first@64"), (OTHER, "second@128")))  # fmt: skip
    assert all(torch.equal(begun[name], learnt[name]) for name in begun)


def test_a_run_that_was_stopped_goes_on_as_if_it_never_had(store: Store) -> None:
    asked = first(store)
    train(store, dataclasses.replace(asked, name="whole"))
    run = start_run(store, dataclasses.replace(asked, name="parts"))
    reports = continue_run(store, run)
    next(reports)
    reports.close()  # before its first checkpoint: it begins again, from the same agent
    *_, last = continue_run(store, run, should_stop=lambda: True)
    assert last.state == "stopped"
    train(store, TrainRequest("", name="parts", resume=True))
    whole, parts = (store.agent(GAME, f"{name}@128").checkpoint for name in ("whole", "parts"))
    assert whole == parts != store.agent(GAME, "first@64").checkpoint


def test_which_agent_is_meant(store: Store) -> None:
    first(store)
    first(store, game=OTHER, name="other")
    with pytest.raises(UnknownNameError, match="did you mean first@64"):
        find_start(store, GAME, "first@65")
    store.rename_agent(OTHER, "other@64", "first@64")
    assert find_start(store, GAME, "first@64").game == GAME
    with pytest.raises(UsageError, match=r"several games: write .*level=1:first@64 or .*level=2:first@64"):
        find_start(store, "gridworld/maze?level=3", "first@64")
    with pytest.raises(UsageError, match="q_learning starts from nothing else"):
        start_run(store, TrainRequest(GAME, "q_learning", init="first@64"))
    assert {run.name for run in store.runs()} == {"first", "other"}


def test_the_command_line_takes_the_agents_shape(store: Store) -> None:
    first(store)
    assert starting_config(store, "ppo", GAME, "first").hidden_size == 8  # type: ignore[attr-defined]
    follower = starting_config(store, "dqn", GAME, "first")
    assert isinstance(follower, DQNConfig)
    assert follower.epsilon == follower.final_epsilon < 0.2

    def run(*words: object) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["train", *map(str, words), "--db", str(store.path)])
        return done.exit_code, done.output

    code, output = run(GAME, "--init", "first", "--steps", 64, "--name", "second", "--set", "num_envs=4")
    assert (code, store.run("second").config["init"]["agent"]) == (0, "first@64"), output
    assert store.run("second").config["settings"]["hidden_size"] == 8
    code, output = run(GAME, "--init", "first", "--set", "hidden_size=16")
    assert (code, "--set hidden_size=8" in output) == (2, True)
    code, output = run(GAME, "--name", "second", "--resume", "--steps", 999, "--init", "first")
    assert (code, "leave out" in output) == (2, True)


@pytest.mark.slow
def test_demonstrations_help_where_rewards_are_sparse(store: Store) -> None:
    """Ten games of a planner in a maze that random moves hardly ever leave: PPO that starts from their clone goes to
    the goal after as many steps as leave PPO from scratch lost. At the preset's rate it would forget the clone."""
    game = "gridworld/maze?level=5&size=21"
    evaluate(store, game, resolve(store, game, "value-iteration"), episodes=10)
    clone = BCConfig(network="mlp", hidden_layers=1, learning_rate=1e-2, activation="tanh", batch_size=32)
    train(store, TrainRequest(game, "bc", "clone", clone, steps=9000, lessons="episodes", device="cpu"))
    gentle = starting_config(store, "ppo", game, "clone")
    assert isinstance(gentle, PPOConfig)
    gentle = dataclasses.replace(gentle, learning_rate=1e-3)
    scores = {}
    for name, init, config in (("warm", "clone", gentle), ("cold", "", None)):
        train(store, TrainRequest(game, "ppo", name, config, steps=4096, init=init, device="cpu", seed=1))
        scores[name] = evaluate(store, game, resolve(store, game, name), episodes=20, greedy=False).mean
    assert scores["warm"] > 0.8
    assert scores["cold"] < 0
