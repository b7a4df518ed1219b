"""Human feedback from Store to Store: every stage, resumed, stopped, refused; evaluation; what comes next."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from agents.feedback_configs import DPOConfig, OnlineDPOConfig, RewardConfig, RLHFConfig
from agents.reward_model import Comparison
from agents.scoring import model_state, sharpen
from agents.text_configs import PretrainConfig, SFTConfig
from agents.transformer import TextModel, model_files, save_model
from arena import feedback, feedback_stages
from arena.comparisons import gather, selected, selection, soft_target
from arena.feedback_demo import Plan, small_plan
from arena.feedback_lens import look_inside
from arena.reward_reports import held_out_report
from arena.store import Store
from arena.text_models import export_model, import_model, load_reward_model, load_text_model, reward_report
from envs.errors import ArenaError, UnknownNameError, UsageError

Tiny = Callable[[int], TextModel]
PPO = RLHFConfig(rollout_size=8, max_new_tokens=8, num_minibatches=2, num_epochs=1)
ONLINE = OnlineDPOConfig(pairs_per_round=4, max_new_tokens=8, num_epochs=1)
REWARD = RewardConfig(num_epochs=2, members=2, held_out_share=0.25)
PROMPTS = [f"one two {word}" for word in ("three", "four", "five", "six", "seven", "one", "two", "two three")]


@pytest.fixture
def store(labelled: Store) -> Store:
    return labelled


def finish(reports: Iterator[feedback.TextProgress]) -> feedback.TextProgress:
    return list(reports)[-1]


@pytest.mark.slow
def test_a_reward_model_stopped_while_or_after_it_matches_equals_one_that_was_not(store: Store) -> None:
    store.add_demonstrations([(prompt, f"{prompt.split()[2]} seven .") for prompt in PROMPTS])
    config = feedback.reward_config(store, dataclasses.replace(REWARD, match_passes=4.0), "sft", None, 8)
    store.add_demonstrations([("five six", "one that came later")])
    reports = list(feedback.train_text(store, "whole", "reward", config, seed=3))
    matched = max(report.step for report in reports if "charts/matching_accuracy" in report.values)
    assert (matched, reports[-1].total) == (32, 32 + 2 * reward_report(store, "whole")["labels"])
    for name, until in (("while", 8), ("after", 32)):
        steps: list[int] = []
        ended = feedback.train_text(
            store, name, "reward", config, seed=3, should_stop=partial(steps.__contains__, until)
        )
        for report in ended:
            steps.append(report.step)
        assert report.state == "stopped"
        assert finish(feedback.resume_text(store, name)).state == "finished"
        assert weights(store, name) == weights(store, "whole")
    none = feedback.reward_config(store, dataclasses.replace(REWARD, match_passes=0.0), "sft", None, 8)
    finish(feedback.train_text(store, "none", "reward", none, seed=3))
    assert weights(store, "none") != weights(store, "whole")


def test_prompts_that_leave_no_room_are_left_out(store: Store) -> None:
    (long,) = store.add_prompts(["one two three four five six seven " * 40], "train")
    store.add_prompts(["seven six five " * 90], "test")
    stops = "agents.rewards:full_stops"
    with pytest.warns(UserWarning, match="1 of 9 prompts are left out: with 8 new tokens more than the"):
        finish(feedback.train_text(store, "p", "rlhf", feedback.rlhf_config(store, PPO, "sft", 8, reward=stops)))
    sampling = feedback.Sampling(max_new_tokens=8, each=1)
    with pytest.warns(UserWarning, match="1 of 2 prompts are left out"):
        (*_, last) = feedback.sample_completions(store, "sft", [1, long], sampling)
    assert last == (2, 2)
    assert store.completions(prompt=long) == []
    judge = dataclasses.replace(REWARD, members=1, num_epochs=1)
    made = finish(feedback.train_text(store, "j", "reward", feedback.reward_config(store, judge, "sft", None, 8)))
    assert made.state == "finished"


def test_a_report_is_about_log_odds_and_what_was_chosen() -> None:
    """Rewards in units of 2 log-odds, labels learnt with doubt: predictions are compared with the labels themselves."""
    rewarder = SimpleNamespace(scale=2.0, scores=lambda sequences: torch.tensor([[1.5], [0.0]]))
    found = SimpleNamespace(sequences=None, texts=[("p", "a b"), ("p", "a")])
    learnt = [Comparison(0, 0, 1, 0.9)]
    values = held_out_report(cast(Any, rewarder), cast(Any, found), learnt, learnt, [])
    assert values["log_loss"] == pytest.approx(math.log1p(math.exp(-3)))
    assert [(each["count"], each["observed"]) for each in values["bins"] if each["count"]] == [(1, 1.0)]


@pytest.mark.slow
def test_reward_then_ppo_and_dpo_from_the_stores_labels(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = finish(feedback.train_text(store, "judge", "reward", feedback.reward_config(store, REWARD, "sft", None, 8)))
    assert (made.state, made.model) == ("finished", "judge")
    report = reward_report(store, "judge")
    assert report["labels"] + report["held_out"] == 16
    assert report["held_out"] == 4
    assert report["accuracy_low"] < report["accuracy"] + 1e-9
    assert report["accuracy_high"] > report["accuracy"] - 1e-9
    assert report["accuracy_high"] - report["accuracy_low"] > 0.3
    assert any("few" in warning for warning in report["warnings"])
    config = feedback.rlhf_config(store, PPO, "sft", 24, reward_model="judge", gold="agents.rewards:full_stops")
    done = finish(feedback.train_text(store, "better", "rlhf", config))
    assert done.state == "finished"
    run = store.run("better")
    assert (run.step, run.game, run.algorithm) == (24, "text", "rlhf")
    assert [step for step, _ in store.metrics(run.id, "charts/gold")] == [8, 16, 24]
    model = store.text_model("better")
    assert (model.kind, model.run, model.parent) == ("rlhf", run.id, store.text_model("sft").id)
    watched = store.completions(run=run.id)
    assert {row.step for row in watched} == {8, 16, 24}, "samples are kept, to watch a prompt's answer change"
    assert {row.prompt for row in watched} == {prompt.id for prompt in store.prompts("test")}
    finish(feedback.train_text(store, "direct", "dpo", feedback.dpo_config(store, DPOConfig(num_epochs=1), "sft")))
    assert store.check() == []
    rewarder = load_reward_model(store, "judge")
    look = look_inside(store, "four five", "better", "sft", "judge", 8)
    assert look.reward is not None
    ids = [0, *(rewarder.model.tokenizer("four five")["input_ids"])]
    assert len(look.tokens) + len(ids) == len(look.reward.tokens)
    monkeypatch.setattr(TextModel, "weights", lambda self: None)  # as in a family whose rewards are not taken apart
    other = look_inside(store, "four five", "better", "sft", "judge", 8)
    assert other.reward is None
    assert [token for token, _ in other.tokens] == [token for token, _ in look.tokens]


def weights(store: Store, name: str) -> bytes:
    return store.text_model_files(name)["model.safetensors"]


@pytest.mark.parametrize("algorithm", ["rlhf", "dpo", "online_dpo", "sft"])
@pytest.mark.slow
def test_a_stopped_run_resumed_equals_one_that_was_not(store: Store, algorithm: str) -> None:
    store.add_demonstrations([(prompt, "six seven .") for prompt in PROMPTS])

    def config() -> dict[str, Any]:
        if algorithm == "rlhf":
            sharp = dataclasses.replace(PPO, reference_temperature=0.5)
            return feedback.rlhf_config(store, sharp, "sft", 32, reward="agents.rewards:full_stops")
        if algorithm == "online_dpo":
            return feedback.online_dpo_config(store, ONLINE, "sft", 32, "judge")
        if algorithm == "dpo":
            return feedback.dpo_config(store, DPOConfig(num_epochs=4, batch_size=4, reference_temperature=0.5), "sft")
        return feedback.sft_config(store, SFTConfig(epochs=4, batch_tokens=32), "sft")

    if algorithm == "online_dpo":
        judge = feedback.reward_config(store, dataclasses.replace(REWARD, num_epochs=1), "sft", None, 8)
        finish(feedback.train_text(store, "judge", "reward", judge))
    finish(feedback.train_text(store, "whole", algorithm, config(), seed=3))
    seen: list[int] = []
    stopped = finish(
        feedback.train_text(
            store, "cut", algorithm, config(), seed=3, should_stop=lambda: bool(seen.append(1)) or len(seen) > 1
        )
    )
    assert stopped.state == "stopped"
    assert store.run("cut").state == "stopped"
    assert "cut" not in {model.name for model in store.text_models()}
    assert finish(feedback.resume_text(store, "cut")).state == "finished"
    assert weights(store, "cut") == weights(store, "whole")
    with pytest.raises(UsageError, match="has finished"):
        finish(feedback.resume_text(store, "cut"))


@pytest.mark.slow
def test_a_run_from_before_a_setting_was_goes_on_as_it_began(store: Store) -> None:
    explicit = {
        "reward": feedback.reward_config(store, dataclasses.replace(REWARD, readout="last"), "sft", None, 8),
        "pretrain": feedback.pretrain_config(
            PretrainConfig(muon=False), posts=40, shape={"n_layer": 1, "n_head": 1, "d_model": 16}
        ),
    }
    for algorithm, config in explicit.items():
        finish(feedback.train_text(store, f"new-{algorithm}", algorithm, config))
        (later,) = feedback_stages.BEFORE[algorithm]
        settings = {name: value for name, value in config["settings"].items() if name != later}
        finish(feedback.train_text(store, f"old-{algorithm}", algorithm, config | {"settings": settings}))
        assert weights(store, f"old-{algorithm}") == weights(store, f"new-{algorithm}")
    assert load_reward_model(store, "old-reward").readout == "last"


def test_policy_and_reference_are_the_parent_at_the_reference_temperature(store: Store) -> None:
    still = {"learning_rate": 0.0, "reference_temperature": 0.5}
    ppo, direct = dataclasses.replace(PPO, **still), DPOConfig(num_epochs=1, **still)
    done = finish(
        feedback.train_text(
            store, "ppo", "rlhf", feedback.rlhf_config(store, ppo, "sft", 8, reward="agents.rewards:full_stops")
        )
    )
    assert done.values["charts/kl"] == pytest.approx(0, abs=1e-4)
    done = finish(feedback.train_text(store, "dpo", "dpo", feedback.dpo_config(store, direct, "sft")))
    assert done.values["charts/log_ratio"] == pytest.approx(0, abs=1e-4)
    sharp = model_state(sharpen(load_text_model(store, "sft"), 0.5))
    for name in ("ppo", "dpo"):
        made = model_state(load_text_model(store, name))
        assert all(torch.equal(made[key], sharp[key]) for key in sharp)


def test_the_small_demonstration_freezes_fewer_layers_than_it_has() -> None:
    plan = small_plan()
    assert plan.dpo == dataclasses.replace(Plan().dpo, frozen_layers=1)
    assert plan.dpo.frozen_layers < plan.shape["n_layer"]


def test_metrics_can_be_watched_before_the_first_checkpoint(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "METRICS_SECONDS", 0.0)
    config = feedback.rlhf_config(store, PPO, "sft", 1600, reward="agents.rewards:full_stops")
    reports = feedback.train_text(store, "watched", "rlhf", config)
    step = next(reports).step
    run = store.run("watched")
    assert run.step == 0, "no checkpoint yet"
    assert [at for at, _ in store.metrics(run.id, "charts/kl")] == [step]
    reports.close()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_what_was_trained_but_not_kept_is_kept_on_resuming(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the process were killed between the last report and the model."""

    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    config = feedback.rlhf_config(store, PPO, "sft", 16, reward="agents.rewards:full_stops")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_text_model", killed)
        with pytest.raises(KeyboardInterrupt):
            finish(feedback.train_text(store, "late", "rlhf", config))
    finish(feedback.train_text(store, "whole", "rlhf", config))
    assert finish(feedback.resume_text(store, "late")).state == "finished"
    assert weights(store, "late") == weights(store, "whole")


