"""Final returns of DQN and PPO beside Stable-Baselines3's with the RL Zoo's settings, at the Zoo's budgets; VPG beside
A2C at three tenths of its:
`.venv/bin/python benchmarks/zoo.py [--games Acrobot …] [--algorithms dqn …] [--sides ours …] [--seeds 5]`.

Ours learn with their presets, `arena train GAME --algo ALGO`. Each run has one thread; its score is the mean return of
100 greedy episodes afterwards. Every run is added to results/zoo.json as it ends, and what stands there is not run
again, so that it can be made in pieces; results/zoo.md has the means with their 95 % intervals (Student's t over the
seeds), results/zoo.svg the returns in training. LunarLander needs the extra `box2d` on both sides.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import PEER_SETTINGS, PEERS_PYTHON, RESULTS, ROOT, facts, save
from panels import Line, draw, half_width, quantile

GAMES = {
    "CartPole": "CartPole-v1",
    "Acrobot": "Acrobot-v1",
    "MountainCar": "MountainCar-v0",
    "LunarLander": "LunarLander-v3",
    "Pendulum": "Pendulum-v1",
}
BUDGETS = {
    "ppo": {
        "CartPole": 100_000,
        "Acrobot": 1_000_000,
        "MountainCar": 1_000_000,
        "LunarLander": 1_000_000,
        "Pendulum": 100_000,
    },
    "vpg": {"Pendulum": 300_000},
    "dqn": {"CartPole": 50_000, "Acrobot": 100_000, "MountainCar": 120_000, "LunarLander": 100_000},
}
SIDES = {"ours": "Arena", "sb3": "Stable-Baselines3"}
EPISODES = 100
BINS = 25
"""Points of a learning curve."""
RETURN = "charts/episodic_return"
ARENA = str(ROOT / ".venv/bin/arena")
FILE = RESULTS / "zoo.json"
Run = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--games", nargs="+", choices=GAMES, default=list(GAMES))
    parser.add_argument("--algorithms", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--seeds", type=int, default=5, help="0 to this many less one")
    parser.add_argument("--steps", type=int, help="a smaller budget, to try this script; nothing is kept")
    args = parser.parse_args()
    runs: list[Run] = json.loads(FILE.read_text())["runs"] if FILE.exists() else []
    done = {(run["side"], run["game"], run["algorithm"], run["seed"]) for run in runs}
    for seed in range(args.seeds):
        for game in args.games:
            for algorithm in (each for each in args.algorithms if game in BUDGETS[each]):
                for side in args.sides:
                    if (side, game, algorithm, seed) in done and not args.steps:
                        continue
                    steps = args.steps or BUDGETS[algorithm][game]
                    found = (ours if side == "ours" else theirs)(GAMES[game], algorithm, steps, seed)
                    print(f"{SIDES[side]} {algorithm} {game} seed {seed}: {found['value']:.1f}", flush=True)
                    if not args.steps:
                        about = facts("Final returns", "python benchmarks/zoo.py")
                        key = {"side": side, "game": game, "algorithm": algorithm, "seed": seed, "steps": steps}
                        runs.append(key | found | {"commit": about["commit"], "machine": about["machine"]})
                        write(about, runs)
    if runs and not args.steps:
        write(facts("Final returns", "python benchmarks/zoo.py"), runs)


def command(words: Sequence[str]) -> Any:
    """What a command with one thread prints last: JSON."""
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=ROOT, env=os.environ | PEER_SETTINGS | {"OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout[done.stdout.index("{") :])


def ours(game: str, algorithm: str, steps: int, seed: int) -> Run:
    """Train by the preset in a league of its own, and evaluate the last agent."""
    variant = f"gym/{game}"
    with tempfile.TemporaryDirectory() as folder:
        db = ["--db", str(Path(folder) / "zoo.db"), "--json"]
        train = [ARENA, "train", variant, "--algo", algorithm, "--steps", str(steps), "--seed", str(seed)]
        run = command([*train, "--name", "zoo", "--device", "cpu", "--checkpoint-steps", str(steps), *db])["run"]
        curve = command([ARENA, "runs", "metrics", "zoo", "--key", RETURN, *db])[RETURN]
        evaluate = [ARENA, "evaluate", variant, "zoo@latest", "--episodes", str(EPISODES), "--seed", str(10_000 + seed)]
        value = command([*evaluate, *db])["mean"]
    return {"value": value, "seconds": run["seconds"], "curve": binned(curve, steps)}


def theirs(game: str, algorithm: str, steps: int, seed: int) -> Run:
    script = str(ROOT / "benchmarks/peers/sb3_zoo.py")
    words = [PEERS_PYTHON, script, "--game", game, "--algo", algorithm]
    found = command([*words, "--steps", str(steps), "--seed", str(seed)])
    return {"value": found["value"], "seconds": found["cpu_seconds"], "curve": binned(found["curve"], steps)}


def binned(points: Sequence[Sequence[float]], steps: int) -> list[tuple[float, float]]:
    """(middle of the bin, mean) of the returns told in each `BINS`th of a run."""
    bins: dict[int, list[float]] = {}
    for step, value in points:
        if value is not None:
            bins.setdefault(min(int(BINS * step / steps), BINS - 1), []).append(value)
    return [((index + 0.5) * steps / BINS, statistics.fmean(values)) for index, values in sorted(bins.items())]


def difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Ours less theirs, and half of Welch's 95 % interval."""
    parts = [statistics.variance(side) / len(side) for side in (ours, theirs)]
    total = sum(parts)
    if total == 0:
        return statistics.fmean(ours) - statistics.fmean(theirs), 0.0
    freedom = total**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (ours, theirs), strict=True))
    return statistics.fmean(ours) - statistics.fmean(theirs), quantile(max(1.0, freedom)) * math.sqrt(total)


