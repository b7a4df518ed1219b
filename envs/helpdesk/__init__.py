"""The help desk: a small language of posts, questions and answers about devices that break.

It knows the exact probability of each of its posts, so that a language model's bits per byte have a floor, and it can
tell whether an answer helps, so that simulated annotators have something to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np

from envs.errors import UsageError
from envs.helpdesk import grammar, posts
from envs.helpdesk.judge import BRIEF_WORDS, Judgement, judge, topic

__all__ = [
    "BRIEF_WORDS", "LECTURE_PROMPT", "Judgement", "demonstrations", "judge", "post_log_prob", "prompts", "sample_posts",
    "topic",
]  # fmt: skip

_T = TypeVar("_T")

LECTURE_PROMPT = "my laptop won't turn on, what should I do?"
_SPLITS = {"train": True, "test": False}
_PATIENCE = 200
"""Draws without anything new, per text asked for, after which a language counts as exhausted."""


def sample_posts(n: int, seed: int) -> list[str]:
    """`n` different forum posts of all kinds; the same (n, seed) gives the same ones.

    They are draws from the language with repetitions left out. Raises UsageError where it has not so many posts.
    """
    draws = grammar.uniforms(np.random.default_rng(np.random.SeedSequence([seed, 1])))
    node = posts.post()
    return _different(n, lambda: grammar.sample(node, draws), "posts")


def post_log_prob(text: str) -> float:
    """ln of the exact probability of one whole post; −inf for what is no post. Sums over all derivations."""
    return grammar.log_prob(posts.post(), text)


def prompts(split: str, n: int, seed: int) -> list[str]:
    """`n` different questions. Those of "test" are about pairs of device and symptom that occur nowhere else."""
    if split not in _SPLITS:
        raise UsageError(f"unknown split {split!r}; known: train, test")
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2, _SPLITS[split]]))
    draws = grammar.uniforms(rng)
    pairs = _pairs(_SPLITS[split], draws)
    return _different(n, lambda: grammar.sample(posts.prompt(*next(pairs)), draws), f"{split} prompts")


def demonstrations(n: int, seed: int) -> list[tuple[str, str]]:
    """`n` different (prompt, answer), as people write them: most answers help, by no means all are polite or brief."""
    draws = grammar.uniforms(np.random.default_rng(np.random.SeedSequence([seed, 3])))
    pairs = _pairs(True, draws)

    def one() -> tuple[str, str]:
        pair = next(pairs)
        return grammar.sample(posts.prompt(*pair), draws), grammar.sample(posts.answer(*pair), draws)

    return _different(n, one, "demonstrations")


def _pairs(train: bool, draws: Iterator[float]) -> Iterator[tuple[str, str]]:
    """Endless (device, symptom) of a split."""
    pairs, weights = posts.pair(train)
    node = grammar.Pick([str(index) for index in range(len(pairs))], weights)
    while True:
        yield pairs[int(grammar.sample(node, draws))]


def _different(n: int, draw: Callable[[], _T], what: str) -> list[_T]:
    """The first `n` different results of `draw`, in the order of their first appearance."""
    seen: dict[_T, None] = {}
    for _ in islice(iter(int, 1), _PATIENCE * max(n, 1)):
        if len(seen) >= n:
            break
        seen.setdefault(draw())
    if len(seen) < n:
        raise UsageError(f"the language has not {n:,} different {what}; ask for at most {len(seen):,}")
    return list(seen)
