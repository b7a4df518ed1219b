"""TRL's RLOOTrainer on a tiny GPT-2: seconds per optimizer step, sampling included, and peak memory. One JSON line.

TRL has no PPO any more; RLOO samples, scores and takes clipped policy-gradient steps on the same completions. The
model, the prompts, the completions per rollout, tokens, passes and minibatches are those of `benchmarks/rlhf_ours.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sys
import tempfile
import time

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import RLOOConfig, RLOOTrainer


class Clock(TrainerCallback):
    """Times whole rollouts, the first left out."""

    def __init__(self, steps_per_rollout: int) -> None:
        self.every, self.marks = steps_per_rollout, []

    def on_step_end(self, args, state, control, **_) -> None:
        if state.global_step % self.every == 0:
            self.marks.append(time.perf_counter())


def full_stops(completions: list[str], **_) -> list[float]:
    return [float(completion.count(".")) for completion in completions]


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
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with open(args.prompts, encoding="utf-8") as file:
        prompts = [line.strip() for line in file if line.strip()]
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model)
    batch = args.completions // args.minibatches
    steps = args.epochs * args.minibatches
    clock = Clock(steps)
    with tempfile.TemporaryDirectory() as folder:
        config = RLOOConfig(
            output_dir=folder,
            per_device_train_batch_size=batch,
            steps_per_generation=args.minibatches,
            num_iterations=args.epochs,
            num_generations=4,
            max_completion_length=args.tokens,
            temperature=1.0,
            beta=0.05,
            learning_rate=3e-4,
            max_steps=steps * (args.rollouts + 1),
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
        )
        trainer = RLOOTrainer(
            model=model,
            reward_funcs=full_stops,
            args=config,
            train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
            processing_class=tokenizer,
            callbacks=[clock],
        )
        with contextlib.redirect_stdout(sys.stderr):  # it prints its own figures
            trainer.train()
    seconds = (clock.marks[-1] - clock.marks[0]) / (len(clock.marks) - 1) / steps
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps({"value": seconds, "unit": "s", "memory_mib": memory, "steps_per_rollout": steps}))


if __name__ == "__main__":
    main()
