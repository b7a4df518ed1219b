"""Preferences, pure: which pairs to ask next, on which side a text stands, what a ranking says of its pairs."""

from __future__ import annotations

import hashlib
import itertools
import random
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence

from arena.records_text import Choice, Completion, Pair, Side

RANDOM_SHARE = 0.25
"""How much of every proposal is drawn at random: without it nothing measured on the labels would be unbiased."""
OVERSAMPLE = 8
"""How many random candidates per pair are looked at for the most uncertain ones."""


def propose(
    completions: Sequence[Completion],
    taken: Collection[tuple[int, int]],
    count: int,
    seed: int,
    rewards: Mapping[int, Sequence[float]] | None = None,
    random_share: float = RANDOM_SHARE,
) -> list[Pair]:
    """Up to `count` new pairs, in the order in which to ask them.

    Completions of one prompt are paired; identical texts never are, nor are pairs that stand in `taken` (completion
    ids, either way round). Prompts take turns, so that none is asked about twice before every other once.

    Args:
        seed: the same arguments give the same pairs.
        rewards: completion id → what each member of an ensemble of reward models gives it. With them all but
            `random_share` of the pairs are the ones that the members disagree about most; the rest stays random.
    """
    chance = random.Random(seed)
    wanted = count if rewards is None else count * OVERSAMPLE
    drawn = list(itertools.islice(_random_pairs(completions, taken, chance), wanted))
    if rewards is None:
        return drawn
    judged = [pair for pair in drawn if pair.completion_a in rewards and pair.completion_b in rewards]
    doubts = {id(pair): disagreement(rewards[pair.completion_a], rewards[pair.completion_b]) for pair in judged}
    judged.sort(key=lambda pair: -doubts[id(pair)])
    uncertain = judged[: count - round(count * random_share)]
    chosen = {id(pair) for pair in uncertain}
    others = [pair for pair in drawn if id(pair) not in chosen][: count - len(uncertain)]
    mixed = others + [Pair(pair.prompt, pair.completion_a, pair.completion_b, "uncertainty") for pair in uncertain]
    chance.shuffle(mixed)
    return mixed


def disagreement(first: Sequence[float], second: Sequence[float]) -> float:
    """The standard deviation over an ensemble's members of the reward of one completion less that of another."""
    return statistics.pstdev([a - b for a, b in zip(first, second, strict=True)])


def _random_pairs(
    completions: Sequence[Completion], taken: Collection[tuple[int, int]], chance: random.Random
) -> Iterator[Pair]:
    """All pairs that there are, in random order, the prompts taking turns."""
    texts: dict[int, dict[str, int]] = {}
    for completion in completions:
        texts.setdefault(completion.prompt, {}).setdefault(completion.text, completion.id)
    prompts = [prompt for prompt, found in texts.items() if len(found) > 1]
    chance.shuffle(prompts)
    turns = [_shuffled_pairs(list(texts[prompt].values()), chance) for prompt in prompts]
    while turns:
        left = []
        for prompt, pairs in zip(prompts, turns, strict=True):
            for a, b in pairs:
                if (a, b) not in taken and (b, a) not in taken:
                    yield Pair(prompt, a, b)
                    left.append((prompt, pairs))
                    break
        prompts, turns = [prompt for prompt, _ in left], [pairs for _, pairs in left]


def _shuffled_pairs(ids: list[int], chance: random.Random) -> Iterator[tuple[int, int]]:
    """Every two of `ids` once, in random order: each with its neighbour first, so that all of them are seen early."""
    chance.shuffle(ids)
    for distance in range(1, len(ids)):
        for start in range(len(ids) - distance):
            yield ids[start], ids[start + distance]


def repeats(pairs: Sequence[Pair], count: int, seed: int) -> list[Pair]:
    """Hidden repeats of up to `count` stored pairs. (Whoever shows one turns its sides round: `Store.next_pair`.)"""
    originals = [pair for pair in pairs if pair.repeat_of is None]
    chosen = random.Random(seed).sample(originals, min(count, len(originals)))
    return [Pair(pair.prompt, pair.completion_a, pair.completion_b, "repeat", pair.id) for pair in chosen]


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
