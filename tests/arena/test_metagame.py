"""Nash averaging and α-rank on games whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from arena.metagame import alpha_rank, nash_average

CIRCLE = np.array([[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.5]])


def weighted_circle(a: float, b: float, c: float) -> np.ndarray:
    """Rock, paper, scissors with unequal wins: one's share at equilibrium is in proportion to the win of the others."""
    m = np.array([[0, a, -b], [-a, 0, c], [b, -c, 0]])
    return 0.5 + m / 2


def random_scores(rng: np.random.Generator, size: int) -> np.ndarray:
    m = np.tanh(rng.normal(size=(size, size)))
    return 0.5 + (m - m.T) / 4


def test_in_a_circle_all_are_equal() -> None:
    shares, scores = nash_average(CIRCLE)
    assert shares == pytest.approx([1 / 3] * 3)
    assert scores == pytest.approx([0.5] * 3)
    assert alpha_rank(CIRCLE) == pytest.approx([1 / 3] * 3)


def test_an_uneven_circle() -> None:
    shares, scores = nash_average(weighted_circle(0.2, 0.5, 0.9))
    assert shares == pytest.approx(np.array([0.9, 0.5, 0.2]) / 1.6, abs=1e-3)
    assert scores == pytest.approx([0.5] * 3, abs=1e-4)
    # The population stays longest with the one whose only conqueror wins least.
    a, b, c = alpha_rank(weighted_circle(0.02, 0.5, 0.9), intensity=1.0)
    assert max(a, b, c) == b


def test_the_best_has_all_and_the_beaten_nothing() -> None:
    strengths = np.array([0.0, 1.0, 3.0])
    scores = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    shares, against = nash_average(scores)
    assert shares == pytest.approx([0, 0, 1], abs=1e-6)
    assert against == pytest.approx(scores[:, 2], abs=1e-6)
    assert alpha_rank(scores) == pytest.approx([0, 0, 1], abs=1e-3)
    # A circle and one that loses to all of it.
    worse = np.pad(CIRCLE, (0, 1), constant_values=0.9)
    worse[3] = [0.1, 0.1, 0.1, 0.5]
    assert nash_average(worse)[0] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0], abs=1e-6)
    assert alpha_rank(worse) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0], abs=1e-6)


def test_copies_share_what_one_would_have() -> None:
    """Of all mixtures that nobody beats it is the most even one."""
    twice = [0, 0, 1, 2]
    scores = weighted_circle(0.2, 0.5, 0.9)[np.ix_(twice, twice)]
    shares, _ = nash_average(scores)
    assert shares == pytest.approx(np.array([0.45, 0.45, 0.5, 0.2]) / 1.6, abs=1e-3)
    assert nash_average(np.full((5, 5), 0.5))[0] == pytest.approx([0.2] * 5)


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_nobody_beats_the_mixture(size: int) -> None:
    rng = np.random.default_rng(size)
    for _ in range(5):
        scores = random_scores(rng, size)
        shares, against = nash_average(scores)
        assert shares.sum() == pytest.approx(1)
        assert against.max() <= 0.5 + 1e-3
        assert against[shares > 0.01] == pytest.approx(0.5, abs=1e-3)
        expected = (scores - scores.T) @ shares / 2 + 0.5
        assert against == pytest.approx(expected)


def test_alpha_rank_is_the_stationary_distribution() -> None:
    """Against the chain written out as the paper has it, multiplied until nothing changes."""
    scores, m, alpha = random_scores(np.random.default_rng(3), 5), 10, 2.0
    chain = np.zeros((5, 5))
    for old in range(5):
        for new in range(5):
            if new != old:
                u = alpha * m / (m - 1) * (scores[new, old] - 0.5)
                chain[old, new] = (1 - np.exp(-u)) / (1 - np.exp(-m * u)) / 4
        chain[old, old] = 1 - chain[old].sum()
    expected = np.linalg.matrix_power(chain, 1 << 20)[0]
    assert alpha_rank(scores, alpha, m) == pytest.approx(expected, abs=1e-9)
    assert alpha_rank(np.full((3, 3), 0.5)) == pytest.approx([1 / 3] * 3)
    assert alpha_rank(np.array([[0.5]])) == pytest.approx([1])
