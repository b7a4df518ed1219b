"""Policies: observation and legal mask → distribution over actions (and a value, where one is known)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from envs.protocol import Turn


class Decision(NamedTuple):
    """What a policy thinks of B decisions.

    Attributes:
        probabilities: [B, A] float32, zero where illegal; rows add up to one.
        value: [B] float32, the expected return of the one who decides, or None where the policy has no opinion.
        q_values: [B, A] float32, per action, or None.
    """

    probabilities: Tensor
    value: Tensor | None = None
    q_values: Tensor | None = None


class Policy(Protocol):
    """Frozen: the same inputs give the same Decision."""

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        """observation [B, *obs], legal_action_mask [B, A] bool → Decision of B rows. No gradients."""


def act(policy: Policy, turn: Turn, greedy: bool, generator: torch.Generator | None = None) -> Tensor:
    """One action for every slot of `turn`: [N, K] int64. Greedy takes the likeliest (the first of equals).

    Idle slots (player -1) get action 0.
    """
    num_games, num_slots = turn.player.shape
    assert turn.legal_action_mask is not None
    decision = policy(turn.observation.flatten(0, 1), turn.legal_action_mask.flatten(0, 1))
    if greedy:
        action = decision.probabilities.argmax(-1)
    else:
        action = torch.multinomial(decision.probabilities, 1, generator=generator).squeeze(-1)
    return torch.where(turn.player < 0, 0, action.view(num_games, num_slots))
