"""What a step costs over the number of games side by side: `.venv/bin/python benchmarks/curve.py [--seconds 0.5]
[--repeats 3] [--games connect_four …]`.

Random play, sampling legal actions and writing observations included. A step's cost should fall with more games and
then stay where it is; what a game weighs in memory should not depend on the others.
"""

from __future__ import annotations

import argparse
import itertools
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--games", nargs="+", choices=GAMES, default=GAMES, metavar="GAME")
    args = parser.parse_args()
    about = facts("A step's cost over the number of games", "python benchmarks/curve.py")
    results: list[dict[str, Any]] = []
    lines = [
        f"Nanoseconds a step of random play on one thread; medians of {args.repeats} runs of {args.seconds:g} s. The",
        "largest rise is that of the cost from one number of games to the next larger one: ×1 or less where it never",
        "rises. Bytes are what a game holds, its state and what its players see, at each number of games. Two million",
        "steps a second are aimed at in gridworlds and CartPole, five where little is observed.",
        "",
        "| game | " + " | ".join(f"{size:,}" for size in SIZES) + " | largest rise | steps/s at best | bytes a game |",
        "|---|" + "---:|" * (len(SIZES) + 3),
    ]
    for game in args.games:
        command = [*OURS, "curve", "--game", game, "--seconds", str(args.seconds), "--json"]
        runs = [measure(command, "[") for _ in range(args.repeats)]
        costs, weights = [], []
        for size, found in zip(SIZES, zip(*runs, strict=True), strict=True):
            assert all(each["games"] == size for each in found)
            costs.append(1e9 / statistics.median(each["value"] for each in found))
            weights.append(found[0]["bytes"])
            results.append({"game": game, "games": size, "ns": costs[-1], "command": shown(command), "runs": found})
        rise = max(after / before for before, after in itertools.pairwise(costs))
        cells = [f"{cost:,.0f}" if cost >= 100 else f"{cost:.3g}" for cost in costs]
        bytes_ = ", ".join(f"{weight:,}" for weight in dict.fromkeys(weights))
        best = figure(1e9 / min(costs), "").strip()
        lines.append(f"| {game} | {' | '.join(cells)} | ×{rise:.2f} | {best} | {bytes_} |")
        print(lines[-1], flush=True)
        save("curve", about | {"results": results}, lines)


if __name__ == "__main__":
    main()
