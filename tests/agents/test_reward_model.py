"""Reward model and DPO: a planted preference is learnt, ties pull together, resume is exact; calibration by hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from agents import calibration, dpo, losses, reward_model
from agents.feedback_configs import DPOConfig, RewardConfig
from agents.reward_model import Comparison, RewardModel
from agents.scoring import Scorer
from agents.sequences import Sequences, make_sequences
from agents.transformer import TextModel
from envs.errors import ArenaError

Tiny = Callable[[int], TextModel]
REWARD = RewardConfig(members=2, num_epochs=6, prompts_per_batch=4, learning_rate=3e-3, certainty=1.0)


def planted(prompts: int, seed: int = 0) -> tuple[Sequences, list[Comparison]]:
    """Four completions a prompt; of two, the one with token 70 in it is preferred."""
    rng = np.random.default_rng(seed)
    heads, tails, comparisons = [], [], []
    for prompt in range(prompts):
        head = [0, *rng.integers(40, 60, 3).tolist()]
        for number in range(4):
            tail = rng.integers(80, 120, 4).tolist()
            if number % 2:
                tail[int(rng.integers(4))] = 70
            heads.append(head)
            tails.append([*tail, 1])
        first = 4 * prompt
        for a, b in ((0, 1), (3, 2), (0, 3)):
            comparisons.append(Comparison(prompt, first + a, first + b, float(a % 2)))
    return make_sequences(heads, tails, fill=2), comparisons


def fresh(model: TextModel, members: int = 2, readout: str = "last") -> RewardModel:
    return RewardModel.fresh(model, members, torch.Generator().manual_seed(0), readout)


def test_preference_loss_by_hand() -> None:
    difference, target = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([1.0, 0.5, 0.0])
    weight = torch.tensor([1.0, 2.0, 0.0])
    p = torch.sigmoid(difference)
    expected = (-p[0].log() + 2 * (-0.5 * p[1].log() - 0.5 * (1 - p[1]).log())) / 3
    assert float(losses.preference_loss(difference, target, weight)) == pytest.approx(float(expected), abs=1e-6)


def test_new_heads_have_the_stated_spread(tiny_model: Tiny) -> None:
    heads = fresh(tiny_model(0), 64).heads
    assert float(heads.weight.detach().std()) == pytest.approx(1 / math.sqrt(33), rel=0.1)
    assert not heads.bias.any()
    assert not fresh(tiny_model(0), 64, "mean+sum").heads.weight[:, 32:].any()


@pytest.mark.parametrize("readout", ["mean+sum", "mean", "last"])
def test_it_learns_a_planted_preference_of_prompts_it_has_not_seen(tiny_model: Tiny, readout: str) -> None:
    sequences, comparisons = planted(48)
    rewarder = fresh(tiny_model(0), readout=readout)
    known = [c for c in comparisons if c.prompt < 40]
    reports = list(reward_model.train(REWARD, rewarder, sequences, known, seed=0))
    assert reports[-1].values["losses/preference"] < 0.5 * reports[0].values["losses/preference"]
    rewards = rewarder.reward(sequences).numpy()
    unseen = [c for c in comparisons if c.prompt >= 40]
    difference = np.array([rewards[c.a] - rewards[c.b] for c in unseen])
    assert calibration.accuracy(difference, np.array([c.target for c in unseen])) > 0.9


def test_a_sum_tells_how_often(tiny_model: Tiny) -> None:
    """Of two answers with the same share of a token, the one that has it oftener is preferred."""
    rng = np.random.default_rng(0)
    heads, tails, comparisons = [], [], []
    for prompt in range(40):
        for times in (1, 3):
            heads.append([0, *rng.integers(40, 60, 3).tolist()])
            tails.append([70, 71] * times)
        comparisons.append(Comparison(prompt, 2 * prompt, 2 * prompt + 1, 0.0))
    sequences = make_sequences(heads, tails, fill=2)
    rewarder = fresh(tiny_model(0), readout="mean+sum")
    for parameter in rewarder.model.parameters():
        parameter.requires_grad_(False)
    list(reward_model.train(REWARD, rewarder, sequences, comparisons, seed=0))
    total = rewarder.heads.weight.detach()[:, 32:]
    assert total.norm() > 0.1
    rewards = rewarder.reward(sequences)
    assert bool((rewards[1::2] > rewards[::2]).all())


@pytest.mark.parametrize("readout", ["mean+sum", "mean", "last"])
def test_reward_is_the_same_whatever_the_padding(tiny_model: Tiny, readout: str) -> None:
    rewarder = fresh(tiny_model(0), 3, readout)
    torch.nn.init.normal_(rewarder.heads.weight, 0.0, 0.2, torch.Generator().manual_seed(1))
    heads, tails = [[0, 40], [0, 41, 42, 43]], [[70, 71, 72, 1], [73, 1]]
    both = rewarder.scores(make_sequences(heads, tails, fill=2))
    for row in range(2):
        alone = rewarder.scores(make_sequences([heads[row]], [tails[row]], fill=2))
        assert torch.allclose(both[row], alone[0], atol=1e-5)
        tokens = torch.tensor([heads[row] + tails[row]])
        hidden = rewarder.model.hidden(tokens, torch.ones_like(tokens, dtype=torch.bool))[0]
        own = hidden[len(heads[row]) :]
        reads = {"last": hidden[-1], "mean": own.mean(0), "mean+sum": torch.cat([own.mean(0), own.sum(0) / 16])}
        assert torch.allclose(both[row], rewarder.heads(reads[readout]), atol=1e-5)
    nothing = rewarder.scores(make_sequences(heads, [[], []], fill=2))
    ends = torch.stack([rewarder.model.hidden(torch.tensor([head]))[0, -1] for head in heads])
    assert torch.allclose(nothing, ends @ rewarder.heads.weight[:, :32].T + rewarder.heads.bias, atol=1e-5)


def test_normalised_on_the_reference(tiny_model: Tiny) -> None:
    sequences, _ = planted(8)
    rewarder = fresh(tiny_model(0))
    rewarder.normalise(sequences)
    rewards = rewarder.reward(sequences)
    assert float(rewards.mean()) == pytest.approx(0, abs=1e-5)
    assert float(rewards.std()) == pytest.approx(1, abs=1e-5)
    again = RewardModel.load(rewarder.model, rewarder.head())
    assert torch.equal(again.reward(sequences), rewards)
    for readout in ("mean", "mean+sum"):
        made = fresh(rewarder.model, readout=readout)
        torch.nn.init.normal_(made.heads.weight, 0.0, 0.2, torch.Generator().manual_seed(1))
        kept = RewardModel.load(rewarder.model, made.head())
        assert kept.readout == readout
        assert torch.equal(kept.reward(sequences), made.reward(sequences))
    old = {name: tensor for name, tensor in rewarder.head().items() if name != "mean"}
    assert RewardModel.load(rewarder.model, old).readout == "last"
    wide = rewarder.head() | {"weight": torch.zeros(2, 64)}  # as of mean and sum, but `mean` is 0
    narrow = rewarder.head() | {"weight": torch.zeros(2, 5), "mean": torch.ones(1)}
    for wrong in ({"weight": torch.zeros(2, 5)}, wide, narrow):
        with pytest.raises(ArenaError, match="do not fit"):
            RewardModel.load(rewarder.model, wrong)


def test_reward_training_resumes_exactly(tiny_model: Tiny) -> None:
    sequences, comparisons = planted(12)
    config = dataclasses.replace(REWARD, num_epochs=3)
    whole = fresh(tiny_model(0))
    reports = list(reward_model.train(config, whole, sequences, comparisons, seed=4))
    later = fresh(tiny_model(9))
    list(reward_model.train(config, later, sequences, comparisons, seed=4, resume=reports[0].state))
    for a, b in zip(whole.parameters(), later.parameters(), strict=True):
        assert torch.equal(a, b)


def test_heads_of_an_ensemble_differ_and_one_head_has_no_bootstrap(tiny_model: Tiny) -> None:
    sequences, comparisons = planted(12)
    rewarder = fresh(tiny_model(0), 3)
    list(reward_model.train(dataclasses.replace(REWARD, members=3), rewarder, sequences, comparisons, seed=0))
    assert float(rewarder.scores(sequences).std(1).mean()) > 1e-3


def test_prompts_are_split_not_pairs() -> None:
    train, held = reward_model.split_prompts([5, 5, 1, 2, 9, 9, 3], 0.4, np.random.default_rng(0))
    assert sorted(train + held) == [1, 2, 3, 5, 9]
    assert len(held) == 2
    assert reward_model.split_prompts([4, 4], 0.5, np.random.default_rng(0)) == ([4], [])


def margins(policy: TextModel, reference: TextModel, sequences: Sequences, comparisons: list[Comparison]) -> np.ndarray:
    """log-ratio of the preferred completion minus the other's."""
    ratio = dpo.completion_log_probs(Scorer(policy), sequences) - dpo.completion_log_probs(Scorer(reference), sequences)
    sign = [1 if c.target > 0.5 else -1 for c in comparisons]
    return np.array([s * float(ratio[c.a] - ratio[c.b]) for s, c in zip(sign, comparisons, strict=True)])


