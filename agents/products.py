"""Which matrix products this processor and this torch have."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F


@functools.cache
def has_bfloat16(device: str) -> bool:
    """Whether this type of device multiplies in bfloat16: a CPU that only imitates it takes up to ten times as long as
    over float32. Whoever is to compute in bfloat16 computes in float32 there."""
    if device != "cpu":
        return True
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has for name, has in capabilities.items() if name.endswith("bf16"))


@functools.cache
def has_avx512() -> bool:
    """Whether this torch uses vectors of 512 bits on this CPU."""
    return bool(torch.backends.cpu.get_cpu_capability() == "AVX512")


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
