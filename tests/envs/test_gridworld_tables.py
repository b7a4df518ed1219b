"""Gridworlds with exact dynamics: the known optima, and that the dynamics say what the environment does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from envs.errors import UsageError
from envs.gridworld.dynamics import Dynamics, exact_dynamics, state_index
from envs.native import NativeEnv
from envs.registry import make

PLANNED = [
    "gridworld/recycling",
    "gridworld/recycling?start=any",
    "gridworld/recycling?minutes=3",
    "gridworld/recycling?minutes=3&start=any",
    "gridworld/tiny",
    "gridworld/tiny?start=any",
    "gridworld/trap",
    "gridworld/cliff",
    "gridworld/cliff?start=any",
    "gridworld/rooms",
    "gridworld/custom?map={map}",
    "gridworld/custom?map={map}&start=any",
    "gridworld/maze?level=4",
    "gridworld/maze?level=4&start=any&size=9",
    "gridworld/maze?level=0&held_out=true",
]

MAP = "S.#9\n..XG\n#S..\n"


def made(name: str, num_envs: int, tmp_path, autoreset: bool = True) -> NativeEnv:
    if "{map}" in name:
        path = tmp_path / "my.map"
        path.write_text(MAP)
        name = name.format(map=path)
    env = make(name, num_envs, autoreset=autoreset)
    assert isinstance(env, NativeEnv)
    return env


def optimal_q(dynamics: Dynamics, discount: float) -> np.ndarray:
    """[S, A], by value iteration."""
    value = np.zeros(dynamics.num_states)
    for _ in range(2000):
        q = (dynamics.transition * (dynamics.reward + discount * value)).sum(-1)
        value = np.where(dynamics.terminal, 0.0, q.max(-1))
    return q


def place(env: NativeEnv, states: np.ndarray) -> torch.Tensor:
    """Put game n into the dynamics' state `states[n]`; returns the observations."""
    state = env.state()
    name = "walker" if "walker" in state else "place"
    return env.load({**state, name: torch.from_numpy(states)}).observation


@pytest.mark.parametrize("name", PLANNED)
def test_dynamics_agree_with_the_environment(name: str, tmp_path) -> None:
    dynamics = exact_dynamics(made(name, 1, tmp_path))
    num_states, num_actions = dynamics.legal.shape
    np.testing.assert_allclose(dynamics.transition.sum(-1), 1.0)
    assert (dynamics.transition[dynamics.terminal, :, dynamics.terminal] == 1).all()
    assert (dynamics.reward[dynamics.terminal] == 0).all()
    states, actions = (a.flatten() for a in np.meshgrid(np.flatnonzero(~dynamics.terminal), range(num_actions)))
    env = made(name, len(states), tmp_path, autoreset=False)
    env.reset(torch.arange(len(states)))
    seen = place(env, states)
    assert state_index(seen, num_states).squeeze(1).tolist() == states.tolist()
    np.testing.assert_array_equal(seen.squeeze(1).numpy(), dynamics.observation[states])
    step = env.step(torch.from_numpy(actions).unsqueeze(1))
    after = state_index(step.final.observation, num_states).squeeze(1).numpy()
    np.testing.assert_array_equal(after, dynamics.transition[states, actions].argmax(-1))
    np.testing.assert_allclose(step.rewards.squeeze(1), dynamics.reward[states, actions, after], rtol=1e-6)
    np.testing.assert_array_equal(step.terminated.numpy(), dynamics.terminal[after])


@pytest.mark.parametrize("name", PLANNED)
def test_games_start_where_the_dynamics_say(name: str, tmp_path) -> None:
    env = made(name, 4000, tmp_path)
    dynamics = exact_dynamics(env)
    starts = state_index(env.reset(torch.arange(4000)).observation, dynamics.num_states).squeeze(1)
    counted = np.bincount(starts.numpy(), minlength=dynamics.num_states) / 4000
    assert ((counted > 0) == (dynamics.start > 0)).all()
    np.testing.assert_allclose(counted, dynamics.start, atol=0.03)


def test_recycling_has_the_known_optimum() -> None:
    q = optimal_q(exact_dynamics(make("gridworld/recycling")), 0.9)
    np.testing.assert_allclose(q[1:4], [[2, 9], [8.1, 10], [9, 10]])


