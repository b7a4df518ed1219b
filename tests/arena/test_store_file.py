"""The file under the Store: refused untouched, created in races, written by several processes, killed at any moment."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arena import migrations
from arena.store import Store
from arena.store_file import _advice
from envs.errors import ArenaError, UsageError

WRITER = """
import dataclasses, sys
from arena.records import Agent, Episode, EpisodePlayer, Match, Run
from arena.store import Store
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = Store(path)
data = b"\\x02\\0\\0\\0\\0\\0\\0\\0{}"
run = store.create_run(Run(f"run-{name}", "tic_tac_toe", "ppo", {}, 0, 10**9))
agents = [store.human("tic_tac_toe", "Ann").id, store.human("tic_tac_toe", "Bob").id]
print("ready", flush=True)
for n in range(count):
    players = tuple(EpisodePlayer(agent, s, (1 + s) / 2) for agent, s in zip(agents, (1.0, -1.0)))
    episode = Episode("tic_tac_toe", 1, n, 3, b"\\0\\1\\2", bytes(32), "terminated", players)
    episodes = [episode, dataclasses.replace(episode, leg=1)]
    store.add_match(Match("tic_tac_toe", "match", {"n": n}), episodes)
    store.commit_interval(run, n + 1, n / 10, [(n + 1, {"charts/a": n, "charts/b": 2 * n})], state=data)
    print(n, flush=True)
print("done", flush=True)
"""

CREATOR = """
import sys
sys.stdin.readline()
from arena.store import Store
store = Store(sys.argv[1])
store.set_setting(sys.argv[2], "here")
"""


VISITOR = """
import sys
from arena.store import Store
store = Store(sys.argv[1])
print(store.setting("first"))
store.set_setting("visitor", "was here")
store.close()
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], text=True, **pipes)  # type: ignore[call-overload]


def newer(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('arena', '9999_future', '')"
        )
    connection.close()


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (newer, "newer Arena"),
        (foreign, "another program"),
        (lambda path: path.write_text("a letter, long enough to be read as a header of a file" * 3), "not a SQLite"),
        (lambda path: path.write_text("short"), "not a SQLite"),
    ],
)
@pytest.mark.parametrize("create", [True, False])
def test_other_files_are_refused_untouched(tmp_path: Path, make, words: str, create: bool) -> None:
    path = tmp_path / "league.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(ArenaError, match=words) as raised:
        Store(path, create=create)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["league.db"]


def test_other_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Store(tmp_path)
    with pytest.raises(UsageError, match="does not exist; make it first"):
        Store(tmp_path / "nowhere" / "league.db")
    with pytest.raises(UsageError, match="arena train"):
        Store(tmp_path / "league.db", create=False)
    with pytest.raises(UsageError, match="no regular file"):
        Store("/dev/null")
    with pytest.raises(ArenaError, match="proc"):
        Store("/proc/league.db")
    assert not list(tmp_path.iterdir())


def test_an_empty_or_half_made_file_is_finished(tmp_path: Path) -> None:
    empty, half = tmp_path / "empty.db", tmp_path / "half.db"
    empty.touch()
    with sqlite3.connect(half) as connection:
        connection.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
    connection.close()
    for path in (empty, half):
        with Store(path) as store:
            assert store.check() == []
            assert store.stats()["agents"] == 0


def test_a_name_that_means_something_to_sqlite_is_a_file(tmp_path: Path) -> None:
    for name in ("a?mode=memory", "50%25.db", ":memory:", "é #1.db"):
        with Store(tmp_path / name) as store:
            store.set_setting("name", "Ann")
        with Store(tmp_path / name, create=False) as store:
            assert store.setting("name") == "Ann"


def test_reading_imports_neither_torch_nor_pandas(tmp_path: Path) -> None:
    Store(tmp_path / "league.db").close()
    script = """
import sys
from arena.store import Store
store = Store(sys.argv[1], create=False)
store.games(), store.pair_results("tic_tac_toe"), store.episodes(), store.runs(), store.set_setting("a", "b")
import arena.config, arena.matchmaking, arena.ratings, arena.checkpoints
print([name for name in ("torch", "pandas", "sqlite_utils", "textual", "safetensors") if name in sys.modules])
"""
    process = start(script, tmp_path / "league.db")
    out, err = process.communicate(timeout=300)
    assert (out.strip(), err) == ("[]", "")


