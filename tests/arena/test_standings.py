"""Leaderboards: what is counted, who is ranked, and that they are quick to import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arena import ratings
from arena.match import evaluate, play_match
from arena.roster import resolve
from arena.standings import matrix, pair_rows, score_table, standings
from arena.store import Store
from envs.errors import ArenaError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def test_a_rating_table(store: Store) -> None:
    game = "connect_four"
    random, first, tactician = (resolve(store, game, name) for name in ("random", "first-legal", "tactician"))
    result = play_match(store, game, tactician, random, games=40)
    play_match(store, game, first, random, games=40)
    play_match(store, game, tactician, first, games=40)
    rows = standings(store, game)
    assert [(row.rank, row.agent) for row in rows] == [(1, "tactician"), (2, "first-legal"), (3, "random")]
    assert rows[2].elo == rows[2].low == rows[2].high == 0
    assert all(row.low < row.elo < row.high for row in rows[:2])
    assert [row.games for row in rows] == [80] * 3
    assert sum(row.wins - row.losses for row in rows) == 0
    assert rows[0].online > 0 > rows[2].online
    against = sum(r.wins + r.draws / 2 for r in store.pair_results(game) if r.agent_0 == tactician.agent.id)
    assert rows[0].first_score == against / 40
    assert result.seats[0].score <= 1
    store.retire_agent(game, "first-legal")
    assert [(row.rank, row.agent) for row in standings(store, game)] == [(1, "tactician"), (2, "random")]
    assert [(row.rank, row.agent) for row in standings(store, game, retired=True)][1] == (None, "first-legal")
    assert standings(store, "tic_tac_toe") == []


def test_who_never_met_the_others_is_not_ranked(store: Store) -> None:
    game = "tic_tac_toe"
    names = ("random", "tactician", "minimax", "first-legal")
    random, tactician, minimax, first = (resolve(store, game, name) for name in names)
    play_match(store, game, tactician, random, games=10)
    play_match(store, game, minimax, first, games=10)
    rows = {row.agent: row for row in standings(store, game)}
    assert (rows["tactician"].rank, rows["random"].rank) == (1, 2)
    assert rows["minimax"].rank is None
    assert not rows["minimax"].connected


def test_who_beats_whom(store: Store) -> None:
    game = "tic_tac_toe"
    random, tactician, minimax = (resolve(store, game, name) for name in ("random", "tactician", "minimax"))
    assert matrix(store, game).agents == ()
    met = play_match(store, game, tactician, random, games=20)
    play_match(store, game, minimax, tactician, games=20)
    found = matrix(store, game)
    assert found.agents == ("minimax", "tactician", "random")
    assert found.scores[1][2] == met.total.score == pytest.approx(1 - (found.scores[2][1] or 0))
    assert found.scores[0][2] is found.scores[0][0] is None, "they have not met"
    assert found.games == ((0, 20, 0), (20, 0, 20), (0, 20, 0))
    assert found.nash == pytest.approx((1, 0, 0), abs=1e-6)
    assert found.nash_scores[2] < found.nash_scores[1] < found.nash_scores[0] == pytest.approx(0.5)
    assert found.alpha_rank[0] > 0.99
    pairs, goodness = pair_rows(store, game)
    assert [(pair.agent, pair.other) for pair in pairs] == [("random", "tactician"), ("tactician", "minimax")]
    assert all(pair.superiority < 0.01 and pair.games == 20 for pair in pairs)
    assert pairs[0].score == pytest.approx(pairs[0].expected, abs=0.1)
    assert goodness.freedom == 2 * 4 - 4


def test_a_score_table(store: Store) -> None:
    game = "gridworld/cliff"
    for name in ("random", "value-iteration"):
        evaluate(store, game, resolve(store, game, name), episodes=5)
    best, worst = score_table(store, game)
    assert (best.rank, best.agent, best.mean, best.std, best.episodes) == (1, "value-iteration", -13.0, 0.0, 5)
    assert (worst.rank, worst.agent) == (2, "random")
    assert worst.mean < worst.best < 0
    assert standings(store, game) == []


def test_who_joins_and_plays_meanwhile_is_in_the_table(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts are read before the names of those who are in them: another process may add both at any time."""

    def meanwhile(name: str, play: Callable[[], object]) -> None:
        """Play just before the method of this name is called first."""
        asked = getattr(store, name)

        def after(*arguments: Any) -> Any:
            monkeypatch.setattr(store, name, asked)
            play()
            return asked(*arguments)

        monkeypatch.setattr(store, name, after)

    game, alone = "tic_tac_toe", "gridworld/cliff"
    names = ("random", "tactician", "first-legal", "minimax")
    one, two, three, four = (lambda n=name: resolve(store, game, n) for name in names)
    play_match(store, game, two(), one(), games=2)
    meanwhile("results_digest", lambda: play_match(store, game, three(), one(), games=2))
    assert {row.agent for row in standings(store, game)} == {"tactician", "random", "first-legal"}
    meanwhile("pair_results", lambda: play_match(store, game, four(), one(), games=2))
    assert {name for pair in pair_rows(store, game)[0] for name in (pair.agent, pair.other)} == {*names}
    meanwhile("scores", lambda: evaluate(store, alone, resolve(store, alone, "random"), episodes=1))
    assert [row.agent for row in score_table(store, alone)] == ["random"]


def test_tables_need_no_torch() -> None:
    code = "import sys, arena.standings, arena.store; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_fit_is_kept_until_results_or_names_change(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    game = "tic_tac_toe"
    random, tactician = (resolve(store, game, name) for name in ("random", "tactician"))
    play_match(store, game, tactician, random, games=20)
    first = standings(store, game)
    fits = []
    with monkeypatch.context() as patched:
        fit = ratings.fit_bradley_terry
        patched.setattr(ratings, "fit_bradley_terry", lambda *words: fits.append(words) or fit(*words))
        assert standings(store, game) == first
        assert fits == []
        play_match(store, game, tactician, random, games=20, seed=1)
        second = {row.agent: row for row in standings(store, game)}
        assert len(fits) == 1
        assert second["random"].games == 40
        store.rename_agent(game, "random", "chance")
        assert {row.agent for row in standings(store, game) if row.elo == 0} == set()
        assert len(fits) == 2
    assert store.check() == []


def test_a_file_that_cannot_be_written_is_fitted_all_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ArenaError("write-protected")

    play_match(store, "tic_tac_toe", *(resolve(store, "tic_tac_toe", name) for name in ("tactician", "random")))
    monkeypatch.setattr(store, "keep_fit", refuse)
    assert [row.agent for row in standings(store, "tic_tac_toe")] == ["tactician", "random"]
