"""Learners with a table: updates by hand, the lectures' points, the optimum of every one-player gridworld."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agents import planning
from agents.configs import (
    MonteCarloConfig,
    QLearningConfig,
    SarsaConfig,
    TabularConfig,
    TD0Config,
    default_config,
    default_steps,
)
from agents.metrics import Metrics
from agents.policy import act
from agents.registry import load_policy
from agents.tabular import Learner, first_visits, move_towards, play_monte_carlo, train
from envs.errors import ArenaError, UsageError
from envs.gridworld.dynamics import Dynamics, exact_dynamics
from envs.registry import make


def learn(config: TabularConfig, game: str, seed: int, steps: int, **more: Any) -> Metrics:
    *_, last = train(config, make(game, config.num_envs), seed=seed, total_steps=steps, **more)
    assert last.policy is not None
    return last


def table(last: Metrics) -> np.ndarray:
    assert last.policy is not None
    return next(iter(last.policy.tensors.values())).double().numpy()


def greedy_values(dynamics: Dynamics, q_values: np.ndarray, gamma: float) -> np.ndarray:
    """The values [S] of always taking the first best action."""
    chosen = np.eye(q_values.shape[1])[np.where(dynamics.legal, q_values, -np.inf).argmax(-1)]
    return planning.solve_policy(dynamics, chosen, gamma)


def test_cells_that_occur_twice_move_as_often_towards_the_mean() -> None:
    cells = torch.tensor([[0.0, 10.0], [20.0, 30.0]], dtype=torch.float64)
    target = torch.tensor([8.0, 4.0, 1.0], dtype=torch.float64)
    error = move_towards(cells, torch.tensor([2, 2, 0]), target, 0.5)
    assert error.tolist() == [-12.0, -16.0, 1.0]
    assert cells.tolist() == [[0.5, 10.0], [20 - 0.75 * 14, 30.0]]


def test_first_visits_by_hand() -> None:
    """Games of pairs 3 1 3 and 2; then the first without its first step."""
    index = torch.tensor([[3, 1, 3, 9], [2, 9, 9, 9]])
    reward = torch.tensor([[1.0, 2.0, 4.0, 99.0], [5.0, 99.0, 99.0, 99.0]], dtype=torch.float64)
    pairs, returns = first_visits(
        index, reward, torch.tensor([0, 0]), torch.tensor([3, 1]), torch.tensor([0.0, 8.0]), 0.5, 10
    )
    assert dict(zip(pairs.tolist(), returns.tolist(), strict=True)) == {3: 1 + 1 + 1, 1: 2 + 2, 2: 5 + 4}
    assert len(pairs) == 3
    since = torch.tensor([1, 0])
    pairs, returns = first_visits(index, reward, since, torch.tensor([3, 1]), torch.tensor([0.0, 8.0]), 0.5, 10)
    assert dict(zip(pairs.tolist(), returns.tolist(), strict=True)) == {3: 4, 1: 2 + 2, 2: 5 + 4}


@pytest.mark.slow
def test_the_trap() -> None:
    """Starting at .5/.4/.3 and acting greedily stays with 1 for ever; a share of 5 % random moves finds 1000."""
    start = QLearningConfig(initial_values="0.5,0.4,0.3", epsilon=0.0, final_epsilon=0.0, num_envs=1, learning_rate=0.5)
    spec = make("gridworld/trap").spec
    for seed in range(3):
        stays = learn(start, "gridworld/trap", seed, 1000)
        assert table(stays)[0, 2] == pytest.approx(0.3)
        assert table(stays)[0].argmax() == 1
        assert table(stays)[0, 1] == pytest.approx(1.0)
        explores = learn(replace(start, epsilon=0.05, final_epsilon=0.05), "gridworld/trap", seed, 1000)
        assert explores.policy is not None
        decision = load_policy(spec, explores.policy)(torch.eye(4)[:1], torch.ones(1, 3, dtype=torch.bool))
        assert decision.probabilities.tolist() == [[0, 0, 1]]
        assert decision.value is not None
        assert decision.value.item() > 500


def edge_visits(last: Metrics) -> float:
    """The share of a game's steps that the greedy policy spends beside the cliff."""
    env = make("gridworld/cliff", autoreset=False)
    assert last.policy is not None
    policy, turn = load_policy(env.spec, last.policy), env.reset(torch.zeros(1, dtype=torch.int64))
    rows = []
    cell = exact_dynamics(env).cell
    for _ in range(100):
        step = env.step(act(policy, turn, greedy=True))
        rows.append(cell[int(step.final.observation[0, 0].argmax())][0])
        turn = step.turn
        if step.terminated.item():
            break
    assert step.terminated.item(), "the walk does not reach the goal"
    return rows.count(2) / len(rows)


