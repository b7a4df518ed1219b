"""A large league, made up: `.venv/bin/python benchmarks/big_store.py FILE [--scale 0.1]`.

1,000,000 games, 10,000,000 metric rows and 100,000 labels (times --scale); `paint.py` measures the app on it.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from arena.records import Label
from arena.store import Store

GAMES = ("tic_tac_toe", "connect_four", "othello", "gridworld/sumo", "gridworld/cliff")
AGENTS, EPISODES_PER_MATCH, KEYS, POINTS = 100, 20, 15, 400
KEY_NAMES = ["charts/episodic_return", "charts/SPS", "losses/entropy", *(f"losses/part_{n}" for n in range(KEYS - 3))]
NOW = 1_750_000_000_000


def fill(path: Path, scale: float) -> None:
    """Write the league, each table in one statement, all in one transaction."""
    Store(path).close()
    rng = random.Random(1)
    episodes, runs, labels = int(1_000_000 * scale), int(10_000_000 * scale / KEYS / POINTS), int(100_000 * scale)
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "foreign_keys = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")

    def many(table: str, columns: int, rows: Iterator[tuple[Any, ...]]) -> None:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", rows)

    names = (
        "INSERT INTO runs (id, name, game, algorithm, config, seed, device, versions, commit_hash, total_steps, step,"
    )
    names += (
        " state, seconds, created_at, updated_at) VALUES (?, ?, ?, 'ppo', ?, 1, 'cpu', '{}', '', ?, ?, ?, 9.0, ?, ?)"
    )
    config = json.dumps({"settings": {"gamma": 0.99}, "opponents": [], "reward": "", "record": 0})
    steps = POINTS * 1000
    connection.executemany(
        names,
        ((n, f"ppo-{n}", GAMES[n % 5], config, steps, steps, "finished", NOW + n, NOW + n) for n in range(1, runs + 1)),
    )
    many("metric_keys", 2, ((n + 1, key) for n, key in enumerate(KEY_NAMES)))
    many(
        "metrics",
        4,
        (
            (run, key, point * 1000, point / (key + run))
            for run in range(1, runs + 1)
            for key in range(1, KEYS + 1)
            for point in range(1, POINTS + 1)
        ),
    )
    connection.executemany(
        """INSERT INTO agents (id, game, name, kind, policy, run, step, created_at)
            VALUES (?, ?, ?, 'scripted', 'random', ?, ?, ?)""",
        (
            (
                game * AGENTS + n + 1,
                GAMES[game],
                f"agent-{n}" if n else "random",
                (game or 5) + 5 * (n % max(1, runs // 5 - 1)),
                1000 * n,
                NOW,
            )
            for game in range(5)
            for n in range(AGENTS)
        ),
    )
    matches = episodes // EPISODES_PER_MATCH
    connection.executemany(
        "INSERT INTO matches (id, game, kind, rules, created_at) VALUES (?, ?, 'match', '{}', ?)",
        ((n, GAMES[n % 5], NOW + n) for n in range(1, matches + 1)),
    )
    pairs = {n: (rng.randrange(AGENTS), rng.randrange(1, AGENTS)) for n in range(1, matches + 1)}
    names = (
        "id, match, pair, leg, game, version, seed, opening_plies, length, actions, chain, reason, rated, created_at"
    )
    connection.executemany(
        f"INSERT INTO episodes ({names}) VALUES ({', '.join('?' * 14)})",
        (
            (n, m, (n - 1) % 20, 0, GAMES[m % 5], 1, n, 0, 9, b"\0" * 9, b"\0" * 80, "terminated", 1, NOW + n)
            for m in range(1, matches + 1)
            for n in range((m - 1) * 20 + 1, m * 20 + 1)
        ),
    )
    results: dict[tuple[str, int, int], list[int]] = {}

    def players() -> Iterator[tuple[Any, ...]]:
        for m in range(1, matches + 1):
            game = m % 5
            first, shift = pairs[m]
            a, b = game * AGENTS + first + 1, game * AGENTS + (first + shift) % AGENTS + 1
            counts = results.setdefault((GAMES[game], a, b), [0, 0, 0])
            for n in range((m - 1) * 20 + 1, m * 20 + 1):
                outcome = rng.random() < 1 / (1 + 10 ** ((b - a) / 100))
                score = 1.0 if outcome else 0.0
                counts[0 if outcome else 2] += 1
                yield n, 0, a, 2 * score - 1, None if game == 4 else score
                if game != 4:
                    yield n, 1, b, 1 - 2 * score, 1 - score

    many("episode_players", 5, players())
    played = {key: counts for key, counts in results.items() if key[0] != GAMES[4]}
    many("pair_results", 7, ((g, 1, a, b, *counts) for (g, a, b), counts in played.items()))
    rated: dict[tuple[str, int], int] = {}
    for (game, *both), counts in played.items():
        for agent in both:
            rated[game, agent] = rated.get((game, agent), 0) + sum(counts)
    many("online_ratings", 5, ((game, 1, agent, float(agent), count) for (game, agent), count in rated.items()))
    _labels(connection, labels)
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _labels(connection: sqlite3.Connection, labels: int) -> None:
    """Prompts with two completions each, a pair, and a label of most of them."""
    count = int(labels * 1.05) + 50
    connection.execute("INSERT INTO annotators VALUES (1, 'Ann', 'person', '{}', 0)")
    connection.executemany(
        "INSERT INTO prompts VALUES (?, ?, 'train', 'made up', 0)", ((n, f"prompt {n}") for n in range(1, count + 1))
    )
    connection.executemany(
        "INSERT INTO completions (id, prompt, text, ended, created_at) VALUES (?, ?, ?, 1, 0)",
        ((2 * n + side, n, f"answer {side} of prompt {n}") for n in range(1, count + 1) for side in (0, 1)),
    )
    connection.executemany(
        "INSERT INTO pairs VALUES (?, ?, ?, ?, 'random', NULL, 0)",
        ((n, n, 2 * n, 2 * n + 1) for n in range(1, count + 1)),
    )
    named = ", ".join(Label.__dataclass_fields__)
    rows = (
        {"id": n, "pair": n, "annotator": 1, "choice": "ab"[n % 2], "strength": 1, "weight": 1.0, "left": "a"}
        for n in range(1, labels + 1)
    )
    values = ([row.get(name, 0 if name == "created_at" else None) for name in named.split(", ")] for row in rows)
    marks = ", ".join("?" * len(Label.__dataclass_fields__))
    connection.executemany(f"INSERT INTO labels ({named}) VALUES ({marks})", values)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="the league's file, which must not be there yet")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size")
    options = parser.parse_args()
    if options.file.exists():
        sys.exit(f"{options.file} is there already")
    fill(options.file, options.scale)
    print(f"{options.file}: {options.file.stat().st_size / 2**20:,.0f} MiB")


if __name__ == "__main__":
    main()
