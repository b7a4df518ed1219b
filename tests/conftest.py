"""Every test process uses one torch thread: two run side by side, and results must not depend on the thread count."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agents.transformer import TextModel

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
os.environ.pop("ARENA_DB", None)
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="arena-config-")


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The processor multiplies in bfloat16, if only by imitation."""
    import torch

    from agents.products import has_bfloat16

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    has_bfloat16.cache_clear()
    yield
    has_bfloat16.cache_clear()


@pytest.fixture(scope="session")
def tiny_model() -> Callable[[int], TextModel]:
    """seed → a language model of 2 layers and width 32 with a vocabulary of 300 tokens: 0 is BOS, 1 EOS, 2 PAD."""
    from agents.tokenizer import train_tokenizer
    from agents.transformer import TransformerConfig, new_model

    tokenizer = train_tokenizer(["one two three. four five six? seven"] * 4, 300)
    config = TransformerConfig(n_layer=2, n_head=2, d_model=32, n_ctx=48)
    return lambda seed: new_model(config, tokenizer, seed)
