"""How long the connect four solver takes: `python benchmarks/solver.py [PLY …]`. A table of seconds by ply.

Positions come from uniformly random moves (seed 1); games that end on the way, and positions in which the next stone
wins, are drawn anew. Every position is solved exactly from an empty table. The clock is the
processor time of the one thread; it starts after compiling.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from agents.connect_four_solver import Solver, random_position

POSITIONS = 200


def main() -> None:
    solver = Solver()
    solver.score(*random_position(np.random.default_rng(0), 30))
    print("| ply | median CPU s | p99 | worst | positions visited, mean |\n|---|---|---|---|---|")
    for ply in map(int, sys.argv[1:] or (8, 10, 12, 14, 20)):
        rng, seconds = np.random.default_rng(1), []
        before = solver.visited
        for _ in range(POSITIONS):
            position = random_position(rng, ply)
            solver.forget()
            start = time.process_time()
            solver.score(*position)
            seconds.append(time.process_time() - start)
        median, p99, worst = np.quantile(seconds, [0.5, 0.99, 1.0])
        visited = (solver.visited - before) / POSITIONS
        print(f"| {ply} | {median:.4f} | {p99:.3f} | {worst:.3f} | {visited:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