def test_dpo_raises_the_margin_of_what_is_preferred(tiny_model: Tiny) -> None:
    sequences, comparisons = planted(40)
    policy, reference = tiny_model(0), tiny_model(0)
    config = DPOConfig(num_epochs=4, learning_rate=1e-3, batch_size=16, certainty=1.0)
    reports = list(dpo.train(config, policy, reference, sequences, [c for c in comparisons if c.prompt < 32], seed=0))
    assert reports[0].values["losses/preference"] <= math.log(2) + 0.02
    assert reports[-1].values["losses/preference"] < reports[0].values["losses/preference"]
    found = margins(policy, reference, sequences, [c for c in comparisons if c.prompt >= 32])
    assert np.mean(found > 0) > 0.75


def test_dpo_keeps_what_is_preferred_likely(tiny_model: Tiny) -> None:
    sequences, comparisons = planted(24)
    preferred = [c.a if c.target > 0.5 else c.b for c in comparisons]
    nats = []
    for coef in (0.0, 1.0):
        policy = tiny_model(0)
        config = DPOConfig(num_epochs=3, learning_rate=1e-3, batch_size=16, sft_coef=coef)
        list(dpo.train(config, policy, tiny_model(0), sequences, comparisons, seed=0))
        nats.append(-float(dpo.completion_log_probs(Scorer(policy), sequences)[preferred].mean()))
    assert nats[1] < nats[0] - 1.0


