"""Random play in OpenSpiel, one game after another in Python. Prints one JSON line."""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import pyspiel

NAMES = {"tic_tac_toe": "tic_tac_toe", "connect_four": "connect_four"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", choices=NAMES, required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    game = pyspiel.load_game(NAMES[args.game])
    rng = np.random.default_rng(0)
    moves, start = 0, time.perf_counter()
    while time.perf_counter() - start < args.seconds:
        state = game.new_initial_state()
        while not state.is_terminal():
            state.observation_tensor()
            legal = state.legal_actions()
            state.apply_action(legal[rng.integers(len(legal))])
            moves += 1
    print(json.dumps({"value": moves / (time.perf_counter() - start), "unit": "moves/s", "games": 1}))


if __name__ == "__main__":
    main()
