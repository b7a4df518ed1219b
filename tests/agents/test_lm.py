"""Language modelling: rows, the loss, resuming, what a short run learns, the way towards the language's own entropy."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from agents import lm
from agents.decoder import Decoder
from agents.text_configs import PretrainConfig, SFTConfig
from agents.tokenizer import decode_completion, encode_prompt, encode_text, train_tokenizer
from agents.transformer import TextModel, TransformerConfig, new_model
from envs import helpdesk
from envs.errors import UsageError

SMALL = TransformerConfig(n_layer=1, n_head=2, d_model=32, n_ctx=48)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(helpdesk.sample_posts(400, seed=0), vocab_size=800)


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast) -> TextModel:
    return new_model(SMALL, tokenizer, 0)


def state_of(model: TextModel) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def test_long_texts_are_cut_into_windows_that_lose_nothing(model: TextModel) -> None:
    text = " ".join(helpdesk.sample_posts(8, seed=2))
    tokens = encode_text(model.tokenizer, text)
    rows = lm.text_rows(model, [text, "short one"])
    assert all(len(row) <= 48 for row in rows.tokens)
    *windows, last = [row.tolist() for row in rows.tokens]
    assert all(row[0] == 0 for row in windows)
    assert list(itertools.chain(windows[0], *(row[1:] for row in windows[1:]))) == tokens
    assert last == encode_text(model.tokenizer, "short one")


def test_only_answers_are_learnt_from_demonstrations(model: TextModel) -> None:
    rows = lm.demonstration_rows(model, [("why?", "please check the charger."), ("x " * 100, "too late")])
    assert len(rows) == 1
    prompt = encode_prompt(model.tokenizer, "why?")
    assert rows.tokens[0].tolist() == encode_text(model.tokenizer, "why? please check the charger.")
    assert rows.start[0] == len(prompt)
    tokens, learnt = lm._tensors(rows, np.array([0]), model.device)
    assert learnt[0].nonzero().flatten().tolist() == list(range(len(prompt), tokens.shape[1]))


def test_the_loss_is_the_mean_over_learnt_tokens_alone(model: TextModel) -> None:
    rows = lm.demonstration_rows(model, helpdesk.demonstrations(5, seed=0))
    tokens, learnt = lm._tensors(rows, np.arange(len(rows)), model.device)
    with torch.no_grad():
        loss = lm.next_token_loss(model, tokens, learnt)
        total, count = 0.0, 0
        for row, start in zip(rows.tokens, rows.start, strict=True):
            log_probs = model.bridge(torch.from_numpy(row)[None])[0].log_softmax(-1)
            for place in range(start, len(row)):
                total -= float(log_probs[place - 1, row[place]])
                count += 1
    assert float(loss) == pytest.approx(total / count, rel=1e-4)
    nats, number = lm.evaluate(model, rows, batch_tokens=60)
    assert (nats, number) == (pytest.approx(total, rel=1e-4), count)


def test_bits_per_byte_of_a_uniform_model_is_log2_of_its_vocabulary(model: TextModel) -> None:
    texts = helpdesk.sample_posts(10, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    tokens = sum(len(encode_text(model.tokenizer, text)) - 1 for text in texts)
    expected = tokens * math.log2(800) / sum(len(text.encode()) for text in texts)
    assert lm.bits_per_byte(model, texts) == pytest.approx(expected, rel=1e-5)


def test_what_has_nothing_to_learn_or_measure_is_told(model: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    for texts in ([], [""]):
        with pytest.raises(UsageError, match="no text to measure"):
            lm.bits_per_byte(model, texts)
    monkeypatch.setattr(TextModel, "n_ctx", 1)
    with pytest.raises(UsageError, match="a context of one token"):
        lm.text_rows(model, ["hello there"])


def test_batches_hold_every_row_once_within_their_size() -> None:
    rng = np.random.default_rng(0)
    rows = lm.Rows([np.arange(length) for length in rng.integers(2, 60, 500)], np.ones(500, dtype=np.int64), 0)
    batches = lm._batches(rows, 512, np.random.default_rng(1))
    assert sorted(np.concatenate(batches).tolist()) == list(range(500))
    areas = [len(batch) * max(len(rows.tokens[index]) for index in batch) for batch in batches]
    assert max(areas) <= 512
    assert sum(areas) < 1.1 * rows.num_tokens
    firsts = [len(rows.tokens[batch[0]]) for batch in batches]
    assert firsts != sorted(firsts)


@pytest.mark.parametrize("config", [PretrainConfig(batch_tokens=300), SFTConfig(batch_tokens=300)])
def test_a_resumed_run_equals_one_that_never_stopped(
    config: PretrainConfig, tokenizer: PreTrainedTokenizerFast
) -> None:
    def rows(model: TextModel) -> lm.Rows:
        return lm.text_rows(model, helpdesk.sample_posts(40, seed=0))

    whole = new_model(SMALL, tokenizer, 0)
    per_epoch = len(lm._batches(rows(whole), 300, np.random.default_rng(0)))
    total, stop = per_epoch + 4, per_epoch + 2
    reports = list(lm.train(config, whole, rows(whole), seed=3, total_steps=total, checkpoint_steps=stop))
    assert [report.step for report in reports if report.state is not None] == [stop, total]

    first = new_model(SMALL, tokenizer, 0)
    state = None
    for report in lm.train(config, first, rows(first), seed=3, total_steps=total, checkpoint_steps=stop):
        state = report.state
        if state is not None:
            break
    resumed = new_model(SMALL, tokenizer, 9)
    reports = list(lm.train(config, resumed, rows(resumed), seed=3, total_steps=total, resume=state))
    assert reports[-1].step == total
    for name, tensor in state_of(whole).items():
        assert torch.equal(tensor, state_of(resumed)[name]), name


def test_metrics_stopping_and_bad_input(model: TextModel) -> None:
    rows = lm.text_rows(model, helpdesk.sample_posts(30, seed=0))
    reports = list(lm.train(PretrainConfig(report_steps=2), model, rows, seed=0, total_steps=5))
    assert [report.step for report in reports] == [2, 4, 5]
    assert set(reports[0].values) == {
        "losses/loss", "losses/grad_norm", "charts/learning_rate", "charts/tokens_per_second", "charts/epoch",
    }  # fmt: skip
    assert [report.state is not None for report in reports] == [False, False, True]
    assert all(math.isfinite(value) for report in reports for value in report.values.values())
    stopped = list(lm.train(PretrainConfig(), model, rows, seed=0, total_steps=99, should_stop=lambda: True))
    assert [report.step for report in stopped] == [1]
    with pytest.raises(UsageError, match="no text"):
        next(lm.train(PretrainConfig(), model, lm.text_rows(model, []), seed=0))


def test_the_step_size_warms_up_and_falls() -> None:
    config = PretrainConfig(learning_rate=1.0, warmup=0.1, final_learning_rate=0.2)
    rates = [lm._learning_rate(config, progress / 100) for progress in range(101)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert (max(rates), rates[-1]) == (pytest.approx(1.0), pytest.approx(0.2))
    assert min(rates) > 0


@pytest.mark.slow
def test_a_model_learns_to_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    """Answers to one prompt, learnt by heart, come back; the text before them is not what is learnt."""
    model = new_model(TransformerConfig(n_layer=2, n_head=2, d_model=64, n_ctx=128), tokenizer, 0)
    pairs = helpdesk.demonstrations(12, seed=0)
    rows = lm.demonstration_rows(model, pairs)
    config = SFTConfig(learning_rate=5e-3, batch_tokens=1024)
    losses = [report.values["losses/loss"] for report in lm.train(config, model, rows, seed=0, total_steps=120)]
    assert losses[-1] < 0.1 < 3 < losses[0]
    sample = Decoder(model).sample([encode_prompt(tokenizer, prompt) for prompt, _ in pairs], 96, greedy=True)
    answers = [decode_completion(tokenizer, row.tolist()) for row in sample.tokens]
    assert sum(answer == expected for answer, (_, expected) in zip(answers, pairs, strict=True)) >= 10


def test_the_matrices_of_the_layers_are_its_own(tokenizer: PreTrainedTokenizerFast) -> None:
    model = new_model(TransformerConfig(n_layer=2, n_head=2, d_model=32, n_ctx=64), tokenizer, 0)
    named = dict(model.named_parameters())
    found = lm._optimizers(PretrainConfig(), named)
    sizes = {name: [p.shape for group in own.param_groups for p in group["params"]] for name, own in found.items()}
    assert len(sizes["muon"]) == 2 * 6
    assert all(min(shape) >= 32 and len(shape) == 2 for shape in sizes["muon"])
    assert (len(tokenizer), 32) in sizes["optimizer"]
    assert len(sizes["optimizer"]) + len(sizes["muon"]) == len(named)
    assert set(lm._optimizers(PretrainConfig(muon=False), named)) == {"optimizer"}


@pytest.mark.slow
def test_a_language_is_learnt_in_fewer_steps(tokenizer: PreTrainedTokenizerFast) -> None:
    """Nats per token at the end of the same short run, less than by AdamW at 3e-3."""
    config = PretrainConfig(batch_tokens=1024)
    found = []
    for chosen in (config, dataclasses.replace(config, muon=False, learning_rate=3e-3)):
        model = new_model(TransformerConfig(n_layer=2, n_head=2, d_model=64, n_ctx=128), tokenizer, 0)
        rows = lm.text_rows(model, helpdesk.sample_posts(3000, seed=0))
        for _ in lm.train(chosen, model, rows, seed=0):
            pass
        nats, tokens = lm.evaluate(model, lm.text_rows(model, helpdesk.sample_posts(300, seed=1)))
        found.append(nats / tokens)
    assert found[0] < found[1] - 0.05