def test_labels_that_come_later_do_not_belong_to_a_run(store: Store) -> None:
    chosen = selection(store, ["anna"])
    pair = store.pairs()[0].id
    before = store.labels()
    (first, *_) = store.completions(prompt=store.prompts("train")[0].id)
    store.add_label(pair, "ben", "tie")
    store.add_label(pair, "anna", "tie")
    store.undo_label("anna")
    store.undo_label("anna")
    store.add_score(first.id, "anna", 7)
    assert len(store.labels("anna")) == len(before) - 1
    labels, scores = selected(store, chosen)
    assert labels == before, "what was corrected and undone since stands in the run as it stood"
    assert scores == []
    with pytest.raises(UnknownNameError, match="did you mean anna"):
        selection(store, ["ana"])


def test_soft_targets() -> None:
    assert soft_target("a", 1, 0.9) == 0.9
    assert soft_target("b", 1, 0.9) == pytest.approx(0.1)
    assert (soft_target("a", 2, 0.9), soft_target("b", 2, 0.9)) == (1.0, 0.0)
    assert soft_target("tie", 1, 0.9) == soft_target("both_bad", 1, 0.9) == 0.5


def test_scores_are_comparisons_too(store: Store, tiny_model: Tiny) -> None:
    first = store.completions(prompt=store.prompts("train")[0].id)
    for completion, score in zip(first[:3], (7, 6, 2), strict=True):
        store.add_score(completion.id, "cleo", score)
    _, scores = selected(store, selection(store, ["cleo"]))
    found = gather(store, [], tiny_model(0), 0.9, scores)
    by_text = {(found.texts[c.a][1], found.texts[c.b][1]): (c.target, c.weight) for c in found.comparisons}
    texts = [completion.text for completion in first]
    assert by_text == {
        (texts[0], texts[1]): (0.9, pytest.approx(2 / 3)),
        (texts[0], texts[2]): (1.0, pytest.approx(2 / 3)),
        (texts[1], texts[2]): (1.0, pytest.approx(2 / 3)),
    }


