"""Gradient descent: one step of an optimizer on a loss.

It is torch's `backward`, `clip_grad_norm_`, `step` and `zero_grad`. Of Adam and AdamW with `fused=True` it is so in a
few calls: on a small network what torch does around the arithmetic takes as long as the network's own passes. State
and settings stay the optimizer's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.adam import adam


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, max_grad_norm: float = 0.0) -> None:
    """Take one step down the gradient of a scalar loss, scaled down to this norm where it is larger (0: never).

    No gradients are left behind. Parameters that the loss does not depend on stay as they are.
    """
    loss.backward()
    step(optimizer, max_grad_norm)


@torch.no_grad()
def step(optimizer: torch.optim.Optimizer, max_grad_norm: float) -> None:
    """Take one step with the gradients that the parameters hold, and drop these."""
    moved = [[p for p in group["params"] if p.grad is not None] for group in optimizer.param_groups]
    scale = None
    if max_grad_norm > 0:
        norms = torch._foreach_norm([p.grad for parameters in moved for p in parameters])
        scale = (torch.stack(norms).norm() / max_grad_norm).clamp_(min=1.0)
    if not optimizer.defaults.get("fused"):
        if scale is not None:
            torch._foreach_div_([p.grad for parameters in moved for p in parameters], scale)
        optimizer.step()
        optimizer.zero_grad()
        return
    for group, parameters in zip(optimizer.param_groups, moved, strict=True):
        states = [optimizer.state[parameter] for parameter in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state["step"] = torch.zeros((), device=parameter.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                assert state["exp_avg"].stride() == parameter.stride(), "fused, all are read as they lie in memory"
        beta1, beta2 = group["betas"]
        adam(
            parameters,
            [p.grad for p in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            grad_scale=scale,
            amsgrad=False,
            maximize=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            decoupled_weight_decay=group["decoupled_weight_decay"],
        )
        for parameter in parameters:
            parameter.grad = None
