"""PPO's and VPG's updates: gradients against formulas written out, A2C as a special case, schedules."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
import torch
from torch import Tensor

from agents import ppo, vpg
from agents import rollout as rollouts
from agents.configs import PPOConfig, VPGConfig, default_config
from agents.losses import approx_kl
from agents.networks import ActorCritic
from agents.planning import value_iteration
from agents.registry import load_policy
from agents.rollout import Games, Rollout, Samples
from envs import registry
from envs.gridworld.dynamics import exact_dynamics
from envs.specs import GameSpec

SPEC = GameSpec("test", 1, 1, 1, 4, (6,), "float32")


def samples(network: ActorCritic, size: int = 40) -> Samples:
    """Decisions of the network itself, with random advantages and masks."""
    generator = torch.Generator().manual_seed(1)
    observation = torch.randn(size, 6, generator=generator)
    action = torch.randint(4, (size,), generator=generator)
    mask = torch.rand(size, 4, generator=generator) < 0.6
    mask[torch.arange(size), action] = True
    with torch.no_grad():
        logits, value = network(observation)
        log_prob = torch.log_softmax(logits.masked_fill(~mask, -1e9), -1)[torch.arange(size), action]
    advantage = 3 * torch.randn(size, generator=generator) + 1
    return Samples(observation, mask, action, log_prob, value, advantage, value + advantage)


def make(config: PPOConfig | VPGConfig) -> ActorCritic:
    network = ActorCritic(SPEC, config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.policy_head.weight.mul_(100)
    return network


def gradients(network: ActorCritic) -> list[Tensor]:
    """The gradients that the parameters hold, which they no longer do."""
    found = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    return found


def a2c_gradients(network: ActorCritic, batch: Samples, value_coef: float, entropy_coef: float) -> list[Tensor]:
    """∇ of −mean(A log π) + value_coef ½ mean((V − R)²) − entropy_coef mean(H), with torch.distributions."""
    logits, values = network(batch.observation)
    entropies, log_probs = [], []
    for row in range(len(batch.action)):
        legal = batch.mask[row].nonzero().squeeze(1)
        distribution = torch.distributions.Categorical(logits=logits[row, legal])
        log_probs.append(distribution.log_prob((legal == batch.action[row]).nonzero().squeeze()))
        entropies.append(distribution.entropy())
    loss = -(torch.stack(log_probs) * batch.advantage).mean() - entropy_coef * torch.stack(entropies).mean()
    (loss + value_coef * 0.5 * (values - batch.returns).square().mean()).backward()
    return gradients(network)


def test_one_epoch_of_one_minibatch_is_a2c() -> None:
    config = PPOConfig(
        num_epochs=1, num_minibatches=1, normalise_advantages=False, max_grad_norm=0.0, learning_rate=1.0,
        anneal_learning_rate=False, entropy_coef=0.03, final_entropy_coef=0.03, shared_trunk=True,
    )  # fmt: skip
    network = make(config)
    batch = samples(network)
    expected = a2c_gradients(network, batch, config.value_coef, config.entropy_coef)
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.SGD(network.parameters(), 1.0)
    figures = ppo.update(config, network, optimizer, batch, 0.0, torch.Generator())
    for p, old, gradient in zip(network.parameters(), before, expected, strict=True):
        torch.testing.assert_close(old - p.detach(), gradient, atol=1e-5, rtol=1e-4)
    assert float(figures["losses/approx_kl"]) == pytest.approx(0, abs=1e-6)
    assert figures["losses/clipfrac"] == 0


def test_the_loss_and_its_parts_against_float64() -> None:
    """Ratios far from 1, advantages normalised, and some decisions with one legal action alone."""
    config = PPOConfig(clip_range=0.15, value_coef=0.7)
    network = make(config)
    batch = samples(network)
    mask = batch.mask.clone()
    mask[:5] = torch.nn.functional.one_hot(batch.action[:5], 4).bool()
    moved = batch.log_prob + 0.4 * torch.randn(40, generator=torch.Generator().manual_seed(2))
    batch = batch._replace(mask=mask, log_prob=moved)
    loss, parts = ppo.ppo_loss(config, network, batch, 0.03)
    with torch.no_grad():
        logits, values = (x.double() for x in network(batch.observation))
    policy = torch.distributions.Categorical(logits=logits.masked_fill(~mask, -torch.inf))
    probabilities = policy.probs.clamp(min=1e-300)
    entropy = -(probabilities * probabilities.log()).sum(1).mean()
    ratio = (policy.log_prob(batch.action) - moved.double()).exp()
    advantage = batch.advantage.double()
    advantage = (advantage - advantage.mean()) / advantage.std()
    worse = torch.minimum(ratio * advantage, ratio.clamp(0.85, 1.15) * advantage)
    value_loss = 0.5 * (values - batch.returns.double()).square().mean()
    kl = (ratio - 1 - ratio.log()).mean()
    clipped = ((ratio - 1).abs() > 0.15).double().mean()
    expected = torch.stack([-worse.mean(), value_loss, entropy, kl, clipped])
    torch.testing.assert_close(parts.double(), expected, atol=1e-5, rtol=1e-5)
    assert loss.item() == pytest.approx((-worse.mean() + 0.7 * value_loss - 0.03 * entropy).item(), rel=1e-5)
    assert 0.2 < clipped < 0.9
    loss.backward()
    assert all(gradient.isfinite().all() for gradient in gradients(network))


def test_the_kl_estimate_is_the_divergence_on_average() -> None:
    generator = torch.Generator().manual_seed(3)
    old, new = (torch.log_softmax(torch.randn(5, generator=generator, dtype=torch.float64), 0) for _ in range(2))
    exact = (old.exp() * (old - new)).sum()
    drawn = torch.multinomial(old.exp(), 200_000, replacement=True, generator=generator)
    assert approx_kl((new - old)[drawn]).item() == pytest.approx(exact.item(), rel=0.02)


def test_policy_and_value_learn_apart_where_they_share_no_layer() -> None:
    config = PPOConfig(normalise_advantages=False, value_coef=0.0)
    network = make(config)
    batch = samples(network)
    ppo.ppo_loss(config, network, batch, 0.01)[0].backward()
    assert all(p.grad is None or p.grad.eq(0).all() for p in network.value_parameters())
    assert all(p.grad is not None and p.grad.ne(0).any() for p in network.policy_parameters())
    network.zero_grad()
    nothing_to_gain = batch._replace(advantage=torch.zeros(40))
    ppo.ppo_loss(replace(config, value_coef=0.5), network, nothing_to_gain, 0.0)[0].backward()
    assert all(p.grad is not None and p.grad.ne(0).any() for p in network.value_parameters())
    assert all(p.grad is None or p.grad.eq(0).all() for p in network.policy_parameters())


def test_ppo_leaves_alone_what_moved_too_far() -> None:
    """Samples whose ratio already left the clip range in their advantage's direction pass no policy gradient."""
    config = PPOConfig(normalise_advantages=False, value_coef=0.0)
    network = make(config)
    batch = samples(network)
    moved = batch._replace(log_prob=batch.log_prob - batch.advantage.sign() * 0.5)
    loss, parts = ppo.ppo_loss(config, network, moved, 0.0)
    loss.backward()
    assert all(gradient.eq(0).all() for gradient in gradients(network))
    assert parts[4] == 1


