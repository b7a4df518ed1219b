"""The demonstration of human feedback: a corpus, a model that continues, one that imitates, one that is preferred.

Every step leaves what it makes in the Store under fixed names, so that the demonstration goes on where it was
interrupted; once it is complete, only the results are computed again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.configs import Config
from agents.feedback_configs import DPOConfig, OnlineDPOConfig, RewardConfig, RLHFConfig
from agents.text_configs import HELP_DESK_POSTS, PretrainConfig, SFTConfig
from arena import feedback
from arena.annotators import Simulation, annotate, scorer
from arena.asking import ask_for
from arena.feedback_eval import Evaluation, evaluate
from arena.store import Store
from arena.text_models import complete, load_text_model, reward_report
from envs import helpdesk
from envs.errors import UsageError

ANNOTATOR = "simulated"
RUBRIC = "helpful+polite+brief"
JOBS = ("pretrain", "sft", "sample", "label", "reward", "ppo", "dpo", "online-dpo")
IMPROVED = ("ppo", "dpo", "online-dpo")
"""What is compared with the SFT model: `dpo` learns from the labels alone, the others ask the reward model."""

REFERENCE_TEMPERATURE = 0.5
"""What is likelier to a small model is oftener right: so sharpened, it is what the others begin as and are held to."""


@dataclass(frozen=True)
class Plan:
    """How large the demonstration is. The names are those of its runs and models.

    Attributes:
        posts: of the corpus. prompts: that completions are sampled for, `each` per prompt.
        labels: simulated, with `noise`; `repeat_share` of them ask once more, so that a ceiling can be told.
        completions: of PPO and of online DPO, each.
    """

    posts: int = HELP_DESK_POSTS
    demonstrations: int = 3000
    prompts: int = 400
    each: int = 2
    labels: int = 400
    repeat_share: float = 0.1
    noise: float = 0.1
    completions: int = 4096
    max_new_tokens: int = 64
    test_prompts: int = 200
    shape: Mapping[str, int] = field(default_factory=dict)
    pretrain: Config = field(default_factory=PretrainConfig)
    sft: Config = field(default_factory=lambda: SFTConfig(epochs=2.0))
    reward: Config = field(default_factory=RewardConfig)
    rlhf: Config = field(
        default_factory=lambda: RLHFConfig(kl_budget=18.0, reference_temperature=REFERENCE_TEMPERATURE)
    )
    dpo: DPOConfig = field(
        default_factory=lambda: DPOConfig(
            reference_temperature=REFERENCE_TEMPERATURE,
            beta=0.05,
            learning_rate=5e-4,
            sft_coef=0.1,
            frozen_layers=2,
            num_epochs=12,
        )
    )
    online_dpo: Config = field(
        default_factory=lambda: OnlineDPOConfig(kl_budget=18.0, reference_temperature=REFERENCE_TEMPERATURE)
    )


def small_plan() -> Plan:
    """About a tenth of the work: enough to see every step, too little for good results."""
    return Plan(
        posts=3000,
        demonstrations=600,
        prompts=100,
        labels=100,
        completions=512,
        test_prompts=40,
        shape={"n_layer": 2, "n_head": 2, "d_model": 64},
        dpo=dataclasses.replace(Plan().dpo, frozen_layers=1),
    )


@dataclass(frozen=True)
class DemoStep:
    """Progress of one job: `done` of `total`, and `line`, what to say beside it (or, with total 0, instead)."""

    job: str
    done: int
    total: int
    line: str = ""


@dataclass(frozen=True)
class DemoResults:
    """What came of it.

    Attributes:
        evaluations: SFT, PPO, DPO, online DPO, SFT at the sharpened temperature and best-of-4 on test prompts.
        reward: the reward model's report.
        prompt, answers: the lecture's prompt, and what each model says to it (greedily).
        figures: bits per byte of the pre-trained model and their floor.
    """

    evaluations: list[Evaluation]
    reward: dict[str, Any]
    prompt: str
    answers: dict[str, str]
    figures: dict[str, float]


def run_demo(
    store: Store, plan: Plan, seed: int = 0, should_stop: Callable[[], bool] = feedback.never
) -> Iterator[DemoStep]:
    """Do what is not done yet. Stops soon after `should_stop()`, with everything kept.

    Raises UsageError where it was begun with another seed or plan.
    """
    begun = next((run for run in store.runs(feedback.GAME) if run.name == "pretrain"), None)
    if begun is not None and (begun.seed, begun.config.get("posts")) != (seed, plan.posts):
        raise UsageError(
            f"the demonstration in {store.path} was begun with --seed {begun.seed} on {begun.config.get('posts', 0):,} "
            "posts; give the same options, or another --db"
        )
    for job in JOBS:
        if should_stop():
            return
        if job == "sample":
            yield from _sample(store, plan, seed, should_stop)
        elif job == "label":
            yield from _label(store, plan, seed)
        else:
            yield from _train(store, plan, job, seed, should_stop)
            if job == "pretrain" and not should_stop():
                feedback.add_help_desk(store, plan.demonstrations)


def is_complete(store: Store) -> bool:
    """Whether nothing is left to do but to look."""
    return {"pretrain", "sft", "reward", *IMPROVED} <= {model.name for model in store.text_models()}


def results(
    store: Store, plan: Plan, seed: int = 0, progress: Callable[[str, int, int], None] = lambda model, done, total: None
) -> DemoResults:
    """What a complete demonstration found."""
    found = evaluate(
        store, IMPROVED, "sft", gold=scorer(RUBRIC), reward_model="reward",
        temperatures=(REFERENCE_TEMPERATURE,), prompts=plan.test_prompts,
        max_new_tokens=plan.max_new_tokens, seed=1000 + seed, progress=progress,
    )  # fmt: skip
    answers = {
        name: complete(load_text_model(store, name), [helpdesk.LECTURE_PROMPT], plan.max_new_tokens, greedy=True)[0][0]
        for name in ("pretrain", "sft", "dpo", "online-dpo", "ppo")
    }
    run = store.text_model("pretrain").run or 0  # a model that was brought along has none, so no figures
    series = {key: store.metrics(run, key) for key in ("held_out/bits_per_byte", "held_out/bits_per_byte_bound")}
    figures = {key: points[-1][1] for key, points in series.items() if points}
    return DemoResults(found, reward_report(store, "reward"), helpdesk.LECTURE_PROMPT, answers, figures)


def _train(store: Store, plan: Plan, name: str, seed: int, should_stop: Callable[[], bool]) -> Iterator[DemoStep]:
    if name in {model.name for model in store.text_models()}:
        return
    algorithm = {"ppo": "rlhf", "online-dpo": "online_dpo"}.get(name, name)
    if name in {run.name for run in store.runs()}:
        reports = feedback.resume_text(store, name, should_stop=should_stop)
    else:
        reports = feedback.train_text(
            store, name, algorithm, _config(store, plan, name), seed=seed, should_stop=should_stop
        )
    for report in reports:
        yield DemoStep(name, report.step, report.total, training_line(report))
    if report.state == "finished":
        yield DemoStep(name, 0, 0, f"{name} is trained")


def _config(store: Store, plan: Plan, name: str) -> dict[str, Any]:
    if name == "pretrain":
        return feedback.pretrain_config(plan.pretrain, posts=plan.posts, shape=plan.shape)
    if name == "sft":
        return feedback.sft_config(store, plan.sft, "pretrain")
    if name == "reward":
        return feedback.reward_config(store, plan.reward, "sft", [ANNOTATOR], plan.max_new_tokens)
    if name == "ppo":
        return feedback.rlhf_config(store, plan.rlhf, "sft", plan.completions, reward_model="reward")
    if name == "online-dpo":
        return feedback.online_dpo_config(store, plan.online_dpo, "sft", plan.completions, "reward")
    return feedback.dpo_config(store, plan.dpo, "sft", [ANNOTATOR])


def _sample(store: Store, plan: Plan, seed: int, should_stop: Callable[[], bool]) -> Iterator[DemoStep]:
    chosen = [prompt.id for prompt in store.prompts("train") if prompt.source == "helpdesk"][: plan.prompts]
    sampling = feedback.Sampling(each=plan.each, max_new_tokens=plan.max_new_tokens, seed=seed)
    for done, total in feedback.sample_completions(store, "sft", chosen, sampling, should_stop):
        yield DemoStep("sample", done, total, "prompts")


def _label(store: Store, plan: Plan, seed: int) -> Iterator[DemoStep]:
    if not store.pairs(("random",), split="train"):
        ask_for(store, plan.labels, models=["sft"], repeat_share=plan.repeat_share, seed=seed)
    annotate(store, ANNOTATOR, Simulation(RUBRIC, noise=plan.noise, seed=seed), split="train")
    count = len(store.labels(ANNOTATOR))
    yield DemoStep("label", count, count, f"simulated, {plan.noise:.0%} of the decisions wrong")


def training_line(report: feedback.TextProgress) -> str:
    """The figures that matter of a training's report, and the time left."""
    values = report.values
    parts = [
        f"{word} {values[key]:.3g}"
        for key, word in (
            ("losses/loss", "loss"),
            ("losses/preference", "loss"),
            ("charts/accuracy", "accuracy"),
            ("charts/reward", "reward"),
            ("charts/kl", "KL"),
            ("charts/length", "tokens"),
        )
        if key in values
    ]
    if report.seconds_left is not None:
        minutes, seconds = divmod(round(max(0.0, report.seconds_left)), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return " · ".join(parts)
