"""Planners against hand-computed numbers, against each other, and against the definition."""

from __future__ import annotations

import numpy as np
import pytest

from agents import planning
from agents.configs import default_config
from envs.errors import ArenaError, UsageError
from envs.gridworld.dynamics import Dynamics, exact_dynamics
from envs.registry import make

GAMES = ["gridworld/recycling", "gridworld/tiny", "gridworld/trap", "gridworld/cliff", "gridworld/maze?level=3&size=5"]


def dynamics_of(game: str) -> Dynamics:
    return exact_dynamics(make(game))


def test_the_lectures_table() -> None:
    q_values = planning.value_iteration(dynamics_of("gridworld/recycling"), 0.9).q_values
    np.testing.assert_allclose(q_values[1:4], [[2, 9], [8.1, 10], [9, 10]])


def test_the_three_minute_rule() -> None:
    dynamics = dynamics_of("gridworld/recycling?minutes=3")
    assert dynamics.start @ planning.value_iteration(dynamics, 1.0).values == pytest.approx(11.0)


def test_uniform_policy_by_hand() -> None:
    """v2 = 1 + v3/2, v3 = v2/2 + (1 + v4)/2, v4 = v3/2 + 5 at γ = 1: 4.5, 7, 8.5."""
    dynamics = dynamics_of("gridworld/recycling")
    policy = planning.uniform_policy(dynamics)
    expected = [0, 4.5, 7, 8.5, 0]
    np.testing.assert_allclose(planning.solve_policy(dynamics, policy, 1.0), expected, atol=1e-12)
    np.testing.assert_allclose(planning.evaluate_policy(dynamics, policy, 1.0), expected, atol=1e-8)


def test_improvement_is_greedy_and_uniform_over_ties() -> None:
    dynamics = dynamics_of("gridworld/recycling")
    policy = planning.improve_policy(dynamics, np.array([0.0, 8.0, 0.0, 0.0, 0.0]), 1.0)
    np.testing.assert_allclose(policy[1:4], [[1, 0], [1, 0], [0, 1]])
    np.testing.assert_allclose(policy[0], [0.5, 0.5])  # over: nothing matters


def test_what_a_terminal_state_is_said_to_be_worth_counts_for_nothing() -> None:
    dynamics = dynamics_of("gridworld/recycling")
    q_values = planning.action_values(dynamics, np.full(5, 7.0), 0.5)
    np.testing.assert_allclose(q_values[1:4], [[2, 3.5], [3.5, 4.5], [3.5, 10]])


@pytest.mark.parametrize("game", GAMES)
def test_planners_agree_and_satisfy_bellmans_equation(game: str) -> None:
    dynamics, gamma = dynamics_of(game), 0.9
    by_value = planning.value_iteration(dynamics, gamma)
    by_policy = planning.policy_iteration(dynamics, gamma)
    np.testing.assert_allclose(by_value.values, by_policy.values, atol=1e-8)
    np.testing.assert_allclose(by_value.q_values.max(-1), by_value.values, atol=1e-9)
    np.testing.assert_allclose(planning.solve_policy(dynamics, by_value.policy, gamma), by_value.values, atol=1e-8)
    worse = planning.evaluate_policy(dynamics, planning.uniform_policy(dynamics), gamma)
    assert (worse <= by_value.values + 1e-9).all()
    assert worse @ dynamics.start < by_value.values @ dynamics.start


@pytest.mark.slow
def test_values_without_end_are_refused() -> None:
    dynamics = dynamics_of("gridworld/recycling")
    for_ever = np.array([[0, 1], [0, 1], [0, 1], [1, 0], [0, 1]], dtype=float)
    for plan in (
        lambda: planning.value_iteration(dynamics, 1.0),
        lambda: planning.solve_policy(dynamics, for_ever, 1.0),
        lambda: planning.policy_iteration(dynamics, 1.0),
    ):
        with pytest.raises(ArenaError, match="gamma below 1"):
            plan()


@pytest.mark.parametrize("algorithm", ["value_iteration", "policy_iteration"])
def test_planning_as_an_algorithm(algorithm: str) -> None:
    game = "gridworld/cliff"
    reports = list(planning.train(default_config(algorithm, game), make(game), seed=0, total_steps=10**6))
    assert [report.step for report in reports] == list(range(1, len(reports) + 1))
    assert reports[0].values["losses/bellman_residual"] > 0.1
    assert reports[-1].values["losses/bellman_residual"] < 1e-9
    assert all(report.policy is None for report in reports[:-1])
    assert reports[-1].policy is not None
    gamma = default_config(algorithm, game).gamma  # type: ignore[attr-defined]
    steps = 13  # round the cliff
    assert reports[-1].values["charts/start_value"] == pytest.approx(-sum(gamma**k for k in range(steps)))
    stopped = list(
        planning.train(default_config(algorithm, game), make(game), seed=0, total_steps=10**6, should_stop=lambda: True)
    )
    assert len(stopped) == 1
    assert stopped[0].policy is not None


def test_no_planning_without_dynamics() -> None:
    with pytest.raises(UsageError, match="exact dynamics"):
        next(planning.train(default_config("value_iteration", "x"), make("tic_tac_toe"), seed=0, total_steps=10))
