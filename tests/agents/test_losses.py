"""Losses and masked distributions against float64 references; gradients flow only where they should."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from agents import losses


def batch(size: int, actions: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """(logits [B, A] with gradient, mask [B, A] with a legal action in every row, legal action [B])."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size, actions, generator=generator)
    mask = torch.rand(size, actions, generator=generator) < 0.5
    action = torch.randint(actions, (size,), generator=generator)
    mask[torch.arange(size), action] = True
    return logits.requires_grad_(), mask, action


def test_masked_distribution_equals_one_over_the_legal_actions_alone() -> None:
    logits, mask, action = batch(50, 6)
    log_p = losses.masked_log_softmax(logits, mask).detach()
    taken, entropies = losses.log_prob(log_p, action), losses.entropy(log_p)
    for row in range(50):
        legal = mask[row].nonzero().squeeze(1)
        p = torch.softmax(logits[row, legal].detach().double(), 0)
        assert float(entropies[row]) == pytest.approx(float(-(p * p.log()).sum()), abs=1e-5)
        assert float(taken[row]) == pytest.approx(float(p[(legal == action[row]).nonzero()].log()), abs=1e-5)
    assert log_p.exp()[~mask].eq(0).all()


def test_one_legal_action_gives_no_nan_in_value_or_gradient() -> None:
    logits = torch.tensor([[50.0, -50.0, 1e4]], requires_grad=True)
    mask = torch.tensor([[False, True, False]])
    log_p = losses.masked_log_softmax(logits, mask)
    entropy, taken = losses.entropy(log_p), losses.log_prob(log_p, torch.tensor([1]))
    assert entropy.item() == taken.item() == 0
    (entropy + taken).sum().backward()
    assert logits.grad is not None
    assert logits.grad.eq(0).all()


def test_illegal_actions_pass_no_gradient() -> None:
    logits, mask, action = batch(30, 6)
    log_p = losses.masked_log_softmax(logits, mask)
    (losses.log_prob(log_p, action).sum() + losses.entropy(log_p).sum()).backward()
    assert logits.grad is not None
    assert logits.grad[~mask].eq(0).all()
    assert logits.grad[mask].ne(0).any()


def test_samples_follow_the_masked_probabilities() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, 9.0]).expand(40_000, 4)
    mask = torch.tensor([True, True, True, False]).expand(40_000, 4)
    actions = losses.sample_masked(logits, mask, torch.Generator().manual_seed(0))
    frequencies = torch.bincount(actions, minlength=4) / 40_000
    torch.testing.assert_close(frequencies, losses.masked_log_softmax(logits, mask)[0].exp(), atol=0.01, rtol=0)
    assert frequencies[3] == 0


def test_clipped_policy_loss_and_its_gradient() -> None:
    """Beyond the clip range in the advantage's direction the gradient is zero, elsewhere −r A / B."""
    ratio = torch.tensor([1.0, 1.5, 0.5, 1.5, 0.5], dtype=torch.float64)
    advantage = torch.tensor([2.0, 2.0, 2.0, -2.0, -2.0], dtype=torch.float64)
    new = ratio.log().requires_grad_()
    result = losses.clipped_policy_loss(new, torch.zeros(5, dtype=torch.float64), advantage, 0.2)
    assert result.loss.item() == pytest.approx(-(2.0 + 1.2 * 2 + 0.5 * 2 + 1.5 * -2 + 0.8 * -2) / 5)
    result.loss.backward()
    assert new.grad is not None
    assert new.grad.tolist() == pytest.approx([-2.0 / 5, 0.0, -0.5 * 2 / 5, 1.5 * 2 / 5, 0.0])
    assert result.clip_fraction.item() == pytest.approx(4 / 5)
    kl = sum(r - 1 - math.log(r) for r in ratio.tolist()) / 5
    assert result.approx_kl.item() == pytest.approx(kl)
    assert not result.approx_kl.requires_grad


def test_where_nothing_moved_the_clipped_gradient_is_the_policy_gradient() -> None:
    old = torch.randn(16, dtype=torch.float64)
    advantage = torch.randn(16, dtype=torch.float64)
    one, two = old.clone().requires_grad_(), old.clone().requires_grad_()
    losses.clipped_policy_loss(one, old, advantage, 0.2).loss.backward()
    losses.policy_gradient_loss(two, advantage).backward()
    torch.testing.assert_close(one.grad, two.grad)


def test_advantages_returns_and_old_figures_carry_no_gradient() -> None:
    inputs = [torch.randn(8).requires_grad_() for _ in range(5)]
    new, old, advantage, value, returns = inputs
    total = losses.clipped_policy_loss(new, old, advantage, 0.2).loss + losses.policy_gradient_loss(new, advantage)
    total = total + losses.value_loss(value, returns) + losses.clipped_value_loss(value, value.detach(), returns, 0.1)
    total.backward()
    assert [x.grad is not None for x in inputs] == [True, False, False, True, False]


def test_value_losses() -> None:
    values, old, returns = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 3.0]), torch.tensor([2.0, 5.0])
    assert losses.value_loss(values, returns).item() == pytest.approx((1 + 4) / 4)
    # The first value moved by 1, is held at 0.5: its error is the larger, 1.5².
    assert losses.clipped_value_loss(values, old, returns, 0.5).item() == pytest.approx((1.5**2 + 4) / 4)


def test_explained_variance() -> None:
    returns = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert losses.explained_variance(returns, returns).item() == 1
    assert losses.explained_variance(torch.full((4,), 7.0), returns).item() == pytest.approx(0)
    assert losses.explained_variance(returns, torch.ones(4)).item() == 0


def test_normalise() -> None:
    x = losses.normalise(torch.tensor([1.0, 2.0, 6.0]))
    assert x.mean().item() == pytest.approx(0, abs=1e-6)
    assert x.std().item() == pytest.approx(1, abs=1e-6)
    assert losses.normalise(torch.tensor([3.0])).tolist() == [3.0]


def test_even_infinite_noise_draws_no_illegal_action(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "exponential_", lambda self, generator=None: self.zero_())
    mask = torch.tensor([[False, True, False], [False, False, True]])
    assert losses.sample_masked(torch.zeros(2, 3), mask).tolist() == [1, 2]


def test_log_prob_and_entropy_together_equal_the_two_alone() -> None:
    logits, _, action = batch(50, 6)
    taken, entropies = losses.log_prob_and_entropy(logits, action)
    (taken * torch.arange(50)).sum().backward()
    found, logits.grad = logits.grad, None
    log_probabilities = torch.log_softmax(logits, -1)
    (losses.log_prob(log_probabilities, action) * torch.arange(50)).sum().backward()
    torch.testing.assert_close(taken, losses.log_prob(log_probabilities, action))
    torch.testing.assert_close(entropies, losses.entropy(log_probabilities))
    torch.testing.assert_close(found, logits.grad)
    assert not entropies.requires_grad
