"""Self-play PPO on connect four, learning included, with a 3×256 MLP: moves a second, and where the time goes:
`.venv/bin/python benchmarks/selfplay.py`.
"""

from __future__ import annotations

import argparse
import statistics

from harness import OURS, facts, figure, measure, save, shown

SETTINGS = {
    "num_envs": 1024,
    "num_steps": 16,
    "num_epochs": 1,
    "num_minibatches": 8,
    "hidden_size": 256,
    "hidden_layers": 3,
}
STEPS, REPEATS = 131_072, 3
TARGET, TARGET_OUTSIDE = 60_000, 0.25


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    threads = ["--threads", str(parser.parse_args().threads)]
    about = facts("Self-play PPO on connect four", "python benchmarks/selfplay.py")
    sets = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    command = [*OURS, "train", "--game", "connect_four", "--steps", str(STEPS), *sets, *threads, "--profile", "--json"]
    runs = [measure(command) for _ in range(REPEATS)]
    rate = statistics.median(run["value"] for run in runs)
    parts = {part: statistics.median(run["shares"].get(part, 0.0) for run in runs) for part in runs[0]["shares"]}
    outside = 1 - parts["network forward"] - parts["network backward"]
    lines = [
        f"Learning included: **{figure(rate, 'moves/s')}** (target {figure(TARGET, 'moves/s')}), median of {REPEATS} "
        f"runs, threads: {runs[0]['threads']}. Settings beside the preset's: "
        + ", ".join(f"{key} {value}" for key, value in SETTINGS.items()) + ".",
        "",
        f"Outside the network's forward and backward passes: {outside:.0%} (target {TARGET_OUTSIDE:.0%}).",
        "",
        "| part | share of the time |",
        "|---|---:|",
        *(f"| {part} | {share:.1%} |" for part, share in sorted(parts.items(), key=lambda item: -item[1])),
        "",
        f"`{shown(command)}`",
    ]  # fmt: skip
    save("selfplay", about | {"runs": runs, "rate": rate, "outside": outside}, lines)


if __name__ == "__main__":
    main()