@pytest.mark.slow
def test_on_policy_walks_away_from_the_cliff_where_off_policy_does_not() -> None:
    """Sutton & Barto, example 6.6: ε = 0.1 throughout."""
    fixed: dict[str, Any] = {"epsilon": 0.1, "final_epsilon": 0.1, "num_envs": 8, "learning_rate": 0.1}
    for seed in range(3):
        off = learn(QLearningConfig(**fixed), "gridworld/cliff", seed, 40_000)
        on = learn(SarsaConfig(**fixed), "gridworld/cliff", seed, 40_000)
        assert edge_visits(off) > 0.9
        assert edge_visits(on) < 0.3


def test_a_game_that_has_settled_is_played_greedily_to_its_end() -> None:
    config = MonteCarloConfig(off_policy=True, settle_share=1.0, epsilon=1.0, initial_values="0.1,0.2,0.3,0.4")
    learner = Learner(config, make("gridworld/rooms", config.num_envs), 0)
    for _ in range(300):
        before, settled = learner.trajectory.since.clone(), learner.trajectory.settled.clone()
        learner.see(play_monte_carlo(learner, 1.0, None).turn)
        going_on = settled & (learner.trajectory.length > 0)
        assert torch.equal(learner.trajectory.since[going_on], before[going_on])
    assert 0 < going_on.sum() < config.num_envs
    assert not learner.trajectory.settled[learner.trajectory.length == 0].any()


def test_td0_predicts_the_random_policy() -> None:
    last = learn(TD0Config(gamma=0.9, learning_rate=0.02, num_envs=32), "gridworld/recycling", 0, 30_000)
    dynamics = exact_dynamics(make("gridworld/recycling"))
    expected = planning.solve_policy(dynamics, planning.uniform_policy(dynamics), 0.9)
    np.testing.assert_allclose(table(last), expected, atol=0.5)
    assert last.policy is not None
    policy = load_policy(make("gridworld/recycling").spec, last.policy)
    decision = policy(torch.eye(5)[1:2], torch.ones(1, 2, dtype=torch.bool))
    assert decision.probabilities.tolist() == [[0.5, 0.5]]
    assert decision.value is not None
    assert decision.value.item() == pytest.approx(expected[1], abs=0.5)


@pytest.mark.slow
def test_truncation_goes_on_where_termination_does_not() -> None:
    """With a step limit the values of walking for ever between s3 and s4 are those of no limit."""
    config = QLearningConfig(gamma=0.99, num_envs=16, epsilon=1.0, final_epsilon=1.0, learning_rate=0.5)
    dynamics = exact_dynamics(make("gridworld/recycling"))
    best = planning.value_iteration(dynamics, 0.99)
    assert best.values[2] > 40
    learnt = table(learn(config, "gridworld/recycling", 0, 40_000))
    np.testing.assert_allclose(learnt[1:4], best.q_values[1:4], rtol=0.02)


def test_what_has_no_table_is_refused() -> None:
    for game in ("tic_tac_toe", "gridworld/maze", "cartpole"):
        with pytest.raises(UsageError):
            next(train(QLearningConfig(), make(game, 8), seed=0, total_steps=100))
    with pytest.raises(UsageError, match="one number or 2"):
        next(train(QLearningConfig(initial_values="1,2,3"), make("gridworld/recycling", 8), seed=0, total_steps=100))
    last = learn(QLearningConfig(), "gridworld/recycling", 0, 100)
    assert last.policy is not None
    with pytest.raises(ArenaError, match="does not fit"):
        load_policy(make("gridworld/tiny").spec, last.policy)


LEARNERS = ("q_learning", "sarsa", "monte_carlo")
CUSTOM_MAP = Path(__file__).parents[2] / "benchmarks/custom_map.txt"
BUDGETS = {  # none is larger than `default_steps`, which is what `arena train` takes
    "gridworld/recycling": (10_000, 10_000, 10_000),
    "gridworld/recycling?minutes=3": (10_000, 10_000, 10_000),
    "gridworld/tiny": (10_000, 10_000, 10_000),
    "gridworld/trap": (2_000, 2_000, 2_000),
    "gridworld/cliff": (20_000, 200_000, 200_000),
    "gridworld/rooms": (40_000, 200_000, 100_000),
    "gridworld/maze?level=3&size=5": (15_000, 15_000, 15_000),
    f"gridworld/custom?map={CUSTOM_MAP}": (20_000, 20_000, 20_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", LEARNERS)
@pytest.mark.parametrize("game", BUDGETS)
def test_finds_the_optimum(algorithm: str, game: str) -> None:
    config = default_config(algorithm, game)
    assert isinstance(config, TabularConfig)
    dynamics = exact_dynamics(make(game))
    best = planning.value_iteration(dynamics, config.gamma).values
    start = dynamics.start > 0
    steps = BUDGETS[game][LEARNERS.index(algorithm)]
    assert steps <= default_steps(algorithm, game)
    q_values = table(learn(config, game, 0, steps))
    values = greedy_values(dynamics, q_values, config.gamma)
    np.testing.assert_allclose(values[start], best[start], atol=1e-9)
