"""How long commands take to begin: `.venv/bin/python benchmarks/startup.py`.

`arena --help` from start to end, and `arena train` from start to its first update, the interpreter included.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import ROOT, facts, figure, save

ARENA = str(ROOT / ".venv/bin/arena")


def run(*command: str) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, processor


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
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
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, (command, _) in commands.items():
                seconds[name].append(run(*command))
    lines = [
        f"Medians of {repeats} alternating runs; on a busy machine the processor's time is what says something.",
        "",
        "| | on the clock | of the processor | target |",
        "|---|---:|---:|---:|",
    ]
    for name, (_, target) in commands.items():
        clock, processor = (figure(statistics.median(times), "s") for times in zip(*seconds[name], strict=True))
        limit = "–" if target is None else f"≤ {figure(target, 's')}"
        lines.append(f"| {name} | {clock} | {processor} | {limit} |")
    save("startup", about | {"seconds": seconds}, lines)


if __name__ == "__main__":
    main()