def test_value_clipping_is_off_unless_asked_for() -> None:
    network = make(PPOConfig())
    batch = samples(network)
    far = batch._replace(value=batch.value - 10)
    losses = [
        ppo.ppo_loss(config, network, data, 0.0)[1][1].item()
        for config in (PPOConfig(), PPOConfig(value_clip_range=0.1))
        for data in (batch, far)
    ]
    assert losses[0] == losses[1] == losses[2] != losses[3]


def test_every_sample_is_seen_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    config = PPOConfig(num_epochs=3, num_minibatches=4)
    network = make(config)
    batch = samples(network, 42)
    seen: list[Tensor] = []
    real = ppo.ppo_loss

    def spy(config: PPOConfig, network: ActorCritic, batch: Samples, entropy_coef: float) -> tuple[Tensor, Tensor]:
        seen.append(batch.advantage)
        return real(config, network, batch, entropy_coef)

    monkeypatch.setattr(ppo, "ppo_loss", spy)
    ppo.update(config, network, torch.optim.SGD(network.parameters(), 0.0), batch, 0.0, torch.Generator())
    assert len(seen) == 12
    for epoch in range(3):
        rows = torch.cat(seen[4 * epoch : 4 * epoch + 4])
        assert torch.equal(rows.sort().values, batch.advantage.sort().values)
        assert not torch.equal(rows, batch.advantage)


