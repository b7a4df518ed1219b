"""The maths of ratings: closed forms, a slow independent optimiser, known strengths recovered, intervals that cover."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from arena import davidson, ratings
from arena.davidson import ELO, elo_scale, expected_scores
from arena.ratings import elo_difference, elo_update, examine_pairs, fit_bradley_terry, win_matrix
from arena.records import PairResult


def result(a: int, b: int, wins: int, draws: int, losses: int) -> PairResult:
    return PairResult("g", 1, a, b, wins, draws, losses)


def league(
    rng: np.random.Generator, strengths: np.ndarray, games: int, gamma: float = 0.0, nu: float = 0.5
) -> list[PairResult]:
    """A round robin in which everybody meets everybody `games` times in each seat; agents are numbered from 10."""
    results = []
    for a, b in permutations(range(len(strengths)), 2):
        x = strengths[a] - strengths[b] + gamma
        weights = np.array([math.exp(x / 2), nu, math.exp(-x / 2)])
        results.append(result(a + 10, b + 10, *map(int, rng.multinomial(games, weights / weights.sum()))))
    return results


def true_elo(strengths: Sequence[float] | np.ndarray, gamma: float, nu: float) -> np.ndarray:
    """[A] Elo over the first agent of a league whose strengths are known."""
    scale, _ = elo_scale(np.array([*strengths, gamma, math.log(nu)]), np.zeros(len(strengths), dtype=np.int64))
    return np.asarray(ELO * (scale - scale[0]))


def score_elo(score: float) -> float:
    return 400 * math.log10(score / (1 - score))


def elo_score(difference: np.ndarray | float) -> np.ndarray:
    return np.asarray(1 / (1 + 10 ** (-np.asarray(difference) / 400)))


def test_online_elo() -> None:
    assert elo_update(0, 0, 1) == (8, -8)
    assert elo_update(100, 100, 0.5) == (100, 100)
    assert elo_update(400, 0, 1, k=11) == pytest.approx((401, -1))
    assert elo_update(0, 400, 1, k=11) == pytest.approx((10, 390))


@pytest.mark.parametrize(
    ("wins", "draws", "losses", "expected"),
    [(50, 0, 50, 0), (10, 0, 1, 400), (1, 0, 10, -400), (60, 20, 20, 400 * math.log10(0.7 / 0.3)), (0, 30, 0, 0)],
)
def test_the_difference_of_a_match_is_the_logistic_of_its_score(
    wins: int, draws: int, losses: int, expected: float
) -> None:
    told, low, high = elo_difference(wins, draws, losses)
    assert told == pytest.approx(expected, abs=1e-9)
    assert -1200 <= low < told < high <= 1200
    assert elo_difference(losses, draws, wins) == pytest.approx((-told, -high, -low))


def test_the_interval_of_a_match() -> None:
    # Known half-widths of matches between equals without draws, in Elo.
    for games, half in ((100, 69), (400, 34), (1000, 22)):
        assert elo_difference(games // 2, 0, games // 2).high == pytest.approx(half, abs=1.6)
    assert elo_difference(35, 30, 35).high < elo_difference(50, 0, 50).high
    # 400 wins of 400: Wilson's lower bound of the score is n / (n + z²).
    score = 400 / (400 + davidson.Z**2)
    assert elo_difference(400, 0, 0).low == pytest.approx(400 * math.log10(score / (1 - score)), abs=1e-6)
    assert elo_difference(400, 0, 0)[::2] == (1200, 1200)
    assert elo_difference(0, 0, 0) == (0, -1200, 1200)


def test_the_interval_of_a_match_covers() -> None:
    rng = np.random.default_rng(0)
    for probabilities in ((0.45, 0.1, 0.45), (0.2, 0.7, 0.1), (0.9, 0.05, 0.05)):
        truth = 400 * math.log10(1 / (1 - probabilities[0] - probabilities[1] / 2) - 1)
        samples = rng.multinomial(60, probabilities, size=2000)
        covered = np.mean([low <= truth <= high for _, low, high in (elo_difference(*map(int, s)) for s in samples)])
        assert 0.92 < covered < 0.98


def test_two_players_without_draws() -> None:
    fit = fit_bradley_terry([result(1, 2, 300, 0, 100), result(2, 1, 100, 0, 300)], anchor=2)
    first, second = fit.ratings
    assert (first.agent, second.agent) == (1, 2)
    assert first.elo == pytest.approx(400 * math.log10(3), abs=2)
    assert (second.elo, second.low, second.high) == (0, 0, 0)
    # The variance of a log odds ratio of 800 games at 3 : 1 is 1 / (800 · ¾ · ¼).
    assert first.high - first.low == pytest.approx(2 * 1.96 * ELO / math.sqrt(800 * 3 / 16), rel=0.03)
    assert fit.first_player.difference == pytest.approx(0, abs=1e-6)
    assert (first.wins, first.draws, first.losses, first.games) == (600, 0, 200, 800)
    assert (first.first_score, first.second_score) == (0.75, 0.75)


def test_two_players_with_draws() -> None:
    """Davidson's model has as many terms as outcomes here, so that it fits them exactly: e^x = w/l, ν = d/√(wl)."""
    fit = fit_bradley_terry([result(1, 2, 600, 200, 200), result(2, 1, 200, 200, 600)], anchor=2)
    nu = 200 / math.sqrt(600 * 200)
    assert fit.draw_rate == pytest.approx(nu / (2 + nu), abs=0.002)
    assert fit.ratings[0].elo == pytest.approx(elo_difference(1200, 400, 400).difference, abs=0.5)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((48, 52, 0), (0, 60, 40)),
        ((890, 110, 0), (2, 198, 800)),
        ((3, 990, 7), (9, 986, 5)),
        ((70, 0, 30), (45, 0, 55)),
    ],
)
def test_two_players_differ_by_their_score_however_many_draws(
    first: tuple[int, int, int], second: tuple[int, int, int]
) -> None:
    """In both seats together the likeliest parameters expect exactly the points that were made, but for the priors."""
    rating = fit_bradley_terry([result(1, 2, *first), result(2, 1, *second)], anchor=2).ratings
    told = next(r for r in rating if r.agent == 1)
    match = elo_difference(*(a + b for a, b in zip(first, reversed(second), strict=True)))
    assert told.elo == pytest.approx(match.difference, rel=0.03, abs=1)
    assert told.high - told.low == pytest.approx(match.high - match.low, rel=0.25)