def test_sampling_goes_on_where_it_was(store: Store) -> None:
    ids = [prompt.id for prompt in store.prompts("train")]
    sampling = feedback.Sampling(each=2, max_new_tokens=6)
    list(feedback.sample_completions(store, "sft", ids[:3], sampling))
    reports = list(feedback.sample_completions(store, "sft", ids, sampling))
    assert (reports[0], reports[-1]) == ((3, 8), (8, 8))
    made = store.completions(model=store.text_model("sft").id)
    assert len(made) == 16
    assert len({row.text for row in made}) > 8
    assert list(feedback.sample_completions(store, "sft", ids, sampling)) == [(8, 8)]
    list(feedback.sample_completions(store, "sft", ids[:3], dataclasses.replace(sampling, each=3)))
    now = store.completions(model=store.text_model("sft").id)
    assert len(now) == 19, "only what is missing is drawn"
    assert {row.text for row in now[16:]} - {row.text for row in made}, "and it is drawn anew"


def test_what_cannot_be_trained_is_one_line_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(UsageError, match="either a reward model or"):
        feedback.rlhf_config(store, PPO, "sft", 8)
    with pytest.raises(UsageError, match="no module"):
        feedback.rlhf_config(store, PPO, "sft", 8, reward="nowhere:f")
    with pytest.raises(UsageError, match="is no reward model"):
        finish(feedback.train_text(store, None, "rlhf", feedback.rlhf_config(store, PPO, "sft", 8, reward_model="sft")))
    wide = dataclasses.replace(PPO, max_new_tokens=47)
    with pytest.raises(UsageError, match="more than the model's 48"):
        finish(
            feedback.train_text(
                store, None, "rlhf", feedback.rlhf_config(store, wide, "sft", 8, reward="agents.rewards:full_stops")
            )
        )
    with pytest.raises(UsageError, match="already"):
        finish(feedback.train_text(store, "sft", "dpo", feedback.dpo_config(store, DPOConfig(), "sft")))
    assert store.runs() == []


