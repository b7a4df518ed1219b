"""How far labels can be trusted, pure: agreement between annotators and with oneself, position bias, the ceiling.

A label is read as a choice between two completions: "a", "b" or "tie" (two bad completions are a tie). Pairs that could
not be compared are missing values. Hidden repeats tell how consistent an annotator is; everything else leaves them out.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from arena.records_text import Choice, LabelledPair

Level = Literal["nominal", "ordinal", "interval"]
Z95 = 1.959963984540054
BOTH = (1, -1)
"""Every pair counts with either text first: which of them is called a is an accident, or the habit of a file."""
MIN_CEILING = 20
"""Comparisons that an agreement must rest on before a ceiling is derived from it."""
_SIGNS: dict[Choice, int] = {"a": 1, "b": -1, "tie": 0, "both_bad": 0, "skip": 0}


@dataclass(frozen=True)
class Share:
    """`hits` of `of`, with Wilson's 95 % interval for the share behind them; all None where `of` is 0."""

    hits: int
    of: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class AnnotatorReport:
    """One annotator: what was chosen how often, how fast, how consistently, and with which leanings.

    Attributes:
        labels: all that count, hidden repeats and skipped pairs among them.
        decisive: of those, the ones that prefer a completion.
        much: of the decisive ones, those that find it much better.
        seconds: the median of the time taken; None where it is unknown.
        left: how often the completion on the left was preferred. ½ should lie in the interval.
        longer: how often the longer of two completions was preferred.
        consistency: how often a hidden repeat got the same answer, ties among them.
    """

    annotator: str
    labels: int
    choices: dict[str, int]
    decisive: int
    much: int
    seconds: float | None
    left: Share
    longer: Share
    consistency: Share


@dataclass(frozen=True)
class PairReport:
    """Two annotators on the pairs that both labelled: raw agreement and Cohen's κ."""

    annotators: tuple[str, str]
    agreement: Share
    kappa: float | None


@dataclass(frozen=True)
class Report:
    """Everything about a set of labels.

    Attributes:
        agreement: two annotators on one pair agree, ties among the answers.
        decisive_agreement: the same where both prefer a completion: what reward models are held against.
        decisive_consistency: an annotator prefers the same completion again, where both answers prefer one.
        fleiss: Fleiss's κ over the pairs that all annotators labelled; None: fewer than two annotators or pairs.
        alpha: Krippendorff's α, nominal: a, tie, b. alpha_ordinal: from "a much better" to "b much better".
        ceiling: accuracy of the best possible model against such labels (see `ceiling`), with the basis it rests on.
    """

    labels: int
    pairs: int
    annotators: list[AnnotatorReport]
    between: list[PairReport]
    agreement: Share
    decisive_agreement: Share
    decisive_consistency: Share
    fleiss: float | None
    alpha: float | None
    alpha_ordinal: float | None
    ceiling: float | None
    ceiling_basis: Literal["annotators", "repeats"] | None


