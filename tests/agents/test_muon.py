"""Muon: what its iterations make of a matrix, and two steps by hand."""

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
    assert torch.equal(orthogonal(torch.zeros(1, *shape)), torch.zeros(1, *shape))


def test_two_steps_by_hand() -> None:
    weight = torch.nn.Parameter(torch.eye(2, 8))
    alone = torch.nn.Parameter(torch.ones(3, 3))  # never has a gradient: never moves
    optimizer = Muon([weight, alone], lr=0.1, weight_decay=0.5)
    expected, mean = torch.eye(2, 8), torch.zeros(2, 8)
    for number in range(2):
        gradient = torch.randn(2, 8, generator=torch.Generator().manual_seed(number))
        weight.grad = gradient
        optimizer.step()
        mean = 0.95 * mean + 0.05 * gradient
        step = orthogonal((0.05 * gradient + 0.95 * mean).unsqueeze(0))[0]
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * 0.2 * 8**0.5 * step
        assert torch.allclose(weight, expected, atol=1e-6)
    assert torch.equal(alone, torch.ones(3, 3))
