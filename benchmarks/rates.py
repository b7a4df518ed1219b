"""Training rates, learning included: `.venv/bin/python benchmarks/rates.py`.

DQN beside Stable-Baselines3's at the same batch, network and gradient steps an env step; VPG beside our PPO on the same
games. One thread each.
"""

from __future__ import annotations

import importlib.util

from harness import OURS, Row, peer, write

DQN = {
    "batch_size": 128,
    "train_ratio": 0.5,
    "hidden_size": 64,
    "hidden_layers": 2,
    "double": "false",
    "num_envs": 16,
    "learning_starts": 1000,
    "buffer_size": 50_000,
    "target_update": 125,
}


def ours(algorithm: str, game: str, steps: int, **settings: object) -> list[str]:
    sets = [f"--set={key}={value}" for key, value in settings.items()]
    return [
        *OURS, "train", "--algo", algorithm, "--game", game, "--steps", str(steps), "--threads", "1", "--json", *sets
    ]  # fmt: skip


def main() -> None:
    rows = []
    boxes = importlib.util.find_spec("Box2D") is not None  # LunarLander needs it: the extra `box2d`
    for game, id in (("CartPole", "CartPole-v1"), ("LunarLander", "LunarLander-v3"))[: 1 + boxes]:
        mine = "cartpole" if game == "CartPole" else f"gym/{id}"
        rows.append(
            Row(
                f"DQN learns {game}",
                ours("dqn", mine, 6_000, **DQN),
                "Stable-Baselines3",
                peer("sb3_dqn.py", "--game", id, "--steps", "6000"),
                target=2,
                note="batches of 128, half a gradient step an env step, 2×64 units (its default), one thread; ours "
                "plays 16 games side by side, native ones where there are any, Stable-Baselines3 one of Gymnasium's",
            )
        )
    for game, steps in (("cartpole", 40_000), ("connect_four", 60_000)):
        rows.append(
            Row(
                f"VPG beside PPO, {game}",
                ours("vpg", game, steps),
                "our PPO",
                ours("ppo", game, steps),
                target=1,
                note="each with its preset, one thread",
            )
        )
    write("rates", "Training rates", "python benchmarks/rates.py", rows, repeats=5)


if __name__ == "__main__":
    main()
