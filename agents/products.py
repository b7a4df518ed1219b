"""Matrix products: by oneDNN, faster than torch's default on many x86 CPUs, and where bfloat16 pays."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """[..., out]: x Wᵀ + b of x [..., in], W [out, in], b [out], with gradient; as `F.linear`.

    In float32 on the CPU product and gradient of x are oneDNN's, where it has them.
    """
    float32 = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    if not float32 or torch.is_autocast_enabled("cpu") or not can_pack(torch.float32):
        return F.linear(x, weight, bias)
    product: Tensor = _Linear.apply(x, weight, bias)
    return product


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _multiply(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        flat = gradient.reshape(-1, gradient.shape[-1])
        return (
            _multiply(gradient, weight.T, None) if for_x else None,
            flat.T @ x.reshape(-1, x.shape[-1]) if for_weight else None,
            flat.sum(0) if for_bias else None,
        )


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight.contiguous(), bias, "none", [], "")
    return product


@functools.cache
def has_bfloat16(device: str) -> bool:
    """Whether this type of device multiplies in bfloat16: a CPU that only imitates it takes up to ten times as long as
    over float32. Whoever is to compute in bfloat16 computes in float32 there."""
    if device != "cpu":
        return True
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has for name, has in capabilities.items() if name.endswith("bf16"))


@functools.cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch multiplies by oneDNN, reordered matrices too, rightly in this type on this CPU."""
    weight = torch.linspace(-1, 1, 48 * 32).view(48, 32).to(dtype)
    x, bias = torch.linspace(-1, 1, 3 * 32).view(3, 32).to(dtype), torch.linspace(-1, 1, 48).to(dtype)
    try:
        ordered = torch.ops.mkldnn._reorder_linear_weight(weight, None)
        products = [
            torch.ops.mkldnn._linear_pointwise(x, matrix, bias, "gelu", [], "tanh") for matrix in (ordered, weight)
        ]
    except (AttributeError, RuntimeError):
        return False
    expected = F.gelu(F.linear(x.float(), weight.float(), bias.float()), approximate="tanh")
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    return all(torch.allclose(product.float(), expected, atol=tolerance) for product in products)
