"""Decisions on the way to the replay memory: each waits for its seat's n-th decision after it, or the game's end."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.buffers import Transitions
from envs.protocol import Turn
from envs.specs import GameSpec


class Pending:
    """Every seat's last decisions while they wait for what follows. N games, P seats, n = `num_steps`.

    A decision waits until its seat decides for the n-th time after it, or until the game ends.

    Args:
        kept: a row [capacity, *kept] of what stands for observations in the memory.

    Attributes:
        observation: [N, P, n, *kept]; action: [N, P, n]; waiting: [N, P, n] bool.
        age: [N, P, n] int64, the seat's decisions since.
        reward: [N, P, n], summed since, discounted by γ per own decision in between.
        oldest: [N, P, n] int64, the number of the oldest picture that was seen, where pictures are kept once.
    """

    def __init__(self, spec: GameSpec, num_envs: int, num_steps: int, gamma: float, kept: Tensor) -> None:
        assert spec.num_actions is not None
        lead, device = (num_envs, spec.num_players, num_steps), kept.device
        self.num_steps = num_steps
        self.discounts = gamma ** torch.arange(num_steps + 1, device=device)
        self.observation = torch.zeros(*lead, *kept.shape[1:], dtype=kept.dtype, device=device)
        self.action = torch.zeros(lead, dtype=torch.int64, device=device)
        self.reward = torch.zeros(lead, device=device)
        self.age = torch.zeros(lead, dtype=torch.int64, device=device)
        self.waiting = torch.zeros(lead, dtype=torch.bool, device=device)
        self.oldest = torch.zeros(lead, dtype=torch.int64, device=device)
        self.all_legal = torch.ones(spec.num_actions, dtype=torch.bool, device=device)

    def decided(self, turn: Turn, kept: Tensor, action: Tensor, learner: Tensor, oldest: Tensor | None = None) -> None:
        """The slots where `learner` [N, K] chose action [N, K] start to wait; kept [N, K, *kept] is what they saw, with
        pictures of which the oldest have these numbers [N, K]."""
        game, slot = learner.nonzero(as_tuple=True)
        seat = turn.player[game, slot]
        place = (game, seat, self.waiting[game, seat].int().argmin(-1))
        self.observation[place] = kept[game, slot]
        self.action[place] = action[game, slot]
        self.reward[place] = 0.0
        self.age[place] = 0
        self.waiting[place] = True
        if oldest is not None:
            self.oldest[place] = oldest[game, slot]

    def forget(self, lost: Tensor) -> None:
        """These decisions [N, P, n] bool wait no longer."""
        self.waiting &= ~lost

    def rewarded(self, rewards: Tensor) -> None:
        """Every seat got rewards [N, P]."""
        self.reward += rewards.unsqueeze(2) * self.discounts[self.age]

    def followed_by(self, turn: Turn, kept: Tensor, cut: Tensor | None = None) -> Transitions:
        """The seats whose turn it is are about to decide: the transitions of their decisions that waited for this.

        kept: [N, K, *kept], what stands for the turn's observations. With `cut` [N] the turn is the last of the games
        in it: all decisions there that wait for these seats go on from it, and seats in other games are left alone.
        """
        assert turn.legal_action_mask is not None
        to_move = turn.player >= 0
        if cut is not None:
            to_move &= cut.unsqueeze(1)
        game, slot = to_move.nonzero(as_tuple=True)
        seat = turn.player[game, slot]
        ready = self.waiting[game, seat]
        self.age[game, seat] += ready
        if cut is None:
            ready &= self.age[game, seat] == self.num_steps
        row, place = ready.nonzero(as_tuple=True)
        game, slot, at = game[row], slot[row], (game[row], seat[row], place)
        self.waiting[at] = False
        return Transitions(
            self.observation[at],
            self.action[at],
            self.reward[at],
            kept[game, slot],
            turn.legal_action_mask[game, slot],
            self.discounts[self.age[at]],
        )

    def ended(self, games: Tensor) -> Transitions:
        """The transitions of all decisions that wait in these games [N] bool, for which nothing is left to come; they
        wait no longer."""
        at = (self.waiting & games.view(-1, 1, 1)).nonzero(as_tuple=True)
        self.waiting[at] = False
        observation, reward = self.observation[at], self.reward[at]
        mask = self.all_legal.expand(len(reward), -1)
        return Transitions(observation, self.action[at], reward, observation, mask, torch.zeros_like(reward))

    def tensors(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("observation", "action", "reward", "age", "waiting", "oldest")}
