"""Steps a second of Stable-Baselines3's PPO or DQN on an Atari game: the second half of a training, learning included.
Prints one JSON line.

NatureCNN on four grey 84×84 pictures, with the settings of the RL Zoo's Atari agents; `cpu_us` are the microseconds of
processor time that a step took, all threads together.
"""

from __future__ import annotations

import argparse
import json
import time

import ale_py
import gymnasium
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack


class Clock(BaseCallback):
    """Starts at the first step of the second half, after a whole number of PPO's rollouts."""

    def __init__(self, half: int) -> None:
        super().__init__()
        self.half, self.started, self.cpu, self.steps = half, 0.0, 0.0, 0

    def _on_step(self) -> bool:
        if not self.started and self.num_timesteps > self.half:
            self.started, self.cpu, self.steps = time.perf_counter(), time.process_time(), self.num_timesteps
        return True


def ppo(games: VecEnv, seed: int) -> BaseAlgorithm:
    return PPO(
        "CnnPolicy",
        games,
        n_steps=128,
        n_epochs=4,
        batch_size=256,
        learning_rate=2.5e-4,
        clip_range=0.1,
        ent_coef=0.01,
        seed=seed,
        device="cpu",
    )


def dqn(games: VecEnv, seed: int) -> BaseAlgorithm:
    return DQN(
        "CnnPolicy",
        games,
        buffer_size=10_000,
        learning_rate=1e-4,
        batch_size=32,
        learning_starts=500,
        target_update_interval=1_000,
        train_freq=4,
        gradient_steps=games.num_envs,
        exploration_fraction=0.1,
        exploration_final_eps=0.01,
        seed=seed,
        device="cpu",
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--algo", choices=("ppo", "dqn"), required=True)
    parser.add_argument("--game", default="PongNoFrameskip-v4")
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8_192)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    gymnasium.register_envs(ale_py)
    games = VecFrameStack(make_atari_env(args.game, n_envs=args.games, seed=args.seed), n_stack=4)
    model = (ppo if args.algo == "ppo" else dqn)(games, args.seed)
    clock = Clock(args.steps // 2)
    model.learn(args.steps, callback=clock)
    seconds, cpu = time.perf_counter() - clock.started, time.process_time() - clock.cpu
    steps = model.num_timesteps - clock.steps
    result = {"value": steps / seconds, "unit": "steps/s", "cpu_us": 1e6 * cpu / steps, "game": args.game}
    print(json.dumps(result | {"algorithm": args.algo, "games": args.games, "threads": args.threads}))


if __name__ == "__main__":
    main()
