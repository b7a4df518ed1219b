"""DQN, VPG and PPO on the one-player gridworlds: does greedy play earn what value iteration does, from every start?

`.venv/bin/python benchmarks/gridworlds.py` trains five seeds of each on every gridworld by the presets and writes
benchmarks/results/gridworlds.md: how many seeds lose nothing, and on mazes never met the share of the optimum.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from harness import RESULTS, machine

from agents.configs import LearnerConfig, default_config
from agents.policy import Policy
from agents.registry import load_policy, load_train
from arena.strength import Strength, check_strength
from envs import registry

MAP = Path(__file__).parent / "custom_map.txt"
MAZES = "gridworld/maze"
GAMES = {
    "gridworld/recycling": {"dqn": 10_000, "vpg": 40_000, "ppo": 40_000},
    "gridworld/recycling?minutes=3": {"dqn": 10_000, "vpg": 40_000, "ppo": 40_000},
    "gridworld/tiny": {"dqn": 10_000, "vpg": 40_000, "ppo": 40_000},
    "gridworld/trap": {"dqn": 10_000, "vpg": 40_000, "ppo": 40_000},
    "gridworld/cliff": {"dqn": 40_000, "vpg": 300_000, "ppo": 150_000},
    "gridworld/rooms": {"dqn": 40_000, "vpg": 300_000, "ppo": 200_000},
    "gridworld/maze?level=3": {"dqn": 20_000, "vpg": 100_000, "ppo": 60_000},
    f"gridworld/custom?map={MAP}": {"dqn": 20_000, "vpg": 100_000, "ppo": 60_000},
    MAZES: {"dqn": 500_000, "vpg": 3_000_000, "ppo": 3_000_000},
}


def verdict(strengths: list[Strength]) -> str:
    """How many seeds are perfect; where none can be, the shares of the optimum's mean."""
    if strengths[0].checked == "mazes":
        return ", ".join(f"{strength.mean / strength.optimum:.1%}" for strength in strengths)
    return f"{sum(strength.perfect for strength in strengths)} of {len(strengths)}"


def train(algorithm: str, game: str, seed: int, steps: int) -> Policy:
    config = default_config(algorithm, game)
    assert isinstance(config, LearnerConfig)
    env = registry.make(game, config.num_envs)
    for metrics in load_train(algorithm)(config, env, seed=seed, total_steps=steps):
        last = metrics
    assert last.policy is not None
    return load_policy(env.spec, last.policy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algo", action="append", choices=("ppo", "vpg", "dqn"))
    parser.add_argument("--game", default="", help="only games with this in their name")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for algorithm in arguments.algo or ["ppo", "vpg", "dqn"]:
        for game, budgets in GAMES.items():
            if arguments.game not in game:
                continue
            started = time.monotonic()
            seeds, steps = range(arguments.seeds), budgets[algorithm]
            judged = f"{game}?held_out=true" if game == MAZES else game
            strengths = [check_strength(judged, train(algorithm, game, seed, steps)) for seed in seeds]
            seconds = (time.monotonic() - started) / len(seeds)
            name = judged.replace(str(MAP), MAP.name)
            row = f"| {name} | {algorithm} | {steps:,} | {seconds:.0f} s | {verdict(strengths)} |"
            print(row, flush=True)
            rows.append(row)
    if arguments.algo or arguments.game:
        return  # a part is to be looked at, the table is of the whole
    lines = [
        "# Gridworlds against value iteration",
        "",
        "`python benchmarks/gridworlds.py`: seeds whose greedy policy loses nothing from any start, one thread each;",
        f"{machine()}.",
        "",
        "| game | algorithm | steps | a seed | optimal |",
        "|---|---|---:|---:|---|",
        *rows,
    ]
    (RESULTS / "gridworlds.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
