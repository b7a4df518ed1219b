"""Weights laid out for inference: matrices that multiply fast and carry no gradient.

On x86 CPUs oneDNN multiplies a few rows with a large reordered matrix about twice as fast as with one stored row by
row, and applies GELU on the way out. Elsewhere, and without AVX-512 for small ones, these are plain products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from agents import gpt
from agents.products import can_pack, has_avx512

LARGE = 2**18
"""Numbers from which a matrix is better reordered on any CPU: it is then too large for the fastest caches."""


class Matrix:
    """x ↦ x Wᵀ + b for a copy of W [out, in] and b [out]."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        self.weight = weight.detach().to(dtype, copy=True).contiguous()
        self.bias = None if bias is None else bias.detach().to(dtype, copy=True)
        pays = has_avx512() or self.weight.numel() >= LARGE
        self.packed = self.weight.device.type == "cpu" and pays and can_pack(dtype)
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


class Cache:
    """One layer's keys and values of up to S tokens.

    Args:
        shape: [B, H, S, D].
        turned: for single queries on the CPU: in float32, as attention is slow there in bfloat16, and the keys stored
            the way that one query multiplies them fastest.

    Attributes:
        keys: [B, H, S, D], turned [B, H, D, S]. values: [B, H, S, D].
    """

    def __init__(
        self, shape: tuple[int, int, int, int], dtype: torch.dtype, device: torch.device, turned: bool
    ) -> None:
        self.turned = turned
        self.values = torch.zeros(shape, dtype=torch.float32 if turned else dtype, device=device)
        self.keys = self.values.mT.contiguous() if self.turned else self.values.clone()

    @property
    def room(self) -> int:
        """S."""
        return self.values.shape[2]

    def write(self, keys: Tensor, values: Tensor, start: int) -> None:
        """Put [B, H, T, D] of T tokens where the cache's own end, at `start`."""
        end = start + values.shape[2]
        if self.turned:
            self.keys[..., start:end] = keys.mT
        else:
            self.keys[:, :, start:end] = keys
        self.values[:, :, start:end] = values

    def read(self, end: int) -> tuple[Tensor, Tensor]:
        """Keys and values [B, H, T, D] of the first `end` tokens."""
        keys = self.keys[..., :end].mT.contiguous() if self.turned else self.keys[:, :, :end]
        return keys, self.values[:, :, :end]

    def grow(self, tokens: int) -> None:
        """Make room for more tokens."""
        self.keys = F.pad(self.keys, (0, tokens) if self.turned else (0, 0, 0, tokens))
        self.values = F.pad(self.values, (0, 0, 0, tokens))

    def keep(self, index: Tensor) -> None:
        """Go on with these rows (repeated, where the index is)."""
        self.keys, self.values = self.keys[index], self.values[index]


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

    def cache(self, rows: int, length: int) -> list[Cache]:
        """Room for S tokens in each layer, as yet zero."""
        heads = self.source.heads
        shape = (rows, heads, length, self.embed.shape[1] // heads)
        device = self.embed.device
        return [Cache(shape, self.embed.dtype, device, turned=device.type == "cpu") for _ in self.layers]

    def forward(self, tokens: Tensor, places: Tensor, cache: list[Cache], start: int, mask: Tensor | None) -> Tensor:
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
        empty_masked = _single_mask(mask, cache[0].values, end) if single else None
        for layer, kept in zip(self.layers, cache, strict=True):
            qkv = layer.qkv(_normed(x, layer.norm1, weights.eps)).view(rows, length, 3, weights.heads, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            if turn is not None:
                q, k = gpt.rotate(q, turn), gpt.rotate(k, turn)
            kept.write(k, v, start)
            if empty_masked is not None:
                mixed = _attend_one(q, kept, empty_masked)
            else:
                k, v = kept.read(end)
                mixed = F.scaled_dot_product_attention(
                    q.to(v.dtype), k, v, mask, is_causal=mask is None and length > 1, scale=1.0
                ).transpose(1, 2)
            attended = layer.out(mixed.reshape(rows * length, -1).to(x.dtype))
            if not weights.parallel:
                x = x + attended
            x_mlp = layer.down(layer.up.gelu(_normed(x, layer.norm2, weights.eps), weights.gelu))
            x = x + x_mlp if not weights.parallel else x + x_mlp + attended
        return _normed(x.view(rows, length, -1)[:, -1], self.norm, weights.eps)


def _single_mask(mask: Tensor | None, values: Tensor, end: int) -> Tensor:
    """[B·H, 1, S]: what to add to a single token's scores, so that it sees nothing of the cache beyond the `end`."""
    rows, heads, length, _ = values.shape
    added = values.new_zeros(1 if mask is None else rows, 1, 1, length)
    if mask is not None:
        added[..., :end] = mask
    added[..., end:] = -torch.inf
    return added.expand(rows, heads, 1, length).reshape(rows * heads, 1, length)


def _attend_one(q: Tensor, kept: Cache, mask: Tensor) -> Tensor:
    """[B, 1, H, D]: one query per row and head, [B, H, 1, D], over the whole cache.

    Two plain products in place of SDPA, which is slow on the CPU for one query. They are fastest over contiguous
    batches, hence the whole cache and a mask [B·H, 1, S] for what is not filled yet.
    """
    rows, heads, _, width = q.shape
    query = q.to(kept.values.dtype).reshape(rows * heads, 1, width)
    scores = torch.baddbmm(mask, query, kept.keys.flatten(0, 1))
    return torch.bmm(scores.softmax(-1), kept.values.flatten(0, 1)).view(rows, 1, heads, width)


def _norm(norm: tuple[Tensor, Tensor], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return norm[0].detach().to(dtype, copy=True), norm[1].detach().to(dtype, copy=True)


def _normed(x: Tensor, norm: tuple[Tensor, Tensor], eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], *norm, eps)
