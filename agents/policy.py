"""Policies: observation and legal mask → distribution over actions (and a value, where one is known)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from agents.distributions import legal_actions
from envs.protocol import Turn

RESIGNED = "resigned"
"""Why a player gives a game up of its own free will."""


class Normal(NamedTuple):
    """Independent normal distributions over D numbers, clipped to the game's bounds: mean, deviation [B, D]."""

    mean: Tensor
    deviation: Tensor
    low: float
    high: float

    def action(self, noise: Tensor | None = None) -> Tensor:
        """[B, D] float32: the likeliest action, or the one that standard normal noise [B, D] leads to."""
        action = self.mean if noise is None else self.mean + self.deviation * noise
        return action.clamp(self.low, self.high)


class Uniform(Normal):
    """Uniform between the game's bounds; the noise is normal all the same."""

    def action(self, noise: Tensor | None = None) -> Tensor:
        if noise is None:
            return self.mean
        return self.low + (self.high - self.low) * torch.special.ndtr(noise)


class Decision(NamedTuple):
    """What a policy thinks of B decisions.

    Attributes:
        probabilities: [B, A] float32, zero where illegal; rows add up to one. [B, 0] where actions are continuous.
        value: [B] float32, the expected return of the one who decides, or None where the policy has no opinion.
        q_values: [B, A] float32, per action, or None.
        normal: of continuous actions.
        gave_up: per row why the one who decides gives the game up there: RESIGNED, what went wrong ("timeout: …"), or
            "" where it plays on, as its distribution says; None: everybody plays on.
        visits: [B, A] int64, how often a search tried each action; None where nothing was searched.
        line: [B, L] int64, the moves that a search thinks both sides play from here, -1 after the last one; or None.
    """

    probabilities: Tensor
    value: Tensor | None = None
    q_values: Tensor | None = None
    normal: Normal | None = None
    gave_up: tuple[str, ...] | None = None
    visits: Tensor | None = None
    line: Tensor | None = None


class Policy(Protocol):
    """Frozen: the same inputs give the same Decision."""

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        """observation [B, *obs], legal_action_mask [B, A] bool → Decision of B rows. No gradients.

        Where actions are continuous the mask is [B, 0].
        """


def act(policy: Policy, turn: Turn, greedy: bool, generator: torch.Generator | None = None) -> Tensor:
    """One action for every slot of `turn`: [N, K] int64, or [N, K, D] float32 where actions are continuous.

    Greedy takes the likeliest (the first of equals). Idle slots (player -1) get action 0.
    """
    num_games, num_slots = turn.player.shape
    decision = policy(turn.observation.flatten(0, 1), legal_actions(turn).flatten(0, 1))
    if decision.normal is not None:
        noise = None if greedy else torch.empty_like(decision.normal.mean).normal_(generator=generator)
        action = decision.normal.action(noise).view(num_games, num_slots, -1)
        return action.masked_fill((turn.player < 0).unsqueeze(-1), 0.0)
    if greedy:
        action = decision.probabilities.argmax(-1)
    else:
        action = torch.multinomial(decision.probabilities, 1, generator=generator).squeeze(-1)
    return torch.where(turn.player < 0, 0, action.view(num_games, num_slots))
