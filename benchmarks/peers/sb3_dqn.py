"""Steps a second of Stable-Baselines3's DQN: the second half of a training, learning included. Prints one JSON line.

`--ratio` gradient steps an env step, in turns of 4 env steps; everything else as RL Zoo has it for these games.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback


class Clock(BaseCallback):
    """Starts half way."""

    def __init__(self, half: int) -> None:
        super().__init__()
        self.half, self.started = half, 0.0

    def _on_step(self) -> bool:
        if self.num_timesteps == self.half:
            self.started = time.perf_counter()
        return True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", required=True)
    parser.add_argument("--steps", type=int, default=8_000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = DQN(
        "MlpPolicy",
        args.game,
        batch_size=args.batch,
        train_freq=4,
        gradient_steps=round(4 * args.ratio),
        learning_starts=1_000,
        buffer_size=50_000,
        target_update_interval=250,
        policy_kwargs={"net_arch": [args.units, args.units]},
        seed=args.seed,
        device="cpu",
    )
    clock = Clock(args.steps // 2)
    model.learn(args.steps, callback=clock)
    seconds = time.perf_counter() - clock.started
    print(json.dumps({"value": (args.steps - clock.half) / seconds, "unit": "steps/s", "game": args.game}))


if __name__ == "__main__":
    main()
