"""RLHF beside TRL's RLOOTrainer: `.venv/bin/python benchmarks/rlhf.py` (the peers: `make bench-peers`).

Both start from the same new 4-layer GPT-2 (d = 128, 1,024 tokens) in Hugging Face's format, on the same prompts. In
bfloat16 only on processors that have it.
"""

from __future__ import annotations

import sys

from harness import ROOT, Row, peer, write

from agents.products import has_bfloat16
from agents.tokenizer import train_tokenizer
from agents.transformer import TransformerConfig, new_model, save_model
from envs import helpdesk

OURS = [sys.executable, str(ROOT / "benchmarks/rlhf_ours.py")]
FOLDER = ROOT / ".venv-peers/rlhf"
"""Where the model and the prompts of both sides lie."""


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    posts = helpdesk.sample_posts(4000, 0)
    model, prompts = FOLDER / "model", FOLDER / "prompts.txt"
    save_model(new_model(TransformerConfig(n_ctx=64), train_tokenizer(posts, 1024), 0), model)
    prompts.write_text("\n".join(helpdesk.prompts("train", 256, 0)))
    shared = ["--model", str(model), "--prompts", str(prompts)]
    trl = peer("trl_rloo.py", *shared)
    rows = [
        Row("RLHF, 256 completions of 31 tokens, 16 updates of 64; float32", [*OURS, *shared],
            "TRL 1.16 RLOOTrainer", trl, target=2, higher=False, note="seconds per optimizer step, sampling included"),
        Row("the same, in bfloat16", [*OURS, *shared, "--bfloat16"], "TRL 1.16 RLOOTrainer, float32", trl,
            target=3, higher=False, note="seconds per optimizer step, sampling included"),
    ]  # fmt: skip
    if not has_bfloat16("cpu"):
        rows = rows[:1]
    write("rlhf", "RLHF on a small transformer", "python benchmarks/rlhf.py", rows, repeats=3)


if __name__ == "__main__":
    main()