def test_the_first_players_advantage_of_equals() -> None:
    fit = fit_bradley_terry([result(1, 2, 600, 100, 300), result(2, 1, 600, 100, 300)])
    assert fit.first_player.difference == pytest.approx(score_elo(0.65), abs=1)
    assert fit.first_player.low < fit.first_player.difference < fit.first_player.high
    assert [rating.elo for rating in fit.ratings] == pytest.approx([0, 0], abs=1e-6)
    assert (fit.ratings[0].first_score, fit.ratings[0].second_score) == (0.65, 0.35)


def test_a_chain_adds_up() -> None:
    """Without draws a tree of pairs is fitted exactly: 1 beats 2 and 2 beats 3 by ten to one, so 1 is 800 above 3."""
    results = [result(a, b, *counts) for a, b in ((1, 2), (2, 3)) for counts in [(10_000, 0, 1_000)]]
    results += [result(b, a, 1_000, 0, 10_000) for a, b in ((1, 2), (2, 3))]
    fit = fit_bradley_terry(results, anchor=3)
    assert [rating.elo for rating in fit.ratings] == pytest.approx([800, 400, 0], abs=3)
    widths = [rating.high - rating.low for rating in fit.ratings]
    assert widths[0] == pytest.approx(math.sqrt(2) * widths[1], rel=0.02)


def test_unbeaten_agents_are_finite_and_their_intervals_lopsided() -> None:
    few, many = (
        fit_bradley_terry([result(1, 2, n, 0, 0), result(2, 1, 0, 0, n)], anchor=2).ratings[0] for n in (5, 200)
    )
    for rating in (few, many):
        assert -math.inf < rating.low < rating.elo < rating.high < 4000
        assert rating.high - rating.elo > rating.elo - rating.low
    assert many.elo > few.elo
    assert many.low > 600  # as a match of 400 wins says, not far from it
    assert many.low == pytest.approx(elo_difference(400, 0, 0).low, rel=0.15)


