"""Random play over the number of games side by side: `.venv/bin/python benchmarks/curve.py`.

A move's cost should fall and then stay where it is; what a game weighs in memory should not depend on the others.
"""

from __future__ import annotations

import statistics
from typing import Any

from harness import OURS, facts, figure, measure, save, shown

SIZES = (1, 64, 1024, 16384)
GAMES = (
    "tic_tac_toe",
    "connect_four",
    "othello",
    "go",
    "cartpole",
    "gridworld/recycling",
    "gridworld/cliff",
    "gridworld/rooms",
    "gridworld/maze",
    "gridworld/sumo",
    "gridworld/tron",
)
REPEATS = 3


def main() -> None:
    about = facts("Random play over the number of games", "python benchmarks/curve.py")
    results: list[dict[str, Any]] = []
    lines = [
        f"Moves a second of all players together, on both cores; medians of {REPEATS} runs of half a second.",
        "",
        "| game | " + " | ".join(f"{size:,}" for size in SIZES) + " | bytes a game |",
        "|---|" + "---:|" * (len(SIZES) + 1),
    ]
    for game in GAMES:
        rates = []
        for size in SIZES:
            command = [*OURS, "games", "--game", game, "--games", str(size), "--seconds", "0.5", "--json"]
            runs = [measure(command) for _ in range(REPEATS)]
            rates.append(statistics.median(run["value"] for run in runs))
            results.append({"game": game, "games": size, "command": shown(command), "runs": runs})
        weight = runs[0]["bytes"]
        lines.append(f"| {game} | " + " | ".join(figure(rate, "") for rate in rates) + f" | {weight:,} |")
        print(lines[-1], flush=True)
    save("curve", about | {"results": results}, lines)


if __name__ == "__main__":
    main()
