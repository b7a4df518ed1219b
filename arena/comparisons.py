"""Labels and scores as comparisons that models learn from: soft targets, completions encoded once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from agents.reward_model import Comparison
from agents.sequences import Sequences
from agents.transformer import TextModel
from arena.curve_points import for_a_curve
from arena.records_text import Choice, LabelledPair, ScoredCompletion
from arena.store import Store
from arena.text_models import encode
from envs.errors import UsageError

CLEAR_SCORES = 3
"""A difference of so many marks (1 to 7) between two completions is "much better"."""


@dataclass(frozen=True)
class Gathered:
    """Comparisons and the completions they are about.

    Attributes:
        comparisons: of completions by their row in `sequences`; a prompt is its id in the Store.
        sequences: the completions as a model's tokens.
        texts: (prompt, completion) of each row.
    """

    comparisons: list[Comparison]
    sequences: Sequences
    texts: list[tuple[str, str]]


def training_labels(store: Store, annotators: Sequence[str] | None, until: int | None = None) -> list[LabelledPair]:
    """The labels on training prompts, of these annotators (None: all but those of curves).

    With `until` they are those that counted when that row (its id) was the newest.
    """
    for name in annotators or ():
        store.annotator(name)
    return [
        row
        for row in store.labels(split="train", until=until)
        if (not for_a_curve(row.annotator) if annotators is None else row.annotator in annotators)
    ]


def gather(
    store: Store,
    labels: Sequence[LabelledPair],
    model: TextModel,
    certainty: float,
    scores: Sequence[ScoredCompletion] = (),
) -> Gathered:
    """Labels, and pairs of scores that one annotator gave to completions of one prompt, as comparisons.

    A plain choice has target `certainty`, "much better" 1, ties and "both bad" ½. Raises UsageError where there is
    nothing to compare.
    """
    ended = {completion.id: completion.ended for completion in store.completions(split="train")}
    rows: dict[tuple[int, str, bool], int] = {}
    prompts: dict[int, str] = {}
    comparisons: list[Comparison] = []

    def row(prompt: int, prompt_text: str, completion: int, text: str) -> int:
        prompts[prompt] = prompt_text
        return rows.setdefault((prompt, text, ended.get(completion, True)), len(rows))

    for label in labels:
        a = row(label.prompt_id, label.prompt, label.completion_a, label.text_a)
        b = row(label.prompt_id, label.prompt, label.completion_b, label.text_b)
        target = soft_target(label.choice, label.strength, certainty)
        comparisons.append(Comparison(label.prompt_id, a, b, target, label.weight))
    by_prompt: dict[tuple[str, int], list[ScoredCompletion]] = defaultdict(list)
    for score in scores:
        by_prompt[score.annotator, score.prompt_id].append(score)
    for (_, prompt), marks in by_prompt.items():
        for first, second in combinations(marks, 2):
            if first.text != second.text:
                a, b = (row(prompt, mark.prompt, mark.completion, mark.text) for mark in (first, second))
                difference = first.score - second.score
                choice: Choice = "tie" if not difference else "a" if difference > 0 else "b"
                target = soft_target(choice, 2 if abs(difference) >= CLEAR_SCORES else 1, certainty)
                # k marks are k − 1 judgements, so their k (k − 1) / 2 pairs weigh 2 / k each, as in rankings
                comparisons.append(Comparison(prompt, a, b, target, 2 / len(marks)))
    if not comparisons:
        raise UsageError("there is nothing to learn from yet: label some pairs with `arena label` or `arena prefs`")
    texts = [(prompts[prompt], text) for prompt, text, _ in rows]
    sequences = encode(model, [(*text, key[2]) for text, key in zip(texts, rows, strict=True)])
    return Gathered(comparisons, sequences, texts)


def soft_target(choice: Choice, strength: int, certainty: float) -> float:
    """The probability that `a` is preferred, which this judgement stands for."""
    if choice not in ("a", "b"):
        return 0.5
    sure = 1.0 if strength == 2 else certainty
    return sure if choice == "a" else 1 - sure


def selection(store: Store, annotators: Sequence[str] | None) -> dict[str, Any]:
    """What a run keeps of the labels and scores that are there when it begins; the annotators' names are checked."""
    for name in annotators or ():
        store.annotator(name)
    label, scored = store.newest_judgements()
    return {
        "annotators": None if annotators is None else sorted(annotators),
        "until": label,
        "scored_until": scored,
    }


def selected(store: Store, chosen: dict[str, Any]) -> tuple[list[LabelledPair], list[ScoredCompletion]]:
    """The labels and scores of a `selection`."""
    annotators = chosen["annotators"]
    scores = [
        score
        for score in store.completion_scores(split="train", until=chosen["scored_until"])
        if annotators is None or score.annotator in annotators
    ]
    return training_labels(store, annotators, chosen["until"]), scores