@pytest.mark.parametrize("agents", [2, 5, 12])
def test_openspiels_elo_agrees_where_the_models_do(agents: int) -> None:
    """Without draws and with seats that are worth the same, both are Bradley and Terry's."""
    elo = pytest.importorskip("pyspiel").elo
    rng = np.random.default_rng(agents)
    strengths = rng.normal(0, 1, agents)
    wins = np.zeros((agents, agents), dtype=np.int64)
    results = []
    for a in range(agents):
        for b in range(a):
            won = int(rng.binomial(200, 1 / (1 + math.exp(strengths[b] - strengths[a]))))
            wins[a, b], wins[b, a] = 2 * won, 2 * (200 - won)
            results += [result(a, b, won, 0, 200 - won), result(b, a, 200 - won, 0, won)]
    options = elo.default_elo_options()
    options.smoothing_factor = 0.0
    theirs = np.array(elo.compute_ratings_from_matrices(wins.tolist(), options=options))
    ours = np.array([fit_bradley_terry(results, anchor=0).by_agent()[agent].elo for agent in range(agents)])
    assert ours == pytest.approx(theirs - theirs[0], abs=1.0)


def test_without_an_anchor_each_groups_mean_is_zero() -> None:
    results = [result(1, 2, 7, 2, 1), result(2, 3, 5, 0, 5), result(8, 9, 30, 0, 10)]
    fit = fit_bradley_terry(results).by_agent()
    assert fit[1].elo + fit[2].elo + fit[3].elo == pytest.approx(0, abs=1e-6)
    assert fit[8].elo + fit[9].elo == pytest.approx(0, abs=1e-6)
    assert all(rating.connected for rating in fit.values())
    assert fit_bradley_terry(results, anchor=77).by_agent() == fit


def test_groups_that_never_met_the_anchor_are_marked() -> None:
    results = [result(1, 2, 7, 2, 1), result(2, 3, 5, 0, 5), result(8, 9, 30, 0, 10)]
    fit = fit_bradley_terry(results, anchor=3)
    assert [rating.agent for rating in fit.ratings if not rating.connected] == [8, 9]
    assert [rating.agent for rating in fit.ratings][-2:] == [8, 9]
    by_agent = fit.by_agent()
    assert by_agent[8].high - by_agent[8].low > 2 * (by_agent[2].high - by_agent[2].low)


def test_no_games_no_ratings() -> None:
    assert fit_bradley_terry([]).ratings == ()
    assert fit_bradley_terry([result(1, 2, 0, 0, 0)], anchor=1).ratings == ()


def test_the_order_of_results_and_the_agents_numbers_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    results = league(rng, rng.normal(size=6), 12, gamma=0.3)
    shuffled = random.Random(0).sample(results, len(results))
    split = [PairResult("g", 1, r.agent_0, r.agent_1, *part) for r in shuffled for part in parts(r)]
    renumbered = [result(100 - r.agent_0, 100 - r.agent_1, r.wins, r.draws, r.losses) for r in results]
    told = fit_bradley_terry(results, 10).by_agent()
    for other in (fit_bradley_terry(shuffled, 10).by_agent(), fit_bradley_terry(split, 10).by_agent()):
        for agent, rating in told.items():
            assert numbers(other[agent]) == pytest.approx(numbers(rating), abs=1e-3)
    other = fit_bradley_terry(renumbered, 90).by_agent()
    assert [other[100 - agent].elo for agent in told] == pytest.approx([told[agent].elo for agent in told], abs=1e-3)


def parts(r: PairResult) -> list[tuple[int, int, int]]:
    return [(r.wins, 0, 0), (0, r.draws, 0), (0, 0, r.losses)]


def numbers(rating: ratings.Rating) -> list[float]:
    return [rating.elo, rating.low, rating.high]


