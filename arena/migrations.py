"""The schema of a league and how it grows. `python -m arena.migrations` prints the tables of `docs/2-data-model.md`.

`MIGRATIONS` is only ever appended to. sqlite_utils is imported when a file is created or migrated, never to read one.
"""

from __future__ import annotations

import sqlite3

from arena import migrations_text

SET_NAME = "arena"
APPLICATION_ID = 0x4152454E  # "AREN", at offset 68 of the file


def _append_only(*tables: str) -> tuple[str, ...]:
    return tuple(
        f"""CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
        for table in tables
        for verb in ("UPDATE", "DELETE")
    )


_FACTS = (
    """CREATE TABLE checkpoints (
        sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64),
        size INTEGER NOT NULL,
        algorithm TEXT NOT NULL,
        config TEXT NOT NULL CHECK (json_valid(config)),
        created_at INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE checkpoint_chunks (
        sha256 TEXT NOT NULL REFERENCES checkpoints ON DELETE CASCADE,
        position INTEGER NOT NULL,
        data BLOB NOT NULL CHECK (length(data) <= 8388608),
        PRIMARY KEY (sha256, position)
    ) STRICT""",
    """CREATE TABLE leagues (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        game TEXT NOT NULL,
        config TEXT NOT NULL CHECK (json_valid(config)),
        seed INTEGER NOT NULL,
        round INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        game TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        config TEXT NOT NULL CHECK (json_valid(config)),
        seed INTEGER NOT NULL,
        device TEXT NOT NULL,
        versions TEXT NOT NULL CHECK (json_valid(versions)),
        commit_hash TEXT NOT NULL,
        total_steps INTEGER NOT NULL,
        step INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'stopped', 'failed')),
        error TEXT,
        seconds REAL NOT NULL,
        league INTEGER REFERENCES leagues,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX runs_league ON runs (league)",
    """CREATE TABLE run_states (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        position INTEGER NOT NULL,
        step INTEGER NOT NULL,
        data BLOB NOT NULL CHECK (length(data) <= 8388608),
        PRIMARY KEY (run, position)
    ) STRICT""",
    """CREATE TABLE metric_keys (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE
    ) STRICT""",
    """CREATE TABLE metrics (
        run INTEGER NOT NULL REFERENCES runs,
        key INTEGER NOT NULL REFERENCES metric_keys,
        step INTEGER NOT NULL,
        value REAL,
        PRIMARY KEY (run, key, step)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE agents (
        id INTEGER PRIMARY KEY,
        game TEXT NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('checkpoint', 'scripted', 'solver', 'engine', 'human')),
        policy TEXT NOT NULL,
        checkpoint TEXT REFERENCES checkpoints,
        run INTEGER REFERENCES runs,
        step INTEGER,
        retired_at INTEGER,
        created_at INTEGER NOT NULL,
        UNIQUE (game, name),
        CHECK ((kind = 'checkpoint') = (checkpoint IS NOT NULL))
    ) STRICT""",
    "CREATE INDEX agents_checkpoint ON agents (checkpoint)",
    "CREATE INDEX agents_run ON agents (run)",
    """CREATE TABLE matches (
        id INTEGER PRIMARY KEY,
        game TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('match', 'evaluation', 'play', 'league', 'training')),
        rules TEXT NOT NULL CHECK (json_valid(rules)),
        league INTEGER REFERENCES leagues,
        round INTEGER,
        slot INTEGER,
        created_at INTEGER NOT NULL,
        UNIQUE (league, round, slot),
        CHECK ((league IS NULL) = (round IS NULL) AND (league IS NULL) = (slot IS NULL))
    ) STRICT""",
    "CREATE INDEX matches_game ON matches (game)",
    """CREATE TABLE episodes (
        id INTEGER PRIMARY KEY,
        match INTEGER NOT NULL REFERENCES matches,
        pair INTEGER NOT NULL,
        leg INTEGER NOT NULL,
        game TEXT NOT NULL,
        version INTEGER NOT NULL,
        seed INTEGER NOT NULL CHECK (seed >= 0),
        opening_plies INTEGER NOT NULL CHECK (opening_plies >= 0),
        length INTEGER NOT NULL CHECK (length >= 0),
        actions BLOB NOT NULL,
        chain BLOB NOT NULL,
        reason TEXT NOT NULL CHECK (reason IN ('terminated', 'truncated', 'resigned')),
        rated INTEGER NOT NULL CHECK (rated IN (0, 1)),
        created_at INTEGER NOT NULL,
        UNIQUE (match, pair, leg)
    ) STRICT""",
    "CREATE INDEX episodes_game ON episodes (game, version)",
    """CREATE TABLE episode_players (
        episode INTEGER NOT NULL REFERENCES episodes,
        seat INTEGER NOT NULL CHECK (seat >= 0),
        agent INTEGER NOT NULL REFERENCES agents,
        reward REAL NOT NULL,
        score REAL CHECK (score BETWEEN 0 AND 1),
        PRIMARY KEY (episode, seat)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX episode_players_agent ON episode_players (agent)",
    """CREATE TABLE pair_results (
        game TEXT NOT NULL,
        version INTEGER NOT NULL,
        agent_0 INTEGER NOT NULL REFERENCES agents,
        agent_1 INTEGER NOT NULL REFERENCES agents,
        wins INTEGER NOT NULL,
        draws INTEGER NOT NULL,
        losses INTEGER NOT NULL,
        PRIMARY KEY (game, version, agent_0, agent_1)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE online_ratings (
        game TEXT NOT NULL,
        version INTEGER NOT NULL,
        agent INTEGER NOT NULL REFERENCES agents,
        rating REAL NOT NULL,
        games INTEGER NOT NULL,
        PRIMARY KEY (game, version, agent)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE settings (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT""",
    *_append_only("matches", "episodes", "episode_players", "metrics"),
    """CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
        BEGIN SELECT RAISE(ABORT, 'a checkpoint is never rewritten'); END""",
    """CREATE TRIGGER checkpoint_chunks_no_update BEFORE UPDATE ON checkpoint_chunks
        BEGIN SELECT RAISE(ABORT, 'a checkpoint is never rewritten'); END""",
    """CREATE TRIGGER agents_same_policy BEFORE UPDATE OF game, kind, policy, checkpoint, run, step ON agents
        BEGIN SELECT RAISE(ABORT, 'an agent is one frozen policy for ever'); END""",
)

# Agents that a league's learners left before there were `league_facts` joined it one a round, in their order.
_JOINED = """INSERT INTO league_facts (league, round, learner, kind, agent, detail, created_at)
    SELECT league, round, learner, kinds.kind, agent, '{}', created_at FROM (
        SELECT runs.league, json_extract(runs.config, '$.learner') AS learner, agents.id AS agent, agents.created_at,
            row_number() OVER (PARTITION BY runs.id ORDER BY agents.step, agents.id) - 1 AS round
        FROM agents JOIN runs ON runs.id = agents.run
        WHERE runs.league IS NOT NULL AND json_extract(runs.config, '$.learner') IS NOT NULL) AS joined
    JOIN (SELECT 'trained' AS kind UNION ALL SELECT 'snapshot') AS kinds
    WHERE kinds.kind = 'trained' OR round < (SELECT leagues.round FROM leagues WHERE leagues.id = joined.league)
    ORDER BY agent, kinds.kind DESC"""

_LEAGUES = (
    "ALTER TABLE leagues ADD COLUMN paused_at INTEGER",
    """CREATE TABLE league_facts (
        id INTEGER PRIMARY KEY,
        league INTEGER NOT NULL REFERENCES leagues,
        round INTEGER NOT NULL,
        learner INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('trained', 'snapshot', 'rejected', 'reset', 'copied')),
        agent INTEGER REFERENCES agents,
        detail TEXT NOT NULL CHECK (json_valid(detail)),
        created_at INTEGER NOT NULL,
        UNIQUE (league, round, learner, kind)
    ) STRICT""",
    "CREATE INDEX league_facts_agent ON league_facts (agent)",
    """CREATE TABLE fits (
        game TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (game, version)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE fitted_ratings (
        game TEXT NOT NULL,
        version INTEGER NOT NULL,
        agent INTEGER NOT NULL REFERENCES agents,
        elo REAL NOT NULL,
        low REAL NOT NULL,
        high REAL NOT NULL,
        wins INTEGER NOT NULL,
        draws INTEGER NOT NULL,
        losses INTEGER NOT NULL,
        first_score REAL,
        second_score REAL,
        connected INTEGER NOT NULL CHECK (connected IN (0, 1)),
        PRIMARY KEY (game, version, agent)
    ) STRICT, WITHOUT ROWID""",
    _JOINED,
    *_append_only("league_facts"),
)

_FORFEITS = ("ALTER TABLE episodes ADD COLUMN forfeit TEXT CHECK (forfeit IS NULL OR reason = 'resigned')",)

_BACKENDS = ("ALTER TABLE episodes ADD COLUMN backend TEXT",)

_STATES = (
    """CREATE TABLE episode_states (
        episode INTEGER NOT NULL REFERENCES episodes,
        ply INTEGER NOT NULL CHECK (ply > 0),
        returns TEXT NOT NULL CHECK (json_valid(returns)),
        data BLOB NOT NULL,
        PRIMARY KEY (episode, ply)
    ) STRICT""",
    *_append_only("episode_states"),
)

SCORE_TOTALS = """SELECT game, version, agent, count(*), total(reward), total(reward * reward), max(reward), sum(length)
    FROM episode_players JOIN episodes ON episodes.id = episode WHERE score IS NULL AND rated
    GROUP BY game, version, agent"""
"""What `score_totals` holds: a rated episode's player has no score where it is alone."""

_SCORE_TOTALS = (
    """CREATE TABLE score_totals (
        game TEXT NOT NULL,
        version INTEGER NOT NULL,
        agent INTEGER NOT NULL REFERENCES agents,
        episodes INTEGER NOT NULL,
        rewards REAL NOT NULL,
        squares REAL NOT NULL,
        best REAL NOT NULL,
        steps INTEGER NOT NULL,
        PRIMARY KEY (game, version, agent)
    ) STRICT, WITHOUT ROWID""",
    f"INSERT INTO score_totals {SCORE_TOTALS}",
    """CREATE TRIGGER episode_players_score_totals AFTER INSERT ON episode_players WHEN NEW.score IS NULL BEGIN
        INSERT INTO score_totals
            SELECT game, version, NEW.agent, 1, NEW.reward, NEW.reward * NEW.reward, NEW.reward, length
            FROM episodes WHERE id = NEW.episode AND rated
        ON CONFLICT DO UPDATE SET episodes = episodes + 1, rewards = rewards + excluded.rewards,
            squares = squares + excluded.squares, best = max(best, excluded.best), steps = steps + excluded.steps;
    END""",
)

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("0001_facts", _FACTS),
    ("0002_text", (*migrations_text.TABLES, *_append_only(*migrations_text.FACTS))),
    ("0003_leagues", _LEAGUES),
    ("0004_forfeits", _FORFEITS),
    ("0005_score_totals", _SCORE_TOTALS),
    ("0006_backends", _BACKENDS),
    ("0007_states", _STATES),
)
"""(name, SQL statements), in the order in which they are applied."""

LATEST = tuple(name for name, _ in MIGRATIONS)


def applied(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The names of the migrations that a file has seen, in order; () for a file that has none."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone():
        return ()
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id", (SET_NAME,))
    return tuple(row[0] for row in rows)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file up to `LATEST`, each migration in a transaction of its own. The caller holds the file's lock."""
    from sqlite_utils import Database, Migrations

    migrations = Migrations(SET_NAME)
    for name, statements in MIGRATIONS:

        def apply(database: Database, statements: tuple[str, ...] = statements) -> None:
            for statement in statements:
                database.conn.execute(statement)

        migrations(name=name)(apply)
    migrations.apply(Database(connection, recursive_triggers=False, execute_plugins=False))


def describe(connection: sqlite3.Connection) -> str:
    """Every table with its columns, keys, indexes and triggers, as Markdown."""
    lines: list[str] = []
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    for (table,) in connection.execute(names).fetchall():
        lines += [f"### {table}", "", "| column | type | null | key |", "|---|---|---|---|"]
        foreign = {row[3]: row[2] for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
        for _, column, kind, not_null, _, key in connection.execute(f"PRAGMA table_info({table})"):
            keys = ([f"primary {key}"] if key else []) + ([f"→ {foreign[column]}"] if column in foreign else [])
            lines.append(f"| `{column}` | {kind} | {'' if not_null or key else 'yes'} | {', '.join(keys)} |")
        lines.append("")
        for _, index, unique, origin, *_ in sorted(
            connection.execute(f"PRAGMA index_list({table})"), key=lambda r: r[1]
        ):
            if origin != "pk":
                over = ", ".join(row[2] for row in connection.execute(f"PRAGMA index_info({index})"))
                lines.append(f"- {'unique' if unique else 'index'}: {over}")
        triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? ORDER BY name"
        lines += [f"- trigger: {name}" for (name,) in connection.execute(triggers, (table,))]
        lines += [""] if lines[-1] else []
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    memory = sqlite3.connect(":memory:", isolation_level=None)
    migrate(memory)
    print(describe(memory), end="")
