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


def seated(*words: str) -> list[matchmaking.Seated]:
    """ "main 0 frozen newest" → who that is."""
    return [
        matchmaking.Seated(role, int(member), "frozen" in rest, "newest" in rest)  # type: ignore[arg-type]
        for role, member, *rest in map(str.split, words)
    ]


def test_a_main_agent_plays_itself_the_past_and_what_it_cannot_beat() -> None:
    players = seated("main 0 frozen", "main-exploiter 1 frozen", "league-exploiter 2 frozen", "main 0 newest")
    points, games = np.array([9, 1, 1, 0.0]), np.array([10, 10, 10, 0.0])
    mix = matchmaking.league_mix("main", players, points, games)
    past = matchmaking.pfsp_weights(points[:3], games[:3])
    expected = 0.5 * past / past.sum() + [0, 0.15, 0]  # the exploiter alone is feared: the league exploiter is not one
    assert mix.self_play == pytest.approx(0.35)
    assert mix.weights == pytest.approx([*expected, 0])
    beaten = matchmaking.league_mix("main", players, games, games)
    assert beaten.self_play == pytest.approx(0.5), "nobody is feared: those games are self-play"
    assert sum(beaten.weights) == pytest.approx(0.5)
    assert matchmaking.league_mix("main", [], [], []) == matchmaking.Mix(1.0, ())


def test_a_main_exploiter_plays_the_newest_mains_or_climbs_up_to_them() -> None:
    players = seated(
        "main 0 frozen", "main 0 frozen", "main 0 newest", "main 3 frozen newest", "main-exploiter 1 frozen"
    )
    able = matchmaking.league_mix("main-exploiter", players, [0, 0, 5, 5, 0], [0, 0, 10, 10, 0])
    assert able == matchmaking.Mix(0.0, (0, 0, 0.5, 0.5, 0))
    weak = matchmaking.league_mix("main-exploiter", players, [5, 0, 0, 5, 0], [10, 10, 10, 10, 0])
    variance = matchmaking.pfsp_weights([5, 0], [10, 10], "variance")
    assert weak.weights == pytest.approx([*(0.25 * variance / variance.sum()), 0.25, 0.5, 0])
    assert weak.weights[0] > weak.weights[1], "equals teach more than those that always win"


def test_a_league_exploiter_plays_everybody_frozen() -> None:
    players = seated("main 0 frozen", "league-exploiter 2 frozen", "main 0 newest")
    mix = matchmaking.league_mix("league-exploiter", players, [0, 10, 0], [10, 10, 0])
    assert mix.self_play == 0
    assert mix.weights == pytest.approx([10.5 / 11, 0.5 / 11, 0])
    nobody = matchmaking.league_mix("league-exploiter", seated("main 0 newest"), [0], [0])
    assert nobody == matchmaking.Mix(1.0, (0.0,))


@pytest.mark.parametrize(
    ("draw", "expected"), [("uniform", [0.325, 0.325, 0]), ("latest", [0, 0.325, 0.325]), ("pfsp", [0.65, 0, 0])]
)
def test_other_draws_are_for_every_role(draw: matchmaking.LeagueDraw, expected: list[float]) -> None:
    players = seated("main 0 frozen", "main 1 frozen newest", "main 2 newest")
    for role in ("main", "main-exploiter", "league-exploiter"):
        mix = matchmaking.league_mix(role, players, [0, 1e6, 0], [1e6, 1e6, 0], draw)  # type: ignore[arg-type]
        assert mix.self_play == pytest.approx(0.35)
        assert mix.weights == pytest.approx(expected, abs=1e-6)


def test_few_blocks_follow_the_shares() -> None:
    weights = [0.5, 0.0, 0.3, 0.2]
    rng = np.random.default_rng(3)
    drawn = np.array([np.bincount(matchmaking.spread(weights, 4, rng), minlength=4) for _ in range(2000)])
    assert (drawn[:, 1] == 0).all()
    assert (drawn[:, 0] == 2).all(), "2 of 4 exactly"
    assert drawn.mean(0) == pytest.approx([2, 0, 1.2, 0.8], abs=0.06)
    assert matchmaking.in_order(2, 3, rng) == [0, 1, 0]
    with pytest.raises(ValueError, match="nobody"):
        matchmaking.spread([0.0, 0.0], 2, rng)