def slow_log_posterior(parameters: list[float], agents: list[int], results: list[PairResult]) -> float:
    """As the docstring has it, game by game."""
    *strengths, gamma, eta = parameters
    theta = dict(zip(agents, strengths, strict=True))
    total = -sum(t**2 for t in strengths) / (2 * davidson.STRENGTH_SD**2)
    total -= gamma**2 / (2 * davidson.FIRST_PLAYER_SD**2) + eta**2 / (2 * davidson.DRAW_SD**2)
    for r in results:
        x = theta[r.agent_0] - theta[r.agent_1] + gamma
        whole = math.log(math.exp(x / 2) + math.exp(eta) + math.exp(-x / 2))
        total += r.wins * (x / 2 - whole) + r.draws * (eta - whole) + r.losses * (-x / 2 - whole)
    return total


def test_a_slow_optimiser_agrees() -> None:
    """Coordinate by coordinate with shrinking steps, knowing nothing but the function's value."""
    rng = np.random.default_rng(2)
    results = league(rng, np.array([0.0, 1.0, -1.5]), 15, gamma=0.5, nu=0.8)
    agents, parameters, size = [10, 11, 12], [0.0] * 5, 1.0
    best = slow_log_posterior(parameters, agents, results)
    while size > 1e-6:
        moved = False
        for n in range(5):
            for step in (size, -size):
                trial = [*parameters[:n], parameters[n] + step, *parameters[n + 1 :]]
                if (value := slow_log_posterior(trial, agents, results)) > best:
                    parameters, best, moved = trial, value, True
        size = size if moved else size / 2
    fit = fit_bradley_terry(results, anchor=10)
    told = fit.by_agent()
    truth = slow_scale(parameters)
    for n, agent in enumerate(agents):
        assert told[agent].elo == pytest.approx(truth[n] - truth[0], abs=0.05)
    gamma, nu = parameters[-2], math.exp(parameters[-1])
    win, loss = math.exp(gamma / 2), math.exp(-gamma / 2)
    assert fit.first_player.difference == pytest.approx(score_elo((win + nu / 2) / (win + nu + loss)), abs=0.05)


def slow_scale(parameters: list[float]) -> list[float]:
    """Plain Bradley-Terry ratings of the expected round robin by its classical iteration (Zermelo 1929)."""
    *strengths, gamma, eta = parameters
    size, nu = len(strengths), math.exp(eta)

    def score(a: float, b: float) -> float:
        weights = [math.exp((a - b) / 2), nu, math.exp((b - a) / 2)]
        return (weights[0] + nu / 2) / sum(weights)

    expected = [
        sum(
            (score(strengths[i] + gamma, strengths[j]) + score(strengths[i], strengths[j] + gamma)) / 2
            for j in range(size)
            if j != i
        )
        for i in range(size)
    ]
    power = [1.0] * size
    for _ in range(10_000):
        power = [
            expected[i] / sum(1 / (power[i] + power[j]) for j in range(size) if j != i)
            for i in range(size)
        ]  # fmt: skip
    return [400 * math.log10(p) for p in power]


def test_without_draws_and_advantage_the_scale_is_bradley_terrys() -> None:
    strengths = np.array([0.0, 0.7, -2.0, 9.0])
    assert true_elo(strengths, 0.0, 1e-12) == pytest.approx(ELO * strengths, abs=1e-6)
    # With ν = 2 a Davidson score is a logistic function too, of half the difference.
    assert true_elo(strengths, 0.0, 2.0) == pytest.approx(ELO * strengths / 2, abs=1e-6)


def test_the_scale_rises_with_strength_and_survives_certainty() -> None:
    strengths = np.sort(np.random.default_rng(0).normal(0, 12, 30))
    for nu in (1e-6, 0.5, 30.0, 1e4):
        elo = true_elo(strengths, 0.4, nu)
        assert np.isfinite(elo).all()
        assert (np.diff(elo) > 0).all()
    assert true_elo([0.0, 18.0], 0.0, 1e-12)[1] == pytest.approx(ELO * 18, rel=1e-3)


