"""Players that need no training: random, first-legal, a one-ply tactician, exact solvers, planners, two for Atari."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor

from agents.ball_follower import BallFollower, follows
from agents.configs import PlanningConfig, default_config
from agents.greedy import uniform
from agents.infighter import Infighter, boxes
from agents.planning import storable, value_iteration
from agents.policy import Decision, Policy, Uniform, act
from agents.tabular import TabularPolicy
from envs.boards import connect_four, tic_tac_toe
from envs.errors import UnknownNameError, UsageError
from envs.gridworld.dynamics import exact_dynamics
from envs.registry import make
from envs.specs import GameSpec


def random_policy(observation: Tensor, legal_action_mask: Tensor) -> Decision:
    """Uniform over the legal actions."""
    return Decision(uniform(legal_action_mask))


@dataclasses.dataclass(frozen=True)
class RandomNumbers:
    """Uniform over continuous actions: `count` numbers between `low` and `high`."""

    count: int
    low: float
    high: float

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        mean = legal_action_mask.new_full(
            (len(observation), self.count), (self.low + self.high) / 2, dtype=torch.float32
        )
        deviation = torch.full_like(mean, (self.high - self.low) / 12**0.5)
        return Decision(mean[:, :0], normal=Uniform(mean, deviation, self.low, self.high))


def first_legal_policy(observation: Tensor, legal_action_mask: Tensor) -> Decision:
    """The legal action with the lowest number."""
    first = legal_action_mask.int().argmax(-1)
    return Decision(torch.nn.functional.one_hot(first, legal_action_mask.shape[-1]).float())


@dataclasses.dataclass(frozen=True)
class Tactician:
    """One ply: win if it can, else block if it must, else uniform over the legal actions.

    Attributes:
        planes: observation [B, *obs] → [B, 2, rows, columns], own pieces and the other's.
        winning_moves: such planes → [B, A] bool, the moves that win at once for the owner of plane 0.
    """

    planes: Callable[[Tensor], Tensor]
    winning_moves: Callable[[Tensor], Tensor]

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        planes = self.planes(observation)
        wins = self.winning_moves(planes) & legal_action_mask
        blocks = self.winning_moves(planes.flip(1)) & legal_action_mask
        choice = torch.where(blocks.any(-1, keepdim=True), blocks, legal_action_mask)
        return Decision(uniform(torch.where(wins.any(-1, keepdim=True), wins, choice)))


@dataclasses.dataclass(frozen=True)
class TicTacToeMinimax:
    """Exact play of tic-tac-toe by look-up in its solved tree: uniform over the optimal moves, with exact values."""

    planes: Callable[[Tensor], Tensor]

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        own, other = self.planes(observation).flatten(2).long().unbind(1)
        code = ((own + 2 * other) * _POWERS_OF_3.to(own.device)).sum(-1)
        q_values = solve_tic_tac_toe().to(own.device)[code].masked_fill(~legal_action_mask, 0.0)
        value = q_values.masked_fill(~legal_action_mask, -2.0).amax(-1)
        return Decision(uniform((q_values == value.unsqueeze(-1)) & legal_action_mask), value, q_values)


_POWERS_OF_3 = 3 ** torch.arange(9)
_SQUARES = torch.arange(9).view(3, 3).T  # the action that plays at each (row, column)


@functools.cache
def solve_tic_tac_toe() -> Tensor:
    """[3⁹, 9] float32: the value (1 win, 0 draw, −1 loss) of each action for the player to move, in every position.

    A position is a base-3 number over the cells of the planes, row by row: 1 own, 2 the other's. Occupied squares
    hold −2. Backward induction from full boards.
    """
    digits = (torch.arange(3**9).unsqueeze(1) // _POWERS_OF_3) % 3  # [3⁹, 9]
    free = digits == 0
    lost = _has_line(digits == 2)
    value = torch.where(lost, -1.0, 0.0)
    q_values = torch.full((3**9, 9), -2.0)
    swapped = (torch.tensor([0, 2, 1])[digits] * _POWERS_OF_3).sum(-1)
    child = swapped.unsqueeze(1) + 2 * _POWERS_OF_3  # after a move the board is seen from the other side
    for pieces in range(8, -1, -1):
        now = (free.sum(-1) == 9 - pieces) & ~lost
        q_values[now] = torch.where(free[now], -value[torch.where(free[now], child[now], 0)], -2.0)
        value[now] = q_values[now].amax(-1)
    by_action = torch.empty_like(q_values)
    by_action[:, _SQUARES.flatten()] = q_values
    return by_action


def tic_tac_toe_exploitability(policy: Policy, samples: bool = False) -> float:
    """What a best response wins against the policy in a game, the mean of both seats: 0 for perfect play, at most 1.

    Exact, by backward induction over all positions; with `samples` the policy draws from its distribution, else it
    plays its likeliest move. NashConv is twice this (Lanctot et al. 2017); the game's own value is 0.
    """
    digits = (torch.arange(3**9).unsqueeze(1) // _POWERS_OF_3) % 3  # [3⁹, 9], as in `solve_tic_tac_toe`
    free, lost = digits == 0, _has_line(digits == 2)
    squares = _SQUARES.flatten()
    legal = torch.empty_like(free)
    legal[:, squares] = free
    planes = torch.stack([digits == 1, digits == 2], 1).to(torch.uint8).view(-1, 2, 3, 3)
    chosen = policy(planes, legal | ~legal.any(-1, keepdim=True)).probabilities
    if not samples:
        chosen = torch.nn.functional.one_hot(chosen.argmax(-1), 9).to(chosen.dtype)
    chance = chosen[:, squares].double()  # by cell
    child = (torch.tensor([0, 2, 1])[digits] * _POWERS_OF_3).sum(-1, keepdim=True) + 2 * _POWERS_OF_3
    # For the player to move: where the policy moves and the best response answers, and the other way round.
    policy_moves = torch.where(lost, -1.0, 0.0).double()
    response_moves = policy_moves.clone()
    for pieces in range(8, -1, -1):
        now = (free.sum(-1) == 9 - pieces) & ~lost
        next_ = torch.where(free[now], child[now], 0)
        policy_moves[now] = torch.where(free[now], -response_moves[next_] * chance[now], 0.0).sum(-1)
        response_moves[now] = torch.where(free[now], -policy_moves[next_], -2.0).amax(-1)
    return float(response_moves[0] - policy_moves[0]) / 2


def _has_line(cells: Tensor) -> Tensor:
    """cells [B, 9] bool, row by row → [B] bool."""
    return tic_tac_toe.has_line((cells.long() << torch.arange(9)).sum(-1))


class Losses(NamedTuple):
    """What an exhaustive search found, by seat: how many games there are, and the actions of those that are lost."""

    games: tuple[int, int]
    losing_lines: tuple[list[list[int]], list[list[int]]]


def tic_tac_toe_losses(policy: Policy) -> Losses:
    """Play the greedy policy as first and as second player against every line of replies."""
    results = [_play_all_lines(policy, seat) for seat in (0, 1)]
    return Losses((results[0][0], results[1][0]), (results[0][1], results[1][1]))


def _play_all_lines(policy: Policy, seat: int) -> tuple[int, list[list[int]]]:
    rules = tic_tac_toe.TicTacToe()
    state = rules.init(torch.zeros(1, dtype=torch.int64))
    lines = torch.empty(1, 0, dtype=torch.int64)
    games, losing_lines = 0, []
    for ply in range(9):
        state["ply"] = torch.full((len(lines),), ply)
        turn = rules.observe(state)
        if ply % 2 == seat:
            parent, action = torch.arange(len(lines)), act(policy, turn, greedy=True)[:, 0]
        else:
            assert turn.legal_action_mask is not None
            parent, action = turn.legal_action_mask[:, 0].nonzero().unbind(1)
        lines = torch.cat([lines[parent], action.unsqueeze(1)], 1)
        state = {name: value[parent] for name, value in state.items()}
        state, rewards, terminated = rules.step(state, action.unsqueeze(1), torch.zeros_like(action))
        games += int(terminated.sum())
        losing_lines += lines[rewards[:, seat] < 0].tolist()
        lines = lines[~terminated]
        state = {name: value[~terminated] for name, value in state.items()}
    return games, losing_lines


def _as_shown(observation: Tensor) -> Tensor:
    return observation


def _transposed(observation: Tensor) -> Tensor:
    """PettingZoo's tic-tac-toe shows columns as rows."""
    return observation.transpose(-1, -2)


