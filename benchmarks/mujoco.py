"""Returns of PPO on MuJoCo's games after 1 M steps beside those that CleanRL publishes:
`.venv/bin/python benchmarks/mujoco.py [--games Hopper …] [--seeds 3]`.

Ours learn with their presets, one thread each. Every run is added to results/mujoco.json as it ends, and what stands
there is not run again, so that it can be made in pieces. Wants the extra `mujoco`.
"""

from __future__ import annotations

import argparse
import json

from harness import RESULTS, facts, save
from zoo import Run, mean_of, ours, sources

GAMES = {"Hopper": "Hopper-v5", "HalfCheetah": "HalfCheetah-v5"}
PUBLISHED = {"Hopper": "2,383 ± 272", "HalfCheetah": "1,443 ± 46"}
"""Of ppo_continuous_action.py on the games' `-v4`: mean and standard deviation of three seeds."""
STEPS = 1_000_000
FILE = RESULTS / "mujoco.json"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--games", nargs="+", choices=GAMES, default=list(GAMES))
    parser.add_argument("--seeds", type=int, default=3, help="0 to this many less one")
    args = parser.parse_args()
    runs: list[Run] = json.loads(FILE.read_text())["runs"] if FILE.exists() else []
    done = {(run["game"], run["seed"]) for run in runs}
    for seed in range(args.seeds):
        for game in args.games:
            if (game, seed) not in done:
                found = ours(GAMES[game], "ppo", STEPS, seed)
                print(f"{game} seed {seed}: {found['value']:.0f}", flush=True)
                about = facts("MuJoCo", "python benchmarks/mujoco.py")
                key = {"game": game, "seed": seed, "commit": about["commit"], "machine": about["machine"]}
                runs.append(key | found)
                save("mujoco", about | sources(runs) | {"runs": runs}, page(runs))


def page(runs: list[Run]) -> list[str]:
    lines = [
        "PPO's presets, 1,000,000 steps, over seeds (their number) with 95 % intervals (Student's t): returns of the",
        "episodes in the last 4 % of training, exploration included, and of 100 greedy episodes afterwards.",
        "CleanRL publishes returns of training on the games' `-v4`, mean and standard deviation of three seeds.",
        "",
        "| | training, at the end | greedy | CleanRL, published |",
        "|---|---:|---:|---:|",
    ]
    for game in GAMES:
        found = [run for run in runs if run["game"] == game]
        if found:
            ends = mean_of([run["curve"][-1][1] for run in found])
            greedy = mean_of([run["value"] for run in found])
            lines.append(f"| {game} | {ends} | {greedy} | {PUBLISHED[game]} |")
    return lines


if __name__ == "__main__":
    main()
