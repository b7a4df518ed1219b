"""Muon: what its iterations make of a matrix, and its steps beside torch's own."""

from __future__ import annotations

import pytest
import torch

from agents.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_singular_values_become_one_and_vectors_stay(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = left.mT @ orthogonal(matrices) @ right.mT
    values = found.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.5
    assert values.max() < 1.3
    assert torch.allclose(found, torch.diag_embed(values), atol=1e-4)


def test_it_steps_as_torchs_own_does() -> None:
    """torch's computes in bfloat16, so steps (entries of about 0.02) agree to some per cent."""
    chance = torch.Generator().manual_seed(0)
    shapes, scales = ((6, 24), (24, 6), (6, 24), (5, 5)), (1.0, 10.0, 0.1, 3.0)
    ours = [torch.nn.Parameter(torch.randn(shape, generator=chance)) for shape in shapes]
    theirs = [torch.nn.Parameter(own.detach().clone()) for own in ours]
    beside = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.5, adjust_lr_fn="match_rms_adamw")
    optimizer = Muon(ours, lr=0.1, weight_decay=0.5)
    for number in range(3):
        for place, (own, other) in enumerate(zip(ours, theirs, strict=True)):
            own.grad = other.grad = None
            if number or place != 2:  # one of two alike has no gradient at first
                own.grad = scales[place] * torch.randn(own.shape, generator=chance)
                other.grad = own.grad.clone()
        before = [own.detach().clone() for own in ours]
        optimizer.step()
        beside.step()
        for own, other, old in zip(ours, theirs, before, strict=True):
            assert torch.allclose(own, other, atol=4e-3)
            assert own.grad is None or float((own - 0.95 * old).detach().std()) == pytest.approx(0.02, rel=0.3)
    assert torch.equal(orthogonal(torch.zeros(1, 2, 3)), torch.zeros(1, 2, 3))
