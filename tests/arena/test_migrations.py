"""The schema: what the records and the data model's page say is what a new file has; facts cannot be changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from arena import migrations
from arena.records import TABLES, columns

PAGE = Path(__file__).parents[2] / "docs" / "2-data-model.md"


@pytest.fixture(scope="module")
def connection() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrations.migrate(connection)
    return connection


@pytest.mark.parametrize("table", TABLES)
def test_a_record_has_the_columns_of_its_table(connection: sqlite3.Connection, table: str) -> None:
    stored = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    assert sorted(stored) == sorted(columns(TABLES[table]))


def test_the_page_shows_the_schema(connection: sqlite3.Connection) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.endswith(migrations.describe(connection)), "run `python -m arena.migrations` and replace the page's end"


def test_every_table_is_strict(connection: sqlite3.Connection) -> None:
    tables = connection.execute("PRAGMA table_list").fetchall()
    loose = {row[1] for row in tables if not row[5] and row[2] == "table"}
    assert loose <= {"sqlite_schema", "sqlite_temp_schema", "sqlite_sequence", "_sqlite_migrations"}


def test_migrating_twice_changes_nothing(connection: sqlite3.Connection) -> None:
    before = list(connection.iterdump())
    migrations.migrate(connection)
    assert list(connection.iterdump()) == before
    assert migrations.applied(connection) == migrations.LATEST


def test_agents_of_older_leagues_joined_them_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:2])
        migrations.migrate(connection)
    connection.execute("INSERT INTO leagues VALUES (1, 'old', 'tic_tac_toe', '{}', 0, 1, 0)")
    for run, config in ((1, '{"learner": 0}'), (2, '{"learner": 1}'), (3, "{}")):
        connection.execute(
            """INSERT INTO runs VALUES (?1, 'run-' || ?1, 'tic_tac_toe', 'ppo', ?2, 0, 'cpu', '{}', '', 9, 9,
                'stopped', NULL, 0, 1, 0, 0)""",
            (run, config),
        )
    connection.execute("INSERT INTO checkpoints VALUES (?, 1, 'ppo', '{}', 0)", ("0" * 64,))
    for agent, (run, step) in enumerate(((1, 5), (2, 7), (1, 10), (3, 9)), 1):
        connection.execute(
            "INSERT INTO agents VALUES (?1, 'tic_tac_toe', 'agent-' || ?1, 'checkpoint', '', ?2, ?3, ?4, NULL, 0)",
            (agent, "0" * 64, run, step),
        )
    migrations.migrate(connection)
    facts = connection.execute("SELECT round, learner, kind, agent FROM league_facts ORDER BY id").fetchall()
    first = [(0, 0, "trained", 1), (0, 0, "snapshot", 1), (0, 1, "trained", 2), (0, 1, "snapshot", 2)]
    assert facts == [*first, (1, 0, "trained", 3)]


def test_episodes_of_older_leagues_are_in_the_score_table(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:4])
        migrations.migrate(connection)
    for agent, game in enumerate(("alone", "alone", "both"), 1):
        values = (agent, game, f"agent-{agent}")
        connection.execute("INSERT INTO agents VALUES (?, ?, ?, 'human', '', NULL, NULL, NULL, NULL, 0)", values)

    def play(
        episode: int, game: str, agent: int, reward: float, score: float | None = None, rated: int = 1, later: str = ""
    ) -> None:
        connection.execute("INSERT INTO matches VALUES (?, ?, 'play', '{}', NULL, NULL, NULL, 0)", (episode, game))
        values = (episode, episode, game, 10 * episode, rated)
        connection.execute(
            f"INSERT INTO episodes VALUES (?, ?, 0, 0, ?, 1, 0, 0, ?, x'', x'', 'terminated', ?, 0, NULL{later})",
            values,
        )
        connection.execute("INSERT INTO episode_players VALUES (?, 0, ?, ?, ?)", (episode, agent, reward, score))

    play(1, "alone", 1, 3.0)
    play(2, "alone", 2, -1.0)
    play(3, "alone", 2, 7.0)
    play(4, "alone", 2, 100.0, rated=0)
    play(5, "both", 3, 1.0, score=1.0)
    migrations.migrate(connection)
    totals = "SELECT * FROM score_totals ORDER BY agent"
    before = [("alone", 1, 1, 1, 3.0, 9.0, 3.0, 10), ("alone", 1, 2, 2, 6.0, 50.0, 7.0, 50)]
    assert connection.execute(totals).fetchall() == before
    play(6, "alone", 1, -2.0, later=", NULL")
    play(7, "alone", 1, 100.0, rated=0, later=", NULL")
    assert connection.execute(totals).fetchall() == [("alone", 1, 1, 2, 1.0, 13.0, 3.0, 70), before[1]]
