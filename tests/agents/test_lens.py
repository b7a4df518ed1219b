"""The lens: its last layer is the model, and attributions add up to the reward."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from agents import lens
from agents.reward_model import RewardModel
from agents.scoring import Scorer
from agents.sequences import make_sequences
from agents.transformer import TextModel

Tiny = Callable[[int], TextModel]
PROMPT, COMPLETION = [0, 40, 41, 42], [70, 71, 72, 1]


def test_log_ratios_sum_to_the_difference_of_log_probabilities(tiny_model: Tiny) -> None:
    policy, reference = tiny_model(0), tiny_model(1)
    sequences = make_sequences([PROMPT], [COMPLETION], fill=2)
    with torch.no_grad():
        difference = Scorer(policy).log_probs(sequences, 1.0).sum() - Scorer(reference).log_probs(sequences, 1.0).sum()
    found = lens.log_ratios(policy, reference, PROMPT, COMPLETION)
    assert len(found) == 4
    assert sum(found) == pytest.approx(float(difference), abs=1e-4)
    assert lens.log_ratios(policy, policy, PROMPT, COMPLETION) == [0, 0, 0, 0]


def test_the_last_layer_of_the_lens_is_the_model(tiny_model: Tiny) -> None:
    model = tiny_model(0)
    layers = lens.logit_lens(model, PROMPT, COMPLETION)
    assert len(layers) == 3
    with torch.no_grad():
        expected = Scorer(model).log_probs(make_sequences([PROMPT], [COMPLETION], fill=2), 1.0)[0].exp()
    assert list(layers[-1].probability) == pytest.approx(expected.tolist(), abs=1e-5)
    assert layers[0].probability != layers[-1].probability


@pytest.mark.parametrize("readout", ["mean+sum", "mean", "last"])
def test_parts_add_up_to_the_reward(tiny_model: Tiny, readout: str) -> None:
    model = tiny_model(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "ln_" in name or name.endswith("bias"):  # new models have no biases and unit gains: nothing to get wrong
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
    rewarder = RewardModel.fresh(model, 3, torch.Generator().manual_seed(0), readout)
    torch.nn.init.normal_(rewarder.heads.weight, 0.0, 0.2, torch.Generator().manual_seed(1))
    torch.nn.init.constant_(rewarder.heads.bias, 0.4)
    rewarder.shift, rewarder.scale = 0.7, 2.5
    found = lens.attribute_reward(rewarder, PROMPT, COMPLETION)
    reward = float(rewarder.reward(make_sequences([PROMPT], [COMPLETION], fill=2)))
    assert found.reward == pytest.approx(reward, abs=1e-4)
    assert found.heads.shape == (2, 2, 8)
    assert len(found.tokens) == 8
    parts = float(found.heads.sum() + found.mlps.sum()) + found.embedding + found.rest
    assert parts == pytest.approx(reward, abs=1e-4)
    assert dataclasses.asdict(found)["reward"] == found.reward


def test_a_head_that_is_silenced_has_no_part(tiny_model: Tiny) -> None:
    model = tiny_model(0)
    rewarder = RewardModel.fresh(model, 1, torch.Generator().manual_seed(0))
    weights = model.weights()
    assert weights is not None
    with torch.no_grad():
        weights.layers[1].out[0][:, 16:] = 0
    found = lens.attribute_reward(rewarder, PROMPT, COMPLETION)
    assert not found.heads[1, 1].any()
    assert found.heads[1, 0].any()
