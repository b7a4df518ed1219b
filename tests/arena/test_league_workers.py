"""Workers: records do not depend on how many there are, nor on one being killed; a job that kills them is given up."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from arena import league, workers
from arena.league import LeagueEvent, run_league
from arena.league_config import LeagueConfig, load_league
from arena.league_work import Job, MatchJob, Played, Player, Report
from arena.records import Agent
from arena.store import Store
from arena.workers import Failed, Inline, Lost, Message, Processes, ordered

GAME = "tic_tac_toe"
CONFIG = """
games = 4
seed = 3
gate = { kind = "sprt", games = 64, elo1 = 100, patience = 2 }
members = [
    { role = "main", algorithm = "ppo", steps = 4096, settings = { hidden_size = 16 } },
    { role = "main-exploiter", algorithm = "vpg", steps = 2048, settings = { hidden_size = 16 } },
    { role = "league-exploiter", algorithm = "dqn", steps = 512, settings = { learning_starts = 64 } },
]
"""


def configured(folder: Path) -> LeagueConfig:
    file = folder / "league.toml"
    file.write_text(CONFIG)
    return load_league(file, GAME)


def records(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """All that a league has left, without times."""
    tables = ("agents", "checkpoints", "leagues", "league_facts", "matches", "episodes", "episode_players", "runs")
    kept: dict[str, list[tuple[object, ...]]] = {}
    with sqlite3.connect(store.path) as connection:
        connection.row_factory = sqlite3.Row
        for table in (*tables, "pair_results", "online_ratings", "fitted_ratings", "run_states", "metrics"):
            rows = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
            names = [key for key in (rows[0].keys() if rows else ()) if not key.endswith("_at") and key != "seconds"]
            kept[table] = [tuple(row[name] for name in names) for row in rows]
        rate = connection.execute("SELECT id FROM metric_keys WHERE key = 'charts/SPS'").fetchone()[0]
        kept["metrics"] = [row for row in kept["metrics"] if row[1] != rate]
    connection.close()
    return kept


def test_losses_and_results_come_in_the_order_of_the_jobs() -> None:
    class Backwards:
        """Has the last of its jobs done first, and loses each once."""

        slots = 2

        def __init__(self) -> None:
            self.jobs: list[int] = []
            self.lost: set[int] = set()
            self.most = 0

        def submit(self, job: Job) -> int:
            self.jobs.append(job)  # type: ignore[arg-type]
            self.most = max(self.most, len(self.jobs))
            return job  # type: ignore[return-value]

        def next(self) -> Message | None:
            ticket = self.jobs[-1]
            if ticket not in self.lost:
                self.lost.add(ticket)
                return Message(ticket, Lost(1, "signal 9"))
            self.jobs.pop()
            return Message(ticket, Failed(str(ticket)))

        def close(self) -> None: ...

    engine = Backwards()
    jobs = [lambda n=n: n for n in range(5)]  # type: ignore[misc]
    told = list(ordered(engine, jobs, lambda: False))  # type: ignore[arg-type]
    assert [index for index, news in told if isinstance(news, Failed)] == [0, 1, 2, 3, 4]
    assert {news.why for _, news in told if isinstance(news, Failed)} == {"0", "1", "2", "3", "4"}
    assert sorted(index for index, news in told if isinstance(news, Lost)) == [0, 1, 2, 3, 4]
    assert engine.most == 2


def test_a_job_that_cannot_be_done_says_why() -> None:
    nobody = Player(Agent(GAME, "nobody", "scripted", "nobody", id=1))
    engine = Inline(lambda: False)
    engine.submit(MatchJob(GAME, (nobody, nobody), 2, 0))
    message = engine.next()
    assert message is not None
    assert isinstance(message.news, Failed)
    assert "nobody" in message.news.why


@pytest.mark.slow
def test_records_depend_on_nothing_but_the_league(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with three workers, with one that is killed at its work, and without any."""
    made: list[Processes] = []

    def make(count: int, should_stop: object) -> object:
        engine = make_engine(count, should_stop)  # type: ignore[arg-type]
        made.append(engine)  # type: ignore[arg-type]
        return engine

    make_engine = workers.make_engine
    monkeypatch.setattr(league, "make_engine", make)

    def play(name: str, count: int) -> Iterator[LeagueEvent]:
        with Store(tmp_path / f"{name}.db") as store:
            yield from run_league(store, GAME, "l", config=configured(tmp_path), rounds=2, workers=count)

    killed, told = False, []
    for event in play("killed", 1):
        told += [event.text] if event.kind == "note" else []
        if event.kind == "train" and not killed:
            killed = True
            for pid in made[0].pids():
                os.kill(pid, signal.SIGKILL)
    assert len(told) == 1
    assert "died (signal 9)" in told[0]
    three = [event.kind for event in play("three", 3)]
    assert "note" not in three
    inline = [event.kind for event in play("inline", 0)]
    assert inline.count("match") == three.count("match") > 20
    with Store(tmp_path / "three.db") as store:
        wanted = records(store)
        assert {fact.kind for fact in store.league_facts(1)} >= {"trained", "snapshot", "reset"}
        assert store.check() == []
    for name in ("killed", "inline"):
        with Store(tmp_path / f"{name}.db") as store:
            found = records(store)
        for table, rows in wanted.items():
            assert found[table] == rows, (name, table)


@pytest.mark.slow
def test_a_job_that_kills_its_workers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TRIES", 2)
    random = Player(Agent(GAME, "random", "scripted", "random", id=1))
    other = Player(Agent(GAME, "tactician", "scripted", "tactician", id=2))
    engine = Processes(1, lambda: False)
    try:
        engine.submit(MatchJob(GAME, (random, other), 4, 0))
        news = []
        while not news or not isinstance(news[-1], (Failed, Played)):
            for pid in engine.pids():
                os.kill(pid, signal.SIGKILL)
            message = engine.next()
            news += [message.news] if message is not None and not isinstance(message.news, Report) else []
        assert [type(each) for each in news] == [Lost, Failed]
        assert "2 workers died over the same job" in news[-1].why  # type: ignore[union-attr]
        engine.submit(MatchJob(GAME, (random, other), 4, 0))
        while (message := engine.next()) is None:
            pass
        assert isinstance(message.news, Played)
        assert len(message.news.episodes) == 4
    finally:
        engine.close()
    assert engine.pids() == []
