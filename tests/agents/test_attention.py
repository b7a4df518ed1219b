"""Attention and GELU against torch's own in float64, values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from agents.attention import SHORT, attend, gelu


def values_and_gradients(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in inputs]
    output = function(*leaves)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    (output * weights.to(output.dtype)).sum().backward()
    return [output.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def some_mask(rows: int, queries: int, tokens: int) -> Tensor:
    """[rows, 1, queries, tokens]: causal, with the first tokens of some rows left out."""
    seen = torch.ones(rows, 1, queries, tokens, dtype=torch.bool).tril(tokens - queries)
    seen[0, :, 1:, :2] = False
    seen[..., -1] |= ~seen.any(-1)
    return seen


@pytest.mark.parametrize(
    ("queries", "tokens", "masked"),
    [(7, 7, True), (7, 7, False), (3, 9, True), (SHORT + 1, SHORT + 1, True), (SHORT + 1, SHORT + 1, False)],
)
def test_attention_is_torchs(queries: int, tokens: int, masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(2, length, 3, 4, generator=generator, dtype=torch.float64).transpose(1, 2)
        for length in (queries, tokens, tokens)
    )
    mask = some_mask(2, queries, tokens) if masked else None
    expected = values_and_gradients(
        lambda *x: F.scaled_dot_product_attention(*x, attn_mask=mask, is_causal=mask is None), q, k, v
    )
    found = values_and_gradients(lambda *x: attend(*x, mask), q.float(), k.float(), v.float())
    assert len(found) == 4
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=2e-5, rtol=1e-4)


def test_under_autocast_attention_stays_in_float32() -> None:
    q, k, v = torch.randn(3, 1, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        rough = attend(q.bfloat16(), k.bfloat16(), v, None)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, attend(q.bfloat16().float(), k.bfloat16().float(), v, None))


@pytest.mark.parametrize("approximate", ["tanh", "none"])
def test_gelu_is_torchs(approximate: str) -> None:
    x = torch.cat([torch.linspace(-30, 30, 121), torch.linspace(-3, 3, 600)]).double()
    expected = values_and_gradients(lambda x: F.gelu(x, approximate=approximate), x)
    found = values_and_gradients(lambda x: gelu(x, approximate), x.float())
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=1e-5, rtol=1e-5)