def test_dpo_leaves_frozen_layers_alone(tiny_model: Tiny) -> None:
    sequences, comparisons = planted(8)
    policy, before = tiny_model(0), dict(tiny_model(0).named_parameters())
    config = DPOConfig(num_epochs=1, learning_rate=1e-3, frozen_layers=1)
    list(dpo.train(config, policy, tiny_model(0), sequences, comparisons, seed=0))
    moved = {name for name, after in policy.named_parameters() if not torch.equal(after, before[name])}
    assert moved
    assert all(".h.1." in name or ".ln_f." in name for name in moved)


def test_nats_of_what_is_preferred_by_hand() -> None:
    log_prob, lengths = torch.tensor([-6.0, -2.0, -9.0]), torch.tensor([3, 1, 2])
    place, target = torch.tensor([[0, 1], [1, 2], [2, 0]]), torch.tensor([0.9, 0.1, 0.5])
    found = dpo.nats_of_preferred(log_prob, lengths, place, target)
    assert float(found) == pytest.approx((6 + 9) / (3 + 2)), "the tie has no say"
    assert float(dpo.nats_of_preferred(log_prob, lengths, place, torch.full((3,), 0.5))) == 0


def test_dpo_keeps_ties_together(tiny_model: Tiny) -> None:
    sequences, comparisons = planted(24)
    tied = [dataclasses.replace(c, target=0.5) for c in comparisons]
    config = DPOConfig(num_epochs=2, learning_rate=1e-3, batch_size=16)
    moved = []
    for labels in (comparisons, tied):
        policy, reference = tiny_model(0), tiny_model(0)
        list(dpo.train(config, policy, reference, sequences, labels, seed=0))
        moved.append(np.abs(margins(policy, reference, sequences, comparisons)).mean())
    assert moved[1] < 0.1 * moved[0]


def test_dpo_resumes_exactly(tiny_model: Tiny) -> None:
    sequences, comparisons = planted(12)
    config = DPOConfig(num_epochs=3, batch_size=8)
    whole, later = tiny_model(0), tiny_model(7)
    reports = list(dpo.train(config, whole, tiny_model(0), sequences, comparisons, seed=1))
    list(dpo.train(config, later, tiny_model(0), sequences, comparisons, seed=1, resume=reports[0].state))
    for a, b in zip(whole.parameters(), later.parameters(), strict=True):
        assert torch.equal(a, b)


def test_calibration_by_hand() -> None:
    logit = math.log(0.8 / 0.2)
    difference = np.array([logit, logit, -logit, logit, 0.0])
    target = np.array([1.0, 1.0, 0.0, 0.0, 0.5])
    found = calibration.fit(difference, target, num_bins=5)
    assert (found.comparisons, found.ties) == (5, 1)
    assert found.accuracy == 0.75
    assert found.log_loss == pytest.approx((-3 * math.log(0.8) - math.log(0.2) - math.log(0.5)) / 5)
    assert found.brier == pytest.approx((3 * 0.04 + 0.64) / 5)
    assert [(b.count, round(b.predicted, 6), b.observed) for b in found.bins] == [(1, 0.5, 0.5), (4, 0.8, 0.75)]
    assert found.ece == pytest.approx(4 * 0.05 / 5)


def test_calibration_of_nothing_decided() -> None:
    found = calibration.fit(np.array([1.0, -900.0]), np.array([0.5, 0.5]))
    assert math.isnan(found.accuracy)
    assert math.isfinite(found.log_loss)
    assert calibration.correlation(np.ones(3), np.arange(3.0)) == 0


def test_the_mean_of_the_passes_is_kept(tiny_model: Tiny) -> None:
    """Weights after passes 2 and 3, as the states tell them, averaged; not the last pass's own."""
    sequences, comparisons = planted(8)
    rewarder = fresh(tiny_model(0))
    config = dataclasses.replace(REWARD, num_epochs=3)
    reports = list(reward_model.train(config, rewarder, sequences, comparisons, seed=4))
    second, third = reports[1].state, reports[2].state
    assert second is not None
    assert third is not None
    kept = reward_model.all_weights(rewarder)
    moved = 0.0
    for name, weight in kept.items():
        assert torch.equal(third.tensors[f"mean/{name}"], weight)
        assert torch.equal(second.tensors[f"mean/{name}"], second.tensors[f"weights/{name}"])
        moved += float((weight - second.tensors[f"weights/{name}"]).abs().sum())
    assert moved > 0
