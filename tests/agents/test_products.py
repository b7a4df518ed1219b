"""oneDNN's products equal torch's own, gradients included, whatever the layout."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from agents import products


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_a_product_and_its_gradients_equal_torchs(with_bias: bool, turned: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 7, 33, generator=generator, requires_grad=True)
    stored = torch.randn(33, 70, generator=generator) if turned else torch.randn(70, 33, generator=generator)
    stored.requires_grad_()
    weight = stored.T if turned else stored  # GPT-2 stores its matrices the other way round
    bias = torch.randn(70, generator=generator, requires_grad=True) if with_bias else None
    leaves = [x, stored] if bias is None else [x, stored, bias]
    wanted = torch.randn(3, 7, 70, generator=generator)
    sides = [multiply(x, weight, bias) for multiply in (products.linear, F.linear)]
    torch.testing.assert_close(sides[0], sides[1], atol=1e-5, rtol=1e-5)
    ours, theirs = (torch.autograd.grad(side, leaves, wanted, retain_graph=True) for side in sides)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_what_needs_no_gradient_gets_none() -> None:
    x, weight = torch.randn(4, 8, requires_grad=True), torch.randn(5, 8)
    products.linear(x, weight).sum().backward()
    assert x.grad is not None
    assert weight.grad is None
