"""DQN, VPG and PPO each learn three games of several players in a few minutes, and each beats random play.

`.venv/bin/python benchmarks/short_runs.py` trains the agents through the command line, plays 400 games of each against
`random`, and writes benchmarks/results/short_runs.md with the 95 % intervals (Wilson) of their scores.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import RESULTS, ROOT, machine

ARENA = str(ROOT / ".venv/bin/arena")
GAMES = 400
LEDUC = "pettingzoo/classic/leduc_holdem_v4"
RUNS = [
    ("connect_four", "dqn", 300_000),
    ("connect_four", "vpg", 1_000_000),
    ("connect_four", "ppo", 1_000_000),
    ("gridworld/sumo", "dqn", 100_000),
    ("gridworld/sumo", "vpg", 500_000),
    ("gridworld/sumo", "ppo", 500_000),
    ("gridworld/tron", "ppo", 1_000_000),
    (LEDUC, "dqn", 50_000),
    (LEDUC, "vpg", 80_000),
    (LEDUC, "ppo", 80_000),
]


def arena(*arguments: str) -> dict:
    done = subprocess.run([ARENA, *arguments, "--json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"arena {' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)


def wilson(score: float, games: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a mean score in [0, 1] over `games` (Wilson 1927)."""
    middle = (score + z * z / (2 * games)) / (1 + z * z / games)
    half = z * math.sqrt(score * (1 - score) / games + z * z / (4 * games * games)) / (1 + z * z / games)
    return middle - half, middle + half


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        db = str(Path(folder) / "league.db")
        for game, algorithm, steps in RUNS:
            name = f"{algorithm}-short"
            started = time.monotonic()
            arena("train", game, "--algo", algorithm, "--steps", str(steps), "--name", f"{game}-{name}", "--db", db)
            seconds = time.monotonic() - started
            result = arena("match", game, f"{game}-{name}", "random", "--games", str(GAMES), "--db", db)
            low, high = wilson(result["score"], GAMES)
            score = f"{result['score']:.1%} | {low:.1%} … {high:.1%}"
            row = f"| {game} | {algorithm} | {steps:,} | {seconds:.0f} s | {score} |"
            print(row, flush=True)
            rows.append(row)
    lines = [
        "# Short runs against random play",
        "",
        "`python benchmarks/short_runs.py`: each agent trained once by the preset of its game, then",
        f"{GAMES} games against `random`, seats alternating; {machine()}.",
        "",
        "| game | algorithm | steps | training | score | 95 % |",
        "|---|---|---:|---:|---:|---|",
        *rows,
    ]
    (RESULTS / "short_runs.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