def test_learning_rate_and_entropy_bonus_follow_the_run() -> None:
    config = PPOConfig(learning_rate=0.4, entropy_coef=0.2, final_entropy_coef=0.1, num_epochs=1, num_minibatches=1)
    network = make(config)
    for anneal, rate in ((True, 0.1), (False, 0.4)):
        optimizer = torch.optim.SGD(network.parameters(), 0.0)
        set_to = replace(config, anneal_learning_rate=anneal)
        figures = ppo.update(set_to, network, optimizer, samples(network), 0.75, torch.Generator())
        assert figures["charts/learning_rate"] == optimizer.param_groups[0]["lr"] == pytest.approx(rate)


def test_gradients_are_held_to_the_norm() -> None:
    config = PPOConfig(num_epochs=1, num_minibatches=1, max_grad_norm=0.01, learning_rate=1.0)
    network = make(config)
    before = torch.cat([p.detach().flatten() for p in network.parameters()])
    ppo.update(config, network, torch.optim.SGD(network.parameters(), 1.0), samples(network), 0.0, torch.Generator())
    after = torch.cat([p.detach().flatten() for p in network.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_rollout_without_samples_changes_nothing() -> None:
    network = make(PPOConfig())
    empty = Samples(*(x[:0] for x in samples(network)))
    assert (
        ppo.update(PPOConfig(), network, torch.optim.SGD(network.parameters(), 1.0), empty, 0, torch.Generator()) == {}
    )


@pytest.mark.parametrize("algorithm", [ppo, vpg])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_learner_that_climbs_learns_and_one_that_descends_does_not(
    algorithm: ModuleType, sign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def advantages(games: Games, network: ActorCritic, rollout: Rollout, bootstrap: bool = True) -> Samples:
        real = rollouts.advantages(games, network, rollout, bootstrap)
        return real._replace(advantage=sign * real.advantage)

    monkeypatch.setattr(algorithm, "advantages", advantages)
    name = algorithm.__name__.rpartition(".")[2]
    env = registry.make("gridworld/recycling", 64)
    config = default_config(name, "gridworld/recycling")
    *_, last = algorithm.train(config, env, seed=0, total_steps=6000)
    solution = value_iteration(exact_dynamics(env), 0.9)
    observation = torch.as_tensor(exact_dynamics(env).observation)
    chosen = load_policy(env.spec, last.policy)(observation, torch.ones(5, 2, dtype=torch.bool)).probabilities.argmax(
        -1
    )
    optimal = chosen[1:4] == torch.as_tensor(solution.policy).argmax(-1)[1:4]
    assert bool(optimal.all()) is (sign == 1)


def test_vpg_steps_along_the_policy_gradient_and_fits_the_value_apart() -> None:
    config = VPGConfig(
        normalise_advantages=False, learning_rate=1.0, anneal_learning_rate=False, entropy_coef=0.03,
        final_entropy_coef=0.03, value_steps=1, value_minibatches=1,
    )  # fmt: skip
    network = make(config)
    batch = samples(network)
    expected = a2c_gradients(network, batch, 1.0, config.entropy_coef)
    before = [p.detach().clone() for p in network.parameters()]
    optimizers = {
        "policy": torch.optim.SGD(network.policy_parameters(), 1.0),
        "value": torch.optim.SGD(network.value_parameters(), 1.0),
    }
    vpg.update(config, network, optimizers, batch, 0.0, torch.Generator())
    for p, old, gradient in zip(network.parameters(), before, expected, strict=True):
        torch.testing.assert_close(old - p.detach(), gradient, atol=1e-5, rtol=1e-4)


def test_reinforce_fits_no_value() -> None:
    config = VPGConfig(baseline=False)
    network = make(config)
    batch = samples(network)
    optimizers = {
        "policy": torch.optim.SGD(network.policy_parameters(), 1.0),
        "value": torch.optim.SGD(network.value_parameters(), 1.0),
    }
    before = [p.detach().clone() for p in network.value_parameters()]
    figures = vpg.update(config, network, optimizers, batch, 0.0, torch.Generator())
    assert "losses/value_loss" not in figures
    assert all(torch.equal(p, old) for p, old in zip(network.value_parameters(), before, strict=True))


def test_vpg_takes_as_many_value_steps_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    config = VPGConfig(value_steps=7, value_minibatches=3)
    network = make(config)
    value = torch.optim.SGD(network.value_parameters(), 0.1)
    steps = []
    monkeypatch.setattr(value, "step", lambda: steps.append(1))
    policy = torch.optim.SGD(network.policy_parameters(), 0.1)
    vpg.update(config, network, {"policy": policy, "value": value}, samples(network), 0.0, torch.Generator())
    assert len(steps) == 7
