"""Sampling beside `transformers` `generate`: the same weights, prompts and machine, in turn (A B A B …) in one process.

`.venv/bin/python benchmarks/decoder.py` writes benchmarks/results/decoder.md and .json. Both sides sample at
temperature 1 from the whole vocabulary and never stop at EOS; ours also gives log-probabilities. No two prompts are
equal, so nothing is gained by reading equal ones once. The clock starts after everything is loaded and has run once.

Besides tokens/s it says which share of the machine's matrix product the decoder reaches: the floating-point operations
of the weights (2 per weight and token) per second, over those that the same products reach when nothing else is done.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
import torch.nn.functional as F
from harness import RESULTS, ROOT, machine, version
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from agents.decoder import Decoder
from agents.packed import Matrix
from agents.products import has_bfloat16
from agents.tokenizer import train_tokenizer
from agents.transformer import TextModel, TransformerConfig, load_model, new_model, save_model
from envs import helpdesk

CPU_CLOCK = False
PROMPT_TOKENS = 16
DTYPES = ("float32", "bfloat16") if has_bfloat16("cpu") else ("float32",)
SHAPES = {
    "default": {"name": "4 layers, d = 128", "rows": 64, "tokens": 32, "float32": 2.0, "bfloat16": 3.0},
    "gpt2-small": {
        "name": "12 layers, d = 768 (gpt2-small)",
        "rows": 16,
        "tokens": 64,
        "float32": 1.4,
        "bfloat16": 3.0,
    },
}


def build(shape: str, folder: str) -> TextModel:
    """A model with random weights, saved in `folder` for the peer and loaded from there for us."""
    tokenizer = train_tokenizer(helpdesk.sample_posts(1000, seed=0))
    if shape == "default":
        save_model(new_model(TransformerConfig(), tokenizer, 0), folder)
    else:
        torch.manual_seed(0)
        GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=1, pad_token_id=2)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return load_model(folder)


def clock(work: Callable[[], object]) -> float:
    """Seconds of wall time; on one thread, where `--clock cpu` chose it, of CPU time."""
    now = time.process_time if CPU_CLOCK else time.perf_counter
    started = now()
    work()
    return now() - started


def peer(folder: str, dtype: torch.dtype, prompts: torch.Tensor, tokens: int) -> Callable[[], object]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    model.generation_config.eos_token_id = None
    mask = torch.ones_like(prompts)

    def generate() -> None:
        made = model.generate(
            prompts,
            attention_mask=mask,
            do_sample=True,
            top_k=0,
            temperature=1.0,
            max_new_tokens=tokens,
            pad_token_id=2,
        )
        assert made.shape[1] == prompts.shape[1] + tokens

    return generate


def ours(model: TextModel, dtype: torch.dtype, prompts: torch.Tensor, tokens: int) -> Callable[[], object]:
    decoder, rows = Decoder(model, dtype), prompts.tolist()
    generator = torch.Generator().manual_seed(0)

    def sample() -> None:
        made = decoder.sample(rows, tokens, generator=generator, stop_at_eos=False)
        assert made.mask.all()

    return sample


@torch.no_grad()
def product_rates(model: TextModel, rows: int, dtype: torch.dtype) -> dict[str, float]:
    """GFLOP/s of one token's matrix products alone: stored row by row as `F.linear` has them, and as the decoder."""
    weights = model.weights()
    assert weights is not None
    pairs = [pair for layer in weights.layers for pair in (layer.qkv(), layer.out, layer.up, layer.down)]
    pairs.append(weights.unembed)
    plain = [
        (weight.detach().to(dtype).contiguous(), torch.randn(rows, weight.shape[1]).to(dtype)) for weight, _ in pairs
    ]
    fast = [(Matrix(weight, bias, dtype), x) for (weight, bias), (_, x) in zip(pairs, plain, strict=True)]
    work = sum(2 * rows * weight.numel() for weight, _ in plain) / 1e9
    sides = {
        "plain": lambda: [F.linear(x, weight) for weight, x in plain],
        "reordered": lambda: [matrix(x) for matrix, x in fast],
    }
    rates = {}
    for name, side in sides.items():
        side()
        rates[name] = work / statistics.median(clock(side) for _ in range(7))
    return rates | {"per_token": work / rows}


