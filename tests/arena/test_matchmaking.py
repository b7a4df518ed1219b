"""Who plays whom: the distributions are what the docstrings say, and the same seed gives the same draw."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from arena import matchmaking

DRAWS = 20_000


def frequencies(draw: matchmaking.Draw, num_policies: int) -> np.ndarray:
    drawn = draw(num_policies, DRAWS, np.random.default_rng(0))
    assert len(drawn) == DRAWS
    assert all(type(index) is int for index in drawn)
    return np.bincount(drawn, minlength=num_policies) / DRAWS


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (matchmaking.latest, [0, 0, 0, 1]),
        (matchmaking.uniform, [0.25, 0.25, 0.25, 0.25]),
        (partial(matchmaking.uniform_window, delta=0.0), [0.25, 0.25, 0.25, 0.25]),
        (partial(matchmaking.uniform_window, delta=0.5), [0, 0, 0.5, 0.5]),
        (partial(matchmaking.uniform_window, delta=1.0), [0, 0, 0, 1]),
        (partial(matchmaking.mix, latest_share=0.8), [0.05, 0.05, 0.05, 0.85]),
        # Beta(1½, ½), Beta(½, 1½), Beta(½, ½): E (1 − x)² = 1/8, 5/8, 3/8; E (1 − x) = 1/4, 3/4, 1/2; the last 1/8.
        (partial(matchmaking.pfsp, points=[1, 0, 0, 0], games=[1, 1, 0, 0]), [1 / 12, 5 / 12, 3 / 12, 3 / 12]),
        (
            partial(matchmaking.pfsp, points=[1, 0, 0, 0], games=[1, 1, 0, 0], curve="linear"),
            [1 / 8, 3 / 8, 2 / 8, 2 / 8],
        ),
        (
            partial(matchmaking.pfsp, points=[1, 0, 0, 0], games=[1, 1, 0, 0], curve="variance"),
            [1 / 4, 1 / 4, 1 / 4, 1 / 4],
        ),
    ],
)
def test_distributions(draw: matchmaking.Draw, expected: list[float]) -> None:
    observed = frequencies(draw, 4)
    sd = np.sqrt(np.multiply(expected, 1 - np.asarray(expected)) / DRAWS)
    assert (np.abs(observed - expected) <= 4 * sd).all()
    rng = np.random.default_rng
    assert draw(4, 50, rng(3)) == draw(4, 50, rng(3))
    assert draw(4, 0, rng(3)) == []


def test_bad_options_are_refused() -> None:
    rng = np.random.default_rng(0)
    for draw in (matchmaking.latest, matchmaking.uniform, partial(matchmaking.mix, latest_share=0.5)):
        with pytest.raises(ValueError, match="no policy"):
            draw(0, 1, rng)
    with pytest.raises(ValueError, match="delta"):
        matchmaking.uniform_window(3, 1, rng, delta=1.5)
    with pytest.raises(ValueError, match="latest_share"):
        matchmaking.mix(3, 1, rng, latest_share=-0.1)
    with pytest.raises(ValueError, match="against 2 and 2 policies for 3"):
        matchmaking.pfsp(3, 1, rng, points=[0.1, 0.2], games=[1, 1])
    with pytest.raises(ValueError, match="between 0 and the number"):
        matchmaking.pfsp(1, 1, rng, points=[1.2], games=[1])


@pytest.mark.parametrize("size", range(8))
def test_round_robin_has_every_pair_once(size: int) -> None:
    names = [str(n) for n in range(size)]
    pairs = matchmaking.round_robin(names)
    assert sorted(tuple(sorted(pair)) for pair in pairs) == [(a, b) for a in names for b in names if a < b]
    per_round = size // 2
    for start in range(0, len(pairs), per_round or 1):
        busy = [name for pair in pairs[start : start + per_round] for name in pair]
        assert len(set(busy)) == len(busy)
    with pytest.raises(ValueError, match="twice"):
        matchmaking.round_robin(["a", "b", "a"])


def test_prioritised_draws_trust_results_the_more_there_are() -> None:
    """Ten of ten says more than one of one; after many games the posterior is the rate itself."""
    few = frequencies(partial(matchmaking.pfsp, points=[1, 10], games=[1, 10]), 2)
    assert few[0] > 5 * few[1]
    rates = np.array([0.9, 0.5, 0.2])
    many = frequencies(partial(matchmaking.pfsp, points=list(1e6 * rates), games=[1e6] * 3), 3)
    assert many == pytest.approx((1 - rates) ** 2 / ((1 - rates) ** 2).sum(), abs=0.02)
