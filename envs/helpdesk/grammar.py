"""Small probabilistic grammars: sample a text, and the exact probability of a text.

A grammar is a tree without recursion: a string stands for itself, `Join` for its parts one after another, `Pick` for
one of its options by weight. A text may be derivable in several ways; `log_prob` sums over all of them.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence

import numpy as np


class Join:
    """Its parts, one after another."""

    __slots__ = ("parts",)

    def __init__(self, *parts: str | Join | Pick) -> None:
        self.parts = parts


class Pick:
    """One of its options, each as likely as its weight says (all alike where none are given)."""

    __slots__ = ("cumulative", "options", "probabilities")

    def __init__(self, options: Iterable[str | Join | Pick], weights: Sequence[float] | None = None) -> None:
        self.options = tuple(options)
        if not self.options:
            raise ValueError("a Pick needs at least one option")
        weights = weights or [1.0] * len(self.options)
        total = math.fsum(weights)
        self.probabilities = tuple(weight / total for weight in weights)
        self.cumulative = list(itertools.accumulate(self.probabilities))[:-1]


def weighted(*options: tuple[float, str | Join | Pick]) -> Pick:
    """`Pick` from (weight, option) pairs."""
    return Pick([option for _, option in options], [weight for weight, _ in options])


def maybe(probability: float, node: str | Join | Pick) -> Pick:
    """The node with this probability, else nothing."""
    return weighted((probability, node), (1 - probability, ""))


def uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Endless draws from [0, 1), taken from `rng` in blocks."""
    while True:
        yield from rng.random(4096).tolist()


def sample(node: str | Join | Pick, draws: Iterator[float]) -> str:
    """One text of the grammar, each with its probability."""
    pieces: list[str] = []
    stack = [node]
    while stack:
        top = stack.pop()
        if isinstance(top, Pick):
            stack.append(top.options[bisect(top.cumulative, next(draws))])
        elif isinstance(top, Join):
            stack.extend(reversed(top.parts))
        else:
            pieces.append(top)
    return "".join(pieces)


def log_prob(node: str | Join | Pick, text: str) -> float:
    """ln of the probability that `sample(node)` gives exactly `text`; −inf where it never does."""
    probability = _ends(node, text, 0).get(len(text), 0.0)
    return math.log(probability) if probability > 0 else -math.inf


def _ends(node: str | Join | Pick, text: str, start: int) -> dict[int, float]:
    """Where derivations of `node` from `start` can end, and how probable each end is, summed over derivations."""
    if isinstance(node, str):
        return {start + len(node): 1.0} if text.startswith(node, start) else {}
    if isinstance(node, Pick):
        found: dict[int, float] = {}
        for option, probability in zip(node.options, node.probabilities, strict=True):
            for end, inside in _ends(option, text, start).items():
                found[end] = found.get(end, 0.0) + probability * inside
        return found
    reached = {start: 1.0}
    for part in node.parts:
        following: dict[int, float] = {}
        for middle, before in reached.items():
            for end, inside in _ends(part, text, middle).items():
                following[end] = following.get(end, 0.0) + before * inside
        reached = following
        if not reached:
            break
    return reached