def test_stored_code_runs_only_where_that_is_said(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("def length(prompts, completions):\n    return [len(c) for c in completions]\n")
    monkeypatch.chdir(tmp_path)
    config = feedback.rlhf_config(store, PPO, "sft", 16, reward="mine:length")
    finish(feedback.train_text(store, "mine", "rlhf", config, should_stop=lambda: True))
    with pytest.raises(UsageError, match="--allow-code"):
        finish(feedback.resume_text(store, "mine"))
    assert finish(feedback.resume_text(store, "mine", allow_code=True)).state == "finished"


def test_models_go_out_and_come_in(
    store: Store, tiny_model: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_model(store, "sft", tmp_path / "out")
    with pytest.raises(UsageError, match="there already"):
        export_model(store, "sft", tmp_path / "out")
    assert import_model(store, str(tmp_path / "out"), "back") == "back"
    assert weights(store, "back") == weights(store, "sft")
    assert store.text_model("back").kind == "imported"
    for _ in range(2):
        assert feedback.model_named(store, str(tmp_path / "out")) == "out", "once"
    other = tmp_path / "elsewhere" / "out"
    save_model(tiny_model(5), other)
    with pytest.raises(UsageError, match="there is another model 'out' here"):
        feedback.model_named(store, str(other))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match=r"unknown model 'nobody/knows'.*is no directory"):
        feedback.model_named(store, "nobody/knows")
    (tmp_path / "out" / "model.safetensors").unlink()
    with pytest.raises(ArenaError, match="missing"):
        import_model(store, str(tmp_path / "out"), "again")
    assert {model.name for model in store.text_models()} == {"sft", "back", "out"}


def test_load_refuses_the_wrong_kind(store: Store, tiny_model: Tiny) -> None:
    with pytest.raises(UsageError, match="no reward model"):
        load_reward_model(store, "sft")
    with pytest.raises(UnknownNameError, match="did you mean sft"):
        load_text_model(store, "sfr")
    store.add_text_model("broken", "reward", model_files(tiny_model(0)))
    with pytest.raises(ArenaError, match="damaged"):
        load_reward_model(store, "broken")
