"""How long commands take to begin: `.venv/bin/python benchmarks/startup.py`.

`arena --help` from start to end, and `arena train` from start to its first update, the interpreter included.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import ROOT, facts, figure, save

ARENA = str(ROOT / ".venv/bin/arena")
REPEATS = 7


def run(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - start


def main() -> None:
    about = facts("Start-up", "python benchmarks/startup.py")
    with tempfile.TemporaryDirectory() as folder:
        db = str(Path(folder) / "league.db")
        one_update = [ARENA, "train", "connect_four", "--steps", "1", "--db", db]  # a run ends after a whole update
        commands = {
            "a bare Python": ([sys.executable, "-c", ""], None),
            "Python with torch": ([sys.executable, "-c", "import torch"], None),
            "arena --help": ([ARENA, "--help"], 0.25),
            "arena train: begun, one update, agent kept, ended": (one_update, 5.0),
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(REPEATS):
            for name, (command, _) in commands.items():
                seconds[name].append(run(*command))
    lines = [f"Medians of {REPEATS} alternating runs.", "", "| | time | least | target |", "|---|---:|---:|---:|"]
    for name, (_, target) in commands.items():
        times = seconds[name]
        limit = "–" if target is None else f"≤ {figure(target, 's')}"
        lines.append(f"| {name} | {figure(statistics.median(times), 's')} | {figure(min(times), 's')} | {limit} |")
    save("startup", about | {"seconds": seconds}, lines)


if __name__ == "__main__":
    main()
