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
    """One block of `gpt.Layer`, packed; its queries come out divided by √D, as scores need them."""

    def __init__(self, layer: gpt.Layer, heads: int, dtype: torch.dtype) -> None:
        self.norm1, self.norm2 = _norm(layer.norm1, dtype), _norm(layer.norm2, dtype)
        weight, bias = layer.qkv()
        width = len(weight) // 3
        scale = torch.ones(3 * width, device=weight.device)
        scale[:width] = (width // heads) ** -0.5
        self.qkv = Matrix(weight * scale[:, None], None if bias is None else bias * scale, dtype)
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
        self.layers = [PackedLayer(layer, weights.heads, dtype) for layer in weights.layers]
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
            mask: added to the scores, [B, 1, T, start + T]; None: each token sees everything before it.
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
        single = length == 1 and x.device.type == "cpu"
        empty_masked = _single_mask(mask, cache[0], end) if single else None
        for layer, kept in zip(self.layers, cache, strict=True):
            qkv = layer.qkv(_normed(x, layer.norm1, weights.eps)).view(rows, length, 3, weights.heads, -1)
            q, k, v = parts = qkv.permute(2, 0, 3, 1, 4)
            if turn is None:
                kept[:, :, :, start:end] = parts[1:]
            else:
                q = gpt.rotate(q, turn)
                kept[0, :, :, start:end] = gpt.rotate(k, turn)
                kept[1, :, :, start:end] = v
            if empty_masked is not None:
                mixed = _attend_one(q, kept, empty_masked)
            else:
                mixed = F.scaled_dot_product_attention(
                    q, kept[0, :, :, :end], kept[1, :, :, :end], mask, is_causal=mask is None and length > 1, scale=1.0
                ).transpose(1, 2)
            attended = layer.out(mixed.reshape(rows * length, -1))
            if not weights.parallel:
                x = x + attended
            x_mlp = layer.down(layer.up.gelu(_normed(x, layer.norm2, weights.eps), weights.gelu))
            x = x + x_mlp if not weights.parallel else x + x_mlp + attended
        return _normed(x.view(rows, length, -1)[:, -1], self.norm, weights.eps)


def _single_mask(mask: Tensor | None, kept: Tensor, end: int) -> Tensor:
    """[B·H, 1, S]: what to add to a single token's scores, so that it sees nothing of the cache beyond the `end`."""
    _, rows, heads, length, _ = kept.shape
    added = kept.new_zeros(1 if mask is None else rows, 1, 1, length)
    if mask is not None:
        added[..., :end] = mask
    added[..., end:] = -torch.inf
    return added.expand(rows, heads, 1, length).reshape(rows * heads, 1, length)


def _attend_one(q: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
    """[B, 1, H, D]: one query per row and head, [B, H, 1, D], over the whole cache [2, B, H, S, D].

    Two plain products in place of SDPA, which is slow on the CPU for one query. They are fastest over contiguous
    batches, hence the whole cache and a mask [B·H, 1, S] for what is not filled yet.
    """
    rows, heads, _, width = q.shape
    keys, values = kept.flatten(1, 2)
    scores = torch.baddbmm(mask, q.reshape(rows * heads, 1, width), keys.transpose(1, 2))
    return torch.bmm(scores.softmax(-1), values).view(rows, 1, heads, width)


def _norm(norm: tuple[Tensor, Tensor], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return norm[0].detach().to(dtype, copy=True), norm[1].detach().to(dtype, copy=True)


def _normed(x: Tensor, norm: tuple[Tensor, Tensor], eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], *norm, eps)
