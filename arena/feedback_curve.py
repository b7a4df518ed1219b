"""Gold against √KL (Gao et al. 2022, "Scaling laws for reward model overoptimization", arXiv 2210.10760).

A rubric stands for what people truly want. Reward models learn from N simulated labels; PPO pursues each of them
without a KL penalty, DPO learns from the same labels with a falling β, best-of-n chooses by the reward model. All are
measured by the rubric and by the reward model, at their distance from the SFT model: PPO as it goes, by its rollouts of
training prompts, the others on test prompts, which are about what no model has read and so are harder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agents.feedback_configs import DPOConfig, RewardConfig, RLHFConfig
from arena import feedback
from arena.annotators import Simulation, annotate, scorer
from arena.asking import ask_for
from arena.curve_points import CurvePoint, keep_point, ppo_points
from arena.feedback_eval import evaluate
from arena.store import Store
from envs.errors import MissingPackageError, UsageError

BEST_OF = (2, 4, 8, 16, 32)
BETAS = (0.5, 0.1, 0.02)
SETTLED = ("settings", "parent", "completions", "max_new_tokens")
"""What a training that is used again must have had."""
Progress = Callable[[str, int, int], None]


def measure(
    store: Store,
    sft: str,
    rubric: str,
    labels: Sequence[int],
    completions: int,
    prompts: int,
    noise: float,
    max_new_tokens: int,
    seed: int,
    progress: Progress = lambda job, done, total: None,
) -> list[CurvePoint]:
    """All points. What was trained before under the same names is used again."""
    found: list[CurvePoint] = []
    for count in sorted(labels):
        annotator = label_some(store, sft, rubric, count, noise, max_new_tokens, seed, progress)
        reward = f"curve-reward-{count}-{seed}"
        config = feedback.reward_config(store, RewardConfig(), sft, [annotator], max_new_tokens)
        train(store, reward, "reward", config, seed, progress)
        settings = RLHFConfig(kl_coef=0.0, max_new_tokens=max_new_tokens)
        ppo = f"curve-ppo-{count}-{seed}"
        pursue = feedback.rlhf_config(store, settings, sft, completions, reward_model=reward, gold=rubric)
        train(store, ppo, "rlhf", pursue, seed, progress)
        found += ppo_points(store, store.run(ppo), count)
        names = []
        for beta in BETAS:
            names.append(f"curve-dpo-{count}-{beta:g}-{seed}")
            learn = feedback.dpo_config(store, DPOConfig(beta=beta), sft, [annotator])
            train(store, names[-1], "dpo", learn, seed, progress)
        sizes = {f"best of {n}": n for n in BEST_OF}
        judged = evaluate(
            store, names, sft, gold=scorer(rubric), reward_model=reward, best_of=BEST_OF, prompts=prompts,
            max_new_tokens=max_new_tokens, seed=seed, progress=lambda m, done, total: progress("judge", done, total),
        )  # fmt: skip
        for each in judged:
            assert each.gold is not None
            assert each.reward is not None
            method = "sft" if each.model == sft else "dpo" if each.model in names else each.model
            run, step = (each.model, 0) if method == "dpo" else (reward, 1 if method == "sft" else sizes[each.model])
            keep_point(store, run, step, each.kl, each.gold, each.reward)
            found.append(CurvePoint(method, count, each.kl, each.gold, each.reward))
    return found


def label_some(
    store: Store, sft: str, rubric: str, count: int, noise: float, max_new_tokens: int, seed: int, progress: Progress
) -> str:
    """A simulated annotator with `count` labels of completions of `sft`; its name."""
    name = f"curve-{count}-{seed}"
    simulation = Simulation(rubric, noise=noise, seed=seed)
    if any(each.name == name and each.config != asdict(simulation) for each in store.annotators()):
        raise UsageError(f"this league has a curve of another rubric or noise under {name}; give another --seed")
    done = len(store.labels(name)) if name in {annotator.name for annotator in store.annotators()} else 0
    if done >= count:
        return name
    if len(store.pairs(("random",), split="train")) < count:
        ids = [prompt.id for prompt in store.prompts("train")][:count]
        sampling = feedback.Sampling(each=4, max_new_tokens=max_new_tokens, seed=seed)
        for number, total in feedback.sample_completions(store, sft, ids, sampling):
            progress("sample", number, total)
        ask_for(store, count, models=[sft], repeat_share=0.0, seed=seed)
    annotate(store, name, simulation, count - done, ("random",), "train")
    return name


def train(store: Store, name: str, algorithm: str, config: dict[str, object], seed: int, progress: Progress) -> None:
    """Train under a fixed name what is not trained yet."""
    begun = name in {run.name for run in store.runs()}
    if begun and any(store.run(name).config.get(key) != config[key] for key in SETTLED if key in config):
        raise UsageError(f"{name} of this league was trained with other settings; give another --seed")
    if name in {model.name for model in store.text_models()}:
        return
    if begun:
        reports = feedback.resume_text(store, name, allow_code=True)
    else:
        reports = feedback.train_text(store, name, algorithm, config, seed=seed)
    for report in reports:
        progress(name, report.step, report.total)


def need_matplotlib() -> Any:
    """The class of pictures; MissingPackageError where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackageError("pictures need matplotlib: pip install matplotlib") from None
    return Figure


def write_plot(points: Sequence[CurvePoint], path: Path) -> None:
    """Rubric (lines) and reward model (dashed) against √KL as a picture. Raises MissingPackageError."""
    figure = need_matplotlib()(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for number, labels in enumerate(sorted({point.labels for point in points})):
        for method, style in (("ppo", "-"), ("dpo", "o"), ("best", "s")):
            chosen = sorted(
                (p for p in points if p.labels == labels and p.method.startswith(method)), key=lambda p: max(p.kl, 0.0)
            )
            distance = [max(point.kl, 0.0) ** 0.5 for point in chosen]
            colour = f"C{number}"
            axes.plot(distance, [p.gold for p in chosen], style, color=colour, label=f"{method}, {labels} labels")
            if method == "ppo":
                axes.plot(distance, [p.proxy for p in chosen], "--", color=colour, alpha=0.5)
    axes.set_xlabel("√KL to the SFT model (nats per completion)")
    axes.set_ylabel("rubric (reward model dashed)")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)