def _plan(spec: GameSpec) -> Policy:
    """Acts greedily on the exact optimum, at the discount that `value_iteration` has for this game."""
    config = cast(PlanningConfig, default_config("value_iteration", spec.game))
    return TabularPolicy(storable(value_iteration(exact_dynamics(make(spec.game)), config.gamma).q_values))


def _perfect() -> Policy:
    """Compiles the solver at the first call."""
    from agents.connect_four_solver import PerfectPolicy

    return PerfectPolicy()


# By a variant's game id, beside `random` and `first-legal`, which play everywhere.
_BOARDS: dict[str, dict[str, Callable[[], Policy]]] = {
    "tic_tac_toe": {
        "tactician": lambda: Tactician(_as_shown, tic_tac_toe.winning_moves),
        "minimax": lambda: TicTacToeMinimax(_as_shown),
    },
    "pettingzoo/classic/tictactoe_v3": {
        "tactician": lambda: Tactician(_transposed, tic_tac_toe.winning_moves),
        "minimax": lambda: TicTacToeMinimax(_transposed),
    },
    "connect_four": {
        "tactician": lambda: Tactician(_as_shown, connect_four.winning_moves),
        "perfect": _perfect,
    },
    "pettingzoo/classic/connect_four_v3": {
        "tactician": lambda: Tactician(_as_shown, connect_four.winning_moves),
        "perfect": _perfect,
    },
}

