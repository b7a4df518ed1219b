"""Replay memory: preallocated tensors on the env's device, written in batches, sampled uniformly or by priority."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from envs.specs import GameSpec


class Transitions(NamedTuple):
    """B decisions of one seat each, and what the seat saw some of its own decisions later.

    Attributes:
        observation: [B, *obs] in the game's dtype.
        action: [B] int64.
        reward: [B] float32, the seat's own, summed from this decision to the later one (or to the game's end), each
            discounted by γ per own decision in between.
        next_observation: [B, *obs], at the later decision; anything where no such decision followed.
        next_mask: [B, A] bool, what was legal there.
        discount: [B] float32, γ per own decision from this one to the later; 0 where the rules ended the game.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor
    next_observation: Tensor
    next_mask: Tensor
    discount: Tensor


class Batch(NamedTuple):
    """B rows of a memory.

    Attributes:
        rows: what they hold.
        place: [B] int64, where they lie.
        weight: [B] float32, what to weigh their losses by, at most 1.
    """

    rows: Transitions
    place: Tensor
    weight: Tensor


class ReplayBuffer:
    """The latest `capacity` transitions, sampled uniformly. `len()` says how many there are."""

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
            discount=torch.zeros(capacity, device=device),
        )

    def __len__(self) -> int:
        return self.size

    def add(self, transitions: Transitions) -> Tensor:
        """Write the rows over the oldest ones → where they lie now, [B] int64 (the last `capacity` of them)."""
        count = len(transitions.action)
        if count > self.capacity:
            transitions = Transitions(*(column[-self.capacity :] for column in transitions))
            count = self.capacity
        position = (self.cursor + torch.arange(count, device=self.rows.action.device)) % self.capacity
        for column, new in zip(self.rows, transitions, strict=True):
            column[position] = new
        self.cursor = (self.cursor + count) % self.capacity
        self.size = min(self.size + count, self.capacity)
        return position

    def sample(self, batch_size: int, generator: torch.Generator, beta: float = 1.0) -> Batch:
        """`batch_size` rows drawn with replacement. `beta` plays a part where priorities do."""
        device = self.rows.action.device
        index = torch.randint(self.size, (batch_size,), generator=generator, device=device)
        return Batch(self.at(index), index, torch.ones(batch_size, device=device))

    def at(self, index: Tensor) -> Transitions:
        """The rows that lie at index [B]."""
        return Transitions(*(column[index] for column in self.rows))

    def learnt(self, index: Tensor, error: Tensor) -> None:
        """Tell what errors [B] the rows at index [B] had; only priorities depend on it."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors of the rows in use, plain values) for `load`."""
        tensors = {name: column[: self.size] for name, column in self.rows._asdict().items()}
        return tensors, {"size": self.size, "cursor": self.cursor}

    def load(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Go on from `state` of a buffer of the same capacity."""
        self.size, self.cursor = meta["size"], meta["cursor"]
        for name, column in self.rows._asdict().items():
            column[: self.size] = tensors[name].to(column.device)


class PrioritisedReplay(ReplayBuffer):
    """Replay that prefers what was predicted badly (Schaul et al. 2016, "Prioritized experience replay", proportional).

    Row i is drawn with probability P(i) = pᵢ / Σ p, where pᵢ = (|error| + a little)^exponent; the batch is drawn one
    from each of B equal parts of Σ p. Weights (N P(i))^−β, divided by the batch's largest, make up for it. What is
    new has the largest priority so far. Deviation: the paper divides by the largest weight of the whole memory.
    """

    LITTLE = 1e-6

    def __init__(self, spec: GameSpec, capacity: int, device: torch.device, exponent: float) -> None:
        super().__init__(spec, capacity, device)
        self.exponent = exponent
        self.priorities = SumTree(capacity, device)
        self.largest = torch.ones((), dtype=torch.float64, device=device)

    def add(self, transitions: Transitions) -> Tensor:
        position = super().add(transitions)
        self.priorities.put(position, self.largest.expand(len(position)))
        return position

    def sample(self, batch_size: int, generator: torch.Generator, beta: float = 1.0) -> Batch:
        device = self.rows.action.device
        part = torch.arange(batch_size, device=device)
        within = torch.rand(batch_size, dtype=torch.float64, generator=generator, device=device)
        index = self.priorities.find((part + within) / batch_size)
        weight = (self.size * self.priorities.share(index)) ** -beta
        return Batch(self.at(index), index, (weight / weight.amax()).float())

    def learnt(self, index: Tensor, error: Tensor) -> None:
        priority = (error.abs().double() + self.LITTLE) ** self.exponent
        self.largest = torch.maximum(self.largest, priority.amax())
        self.priorities.put(index, priority)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, meta = super().state()
        return tensors | {"priority": self.priorities.leaves[: self.size], "largest": self.largest}, meta

    def load(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        super().load(tensors, meta)
        device = self.largest.device
        self.largest = tensors["largest"].to(device)
        self.priorities.put(torch.arange(self.size, device=device), tensors["priority"].to(device))


class SumTree:
    """`capacity` numbers ≥ 0, at first all 0, that can be drawn in proportion to their size; batched, in float64.

    Attributes:
        nodes: [2 W], W the power of two from `capacity` up: node i is the sum of nodes 2i and 2i + 1, the last W are
            the numbers themselves. Every sum is computed from its two parts anew, so that no rounding piles up.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.depth = (capacity - 1).bit_length()
        self.nodes = torch.zeros(2 << self.depth, dtype=torch.float64, device=device)

    @property
    def leaves(self) -> Tensor:
        """[W]: the numbers."""
        return self.nodes[1 << self.depth :]

    def put(self, index: Tensor, number: Tensor) -> None:
        """Set the numbers at index [B] to number [B]; one of several at the same index counts, the same everywhere."""
        node = index + (1 << self.depth)
        self.nodes[node] = number
        for _ in range(self.depth):
            node = node >> 1
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1]

    def find(self, quantile: Tensor) -> Tensor:
        """quantile [B] in [0, 1] of the sum → the index [B] of the number in which it falls; never of a 0."""
        rest = quantile * self.nodes[1]
        node = torch.ones_like(quantile, dtype=torch.int64)
        for _ in range(self.depth):
            left, right = self.nodes[2 * node], self.nodes[2 * node + 1]
            goes_right = (rest >= left) & (right > 0)  # a quantile rounded up to 1 would end beyond the last
            rest = torch.where(goes_right, rest - left, rest)
            node = 2 * node + goes_right
        return node - (1 << self.depth)

    def share(self, index: Tensor) -> Tensor:
        """The numbers at index [B], divided by the sum of all."""
        return self.leaves[index] / self.nodes[1]
