"""Where a Store stands in the round from labels to a better model, and what comes next. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from arena.store import Store

ALGORITHMS = {"pretrain": "pretrain", "sft": "sft", "reward": "reward", "rlhf": "ppo", "dpo": "dpo"}
"""Algorithm of a run → the command that goes on with it."""
ENOUGH_LABELS = 200


@dataclass(frozen=True)
class Unfinished:
    """A training that was stopped, failed or killed."""

    name: str
    command: str


@dataclass(frozen=True)
class FeedbackStatus:
    """What there is, by kind, and the command that comes next, with the reason."""

    counts: dict[str, int]
    unfinished: list[Unfinished]
    next: str
    why: str


def feedback_status(store: Store) -> FeedbackStatus:
    """Read off the Store alone, so that it holds whoever did what."""
    models = store.text_models()
    newest = {model.kind: model for model in models}
    labels = store.labels()
    last_label = max((label.created_at for label in labels), default=0)
    completions = store.completions(split="train")
    counts = {
        "demonstrations": len(store.demonstrations()),
        "train prompts": len(store.prompts("train")),
        "test prompts": len(store.prompts("test")),
        "completions": len(completions),
        "pairs": len(store.pairs()),
        "labels": len(labels),
        "models": len(models),
    }
    unfinished = [
        Unfinished(run.name, ALGORITHMS[run.algorithm])
        for run in store.runs("text")
        if run.algorithm in ALGORITHMS and run.state != "finished"
    ]
    improved = max((m for m in models if m.kind in ("rlhf", "dpo")), key=lambda m: m.id, default=None)
    reward = newest.get("reward")
    start = newest.get("sft") or newest.get("imported")
    if unfinished:
        run = unfinished[-1]
        step = (f"arena rlhf {run.command} --name {run.name} --resume", "a training was stopped before its end")
    elif start is None and "pretrained" not in newest:
        step = ("arena rlhf pretrain", "there is no model yet; or bring one: arena rlhf import DIR")
    elif start is None:
        step = ("arena rlhf sft", "the model continues text; demonstrations make it answer")
    elif not completions:
        step = ("arena rlhf sample", "there is nothing to judge yet")
    elif not store.pairs():
        step = ("arena rlhf pairs", "completions are judged in pairs")
    elif len(labels) < ENOUGH_LABELS and reward is None:
        step = ("arena label", f"{len(labels)} labels so far; {ENOUGH_LABELS} or more make a useful reward model")
    elif reward is None or (reward.created_at < last_label and improved is not None):
        step = ("arena rlhf reward", "the labels are newer than the reward model" if reward else "there are labels")
    elif improved is None or improved.created_at < reward.created_at:
        step = ("arena rlhf ppo", "the reward model is newer than any model trained on it; or arena rlhf dpo")
    elif not any(completion.model == improved.id for completion in completions):
        step = (
            f"arena rlhf eval {improved.name}",
            f"did it work? For another round, sample from it: arena rlhf sample --model {improved.name}",
        )
    elif not store.pairs(("random", "uncertainty")) or _all_labelled(store):
        step = ("arena rlhf pairs --by uncertainty", "there are new completions to compare")
    else:
        step = ("arena label", "there are pairs that nobody has labelled")
    return FeedbackStatus(counts, unfinished, *step)


def _all_labelled(store: Store) -> bool:
    labelled = {label.pair for label in store.labels(skipped=True)}
    return all(pair.id in labelled for pair in store.pairs(("random", "uncertainty")))
