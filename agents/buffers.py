"""Replay memory: preallocated tensors on the env's device, written in batches, sampled uniformly or by priority.

Observations that are stacks of pictures are kept as the places of their pictures, each of which is kept once
(agents/frame_store.py); `keep` says what stands for an observation in rows, and samples have observations again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agents.frame_store import FrameStore
from envs.specs import GameSpec

LOOKED_AT = 1024
"""Rows, from the oldest on, in which those without their pictures are looked for; more than lie out of order."""


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
    """The latest `capacity` transitions, sampled uniformly. `len()` says how many there are.

    With a store of pictures the oldest rows go with their pictures.
    """

    def __init__(self, spec: GameSpec, capacity: int, device: torch.device, frames: FrameStore | None = None) -> None:
        assert spec.num_actions is not None
        self.capacity = capacity
        self.frames = frames
        self.size = self.filled = 0  # rows that can be sampled; rows that were ever written
        self.cursor = 0  # where the next row goes
        shape: tuple[int, ...] = spec.observation_shape
        dtype = getattr(torch, spec.observation_dtype)
        if frames is not None:
            shape, dtype = (frames.depth,), torch.int32
            self.oldest = torch.zeros(capacity, dtype=torch.int64, device=device)
        self.rows = Transitions(
            observation=torch.zeros(capacity, *shape, dtype=dtype, device=device),
            action=torch.zeros(capacity, dtype=torch.int64, device=device),
            reward=torch.zeros(capacity, device=device),
            next_observation=torch.zeros(capacity, *shape, dtype=dtype, device=device),
            next_mask=torch.zeros(capacity, spec.num_actions, dtype=torch.bool, device=device),
            discount=torch.zeros(capacity, device=device),
        )

    def __len__(self) -> int:
        return self.size

    def keep(self, observation: Tensor, games: Tensor | None = None) -> Tensor:
        """What stands in rows for observations [N, K, *obs] that are seen now: [N, K, …]; of other `games` anything."""
        if self.frames is None:
            return observation
        num_games, num_slots = observation.shape[:2]
        kept = torch.zeros(num_games, num_slots, self.frames.depth, dtype=torch.int32, device=observation.device)
        chosen = torch.arange(num_games, device=kept.device) if games is None else games.nonzero().squeeze(1)
        if len(chosen):
            stream = (chosen.unsqueeze(1) * num_slots + torch.arange(num_slots, device=kept.device)).flatten()
            places = self.frames.keep(observation[chosen].flatten(0, 1), stream)
            kept[chosen] = places.view(len(chosen), num_slots, -1).int()
        return kept

    def add(self, transitions: Transitions) -> Tensor:
        """Write the rows over the oldest ones → where they lie now, [B] int64 (the last `capacity` of them)."""
        count = len(transitions.action)
        if count > self.capacity:
            transitions = Transitions(*(column[-self.capacity :] for column in transitions))
            count = self.capacity
        position = (self.cursor + torch.arange(count, device=self.rows.action.device)) % self.capacity
        for column, new in zip(self.rows, transitions, strict=True):
            column[position] = new
        if self.frames is not None and count:
            ends = (transitions.observation, transitions.next_observation)
            self.oldest[position] = torch.minimum(*(self.frames.oldest(places) for places in ends))
        self.cursor = (self.cursor + count) % self.capacity
        self.size = min(self.size + count, self.capacity)
        self.filled = max(self.filled, self.size)
        return position

    def sample(self, batch_size: int, generator: torch.Generator, beta: float = 1.0) -> Batch:
        """`batch_size` rows drawn with replacement. `beta` plays a part where priorities do."""
        self._forget()
        device = self.rows.action.device
        index = torch.randint(self.size, (batch_size,), generator=generator, device=device)
        if self.frames is not None:
            index = (self.cursor - self.size + index) % self.capacity
        return Batch(self.at(index), index, torch.ones(batch_size, device=device))

    def at(self, index: Tensor) -> Transitions:
        """The rows that lie at index [B]."""
        found = Transitions(*(column.index_select(0, index) for column in self.rows))
        if self.frames is None:
            return found
        return found._replace(
            observation=self.frames.observations(found.observation),
            next_observation=self.frames.observations(found.next_observation),
        )

    def learnt(self, index: Tensor, error: Tensor) -> None:
        """Tell what errors [B] the rows at index [B] had; only priorities depend on it."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors of the rows in use, plain values) for `load`."""
        tensors = {name: column[: self.filled] for name, column in self.rows._asdict().items()}
        if self.frames is not None:
            tensors |= {"oldest": self.oldest[: self.filled]}
            tensors |= {f"store_{name}": value for name, value in self.frames.state().items()}
        return tensors, {"size": self.size, "cursor": self.cursor}

    def load(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Go on from `state` of a buffer of the same capacity."""
        self.size, self.cursor, self.filled = meta["size"], meta["cursor"], len(tensors["action"])
        for name, column in self.rows._asdict().items():
            column[: self.filled] = tensors[name].to(column.device)
        if self.frames is not None:
            self.oldest[: self.filled] = tensors["oldest"].to(self.oldest.device)
            prefix = "store_"
            self.frames.load({n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)})

    def _forget(self) -> Tensor | None:
        """Rows whose pictures are lost can be sampled no more: their places, None where there are none."""
        if self.frames is None:
            return None
        gone = []
        while self.size:
            looked_at = torch.arange(min(self.size, LOOKED_AT), device=self.oldest.device)
            index = (self.cursor - self.size + looked_at) % self.capacity
            lost = self.frames.lost(self.oldest[index]).nonzero()
            if not len(lost):
                break
            count = int(lost[-1]) + 1
            gone.append(index[:count])
            self.size -= count
        return torch.cat(gone) if gone else None


class PrioritisedReplay(ReplayBuffer):
    """Replay that prefers what was predicted badly (Schaul et al. 2016, "Prioritized experience replay", proportional).

    Row i is drawn with probability P(i) = pᵢ / Σ p, where pᵢ = (|error| + a little)^exponent; the batch is drawn one
    from each of B equal parts of Σ p. Weights (N P(i))^−β, divided by the batch's largest, make up for it. What is
    new has the largest priority so far. Deviation: the paper divides by the largest weight of the whole memory.
    """

    LITTLE = 1e-6

    def __init__(
        self,
        spec: GameSpec,
        capacity: int,
        device: torch.device,
        exponent: float,
        frames: FrameStore | None = None,
    ) -> None:
        super().__init__(spec, capacity, device, frames)
        self.exponent = exponent
        self.priorities = SumTree(capacity, device)
        self.largest = torch.ones((), dtype=torch.float64, device=device)

    def add(self, transitions: Transitions) -> Tensor:
        position = super().add(transitions)
        self.priorities.put(position, self.largest.expand(len(position)))
        return position

    def sample(self, batch_size: int, generator: torch.Generator, beta: float = 1.0) -> Batch:
        gone = self._forget()
        device = self.rows.action.device
        if gone is not None:
            self.priorities.put(gone, torch.zeros(len(gone), dtype=torch.float64, device=device))
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
        return tensors | {"priority": self.priorities.leaves[: self.filled], "largest": self.largest}, meta

    def load(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        super().load(tensors, meta)
        device = self.largest.device
        self.largest = tensors["largest"].to(device)
        self.priorities.put(torch.arange(self.filled, device=device), tensors["priority"].to(device))


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