def measure(shape: str, repeats: int, tokens: int) -> list[dict[str, Any]]:
    entry = SHAPES[shape]
    rows = int(entry["rows"])
    results = []
    with tempfile.TemporaryDirectory() as folder:
        model = build(shape, folder)
        prompts = torch.randint(3, 1000, (rows, PROMPT_TOKENS), generator=torch.Generator().manual_seed(0))
        sides = {("ours", dtype): ours(model, getattr(torch, dtype), prompts, tokens) for dtype in DTYPES} | {
            ("peer", dtype): peer(folder, getattr(torch, dtype), prompts, tokens) for dtype in DTYPES
        }
        seconds: dict[tuple[str, str], list[float]] = {key: [] for key in sides}
        for round_number in range(repeats + 1):
            for key, side in sides.items():
                took = clock(side)
                if round_number:  # the first one warms up
                    seconds[key].append(took)
        speed = {key: rows * tokens / statistics.median(times) for key, times in seconds.items()}
        for dtype in DTYPES:
            products = product_rates(model, rows, getattr(torch, dtype))
            results.append(
                {
                    "shape": f"{entry['name']}, {rows} × {tokens} tokens",
                    "clock": f"{'CPU' if CPU_CLOCK else 'wall'} time, {torch.get_num_threads()} threads",
                    "repeats": repeats,
                    "dtype": dtype,
                    "ours": speed["ours", dtype],
                    "peer": speed["peer", dtype],
                    "peer_float32": speed["peer", "float32"],
                    "ratio": speed["ours", dtype] / speed["peer", "float32"],
                    "target": entry[dtype],
                    "gflops": speed["ours", dtype] * products["per_token"],
                    "products": products,
                    "seconds": {side: seconds[side, dtype] for side in ("ours", "peer")},
                }
            )
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    return results


def table_line(row: dict[str, Any]) -> str:
    rates = row["products"]
    share = f"{row['gflops']:.0f} of {rates['reordered']:.0f} ({row['gflops'] / rates['reordered']:.0%})"
    speeds = f"{row['ours']:,.0f} | {row['peer']:,.0f} | ×{row['ratio']:.2f} | ×{row['target']:g}"
    clock_used = f"{row['clock']}, {row['repeats']} runs"
    return f"| {row['shape']} | {row['dtype']} | {clock_used} | {speeds} | {share} | {rates['plain']:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=[*SHAPES, "all"], default="all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, help="new tokens per row, in place of the shape's own")
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu: CPU time of one thread, for a machine that does other work as well",
    )
    arguments = parser.parse_args()
    global CPU_CLOCK
    CPU_CLOCK = arguments.clock == "cpu"
    torch.set_num_threads(1 if CPU_CLOCK else int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    path = RESULTS / "decoder.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    for shape in list(SHAPES) if arguments.shape == "all" else [arguments.shape]:
        kept[shape] = measure(shape, arguments.repeats, arguments.tokens or int(SHAPES[shape]["tokens"]))
        path.write_text(json.dumps(kept, indent=1) + "\n")
        write_table(kept)


def write_table(kept: dict[str, Any]) -> None:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=ROOT)
    lines = [
        "# Sampling beside `transformers` `generate`",
        "",
        "`.venv/bin/python benchmarks/decoder.py`: tokens/s, medians of alternating runs, "
        f"commit {commit.stdout.strip()}, {machine()}.",
        "",
        f"Random weights, prompts of {PROMPT_TOKENS} tokens, temperature 1, no EOS. The ratio: to the peer in float32.",
        "GFLOP/s are those of the weight matrices: the decoder's, the same products alone in the decoder's layout, and",
        "alone as `F.linear` has them.",
        "",
        "| | | clock | Arena | `generate` | ratio | target | GFLOP/s of the products alone | plain layout |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
        *[table_line(row) for shape in SHAPES if shape in kept for row in kept[shape]],
        "",
        f"Versions: torch {version('torch')}, transformers {version('transformers')}.",
    ]
    (RESULTS / "decoder.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
