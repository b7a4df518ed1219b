"""Losses and masked categorical distributions: pure functions of tensors. B samples, A actions.

Masked logits are set to a large negative number, so that illegal actions have probability exactly 0 and pass no
gradient, and a row with one legal action has log-probability 0 and entropy 0 without a NaN, in the gradient too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

_MASKED = -1e9


def masked_log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """logits [..., A], mask [..., A] bool with at least one True per row → log-probabilities [..., A]."""
    assert logits.shape == mask.shape, (logits.shape, mask.shape)
    return torch.log_softmax(logits.masked_fill(~mask, _MASKED), -1)


def log_prob(log_probabilities: Tensor, action: Tensor) -> Tensor:
    """log-probabilities [..., A], action [...] int64 → log-probability of each action [...]."""
    assert log_probabilities.shape[:-1] == action.shape
    return log_probabilities.gather(-1, action.unsqueeze(-1)).squeeze(-1)


def entropy(log_probabilities: Tensor) -> Tensor:
    """[..., A] → [...] in nats."""
    return -(log_probabilities.exp() * log_probabilities).sum(-1)


class _Taken(torch.autograd.Function):
    """`log_prob_and_entropy`: keeps the probabilities for the gradient, and no other matrix of the same size."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        log_probabilities = torch.log_softmax(logits, -1)
        taken = log_prob(log_probabilities, action)
        probabilities = log_probabilities.exp()
        entropies = -torch.linalg.vecdot(probabilities, log_probabilities)
        ctx.save_for_backward(probabilities, action)
        ctx.mark_non_differentiable(entropies)
        return taken, entropies

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None]:
        probabilities, action = ctx.saved_tensors
        found = probabilities * -gradient.unsqueeze(-1)
        return found.scatter_add_(-1, action.unsqueeze(-1), gradient.unsqueeze(-1)), None


