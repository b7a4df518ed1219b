"""Ratings over time, and the words that find episodes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from arena.cli.app import app
from arena.match import play_match
from arena.rating_history import CUTS, performance, player_history, run_histories
from arena.replay_search import Search, parse_search
from arena.roster import resolve
from arena.standings import standings
from arena.store import Store
from envs.errors import UsageError


def test_performance_is_where_expected_and_scored_points_meet() -> None:
    elo, half = performance([(0.0, 1.0), (0.0, 0.0)] * 50)
    assert elo == pytest.approx(0.0, abs=1e-6)
    assert half == pytest.approx(1.96 * 400 / math.log(10) / math.sqrt(101 / 4))
    strong, _ = performance([(100.0, 1.0)] * 30 + [(100.0, 0.0)] * 10)
    shares = 40 / (1 + 10 ** ((100 - strong) / 400)) + 1 / (1 + 10 ** ((100 - strong) / 400))
    assert shares == pytest.approx(30.5, abs=1e-6)
    assert math.isfinite(performance([(0.0, 1.0)] * 1000)[0])
    assert performance([(0.0, 1.0)] * 10)[0] == pytest.approx(-performance([(0.0, 0.0)] * 10)[0])


def test_a_player_comes_to_its_rating(tmp_path: Path) -> None:
    with Store(tmp_path / "league.db") as store:
        tactician, random = (resolve(store, "tic_tac_toe", name) for name in ("tactician", "random"))
        play_match(store, "tic_tac_toe", tactician, random, games=60)
        history = player_history(store, "tic_tac_toe", "tactician")
        (top, _) = standings(store, "tic_tac_toe")
        assert run_histories(store, "tic_tac_toe") == {}
    words = ["table", "tic_tac_toe", "--history", "--db", str(tmp_path / "league.db")]
    told = CliRunner().invoke(app, [*words, "--player", "tactician", "--json"])
    curve = json.loads(told.stdout)["curves"]["tactician"]
    assert [(point["x"], point["elo"]) for point in curve] == [(point.x, point.elo) for point in history]
    assert CliRunner().invoke(app, [*words, "--player", "tactician"]).stdout.count("±") == len(history) + 1
    assert "did you mean" in CliRunner().invoke(app, [*words, "--player", "tacticain"]).stderr
    assert CliRunner().invoke(app, [*words, "--matrix"]).exit_code == 2
    assert len(history) <= CUTS
    assert history[-1].x == 60
    assert history[-1].elo == pytest.approx(top.elo, abs=60)
    assert all(a.x < b.x and a.high - a.low > b.high - b.low for a, b in zip(history[:1], history[-1:], strict=True))
    assert all(point.low < point.elo < point.high for point in history)


def test_what_a_search_means() -> None:
    assert parse_search("") == Search()
    assert parse_search("Ann won >20 rated resigned #7") == Search(
        ("Ann",), "won", rated=True, reason="resigned", longer=20, episode=7
    )
    assert parse_search("draw <9 unrated cut") == Search((), "draw", False, "truncated", None, 9)
    with pytest.raises(UsageError, match="say who won"):
        parse_search("won")


def test_a_search_finds_what_it_means(tmp_path: Path) -> None:
    with Store(tmp_path / "league.db") as store:
        game = "tic_tac_toe"
        tactician, random = (resolve(store, game, name) for name in ("tactician", "random"))
        play_match(store, game, tactician, random, games=20)
        everything = store.episodes()

        def ids(words: str) -> list[int]:
            return [episode.id for episode in store.episodes(search=parse_search(words))]

        mine = {episode.id: {p.agent: p.score for p in episode.players}[random.agent.id] for episode in everything}
        for words, score in (("rand won", 1.0), ("RANDOM lost", 0.0), ("random draw", 0.5)):
            assert ids(words) == [number for number, own in mine.items() if own == score]
        assert ids(">5") == [episode.id for episode in everything if episode.length > 5]
        assert ids("random tactician <100") == list(mine)
        assert ids("nobody") == ids("100%") == []
        assert ids("#3") == [3]
        assert ids("unrated") == []
        found = store.episodes(game, random.agent.id, other=tactician.agent.id, limit=5)
        assert [episode.id for episode in found] == list(mine)[:5]
        (totals,) = store.match_totals([1]).values()
        points = sum(score for score in mine.values() if score)
        assert totals == [(tactician.agent.id, 20, 20 - points), (random.agent.id, 20, points)]
        assert store.results_of(random.agent.id, 3) == [(tactician.agent.id, mine[n]) for n in (18, 19, 20)]