def wilson(hits: int, of: int) -> Share:
    """A share with Wilson's 95 % interval (Wilson 1927)."""
    if of == 0:
        return Share(0, 0, None, None, None)
    share = hits / of
    spread = Z95 * math.sqrt(share * (1 - share) / of + Z95**2 / (4 * of**2))
    middle, scale = share + Z95**2 / (2 * of), 1 + Z95**2 / of
    return Share(hits, of, share, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Agreement of two annotators beyond chance (Cohen 1960); None where chance alone would always agree."""
    assert len(first) == len(second)
    if not first:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    one, other = Counter(first), Counter(second)
    expected = sum(one[category] * other[category] for category in one) / len(first) ** 2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def fleiss_kappa(counts: Sequence[Sequence[int]]) -> float | None:
    """Agreement of several annotators beyond chance (Fleiss 1971).

    Args:
        counts: [items, categories], how many annotators chose each category; every item has equally many, at least 2.
    """
    if not counts:
        return None
    raters = sum(counts[0])
    assert raters >= 2
    assert all(sum(row) == raters for row in counts)
    observed = statistics.fmean(sum(n * (n - 1) for n in row) / (raters * (raters - 1)) for row in counts)
    totals = [sum(column) for column in zip(*counts, strict=True)]
    expected = sum((total / (raters * len(counts))) ** 2 for total in totals)
    return None if expected == 1 else (observed - expected) / (1 - expected)


def krippendorff_alpha(units: Iterable[Sequence[float]], level: Level = "nominal") -> float | None:
    """Krippendorff's α (Krippendorff 2011, "Computing Krippendorff's alpha-reliability").

    Args:
        units: per thing judged the values it was given, missing ones left out; units with one value say nothing.
        level: how far apart two values are.

    Returns:
        1 − observed / expected disagreement; None where all values are equal or nothing was judged twice.
    """
    pairable = [Counter(unit) for unit in units if len(unit) > 1]
    totals: Counter[float] = Counter()
    for unit in pairable:
        totals.update(unit)
    values = sorted(totals)
    count = sum(totals.values())

    def distance(a: float, b: float) -> float:
        if level == "nominal":
            return float(a != b)
        if level == "interval":
            return (a - b) ** 2
        between = sum(totals[value] for value in values if min(a, b) <= value <= max(a, b))
        return (between - (totals[a] + totals[b]) / 2) ** 2

    apart = {(a, b): distance(a, b) for a, b in itertools.combinations(values, 2)}
    expected = sum(totals[a] * totals[b] * gap for (a, b), gap in apart.items())
    if not expected:
        return None
    observed = 0.0
    for unit in pairable:
        gaps = (unit[a] * unit[b] * apart[a, b] for a, b in itertools.combinations(sorted(unit), 2))
        observed += sum(gaps) / (sum(unit.values()) - 1)
    return 1 - (count - 1) * observed / expected


def ceiling(agreement: float) -> float:
    """The accuracy of the best possible model against labels of which two independent ones agree this often.

    If each label says what is true with probability q, two agree with r = q² + (1 − q)²; a model that knows the truth
    agrees with q = (1 + √(2r − 1)) / 2 of the labels. Labels that agree by chance alone have the ceiling ½.
    """
    return (1 + math.sqrt(max(0.0, 2 * agreement - 1))) / 2


def report(rows: Sequence[LabelledPair]) -> Report:
    """What labels (`Store.labels(skipped=True)`) tell about their annotators and about each other."""
    by_annotator: dict[str, list[LabelledPair]] = defaultdict(list)
    items: dict[int, dict[str, LabelledPair]] = defaultdict(dict)
    for row in rows:
        by_annotator[row.annotator].append(row)
        if row.choice != "skip" and row.repeat_of is None:
            items[row.pair][row.annotator] = row
    again = {name: _repeated(labels) for name, labels in by_annotator.items()}
    decisive_again = _agree(pair for pairs in again.values() for pair in pairs if _sign(pair[0]) and _sign(pair[1]))
    shared = [item for item in items.values() if len(item) > 1]
    both = [two for item in shared for two in itertools.combinations(item.values(), 2)]
    decisive = _agree(two for two in both if _sign(two[0]) and _sign(two[1]))
    basis: Literal["annotators", "repeats"] | None = None
    if decisive.of >= MIN_CEILING:
        basis = "annotators"
    elif decisive_again.of >= MIN_CEILING:
        basis = "repeats"
    rate = {"annotators": decisive.share, "repeats": decisive_again.share}.get(basis or "")
    complete = [item for item in shared if len(item) == len(by_annotator)]
    signs = [Counter(_sign(row) for row in item.values()) for item in complete]
    return Report(
        labels=len(rows),
        pairs=len(items),
        annotators=[_annotator(name, labels, again[name]) for name, labels in sorted(by_annotator.items())],
        between=_between(shared),
        agreement=_agree(both),
        decisive_agreement=decisive,
        decisive_consistency=decisive_again,
        fleiss=fleiss_kappa([[found[turned * sign] for sign in (-1, 0, 1)] for found in signs for turned in BOTH]),
        alpha=krippendorff_alpha(
            [[turned * _sign(row) for row in item.values()] for item in shared for turned in BOTH]
        ),
        alpha_ordinal=krippendorff_alpha(
            [[turned * _sign(row) * row.strength for row in item.values()] for item in shared for turned in BOTH],
            "ordinal",
        ),
        ceiling=None if rate is None else ceiling(rate),
        ceiling_basis=basis,
    )


def _sign(row: LabelledPair) -> int:
    """1 where a is better, −1 where b is, 0 for ties."""
    return _SIGNS[row.choice]


def _turned(row: LabelledPair, original: LabelledPair) -> LabelledPair:
    """A repeat's label as one of the original pair, whose completions may stand the other way round."""
    if row.completion_a == original.completion_a or row.choice not in ("a", "b"):
        return row
    return LabelledPair(**{**vars(row), "choice": "b" if row.choice == "a" else "a"})


def _repeated(labels: Sequence[LabelledPair]) -> list[tuple[LabelledPair, LabelledPair]]:
    """An annotator's (first answer, answer to the repeat), those that could be compared."""
    found = {row.pair: row for row in labels if row.choice != "skip"}
    return [
        (found[row.repeat_of], _turned(row, found[row.repeat_of]))
        for row in found.values()
        if row.repeat_of is not None and row.repeat_of in found
    ]


def _agree(pairs: Iterable[tuple[LabelledPair, LabelledPair]]) -> Share:
    same = [_sign(a) == _sign(b) for a, b in pairs]
    return wilson(sum(same), len(same))


def _between(items: Iterable[Mapping[str, LabelledPair]]) -> list[PairReport]:
    """Every two annotators who labelled the same pairs, in the order of their names."""
    shared: dict[tuple[str, str], list[tuple[LabelledPair, LabelledPair]]] = defaultdict(list)
    for item in items:
        for one, other in itertools.combinations(sorted(item), 2):
            shared[one, other].append((item[one], item[other]))
    return [
        PairReport(
            names,
            _agree(rows),
            cohen_kappa(
                *([turned * _sign(row) for turned in BOTH for row in side] for side in zip(*rows, strict=True))
            ),
        )
        for names, rows in sorted(shared.items())
    ]


def _annotator(
    name: str, labels: Sequence[LabelledPair], again: Sequence[tuple[LabelledPair, LabelledPair]]
) -> AnnotatorReport:
    decisive = [row for row in labels if _sign(row)]
    placed = [row for row in decisive if row.left is not None]
    unequal = [row for row in decisive if len(row.text_a) != len(row.text_b)]
    chosen = Counter(row.choice for row in labels)
    times = [row.milliseconds for row in labels if row.milliseconds is not None]
    return AnnotatorReport(
        annotator=name,
        labels=len(labels),
        choices={choice: chosen[choice] for choice in _SIGNS},
        decisive=len(decisive),
        much=sum(row.strength == 2 for row in decisive),
        seconds=statistics.median(times) / 1000 if times else None,
        left=wilson(sum(row.choice == row.left for row in placed), len(placed)),
        longer=wilson(sum((len(row.text_a) > len(row.text_b)) == (row.choice == "a") for row in unequal), len(unequal)),
        consistency=_agree(again),
    )