def log_prob_and_entropy(logits: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """Finite logits [..., A], action [...] int64 → each action's log-probability, and entropy without gradient: [...].

    What `log_prob` and `entropy` give of the same distribution, in fewer passes over it where A is a vocabulary.
    """
    assert logits.shape[:-1] == action.shape
    taken, entropies = _Taken.apply(logits, action)
    return taken, entropies


def sample_masked(logits: Tensor, mask: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One action per row of logits [..., A] under mask [..., A] → [...] int64, by the Gumbel-max trick."""
    noise = torch.empty_like(logits).exponential_(generator=generator).log_()  # now and then −inf: mask last
    return (logits - noise).masked_fill_(~mask, -torch.inf).argmax(-1)


def normalise(advantages: Tensor) -> Tensor:
    """[B] → mean 0, deviation 1 (a single advantage stays as it is)."""
    assert advantages.ndim == 1
    if advantages.shape[0] < 2:
        return advantages
    deviation, mean = torch.std_mean(advantages)
    return (advantages - mean) / (deviation + 1e-8)


def policy_gradient_loss(log_prob_t: Tensor, advantages_t: Tensor) -> Tensor:
    """−mean(A log π) (Williams 1992; Sutton et al. 2000); [B], [B] → scalar. Advantages carry no gradient."""
    assert log_prob_t.ndim == 1
    assert log_prob_t.shape == advantages_t.shape
    return -(log_prob_t * advantages_t.detach()).mean()


def approx_kl(log_ratio: Tensor) -> Tensor:
    """mean((r − 1) − log r), r = π/π_old of actions drawn from π_old: an unbiased, never negative estimate of
    KL(π_old ‖ π) (Schulman 2020, "Approximating KL divergence"); log r [B] → scalar."""
    assert log_ratio.ndim == 1
    return (log_ratio.exp() - 1 - log_ratio).mean()


class ClipLoss(NamedTuple):
    """PPO's policy loss (scalar) and two diagnostics without gradient: a KL estimate, the share of clipped ratios."""

    loss: Tensor
    approx_kl: Tensor
    clip_fraction: Tensor


def clipped_policy_loss(
    log_prob_t: Tensor, old_log_prob_t: Tensor, advantages_t: Tensor, clip_range: float
) -> ClipLoss:
    """−mean(min(r A, clip(r, 1−ε, 1+ε) A)), r = π/π_old (Schulman et al. 2017, equation 7); all [B]."""
    assert log_prob_t.ndim == 1
    assert log_prob_t.shape == old_log_prob_t.shape == advantages_t.shape
    advantages_t = advantages_t.detach()
    log_ratio = log_prob_t - old_log_prob_t.detach()
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    loss = -torch.min(ratio * advantages_t, clipped * advantages_t).mean()
    with torch.no_grad():
        clip_fraction = ratio.ne(clipped).float().mean()
        return ClipLoss(loss, approx_kl(log_ratio), clip_fraction)


def value_loss(values_t: Tensor, returns_t: Tensor) -> Tensor:
    """½ mean((V − R)²); [B], [B] → scalar. Returns carry no gradient."""
    assert values_t.ndim == 1
    assert values_t.shape == returns_t.shape
    return 0.5 * torch.nn.functional.mse_loss(values_t, returns_t.detach())


def clipped_value_loss(values_t: Tensor, old_values_t: Tensor, returns_t: Tensor, clip_range: float) -> Tensor:
    """½ mean(max((V − R)², (V_clipped − R)²)), V_clipped within ±clip_range of the rollout's value; all [B]."""
    assert values_t.ndim == 1
    assert values_t.shape == old_values_t.shape == returns_t.shape
    returns_t = returns_t.detach()
    clipped = old_values_t + (values_t - old_values_t).clamp(-clip_range, clip_range)
    return 0.5 * torch.max((values_t - returns_t).square(), (clipped - returns_t).square()).mean()


def explained_variance(values_t: Tensor, returns_t: Tensor) -> Tensor:
    """1 − Var(R − V) / Var(R), scalar: 1 is a perfect value, 0 a constant's, and 0 where returns do not vary."""
    assert values_t.ndim == 1
    assert values_t.shape == returns_t.shape
    variance = returns_t.var(correction=0)
    residual = (returns_t - values_t).var(correction=0)
    return torch.where(variance > 0, 1 - residual / variance, 0.0)


def q_learning_target(r_t: Tensor, discount_t: Tensor, q_t: Tensor, selector_t: Tensor, mask_t: Tensor) -> Tensor:
    """y = r + γ q(s′, argmax_a selector(s′, a)) over the legal a; γ is 0 where the game terminated → [B].

    With q and selector both the target network's this is Mnih et al. 2015; with the learning network as the selector
    it is Double DQN (van Hasselt et al. 2016, equation 4).

    Args:
        r_t, discount_t: [B]; q_t, selector_t: [B, A], of the next observation; mask_t: [B, A] bool.
    """
    assert q_t.shape == selector_t.shape == mask_t.shape
    assert r_t.shape == discount_t.shape == q_t.shape[:1]
    best = selector_t.masked_fill(~mask_t, -torch.inf).argmax(-1, keepdim=True)
    return (r_t + discount_t * q_t.gather(-1, best).squeeze(-1)).detach()


def td_loss(q_tm1: Tensor, target_tm1: Tensor, huber: bool, weight: Tensor) -> Tensor:
    """Mean of weight times ½ (y − q)², or times Huber's loss with threshold 1, which is linear beyond it; all [B]."""
    assert q_tm1.ndim == 1
    assert q_tm1.shape == target_tm1.shape == weight.shape
    if huber:
        each = torch.nn.functional.smooth_l1_loss(q_tm1, target_tm1, reduction="none")
    else:
        each = 0.5 * (target_tm1 - q_tm1).square()
    return (weight * each).mean()


def preference_loss(difference: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of σ(difference) with the probability `target` that the first is preferred (Bradley, Terry 1952).

    The difference is one of rewards (a reward model) or of β-scaled log-ratios (DPO); a tie has target ½. All [B] →
    scalar: the mean weighted by `weight`, which must not be zero throughout.
    """
    assert difference.ndim == 1
    assert difference.shape == target.shape == weight.shape
    loss = torch.nn.functional.binary_cross_entropy_with_logits(difference, target, reduction="none")
    return (loss * weight).sum() / weight.sum()
