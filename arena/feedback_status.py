"""Where a Store stands in the round from labels to a better model, and what comes next. No torch."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from arena.curve_points import for_a_curve
from arena.records import Run
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
ENOUGH_LABELS, MORE_LABELS = 200, 100
"""What a first reward model wants, and what a further round adds."""
SHIPPED_REWARDS = "agents.rewards"


@dataclass(frozen=True)
class Unfinished:
    """A training that was stopped, failed or killed: the command that goes on with it, without the leading `arena`."""

    name: str
    words: list[str]


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
    counts = store.count_texts() | {"labels": store.count_judgements(), "models": len(models)}
    runs = [run for run in store.runs("text") if run.algorithm in ALGORITHMS]
    states = [(run, standing(store, run)[0]) for run in runs]
    at_work = [run.name for run, state in states if state == "running"]
    unfinished = [
        Unfinished(run.name, resume_words(run)) for run, state in states if state not in ("running", "finished")
    ]
    if at_work:
        look = shlex.join(["arena", "runs", "show", at_work[-1]])
        return FeedbackStatus(counts, at_work, unfinished, [], f"{at_work[-1]} is at work", look)
    last, state = next(((run, state) for run, state in reversed(states) if not for_a_curve(run.name)), (None, ""))
    if last is not None and state in ("stopped", "killed"):
        calls = "".join(f"; it calls {code}, which --allow-code lets it do again" for code in code_of(last))
        step = (resume_words(last), f"a training was stopped before its end{calls}")
    else:
        step = _next_step(store, models, counts)
    return FeedbackStatus(counts, at_work, unfinished, *step, shlex.join(["arena", *step[0]]))


def _next_step(store: Store, models: list[TextModel], counts: dict[str, int]) -> tuple[list[str], str]:
    """The words of the next command of a round, and why; a round ends with the evaluation of a better model."""
    newest = {model.kind: model for model in models}
    start, reward = newest.get("sft") or newest.get("imported"), newest.get("reward")
    improved = max((m for m in models if m.kind in ("rlhf", "dpo")), key=lambda m: m.id, default=None)
    if start is None:
        if "pretrained" in newest:
            return ["rlhf", "sft"], "the model continues text; demonstrations make it answer"
        return ["rlhf", "pretrain"], "there is no model yet; or bring one: arena rlhf import DIR"
    if not counts["completions"]:
        return ["rlhf", "sample"], "there is nothing to judge yet"
    if not counts["pairs"]:
        return ["rlhf", "pairs"], "completions are judged in pairs"
    new = counts["labels"] if reward is None else _labels_since(store, reward)
    if reward is None:
        if new >= ENOUGH_LABELS:
            return ["rlhf", "reward"], f"there are {new:,} labels"
        why = f"{new} labels so far; {ENOUGH_LABELS} or more make a useful reward model"
        if store.is_waiting():
            return ["label", "--new"], why
        return ["rlhf", "pairs"], f"every pair is labelled; {why}"
    if new >= MORE_LABELS:
        return ["rlhf", "reward"], f"{new:,} labels are newer than the reward model"
    if improved is None or improved.id < reward.id:
        return ["rlhf", "ppo"], "the reward model is newer than any model trained on it; or arena rlhf dpo"
    if not store.completions(model=improved.id, split="test", limit=1):
        return ["rlhf", "eval", improved.name], "did it work?"
    if not store.completions(model=improved.id, split="train", limit=1):
        return ["rlhf", "sample", "--model", improved.name], "for another round, its answers are labelled"
    if not store.is_paired(improved.id):
        words = ["rlhf", "pairs", "--model", improved.name, "--by", "uncertainty"]
        return words, f"nobody has compared the answers of {improved.name}"
    if store.is_waiting():
        why = f"{new} labels since the last reward model; {MORE_LABELS} or more are worth a new one"
        return ["label", "--new"], why
    if new:
        return ["rlhf", "reward"], f"every pair is labelled; {new} labels are newer than the reward model"
    return ["rlhf", "pairs", "--by", "uncertainty"], "every pair is labelled"


def resume_words(run: Run) -> list[str]:
    """The command that goes on with a training, without the leading `arena`."""
    return ["rlhf", ALGORITHMS[run.algorithm], "--name", run.name, "--resume"]


def code_of(run: Run) -> list[str]:
    """The functions of the user's own, as module:function, that a run calls."""
    called = (str(run.config.get(key) or "") for key in ("reward", "gold"))
    return [code for code in called if ":" in code and code.partition(":")[0] != SHIPPED_REWARDS]


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


def _labels_since(store: Store, reward: TextModel) -> int:
    """Judgements that came after a reward model's training had begun."""
    run = next((run for run in store.runs("text") if run.id == reward.run), None)
    chosen = run.config["labels"] if run is not None else {}
    return store.count_judgements(chosen.get("until", 0), chosen.get("scored_until", reward.created_at))
