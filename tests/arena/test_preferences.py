"""Which pairs are asked next: different texts, no pair twice, prompts in turn, uncertain and random ones mixed."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from arena.preferences import disagreement, propose, ranking_choices, repeats, shown_left, shuffled
from arena.records_text import Completion, Pair


def completions(prompts: int = 5, each: int = 4) -> list[Completion]:
    rows = [Completion(prompt, f"text {n}") for prompt in range(prompts) for n in range(each)]
    return [Completion(row.prompt, row.text, id=n + 1) for n, row in enumerate(rows)]


def keys(pairs: list[Pair]) -> list[frozenset[int]]:
    return [frozenset((pair.completion_a, pair.completion_b)) for pair in pairs]


def test_every_pair_once_the_prompts_in_turn() -> None:
    pairs = propose(completions(), (), 100, seed=1)
    assert len(pairs) == len(set(keys(pairs))) == 5 * 6
    for turn in range(6):
        assert {pair.prompt for pair in pairs[5 * turn : 5 * turn + 5]} == set(range(5))
    assert {pair.proposed_by for pair in pairs} == {"random"}
    assert all((pair.completion_a - 1) // 4 == pair.prompt == (pair.completion_b - 1) // 4 for pair in pairs)
    assert propose(completions(), (), 7, seed=1) == pairs[:7]
    assert propose(completions(), (), 7, seed=2) != pairs[:7]


def test_taken_pairs_are_not_asked_again() -> None:
    first = propose(completions(), (), 12, seed=1)
    taken = {(pair.completion_b, pair.completion_a) for pair in first}
    rest = propose(completions(), taken, 100, seed=2)
    assert len(rest) == 18
    assert not set(keys(first)) & set(keys(rest))


def test_identical_texts_are_never_paired() -> None:
    rows = [Completion(0, text, id=n) for n, text in enumerate(["x", "y", "x", "x", "y"], 1)]
    assert keys(propose(rows, (), 10, seed=0)) == [frozenset((1, 2))]
    assert propose(rows[2:4], (), 10, seed=0) == []
    assert propose([], (), 10, seed=0) == []


def test_the_most_uncertain_pairs_with_a_share_of_random_ones() -> None:
    rows = completions(prompts=200, each=2)
    rewards = {row.id: (0.0, float(row.prompt) if row.id % 2 else 0.0) for row in rows}
    pairs = propose(rows, (), 20, seed=3, rewards=rewards)
    assert Counter(pair.proposed_by for pair in pairs) == {"uncertainty": 15, "random": 5}
    uncertain = {pair.prompt for pair in pairs if pair.proposed_by == "uncertainty"}
    candidates = sorted(pair.prompt for pair in propose(rows, (), 160, seed=3))
    assert uncertain == set(candidates[-15:]), "those the ensemble disagrees about most"
    assert [p.proposed_by for p in pairs] != sorted(p.proposed_by for p in pairs), "mixed"
    assert len(set(keys(pairs))) == 20
    everything = propose(rows, (), 20, seed=3, rewards=rewards, random_share=1.0)
    assert {pair.proposed_by for pair in everything} == {"random"}
    nothing_known = propose(rows, (), 20, seed=3, rewards={})
    assert Counter(pair.proposed_by for pair in nothing_known) == {"random": 20}


def test_disagreement_is_about_differences() -> None:
    assert disagreement((1.0, 2.0, 3.0), (0.0, 1.0, 2.0)) == 0
    assert disagreement((1.0, 3.0), (0.0, 0.0)) == 1


def test_repeats_are_of_originals_once_each() -> None:
    pairs = [Pair(1, n, n + 1, id=n) for n in range(1, 101)] + [Pair(1, 2, 1, "repeat", 1, id=101)]
    again = repeats(pairs, 10, seed=0)
    assert len({pair.repeat_of for pair in again}) == 10
    assert all(pair.completion_a == pair.repeat_of and pair.proposed_by == "repeat" for pair in again)
    assert 101 not in {pair.repeat_of for pair in repeats(pairs, 1000, seed=0)}


def test_a_ranking_in_pairs() -> None:
    assert list(ranking_choices([7, 8], [2, 1])) == [(7, 8, "b", 1.0)]
    found = list(ranking_choices([7, 8, 9, 5], [1, 2, 1, 3]))
    assert [(a, b, choice) for a, b, choice, _ in found] == [
        (7, 8, "a"),
        (7, 9, "tie"),
        (7, 5, "a"),
        (8, 9, "b"),
        (8, 5, "a"),
        (9, 5, "a"),
    ]
    assert sum(weight for *_, weight in found) == pytest.approx(3), "as much as the comparisons it takes"


def test_sides_and_orders_depend_on_who_looks() -> None:
    assert len({tuple(shuffled([1, 2, 3, 4], f"annotator {n}", 1)) for n in range(200)}) == 24
    heads = sum(shown_left(f"annotator {n}", 5) == "a" for n in range(2000))
    assert 900 < heads < 1100
    random.seed(1)
    assert shuffled([1, 2, 3], "Ann", 4) == shuffled([1, 2, 3], "Ann", 4)
