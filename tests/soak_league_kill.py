"""Kill -9 `arena league run` at random moments: each time the file must be sound, and the league must go on.

python tests/soak_league_kill.py --kills 20
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from arena.episodes import verify
from arena.league import run_league
from arena.store import Store

GAME = "tic_tac_toe"
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
SLICES = {"dqn": 512, "vpg": 2048, "ppo": 4096}


def league_command(db: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "arena", "league", "run", GAME, "--db", str(db), *options]


def sound(db: Path) -> dict[str, int]:
    """The file's counts; exits where something in it is wrong."""
    with Store(db) as store:
        problems = store.check()
        league = store.league(GAME)
        slots = defaultdict(set)
        for match in store.matches(league=league.id):
            slots[match.round].add(match.slot)
        for number, seen in slots.items():
            if seen != set(range(len(seen))):
                problems.append(f"round {number} has the slots {sorted(seen, key=str)}")
        if set(slots) - set(range(league.round + 1)) or set(range(league.round)) - set(slots):
            problems.append(f"round {league.round}, but matches of the rounds {sorted(slots, key=str)}")
        problems += [f"episode {r.episode}: {r.problem}" for r in verify(store) if not r.ok]
        if problems:
            sys.exit("\n".join(problems))
        return store.stats() | {"round": league.round}


def children(pid: int) -> list[int]:
    """The processes that a process has started, where the system tells."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def wait_for_end(pids: list[int]) -> None:
    """Exits where one of these processes lives on without the one that started it."""
    deadline = time.monotonic() + 60
    while alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        if time.monotonic() > deadline:
            sys.exit(f"workers {alive} live on")
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=6.0, help="seconds of work before a kill, at most")
    parser.add_argument("--workers", type=int, default=0, help="processes of the league, which must end with it")
    parser.add_argument("--db", type=Path, default=None)
    arguments = parser.parse_args()
    db = arguments.db or Path(tempfile.mkdtemp()) / "league.db"
    rng = random.Random(arguments.seed)
    with Store(db) as store:
        list(run_league(store, GAME, rounds=0, slice_steps=SLICES, games=10, device="cpu"))
    counts = sound(db)
    for number in range(arguments.kills):
        process = subprocess.Popen(
            league_command(db, "--workers", str(arguments.workers)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=ONE_THREAD,
        )
        assert process.stderr is not None
        process.stderr.readline()  # the first progress: it is at work
        time.sleep(rng.uniform(0, arguments.longest))
        if process.poll() is not None:
            sys.exit(f"the league ended by itself: {process.stderr.read()}")
        workers = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        wait_for_end(workers)
        before, counts = counts, sound(db)
        if any(counts[table] < before[table] for table in ("agents", "matches", "episodes", "metrics", "checkpoints")):
            sys.exit(f"kill {number + 1}: something is gone: {before} → {counts}")
        kept = ", ".join(f"{counts[table]} {table}" for table in ("agents", "matches", "episodes", "metrics"))
        print(f"kill {number + 1}: sound; round {counts['round']}, {kept}", flush=True)
    subprocess.run(
        league_command(db, "--rounds", "1"), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    after = sound(db)
    if after["round"] != counts["round"] + 1:
        sys.exit(f"the league did not go on: {counts} → {after}")
    print(f"the league went on: round {after['round']}, {after['matches']} matches, {after['episodes']} episodes")


if __name__ == "__main__":
    main()
