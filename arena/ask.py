"""What would this agent do here? In one position, or in every state of a gridworld."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from agents.distributions import legal_actions
from agents.policy import Decision
from arena.roster import Contender
from envs.errors import ArenaError, UsageError, some
from envs.gridworld.drawing import draw_policy
from envs.gridworld.dynamics import exact_dynamics
from envs.protocol import Turn, VecEnv, check_legal
from envs.registry import make
from envs.rendering import Drawing
from envs.specs import GameSpec

TOGETHER = "+"
"""Joins the moves that several seats make in one step of a simultaneous game."""
BESIDE = ":"
"""Joins the numbers of one continuous action."""


@dataclass(frozen=True)
class Answer:
    """What an agent thinks of a position.

    Attributes:
        ply: steps played before it. seat: whose place the agent takes.
        action: its likeliest move. probabilities: legal move → how likely, likeliest first.
        value: the return it expects, None without an opinion. q_values: legal move → expected return, or None.
        deviation: where actions are continuous (numbers joined by :), how far they scatter; None elsewhere.
        visits: of an agent that searches, how often it tried a move, the most tried first; None of others.
        line: the moves that a search expects of both sides from here on.
    """

    game: str
    agent: str
    ply: int
    seat: int
    action: str
    probabilities: dict[str, float]
    value: float | None
    q_values: dict[str, float] | None
    drawing: Drawing
    deviation: str | None = None
    visits: dict[str, int] | None = None
    line: Sequence[str] = ()


@dataclass(frozen=True)
class StateRow:
    """What an agent thinks of one state: its cell, its value, its likeliest action, and of each legal action."""

    row: int
    column: int
    value: float | None
    action: str
    probabilities: dict[str, float]
    q_values: dict[str, float] | None


@dataclass(frozen=True)
class PolicyTable:
    """An agent's policy in every state in which a gridworld goes on; the drawing is None where there are no values."""

    game: str
    agent: str
    actions: tuple[str, ...]
    states: tuple[StateRow, ...]
    drawing: Drawing | None


def ask(game: str, contender: Contender, moves: Sequence[str], seed: int = 0, seat: int = 0) -> Answer:
    """Play typed `moves` from the start of a game and ask the agent in the position they lead to.

    Args:
        moves: one word a step; in simultaneous games one per seat, joined by +.
        seed: of the game, where chance is in it.
        seat: whose place the agent takes in a simultaneous game; elsewhere it is the seat that is to move.

    Raises UsageError for unknown moves, for illegal ones with their step, and for ended games, ArenaError where an
    engine does not answer.
    """
    env = make(game, autoreset=False)
    turn = env.reset(torch.tensor([seed]))
    for ply, move in enumerate(moves, 1):
        turn = env.step(_typed(env, turn, ply, move)).turn
    if bool((turn.player < 0).all()):
        raise UsageError(f"{game} is over after {len(moves)} moves: there is nothing to decide")
    slot = seat if env.spec.num_slots > 1 else 0
    if slot >= env.spec.num_slots or turn.player[0, slot] < 0:
        raise UsageError(f"seat {seat} has nothing to decide there")
    mask = legal_actions(turn)[0, slot : slot + 1]
    decision = contender.policy(turn.observation[0, slot : slot + 1], mask)
    if decision.gave_up is not None:
        raise ArenaError(f"{contender.name} has no answer: {decision.gave_up[0]}")
    mover = int(turn.player[0, slot])
    if decision.normal is not None:
        value = None if decision.value is None else float(decision.value[0])
        action, deviation = _numbers(decision.normal.action()[0]), _numbers(decision.normal.deviation[0])
        return Answer(game, contender.name, len(moves), mover, action, {}, value, None, env.draw(0, mover), deviation)
    names = env.names(mover)
    thought = _thought(names, decision, 0, mask[0].numpy())
    answer = Answer(game, contender.name, len(moves), mover, *thought, drawing=env.draw(0, mover))
    if decision.visits is None:
        return answer
    tried = decision.visits[0].tolist()
    visits = {names[action]: tried[action] for action in sorted(names, key=lambda a: -tried[a]) if tried[action]}
    line = [] if decision.line is None else [names[action] for action in decision.line[0].tolist() if action >= 0]
    return dataclasses.replace(answer, visits=visits, line=line)


