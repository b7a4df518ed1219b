"""The decoder beside the bridge: batched = single, log-probabilities, values, ends, filters, determinism."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from agents import decoder as decoder_module
from agents import packed
from agents.decoder import Decoder, Sample, draw, filtered, left_pad
from agents.products import can_pack
from agents.tokenizer import encode_prompt, train_tokenizer
from agents.transformer import TextModel, TransformerConfig, load_model, new_model, save_model
from envs import helpdesk
from envs.errors import UsageError

VOCAB = 320
PROMPTS = ["why?", "my laptop won't turn on, what should I do?", "help, my tv is slow again! what now?", "and so"]


def sharpened(model: TextModel) -> TextModel:
    """Random weights large enough that the likeliest token is clearly so, and that EOS comes up."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return model


@pytest.fixture(scope="module", params=["gpt2", "neox", "llama"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    tokenizer = train_tokenizer(helpdesk.sample_posts(50, seed=0), vocab_size=VOCAB)
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    if request.param == "gpt2":
        return sharpened(new_model(TransformerConfig(n_layer=2, n_head=2, d_model=32, n_ctx=64), tokenizer, 0))
    other = {
        "neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**sizes, intermediate_size=64, max_position_embeddings=64)),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**sizes, intermediate_size=64, max_position_embeddings=64)),
    }[request.param]()
    path = tmp_path_factory.mktemp("model")
    other.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return sharpened(load_model(path))


def encoded(model: TextModel) -> list[list[int]]:
    return [encode_prompt(model.tokenizer, prompt) for prompt in PROMPTS]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bridge_logits(model: TextModel, sample: Sample) -> Tensor:
    """[B, T, V]: what the bridge says before each sampled token."""
    tokens = torch.cat([sample.prompt_tokens, sample.tokens], 1)
    mask = torch.cat([sample.prompt_mask, sample.mask], 1)
    with torch.no_grad():
        logits = model.bridge(tokens, attention_mask=mask.long())
    return logits[:, sample.prompt_tokens.shape[1] - 1 : -1]


def test_batched_greedy_is_single_greedy_is_the_bridges(model: TextModel) -> None:
    decoder = Decoder(model)
    batch = decoder.sample(encoded(model), 16, greedy=True)
    for row, prompt in enumerate(encoded(model)):
        alone = decoder.sample([prompt], 16, greedy=True)
        length = int(alone.mask.sum())
        assert torch.equal(batch.tokens[row, :length], alone.tokens[0, :length])
        assert int(batch.mask[row].sum()) == length
        torch.testing.assert_close(batch.log_probs[row, :length], alone.log_probs[0, :length], atol=1e-4, rtol=1e-4)
    chosen = bridge_logits(model, batch).argmax(-1)
    assert torch.equal(chosen[batch.mask], batch.tokens[batch.mask])


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_are_the_bridges_at_the_temperature(model: TextModel, temperature: float) -> None:
    sample = Decoder(model).sample(encoded(model) * 3, 38, temperature=temperature, generator=generator())
    expected = (bridge_logits(model, sample) / temperature).log_softmax(-1)
    expected = expected.gather(2, sample.tokens[..., None]).squeeze(2)
    torch.testing.assert_close(sample.log_probs[sample.mask], expected[sample.mask], atol=1e-4, rtol=1e-4)
    assert not sample.log_probs[~sample.mask].any()


def test_values_are_of_the_state_before_each_token(model: TextModel) -> None:
    direction = torch.randn(32, generator=generator())
    sample = Decoder(model).sample(
        encoded(model), 12, generator=generator(), value_head=lambda hidden: hidden @ direction
    )
    tokens = torch.cat([sample.prompt_tokens, sample.tokens], 1)
    mask = torch.cat([sample.prompt_mask, sample.mask], 1)
    with torch.no_grad():
        expected = (model.hidden(tokens, mask) @ direction)[:, sample.prompt_tokens.shape[1] - 1 : -1]
    assert sample.values is not None
    torch.testing.assert_close(sample.values[sample.mask], expected[sample.mask], atol=1e-3, rtol=1e-4)


def test_rows_end_at_eos_and_the_loop_with_the_last(model: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an EOS in place of every fifth token, so that the batch shrinks several times."""
    eos = model.tokenizer.eos_token_id

    def draw_eos_often(*arguments: Any) -> tuple[Tensor, Tensor]:
        token, log_prob = draw(*arguments)
        return torch.where(token % 5 == 0, eos, token), log_prob

    monkeypatch.setattr(decoder_module, "draw", draw_eos_often)
    decoder = Decoder(model)
    free = decoder.sample(encoded(model) * 8, 30, generator=generator(), stop_at_eos=False)
    sample = decoder.sample(encoded(model) * 8, 30, generator=generator())
    assert free.mask.all()
    ended = free.tokens == eos
    expected = (ended.cumsum(1) - ended.long()) == 0
    assert 0 < int(expected[:, 8].sum()) <= 12
    length = int(expected.sum(1).max())
    assert length < 30
    assert sample.tokens.shape == (32, length)
    assert torch.equal(sample.mask, expected[:, :length])
    # A row's draws and distribution are its own, whoever else has ended.
    assert torch.equal(sample.tokens[sample.mask], free.tokens[:, :length][sample.mask])
    torch.testing.assert_close(sample.log_probs, free.log_probs[:, :length] * sample.mask, atol=1e-4, rtol=1e-4)
    assert (sample.tokens[~sample.mask] == model.tokenizer.pad_token_id).all()


def test_equal_generators_give_equal_samples_and_refresh_reads_new_weights(model: TextModel) -> None:
    decoder = Decoder(model)
    first, same, other = (decoder.sample(encoded(model), 12, generator=generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.tokens, same.tokens)
    assert not torch.equal(first.tokens, other.tokens)
    before = decoder.sample(encoded(model), 1, greedy=True)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    decoder.refresh()
    after = decoder.sample(encoded(model), 1, greedy=True)
    expected = bridge_logits(model, after).log_softmax(-1).gather(2, after.tokens[..., None]).squeeze(2)
    torch.testing.assert_close(after.log_probs, expected, atol=1e-4, rtol=1e-4)
    assert (after.log_probs - before.log_probs).abs().max() > 1e-4


def test_equal_prompts_are_read_once_and_drawn_apart(model: TextModel) -> None:
    rows = encoded(model)
    mixed = [rows[1], rows[0], rows[1], rows[1]]
    sample = Decoder(model).sample(mixed, 12, generator=generator())
    expected = bridge_logits(model, sample).log_softmax(-1).gather(2, sample.tokens[..., None]).squeeze(2)
    torch.testing.assert_close(sample.log_probs[sample.mask], expected[sample.mask], atol=1e-4, rtol=1e-4)
    assert len({tuple(row.tolist()) for row in sample.tokens[[0, 2, 3]]}) == 3


def test_bfloat16_is_near_float32(model: TextModel) -> None:
    sample = Decoder(model, torch.bfloat16).sample(encoded(model) * 4, 36, generator=generator())
    expected = bridge_logits(model, sample).log_softmax(-1).gather(2, sample.tokens[..., None]).squeeze(2)
    assert sample.log_probs.dtype == torch.float32
    assert (sample.log_probs - expected)[sample.mask].abs().mean() < 0.2


def test_greedy_equals_transformers_generate(model: TextModel, tmp_path: Path) -> None:
    save_model(model, tmp_path)
    reference = AutoModelForCausalLM.from_pretrained(tmp_path)
    ours = Decoder(model).sample(encoded(model), 10, greedy=True, stop_at_eos=False)
    theirs = reference.generate(
        ours.prompt_tokens, attention_mask=ours.prompt_mask.long(), do_sample=False, min_new_tokens=10,
        max_new_tokens=10, pad_token_id=2,
    )[:, ours.prompt_tokens.shape[1] :]  # fmt: skip
    eos = model.tokenizer.eos_token_id  # which `generate` is not allowed to take before the end
    first = torch.where((ours.tokens == eos).any(1), (ours.tokens == eos).int().argmax(1), 10)
    for row in range(len(PROMPTS)):
        assert torch.equal(ours.tokens[row, : first[row]], theirs[row, : first[row]])


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0, -torch.inf, 2.0]])
    uniform = (torch.arange(20_000) + 0.5) / 20_000
    token, log_prob = draw(logits.expand(20_000, 5), 2.0, 0, 1.0, uniform)
    expected = (logits[0] / 2).softmax(0)
    torch.testing.assert_close(torch.bincount(token, minlength=5) / 20_000, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(log_prob, expected.log()[token], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
def test_the_ends_of_the_unit_interval_never_draw_the_impossible(uniform: float) -> None:
    logits = torch.full((1, 1000), -torch.inf)
    logits[0, 300:700] = 0.0
    token, log_prob = draw(logits, 1.0, 0, 1.0, torch.tensor([uniform]))
    assert 300 <= int(token) < 700
    assert torch.isfinite(log_prob).all()


def test_filters_keep_the_best_tokens() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.4, 0.05, 0.25, 0.2]]))

    def kept(top_k: int, top_p: float) -> list[int]:
        return torch.isfinite(filtered(logits, top_k, top_p))[0].nonzero().flatten().tolist()

    assert kept(0, 1.0) == [0, 1, 2, 3, 4]
    assert kept(2, 1.0) == [1, 3]
    assert kept(99, 1.0) == [0, 1, 2, 3, 4]
    assert kept(0, 0.3) == [1]
    assert kept(0, 0.5) == [1, 3]
    assert kept(0, 0.84) == [1, 3, 4]
    assert kept(1, 0.9) == [1]
    ties = torch.zeros(1, 6)
    assert int(torch.isfinite(filtered(ties, 2, 1.0)).sum()) == 2


def test_filtered_samples_have_the_log_probs_of_what_was_drawn_from(model: TextModel) -> None:
    sample = Decoder(model).sample(encoded(model) * 4, 8, top_k=3, generator=generator())
    scores = bridge_logits(model, sample)
    ranks = (scores > scores.gather(2, sample.tokens[..., None])).sum(-1)
    assert int(ranks[sample.mask].max()) <= 2
    best = scores.topk(3).values.log_softmax(-1)
    expected = best.gather(2, ranks.clamp(max=2)[..., None]).squeeze(2)
    torch.testing.assert_close(sample.log_probs[sample.mask], expected[sample.mask], atol=1e-3, rtol=1e-3)


def test_what_cannot_be_sampled_is_refused(model: TextModel) -> None:
    decoder, rows = Decoder(model), encoded(model)
    for wrong in (
        {"prompts": []},
        {"prompts": [[]]},
        {"max_new_tokens": 0},
        {"max_new_tokens": 64},
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.5},
    ):
        with pytest.raises(UsageError):
            decoder.sample(**({"prompts": rows, "max_new_tokens": 4} | wrong))


def test_left_padding() -> None:
    tokens, mask = left_pad([[5], [6, 7, 8]], 2)
    assert tokens.tolist() == [[2, 2, 5], [6, 7, 8]]
    assert mask.tolist() == [[False, False, True], [True, True, True]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_products_are_plain_products(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(70, 33), torch.randn(70), torch.randn(9, 33).to(dtype)
    monkeypatch.setattr(packed, "LARGE", 0)
    with torch.no_grad():
        fast = packed.Matrix(weight, bias, dtype)
        assert fast.packed == can_pack(dtype)
        monkeypatch.setattr(packed, "can_pack", lambda dtype: False)
        plain = packed.Matrix(weight, bias, dtype)
        assert not plain.packed
        tolerance = 1e-4 if dtype == torch.float32 else 0.2
        torch.testing.assert_close(fast(x), plain(x), atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(fast.gelu(x, "tanh"), plain.gelu(x, "tanh"), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("turned", [False, True])
def test_a_cache_gives_back_what_was_written(turned: bool) -> None:
    keys, values = torch.randn(2, 3, 2, 5, 4)
    cache = packed.Cache((3, 2, 4, 4), torch.float32, torch.device("cpu"), turned)
    cache.write(keys[:, :, :3], values[:, :, :3], 0)
    assert cache.room == 4
    cache.grow(2)
    cache.write(keys[:, :, 3:], values[:, :, 3:], 3)
    assert cache.room == 6
    index = torch.tensor([2, 0, 0])
    cache.keep(index)
    found = cache.read(5)
    assert torch.equal(found[0], keys[index])
    assert torch.equal(found[1], values[index])
