"""A league with text that is labelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from agents.transformer import TextModel, model_files
from arena.records_text import Completion, Label, Pair
from arena.store import Store

PROMPTS = [f"one two {word}" for word in ("three", "four", "five", "six", "seven", "one", "two", "two three")]


@pytest.fixture
def labelled(tmp_path: Path, tiny_model: Callable[[int], TextModel]) -> Iterator[Store]:
    """A model `sft`, eight prompts with four completions each, labelled by who likes full stops."""
    with Store(tmp_path / "league.db") as store:
        store.add_text_model("sft", "sft", model_files(tiny_model(0)))
        ids = store.add_prompts(PROMPTS, "train")
        store.add_prompts(["four five", "six seven"], "test")
        rng = np.random.default_rng(0)
        rows = []
        for prompt in ids:
            for stops in range(4):
                words = [*rng.choice(["one", "two", "six"], 3), *["."] * stops]
                rows.append(Completion(prompt, " ".join(rng.permutation(words))))
        made = store.add_completions(rows)
        chosen = [Pair(p, made[4 * i + a], made[4 * i + b]) for i, p in enumerate(ids) for a, b in ((0, 3), (2, 1))]
        pairs = store.add_pairs(chosen)
        store.add_labels("anna", [Label(pair, 0, "a" if n % 2 else "b") for n, pair in enumerate(pairs)])
        yield store
