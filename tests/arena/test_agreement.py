"""Agreement: published examples, and reports on labels whose statistics are known."""

from __future__ import annotations

import random

import pytest

from arena.agreement import ceiling, cohen_kappa, fleiss_kappa, krippendorff_alpha, report, wilson
from arena.records_text import LabelledPair


def test_cohen_on_the_textbook_example() -> None:
    # fifty proposals: both yes 20, only the first 5, only the second 10, both no 15
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert cohen_kappa(first, first) == 1
    assert cohen_kappa(["yes"] * 3, ["yes"] * 3) is None
    assert cohen_kappa([], []) is None


def test_fleiss_on_the_textbook_example() -> None:
    # fourteen raters, ten subjects, five categories
    table = """
        0 0 0 0 14
        0 2 6 4 2
        0 0 3 5 6
        0 3 9 2 0
        2 2 8 1 1
        7 7 0 0 0
        3 2 6 3 0
        2 5 3 2 2
        6 5 2 1 0
        0 2 2 3 7
    """
    rows = [[int(n) for n in line.split()] for line in table.strip().splitlines()]
    assert fleiss_kappa(rows) == pytest.approx(0.20993, abs=5e-6)
    assert fleiss_kappa([[2, 0], [0, 2]]) == 1
    assert fleiss_kappa([]) is None


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorff_on_his_own_example(level, alpha: float) -> None:
    # four observers, twelve units, values missing (Krippendorff 2011, section C)
    table = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[int(row[n]) for row in table if row[n] != "."] for n in range(12)]
    assert krippendorff_alpha(units, level) == pytest.approx(alpha, abs=5e-4)


def test_krippendorff_without_anything_to_compare() -> None:
    assert krippendorff_alpha([[1], [2]]) is None
    assert krippendorff_alpha([[1, 1], [1, 1]]) is None
    assert krippendorff_alpha([[1, 1], [2, 2]]) == 1


def test_wilson_on_a_known_interval() -> None:
    share = wilson(8, 10)
    assert (share.share, share.low, share.high) == (
        0.8,
        pytest.approx(0.4902, abs=1e-4),
        pytest.approx(0.9433, abs=1e-4),
    )
    assert wilson(0, 10).low == 0
    assert wilson(0, 0).share is None


def test_the_ceiling_inverts_independent_noise() -> None:
    for right in (0.5, 0.7, 0.9, 1.0):
        assert ceiling(right**2 + (1 - right) ** 2) == pytest.approx(right)
    assert ceiling(0.3) == 0.5


def label(pair: int, annotator: str, choice, left="a", strength: int = 1, repeat_of=None, turned=False, **changes):
    a, b = (2, 1) if turned else (1, 2)
    values = {"text_a": "aa" if not turned else "b", "text_b": "b" if not turned else "aa", "milliseconds": 1000}
    return LabelledPair(
        prompt="p", choice=choice, strength=strength, weight=1.0, annotator=annotator, pair=pair, prompt_id=1,
        completion_a=a, completion_b=b, split="train", proposed_by="random" if repeat_of is None else "repeat",
        repeat_of=repeat_of, left=left, ranking=None, label=0, created_at=0, **values | changes,
    )  # fmt: skip


def test_a_report_of_two_annotators() -> None:
    rows = [
        *(label(n, "Ann", choice) for n, choice in enumerate(["a", "a", "b", "tie", "skip"])),
        *(label(n, "Bob", choice, "b", 2) for n, choice in enumerate(["a", "b", "b", "both_bad", "a"])),
    ]
    found = report(rows)
    assert (found.labels, found.pairs) == (10, 5)
    assert (found.agreement.hits, found.agreement.of) == (3, 4)
    assert (found.decisive_agreement.hits, found.decisive_agreement.of) == (2, 3)
    (between,) = found.between
    assert between.annotators == ("Ann", "Bob")
    # observed 3/4; expected, either text first: (3·3 + 3·3 + 2·2) / 64
    assert between.kappa == pytest.approx((3 / 4 - 22 / 64) / (42 / 64))
    # Fleiss: shares 3/8, 3/8, 2/8 of a, b, tie: expected 22/64
    assert found.fleiss == pytest.approx((3 / 4 - 22 / 64) / (42 / 64))
    # α: either text first there are 16 values, 6 of a and 6 of b, with 2 coincidences of a and b
    assert found.alpha == pytest.approx(1 - 15 * 2 / ((256 - 36 - 36 - 16) / 2))
    ann, bob = found.annotators
    assert (ann.labels, ann.decisive, ann.much, bob.much) == (5, 3, 0, 4)
    assert ann.choices == {"a": 2, "b": 1, "tie": 1, "both_bad": 0, "skip": 1}
    assert (ann.left.hits, ann.left.of, bob.left.hits, bob.left.of) == (2, 3, 2, 4)
    assert (ann.longer.hits, ann.longer.of) == (2, 3)
    assert ann.seconds == 1.0
    assert found.ceiling is None, "three comparisons are too few"


def test_agreement_beyond_chance_does_not_know_which_text_is_called_a() -> None:
    """Files put the chosen text first: two that agree on nine of ten pairs would agree by chance as often."""
    choices = {"Ann": "aaaaaaaaaa", "Bob": "aaaaaaaaab"}
    found = report([label(n, name, choice) for name, all in choices.items() for n, choice in enumerate(all)])
    assert found.between[0].kappa == pytest.approx(0.8)
    assert found.fleiss == pytest.approx(0.8)
    assert found.alpha == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("turned", [False, True])
def test_consistency_compares_what_was_chosen_not_where(turned: bool) -> None:
    other = {"a": "b", "b": "a"}
    firsts = ["a", "b", "a", "tie"]
    seconds = ["a", "b", "b", "tie"]
    rows = [label(n, "Ann", choice) for n, choice in enumerate(firsts)]
    rows += [
        label(10 + n, "Ann", other.get(choice, choice) if turned else choice, repeat_of=n, turned=turned)
        for n, choice in enumerate(seconds)
    ]
    found = report(rows)
    assert (found.annotators[0].consistency.hits, found.annotators[0].consistency.of) == (3, 4)
    assert (found.decisive_consistency.hits, found.decisive_consistency.of) == (2, 3)
    assert found.pairs == 4, "repeats are no pairs of their own"


def test_the_ceiling_of_a_noisy_annotator_is_its_accuracy() -> None:
    chance = random.Random(0)
    rows = []
    for n in range(4000):
        rows += [label(n, "Ann", "a" if chance.random() < 0.9 else "b")]
        rows += [label(10_000 + n, "Ann", "a" if chance.random() < 0.9 else "b", repeat_of=n)]
    found = report(rows)
    assert found.ceiling_basis == "repeats"
    assert found.ceiling == pytest.approx(0.9, abs=0.01)
    rows += [label(n, "Bob", "a" if chance.random() < 0.9 else "b") for n in range(4000)]
    assert report(rows).ceiling_basis == "annotators"
    assert report(rows).ceiling == pytest.approx(0.9, abs=0.01)


def test_a_report_of_nothing() -> None:
    found = report([])
    assert (found.labels, found.annotators, found.alpha, found.fleiss, found.ceiling) == (0, [], None, None, None)


def test_thousands_of_annotators_are_no_millions_of_comparisons() -> None:
    found = report([label(n // 2, f"judge {n}", "a") for n in range(4000)])
    assert len(found.between) == 2000
    assert len(found.annotators) == 4000
