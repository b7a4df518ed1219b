"""Sampling: whole batches of completions from one prefill, a static key-value cache and one pass per token.

The same pass gives each token's log-probability and, with a value head, the value of the state before it, so that a
rollout needs no second look. Equal prompts are read once. Rows end at EOS; the batch shrinks as they do, and the loop
ends with the last of them.

Models of other families than `agents/gpt.py` knows are sampled through their bridge, which reads the whole text again
for every token: right, and slow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agents import gpt
from agents.packed import PackedWeights
from agents.tokenizer import pad_id
from agents.transformer import TextModel
from envs.errors import UsageError

ValueHead = Callable[[Tensor], Tensor]
_ROOM = 32
"""For how many more tokens a cache is made at a time on the CPU, where the empty part costs time as well."""
_SHRINK = 0.6
"""The batch is made smaller when no more than this share of its rows goes on."""


@dataclass
class Sample:
    """Completions of B prompts, up to T tokens each.

    Attributes:
        tokens: [B, T] int64; padding after EOS.
        log_probs: [B, T] float32, of each token under the distribution that it was drawn from: the model's at the
            sampling temperature, within top-k and top-p (greedy: the model's own). 0 outside the mask.
        values: [B, T] float32 of the state before each token, or None. 0 outside the mask.
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
    """Samples from a model's weights as they were at the last `refresh`.

    Args:
        dtype: of the arithmetic; log-probabilities and values are float32 in any case.
    """

    def __init__(self, model: TextModel, dtype: torch.dtype = torch.float32) -> None:
        self.model = model
        self.dtype = dtype
        self.refresh()

    def refresh(self) -> None:
        """Read the weights again, after an update."""
        weights = self.model.weights()
        self._packed = None if weights is None else PackedWeights(weights, self.dtype)

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
        stop_at_eos: bool = True,
    ) -> Sample:
        """One completion of at most `max_new_tokens` tokens for each prompt.

        Args:
            prompts: token rows, none empty; equal ones are read once.
            temperature: logits are divided by it.
            top_k, top_p: draw from the k best tokens, and from the fewest that have probability p; 0 and 1: from all.
            generator: what the draws come from; equal ones give equal completions. Row i's draws do not depend on the
                other rows.
            value_head: [b, d] float32 outputs of the final layer norm → [b] values.
            greedy: take the likeliest token.
            stop_at_eos: False draws `max_new_tokens` tokens in any case (for measurements).

        Raises UsageError for settings out of range and for texts that do not fit into the context.
        """
        _check(prompts, max_new_tokens, temperature, top_k, top_p, self.model.n_ctx)
        pad = pad_id(self.model.tokenizer)
        device = self.model.device
        eos = self.model.tokenizer.eos_token_id if stop_at_eos else None
        prompt_tokens, prompt_mask = left_pad(prompts, pad, device)
        rows = len(prompts)
        tokens = torch.full((rows, max_new_tokens), pad, dtype=torch.int64, device=device)
        log_probs = torch.zeros(rows, max_new_tokens, device=device)
        values = torch.zeros(rows, max_new_tokens, device=device) if value_head is not None else None
        mask = torch.zeros(rows, max_new_tokens, dtype=torch.bool, device=device)
        reader = _reader(self.model, self._packed, prompts, prompt_tokens, prompt_mask, max_new_tokens)
        # `alive` are the rows that the batch still has, `going` says which of these have not ended.
        alive = torch.arange(rows, device=device)
        going = torch.ones(rows, dtype=torch.bool, device=device)
        used = max_new_tokens
        for step in range(max_new_tokens):
            state = reader.state
            drawn = None if greedy else torch.rand(rows, generator=generator, device=device)[alive]
            token, log_prob = draw(reader.logits(), temperature, top_k, top_p, drawn)
            # Slices are written much faster than indexed rows, and until rows end both are the same.
            at = slice(None) if len(alive) == rows else alive
            tokens[at, step] = torch.where(going, token, pad)
            log_probs[at, step] = log_prob * going
            mask[at, step] = going
            if values is not None and value_head is not None:
                values[at, step] = value_head(state.float()).float() * going
            if eos is not None:
                going = going & (token != eos)
                left = int(going.sum())
                if left == 0:
                    used = step + 1
                    break
                if left <= _SHRINK * len(alive):
                    kept = going.nonzero().squeeze(1)
                    alive, going, token = alive[kept], going[kept], token[kept]
                    reader.keep(kept)
            if step + 1 < max_new_tokens:
                reader.read(token)
        return Sample(
            tokens=tokens[:, :used],
            log_probs=log_probs[:, :used],
            values=None if values is None else values[:, :used],
            mask=mask[:, :used],
            prompt_tokens=prompt_tokens,
            prompt_mask=prompt_mask,
        )


