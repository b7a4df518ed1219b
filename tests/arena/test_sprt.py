"""The sequential test: closed forms, error rates within the nominal ones, and matches that stop when it decides."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from arena.cli.app import app
from arena.ratings import elo_score
from arena.sprt import POINTS, Sprt, parse_sprt, pentanomial
from arena.store import Store
from envs.errors import UsageError


def test_bounds_are_walds() -> None:
    assert Sprt(0, 10).bounds == pytest.approx((-math.log(19), math.log(19)))
    assert Sprt(0, 10, alpha=0.01, beta=0.1).bounds == pytest.approx((math.log(0.1 / 0.99), math.log(0.9 / 0.01)))


def test_two_outcomes_have_the_binomial_ratio() -> None:
    """Where pairs are only lost or won whole, the most likely distributions are Bernoulli."""
    test = Sprt(-20, 70)
    p0, p1 = elo_score(-20), elo_score(70)
    expected = 30 * math.log((1 - p1) / (1 - p0)) + 50 * math.log(p1 / p0)
    assert test.ratio([30, 0, 0, 0, 50]) == pytest.approx(expected, abs=0.05)


def test_the_ratio_grows_with_the_score_and_is_antisymmetric() -> None:
    pairs = [12, 30, 61, 40, 20]
    test = Sprt(-15, 15)
    assert test.ratio(pairs) == pytest.approx(-test.ratio(pairs[::-1]), abs=1e-6)
    assert test.ratio(pairs) > 0 > test.ratio([20, 40, 61, 30, 12])
    assert test.ratio([12, 30, 61, 45, 20]) > test.ratio(pairs)
    assert test.ratio([0, 0, 0, 0, 0]) == 0


def test_correlated_pairs_decide_sooner_than_single_games_would() -> None:
    """Openings that favour a side make pairs even: the pentanomial variance is smaller than that of lone games."""
    even = [0, 0, 80, 0, 20]  # 60 %, every pair drawn or swept
    apart = [int(share) for share in (16, 0, 48, 0, 36)]  # 60 %, as independent games without draws
    assert Sprt(0, 30).ratio(even) > 1.5 * Sprt(0, 30).ratio(apart)


@pytest.mark.parametrize("truth", ["elo0", "elo1"])
@pytest.mark.slow
def test_error_rates_are_within_the_nominal_ones(truth: str) -> None:
    test, rng = Sprt(0, 60), np.random.default_rng(0 if truth == "elo0" else 1)
    score = elo_score(getattr(test, truth))
    # Shares of pairs with draws and a first-player advantage, tilted to the score.
    shares = np.array([0.12, 0.18, 0.40, 0.18, 0.12])
    low, high = -8.0, 8.0
    for _ in range(80):
        tilt = (low + high) / 2
        tilted = shares * np.exp(tilt * POINTS)
        low, high = (tilt, high) if tilted @ POINTS / tilted.sum() < score else (low, tilt)
    tilted /= tilted.sum()
    runs, wrong, lengths = 600, 0, []
    for _ in range(runs):
        pairs, decision = np.zeros(5, np.int64), None
        while decision is None:
            pairs += rng.multinomial(16, tilted)
            decision = test.decide(pairs.tolist())
        wrong += decision != truth
        lengths.append(pairs.sum())
    assert wrong / runs <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / runs)
    assert wrong > 0
    assert 40 < np.mean(lengths) < 250


def test_words_and_numbers_that_are_no_test_are_refused() -> None:
    assert parse_sprt("-5, 12.5") == Sprt(-5, 12.5)
    for text in ("5", "1,2,3", "a,b", "10,5", "0,nan", ""):
        with pytest.raises(UsageError):
            parse_sprt(text)
    assert pentanomial([0, 0.5, 2, 2, 1]) == [1, 1, 1, 0, 2]


def test_a_match_stops_when_it_is_decided(tmp_path: Path) -> None:
    words = ["match", "tic_tac_toe", "minimax", "random", "--sprt", "0,100", "--db", str(tmp_path / "league.db")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["decision"] == "elo1"
    assert found["ratio"] >= found["high"]
    assert sum(found["pairs"]) * 2 == found["total"]["wins"] + found["total"]["draws"] + found["total"]["losses"] <= 256
    with Store(tmp_path / "league.db") as store:
        matches = store.matches()
        assert [match.id for match in matches] == found["matches"]
        assert sum(len(store.episodes(match=match.id, limit=1000)) for match in matches) == 2 * sum(found["pairs"])
    other = CliRunner().invoke(app, [*words[:2], "random", "minimax", *words[4:]])
    assert "decided for elo0, a difference of 0 rather than 100" in other.output


def test_the_limit_ends_it_undecided(tmp_path: Path) -> None:
    words = ["match", "tic_tac_toe", "random", "first-legal", "--sprt", "0,1", "--games", "70"]
    done = CliRunner().invoke(app, [*words, "--db", str(tmp_path / "league.db"), "--json"])
    found = json.loads(done.stdout)
    assert found["decision"] is None
    assert sum(found["pairs"]) == 35