def policy_table(game: str, contender: Contender) -> PolicyTable:
    """The agent's policy in every state. Raises UsageError for games without exact dynamics."""
    env = make(game)
    dynamics = exact_dynamics(env)
    dtype = getattr(torch, env.spec.observation_dtype)
    decision = contender.policy(torch.tensor(dynamics.observation, dtype=dtype), torch.from_numpy(dynamics.legal))
    going = np.flatnonzero(~dynamics.terminal).tolist()
    rows = []
    for state in going:
        row, column = dynamics.cell[state].tolist()
        action, probabilities, value, q_values = _thought(dynamics.action_names, decision, state, dynamics.legal[state])
        rows.append(StateRow(row, column, value, action, probabilities, q_values))
    drawing = None
    if all(row.value is not None for row in rows):
        values = np.zeros(dynamics.num_states)
        values[going] = [row.value for row in rows]
        drawing = draw_policy(dynamics, values, decision.probabilities.numpy())
    return PolicyTable(game, contender.name, dynamics.action_names, tuple(rows), drawing)


def _typed(env: VecEnv, turn: Turn, ply: int, move: str) -> torch.Tensor:
    """The action [1, K] that a typed move stands for."""
    seats = turn.player[0].tolist()
    words = move.split(TOGETHER) if env.spec.num_slots > 1 else [move]
    if max(seats) < 0:
        raise UsageError(f"move {ply} ({move!r}): the game is over after {ply - 1} moves")
    if len(words) != len(seats):
        raise UsageError(f"move {ply} ({move!r}): {len(seats)} players move at once; join their moves with {TOGETHER}")
    if env.spec.num_actions is None:
        return torch.tensor([[_typed_numbers(env.spec, ply, word) for word in words]])
    try:
        actions = [env.action(word, seat) if seat >= 0 else 0 for word, seat in zip(words, seats, strict=True)]
    except UsageError as error:
        raise UsageError(f"move {ply}: {error}") from None
    action = torch.tensor([actions])
    if turn.legal_action_mask is not None and not bool(check_legal(turn, action).all()):
        legal = turn.legal_action_mask[0].any(0).nonzero().flatten().tolist()
        names = env.names(max(seats))
        known = some(names[action] for action in legal)
        raise UsageError(f"move {ply} ({move!r}) is not legal there; legal: {known}")
    return action


def _typed_numbers(spec: GameSpec, ply: int, word: str) -> list[float]:
    """A continuous action, its numbers joined by `BESIDE`. Raises UsageError where it is none of this game's."""
    try:
        numbers = [float(part) for part in word.split(BESIDE)]
    except ValueError:
        numbers = []
    if len(numbers) != math.prod(spec.action_shape) or not all(
        spec.action_low <= x <= spec.action_high for x in numbers
    ):
        raise UsageError(
            f"move {ply}: {word!r} is no action of {spec.game}: {math.prod(spec.action_shape)} numbers between "
            f"{spec.action_low:g} and {spec.action_high:g}, joined by {BESIDE}"
        )
    return numbers


def _numbers(values: torch.Tensor) -> str:
    return BESIDE.join(f"{value:.4g}" for value in values.tolist())


def _thought(
    names: Sequence[str] | Mapping[int, str], decision: Decision, row: int, legal: NDArray[np.bool_]
) -> tuple[str, dict[str, float], float | None, dict[str, float] | None]:
    """Likeliest action, probabilities, value and action values of one row of a decision, by name."""
    probability = decision.probabilities[row].tolist()
    ranked = sorted(np.flatnonzero(legal).tolist(), key=lambda action: -probability[action])
    q_values = None
    if decision.q_values is not None:
        q_values = {names[action]: float(decision.q_values[row, action]) for action in ranked}
    value = None if decision.value is None else float(decision.value[row])
    if value is None and q_values is not None:
        value = max(q_values.values())
    return names[ranked[0]], {names[action]: probability[action] for action in ranked}, value, q_values
