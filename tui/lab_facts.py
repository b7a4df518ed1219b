"""What the screens of human feedback show: stages, models, runs, metrics, samples, curves. Read in worker threads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from arena.curve_points import CurvePoint, kept_curves
from arena.feedback_status import ALGORITHMS, FeedbackStatus, feedback_status, newest_model, newest_of_each
from arena.jobs import Job, Jobs
from arena.records import Run
from arena.store import Store
from tui.run_facts import RunRow, run_row

POINTS = 400
JOB_TAG = "rlhf"
"""The tag of jobs of human feedback that are no training; a training has "run NAME"."""
KIND_WORDS = {
    "pretrained": "pre-trained",
    "sft": "SFT",
    "reward": "reward",
    "rlhf": "PPO",
    "dpo": "DPO",
    "imported": "imported",
}
STEP_WORDS = {
    "pretrain": "updates",
    "sft": "updates",
    "reward": "labels",
    "rlhf": "completions",
    "dpo": "labels",
    "online_dpo": "completions",
}
"""What a run's steps count."""
FIRST_KEYS = {
    "charts/reward": "reward",
    "charts/kl": "KL, nats",
    "losses/entropy": "entropy, nats",
    "losses/value_loss": "value loss",
    "losses/clipfrac": "clip fraction",
    "charts/length": "length, tokens",
    "charts/gold": "rubric",
    "losses/loss": "loss, nats",
    "losses/preference": "loss, nats",
    "charts/accuracy": "accuracy",
    "charts/margin": "margin",
}
"""The order in which metrics are offered, and what they are called."""


@dataclass(frozen=True)
class Stage:
    """One step of the way: the command's `word`, what it is for, how much of it there is (0: not done yet)."""

    word: str
    help: str
    amount: int
    next: bool


@dataclass(frozen=True)
class LabRow:
    """A model, or a run that is to become one. `run` is None for what was imported."""

    name: str
    kind: str
    parent: str
    done: bool
    run: RunRow | None


@dataclass(frozen=True)
class Curves:
    """A run's metrics: (key, steps, values) in the order in which they are offered."""

    run: str = ""
    counted: str = ""
    series: list[tuple[str, list[int], list[float]]] = field(default_factory=list)


@dataclass(frozen=True)
class Sampled:
    """What a run answered to each prompt as it went: prompt → (step, text, whether it ended by itself)."""

    run: str
    prompts: list[tuple[str, list[tuple[int, str, bool]]]]


@dataclass(frozen=True)
class Lab:
    """All that the lab shows. `status` is None where there is no league yet; `jobs`: those at work, newest first."""

    stages: list[Stage] = field(default_factory=list)
    status: FeedbackStatus | None = None
    rows: list[LabRow] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    latest: Job | None = None
    curves: Curves = field(default_factory=Curves)
    sampled: Sampled = Sampled("", [])


_HELP = {
    "pretrain": "a language model that continues text",
    "sft": "fine-tuning: now it answers",
    "sample": "completions to be judged",
    "pairs": "pairs of completions to be labelled",
    "label": "say which of two answers is better",
    "reward": "a reward model from the labels",
    "ppo": "RLHF: PPO against the reward model",
    "dpo": "DPO, from the labels directly",
    "eval": "win rates on test prompts",
    "curve": "rubric against √KL (long)",
    "demo": "the whole way by itself (long)",
}


