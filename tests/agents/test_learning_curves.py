"""How fast the learners learn: returns in training, beside curves kept in learning_curves.json.

A change that keeps the last value may still cost half of the way there. `python tests/agents/test_learning_curves.py`
measures the kept curves anew, where a change is meant to learn otherwise.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agents.configs import LearnerConfig, default_config
from agents.registry import load_train
from envs.registry import make

KEPT = Path(__file__).with_name("learning_curves.json")
RUNS: dict[str, tuple[int, dict[str, int]]] = {
    "ppo cartpole": (16_384, {"num_envs": 8, "num_steps": 128}),  # so few that games of 500 steps end in each quarter
    "vpg gridworld/tiny": (12_288, {}),
    "dqn gridworld/tiny": (3_000, {"report_steps": 150}),
}
"""Env steps, and what differs from the preset, by algorithm and game."""
PARTS = 4
SEEDS, CHECKED = range(16), range(100, 106)
ERRORS = 4.5
"""Standard errors of the difference between both sets of seeds that are taken for chance."""


def curve(name: str, seed: int, slowed: float = 1.0) -> list[float]:
    """Mean return of the episodes that ended in each quarter of a run by the preset, at a share of its learning rate;
    CartPole's as logarithms, since they grow by factors."""
    algorithm, game = name.split()
    config = default_config(algorithm, game)
    assert isinstance(config, LearnerConfig)
    steps, values = RUNS[name]
    config = replace(config, **values, learning_rate=slowed * config.learning_rate)  # type: ignore[arg-type]
    parts: list[list[float]] = [[] for _ in range(PARTS)]
    env = make(game, config.num_envs)
    for metrics in load_train(algorithm)(config, env, seed=seed, total_steps=steps):
        if "charts/episodic_return" in metrics.values:
            quarter = min(PARTS * (metrics.step - 1) // steps, PARTS - 1)
            parts[quarter].append(metrics.values["charts/episodic_return"])
    means = [statistics.fmean(part) for part in parts]
    return [math.log(mean) for mean in means] if game == "cartpole" else means


def summary(curves: list[list[float]]) -> list[tuple[float, float]]:
    """(mean, standard deviation) over seeds of each quarter, and of the whole curve last."""
    columns = [*zip(*curves, strict=True), [statistics.fmean(each) for each in curves]]
    return [(statistics.fmean(column), statistics.stdev(column)) for column in columns]


def drift(name: str, seeds: Sequence[int], slowed: float = 1.0) -> float:
    """How far these seeds are from the kept ones in the part that differs most, in standard errors."""
    kept = json.loads(KEPT.read_text())[name]
    assert kept["steps"] == RUNS[name][0]
    now = summary([curve(name, seed, slowed) for seed in seeds])
    error = math.sqrt(1 / len(SEEDS) + 1 / len(seeds))
    parts = zip(now, kept["summary"], strict=True)
    return max(abs(mean - then) / (deviation * error) for (mean, _), (then, deviation) in parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_learning_is_as_fast_as_it_was(name: str) -> None:
    assert drift(name, CHECKED) <= ERRORS


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_a_learner_that_hardly_moves_is_noticed(name: str) -> None:
    assert drift(name, CHECKED[:2], slowed=0.02) > ERRORS


if __name__ == "__main__":
    found = {
        name: {"steps": steps, "summary": summary([curve(name, seed) for seed in SEEDS])}
        for name, (steps, _) in RUNS.items()
    }
    KEPT.write_text(json.dumps(found, indent=1) + "\n")
