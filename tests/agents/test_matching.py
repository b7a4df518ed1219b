"""Which answer belongs to which prompt: the pairing, and that it is learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from agents import matching
from agents.feedback_configs import RewardConfig
from agents.reward_model import RewardModel, all_weights
from agents.sequences import Sequences, make_sequences
from agents.transformer import TextModel

Tiny = Callable[[int], TextModel]
CONFIG = RewardConfig(members=2, match_passes=2.0, learning_rate=3e-3)


def echoes(count: int, seed: int = 0) -> Sequences:
    """Answers that repeat the word that their prompt asks about."""
    rng = np.random.default_rng(seed)
    words = rng.integers(40, 44, count).tolist()
    fill = rng.integers(80, 120, (count, 2)).tolist()
    return make_sequences(
        [[0, word, *rest] for word, rest in zip(words, fill, strict=True)], [[word, 1] for word in words], fill=2
    )


def fresh(model: TextModel) -> RewardModel:
    return RewardModel.fresh(model, 2, torch.Generator().manual_seed(0), "mean")


def test_partners_are_of_another_prompt_and_say_something_else() -> None:
    prompt = torch.tensor([0, 0, 1, 1, 2, 3] * 20)
    answer = torch.tensor([5, 6, 5, 7, 8, 6] * 20)
    found = matching.partners(prompt, answer, torch.Generator().manual_seed(1))
    there = found >= 0
    assert float(there.float().mean()) > 0.95
    assert not (prompt[found] == prompt)[there].any()
    assert not (answer[found] == answer)[there].any()
    assert len(found.unique()) > 30, "partners are drawn from everywhere"
    assert torch.equal(found, matching.partners(prompt, answer, torch.Generator().manual_seed(1)))
    assert not torch.equal(found, matching.partners(prompt, answer, torch.Generator().manual_seed(2)))


def test_who_has_no_partner_is_told() -> None:
    alike = torch.zeros(4, dtype=torch.int64)
    different = torch.arange(4)
    for prompt, answer in ((alike, different), (different, alike)):
        assert matching.partners(prompt, answer, torch.Generator()).tolist() == [-1] * 4


def test_crossed_takes_the_prompt_of_one_and_the_answer_of_the_other() -> None:
    sequences = make_sequences([[0, 40], [0, 41, 42, 43], [0, 44]], [[70, 71, 1], [72, 1], [73, 1]], fill=2)
    both = matching.crossed(sequences, torch.tensor([0, 2]), torch.tensor([1, 2]))
    assert both.all_tokens.tolist() == [[0, 40, 72, 1], [0, 44, 73, 1]]
    assert both.attention_mask.all()


@pytest.mark.slow
def test_it_learns_what_belongs_together_and_leaves_the_heads(tiny_model: Tiny) -> None:
    sequences = echoes(160)
    rewarder = fresh(tiny_model(0))
    before = rewarder.heads.weight.detach().clone()
    config = dataclasses.replace(CONFIG, match_passes=6.0)
    reports = list(matching.train(config, rewarder, sequences, seed=0))
    assert reports[-1].step == matching.num_comparisons(config, sequences) == 6 * 160
    assert reports[-1].values["charts/matching_accuracy"] > 0.65 > reports[0].values["charts/matching_accuracy"]
    assert torch.equal(rewarder.heads.weight, before)
    assert [report.state is None for report in reports] == [True] * (len(reports) - 1) + [False]
    state = reports[-1].state
    assert state is not None
    again = fresh(tiny_model(7))
    matching.load(state, again)
    kept = all_weights(again)
    assert all(torch.equal(kept[name], weight) for name, weight in all_weights(rewarder).items())


def test_the_same_seed_gives_the_same_trunk(tiny_model: Tiny) -> None:
    weights = []
    for seed in (3, 3, 4):
        rewarder = fresh(tiny_model(0))
        list(matching.train(dataclasses.replace(CONFIG, match_passes=1.0), rewarder, echoes(32), seed=seed))
        weights.append(torch.cat([p.detach().flatten() for p in rewarder.model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_nothing_to_match_is_nothing_to_do() -> None:
    assert matching.num_comparisons(CONFIG, None) == 0
    assert matching.num_comparisons(CONFIG, echoes(1)) == 0
    assert matching.num_comparisons(dataclasses.replace(CONFIG, match_passes=0.0), echoes(8)) == 0


def test_examples_that_are_all_alike_teach_nothing(tiny_model: Tiny) -> None:
    alike = make_sequences([[0, 40]] * 20, [[70, 1]] * 20, fill=2)
    rewarder = fresh(tiny_model(0))
    before = {name: weight.clone() for name, weight in all_weights(rewarder).items()}
    reports = list(matching.train(CONFIG, rewarder, alike, seed=0))
    assert reports[-1].state is not None
    assert all(torch.equal(weight, before[name]) for name, weight in all_weights(rewarder).items())


def test_it_stops_when_asked(tiny_model: Tiny) -> None:
    reports = list(matching.train(CONFIG, fresh(tiny_model(0)), echoes(64), seed=0, should_stop=lambda: True))
    assert len(reports) == 1
    assert reports[0].state is None