def test_a_read_only_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    with Store(path) as store:
        store._file._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(ArenaError, match="write-protected; nothing was written"):
            store.set_setting("name", "Ann")
    assert "disk is full" in _advice("database or disk is full")


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    from arena.records import Agent, PackedPolicy, Run

    with Store(tmp_path / "league.db") as store:
        run = store.create_run(Run("ppo-1", "tic_tac_toe", "ppo", {}, 0, 100))
        pages = store._file._connection.execute("PRAGMA page_count").fetchone()[0]
        store._file._connection.execute(f"PRAGMA max_page_count = {pages + 10}")
        policy = PackedPolicy("0" * 64, "ppo", {}, bytes(10**6))
        agent = Agent("tic_tac_toe", "ppo-1@10", "checkpoint", run=run, step=10)
        with pytest.raises(ArenaError, match="the disk is full; nothing was written"):
            store.commit_interval(run, 10, 1.0, [(10, {"a": 1.0})], agent=agent, policy=policy)
        store._file._connection.execute("PRAGMA max_page_count = 1000000")
        assert store.check() == []
        assert store.run("ppo-1").step == 0
        assert store.metric_keys(run) == []
        assert store.agents("tic_tac_toe") == []
        assert store.stats()["checkpoints"] == 0


def test_a_damaged_file_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    with Store(path) as store:
        for n in range(200):
            store.set_setting(f"name {n}", "Ann" * 100)
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = random.Random(0).randbytes(len(data) - 4096 * 3)
    path.write_bytes(data)
    try:
        with Store(path) as store:
            problems = store.check()
    except ArenaError as error:
        problems = [str(error)]
    assert problems
    assert "damaged" in problems[0]


@pytest.mark.slow
def test_four_racing_to_create_one_file(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    creators = [start(CREATOR, path, f"racer {n}") for n in range(4)]
    for creator in creators:
        assert creator.stdin is not None
        creator.stdin.write("\n")
        creator.stdin.flush()
    for creator in creators:
        _, err = creator.communicate(timeout=300)
        assert (creator.returncode, err) == (0, "")
    with Store(path) as store:
        assert all(store.setting(f"racer {n}") == "here" for n in range(4))
        assert store.check() == []
    assert not (tmp_path / "league.db.lock").exists()


@pytest.mark.slow
def test_four_processes_write_to_one_file(tmp_path: Path) -> None:
    path, count = tmp_path / "league.db", 40
    writers = [start(WRITER, path, n, count) for n in range(4)]
    backups = []
    for n, writer in enumerate(writers):
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        with Store(path) as store:
            store.backup(tmp_path / f"backup-{n}.db")
            backups.append(tmp_path / f"backup-{n}.db")
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.read().endswith("done\n")
        assert writer.wait(timeout=300) == 0
    with Store(path) as store:
        stats = store.stats()
        assert (stats["matches"], stats["episodes"], stats["episode_players"]) == (4 * count, 8 * count, 16 * count)
        assert (stats["metrics"], stats["metric_keys"], stats["agents"]) == (8 * count, 2, 2)
        assert [r.wins for r in store.pair_results("tic_tac_toe")] == [8 * count]
        assert store.check() == []
    for backup in backups:
        with Store(backup, create=False) as store:
            assert store.check() == []


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_a_clean_file(tmp_path: Path) -> None:
    path, chance = tmp_path / "league.db", random.Random(1)
    for n in range(10):
        writer = start(WRITER, path, n, 10**9)
        assert writer.stdout is not None
        for _ in range(chance.randrange(12) if n > 2 else 0):  # the first ones may be killed while they create the file
            assert writer.stdout.readline()
        time.sleep(chance.uniform(0, 0.05 if n > 2 else 0.4))
        writer.send_signal(signal.SIGKILL)
        writer.communicate(timeout=300)
        with Store(path) as store:
            assert store.check() == []
            stats = store.stats()
            assert stats["episodes"] == 2 * stats["matches"]
            assert stats["metrics"] == 2 * sum(run.step for run in store.runs())
    assert stats["matches"] > 10


def visit(path: Path) -> str:
    """Another process opens the league, reads what `first` is, writes, and closes it; returns what it read."""
    visitor = start(VISITOR, path)
    out, errors = visitor.communicate(timeout=60)
    assert visitor.returncode == 0, errors
    return out.strip()


@pytest.mark.parametrize("created_here", [True, False])
def test_a_second_store_of_a_process_costs_the_first_no_lock(tmp_path: Path, created_here: bool) -> None:
    path = tmp_path / "league.db"
    if not created_here:
        visit(path)
    first = Store(path)
    for value in ("one", "two"):  # closing any descriptor of a file takes a process all its locks on it
        first.set_setting("first", value)
        Store(path, create=False).close()
        assert visit(path) == value  # who is the last to close takes the journal away: this one was not
        assert first.setting("visitor") == "was here"
        assert visit(path) == value
    Store(path).close()
    first.close()
    path.write_bytes(b"x" * 200)
    with pytest.raises(UsageError, match="is no league"):
        Store(path)  # nothing is taken for granted once it is closed
