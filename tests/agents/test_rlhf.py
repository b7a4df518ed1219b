"""RLHF: the rewards of tokens by hand, KL against the whole vocabulary, learning, exact resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from agents import returns, rlhf
from agents.feedback_configs import RLHFConfig
from agents.metrics import Metrics
from agents.scoring import Scorer, load_model_state, model_state
from agents.sequences import Sequences
from agents.transformer import TextModel

Tiny = Callable[[int], TextModel]
PROMPTS = [[0, 40, 41], [0, 50], [0, 60, 61, 62]]
WANTED = range(100, 140)
CONFIG = RLHFConfig(
    rollout_size=32, max_new_tokens=8, learning_rate=3e-3, num_epochs=2, num_minibatches=2, kl_coef=0.02
)


def count_wanted(sequences: Sequences) -> Tensor:
    return ((sequences.tokens >= WANTED.start) & (sequences.tokens < WANTED.stop) & sequences.mask).sum(1).float()


def run(
    model: TextModel, reference: TextModel, config: RLHFConfig = CONFIG, steps: int = 96, **more: Any
) -> list[Metrics]:
    return list(rlhf.train(config, model, reference, PROMPTS, count_wanted, seed=1, total_steps=steps, **more))


def test_token_rewards_by_hand() -> None:
    log_prob = torch.tensor([[-1.0, -2.0, 0.0], [-3.0, 0.0, 0.0]])
    reference = torch.tensor([[-1.5, -1.0, 0.0], [-5.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    found = rlhf.token_rewards(log_prob, reference, torch.tensor([7.0, -1.0]), mask, 0.1)
    # where the policy is surer than the reference the penalty is negative
    assert torch.allclose(found, torch.tensor([[-0.05, 7.1, 0.0], [-1.2, 0.0, 0.0]]))


def test_advantages_are_the_games_own_and_stop_at_the_end() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(2, 5, generator=generator), torch.randn(2, 5, generator=generator)
    lengths = [5, 3]
    mask = torch.arange(5) < torch.tensor(lengths).unsqueeze(1)
    found = rlhf.token_advantages(rewards * mask, values * mask, mask, 0.9, 0.8)
    for row, length in enumerate(lengths):
        last = torch.arange(length) == length - 1
        r, v = rewards[row, :length, None], values[row, :length, None]
        none = torch.zeros(length, 1, dtype=torch.bool)
        alone = returns.gae(r, v, last[:, None], none, torch.zeros_like(v), torch.zeros(1), 0.9, 0.8)
        assert torch.allclose(found[row, :length], alone.squeeze(1), atol=1e-6)
        assert not found[row, length:].any()


def test_kl_estimate_is_the_exact_one_on_average_and_positive(tiny_model: Tiny) -> None:
    """Σ (log π − log π_ref) of sampled tokens, against the divergence over the whole vocabulary at each state."""
    policy, reference = tiny_model(0), tiny_model(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    config = dataclasses.replace(CONFIG, rollout_size=512, max_new_tokens=4)
    learner = rlhf.new_learner(config, policy, reference, seed=2)
    rollout = rlhf.collect_rollout(learner, PROMPTS, count_wanted)
    sequences = rollout.sequences
    with torch.no_grad():
        log_p, log_q = (
            scorer.log_softmax(scorer.hidden(sequences), 1.0) for scorer in (Scorer(policy), Scorer(reference))
        )
    exact = torch.zeros(sequences.mask.shape)
    exact[sequences.mask] = (log_p.exp() * (log_p - log_q)).sum(-1)
    exact = exact.sum(1)
    error = (rollout.kl - exact).std() / 512**0.5
    assert float(exact.mean()) > 5 * float(error), "the test would not see a wrong sign"
    assert float(rollout.kl.mean()) == pytest.approx(float(exact.mean()), abs=4 * float(error))


@torch.no_grad()
def test_a_rollout_hands_over_what_a_second_look_would_find(tiny_model: Tiny) -> None:
    policy = tiny_model(0)
    learner = rlhf.new_learner(dataclasses.replace(CONFIG, temperature=0.7), policy, tiny_model(1), seed=0)
    learner.value_head.weight.fill_(0.1)
    rollout = rlhf.collect_rollout(learner, PROMPTS, count_wanted)
    sequences = rollout.sequences
    again = Scorer(policy).log_probs(sequences, 0.7)
    assert torch.allclose(rollout.log_prob, again, atol=1e-4)
    values = learner.value_head(Scorer(policy).hidden(sequences)).squeeze(-1)
    assert torch.allclose(rollout.value[sequences.mask], values, atol=1e-4)
    assert not rollout.value[~sequences.mask].any()
    assert rollout.ended.tolist() == [1 in row for row in sequences.tokens.tolist()]


def test_the_value_head_begins_at_zero_and_the_policy_as_the_reference(tiny_model: Tiny) -> None:
    learner = rlhf.new_learner(CONFIG, tiny_model(0), tiny_model(0), seed=0)
    rollout = rlhf.collect_rollout(learner, PROMPTS, count_wanted)
    assert not rollout.value.any()
    assert float(rollout.kl.abs().max()) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.usefixtures("bfloat16")
def test_it_learns_to_be_rewarded(tiny_model: Tiny, half: bool) -> None:
    reports = run(tiny_model(0), tiny_model(0), dataclasses.replace(CONFIG, bfloat16=half), steps=640)
    first, last = reports[0].values, reports[-1].values
    assert last["charts/reward"] > first["charts/reward"] + 1.0
    assert last["charts/kl"] > 1.0
    assert reports[-1].step == 640


def test_the_penalty_for_not_ending_is_felt(tiny_model: Tiny) -> None:
    config = dataclasses.replace(CONFIG, end_penalty=5.0, kl_coef=0.0)
    policy = tiny_model(0)

    def nothing(sequences: Sequences) -> Tensor:
        return torch.zeros(sequences.size)

    reports = list(rlhf.train(config, policy, tiny_model(0), PROMPTS, nothing, seed=0, total_steps=480))
    assert reports[-1].values["charts/ended"] > reports[0].values["charts/ended"] + 0.4


def test_resumed_equals_uninterrupted(tiny_model: Tiny) -> None:
    config = dataclasses.replace(CONFIG, adaptive_kl=True, whiten_rewards=True, frozen_layers=1)
    straight = tiny_model(0)
    whole = run(straight, tiny_model(0), config, steps=128, checkpoint_steps=64)
    state = next(report.state for report in whole if report.step == 64)
    resumed = tiny_model(5)
    load_model_state(resumed, model_state(tiny_model(0)))
    rest = run(resumed, tiny_model(0), config, steps=128, checkpoint_steps=64, resume=state)
    assert [report.step for report in rest] == [96, 128]
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    speed = {"charts/SPS"}
    for left, right in zip(whole[-2:], rest, strict=True):
        assert {k: v for k, v in left.values.items() if k not in speed} == {
            k: v for k, v in right.values.items() if k not in speed
        }


def test_it_stops_by_itself_at_the_budget(tiny_model: Tiny) -> None:
    config = dataclasses.replace(CONFIG, kl_coef=0.0, kl_budget=2.0)
    reports = run(tiny_model(0), tiny_model(0), config, steps=6400)
    assert reports[-1].step < 6400
    assert reports[-1].state is not None
    assert reports[-1].values["charts/kl"] >= 2.0
    assert all(report.values["charts/kl"] < 2.0 for report in reports[:-1])
    assert "losses/policy_loss" not in reports[-1].values, "no update follows"


def test_the_controller_steers_towards_its_target() -> None:
    config = dataclasses.replace(CONFIG, kl_target=6.0, kl_horizon=10_000.0)
    assert rlhf.adapted_kl_coef(config, 0.15, 6.0, 256) == 0.15
    assert rlhf.adapted_kl_coef(config, 0.15, 6.6, 1000) == pytest.approx(0.15 * 1.01)
    assert rlhf.adapted_kl_coef(config, 0.15, 60.0, 1000) == pytest.approx(0.15 * 1.02), "the error is held to ±0.2"
    assert rlhf.adapted_kl_coef(config, 0.15, 0.0, 1000) == pytest.approx(0.15 * 0.98)