# Monte-Carlo tree search: which game's rules, and whether the observation shows columns as rows.
_SEARCHED = {
    "tic_tac_toe": ("tic_tac_toe", False),
    "pettingzoo/classic/tictactoe_v3": ("tic_tac_toe", True),
    "connect_four": ("connect_four", False),
    "pettingzoo/classic/connect_four_v3": ("connect_four", False),
    "othello": ("othello", False),
    "go": ("go", False),
}
_SEARCHERS = ("mcts-100", "mcts-1000", "mcts-10000")

THINKERS = ("perfect", *_SEARCHERS)
"""Those that take long over a move: they play where they are asked to, and not in every round of every league."""

FOLLOWER, INFIGHTER = "ball-follower", "infighter"

_EVERYWHERE: dict[str, Policy] = {"random": random_policy, "first-legal": first_legal_policy}


def scripted_policies(spec: GameSpec) -> tuple[str, ...]:
    """The names of the scripted players of this game."""
    if spec.num_actions is None:
        return ("random",)
    planner = ("value-iteration",) if _can_plan(spec) else ()
    searchers = _SEARCHERS if _game_id(spec) in _SEARCHED else ()
    seeing = (*((FOLLOWER,) if follows(spec) else ()), *((INFIGHTER,) if boxes(spec) else ()))
    return (*_EVERYWHERE, *_BOARDS.get(_game_id(spec), ()), *seeing, *searchers, *planner)


def make_scripted(name: str, spec: GameSpec) -> Policy:
    """The scripted player of this name; raises UnknownNameError where this game has none."""
    if name not in scripted_policies(spec):
        raise UnknownNameError(f"scripted player of {spec.game}", name, scripted_policies(spec))
    if spec.num_actions is None:
        return RandomNumbers(math.prod(spec.action_shape), spec.action_low, spec.action_high)
    if name == "value-iteration":
        return _plan(spec)
    if name == FOLLOWER:
        return BallFollower(spec)
    if name == INFIGHTER:
        return Infighter(spec)
    if name in _SEARCHERS:
        from agents.mcts import MctsPolicy

        game, transposed = _SEARCHED[_game_id(spec)]
        return MctsPolicy(spec, int(name.removeprefix("mcts-")), game, transposed)
    if name in _EVERYWHERE:
        return _EVERYWHERE[name]
    return _BOARDS[_game_id(spec)][name]()


def _game_id(spec: GameSpec) -> str:
    return spec.game.partition("?")[0]


def _can_plan(spec: GameSpec) -> bool:
    if spec.num_players > 1 or not spec.game.startswith("gridworld/"):
        return False
    try:
        exact_dynamics(make(spec.game))
    except UsageError:
        return False
    return True
