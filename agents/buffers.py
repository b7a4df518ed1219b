"""Replay memory: preallocated tensors on the env's device, written in batches, sampled uniformly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from envs.specs import GameSpec


class Transitions(NamedTuple):
    """B decisions of one seat each, and what the seat saw when it was its turn again.

    Attributes:
        observation: [B, *obs] in the game's dtype.
        action: [B] int64.
        reward: [B] float32, the seat's own, summed from this decision to its next (or to the game's end).
        next_observation: [B, *obs], at the seat's next decision; anything where `terminated`.
        next_mask: [B, A] bool, what was legal there.
        terminated: [B] bool, no decision followed because the rules ended the game.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor
    next_observation: Tensor
    next_mask: Tensor
    terminated: Tensor


class ReplayBuffer:
    """The latest `capacity` transitions. `len()` says how many there are."""

    def __init__(self, spec: GameSpec, capacity: int, device: torch.device) -> None:
        assert spec.num_actions is not None
        dtype = getattr(torch, spec.observation_dtype)
        self.capacity = capacity
        self.size = 0
        self.cursor = 0  # where the next row goes
        self.rows = Transitions(
            observation=torch.zeros(capacity, *spec.observation_shape, dtype=dtype, device=device),
            action=torch.zeros(capacity, dtype=torch.int64, device=device),
            reward=torch.zeros(capacity, device=device),
            next_observation=torch.zeros(capacity, *spec.observation_shape, dtype=dtype, device=device),
            next_mask=torch.zeros(capacity, spec.num_actions, dtype=torch.bool, device=device),
            terminated=torch.zeros(capacity, dtype=torch.bool, device=device),
        )

    def __len__(self) -> int:
        return self.size

    def add(self, transitions: Transitions) -> None:
        """Write the rows over the oldest ones."""
        count = len(transitions.action)
        if count > self.capacity:
            transitions = Transitions(*(column[-self.capacity :] for column in transitions))
            count = self.capacity
        position = (self.cursor + torch.arange(count, device=self.rows.action.device)) % self.capacity
        for column, new in zip(self.rows, transitions, strict=True):
            column[position] = new
        self.cursor = (self.cursor + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def sample(self, batch_size: int, generator: torch.Generator) -> Transitions:
        """`batch_size` rows drawn uniformly with replacement."""
        device = self.rows.action.device
        index = torch.randint(self.size, (batch_size,), generator=generator, device=device)
        return Transitions(*(column[index] for column in self.rows))

    def state(self) -> tuple[dict[str, Tensor], dict[str, int]]:
        """(tensors of the rows in use, plain values) for `load`."""
        tensors = {name: column[: self.size] for name, column in self.rows._asdict().items()}
        return tensors, {"size": self.size, "cursor": self.cursor}

    def load(self, tensors: Mapping[str, Tensor], meta: Mapping[str, int]) -> None:
        """Go on from `state` of a buffer of the same capacity."""
        self.size, self.cursor = meta["size"], meta["cursor"]
        for name, column in self.rows._asdict().items():
            column[: self.size] = tensors[name].to(column.device)
