"""From action values to action probabilities: pure functions. B rows, A actions."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(choice: Tensor) -> Tensor:
    """choice [B, A] bool, at least one True per row → the uniform distribution over what is True, [B, A] float32."""
    return choice.float() / choice.sum(-1, keepdim=True)


def greedy(q_values: Tensor, mask: Tensor, tolerance: float = 1e-6) -> Tensor:
    """Uniform over the best legal actions of q_values [B, A] under mask [B, A] → [B, A] float32.

    Values within `tolerance` of the best (relative to it where it is larger than 1) count as equal.
    """
    assert q_values.shape == mask.shape, (q_values.shape, mask.shape)
    legal = q_values.masked_fill(~mask, -torch.inf)
    best = legal.amax(-1, keepdim=True)
    return uniform(legal >= best - tolerance * best.abs().clamp(min=1.0))


def epsilon_greedy(q_values: Tensor, mask: Tensor, epsilon: float | Tensor) -> Tensor:
    """(1 − ε) greedy + ε uniform over the legal actions (Sutton & Barto, section 2.2) → [B, A] float32.

    ε is one number, or one a row: [B, 1].
    """
    return (1 - epsilon) * greedy(q_values, mask) + epsilon * uniform(mask)