def read_lab(db: Path, jobs: Jobs, chosen: str | None) -> Lab:
    """Everything; the metrics are those of the run `chosen`, or of the newest that has any."""
    all_jobs = [job for job in jobs.all() if job.command[:1] == ("rlhf",)]
    at_work = [job for job in all_jobs if job.state == "running"]
    latest = all_jobs[0] if all_jobs else None
    if not db.exists():
        return Lab(_stages({}, set(), ["rlhf", "pretrain"]), jobs=at_work, latest=latest)
    with Store(db, create=False) as store:
        status = feedback_status(store)
        models = {model.name: model for model in store.text_models()}
        names = {model.id: model.name for model in models.values()}
        by_run: dict[str, Job] = {}
        for job in all_jobs:
            if job.tag.startswith("run "):
                by_run.setdefault(job.tag.removeprefix("run "), job)
        runs = [run for run in store.runs("text") if run.algorithm in ALGORITHMS]
        rows = [
            LabRow(model.name, model.kind, names.get(model.parent or 0, ""), True, None)
            for model in models.values()
            if model.run is None
        ]
        for run in runs:
            model = models.get(run.name)
            parent = names.get(model.parent or 0, "") if model else str(run.config.get("parent", ""))
            kind = {"pretrain": "pretrained"}.get(run.algorithm, run.algorithm)
            row = run_row(store, run, by_run.get(run.name), {})
            rows.append(LabRow(run.name, kind, parent, model is not None, row))
        curves = _curves(store, runs, chosen)
        sampled = _sampled(store, curves.run) if any(run.name == curves.run for run in runs) else Sampled("", [])
    kinds = {model.kind for model in models.values()}
    return Lab(_stages(status.counts, kinds, status.words), status, rows, at_work, latest, curves, sampled)


def _stages(counts: dict[str, int], kinds: Iterable[str], following: Sequence[str]) -> list[Stage]:
    kinds = set(kinds)
    amounts = {
        "pretrain": len(kinds & {"pretrained", "imported"}),
        "sft": int("sft" in kinds),
        "sample": counts.get("completions", 0),
        "pairs": counts.get("pairs", 0),
        "label": counts.get("labels", 0),
        "reward": int("reward" in kinds),
        "ppo": int("rlhf" in kinds),
        "dpo": int("dpo" in kinds),
    }
    word = next((word for word in following if word != "rlhf"), "")
    return [Stage(name, words, amounts.get(name, 0), name == word) for name, words in _HELP.items()]


def _curves(store: Store, runs: Sequence[Run], chosen: str | None) -> Curves:
    for run in reversed(runs):
        if chosen is not None and run.name != chosen:
            continue
        keys = [key for key in store.metric_keys(run.id) if not key.startswith(("held_out/", "curve/"))]
        if not keys and chosen is None:
            continue
        keys = [key for key in FIRST_KEYS if key in keys] + [key for key in keys if key not in FIRST_KEYS]
        series = []
        for key in keys:
            points = store.metrics(run.id, key, POINTS)
            series.append((key, [step for step, _ in points], [value for _, value in points]))
        return Curves(run.name, STEP_WORDS.get(run.algorithm, "steps"), series)
    return Curves(chosen or "")


def read_samples(db: Path, run_name: str) -> Sampled:
    """What a run answered at its checkpoints."""
    if not db.exists():
        return Sampled(run_name, [])
    with Store(db, create=False) as store:
        return _sampled(store, run_name)


def _sampled(store: Store, run_name: str) -> Sampled:
    found: dict[int, list[tuple[int, str, bool]]] = {}
    for row in store.completions(run=store.run(run_name).id):
        found.setdefault(row.prompt, []).append((row.step or 0, row.text, row.ended))
    return Sampled(run_name, [(store.prompt(prompt).text, sorted(answers)) for prompt, answers in found.items()])


@dataclass(frozen=True)
class Asking:
    """Whom to ask: the newest language model of each kind as (name, kind); what a lens compares, where there is it."""

    models: list[tuple[str, str]] = field(default_factory=list)
    model: str | None = None
    reference: str | None = None
    reward_model: str | None = None
    prompts: list[str] = field(default_factory=list)


def read_asking(db: Path) -> Asking:
    """Whom the compare and lens screens ask, and some test prompts to ask."""
    if not db.exists():
        return Asking()
    with Store(db, create=False) as store:
        return Asking(
            [(model.name, model.kind) for model in newest_of_each(store)],
            newest_model(store, "rlhf", "dpo"),
            newest_model(store, "sft", "imported"),
            newest_model(store, "reward"),
            [prompt.text for prompt in store.prompts("test", limit=50)],
        )


def read_kept_curves(db: Path) -> dict[str, list[CurvePoint]]:
    """Gold against √KL as it was measured, by what was learnt from."""
    if not db.exists():
        return {}
    with Store(db, create=False) as store:
        return kept_curves(store)
