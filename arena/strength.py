"""How far from perfect an agent is, where all of a game can be gone through: tic-tac-toe, the one-player gridworlds.

Connect four has a solver and a sample: `strength_solved.py`; poker has best responses: `strength_cards.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.configs import PlanningConfig, default_config
from agents.planning import value_iteration
from agents.policy import Policy, act
from agents.scripted import tic_tac_toe_exploitability, tic_tac_toe_losses
from arena.openings import GAME, pair_hash
from arena.roster import game_spec
from envs.errors import UsageError
from envs.gridworld.dynamics import Dynamics, exact_dynamics
from envs.registry import make

HORIZON = 10_000
"""Steps after which a game without a limit of its own is cut when its return is computed."""
TOLERANCE = 1e-6
SOLVED = ("connect_four",)
"""Games for `strength_solved.py`."""
CARDS = ("kuhn_poker", "pettingzoo/classic/leduc_holdem_v4")
"""Games for `strength_cards.py`."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Strength:
    """What comparing an agent's greedy play with perfect play showed.

    Attributes:
        checked: what was gone through: "lines" of the game tree, "starts", or "mazes".
        cases, faultless: how many of them, and in how many the agent's play was as good as perfect play.
        mean, optimum: mean return of the agent and of perfect play over the cases; None for board games.
        exploitability: what a best response wins against the agent, the mean of both seats; None but for tic-tac-toe.
        fault: an example of a case where it was not as good, in words; "" where there is none.
    """

    game: str
    checked: str
    cases: int
    faultless: int
    mean: float | None
    optimum: float | None
    fault: str
    exploitability: float | None = None

    @property
    def perfect(self) -> bool:
        return self.faultless == self.cases


def check_strength(game: str, policy: Policy, *, games: int = 500, seed: int = 0, samples: bool = False) -> Strength:
    """Compare a policy's greedy play with perfect play: every line of tic-tac-toe as either player, every start of a
    one-player gridworld, `games` mazes of a game that grows a new one each time.

    `samples` says that the policy draws from its distribution in games; exploitability is that of the play meant.

    Raises UsageError for games in which perfect play is not known.
    """
    if game == "tic_tac_toe":
        return _tic_tac_toe(policy, samples)
    if game.startswith("gridworld/maze") and "level=" not in game:
        return _mazes(game, policy, games, seed)
    if not game.startswith("gridworld/") or game_spec(game).num_players > 1:
        known = ", ".join(("tic_tac_toe", *SOLVED, *CARDS))
        raise UsageError(f"perfect play is known for {known} and the one-player gridworlds, not for {game}")
    dynamics = exact_dynamics(make(game))
    returns = _returns(game, dynamics, _greedy_actions(policy, dynamics))
    best = _returns(game, dynamics, _optimal_actions(game, dynamics))
    starts = np.flatnonzero(dynamics.start > 0)
    short = [state for state in starts if returns[state] < best[state] - TOLERANCE]
    fault = ""
    if short:
        row, column = dynamics.cell[short[0]]
        fault = f"from row {row + 1}, column {column + 1} it gets {returns[short[0]]:g} instead of {best[short[0]]:g}"
    mean, optimum = float(dynamics.start @ returns), float(dynamics.start @ best)
    return Strength(game, "starts", len(starts), len(starts) - len(short), mean, optimum, fault)


def optimum(game: str) -> float:
    """The expected return of perfect play in a one-player gridworld, by value iteration on its exact dynamics.

    Raises UsageError where there are none (other games, mazes that grow anew each time).
    """
    dynamics = exact_dynamics(make(game))
    return float(dynamics.start @ _returns(game, dynamics, _optimal_actions(game, dynamics)))


def _tic_tac_toe(policy: Policy, samples: bool) -> Strength:
    losses = tic_tac_toe_losses(policy)
    names = game_spec("tic_tac_toe").action_names
    fault = ""
    for seat, lines in enumerate(losses.losing_lines):
        if lines and not fault:
            moves = " ".join(names[action] for action in lines[0] if action >= 0)
            fault = f"as {'second' if seat else 'first'} player it loses {moves}"
    lost = sum(map(len, losses.losing_lines))
    return Strength(
        "tic_tac_toe",
        "lines",
        sum(losses.games),
        sum(losses.games) - lost,
        None,
        None,
        fault,
        tic_tac_toe_exploitability(policy, samples),
    )


def _mazes(game: str, policy: Policy, games: int, seed: int) -> Strength:
    env = make(game, games, autoreset=False)
    turn = env.reset(pair_hash(seed, torch.arange(games), GAME))
    state = env.state()
    size = turn.observation.shape[-1]
    steps = _distances(state["walls"], state["goal"], size).gather(1, state["walker"].unsqueeze(1)).squeeze(1)
    limit = env.spec.max_steps
    assert limit is not None
    returns = torch.zeros(games, dtype=torch.float64)
    while bool((turn.player >= 0).any()):
        step = env.step(act(policy, turn, greedy=True))
        returns += step.rewards[:, 0]
        turn = step.turn
    best = 1 - steps.double() / limit
    short = (returns < best - 1e-4).nonzero().flatten().tolist()
    fault = f"maze {short[0] + 1}: {returns[short[0]]:.3f} instead of {best[short[0]]:.3f}" if short else ""
    return Strength(game, "mazes", games, games - len(short), float(returns.mean()), float(best.mean()), fault)


def _distances(walls: Tensor, goal: Tensor, size: int) -> Tensor:
    """walls [N, size²] bool, goal [N] → steps from every cell to the goal [N, size²], by a wave from the goal."""
    games, cells = walls.shape
    open_cells = ~walls.view(games, size, size)
    reached = torch.zeros(games, cells, dtype=torch.bool).scatter_(1, goal.unsqueeze(1), True).view(games, size, size)
    distance = torch.zeros(games, size, size, dtype=torch.int64)
    for step in range(1, cells):
        wave = torch.zeros_like(reached)
        wave[:, 1:] |= reached[:, :-1]
        wave[:, :-1] |= reached[:, 1:]
        wave[:, :, 1:] |= reached[:, :, :-1]
        wave[:, :, :-1] |= reached[:, :, 1:]
        wave &= open_cells & ~reached
        if not bool(wave.any()):
            break
        distance[wave] = step
        reached |= wave
    return distance.view(games, cells)


def _greedy_actions(policy: Policy, dynamics: Dynamics) -> NDArray[np.int64]:
    """[S]: the likeliest action in every state."""
    decision = policy(torch.from_numpy(dynamics.observation), torch.from_numpy(dynamics.legal))
    return decision.probabilities.argmax(-1).numpy()


def _optimal_actions(game: str, dynamics: Dynamics) -> NDArray[np.int64]:
    gamma = cast(PlanningConfig, default_config("value_iteration", game)).gamma
    return value_iteration(dynamics, gamma).policy.argmax(-1)


def _returns(game: str, dynamics: Dynamics, actions: NDArray[np.int64]) -> Floats:
    """[S]: the expected return of taking actions [S] from every state to the game's end or limit, not discounted."""
    states = np.arange(dynamics.num_states)
    transition = dynamics.transition[states, actions]
    reward = (transition * dynamics.reward[states, actions]).sum(-1)
    values = np.zeros(dynamics.num_states)
    for _ in range(game_spec(game).max_steps or HORIZON):
        values, previous = np.where(dynamics.terminal, 0.0, reward + transition @ values), values
        if np.array_equal(values, previous):
            break
    return values
