"""Sampling: whole batches of completions from one prefill, a static key-value cache and one pass per token.

The same pass gives each token's log-probability and, with a value head, the value of the state before it, so that a
rollout needs no second look. Rows end at EOS; the loop ends when all have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from agents import gpt
from agents.tokenizer import pad_id
from agents.transformer import TextModel
from envs.errors import UsageError

ValueHead = Callable[[Tensor], Tensor]


@dataclass
class Sample:
    """Completions of B prompts, up to T tokens each.

    Attributes:
        tokens: [B, T] int64; padding after EOS.
        log_probs: [B, T] of each token under the distribution that it was drawn from (greedy: under the model's own).
        values: [B, T] of the state before each token, or None.
        mask: [B, T] bool; True up to and including EOS.
        prompt_tokens, prompt_mask: [B, P], padded on the left.
    """

    tokens: Tensor
    log_probs: Tensor
    values: Tensor | None
    mask: Tensor
    prompt_tokens: Tensor
    prompt_mask: Tensor


class Decoder:
    """Samples from a model's weights as they were at the last `refresh`."""

    def __init__(self, model: TextModel, dtype: torch.dtype = torch.float32) -> None:
        self.model = model
        self.dtype = dtype
        self.refresh()

    def refresh(self) -> None:
        """Read the weights again, after an update."""
        weights = self.model.weights()
        if weights is None:
            raise UsageError(f"no decoder for the architecture {self.model.bridge.cfg.architecture}")
        self.weights = weights

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        generator: torch.Generator | None = None,
        value_head: ValueHead | None = None,
        greedy: bool = False,
    ) -> Sample:
        """One completion of at most `max_new_tokens` tokens for each prompt."""
        tokens, mask = left_pad(prompts, pad_id(self.model.tokenizer), self.model.device)
        eos = self.model.tokenizer.eos_token_id
        alive = torch.ones(len(prompts), dtype=torch.bool, device=tokens.device)
        drawn, log_probs, values, masks = [], [], [], []
        row, seen = tokens, mask
        for _ in range(max_new_tokens):
            last = gpt.hidden(self.weights, row, seen)[:, -1]
            token, log_prob = draw(gpt.logits(self.weights, last), temperature, top_k, top_p, generator, greedy)
            if value_head is not None:
                values.append(value_head(last))
            token = torch.where(alive, token, pad_id(self.model.tokenizer))
            drawn.append(token)
            log_probs.append(log_prob * alive)
            masks.append(alive)
            alive = alive & (token != (-1 if eos is None else eos))
            row = torch.cat([row, token[:, None]], dim=1)
            seen = torch.cat([seen, masks[-1][:, None]], dim=1)
            if not alive.any():
                break
        mask_ = torch.stack(masks, 1)
        return Sample(
            torch.stack(drawn, 1),
            torch.stack(log_probs, 1),
            torch.stack(values, 1) * mask_ if values else None,
            mask_,
            tokens,
            mask,
        )


def left_pad(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token rows as [B, P] with padding on the left, and the mask of what is real."""
    longest = max(len(row) for row in rows)
    tokens = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows], dtype=torch.int64)
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(longest)[None] >= longest - lengths[:, None]
    return tokens.to(device), mask.to(device)


def draw(
    logits: Tensor, temperature: float, top_k: int, top_p: float, generator: torch.Generator | None, greedy: bool
) -> tuple[Tensor, Tensor]:
    """[B] tokens drawn from [B, V] logits, and their log-probabilities."""
    scores = logits.float()
    if greedy:
        log_probs = F.log_softmax(scores, dim=-1)
        token = scores.argmax(dim=-1)
    else:
        scores = filtered(scores / temperature, top_k, top_p)
        log_probs = F.log_softmax(scores, dim=-1)
        cumulative = log_probs.exp().cumsum(dim=-1)
        uniform = torch.rand(len(scores), 1, generator=generator, device=scores.device)
        token = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True).squeeze(1)
        token = token.clamp(max=scores.shape[1] - 1)
    return token, log_probs.gather(1, token[:, None]).squeeze(1)


def filtered(scores: Tensor, top_k: int, top_p: float) -> Tensor:
    """[B, V] scores, −∞ outside the `top_k` best and outside the smallest set of at least `top_p` probability."""
    if 0 < top_k < scores.shape[1]:
        threshold = scores.topk(top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < threshold, -torch.inf)
    if top_p < 1.0:
        ordered, order = scores.sort(dim=-1, descending=True)
        probabilities = ordered.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities
        cut = torch.zeros_like(scores, dtype=torch.bool).scatter(1, order, before >= top_p)
        scores = scores.masked_fill(cut, -torch.inf)
    return scores
