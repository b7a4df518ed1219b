"""Games of more than two: ratings from everybody's places, matches, tables, tournaments."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from arena.cli.app import app
from arena.davidson import ELO, STRENGTH_SD
from arena.match import Tally, play_match
from arena.plackett_luce import fit_plackett_luce
from arena.records import Agent, Episode, EpisodePlayer, Finish, Match
from arena.roster import resolve
from arena.skills import openskill_table
from arena.standings import standings
from arena.store import Store
from arena.tournament import Tournament, play_tournament
from envs.errors import UsageError

POKER = "pettingzoo/classic/texas_holdem_no_limit_v6?num_players=3"


def slow_log_posterior(theta: dict[int, float], games: list[Finish]) -> float:
    """Place by place, ties as the mean over all orders."""
    value = -sum(t * t for t in theta.values()) / 2 / STRENGTH_SD**2
    for game in games:
        seats = list(zip(game.scores, game.agents, strict=True))
        orders = [o for o in itertools.permutations(seats) if list(o) == sorted(o, key=lambda seat: -seat[0])]
        for order in orders:
            for place in range(len(order)):
                left = sum(math.exp(theta[agent]) for _, agent in order[place:])
                value += (theta[order[place][1]] - math.log(left)) / len(orders)
    return value


def test_the_fit_is_where_a_slow_reference_is_largest() -> None:
    rng = np.random.default_rng(0)
    games = [
        Finish(tuple(map(int, rng.choice(5, 3, replace=False))), tuple(map(float, rng.integers(0, 3, 3))))
        for _ in range(40)
    ]
    games += [Finish((0, 1, 1), (2.0, 1.0, 3.0)), Finish((2, 2, 2), (1.0, 2.0, 3.0))]  # several seats; all of them
    fit = fit_plackett_luce(games)
    theta = {rating.agent: rating.elo / ELO for rating in fit.ratings}
    best = slow_log_posterior(theta, games)
    for agent, step in itertools.product(theta, (-0.02, 0.02)):
        assert slow_log_posterior(theta | {agent: theta[agent] + step}, games) < best
    assert sum(theta.values()) == pytest.approx(0, abs=1e-9)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(100):
        truth = rng.normal(0, 1, 8)
        games = []
        for _ in range(60):
            seats = rng.choice(8, 4, replace=False)
            games.append(Finish(tuple(map(int, seats)), tuple(truth[seats] + rng.gumbel(size=4))))
        for rating in fit_plackett_luce(games, anchor=0).ratings:
            if rating.agent:
                inside.append(rating.low < ELO * (truth[rating.agent] - truth[0]) < rating.high)
    assert 0.93 < np.mean(inside) < 0.97


def test_who_never_met_the_anchor_is_not_joined_to_it() -> None:
    games = [Finish((1, 2, 3), (1.0, 0.5, 0.0))] * 3 + [Finish((4, 5, 6), (1.0, 1.0, 0.0))]
    fit = fit_plackett_luce(games, anchor=2)
    assert [rating.agent for rating in fit.ratings][:3] == [1, 2, 3]
    assert [rating.connected for rating in fit.ratings] == [True] * 3 + [False] * 3
    found = fit.by_agent()
    assert found[2].elo == found[2].low == found[2].high == 0
    assert found[4].elo == pytest.approx(found[5].elo)
    assert (found[1].wins, found[1].draws, found[1].losses) == (3, 0, 0)
    assert (found[4].wins, found[4].draws, found[4].losses) == (0, 1, 0)
    assert fit_plackett_luce([]).ratings == ()


def test_games_that_tie_for_many_seats_cost_little() -> None:
    games = [Finish(tuple(range(20)), (1.0,) * 20)] * 5
    assert all(abs(rating.elo) < 1e-6 for rating in fit_plackett_luce(games).ratings)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A game of three with recorded results: a ahead of b ahead of random, mostly."""
    store = Store(tmp_path / "league.db")
    ids = [store.add_agent(Agent(POKER, name, "scripted", "random")) for name in ("a", "b", "random")]
    episodes = []
    for number in range(30):
        seats = [ids[(seat + number) % 3] for seat in range(3)]
        scores = {ids[0]: 1.0, ids[1]: 0.5, ids[2]: 0.0}
        if number % 5 == 0:
            scores = {agent: 1 - score for agent, score in scores.items()}
        players = tuple(EpisodePlayer(agent, scores[agent], scores[agent]) for agent in seats)
        episodes.append(
            Episode(POKER, 1, 7, 1, b"\0", bytes(32), "terminated", players, pair=number // 3, leg=number % 3)
        )
    store.add_match(Match(POKER, "match"), episodes)
    return store


def test_the_table_tells_places(store: Store) -> None:
    rows = standings(store, POKER)
    assert [(row.rank, row.agent, row.games) for row in rows] == [(1, "a", 30), (2, "b", 30), (3, "random", 30)]
    assert [(row.wins, row.draws, row.losses) for row in rows] == [(24, 0, 6), (0, 0, 30), (6, 0, 24)]
    assert rows[2].elo == 0
    assert all(row.low < row.elo < row.high for row in rows[:2])
    assert standings(store, POKER) == rows, "a kept fit is the same"
    shown = CliRunner().invoke(app, ["table", POKER, "--db", str(store.path)])
    assert "1st" not in shown.stdout
    assert "24/0/6" in shown.stdout
    told = json.loads(CliRunner().invoke(app, ["table", POKER, "--db", str(store.path), "--json"]).stdout)
    assert told["fit"] is None


def test_openskill_goes_through_the_games_in_their_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("openskill.models")
    model = models.PlackettLuce(tau=0.0)
    expected = {name: model.rating() for name in ("a", "b", "random")}
    for number in range(30):
        ranks = [3.0, 2.0, 1.0] if number % 5 == 0 else [1.0, 2.0, 3.0]
        after = model.rate([[expected[name]] for name in expected], ranks=ranks)
        expected = {name: team[0] for name, team in zip(expected, after, strict=True)}
    rows = openskill_table(store, POKER)
    assert [row.agent for row in rows] == ["a", "b", "random"]
    for row in rows:
        assert (row.mu, row.sigma) == pytest.approx((expected[row.agent].mu, expected[row.agent].sigma))
        assert row.games == 30
    shown = CliRunner().invoke(app, ["table", POKER, "--openskill", "--db", str(store.path)])
    assert "ordinal" in shown.stdout
    monkeypatch.setitem(__import__("sys").modules, "openskill.models", None)
    missing = CliRunner().invoke(app, ["table", POKER, "--openskill", "--db", str(store.path)])
    assert missing.exit_code == 1
    assert missing.stderr.strip() == "Error: --openskill needs pip install openskill"


@pytest.mark.slow
def test_three_play_poker(tmp_path: Path) -> None:
    store = Store(tmp_path / "league.db")
    agents = [resolve(store, POKER, name) for name in ("first-legal", "random", "first-legal")]
    result = play_match(store, POKER, *agents[:2], games=12, seed=2)
    assert result.elo is None
    assert [row.agent for row in result.finishers] != []
    rows = {row.agent: row for row in result.finishers}
    assert (rows["first-legal"].games.games, rows["random"].games.games) == (12, 24), "the last one takes what is left"
    for name, row in rows.items():
        id = store.agent(POKER, name).id
        held = [player for episode in result.episodes for player in episode.players if player.agent == id]
        assert row.score == pytest.approx(np.mean([player.score for player in held]))
        assert row.place == pytest.approx(3 - 2 * row.score)
        assert row.reward == pytest.approx(np.mean([player.reward for player in held]))
    assert rows["first-legal"].games == result.total
    seats = [[p.agent for p in e.players].index(store.agent(POKER, "first-legal").id) for e in result.episodes]
    assert sorted(seats) == sorted([0, 1, 2] * 4), "every seat as often as the others"

    with pytest.raises(UsageError, match="needs at least 3 agents"):
        next(play_tournament(store, POKER, agents[:2], "round-robin"))
    with pytest.raises(UsageError, match="--format round-robin is for it"):
        next(play_tournament(store, POKER, agents[:2], "swiss"))
    store.add_agent(Agent(POKER, "c", "scripted", "random"))
    store.add_agent(Agent(POKER, "d", "scripted", "first-legal"))
    four = [resolve(store, POKER, name) for name in ("first-legal", "random", "c", "d")]
    *meetings, found = play_tournament(store, POKER, four, "round-robin", games=3, seed=1)
    assert isinstance(found, Tournament)
    assert [meeting.agents for meeting in meetings] == list(itertools.combinations([c.name for c in four], 3))  # type: ignore[union-attr]
    assert sum(place.points for place in found.table) == pytest.approx(4 * 1.5)
    assert [place.points for place in found.table] == sorted((place.points for place in found.table), reverse=True)
    assert sum(place.games.games for place in found.table) == 4 * 3 * 3
    assert all(isinstance(place.games, Tally) for place in found.table)