def write(about: dict[str, Any], runs: list[Run]) -> None:
    """results/zoo.json, .md and .svg of all runs so far."""
    rows, panels = [], []
    for algorithm, budgets in BUDGETS.items():
        for game, steps in budgets.items():
            sides = {
                side: [r for r in runs if (r["side"], r["game"], r["algorithm"]) == (side, game, algorithm)]
                for side in SIDES
            }
            if not any(sides.values()):
                continue
            values = {side: [run["value"] for run in found] for side, found in sides.items()}
            rows.append(table_line(f"{algorithm.upper()} {game}", steps, values))
            lines = [Line(SIDES[side], [run["curve"] for run in found]) for side, found in sides.items() if found]
            panels.append((f"{algorithm.upper()} {game}", lines))
    lines = [
        "Mean return of 100 greedy episodes after training, over seeds (their number), with 95 % intervals (Student's",
        "t; the difference: Welch's). Ours with the presets of `arena train`, Stable-Baselines3 with the RL Zoo's",
        "settings; one thread each. VPG stands beside A2C, at three tenths of the Zoo's budget.",
        "",
        "| | steps | Arena | Stable-Baselines3 | difference | not below |",
        "|---|---:|---:|---:|---:|---|",
        *rows,
        "",
        "![Returns in training](zoo.svg)",
        "",
        "Returns of the episodes in training, exploration included; the mean over seeds and its 95 % interval.",
    ]
    save("zoo", about | sources(runs) | {"runs": runs}, lines)
    (RESULTS / "zoo.svg").write_text(draw(panels))


def sources(runs: list[Run]) -> dict[str, str]:
    """The commits and machines that runs made in pieces are from."""
    return {key: "; ".join(dict.fromkeys(run[key] for run in runs)) for key in ("commit", "machine")}


def mean_of(values: Sequence[float]) -> str:
    interval = f" ± {half_width(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.1f}{interval} ({len(values)})"


def table_line(name: str, steps: int, values: dict[str, list[float]]) -> str:
    cells = [mean_of(v) if v else "–" for v in values.values()]
    if min(map(len, values.values())) < 2:
        return f"| {name} | {steps:,} | {' | '.join(cells)} | – | – |"
    change, half = difference(values["ours"], values["sb3"])
    cells += [f"{change:+.1f} ± {half:.1f}", "yes" if change + half >= 0 else "no"]
    return f"| {name} | {steps:,} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