def test_the_scales_change_with_the_parameters_is_its_derivative() -> None:
    groups = np.array([0, 0, 0, 3, 3])
    at = np.array([0.3, -1.0, 4.0, 0.5, -0.5, 0.4, 1.2])
    ratings_at, change = elo_scale(at, groups)
    for n in range(len(at)):
        ahead, behind = (elo_scale(at + sign * 1e-4 * np.eye(len(at))[n], groups)[0] for sign in (1, -1))
        mean = [0.0] * 5  # a group's mean is held at 0; its uncertainty is passed on at the slope between equals
        if n < 5:
            mean = [2 / (2 + math.exp(1.2)) / (groups == groups[n]).sum() * (g == groups[n]) for g in groups]
        assert change[:, n] == pytest.approx((ahead - behind) / 2e-4 + mean, abs=1e-5)
    assert ratings_at[:3].sum() == pytest.approx(0, abs=1e-9)


def drawish_league() -> list[PairResult]:
    """Four that draw nearly all games with each other, one that loses half to them, one that loses nearly all."""
    counts = {
        (a, b): (2, 97, 1) if a < b < 4 else (48, 52, 0) if b == 4 else (89, 11, 0)
        for a in range(5)
        for b in range(a + 1, 6)
    }
    counts[4, 5] = (83, 11, 6)
    return [
        result(*seats, *score)
        for (a, b), (w, d, lost) in counts.items()
        for seats, score in (((a, b), (w, d, lost)), ((b, a), (lost, d, w)))
    ]


@pytest.mark.parametrize("kind", ["drawish", "intransitive"])
def test_differences_say_what_was_scored(kind: str) -> None:
    """A pair's score is 1 / (1 + 10^(−d/400)) as nearly as one number an agent can tell, and every total is exact."""
    if kind == "drawish":
        results, tolerance = drawish_league(), 0.035
    else:  # each beats the next; all of them beat the last
        cycle = [(a, (a + 1) % 3, 500, 400, 100) for a in range(3)] + [(a, 3, 700, 250, 50) for a in range(3)]
        results = [r for a, b, w, d, lost in cycle for r in (result(a, b, w, d, lost), result(b, a, lost, d, w))]
        tolerance = 0.21
    shares, games = win_matrix(results, range(max(r.agent_1 for r in results) + 1))
    by_agent = fit_bradley_terry(results, anchor=len(shares) - 1).by_agent()
    elo = np.array([by_agent[n].elo for n in range(len(shares))])
    told = elo_score(elo[:, None] - elo[None, :])
    met = games > 0
    assert np.abs(told - shares)[met].max() < tolerance
    assert np.where(met, told, 0).sum(1) == pytest.approx(np.where(met, shares, 0).sum(1), abs=0.01)
    assert by_agent[len(shares) - 1].elo == 0


def test_known_strengths_are_recovered() -> None:
    rng = np.random.default_rng(3)
    strengths = rng.normal(0, 1.5, 12)
    results = league(rng, strengths, 2000, gamma=0.4, nu=0.7)
    fit = fit_bradley_terry(results, anchor=10)
    told = fit.by_agent()
    assert [told[n + 10].elo for n in range(12)] == pytest.approx(list(true_elo(strengths, 0.4, 0.7)), abs=15)
    win, loss = math.exp(0.2), math.exp(-0.2)
    assert fit.first_player.difference == pytest.approx(score_elo((win + 0.35) / (win + 0.7 + loss)), abs=4)
    assert fit.draw_rate == pytest.approx(0.7 / 2.7, abs=0.01)
    expected = expected_scores(np.array([*strengths, 0.4, math.log(0.7)]))
    shares, _ = win_matrix(results, range(10, 22))
    assert np.abs(expected - shares)[~np.eye(12, dtype=bool)].max() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "gamma", "nu"), [(1.0, 0.3, 0.5), (2.5, 0.0, 0.1), (4.0, 0.3, 10.0)])
def test_intervals_cover_the_truth(spread: float, gamma: float, nu: float) -> None:
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(500):
        strengths = rng.normal(0, spread, 5)
        truth = true_elo(strengths, gamma, nu)
        for rating in fit_bradley_terry(league(rng, strengths, 12, gamma, nu), anchor=10).ratings:
            if rating.agent != 10:
                covered.append(rating.low <= truth[rating.agent - 10] <= rating.high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_large_leagues_get_symmetric_intervals_that_agree(monkeypatch) -> None:
    rng = np.random.default_rng(6)
    results = league(rng, rng.normal(size=5), 200)
    exact = fit_bradley_terry(results, 10)
    monkeypatch.setattr(davidson, "PROFILE_LIMIT", 0)
    normal = fit_bradley_terry(results, 10)
    for a, b in zip(exact.ratings, normal.ratings, strict=True):
        assert b.high - b.elo == pytest.approx(b.elo - b.low)
        assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=3)