def test_three_minutes_are_worth_eleven() -> None:
    dynamics = exact_dynamics(make("gridworld/recycling?minutes=3"))
    assert dynamics.start @ optimal_q(dynamics, 1.0).max(-1) == 11
    env = make("gridworld/recycling?minutes=3", autoreset=False)
    env.reset(torch.zeros(1, dtype=torch.int64))
    steps = [env.step(torch.tensor([[1]])) for _ in range(3)]
    assert [float(step.rewards) for step in steps] == [0, 1, 10]
    assert [bool(step.terminated) for step in steps] == [False, False, True]


def test_the_third_minute_terminates_anywhere_and_its_reward_counts() -> None:
    env = make("gridworld/recycling?minutes=3", autoreset=False)
    env.reset(torch.zeros(1, dtype=torch.int64))
    steps = [env.step(torch.tensor([[action]])) for action in (1, 0, 1)]
    assert [bool(step.terminated) for step in steps] == [False, False, True]
    assert not any(bool(step.truncated) for step in steps)
    env.reset(torch.zeros(1, dtype=torch.int64))
    place(env, np.array([5 * 2 + 2]))
    step = env.step(torch.tensor([[1]]))
    assert float(step.rewards) == 1
    assert bool(step.terminated)


@pytest.mark.parametrize(
    ("name", "discount", "value"),
    [("tiny", 0.9, 0.9**3), ("trap", 1.0, 1000.0), ("cliff", 1.0, -13.0)],
)
def test_optimal_value_of_the_start(name: str, discount: float, value: float) -> None:
    dynamics = exact_dynamics(make(f"gridworld/{name}"))
    assert dynamics.start @ optimal_q(dynamics, discount).max(-1) == pytest.approx(value)


def test_tiny_ends_on_the_goal_and_on_the_red_square() -> None:
    env = make("gridworld/tiny", autoreset=False)
    env.reset(torch.zeros(1, dtype=torch.int64))
    right = env.step(torch.tensor([[3]]))
    assert (float(right.rewards), bool(right.terminated)) == (-1, True)
    env.reset(torch.zeros(1, dtype=torch.int64))
    blocked = env.step(torch.tensor([[0]]))
    assert blocked.turn.observation.argmax() == 0
    steps = [env.step(torch.tensor([[action]])) for action in (1, 3, 3, 0)]
    assert [float(step.rewards) for step in steps] == [0, 0, 0, 1]
    assert [bool(step.terminated) for step in steps] == [False, False, False, True]


def test_a_fall_off_the_cliff_leads_back_to_the_start_and_goes_on() -> None:
    env = make("gridworld/cliff", autoreset=False)
    start = env.reset(torch.zeros(1, dtype=torch.int64)).observation
    env.step(torch.tensor([[0]]))
    env.step(torch.tensor([[3]]))
    fall = env.step(torch.tensor([[1]]))
    assert (float(fall.rewards), bool(fall.terminated)) == (-100, False)
    assert torch.equal(fall.turn.observation, start)


def test_the_step_limit_truncates() -> None:
    env = make("gridworld/cliff", autoreset=False)
    env.reset(torch.zeros(1, dtype=torch.int64))
    steps = [env.step(torch.tensor([[2]])) for _ in range(100)]
    assert [bool(step.truncated) for step in steps] == [False] * 99 + [True]
    assert not bool(steps[-1].terminated)


def test_every_room_leads_to_the_goal() -> None:
    dynamics = exact_dynamics(make("gridworld/rooms"))
    assert dynamics.num_states == 104
    value = optimal_q(dynamics, 1.0).max(-1)
    goal = dynamics.cell[dynamics.terminal][0]
    distance = np.abs(dynamics.cell - goal).sum(1)
    assert (value[~dynamics.terminal] <= 1 - distance[~dynamics.terminal] / 50 + 1e-9).all()
    assert value[~dynamics.terminal].min() > 0.5


@pytest.mark.parametrize("name", ["gridworld/maze", "gridworld/sumo", "gridworld/tron"])
def test_games_without_exact_dynamics_say_so(name: str) -> None:
    with pytest.raises(UsageError, match="level=0" if "maze" in name else "no exact dynamics"):
        exact_dynamics(make(name))
