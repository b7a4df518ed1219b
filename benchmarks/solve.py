"""PPO on CartPole-v1 until 100 greedy games average 475, beside Stable-Baselines3 with RL Zoo's settings, by one rule:
`.venv/bin/python benchmarks/solve.py`.

Both sides train with one thread on schedules over 100,000 steps, and are tested every 4,096 steps with the clock
stopped. Ours plays the native CartPole, which equals Gymnasium's step for step (`tests/envs/test_cartpole.py`).
"""

from __future__ import annotations

from harness import OURS, Row, peer, write

SEEDS = 5


def main() -> None:
    rows = [
        Row(
            "PPO solves CartPole-v1",
            [*OURS, "solve", "--game", "cartpole", "--seed", "{run}", "--json"],
            "Stable-Baselines3, Zoo's settings",
            peer("sb3_cartpole.py", "--seed", "{run}"),
            target=8,
            higher=False,
            note="seconds of training, one thread",
        )
    ]
    write("solve", "Time to solve CartPole-v1", "python benchmarks/solve.py", rows, SEEDS)


if __name__ == "__main__":
    main()
