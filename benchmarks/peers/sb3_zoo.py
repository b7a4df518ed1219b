"""Stable-Baselines3 on a game with the RL Zoo's settings and budget. Prints one JSON line.

"value" is the mean return of 100 greedy episodes at the end, "curve" the returns of the episodes in training: a list of
(env step, return).
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

EPISODES = 100
WIDE = {"net_arch": [256, 256]}
# Games side by side, whether observations and rewards are normalised, the algorithm's settings.
Setting = tuple[int, bool, dict[str, Any]]
_DQN: dict[str, Any] = {
    "learning_rate": 6.3e-4,
    "batch_size": 128,
    "buffer_size": 50_000,
    "learning_starts": 0,
    "target_update_interval": 250,
    "train_freq": 4,
    "gradient_steps": -1,
    "exploration_fraction": 0.12,
    "exploration_final_eps": 0.1,
    "policy_kwargs": WIDE,
}
_NOISE = {"use_sde": True}  # the Zoo's: exploration that depends on the state
ALGORITHMS = {"ppo": PPO, "dqn": DQN, "vpg": A2C}
SETTINGS: dict[str, dict[str, Setting]] = {
    "ppo": {
        "CartPole-v1": (
            8,
            False,
            {
                "n_steps": 32,
                "batch_size": 256,
                "gae_lambda": 0.8,
                "gamma": 0.98,
                "n_epochs": 20,
                "learning_rate": lambda left: 1e-3 * left,
                "clip_range": lambda left: 0.2 * left,
            },
        ),
        "Acrobot-v1": (16, True, {"n_steps": 256, "gae_lambda": 0.94, "n_epochs": 4}),
        "MountainCar-v0": (16, True, {"n_steps": 16, "gae_lambda": 0.98, "n_epochs": 4}),
        "LunarLander-v3": (
            16,
            False,
            {"n_steps": 1024, "batch_size": 64, "gae_lambda": 0.98, "gamma": 0.999, "n_epochs": 4, "ent_coef": 0.01},
        ),
        "Pendulum-v1": (
            4,
            False,
            {"n_steps": 1024, "gae_lambda": 0.95, "gamma": 0.9, "learning_rate": 1e-3}
            | _NOISE
            | {"sde_sample_freq": 4},
        ),
    },
    "vpg": {
        "Pendulum-v1": (
            8,
            True,
            {
                "n_steps": 8,
                "gae_lambda": 0.9,
                "gamma": 0.9,
                "vf_coef": 0.4,
                "learning_rate": lambda left: 7e-4 * left,
                "policy_kwargs": {"log_std_init": -2, "ortho_init": False},
            }
            | _NOISE,
        ),
    },
    "dqn": {
        "CartPole-v1": (
            1,
            False,
            {
                "learning_rate": 2.3e-3,
                "batch_size": 64,
                "buffer_size": 100_000,
                "learning_starts": 1000,
                "target_update_interval": 10,
                "train_freq": 256,
                "gradient_steps": 128,
                "exploration_fraction": 0.16,
                "exploration_final_eps": 0.04,
                "policy_kwargs": WIDE,
            },
        ),
        "Acrobot-v1": (1, False, _DQN),
        "MountainCar-v0": (
            1,
            False,
            {
                "learning_rate": 4e-3,
                "batch_size": 128,
                "buffer_size": 10_000,
                "learning_starts": 1000,
                "gamma": 0.98,
                "target_update_interval": 600,
                "train_freq": 16,
                "gradient_steps": 8,
                "exploration_fraction": 0.2,
                "exploration_final_eps": 0.07,
                "policy_kwargs": WIDE,
            },
        ),
        "LunarLander-v3": (1, False, _DQN),
    },
}


class Curve(BaseCallback):
    """Keeps the return of every episode with the step at which it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        ended = [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        self.points += [(self.num_timesteps, float(value)) for value in ended]
        return True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", required=True)
    parser.add_argument("--algo", choices=SETTINGS, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    count, normalised, settings = SETTINGS[args.algo][args.game]
    env: VecEnv = make_vec_env(args.game, n_envs=count, seed=args.seed)
    evaluation: VecEnv = make_vec_env(args.game, n_envs=1, seed=10_000 + args.seed)
    if normalised:
        env = VecNormalize(env, gamma=settings.get("gamma", 0.99))  # as the Zoo does
        evaluation = VecNormalize(evaluation, training=False, norm_reward=False)
        evaluation.obs_rms = env.obs_rms
    model = ALGORITHMS[args.algo]("MlpPolicy", env, seed=args.seed, device="cpu", **settings)
    curve = Curve()
    started = time.process_time()
    model.learn(args.steps, callback=curve)
    seconds = time.process_time() - started
    mean, _ = evaluate_policy(model, evaluation, EPISODES, deterministic=True)
    print(json.dumps({"value": float(mean), "unit": "return", "cpu_seconds": seconds, "curve": curve.points}))


if __name__ == "__main__":
    main()
