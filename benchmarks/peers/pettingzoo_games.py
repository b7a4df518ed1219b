"""Random play in PettingZoo, one game after another. Prints one JSON line."""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from pettingzoo import make

NAMES = {"tic_tac_toe": "classic/tictactoe-v3", "connect_four": "classic/connect_four-v3"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", choices=NAMES, required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    env = make("aec", NAMES[args.game])
    rng = np.random.default_rng(0)
    moves, start = 0, time.perf_counter()
    while time.perf_counter() - start < args.seconds:
        env.reset()
        while True:
            observation, _, terminated, truncated, info = env.last()
            if terminated or truncated:
                break
            mask = observation["action_mask"] if isinstance(observation, dict) else info["action_mask"]
            env.step(int(rng.choice(np.flatnonzero(mask))))
            moves += 1
    print(json.dumps({"value": moves / (time.perf_counter() - start), "unit": "moves/s", "games": 1}))


if __name__ == "__main__":
    main()
