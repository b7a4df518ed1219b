"""Dynamic programming on known dynamics (Sutton & Barto, 2nd ed., chapter 4): policy evaluation and improvement, policy
iteration, value iteration.

S states, A actions. Values of terminal states are 0. The functions are pure; `train` wraps the last two as algorithms.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.configs import PlanningConfig, PolicyIterationConfig
from agents.metrics import Metrics, PolicyWeights, TrainingState
from envs.errors import ArenaError, UsageError
from envs.gridworld.dynamics import Dynamics, exact_dynamics
from envs.protocol import VecEnv

Array = NDArray[np.float64]
_TIE = 1e-9
_MAX_SWEEPS = 100_000


class Solution(NamedTuple):
    """values [S], q_values [S, A] (−inf where illegal), policy [S, A] (uniform over the best actions)."""

    values: Array
    q_values: Array
    policy: Array


def action_values(dynamics: Dynamics, values: Array, gamma: float) -> Array:
    """q(s, a) = Σ p(s′|s,a) (r + γ v(s′)) [S, A] of values [S] (equation 4.6); −inf where illegal."""
    assert values.shape == dynamics.terminal.shape
    future = gamma * np.where(dynamics.terminal, 0.0, values)
    q_values = np.einsum("sat,sat->sa", dynamics.transition, dynamics.reward) + dynamics.transition @ future
    return np.where(dynamics.legal, q_values, -np.inf)


def uniform_policy(dynamics: Dynamics) -> Array:
    """[S, A]: every legal action with the same probability."""
    return dynamics.legal / dynamics.legal.sum(-1, keepdims=True)


def evaluate_policy(dynamics: Dynamics, policy: Array, gamma: float, tolerance: float = 1e-10) -> Array:
    """v_π [S] of policy [S, A] by sweeps until no value moves by more than `tolerance` (section 4.1, with two arrays).

    Raises ArenaError where the values grow without end (γ = 1 and a policy that need never finish).
    """
    values = np.zeros(dynamics.num_states)
    for _ in range(_MAX_SWEEPS):
        updated = _expectation(policy, action_values(dynamics, values, gamma))
        change = np.abs(updated - values).max()
        values = updated
        if change <= tolerance:
            return values
    raise _endless(gamma)


def solve_policy(dynamics: Dynamics, policy: Array, gamma: float) -> Array:
    """v_π [S] of policy [S, A] as the solution of v = r_π + γ P_π v (equation 4.4), exactly.

    Raises ArenaError where there is none (γ = 1 and a policy that need never finish).
    """
    live = ~dynamics.terminal
    transition = np.einsum("sa,sat->st", policy, dynamics.transition)[np.ix_(live, live)]
    reward = _expectation(policy, np.einsum("sat,sat->sa", dynamics.transition, dynamics.reward))[live]
    values = np.zeros(dynamics.num_states)
    try:
        values[live] = np.linalg.solve(np.eye(live.sum()) - gamma * transition, reward)
    except np.linalg.LinAlgError:
        raise _endless(gamma) from None
    return values


def improve_policy(dynamics: Dynamics, values: Array, gamma: float) -> Array:
    """The policy [S, A] that is greedy for values [S] (section 4.2), uniform over equally good actions."""
    return _greedy(action_values(dynamics, values, gamma))


def iterate_policies(dynamics: Dynamics, gamma: float) -> Iterator[Solution]:
    """Policy iteration (section 4.3): exact values of the uniform policy, of the next better one, …."""
    policy = uniform_policy(dynamics)
    while True:
        values = solve_policy(dynamics, policy, gamma)
        solution = Solution(values, action_values(dynamics, values, gamma), policy)
        yield solution
        improved = _greedy(solution.q_values)
        if np.array_equal(improved, policy):
            return
        policy = improved


def iterate_values(dynamics: Dynamics, gamma: float, tolerance: float = 1e-10) -> Iterator[Solution]:
    """Value iteration from zero (section 4.4): v ← max_a q, until no value moves by more than `tolerance`.

    Raises ArenaError where values grow without end.
    """
    values = np.zeros(dynamics.num_states)
    for _ in range(_MAX_SWEEPS):
        q_values = action_values(dynamics, values, gamma)
        yield Solution(values, q_values, _greedy(q_values))
        updated = q_values.max(-1)
        if np.abs(updated - values).max() <= tolerance:
            return
        values = updated
    raise _endless(gamma)


def value_iteration(dynamics: Dynamics, gamma: float, tolerance: float = 1e-10) -> Solution:
    """The optimum by value iteration. Raises ArenaError where values grow without end."""
    return deque(iterate_values(dynamics, gamma, tolerance), maxlen=1).pop()


def policy_iteration(dynamics: Dynamics, gamma: float) -> Solution:
    """The optimum by policy iteration. Raises ArenaError where a policy's values are infinite."""
    return deque(iterate_policies(dynamics, gamma), maxlen=1).pop()


