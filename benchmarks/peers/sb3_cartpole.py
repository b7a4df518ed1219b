"""Stable-Baselines3 on CartPole-v1 with RL Zoo's settings until 100 greedy episodes average 475. Prints one JSON line.

The clock runs while it learns; it stands still during the evaluations, which come every 4,096 steps.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

TARGET, EPISODES, EVERY = 475.0, 100, 4096
BUDGET = 100_000  # the Zoo's, over which its schedules run


class Stopwatch(BaseCallback):
    """Stops training at the target and keeps the time spent outside evaluations."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds, self.mean, self.reached = 0.0, 0.0, False
        self.evaluation = make_vec_env("CartPole-v1", n_envs=8, seed=10_000)

    def _on_training_start(self) -> None:
        self.started = time.perf_counter()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps and self.num_timesteps % EVERY == 0:
            self.seconds += time.perf_counter() - self.started
            self.mean, _ = evaluate_policy(self.model, self.evaluation, EPISODES, deterministic=True)
            self.reached = self.mean >= TARGET
            self.started = time.perf_counter()

    def _on_step(self) -> bool:
        return not self.reached


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    env = make_vec_env("CartPole-v1", n_envs=8, seed=args.seed)
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=32,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        learning_rate=lambda left: 1e-3 * left,
        clip_range=lambda left: 0.2 * left,
        ent_coef=0.0,
        seed=args.seed,
        device="cpu",
    )
    watch = Stopwatch()
    model.learn(BUDGET, callback=watch)
    print(
        json.dumps(
            {
                "value": watch.seconds,
                "unit": "s",
                "steps": model.num_timesteps,
                "mean": float(watch.mean),
                "reached": bool(watch.reached),
            }
        )
    )


if __name__ == "__main__":
    main()
