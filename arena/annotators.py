"""Simulated annotators: rubrics and plain functions that label pairs as a person would, errors and leanings included.

They write the same labels as people do, under a name of their own, with their settings in the annotator's row.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial

from arena.records_text import Choice, Label, PairTask, Proposer, Split
from arena.store import Store
from envs.errors import ArenaError, UnknownNameError, UsageError
from envs.helpdesk.judge import Judgement, judge

Scorer = Callable[[str, str], float]
"""(prompt, completion) → how good it is; only differences matter."""

RUBRICS: dict[str, Callable[[Judgement], float]] = {
    "helpful": lambda facts: float(facts.fix_fits),
    "polite": lambda facts: float(facts.polite) - float(facts.rude),
    "brief": lambda facts: float(facts.brief),
    "asks": lambda facts: float(facts.asks),
    "finished": lambda facts: float(facts.finished),
}
"""Each gives at most one point. "helpful" names a fix that fits device and symptom."""
MUCH = 2.0
"""A difference of so many points is "much better"."""
_TERM = re.compile(r"(?:(?P<weight>-?\d+(?:\.\d+)?)\s*\*\s*)?(?P<name>[a-z]+)")


@dataclass(frozen=True)
class Simulation:
    """How a simulated annotator judges.

    Attributes:
        rubric: "helpful", "helpful+polite+brief", "2*helpful+polite", or "module:function", which is given a list of
            prompts and a list of completions and returns a number for each, as rewards do.
        noise: how often the answer is the opposite of what the rubric says.
        ties: how often two completions that the rubric finds equal are called so; else a coin decides.
        position: how often the completion on the left is chosen without looking.
        seed: where its chance comes from.
    """

    rubric: str
    noise: float = 0.0
    ties: float = 1.0
    position: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("noise", "ties", "position"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a probability from 0 to 1, not {getattr(self, name)}")


def scorer(rubric: str) -> Scorer:
    """What a rubric or a `module:function` makes of a completion; UsageError for what is neither."""
    if ":" in rubric:
        return _function(rubric)
    weights: dict[str, float] = {}
    for term in rubric.split("+"):
        found = _TERM.fullmatch(term.strip())
        if found is None:
            raise UsageError(
                f"{rubric!r} is no rubric: write helpful, helpful+polite, 2*helpful+brief or module:function"
            )
        if found["name"] not in RUBRICS:
            raise UnknownNameError("rubric", found["name"], RUBRICS)
        weights[found["name"]] = weights.get(found["name"], 0.0) + float(found["weight"] or 1)
    return partial(_points, tuple(weights.items()))


def decide(task: PairTask, score: Scorer, simulation: Simulation) -> Label:
    """The label (annotator 0) of one pair. The same pair, texts and simulation always get the same."""
    chance = random.Random(f"{simulation.seed} {task.pair} {task.text_a} {task.text_b}")
    points = score(task.prompt, task.text_a), score(task.prompt, task.text_b)
    difference = points[0] - points[1]
    choice: Choice
    if chance.random() < simulation.position:
        choice = task.left
    elif difference:
        choice = "a" if (difference > 0) == (chance.random() >= simulation.noise) else "b"
    elif chance.random() < simulation.ties:
        choice = "both_bad" if points[0] <= 0 else "tie"
    else:
        choice = "a" if chance.random() < 0.5 else "b"
    strength = 2 if choice in ("a", "b") and abs(difference) >= MUCH else 1
    return Label(task.pair, 0, choice, strength, left=task.left)


def annotate(
    store: Store,
    name: str,
    simulation: Simulation,
    count: int | None = None,
    proposed_by: Sequence[Proposer] | None = None,
    split: Split | None = None,
) -> list[int]:
    """Label pairs that this annotator has not labelled, all or the first `count`, and return the labels' ids."""
    score = lru_cache(maxsize=100_000)(scorer(simulation.rubric))
    pairs = store.pairs(proposed_by, annotator=name, split=split)[:count]
    labels = [decide(task, score, simulation) for task in store.pair_tasks(name, pairs)]
    return store.add_labels(name, labels, "simulated", asdict(simulation))


def _points(weights: tuple[tuple[str, float], ...], prompt: str, completion: str) -> float:
    facts = judge(prompt, completion)
    return sum(weight * RUBRICS[name](facts) for name, weight in weights)


def _function(name: str) -> Scorer:
    from agents.shaping import load_function

    function = load_function(name, "rubric")

    def score(prompt: str, completion: str) -> float:
        try:
            (points,) = function([prompt], [completion])
            return float(points)
        except Exception as error:
            raise ArenaError(
                f"{name} failed on {completion[:40]!r}: {type(error).__name__}: {error}; it is given a list of prompts "
                "and a list of completions and returns a number for each"
            ) from error

    return score