class _CachedReader:
    """The state [b, d] after what has been read so far, kept up by one pass per token."""

    def __init__(
        self,
        packed: PackedWeights,
        prompts: Sequence[Sequence[int]],
        prompt_tokens: Tensor,
        prompt_mask: Tensor,
        max_new_tokens: int,
    ) -> None:
        self.packed = packed
        first: dict[tuple[int, ...], int] = {}
        group = [first.setdefault(tuple(prompt), len(first)) for prompt in prompts]
        unique = [group.index(number) for number in range(len(first))]
        length = prompt_tokens.shape[1]
        real = prompt_mask[unique]
        self.padded = not bool(real.all())
        self.room = max_new_tokens if real.device.type != "cpu" else min(max_new_tokens, _ROOM)
        self.cache = packed.cache(len(unique), length + self.room)
        places = gpt.position_ids(real)
        mask = gpt.visible(real) if self.padded else None
        self.state = packed.forward(prompt_tokens[unique], places, self.cache, 0, mask)
        self.length = length
        self.place = places[:, -1:] + 1
        # Float masks are what SDPA adds to its scores: made once, and sliced at every step.
        room = torch.zeros(len(unique), 1, 1, max_new_tokens, dtype=packed.embed.dtype, device=real.device)
        hidden = torch.zeros(real.shape, dtype=packed.embed.dtype, device=real.device).masked_fill(~real, -torch.inf)
        self.mask = torch.cat([hidden[:, None, None], room], dim=-1)
        if len(unique) < len(prompts):
            self.keep(torch.tensor(group, device=real.device))

    def logits(self) -> Tensor:
        """[b, V] of the next token."""
        return self.packed.unembed(self.state)

    def read(self, token: Tensor) -> None:
        """Go on by one token [b]."""
        end = self.length + 1
        if end > self.cache[0].room:
            for kept in self.cache:
                kept.grow(self.room)
        mask = self.mask[..., :end] if self.padded else None
        self.state = self.packed.forward(token[:, None], self.place, self.cache, self.length, mask)
        self.length, self.place = end, self.place + 1

    def keep(self, index: Tensor) -> None:
        """Go on with these rows (repeated, where the index is)."""
        for kept in self.cache:
            kept.keep(index)
        self.state, self.place, self.mask = self.state[index], self.place[index], self.mask[index]


class _BridgeReader:
    """The same for any architecture: the bridge reads the whole text for every token."""

    def __init__(self, model: TextModel, prompt_tokens: Tensor, prompt_mask: Tensor) -> None:
        self.model = model
        self.tokens, self.mask = prompt_tokens, prompt_mask.long()
        self.state = model.hidden(self.tokens, self.mask)[:, -1]

    def logits(self) -> Tensor:
        return self.model.unembed(self.state)

    def read(self, token: Tensor) -> None:
        self.tokens = torch.cat([self.tokens, token[:, None]], dim=1)
        self.mask = torch.cat([self.mask, torch.ones_like(token)[:, None]], dim=1)
        self.state = self.model.hidden(self.tokens, self.mask)[:, -1]

    def keep(self, index: Tensor) -> None:
        self.tokens, self.mask, self.state = self.tokens[index], self.mask[index], self.state[index]


def left_pad(rows: Sequence[Sequence[int]], pad: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Token rows as [B, P] with padding on the left, and the mask [B, P] of what is real."""
    longest = max(len(row) for row in rows)
    tokens = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows], dtype=torch.int64)
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(longest)[None] >= longest - lengths[:, None]
    return tokens.to(device), mask.to(device)


def draw(logits: Tensor, temperature: float, top_k: int, top_p: float, uniform: Tensor | None) -> tuple[Tensor, Tensor]:
    """[B] tokens and their log-probabilities, from [B, V] logits by inverting the distribution at `uniform` [B].

    None in place of `uniform` takes the likeliest token, at temperature 1.
    """
    scores = logits.float()
    if uniform is None:
        token = scores.argmax(dim=-1)
        return token, scores.log_softmax(dim=-1).gather(1, token[:, None]).squeeze(1)
    if temperature != 1.0:
        scores = scores / temperature
    probabilities = filtered(scores, top_k, top_p).softmax(dim=-1)
    cumulative = probabilities.cumsum(dim=-1)
    # Scaled by the last sum, a draw below 1 always falls on a token that adds something to it.
    token = torch.searchsorted(cumulative, uniform[:, None] * cumulative[:, -1:], right=True)
    token = token.clamp(max=scores.shape[1] - 1)
    return token.squeeze(1), probabilities.gather(1, token).squeeze(1).log()


def filtered(scores: Tensor, top_k: int, top_p: float) -> Tensor:
    """[B, V] scores, −∞ outside the `top_k` best and outside the fewest tokens that have probability `top_p`."""
    if 0 < top_k < scores.shape[1]:
        best = scores.topk(top_k, dim=-1)
        scores = torch.full_like(scores, -torch.inf).scatter(1, best.indices, best.values)
    if top_p < 1.0:
        ordered, order = scores.sort(dim=-1, descending=True)
        probabilities = ordered.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities
        scores = torch.full_like(scores, -torch.inf).scatter(1, order, ordered.masked_fill(before >= top_p, -torch.inf))
    return scores


def _reader(
    model: TextModel,
    packed: PackedWeights | None,
    prompts: Sequence[Sequence[int]],
    prompt_tokens: Tensor,
    prompt_mask: Tensor,
    max_new_tokens: int,
) -> _CachedReader | _BridgeReader:
    if packed is None:
        return _BridgeReader(model, prompt_tokens, prompt_mask)
    return _CachedReader(packed, prompts, prompt_tokens, prompt_mask, max_new_tokens)


def _check(
    prompts: Sequence[Sequence[int]], max_new_tokens: int, temperature: float, top_k: int, top_p: float, n_ctx: int
) -> None:
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise UsageError("there must be at least one prompt, and none may be empty")
    if max_new_tokens < 1:
        raise UsageError(f"max_new_tokens={max_new_tokens} must be at least 1")
    if not temperature > 0:
        raise UsageError(f"temperature={temperature} must be more than 0; for the likeliest tokens sample greedily")
    if top_k < 0 or not 0 < top_p <= 1:
        raise UsageError(f"top_k={top_k} must be at least 0 and top_p={top_p} in (0, 1]")
    longest = max(len(prompt) for prompt in prompts)
    if longest + max_new_tokens > n_ctx:
        raise UsageError(
            f"a prompt of {longest} tokens and {max_new_tokens} new ones do not fit into the model's {n_ctx}"
        )
