"""Prompts with completions as padded token tensors. B sequences, P prompt tokens, T completion tokens.

Prompts are padded on the left and completions on the right, so that column P is everybody's first completion token and
the whole is one [B, P + T] batch without a gap between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 64
"""Many packed rows come in multiples of it."""


@dataclass(frozen=True)
class Sequences:
    """Prompts and completions.

    Attributes:
        prompt: [B, P] int64, padded on the left; prompt_mask: [B, P] bool, True on its tokens.
        tokens: [B, T] int64, padded on the right; mask: [B, T] bool, True up to and including EOS.
    """

    prompt: Tensor
    prompt_mask: Tensor
    tokens: Tensor
    mask: Tensor

    @property
    def size(self) -> int:
        """B."""
        return self.prompt.shape[0]

    @property
    def all_tokens(self) -> Tensor:
        """[B, P + T] int64."""
        return torch.cat([self.prompt, self.tokens], 1)

    @property
    def attention_mask(self) -> Tensor:
        """[B, P + T] bool."""
        return torch.cat([self.prompt_mask, self.mask], 1)

    @property
    def lengths(self) -> Tensor:
        """[B] int64: tokens of each completion, EOS included."""
        return self.mask.sum(1)

    @property
    def last(self) -> Tensor:
        """[B] int64: where in `all_tokens` each sequence's last token is (of an empty completion: the prompt's)."""
        return self.prompt.shape[1] - 1 + self.lengths

    def ended(self, end: int) -> Tensor:
        """[B] bool: whose last token is `end`."""
        return self.all_tokens.gather(1, self.last.unsqueeze(1)).squeeze(1) == end

    def select(self, index: Tensor) -> Sequences:
        """The rows of an index [b], without the columns that are padding in all of them."""
        prompt_mask, mask = self.prompt_mask[index], self.mask[index]
        first = self.prompt.shape[1] - max(1, int(prompt_mask.sum(1).max()))
        width = max(1, int(mask.sum(1).max()))
        return Sequences(
            self.prompt[index, first:], prompt_mask[:, first:], self.tokens[index, :width], mask[:, :width]
        )


def pad(
    rows: Sequence[Sequence[int]], fill: int, left: bool, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Rows of token ids as (tokens [B, W] int64, mask [B, W] bool), W at least 1."""
    width = max(1, *(len(row) for row in rows))
    tokens = torch.full((len(rows), width), fill, dtype=torch.int64)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for index, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        tokens[index, place] = torch.tensor(row, dtype=torch.int64)
        mask[index, place] = True
    return tokens.to(device), mask.to(device)


def make_sequences(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    fill: int,
    device: torch.device | str = "cpu",
) -> Sequences:
    """Token ids of prompts and their completions (EOS included where they end) as one padded batch."""
    assert len(prompts) == len(completions)
    return Sequences(*pad(prompts, fill, True, device), *pad(completions, fill, False, device))


class Packing:
    """Which of S rows are kept, M of them: what lies between them need not be computed.

    Many rows are filled up with copies of the first to R, a multiple of `ROWS`, so that products see few different
    sizes: oneDNN, by which bfloat16 is multiplied, makes code for each. Whole rows are copied, forward and backward,
    where torch's own indexing goes number by number.

    Attributes:
        count: M. picked: [R] int64, the rows kept and then the copies; of few, or without a gap, R is M.
        gaps: [S − M] int64, the rest. place: [S] int64, where each kept row lies among the picked.
    """

    def __init__(self, mask: Tensor) -> None:
        """Keep the rows where `mask` [S] is True."""
        kept = mask.nonzero().squeeze(1)
        self.count = len(kept)
        self.gaps = (~mask).nonzero().squeeze(1)
        copies = -self.count % ROWS if len(self.gaps) and self.count > 8 * ROWS else 0
        self.picked = F.pad(kept, (0, copies), value=int(kept[0]) if copies else 0)
        self.place = (mask.cumsum(0) - 1).clamp_(min=0)

    def pick(self, x: Tensor) -> Tensor:
        """[S, …] → [R, …], with gradient from the first M."""
        picked: Tensor = _Pick.apply(x, self) if len(self.gaps) else x
        return picked

    def spread(self, x: Tensor) -> Tensor:
        """[R, …] → [S, …], zeros in between, with gradient to the first M."""
        wide: Tensor = _Spread.apply(x, self) if len(self.gaps) else x
        return wide

    def _spread(self, x: Tensor) -> Tensor:
        return x.index_select(0, self.place).index_fill_(0, self.gaps, 0)


class _Pick(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return x.index_select(0, packing.picked)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.packing._spread(gradient), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return packing._spread(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        packed = gradient.index_select(0, ctx.packing.picked)
        packed[ctx.packing.count :] = 0
        return packed, None
