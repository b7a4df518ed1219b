"""PPO on text on a tiny GPT-2: seconds per optimizer step, sampling included, and peak memory. Prints one JSON line."""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import torch

from agents import rlhf
from agents.feedback_configs import RLHFConfig
from agents.rewards import full_stops, token_reward
from agents.tokenizer import encode_prompt
from agents.transformer import load_model
from arena.memory import keep_freed_memory


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", required=True, help="one a line")
    parser.add_argument("--completions", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=31)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--minibatches", type=int, default=4)
    parser.add_argument("--rollouts", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="sample and learn in bfloat16")
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    policy, reference = load_model(args.model), load_model(args.model)
    prompts = [encode_prompt(policy.tokenizer, line) for line in Path(args.prompts).read_text().splitlines() if line]
    config = RLHFConfig(
        rollout_size=args.completions,
        max_new_tokens=args.tokens,
        num_epochs=args.epochs,
        num_minibatches=args.minibatches,
        kl_coef=0.05,
        bfloat16=args.bfloat16,
    )
    marks = []
    reward = token_reward(full_stops, policy)
    total = args.completions * (args.rollouts + 1)
    for report in rlhf.train(config, policy, reference, prompts, reward, seed=0, total_steps=total):
        assert report.values["charts/length"] > 0
        marks.append(time.perf_counter())
    steps = args.epochs * args.minibatches
    seconds = (marks[-1] - marks[0]) / (len(marks) - 1) / steps
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps({"value": seconds, "unit": "s", "memory_mib": memory, "steps_per_rollout": steps}))


if __name__ == "__main__":
    main()
