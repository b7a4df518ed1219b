"""Self-play: who plays which seat of which game while a learner collects experience.

The games of a learner are laid out in fixed blocks, so that a step is one forward of the learner over all games and one
of each frozen policy over its block:

    | self-play: the learner holds every seat | block of frozen policy 1 | block 2 | … | block against random moves |

In every block but the first the learner holds one seat, which alternates from game to game. Opponents are drawn when
all games start anew and are never swapped in a game. Snapshots of the learner are copies.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.configs import LearnerConfig
from agents.distributions import legal_actions
from agents.policy import Policy
from agents.resume import pack, pack_rng, unpack, unpack_rng
from envs import chance
from envs.protocol import Turn
from envs.specs import GameSpec

Draw = Callable[[int, int, np.random.Generator], Sequence[int]]


def draw_uniformly(num_policies: int, count: int, rng: np.random.Generator) -> Sequence[int]:
    """`count` indexes of `num_policies` policies, each as likely as any other, none twice while there are enough."""
    if count <= num_policies:
        return [int(i) for i in rng.choice(num_policies, count, replace=False)]
    return [int(i) for i in rng.integers(0, num_policies, count)]


@dataclass(frozen=True)
class Opponents:
    """Frozen policies from outside the run, and how opponents are drawn.

    Attributes:
        policies: play on the env's device; the learner's own snapshots join behind them.
        draw: (number of policies, how many to draw, rng) → indexes; pure.
        key: who they are; a run that goes on with others than it stopped with starts its games anew and draws again.
    """

    policies: Sequence[Policy] = ()
    draw: Draw = draw_uniformly
    key: str = ""


def kinds_of_games(spec: GameSpec, config: LearnerConfig, num_envs: int) -> tuple[int, int, int]:
    """How many of N games the learner plays alone or with itself, against the pool, and against random moves."""
    several = spec.num_players > 1
    num_pool = round(num_envs * config.pool_share) if several else 0
    num_random = min(round(num_envs * config.random_share), num_envs - num_pool) if several else 0
    return num_envs - num_pool - num_random, num_pool, num_random


class SelfPlay:
    """Seats and opponents of N games.

    Attributes:
        learner_seat: [N] int64, the seat that the learner holds; -1: every seat.
        num_self, num_pool, num_random: how many games are of each kind, in this order.
    """

    def __init__(
        self,
        spec: GameSpec,
        config: LearnerConfig,
        num_envs: int,
        device: torch.device,
        make_policy: Callable[[Any], Policy],
        opponents: Opponents | None,
        rng: np.random.Generator,
    ) -> None:
        opponents = opponents or Opponents()
        self.num_self, self.num_pool, self.num_random = kinds_of_games(spec, config, num_envs)
        self.config, self.make_policy, self.rng = config, make_policy, rng
        self.external, self.draw, self.key = opponents.policies, opponents.draw, opponents.key
        count = min(config.pool_blocks, self.num_pool)
        bounds = [self.num_self + self.num_pool * i // count for i in range(count)] if count else []
        ends = [*bounds[1:], self.num_self + self.num_pool]
        self.blocks = [slice(start, end) for start, end in zip(bounds, ends, strict=False)]
        random_block = slice(num_envs - self.num_random, num_envs)
        seat = torch.full((num_envs,), -1)
        for block in [*self.blocks, random_block]:
            seat[block] = torch.arange(block.stop - block.start) % spec.num_players
        self.learner_seat = seat.to(device)
        self.held = self.learner_seat.unsqueeze(1)  # [N, 1]
        self.random_block = random_block
        self.snapshots: list[torch.nn.Module] = []
        self.playing: list[Policy] = []
        self.drawn: list[int] = []

    def renews(self, previous_step: int, step: int) -> bool:
        """Whether a snapshot is due between these two counts of env steps (the very first at step 0)."""
        every = self.config.snapshot_steps
        return bool(self.blocks) and (not self.drawn or previous_step // every != step // every)

    def renew(self, network: torch.nn.Module) -> None:
        """Add a copy of the network to the pool and draw anew who plays in each block. All games must start anew."""
        self.snapshots.append(copy.deepcopy(network).requires_grad_(False))
        del self.snapshots[: -self.config.pool_size]
        self.drawn = list(self.draw(len(self.external) + len(self.snapshots), len(self.blocks), self.rng))
        self._seat_opponents()

    def _seat_opponents(self) -> None:
        pool = [*self.external, *map(self.make_policy, self.snapshots)]
        self.playing = [pool[index] for index in self.drawn]

    def learner_decides(self, turn: Turn, part: slice = slice(None)) -> Tensor:
        """[N, K] bool: the slots, of this part of the games, in which the learner's own choice counts."""
        held = self.held[part]
        return ((held < 0) | (turn.player == held)) & (turn.player >= 0)

    def overrule(self, logits: Tensor, turn: Turn, learner: Tensor) -> None:
        """Put the opponents' log-probabilities into logits [N, K, A] where not `learner` [N, K] decides."""
        mask = legal_actions(turn)
        for block, policy in zip(self.blocks, self.playing, strict=True):
            rows = logits[block]
            decision = policy(turn.observation[block].flatten(0, 1), mask[block].flatten(0, 1))
            theirs = decision.probabilities.log().view(rows.shape)
            logits[block] = torch.where(learner[block].unsqueeze(-1), rows, theirs)
        if self.num_random:
            logits[self.random_block].masked_fill_(~learner[self.random_block].unsqueeze(-1), 0.0)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, plain values) for `load`."""
        tensors: dict[str, Tensor] = {}
        for i, snapshot in enumerate(self.snapshots):
            tensors |= pack(f"pool/{i}", snapshot.state_dict())
        meta = {"snapshots": len(self.snapshots), "drawn": self.drawn, "key": self.key, "rng": pack_rng(self.rng)}
        return tensors, meta

    def load(self, network: torch.nn.Module, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Go on from `state`, given the same opponents from outside; `network` has the shape of the snapshots."""
        self.snapshots = [copy.deepcopy(network).requires_grad_(False) for _ in range(meta["snapshots"])]
        for i, snapshot in enumerate(self.snapshots):
            snapshot.load_state_dict(unpack(f"pool/{i}", tensors))
        self.rng = unpack_rng(meta["rng"])
        self.drawn = list(meta["drawn"]) if meta["key"] == self.key else []
        self._seat_opponents()


def in_random_opening(seeds: Tensor, ply: Tensor, random_plies: int) -> Tensor:
    """[N] bool: whether the games with these seeds [N] at these plies [N] are still in their opening of random moves.

    The opening's length is a hash of the seed, uniform over 0 … random_plies, so that it is the same whoever plays.
    """
    return ply < chance.below(seeds, -1, random_plies + 1)
