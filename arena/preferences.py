"""Preferences, pure: which pair to ask next, on which side a text stands, what a ranking says of its pairs."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence

from arena.records_text import Choice, Side


def shown_left(annotator: str, pair: int) -> Side:
    """Which completion of a pair this annotator sees on the left: a fair coin that always falls the same way."""
    digest = hashlib.blake2b(f"{pair} {annotator}".encode(), digest_size=1).digest()
    return "a" if digest[0] % 2 else "b"


def shuffled(items: Sequence[int], annotator: str, prompt: int) -> list[int]:
    """`items` in an order that depends on annotator and prompt alone."""
    order = list(items)
    random.Random(f"{prompt} {annotator}").shuffle(order)
    return order


def ranking_choices(shown: Sequence[int], ranks: Sequence[int]) -> Iterator[tuple[int, int, Choice, float]]:
    """The pairs of a ranking as (first, second, choice, weight), first to the left of second.

    Ranking K completions takes K − 1 comparisons, so each of its K (K − 1) / 2 pairs weighs 2 / K. (InstructGPT weighs
    them 2 / (K (K − 1)), which counts a ranking of four no more than one label of a pair.)
    """
    weight = 2 / len(shown)
    for (first, rank), (second, other) in itertools.combinations(zip(shown, ranks, strict=True), 2):
        choice: Choice = "tie" if rank == other else "a" if rank < other else "b"
        yield first, second, choice, weight
