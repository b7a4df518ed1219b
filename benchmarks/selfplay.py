"""Self-play PPO on connect four, learning included, with a 3×256 MLP: moves a second, and where the time goes:
`.venv/bin/python benchmarks/selfplay.py`. With `--strength` the same settings learn for some minutes, through the
command line, and their moves are compared with the solver's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from harness import OURS, ROOT, facts, figure, measure, save, shown

SETTINGS = {
    "num_envs": 2048,
    "num_steps": 8,
    "num_epochs": 1,
    "num_minibatches": 4,
    "hidden_size": 256,
    "hidden_layers": 3,
    "learning_rate": 3e-3,
    "max_grad_norm": 1.0,
    "bfloat16": "true",
    "random_plies": 12,
    "gamma": 0.97,
}
SETS = [f"--set={key}={value}" for key, value in SETTINGS.items()]
STATED = ", ".join(f"{key} {value}" for key, value in SETTINGS.items())
STEPS, REPEATS = 524_288, 3
TARGET, TARGET_OUTSIDE, TARGET_PRESERVED, MINUTES = 60_000, 0.25, 0.75, 10
ARENA = str(ROOT / ".venv/bin/arena")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2, help="of the network")
    parser.add_argument("--strength", action="store_true", help="learn, and compare with the solver, instead")
    parser.add_argument("--steps", type=int, default=24_000_000, help="moves of the run that is compared")
    args = parser.parse_args()
    if args.strength:
        strength(args.steps, args.threads)
    else:
        rate(args.threads)


def rate(threads: int) -> None:
    about = facts("Self-play PPO on connect four", "python benchmarks/selfplay.py")
    train = [*OURS, "train", "--game", "connect_four", "--steps", str(STEPS), *SETS, "--threads", str(threads)]
    command = [*train, "--profile", "--json"]
    runs = [measure(command) for _ in range(REPEATS)]
    moves = statistics.median(run["value"] for run in runs)
    parts = {part: statistics.median(run["shares"].get(part, 0.0) for run in runs) for part in runs[0]["shares"]}
    outside = 1 - parts["network forward"] - parts["network backward"]
    lines = [
        f"Learning included: **{figure(moves, 'moves/s')}** (target {figure(TARGET, 'moves/s')}), median of {REPEATS} "
        f"runs, threads: {runs[0]['threads']}. Settings beside the preset's: {STATED}. Random openings count as moves; "
        "they are played like the others and not learnt from.",
        "",
        f"Outside the network's forward and backward passes: {outside:.0%} (target {TARGET_OUTSIDE:.0%}).",
        "",
        "| part | share of the time |",
        "|---|---:|",
        *(f"| {part} | {share:.1%} |" for part, share in sorted(parts.items(), key=lambda item: -item[1])),
        "",
        f"`{shown(command)}`",
    ]
    save("selfplay", about | {"runs": runs, "rate": moves, "outside": outside}, lines)


def strength(steps: int, threads: int) -> None:
    about = facts("Strength after self-play on connect four", "python benchmarks/selfplay.py --strength")
    with tempfile.TemporaryDirectory() as folder:
        db = ["--db", str(Path(folder) / "league.db"), "--json"]
        train = [ARENA, "train", "connect_four", "--algo", "ppo", "--name", "selfplay", "--device", "cpu"]
        train += ["--steps", str(steps), "--checkpoint-steps", str(steps), "--threads", str(threads), *SETS]
        run = measure([*train, *db])["run"]
        found = measure([ARENA, "strength", "connect_four", "selfplay@latest", *db])
    seconds = run["seconds"]
    lines = [
        f"**{found['preserved']:.1%}** of the moves keep the result (target {TARGET_PRESERVED:.0%} within {MINUTES} "
        f"minutes; at random {found['by_chance']:.1%}), in {found['positions']} solved positions, after {steps:,} "
        f"moves in {seconds:.0f} s: {figure(steps / seconds, 'moves/s')}, threads: {threads}. A move loses "
        f"{found['value_loss']:.2f} of the score. Settings beside the preset's: {STATED}.",
        "",
        f"`{shown(train)}`, then `arena strength connect_four selfplay@latest`",
    ]
    save("selfplay_strength", about | {"run": run, "strength": found}, lines)


if __name__ == "__main__":
    main()
