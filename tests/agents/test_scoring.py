"""Sequences and their log-probabilities: equal to the whole forward pass, with and without frozen layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from agents.scoring import Scorer, load_model_state, model_state, shared_columns, sharpen
from agents.sequences import Packing, Sequences, make_sequences
from agents.transformer import TextModel
from envs.errors import ArenaError, UsageError

Tiny = Callable[[int], TextModel]
PROMPTS = [[0, 40, 41, 42], [0, 50], [0, 60, 61]]
COMPLETIONS = [[70, 1], [71, 72, 73, 74, 1], [75, 76, 77]]


def sequences() -> Sequences:
    return make_sequences(PROMPTS, COMPLETIONS, fill=2)


def test_layout() -> None:
    batch = sequences()
    assert batch.prompt.tolist() == [[0, 40, 41, 42], [2, 2, 0, 50], [2, 0, 60, 61]]
    assert batch.tokens.tolist() == [[70, 1, 2, 2, 2], [71, 72, 73, 74, 1], [75, 76, 77, 2, 2]]
    assert batch.lengths.tolist() == [2, 5, 3]
    assert batch.all_tokens.gather(1, batch.last[:, None]).squeeze(1).tolist() == [1, 1, 77]
    assert batch.ended(1).tolist() == [True, True, False]
    few = batch.select(torch.tensor([2, 2]))
    assert few.prompt.tolist() == [[0, 60, 61]] * 2
    assert few.tokens.tolist() == [[75, 76, 77]] * 2


def alone(model: TextModel, prompt: list[int], completion: list[int], temperature: float) -> list[float]:
    """Log-probabilities by the bridge, one sequence, no padding."""
    logits = model.bridge(torch.tensor([prompt + completion]))[0].float() / temperature
    log_p = logits.log_softmax(-1)
    return [float(log_p[len(prompt) - 1 + t, token]) for t, token in enumerate(completion)]


@pytest.mark.parametrize("frozen_layers", [0, 1])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@torch.no_grad()
def test_log_probs_equal_the_bridges_one_by_one(tiny_model: Tiny, frozen_layers: int, temperature: float) -> None:
    model = tiny_model(0)
    batch = sequences()
    scorer = Scorer(model, frozen_layers)
    found = scorer.log_probs(batch, temperature, scorer.trunk(batch))
    assert not found[~batch.mask].any()
    for row, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        expected = alone(model, prompt, completion, temperature)
        assert found[row, : len(completion)].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_shared_trunk_serves_a_selection_and_another_top(tiny_model: Tiny) -> None:
    model, other = tiny_model(0), tiny_model(0)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if ".h.1." in name:
                parameter.add_(0.1)
    batch, index = sequences(), torch.tensor([2, 1])
    scorer, reference = Scorer(model, 1), Scorer(other, 1)
    trunk = scorer.trunk(batch)
    assert trunk is not None
    assert torch.equal(reference.log_probs(batch, 1.0, trunk), reference.log_probs(batch, 1.0))
    few = batch.select(index)
    whole = scorer.log_probs(batch, 1.0)[index, : few.tokens.shape[1]]
    part = scorer.log_probs(few, 1.0, shared_columns(trunk, batch, index, few))
    assert torch.allclose(part, whole, atol=1e-5)


def test_frozen_layers_get_no_gradient(tiny_model: Tiny) -> None:
    model = tiny_model(0)
    scorer = Scorer(model, 1)
    trained = {id(parameter) for parameter in scorer.trained_parameters()}
    names = [name for name, parameter in model.named_parameters() if id(parameter) in trained]
    assert names
    assert all(".h.1." in name or ".ln_f." in name for name in names)
    scorer.log_probs(sequences(), 1.0).sum().backward()
    for name, parameter in model.named_parameters():
        below = ".h.0." in name or "wpe" in name
        assert (parameter.grad is None or not parameter.grad.any()) == below, name


def test_more_frozen_layers_than_there_are_are_refused(tiny_model: Tiny) -> None:
    with pytest.raises(UsageError, match="frozen_layers=2"):
        Scorer(tiny_model(0), 2)


def test_a_sharpened_model_says_at_temperature_1_what_it_said_at_a_lower_one(
    tiny_model: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = tiny_model(0), sequences()
    weights = model.weights()
    assert weights is not None
    with torch.no_grad():
        weights.norm[1].normal_()
    plain, cold = Scorer(model).log_probs(batch, 1.0), Scorer(model).log_probs(batch, 0.5)
    assert sharpen(model, 1.0) is model
    assert torch.equal(Scorer(model).log_probs(batch, 1.0), plain)
    sharpen(model, 0.5)
    assert torch.allclose(Scorer(model).log_probs(batch, 1.0), cold, atol=1e-5)
    assert not torch.allclose(cold, plain, atol=1e-2)
    monkeypatch.setattr(model, "weights", lambda: None)
    with pytest.raises(UsageError, match="reference_temperature"):
        sharpen(model, 0.5)


def test_weights_go_out_and_come_back(tiny_model: Tiny) -> None:
    source, target = tiny_model(1), tiny_model(2)
    state = {name: tensor.clone() for name, tensor in model_state(source).items()}
    load_model_state(target, state)
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))
    state.popitem()
    with pytest.raises(ArenaError, match="does not fit"):
        load_model_state(target, state)


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_is_near_float32_in_gradients_too(tiny_model: Tiny) -> None:
    exact, rough = tiny_model(0), tiny_model(0)
    found = []
    for scorer in (Scorer(exact), Scorer(rough, bfloat16=True)):
        log_probs = scorer.log_probs(sequences(), 1.0)
        assert log_probs.dtype == torch.float32
        log_probs.sum().backward()
        found.append(log_probs.detach())
    assert 0 < float((found[0] - found[1]).abs().max()) < 0.1
    for (name, a), (_, b) in zip(exact.named_parameters(), rough.named_parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert b.grad.dtype == torch.float32
        assert float((a.grad - b.grad).norm()) < 0.1 * float(a.grad.norm()) + 1e-3, name


def test_packing_keeps_the_rows_of_a_mask_and_puts_them_back() -> None:
    mask = torch.tensor([False, True, True, False, True])
    packing, x = Packing(mask), torch.arange(10.0).view(5, 2).requires_grad_()
    kept = packing.pick(x)
    assert kept.tolist() == [[2, 3], [4, 5], [8, 9]]
    wide = packing.spread(kept)
    assert wide.tolist() == [[0, 0], [2, 3], [4, 5], [0, 0], [8, 9]]
    (wide * torch.arange(1.0, 11).view(5, 2)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0], [3, 4], [5, 6], [0, 0], [9, 10]]


def test_many_packed_rows_come_in_multiples() -> None:
    mask = torch.ones(600, dtype=torch.bool)
    mask[0] = False
    packing, x = Packing(mask), torch.randn(600, 2, requires_grad=True)
    kept = packing.pick(x)
    assert kept.shape == (640, 2)
    assert torch.equal(kept[:599], x[1:])
    wide = packing.spread(kept * torch.arange(640.0)[:, None])
    wide.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad[1:], torch.arange(599.0)[:, None].expand(-1, 2))
    assert torch.equal(x.grad[0], torch.zeros(2))


@pytest.mark.parametrize("times", [1, 60])
def test_padding_changes_neither_log_probs_nor_gradients(tiny_model: Tiny, times: int) -> None:
    """All but attention leaves padding out: a batch against its sequences one by one."""
    together, apart = tiny_model(0), tiny_model(0)
    batch = make_sequences(PROMPTS * times, COMPLETIONS * times, fill=2)
    (Scorer(together).log_probs(batch, 1.0).sum() / times).backward()
    for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True):
        Scorer(apart).log_probs(make_sequences([prompt], [completion], fill=2), 1.0).sum().backward()
    for (name, a), (_, b) in zip(together.named_parameters(), apart.named_parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        torch.testing.assert_close(a.grad, b.grad, atol=1e-4, rtol=1e-4, msg=name)
