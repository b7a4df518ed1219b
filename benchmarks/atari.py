"""PPO and DQN on Atari Pong beside Stable-Baselines3's: same network, settings and preparation of the pictures, on the
CPU, learning included; and random play alone beside EnvPool's: `.venv/bin/python benchmarks/atari.py` (ten to
fifteen minutes on two cores).
"""

from __future__ import annotations

import argparse

from harness import OURS, Row, peer, write

GAME = "ALE/Pong-v5?sticky=0"
PPO_STEPS, DQN_STEPS, GAMES, SECONDS = 4_096, 3_000, 32, 4
DQN = {"double": "false", "buffer_size": 10_000, "learning_starts": 500, "report_steps": 500}


def ours(algorithm: str, steps: int, threads: int, **settings: object) -> list[str]:
    sets = [f"--set={key}={value}" for key, value in settings.items()]
    return [
        *OURS, "train", "--algo", algorithm, "--game", GAME, "--steps", str(steps), "--threads", str(threads),
        "--profile", "--json", *sets,
    ]  # fmt: skip


def theirs(algorithm: str, steps: int, threads: int, games: int) -> list[str]:
    words = ("--algo", algorithm, "--steps", str(steps), "--threads", str(threads), "--games", str(games))
    return peer("sb3_atari.py", *words, "--seed", "{run}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    threads = asked.threads
    name, note = "Stable-Baselines3", "NatureCNN in float32, four grey 84×84 pictures, frame skip 4, no sticky actions"
    rows = [
        Row(
            "PPO learns Pong",
            ours("ppo", PPO_STEPS, threads),
            name,
            theirs("ppo", PPO_STEPS, threads, 8),
            target=2,
            note=f"{note}; 8 games × 128 steps, 4 passes in batches of 256",
        ),
        Row(
            "DQN learns Pong, one game there",
            ours("dqn", DQN_STEPS, threads, **DQN),
            name,
            theirs("dqn", DQN_STEPS, threads, 1),
            target=1.5,
            note=f"{note}; a gradient step of 32 transitions every 4 env steps, targets of plain DQN; one game side by "
            "side as in the RL Zoo's settings, eight here",
        ),
        Row(
            "DQN learns Pong, eight games there",
            ours("dqn", DQN_STEPS, threads, **DQN),
            name,
            theirs("dqn", DQN_STEPS, threads, 8),
            note="the same with eight games side by side on both sides",
        ),
        Row(
            "random play, Pong",
            [*OURS, "games", "--game", GAME, "--games", str(GAMES), "--seconds", str(SECONDS), "--json"],
            "EnvPool",
            peer("envpool_games.py", "--games", str(GAMES), "--seconds", str(SECONDS)),
            target=0.9,
            note=f"{GAMES} games side by side, four grey 84×84 pictures, frame skip 4, no sticky actions; the drawing "
            "of actions is included",
        ),
    ]
    write("atari", "Training rates on Atari", "python benchmarks/atari.py", rows, asked.repeats)


if __name__ == "__main__":
    main()
