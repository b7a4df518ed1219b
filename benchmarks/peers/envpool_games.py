"""Random play in EnvPool's Atari games, all of them at every step. Prints one JSON line."""

from __future__ import annotations

import argparse
import json
import time

import envpool
import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", default="Pong-v5")
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    env = envpool.make_gymnasium(args.game, num_envs=args.games, seed=0)
    rng, actions = np.random.default_rng(0), env.action_space.n
    env.reset()
    for _ in range(10):
        env.step(rng.integers(actions, size=args.games))
    steps, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < args.seconds:
        env.step(rng.integers(actions, size=args.games))
        steps += args.games
    print(json.dumps({"value": steps / seconds, "unit": "steps/s", "games": args.games}))


if __name__ == "__main__":
    main()
