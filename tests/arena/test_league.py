"""Leagues: what a round leaves, that stopping anywhere changes nothing, who is not matched."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arena.episodes import verify
from arena.league import LeagueEvent, run_league
from arena.standings import score_table, standings
from arena.store import Store
from envs.errors import ArenaError, UsageError

GAME = "tic_tac_toe"
SLICES = {"ppo": 12_288, "dqn": 512}
SOAK = Path(__file__).parents[1] / "soak_league_kill.py"

Facts = dict[tuple[int | None, int | None], tuple[tuple[str, ...], tuple[bytes, ...]]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def begin(store: Store, rounds: int | None = 1, **options: object) -> Iterator[LeagueEvent]:
    chosen = {"learners": ("dqn", "ppo"), "slice_steps": SLICES, "games": 4, "seed": 5, "device": "cpu"} | options
    return run_league(store, GAME, rounds=rounds, **chosen)  # type: ignore[arg-type]


def facts(store: Store) -> Facts:
    """Every match of the league: who played, and the chains of its episodes."""
    names = {agent.id: agent.name for agent in store.agents(retired=True)}
    kept: Facts = {}
    for match in store.matches(league=1):
        episodes = sorted(store.episodes(match=match.id), key=lambda e: (e.pair, e.leg))
        seats = tuple(names[player.agent] for player in episodes[0].players)
        kept[match.round, match.slot] = (seats, tuple(episode.chain for episode in episodes))
    return kept


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A league of two rounds that nothing disturbed."""
    store = Store(tmp_path_factory.mktemp("whole") / "league.db")
    events = list(begin(store, rounds=2))
    assert [e.round for e in events if e.kind == "round"] == [0, 1]
    assert events[-1].kind == "end"
    return store


def test_a_round_trains_snapshots_and_matches_everybody(whole: Store) -> None:
    assert whole.league(GAME).round == 2
    agents = {agent.id: agent for agent in whole.agents(GAME)}
    assert Counter(agent.run for agent in agents.values() if agent.run) == {1: 2, 2: 2}
    assert [(run.name, run.step, run.league) for run in whole.runs()] == [("dqn-1", 1024, 1), ("ppo-1", 24576, 1)]
    played = facts(whole)
    newest = {0: ("dqn-1@512", "ppo-1@12k"), 1: ("dqn-1@1.0k", "ppo-1@25k")}
    for number, (dqn, ppo) in newest.items():
        pairs = {seats for (of, _), (seats, _) in played.items() if of == number}
        wanted = {(dqn, ppo), *((name, script) for name in (dqn, ppo) for script in ("random", "tactician", "minimax"))}
        assert wanted <= pairs
        veterans = {(name, old) for name in (dqn, ppo) for old in newest[0]} if number else set()
        assert veterans <= pairs
        assert {slot for of, slot in played if of == number} == set(range(len(pairs)))
    assert all(r.ok for r in verify(whole))
    assert whole.check() == []
    rows = {row.agent: row for row in standings(whole, GAME)}
    assert rows["random"].elo == 0
    assert len(rows) == 7
    assert sum(row.games for row in rows.values()) == 2 * 4 * len(played)


@pytest.mark.parametrize("stops", [(1, 2, 3), (5, 3, 9, 2), (11, 1, 1, 14)])
@pytest.mark.slow
def test_a_league_that_was_torn_down_ends_the_same(store: Store, whole: Store, stops: tuple[int, ...]) -> None:
    """Closing the iterator leaves the file as a kill does: at the last transaction."""
    played: list[tuple[int, int]] = []
    for stop in stops:
        events = begin(store, rounds=2 - store.league(GAME).round if store.leagues() else 2)
        played += [(event.round, event.done) for event in itertools.islice(events, stop) if event.kind == "match"]
        events.close()
        assert store.check() == []
    rest = begin(store, rounds=2 - store.league(GAME).round)
    played += [(event.round, event.done) for event in rest if event.kind == "match"]
    assert len(played) == len(set(played)) == len(facts(whole)), "no match is played twice"
    assert facts(store) == facts(whole)
    assert store.pair_results(GAME) == whole.pair_results(GAME)


