"""Where a Store stands in the round from labels to a better model, and what comes next. No torch."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from arena.curve_points import for_a_curve
from arena.records_text import TextModel, TextModelKind
from arena.run_standing import standing
from arena.store import Store

ALGORITHMS = {
    "pretrain": "pretrain",
    "sft": "sft",
    "reward": "reward",
    "rlhf": "ppo",
    "dpo": "dpo",
    "online_dpo": "dpo",
}
"""Algorithm of a run → the command that goes on with it."""
ENOUGH_LABELS = 200


@dataclass(frozen=True)
class Unfinished:
    """A training that was stopped, failed or killed, and the command that goes on with it."""

    name: str
    command: str


@dataclass(frozen=True)
class FeedbackStatus:
    """What there is, by kind, and the command that comes next, and why.

    Attributes:
        at_work: names of the trainings that go on now.
        words: what does the next step, without the leading `arena`; empty while a training is at work.
        next: the command to type: that, or what shows the training at work.
    """

    counts: dict[str, int]
    at_work: list[str]
    unfinished: list[Unfinished]
    words: list[str]
    why: str
    next: str


def feedback_status(store: Store) -> FeedbackStatus:
    """Read off the Store and the locks of its runs alone, so that it holds whoever did what."""
    models = _models(store)
    newest = {model.kind: model for model in models}
    labels, last_label = store.count_labels()
    counts = store.count_texts() | {"labels": labels, "models": len(models)}
    states = [(run, standing(store, run)[0]) for run in store.runs("text") if run.algorithm in ALGORITHMS]
    at_work = [run.name for run, state in states if state == "running"]
    unfinished = [
        Unfinished(run.name, ALGORITHMS[run.algorithm]) for run, state in states if state not in ("running", "finished")
    ]
    if at_work:
        look = shlex.join(["arena", "runs", "show", at_work[-1]])
        return FeedbackStatus(counts, at_work, unfinished, [], f"{at_work[-1]} is at work", look)
    improved = max((m for m in models if m.kind in ("rlhf", "dpo")), key=lambda m: m.id, default=None)
    reward = newest.get("reward")
    start = newest.get("sft") or newest.get("imported")
    if unfinished:
        run = unfinished[-1]
        step = (["rlhf", run.command, "--name", run.name, "--resume"], "a training was stopped before its end")
    elif start is None and "pretrained" not in newest:
        step = (["rlhf", "pretrain"], "there is no model yet; or bring one: arena rlhf import DIR")
    elif start is None:
        step = (["rlhf", "sft"], "the model continues text; demonstrations make it answer")
    elif not counts["completions"]:
        step = (["rlhf", "sample"], "there is nothing to judge yet")
    elif not counts["pairs"]:
        step = (["rlhf", "pairs"], "completions are judged in pairs")
    elif labels < ENOUGH_LABELS and reward is None:
        step = (["label"], f"{labels} labels so far; {ENOUGH_LABELS} or more make a useful reward model")
    elif reward is None or (reward.created_at < last_label and improved is not None):
        step = (["rlhf", "reward"], "the labels are newer than the reward model" if reward else "there are labels")
    elif improved is None or improved.created_at < reward.created_at:
        step = (["rlhf", "ppo"], "the reward model is newer than any model trained on it; or arena rlhf dpo")
    elif not store.completions(model=improved.id, split="train", limit=1):
        sample = shlex.join(["arena", "rlhf", "sample", "--model", improved.name])
        step = (["rlhf", "eval", improved.name], f"did it work? For another round, sample from it: {sample}")
    elif _all_labelled(store):
        step = (["rlhf", "pairs", "--by", "uncertainty"], "there are new completions to compare")
    else:
        step = (["label"], "there are pairs that nobody has labelled")
    return FeedbackStatus(counts, at_work, unfinished, *step, shlex.join(["arena", *step[0]]))


def free_name(store: Store, algorithm: str, taken: Iterable[str] = ()) -> str:
    """A name that no run and no model has, nor is among `taken`: the command's word and the next free number."""
    known = {run.name for run in store.runs()} | {model.name for model in store.text_models()} | set(taken)
    word = ALGORITHMS.get(algorithm, algorithm)
    return next(name for number in itertools.count(1) if (name := f"{word}-{number}") not in known)


def newest_of_each(store: Store) -> list[TextModel]:
    """The newest language model of each kind, from the one that only continues text to the one by PPO."""
    found = {model.kind: model for model in _models(store) if model.kind != "reward"}
    return [found[kind] for kind in ("pretrained", "imported", "sft", "dpo", "rlhf") if kind in found]


def newest_model(store: Store, *kinds: TextModelKind) -> str | None:
    """The newest model of the first of these kinds that there is one of."""
    models = _models(store)
    return next((model.name for kind in kinds for model in reversed(models) if model.kind == kind), None)


def _models(store: Store) -> list[TextModel]:
    """All that were not made for a curve alone."""
    return [model for model in store.text_models() if not for_a_curve(model.name)]


def _all_labelled(store: Store) -> bool:
    """Whether somebody has judged each pair; also where there is none."""
    progress = store.label_progress("", ("random", "uncertainty"), new=True)
    return progress.done == progress.total
