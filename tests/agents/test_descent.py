"""One step down a gradient is torch's own: the same moves, whatever the groups, layouts and norms."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from agents.descent import descend


class Net(nn.Module):
    """A picture's convolution, a layer, and a parameter that nothing depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.see = nn.Conv2d(2, 4, 3)
        self.think = nn.Linear(16, 3)
        self.idle = nn.Parameter(torch.ones(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.think(torch.relu(self.see(x)).flatten(1))


def optimizer_of(net: Net, kind: type[torch.optim.Adam], fused: bool) -> torch.optim.Adam:
    groups = [
        {"params": net.see.parameters(), "lr": 0.02},
        {"params": [*net.think.parameters(), net.idle], "lr": 0.005},
    ]
    return kind(groups, eps=1e-5, betas=(0.8, 0.95), weight_decay=0.1, fused=fused)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("max_grad_norm", [0.0, 0.1, 1e6])
def test_a_step_is_the_one_that_torch_takes(kind: type[torch.optim.Adam], max_grad_norm: float, fused: bool) -> None:
    torch.manual_seed(0)
    ours = Net().to(memory_format=torch.channels_last)
    theirs = copy.deepcopy(ours)
    our_optimizer, their_optimizer = optimizer_of(ours, kind, fused), optimizer_of(theirs, kind, fused)
    for _ in range(5):
        x = torch.randn(8, 2, 4, 4).contiguous(memory_format=torch.channels_last)
        descend(our_optimizer, ours(x).square().sum(), max_grad_norm)
        their_optimizer.zero_grad()
        theirs(x).square().sum().backward()
        if max_grad_norm:
            nn.utils.clip_grad_norm_(theirs.parameters(), max_grad_norm)
        their_optimizer.step()
    for (name, own), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5, msg=name)
        assert own.grad is None
    assert torch.equal(ours.idle, torch.ones(5))
    kept, expected = our_optimizer.state_dict(), their_optimizer.state_dict()
    assert kept["state"].keys() == expected["state"].keys()
    for place, state in expected["state"].items():
        assert kept["state"][place].keys() == state.keys()
        assert kept["state"][place]["step"] == 5
        torch.testing.assert_close(kept["state"][place]["exp_avg"], state["exp_avg"], rtol=1e-3, atol=1e-5)


def test_the_norm_is_of_all_groups_together() -> None:
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([{"params": [a]}, {"params": [b]}], lr=1.0, betas=(0.5, 0.5), eps=1.0, fused=True)
    descend(optimizer, (3 * a + 4 * b).sum(), max_grad_norm=1.0)
    # gradients of 0.6 and 0.8; Adam's first step is g / (|g| + ε)
    assert [a.item(), b.item()] == pytest.approx([-0.6 / 1.6, -0.8 / 1.8])
