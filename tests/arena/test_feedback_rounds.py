"""Rounds of human feedback: did it work, what comes next, the whole way by itself, the curve of over-optimisation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.feedback_configs import DPOConfig, OnlineDPOConfig, RewardConfig, RLHFConfig
from agents.text_configs import PretrainConfig, SFTConfig
from agents.tokenizer import train_tokenizer
from agents.transformer import TextModel, TransformerConfig, model_files, new_model
from arena import feedback, feedback_eval
from arena.annotators import Simulation, annotate, scorer
from arena.asking import ask_for
from arena.comparisons import training_labels
from arena.curve_points import kept_curves
from arena.feedback_curve import BEST_OF, measure
from arena.feedback_demo import JOBS, DemoStep, Plan, is_complete, results, run_demo
from arena.feedback_status import feedback_status, newest_model, newest_of_each
from arena.store import Store
from envs.errors import UsageError

Tiny = Callable[[int], TextModel]
PPO = RLHFConfig(rollout_size=8, max_new_tokens=8, num_minibatches=2, num_epochs=1)
ONLINE = OnlineDPOConfig(pairs_per_round=4, max_new_tokens=8, num_epochs=1)
REWARD = RewardConfig(num_epochs=2, members=2, held_out_share=0.25)


@pytest.fixture
def store(labelled: Store) -> Store:
    return labelled


def finish(reports: Iterator[feedback.TextProgress]) -> feedback.TextProgress:
    return list(reports)[-1]


def test_win_rates_count_ties_as_half() -> None:
    found = feedback_eval.win_rate(np.array([1.0, 2.0, 3.0, 0.0]), np.array([0.0, 2.0, 1.0, 5.0]))
    assert (found.share, found.ties, found.comparisons) == (0.625, 0.25, 4)
    assert found.low < 0.625 < found.high
    assert feedback_eval.diversity(["a b a b", "a b"]) == pytest.approx(2 / 4)


@pytest.mark.slow
def test_evaluation_judges_and_a_person_judges_blind(store: Store, tiny_model: Tiny) -> None:
    store.add_text_model("other", "rlhf", model_files(tiny_model(1)), store.text_model("sft").id)
    gold = scorer("agents.rewards:full_stops")
    found = feedback_eval.evaluate(
        store, ["other", "sft"], "sft", gold=gold, reward_model=None, max_new_tokens=8, temperatures=(0.1,)
    )
    assert [each.model for each in found] == ["sft", "other", "sft", "sft at 0.1"]
    assert abs(found[3].kl) > 0.1, "another distribution than the reference's own"
    assert found[0].kl == found[2].kl == pytest.approx(0, abs=1e-4)
    assert found[1].wins_gold is not None
    assert found[1].wins_gold.comparisons == 2
    alien = new_model(TransformerConfig(2, 2, 32, 48), train_tokenizer(["other words altogether"], 280), 0)
    store.add_text_model("alien", "rlhf", model_files(alien))
    with pytest.raises(UsageError, match="alien has another tokenizer than sft"):
        feedback_eval.evaluate(store, ["alien"], "sft", gold=gold, reward_model=None, max_new_tokens=8)
    made = feedback_eval.blind_pairs(store, "other", "sft", 2, 8)
    assert made == 2
    assert feedback_eval.blind_pairs(store, "other", "sft", 2, 8) == 0, "once"
    other = store.text_model("other").id
    of = {row.id: row.model for row in store.completions(split="test")}
    for pair in store.pairs(("evaluation",)):
        store.add_label(pair.id, "dora", "a" if of[pair.completion_a] == other else "b")
    assert feedback_eval.person_wins(store, "other", "sft")["dora"].share == 1.0
    assert feedback_eval.person_wins(store, "sft", "other")["dora"].share == 0.0


@pytest.mark.slow
def test_status_leads_round_by_round(tmp_path: Path, tiny_model: Tiny, store: Store) -> None:
    with Store(tmp_path / "new.db") as empty:
        assert feedback_status(empty).next == "arena rlhf pretrain"
        empty.add_text_model("base", "pretrained", model_files(tiny_model(0)))
        assert feedback_status(empty).next == "arena rlhf sft"
    assert feedback_status(store).next == "arena rlhf pairs", "every pair is labelled, and they are few"
    annotate(store, "robot", Simulation("polite", ties=0.0))
    finish(feedback.train_text(store, "judge", "reward", feedback.reward_config(store, REWARD, "sft", None, 8)))
    assert feedback_status(store).next == "arena rlhf ppo"
    config = feedback.rlhf_config(store, PPO, "sft", 16, reward_model="judge")
    reports = feedback.train_text(store, "better", "rlhf", config)
    next(reports)
    found = feedback_status(store)
    assert (found.at_work, found.unfinished, found.words) == (["better"], [], [])
    assert (found.next, found.why) == ("arena runs show better", "better is at work")
    reports.close()
    found = feedback_status(store)
    assert found.at_work == []
    assert found.next == "arena rlhf ppo --name better --resume"
    finish(feedback.resume_text(store, "better"))
    assert feedback_status(store).next == "arena rlhf eval better"
    gold = scorer("agents.rewards:full_stops")
    feedback_eval.evaluate(store, ["better"], "sft", gold=gold, reward_model=None, max_new_tokens=8)
    assert feedback_status(store).next == "arena rlhf sample --model better"
    prompts = [prompt.id for prompt in store.prompts("train")]
    for _ in feedback.sample_completions(store, "better", prompts, feedback.Sampling(2, 8)):
        pass
    assert feedback_status(store).next == "arena rlhf pairs --model better --by uncertainty"
    ask_for(store, 4, models=["better"], repeat_share=0.0)
    labels = feedback_status(store).counts["labels"]
    feedback_eval.blind_pairs(store, "better", "sft", 2, 8)
    for pair in store.pairs(("evaluation",)):
        store.add_label(pair.id, "anna", "a")
    found = feedback_status(store)
    assert found.next == "arena label --new"
    assert found.counts["labels"] == labels, "nobody learns from what was said of test prompts"
    for pair in store.pairs(("random",), "anna"):
        store.add_label(pair.id, "anna", "a")
    found = feedback_status(store)
    assert (found.next, found.why.startswith("every pair is labelled")) == ("arena rlhf reward", True)
    store.finish_run(store.run("better").id, "failed", "no room on the disk")
    assert feedback_status(store).next == "arena rlhf reward", "what failed is told of, and stands in nobody's way"


def _until(store: Store, plan: Plan, jobs: list[str], count: int) -> Iterator[DemoStep]:
    """Steps of the demonstration, which is asked to stop when so many have been made in all."""
    made = [len(jobs)]
    for step in run_demo(store, plan, should_stop=lambda: made[0] >= count):
        made[0] += 1
        yield step


@pytest.mark.slow
def test_the_demonstration_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    plan = Plan(
        posts=300, demonstrations=60, prompts=20, labels=20, completions=32, max_new_tokens=16,
        test_prompts=6,
        shape={"n_layer": 2, "n_head": 2, "d_model": 32, "n_ctx": 128}, pretrain=PretrainConfig(epochs=1.0),
        sft=SFTConfig(epochs=1.0), reward=REWARD, rlhf=PPO, dpo=DPOConfig(num_epochs=1),
        online_dpo=ONLINE,
    )  # fmt: skip
    jobs: list[str] = []
    with Store(tmp_path / "demo.db") as store:
        for _ in range(40):
            before = len(jobs)
            jobs += [step.job for step in _until(store, plan, jobs, before + 3)]
            if is_complete(store):
                break
        assert is_complete(store)
        with pytest.raises(UsageError, match="begun with --seed 0 on 300 posts"):
            next(run_demo(store, plan, seed=1))
        assert list(dict.fromkeys(jobs)) == list(JOBS)
        found = results(store, plan)
        assert [each.model for each in found.evaluations] == [
            "sft",
            "ppo",
            "dpo",
            "online-dpo",
            "sft at 0.5",
            "best of 4",
        ]
        assert set(found.answers) == {"pretrain", "sft", "dpo", "online-dpo", "ppo"}
        assert found.figures["held_out/bits_per_byte"] > found.figures["held_out/bits_per_byte_bound"] > 0
        json.dumps(dataclasses.asdict(found))
        assert store.check() == []


@pytest.mark.slow
def test_the_curve_has_every_method_and_is_measured_once(store: Store) -> None:
    arguments: Any = (store, "sft", "agents.rewards:full_stops", [12], 128, 2, 0.1, 8, 0)
    found = measure(*arguments)
    assert {point.method for point in found} == {"ppo", "dpo", "sft", *(f"best of {n}" for n in BEST_OF)}
    assert all(point.labels == 12 for point in found)
    by_method = {point.method: point for point in found}
    assert by_method["best of 4"].kl == pytest.approx(np.log(4) - 3 / 4)
    assert by_method["sft"].kl == pytest.approx(0, abs=1e-4)
    assert by_method["best of 32"].proxy >= by_method["best of 2"].proxy
    models = len(store.text_models())
    assert measure(*arguments) == found
    assert len(store.text_models()) == models
    kept = kept_curves(store)
    assert list(kept) == ["12 labels"]
    assert set(kept["12 labels"]) == set(found)
    # Nothing else takes what a curve made, and a curve of other settings does not go on with it.
    assert (newest_model(store, "rlhf"), newest_model(store, "reward"), newest_model(store, "sft")) == (
        None,
        None,
        "sft",
    )
    assert {label.annotator for label in training_labels(store, None)} == {"anna"}
    assert feedback_status(store).counts["models"] == 1
    assert [model.name for model in newest_of_each(store)] == ["sft"]
    for place, other in ((6, 0.2), (4, 136)):
        changed = [*arguments]
        changed[place] = other
        with pytest.raises(UsageError, match="give another --seed"):
            measure(*changed)