def test_the_win_matrix() -> None:
    shares, games = win_matrix([result(1, 2, 3, 1, 0), result(2, 1, 1, 0, 3), result(2, 3, 0, 1, 0)], [1, 2, 3])
    assert games.tolist() == [[0, 8, 0], [8, 0, 1], [0, 1, 0]]
    assert shares[0, 1] == 6.5 / 8
    assert shares[1, 0] == 1.5 / 8
    assert shares[1, 2] == shares[2, 1] == 0.5
    assert np.isnan(shares[[0, 0, 1], [0, 2, 1]]).all()


def test_pairs_say_who_is_stronger_and_what_surprises() -> None:
    pairs, _ = examine_pairs([result(1, 2, 30, 0, 20), result(2, 1, 20, 0, 30)])
    (pair,) = pairs
    assert (pair.agent, pair.other, pair.games, pair.score) == (1, 2, 100, 0.6)
    # 60 of 100 without draws: the log odds over its standard error, 1 / √(100 · 0.24).
    z = math.log(1.5) * math.sqrt(100 * 0.24)
    assert pair.superiority == pytest.approx(math.erfc(-z / math.sqrt(2)) / 2, abs=0.005)
    assert pair.expected == pytest.approx(0.6, abs=0.005)
    cycle = [(1, 2), (2, 3), (3, 1)]
    pairs, goodness = examine_pairs([r for a, b in cycle for r in (result(a, b, 35, 0, 15), result(b, a, 15, 0, 35))])
    assert [pair.superiority for pair in pairs] == pytest.approx([0.5] * 3, abs=0.01)
    assert [round(pair.surprise) for pair in pairs] == [4, -4, 4]  # 20 points of 100 above ½ are 4 deviations of 5
    assert goodness.p < 1e-6
    assert examine_pairs([])[0] == []


def test_the_model_fits_what_it_made_and_nothing_else() -> None:
    rng = np.random.default_rng(8)
    tails = []
    for _ in range(60):
        _, goodness = examine_pairs(league(rng, rng.normal(size=5), 200, 0.3, 0.5))
        assert goodness.freedom == 2 * 20 - 6
        tails.append(goodness.p)
    assert 0.4 < np.mean(tails) < 0.6
    assert np.mean([p < 0.1 for p in tails]) < 0.25
    assert ratings._chi_square_tail(18.307, 10) == pytest.approx(0.05, abs=0.001)
    assert ratings._chi_square_tail(3.841, 1) == pytest.approx(0.05, abs=0.004)


def test_importing_is_light() -> None:
    script = "import sys, arena.ratings, arena.matchmaking; print('torch' in sys.modules, 'scipy' in sys.modules)"
    root = Path(__file__).parents[2]
    out = subprocess.run([sys.executable, "-c", script], cwd=root, text=True, capture_output=True, check=True).stdout
    assert out.split() == ["False", "False"]


@pytest.mark.slow
def test_a_thousand_agents_and_a_million_games() -> None:
    rng = np.random.default_rng(7)
    strengths = rng.normal(0, 1.2, 1000)
    pairs = rng.integers(0, 1000, (200_000, 2))
    x = strengths[pairs[:, 0]] - strengths[pairs[:, 1]] + 0.2
    weights = np.stack((np.exp(x / 2), np.full_like(x, 0.5), np.exp(-x / 2)), axis=1)
    counts = rng.multinomial(5, weights / weights.sum(1, keepdims=True))
    results = [result(int(a), int(b), *map(int, c)) for (a, b), c in zip(pairs, counts, strict=True)]
    told = fit_bradley_terry(results, anchor=0).by_agent()
    truth = true_elo(strengths, 0.2, 0.5)
    inside = [told[n].low <= truth[n] <= told[n].high for n in range(1, 1000)]
    errors = [told[n].elo - truth[n] for n in range(1000)]
    assert np.std(errors) < 15
    assert np.mean(inside) > 0.8  # all of them share the anchor's error
