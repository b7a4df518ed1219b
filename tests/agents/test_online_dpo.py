"""Online DPO: what a round compares, by hand; learning, stopping at a budget, exact resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from agents import online_dpo
from agents.feedback_configs import OnlineDPOConfig
from agents.metrics import Metrics, TrainingState
from agents.scoring import Scorer
from agents.sequences import Sequences
from agents.transformer import TextModel

Tiny = Callable[[int], TextModel]
PROMPTS = [[0, 40, 41], [0, 50], [0, 60, 61, 62]]
WANTED = range(100, 140)
CONFIG = OnlineDPOConfig(pairs_per_round=16, max_new_tokens=8, learning_rate=1e-2, batch_size=8)


def count_wanted(sequences: Sequences) -> Tensor:
    return ((sequences.tokens >= WANTED.start) & (sequences.tokens < WANTED.stop) & sequences.mask).sum(1).float()


def run(
    model: TextModel,
    reference: TextModel,
    config: OnlineDPOConfig = CONFIG,
    steps: int = 96,
    checkpoint_steps: int = 0,
    resume: TrainingState | None = None,
) -> list[Metrics]:
    reports = online_dpo.train(
        config, model, reference, PROMPTS, count_wanted, seed=1, total_steps=steps, resume=resume,
        checkpoint_steps=checkpoint_steps,
    )  # fmt: skip
    return list(reports)


@torch.no_grad()
def test_a_round_compares_two_answers_to_one_prompt(tiny_model: Tiny) -> None:
    policy, reference = tiny_model(0), tiny_model(1)
    learner = online_dpo.new_learner(dataclasses.replace(CONFIG, end_penalty=3.0), policy, reference, seed=0)
    found = online_dpo.collect(learner, PROMPTS, count_wanted)
    sequences, count = found.sequences, CONFIG.pairs_per_round
    assert sequences.size == 2 * count
    assert torch.equal(sequences.prompt[:count], sequences.prompt[count:])
    assert not torch.equal(sequences.tokens[:count], sequences.tokens[count:])
    assert found.ended.any()
    assert not found.ended.all()
    felt = count_wanted(sequences) - 3.0 * (~found.ended)
    odds = felt[:count].exp() / (felt[:count].exp() + felt[count:].exp())
    assert torch.allclose(found.target, odds, atol=1e-6)
    assert torch.equal(found.reward, count_wanted(sequences)), "what is reported has no penalty in it"
    log_prob, log_ref = (Scorer(model).log_probs(sequences, 1.0).sum(1) for model in (policy, reference))
    assert torch.allclose(found.reference_log_prob, log_ref, atol=1e-3)
    assert torch.allclose(found.kl, log_prob - log_ref, atol=1e-3)


def test_the_reference_is_where_it_begins(tiny_model: Tiny) -> None:
    learner = online_dpo.new_learner(CONFIG, tiny_model(0), tiny_model(0), seed=0)
    found = online_dpo.collect(learner, PROMPTS, count_wanted)
    assert float(found.kl.abs().max()) < 1e-3


def test_it_learns_to_be_preferred(tiny_model: Tiny) -> None:
    reports = run(tiny_model(0), tiny_model(0), steps=320)
    rewards = [report.values["charts/reward"] for report in reports]
    assert sum(rewards[-4:]) / 4 > sum(rewards[:4]) / 4 + 1.0
    assert reports[-1].values["charts/kl"] > 1.0
    assert reports[-1].step == 320


def test_beta_holds_it_to_the_reference(tiny_model: Tiny) -> None:
    far, near = (
        run(tiny_model(0), tiny_model(0), dataclasses.replace(CONFIG, beta=beta), steps=256)[-1].values["charts/kl"]
        for beta in (0.1, 5.0)
    )
    assert near < 0.5 * far


def test_resumed_equals_uninterrupted(tiny_model: Tiny) -> None:
    straight, resumed = tiny_model(0), tiny_model(0)
    whole = run(straight, tiny_model(0), steps=128, checkpoint_steps=64)
    state = next(report.state for report in whole if report.step == 64)
    rest = run(resumed, tiny_model(0), steps=128, checkpoint_steps=64, resume=state)
    assert [report.step for report in rest] == [96, 128]
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    for left, right in zip(whole[-2:], rest, strict=True):
        assert {**left.values, "charts/SPS": 0} == {**right.values, "charts/SPS": 0}


def test_it_stops_by_itself_at_the_budget(tiny_model: Tiny) -> None:
    reports = run(tiny_model(0), tiny_model(0), dataclasses.replace(CONFIG, kl_budget=2.0), steps=6400)
    assert reports[-1].step < 6400
    assert reports[-1].state is not None
    assert reports[-1].values["charts/kl"] >= 2.0
    assert all(report.values["charts/kl"] < 2.0 for report in reports[:-1])
    assert "losses/preference" not in reports[-1].values, "no update follows"
