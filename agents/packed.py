"""Weights laid out for inference: matrices that multiply fast and carry no gradient.

On x86 CPUs oneDNN multiplies a few rows with a reordered matrix about twice as fast as with one stored row by row, and
applies GELU on the way out. Elsewhere these are plain products.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from agents import gpt


class Matrix:
    """x ↦ x Wᵀ + b for a copy of W [out, in] and b [out]."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self.weight = weight.detach().to(dtype, copy=True).contiguous()
        self.bias = None if bias is None else bias.detach().to(dtype, copy=True)
        self.packed = self.weight.device.type == "cpu" and can_pack(dtype)
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight, None)

    def __call__(self, x: Tensor) -> Tensor:
        if self.packed:
            product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
            return product
        return F.linear(x, self.weight, self.bias)

    def gelu(self, x: Tensor, approximate: str) -> Tensor:
        """GELU of the product."""
        if self.packed:
            product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "gelu", [], approximate)
            return product
        return F.gelu(F.linear(x, self.weight, self.bias), approximate=approximate)


@functools.cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch multiplies reordered matrices of this type rightly on this CPU."""
    weight = torch.linspace(-1, 1, 48 * 32).view(48, 32).to(dtype)
    x, bias = torch.linspace(-1, 1, 3 * 32).view(3, 32).to(dtype), torch.linspace(-1, 1, 48).to(dtype)
    try:
        ordered = torch.ops.mkldnn._reorder_linear_weight(weight, None)
        product = torch.ops.mkldnn._linear_pointwise(x, ordered, bias, "gelu", [], "tanh")
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    expected = F.gelu(F.linear(x.float(), weight.float(), bias.float()), approximate="tanh")
    return bool(torch.allclose(product.float(), expected, atol=1e-5 if dtype == torch.float32 else 0.1))


class PackedLayer:
    """One block of `gpt.Layer`, packed."""

    def __init__(self, layer: gpt.Layer, dtype: torch.dtype) -> None:
        self.norm1, self.norm2 = _norm(layer.norm1, dtype), _norm(layer.norm2, dtype)
        self.qkv = Matrix(*layer.qkv(), dtype)
        self.out = Matrix(*layer.out, dtype)
        self.up = Matrix(*layer.up, dtype)
        self.down = Matrix(*layer.down, dtype)


class PackedWeights:
    """A copy of `gpt.Weights` for inference in `dtype`: one `forward` for prompts and for single tokens."""

    @torch.no_grad()
    def __init__(self, weights: gpt.Weights, dtype: torch.dtype) -> None:
        self.source = weights
        self.embed = weights.embed.detach().to(dtype, copy=True)
        self.positions = None if weights.positions is None else weights.positions.detach().to(dtype, copy=True)
        self.layers = [PackedLayer(layer, dtype) for layer in weights.layers]
        self.norm = _norm(weights.norm, dtype)
        self.unembed = Matrix(*weights.unembed, dtype)

    def cache(self, rows: int, length: int) -> list[Tensor]:
        """Per layer keys and values [2, B, H, S, D] for S tokens, as yet zero."""
        width = self.embed.shape[1]
        heads = self.source.heads
        shape = (2, rows, heads, length, width // heads)
        return [torch.zeros(shape, dtype=self.embed.dtype, device=self.embed.device) for _ in self.layers]

    def forward(self, tokens: Tensor, places: Tensor, cache: list[Tensor], start: int, mask: Tensor | None) -> Tensor:
        """The final layer norm's output [B, d] for the last of tokens [B, T], whose keys and values join the cache.

        Args:
            places: [B, T] positions within each row's text.
            start: how many tokens the cache already holds.
            mask: added to the scores, or bool, [B, 1, T, start + T]; None: each token sees everything before it.
        """
        weights = self.source
        rows, length = tokens.shape
        end = start + length
        x = F.embedding(tokens, self.embed).view(rows * length, -1)
        if self.positions is not None:
            x = x + F.embedding(places, self.positions).view(rows * length, -1)
        turn = gpt.rotation(weights, places) if weights.rotary else None
        if turn is not None:
            turn = turn[0].to(x.dtype), turn[1].to(x.dtype)
        for layer, kept in zip(self.layers, cache, strict=True):
            qkv = layer.qkv(_normed(x, layer.norm1, weights.eps)).view(rows, length, 3, weights.heads, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            if turn is not None:
                q, k = gpt.rotate(q, turn), gpt.rotate(k, turn)
            kept[0, :, :, start:end] = k
            kept[1, :, :, start:end] = v
            attended = layer.out(_attend(q, kept, end, mask).reshape(rows * length, -1))
            if not weights.parallel:
                x = x + attended
            x_mlp = layer.down(layer.up.gelu(_normed(x, layer.norm2, weights.eps), weights.gelu))
            x = x + x_mlp if not weights.parallel else x + x_mlp + attended
        return _normed(x.view(rows, length, -1)[:, -1], self.norm, weights.eps)


def _attend(q: Tensor, kept: Tensor, end: int, mask: Tensor | None) -> Tensor:
    """[B, T, H, D]: queries [B, H, T, D] over the first `end` keys and values of a cache [2, B, H, S, D].

    A single token on the CPU takes two plain products in place of SDPA, which is slow there for one query. Products of
    half-precision batches copy what is not contiguous, so these run over the whole cache with its empty part masked.
    """
    rows, heads, length, width = q.shape
    if length > 1 or q.device.type != "cpu":
        mixed = F.scaled_dot_product_attention(
            q, kept[0, :, :, :end], kept[1, :, :, :end], attn_mask=mask, is_causal=mask is None and length > 1
        )
        return mixed.transpose(1, 2)
    keys, values = kept.flatten(1, 2)
    if q.dtype == torch.float32:
        keys, values = keys[:, :end], values[:, :end]
        added = None if mask is None else _by_head(mask, heads)
    else:
        empty = q.new_zeros(1, 1, 1, keys.shape[1])
        empty[..., end:] = -torch.inf
        if mask is not None:
            empty = empty.repeat(rows, 1, 1, 1)
            empty[..., :end] = mask
        added = _by_head(empty.expand(rows, -1, -1, -1), heads)
    scores = torch.baddbmm(
        q.new_empty(()).expand(rows * heads, 1, keys.shape[1]) if added is None else added,
        q.reshape(rows * heads, 1, width),
        keys.transpose(1, 2),
        beta=0 if added is None else 1,
        alpha=width**-0.5,
    )
    return torch.bmm(scores.softmax(-1), values).view(rows, 1, heads, width)


def _by_head(mask: Tensor, heads: int) -> Tensor:
    """[B·H, 1, S] from [B, 1, 1, S]."""
    return mask.expand(-1, heads, -1, -1).flatten(0, 1)


def _norm(norm: tuple[Tensor, Tensor], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return norm[0].detach().to(dtype, copy=True), norm[1].detach().to(dtype, copy=True)


def _normed(x: Tensor, norm: tuple[Tensor, Tensor], eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], *norm, eps)
