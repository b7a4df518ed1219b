"""Scaled dot product attention with gradient, and the GELU after it, as a CPU is quick at them.

B rows, H heads, Q queries, T tokens, D numbers a head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SHORT = 64
"""Tokens up to which all scores are kept for the gradient: beyond, they are more than what they are made of."""
_SLOPE, _CUBE = math.sqrt(8 / math.pi), math.sqrt(8 / math.pi) * 0.044715


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """q [B, H, Q, D], k and v [B, H, T, D] → [B, H, Q, D].

    `mask` [B, 1, Q, T] is True where a query sees a token, at least one each; without one each token sees itself and
    those before it. Under autocast a CPU stays in float32: in bfloat16 the gradient takes it five times as long.
    """
    if q.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return attend(q.float(), k.float(), v.float(), mask)
    if q.device.type != "cpu" or q.dtype != torch.float32 or k.shape[2] > SHORT:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
    if mask is None:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    mixed: Tensor = _Attention.apply(q, k, v, torch.zeros(mask.shape).masked_fill_(~mask, -torch.inf))
    return mixed


class _Attention(torch.autograd.Function):
    """By batched products: over few tokens the gradient takes half of the time of torch's own."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        lead, scale = q.shape[:2], q.shape[-1] ** -0.5
        q, k, v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
        scores = (q @ k.mT).unflatten(0, lead)
        shares = torch.add(bias, scores, alpha=scale, out=scores).softmax(-1).flatten(0, 1)
        ctx.save_for_backward(q, k, v, shares)
        return (shares @ v).unflatten(0, lead)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, shares = ctx.saved_tensors
        lead = gradient.shape[:2]
        gradient = gradient.flatten(0, 1)
        for_scores = torch._softmax_backward_data(gradient @ v.mT, shares, -1, shares.dtype)
        for_scores.mul_(q.shape[-1] ** -0.5)
        found = (for_scores @ k, for_scores.mT @ q, shares.mT @ gradient)
        for_q, for_k, for_v = (x.unflatten(0, lead) for x in found)
        return for_q, for_k, for_v, None


def gelu(x: Tensor, approximate: str) -> Tensor:
    """Gaussian error linear units (Hendrycks, Gimpel 2016), "none" (exact) or with "tanh", as `F.gelu`."""
    if approximate != "tanh" or x.dtype != torch.float32 or x.device.type != "cpu":
        return F.gelu(x, approximate=approximate)
    activated: Tensor = _TanhGELU.apply(x)
    return activated


class _TanhGELU(torch.autograd.Function):
    """x σ(u), u = √(8/π) (x + 0.044715 x³), which is ½ x (1 + tanh(u/2)): torch's σ is much quicker than its tanh."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        share = torch.addcmul(x.new_tensor(_SLOPE), x, x, value=_CUBE).mul_(x).sigmoid_()
        y = x * share
        ctx.save_for_backward(x, share, y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, share, y = ctx.saved_tensors
        slope = torch.addcmul(x.new_tensor(_SLOPE), x, x, value=3 * _CUBE)  # du/dx
        rest = torch.addcmul(y, y, share, value=-1)  # x σ (1 − σ)
        return torch.addcmul(share, rest, slope, out=slope).mul_(gradient)