@pytest.mark.slow
@pytest.mark.parametrize("patience", [3, 7, 20])
def test_a_league_that_was_asked_to_stop_ends_the_same(store: Store, whole: Store, patience: int) -> None:
    """Also in the middle of a slice, whose state is kept without an agent."""
    while not store.leagues() or store.league(GAME).round < 2:
        rounds = 2 - (store.league(GAME).round if store.leagues() else 0)
        events = list(begin(store, rounds=rounds, should_stop=calls(patience)))
        assert events[-1].kind == "end"
        patience += 1
    assert facts(store) == facts(whole)


def calls(limit: int) -> Callable[[], bool]:
    left = iter(range(limit))
    return lambda: next(left, None) is None


def test_retired_agents_are_not_matched(store: Store) -> None:
    list(begin(store))
    store.retire_agent(GAME, "ppo-1@12k")
    store.retire_agent(GAME, "random")
    list(begin(store))
    second = [seats for (of, _), (seats, _) in facts(store).items() if of == 1]
    assert second
    assert not any({"ppo-1@12k", "random"} & set(seats) for seats in second)
    assert any("dqn-1@512" in seats for seats in second)
    assert "ppo-1@12k" not in {row.agent for row in standings(store, GAME)}
    retired = {row.agent: row.rank for row in standings(store, GAME, retired=True)}
    assert retired["ppo-1@12k"] is None


def test_one_process_at_a_time(store: Store) -> None:
    events = begin(store)
    next(events)
    with pytest.raises(ArenaError, match=r"league tic_tac_toe is being worked on by process \d+"):
        list(begin(store))
    events.close()
    with pytest.raises(UsageError, match="plays tic_tac_toe, not connect_four"):
        list(run_league(store, "connect_four", GAME, rounds=1))
    with pytest.raises(UsageError, match="at least one learner"):
        list(run_league(store, GAME, "empty", learners=()))
    with pytest.raises(UsageError, match="unknown algorithm 'dqm'"):
        list(run_league(store, GAME, "typo", learners=("dqm",)))
    with pytest.raises(UsageError, match="will not do"):
        list(run_league(store, GAME, "-x"))
    with pytest.raises(UsageError, match="gridworld/tron cannot be searched"):
        list(run_league(store, "gridworld/tron", learners=("az",)))
    assert [league.name for league in store.leagues()] == [GAME]


@pytest.mark.slow
def test_minutes_end_a_league(store: Store) -> None:
    *_, last = begin(store, rounds=None, minutes=0.02)
    assert last.kind == "end"
    assert store.check() == []


@pytest.mark.slow
def test_a_league_goes_the_alphazero_way(store: Store) -> None:
    """A main agent and those who hunt it, all taught by search, meet frozen opponents in training."""
    list(run_league(store, GAME, rounds=2, learners=("az",), slice_steps={"az": 2048}, games=4))
    runs = store.runs()
    assert {run.algorithm for run in runs} == {"az"}
    assert all(run.step == 4096 for run in runs)
    assert store.check() == []


@pytest.mark.slow
def test_one_player_leagues_keep_scores(store: Store) -> None:
    game = "gridworld/tiny"
    events = list(run_league(store, game, rounds=2, learners=("ppo",), slice_steps=SLICES, games=3))
    scored = [(e.round, e.evaluation.agent) for e in events if e.evaluation]
    assert [agent for of, agent in scored if of == 0] == ["ppo-1@12k", "random", "value-iteration"]
    assert [agent for of, agent in scored if of == 1] == ["ppo-1@25k"]
    assert {match.kind for match in store.matches()} == {"evaluation"}
    assert standings(store, game) == []
    best = score_table(store, game)[0]
    assert (best.mean, best.episodes, best.rank) == (1.0, 3, 1)


@pytest.mark.slow
def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    """A process that is killed takes nothing with it but what it was doing; `soak_league_kill.py` is the long way."""
    command = [sys.executable, str(SOAK), "--kills", "5", "--seed", "1", "--db", str(tmp_path / "league.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
