"""What a policy's output says about actions: pure functions. A actions, or D numbers where actions are continuous.

Discrete actions: `output` [..., A] are logits, under `mask` [..., A]. Continuous ones: `mask` is [..., 0], and `output`
[..., 2 D] are the means and the log deviations of independent normal distributions, as in Schulman et al. 2015, "Trust
region policy optimization". What leaves the game's bounds is clipped on the way there, not in the distribution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from agents import losses
from envs.protocol import Turn
from envs.specs import GameSpec

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


def legal_actions(turn: Turn) -> Tensor:
    """[N, K, A] bool; [N, K, 0] where actions are continuous."""
    if turn.legal_action_mask is not None:
        return turn.legal_action_mask
    return torch.empty(*turn.player.shape, 0, dtype=torch.bool, device=turn.player.device)


def mean_and_deviation(output: Tensor) -> tuple[Tensor, Tensor]:
    """output [..., 2 D] → means [..., D], standard deviations [..., D]."""
    mean, log_deviation = output.chunk(2, -1)
    return mean, log_deviation.exp()


def log_prob_and_entropy(output: Tensor, mask: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """action [...] int64 or [..., D] → its log-probability (or log density) and the policy's entropy in nats: [...]."""
    if mask.shape[-1]:
        log_probabilities = losses.masked_log_softmax(output, mask)
        return losses.log_prob(log_probabilities, action), losses.entropy(log_probabilities)
    mean, log_deviation = output.chunk(2, -1)
    assert mean.shape == action.shape, (mean.shape, action.shape)
    off = (action - mean) / log_deviation.exp()
    log_prob = (-0.5 * off.square() - log_deviation - _HALF_LOG_TAU).sum(-1)
    return log_prob, (log_deviation + 0.5 + _HALF_LOG_TAU).sum(-1)


def log_prob(output: Tensor, mask: Tensor, action: Tensor) -> Tensor:
    """The log-probability (or log density) of action [...] int64 or [..., D] → [...]."""
    return log_prob_and_entropy(output, mask, action)[0]


def sample(output: Tensor, mask: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One action a row: [...] int64 or [..., D] float32, which may lie outside the game's bounds."""
    if mask.shape[-1]:
        return losses.sample_masked(output, mask, generator)
    mean, deviation = mean_and_deviation(output)
    return mean + deviation * torch.empty_like(mean).normal_(generator=generator)


def within_bounds(action: Tensor, spec: GameSpec) -> Tensor:
    """The action as the game takes it: numbers held within its bounds."""
    return action if spec.num_actions is not None else action.clamp(spec.action_low, spec.action_high)
