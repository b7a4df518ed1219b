"""Finite deterministic one-player games, played and planned from the same table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import chance
from envs.gridworld.drawing import draw_walker
from envs.gridworld.dynamics import Dynamics
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing
from envs.specs import GameSpec, Variant


@dataclass(frozen=True)
class Table:
    """S states, A actions; the observation is the state, one-hot.

    Attributes:
        next_state: [S, A] int64; terminal states lead to themselves.
        reward: [S, A] float64.
        terminal: [S] bool.
        starts: the states where a game may start, all equally likely.
        cell: [S, 2] int64, (row, column) on `picture`.
        picture: the map, row by row.
        action_names: A words.
    """

    next_state: NDArray[np.int64]
    reward: NDArray[np.float64]
    terminal: NDArray[np.bool_]
    starts: NDArray[np.int64]
    cell: NDArray[np.int64]
    picture: tuple[str, ...]
    action_names: tuple[str, ...]

    def dynamics(self) -> Dynamics:
        num_states, num_actions = self.next_state.shape
        transition = np.eye(num_states)[self.next_state]
        start = np.zeros(num_states)
        start[self.starts] = 1 / len(self.starts)
        return Dynamics(
            transition=transition,
            reward=transition * self.reward[:, :, None],
            terminal=self.terminal,
            start=start,
            observation=np.eye(num_states, dtype=np.float32),
            legal=np.ones((num_states, num_actions), dtype=bool),
            cell=self.cell,
            picture=self.picture,
            action_names=self.action_names,
        )


class TableRules:
    """The rules are the table: `state["place"]` [N] is the state's index."""

    def __init__(self, table: Table, device: torch.device, caption: str = "") -> None:
        self.table = table
        self.caption = caption
        num_states, self._num_actions = table.next_state.shape
        self._next_state = torch.from_numpy(table.next_state).to(device).flatten()
        self._reward = torch.from_numpy(table.reward).to(device, torch.float32).flatten()
        self._terminal = torch.from_numpy(table.terminal).to(device)
        self._starts = torch.from_numpy(table.starts).to(device)
        self._one_hot = torch.eye(num_states, device=device)
        self._legal = torch.ones(1, 1, self._num_actions, dtype=torch.bool, device=device)

    def init(self, seeds: Tensor) -> State:
        return {"place": self._starts[chance.below(seeds, 0, len(self._starts))]}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        move = state["place"] * self._num_actions + action.squeeze(1)
        place = self._next_state[move]
        return {"place": place}, self._reward[move].unsqueeze(1), self._terminal[place]

    def observe(self, state: State) -> Turn:
        place = state["place"]
        return Turn(
            self._one_hot[place].unsqueeze(1),
            self._legal.expand(len(place), 1, self._num_actions),
            torch.zeros_like(place).unsqueeze(1),
        )

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        row, column = self.table.cell[int(state["place"][index])].tolist()
        return draw_walker(self.table.picture, (row, column), self.table.action_names, self.caption)


class TableEnv(NativeEnv):
    """N games of a table, with its exact dynamics."""

    def __init__(self, rules: TableRules, spec: GameSpec, num_envs: int, device: torch.device, autoreset: bool) -> None:
        super().__init__(spec, rules, num_envs, device, autoreset)
        self.table = rules.table

    def dynamics(self) -> Dynamics:
        return self.table.dynamics()


def table_spec(variant: Variant, table: Table, max_steps: int | None, version: int | None = None) -> GameSpec:
    """The spec of a table's game; `version` replaces the registered one."""
    return GameSpec(
        game=str(variant),
        version=variant.game.version if version is None else version,
        num_players=1,
        num_slots=1,
        num_actions=len(table.action_names),
        observation_shape=(len(table.terminal),),
        observation_dtype="float32",
        action_names=table.action_names,
        perfect_information=True,
        max_steps=max_steps,
    )