OWN_REWARDS = "planning works on the game's own rewards; shape them for a learner from samples"


def train(
    config: PlanningConfig,
    env: VecEnv,
    *,
    seed: int,
    total_steps: int,
    opponents: Any = None,
    resume: TrainingState | None = None,
    checkpoint_steps: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
    reward: Any = None,
) -> Iterator[Metrics]:
    """Plan on `env`'s exact dynamics until nothing changes; a step is a sweep over all states. Resuming starts over.

    Metrics of every sweep: `losses/bellman_residual` (max |max_a q − v|), `charts/start_value` (of a game's start).
    Raises UsageError where the game has no exact dynamics or the rewards are shaped.
    """
    if reward is not None:
        raise UsageError(OWN_REWARDS)
    dynamics = exact_dynamics(env)
    by_policy = isinstance(config, PolicyIterationConfig)
    name = "policy_iteration" if by_policy else "value_iteration"
    solutions = iterate_policies(dynamics, config.gamma) if by_policy else iterate_values(dynamics, config.gamma)
    for sweep, (solution, last) in enumerate(_mark_last(solutions), start=1):
        charts = {
            "losses/bellman_residual": float(np.abs(solution.q_values.max(-1) - solution.values).max()),
            "charts/start_value": float(dynamics.start @ solution.values),
        }
        done = last or sweep >= total_steps or should_stop()
        if done or (checkpoint_steps and sweep % checkpoint_steps == 0):
            weights = PolicyWeights(name, dataclasses.asdict(config), {"q_values": storable(solution.q_values)})
            yield Metrics(sweep, charts, weights, TrainingState({}, {}))
        else:
            yield Metrics(sweep, charts)
        if done:
            return


def _endless(gamma: float) -> ArenaError:
    return ArenaError(f"values grow without end at gamma={gamma}: a game can go on for ever; use gamma below 1")


def _expectation(policy: Array, q_values: Array) -> Array:
    """Σ_a π(a|s) q(s, a) [S], over the actions that the policy takes at all."""
    return (policy * np.where(policy > 0, q_values, 0.0)).sum(-1)


def _greedy(q_values: Array) -> Array:
    best = q_values.max(-1, keepdims=True)
    choice = q_values >= best - _TIE * np.maximum(np.abs(best), 1.0)
    return choice / choice.sum(-1, keepdims=True)


def storable(q_values: Array) -> Tensor:
    """[S, A] float32 as policies keep them: illegal actions hold 0 instead of −inf."""
    return torch.from_numpy(np.where(np.isfinite(q_values), q_values, 0.0)).float()


def _mark_last(solutions: Iterator[Solution]) -> Iterator[tuple[Solution, bool]]:
    """Each with whether it is the last."""
    held = next(solutions)
    for solution in solutions:
        yield held, False
        held = solution
    yield held, True
