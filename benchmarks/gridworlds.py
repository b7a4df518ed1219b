"""Every learner on the one-player gridworlds: does greedy play earn what value iteration does, from every start?

`.venv/bin/python benchmarks/gridworlds.py` trains five seeds of each by the presets, for as many steps as `arena train`
takes without `--steps`, and writes benchmarks/results/gridworlds.md and .json: how many seeds lose nothing, and on
mazes never met the share of the optimum. `--game`, `--algo` and `--seed` measure a part anew and leave the rest as it
was; `--missing` measures what is not there yet.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from harness import RESULTS, machine

from agents.configs import LearnerConfig, TabularConfig, default_config, default_steps
from agents.policy import Policy
from agents.registry import load_policy, load_train
from arena.provenance import commit_hash
from arena.strength import check_strength
from envs import registry

MAP = Path(__file__).parent / "custom_map.txt"
MAZES = "gridworld/maze"
GAMES = (
    "gridworld/recycling",
    "gridworld/recycling?minutes=3",
    "gridworld/tiny",
    "gridworld/trap",
    "gridworld/cliff",
    "gridworld/rooms",
    "gridworld/maze?level=3",
    f"gridworld/custom?map={MAP}",
    MAZES,
)
TABLES = ("q_learning", "sarsa", "monte_carlo")
ALGORITHMS = ("dqn", "vpg", "ppo", *TABLES)
FACTS = RESULTS / "gridworlds.json"

Row = dict[str, Any]


def train(algorithm: str, game: str, seed: int, steps: int) -> Policy:
    config = default_config(algorithm, game)
    assert isinstance(config, LearnerConfig | TabularConfig)
    env = registry.make(game, config.num_envs)
    for metrics in load_train(algorithm)(config, env, seed=seed, total_steps=steps):
        last = metrics
    assert last.policy is not None
    return load_policy(env.spec, last.policy)


def measure(algorithm: str, game: str, seed: int) -> Row:
    """CPU seconds of training, cases gone through, how many of them were perfect, mean return and optimum."""
    started = time.process_time()
    policy = train(algorithm, game, seed, default_steps(algorithm, game))
    seconds = round(time.process_time() - started, 1)
    strength = check_strength(f"{game}?held_out=true" if game == MAZES else game, policy)
    assert strength.mean is not None
    assert strength.optimum is not None
    return {
        "seed": seed,
        "seconds": seconds,
        "cases": strength.cases,
        "faultless": strength.faultless,
        "mean": round(strength.mean, 5),
        "optimum": round(strength.optimum, 5),
        "commit": commit_hash(),
    }


def name_of(game: str) -> str:
    return f"{game}?held_out=true" if game == MAZES else game.replace(str(MAP), MAP.name)


def kept() -> list[Row]:
    return json.loads(FACTS.read_text()) if FACTS.exists() else []


def keep(algorithm: str, game: str, run: Row) -> None:
    """Put one seed's run in its place; runs of other budgets make room."""
    rows, steps = kept(), default_steps(algorithm, game)
    same = [row for row in rows if (row["game"], row["algorithm"]) == (name_of(game), algorithm)]
    runs = [old for row in same if row["steps"] == steps for old in row["runs"] if old["seed"] != run["seed"]]
    row = {"game": name_of(game), "algorithm": algorithm, "steps": steps}
    row["runs"] = sorted([*runs, run], key=lambda each: each["seed"])
    write([row, *(other for other in rows if other not in same)])


def verdict(row: Row) -> str:
    """How many seeds are perfect; on mazes never met, where none is, the shares of the optimum's mean."""
    runs = row["runs"]
    if "held_out" in row["game"]:
        return ", ".join(f"{run['mean'] / run['optimum']:.1%}" for run in runs)
    return f"{sum(run['faultless'] == run['cases'] for run in runs)} of {len(runs)}"


def write(rows: list[Row]) -> None:
    order = {name_of(game): index for index, game in enumerate(GAMES)}
    rows.sort(key=lambda row: (order[row["game"]], ALGORITHMS.index(row["algorithm"])))
    FACTS.write_text(json.dumps(rows, indent=1) + "\n")
    lines = [
        "# Gridworlds against value iteration",
        "",
        "`python benchmarks/gridworlds.py`: how many seeds' greedy policies earn what value iteration does from every",
        "start; on mazes never met the share of the optimal mean return over 500 of them, seed by seed. Settings and",
        f"steps are those of `arena train` alone; CPU seconds of one thread, median of the seeds. {machine()}.",
        "",
        "| game | algorithm | steps | CPU seconds | optimal |",
        "|---|---|---:|---:|---|",
    ]
    for row in rows:
        seconds = statistics.median(run["seconds"] for run in row["runs"])
        lines.append(f"| {row['game']} | {row['algorithm']} | {row['steps']:,} | {seconds:.1f} | {verdict(row)} |")
    (RESULTS / "gridworlds.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algo", action="append", choices=ALGORITHMS)
    parser.add_argument("--game", action="append", choices=[name_of(game).partition("?held")[0] for game in GAMES])
    parser.add_argument("--seed", action="append", type=int, choices=range(5))
    parser.add_argument("--missing", action="store_true", help="only what has not been measured by these budgets")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for game, algorithm, seed in itertools.product(GAMES, arguments.algo or ALGORITHMS, arguments.seed or range(5)):
        if arguments.game and name_of(game).partition("?held")[0] not in arguments.game:
            continue
        if algorithm in TABLES and game == MAZES:
            continue  # a table is of one maze
        key = (name_of(game), algorithm, default_steps(algorithm, game))
        there = [row["runs"] for row in kept() if (row["game"], row["algorithm"], row["steps"]) == key]
        if arguments.missing and any(run["seed"] == seed for runs in there for run in runs):
            continue
        run = measure(algorithm, game, seed)
        print(name_of(game), algorithm, run, flush=True)
        keep(algorithm, game, run)


if __name__ == "__main__":
    main()
