"""Settings of the algorithms that train language models. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from agents.configs import Config, setting

HELP_DESK_POSTS = 80_000
"""Posts of the shipped language that a model reads, each of them once, unless told otherwise."""


@dataclass(frozen=True)
class LanguageModelConfig(Config):
    """What pre-training and fine-tuning on demonstrations have in common: next-token prediction."""

    learning_rate: float = setting(1e-3, "step size after the warm-up", min=0.0, max=1.0)
    muon: bool = setting(False, "step the layers' matrices by Muon in place of AdamW; not for fine-tuning")
    warmup: float = setting(0.05, "share of the run in which the step size rises to that", min=0.0, max=1.0)
    final_learning_rate: float = setting(0.05, "share of the step size that is left at the end", min=0.0, max=1.0)
    weight_decay: float = setting(0.1, "decay of matrices", min=0.0, max=10.0)
    beta2: float = setting(0.99, "AdamW's decay of squared gradients", min=0.0, max=1.0)
    max_grad_norm: float = setting(1.0, "gradients are scaled down to this norm; 0: never", min=0.0)
    batch_tokens: int = setting(2048, "about how many tokens a step learns from, padding included", min=1)
    epochs: float = setting(2.0, "passes over the texts", min=0.0, max=1000.0)
    report_steps: int = setting(20, "steps between reports", min=1)


@dataclass(frozen=True)
class PretrainConfig(LanguageModelConfig):
    """Pre-training: every token of every text."""

    learning_rate: float = setting(1e-2, "step size after the warm-up, of both optimizers", min=0.0, max=1.0)
    muon: bool = setting(True, "step the layers' matrices by Muon in place of AdamW, which wants 3e-3")
    epochs: float = setting(
        1.0, "passes over the texts; a corpus of one's own that is small takes more", min=0.0, max=1000.0
    )


@dataclass(frozen=True)
class SFTConfig(LanguageModelConfig):
    """Supervised fine-tuning: the answers of demonstrations, given their prompts."""

    weight_decay: float = setting(0.0, "decay of matrices", min=0.0, max=10.0)
    epochs: float = setting(3.0, "passes over the demonstrations", min=0.0, max=1000.0)
