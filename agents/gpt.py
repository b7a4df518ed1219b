"""The plain forward pass of GPT-2 and GPT-NeoX (Pythia) over a bridge's own parameters.

The same numbers as the bridge without its hooks (a test holds them together): fused query-key-value products, scaled
dot product attention. Training and the decoder run this; whoever wants hooks runs the bridge.

Shapes: B rows, T tokens, d model width, H heads, D = d / H, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.attention import attend, gelu
from agents.sequences import Packing

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

ARCHITECTURES = ("GPT2LMHeadModel", "GPTNeoXForCausalLM")


@dataclass
class Layer:
    """One block. Matrices are [out, in], as `F.linear` takes them."""

    norm1: tuple[Tensor, Tensor]
    qkv_parts: tuple[tuple[Tensor, Tensor | None], ...]
    out: tuple[Tensor, Tensor | None]
    norm2: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor | None]
    down: tuple[Tensor, Tensor | None]

    def qkv(self) -> tuple[Tensor, Tensor | None]:
        """Queries, keys and values in one [3d, d] matrix and [3d] bias; gradients reach the three parts."""
        weights = torch.cat([weight for weight, _ in self.qkv_parts])
        biases = [bias for _, bias in self.qkv_parts if bias is not None]
        return weights, torch.cat(biases) if biases else None


@dataclass
class Weights:
    """A model's parameters by role, and how to use them.

    Attributes:
        embed: [V, d].  positions: [n_ctx, d], or None with rotary positions.
        unembed: [V, d] (often `embed` itself).
        rotary: how many of a head's D dimensions are rotated, 0 for none; rotary_base: its θ.
        parallel: attention and MLP read the same residual stream (GPT-NeoX).
        gelu: "tanh" (GPT-2's) or "none".
    """

    embed: Tensor
    positions: Tensor | None
    layers: list[Layer]
    norm: tuple[Tensor, Tensor]
    unembed: tuple[Tensor, Tensor | None]
    heads: int
    n_ctx: int
    eps: float
    gelu: str
    rotary: int = 0
    rotary_base: float = 10_000.0
    parallel: bool = False


def weights_of(bridge: TransformerBridge) -> Weights | None:
    """The bridge's live parameters by role; None for an architecture that this file does not know."""
    config: Any = bridge.original_model.config
    if bridge.cfg.architecture not in ARCHITECTURES:
        return None
    neox = bridge.cfg.architecture == "GPTNeoXForCausalLM"
    activation = config.hidden_act if neox else config.activation_function
    gelu = {"gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu_fast": "tanh", "gelu": "none"}.get(activation)
    unusual = not neox and (
        not config.scale_attn_weights or config.scale_attn_by_inverse_layer_idx or config.add_cross_attention
    )
    if gelu is None or unusual:
        return None
    rotary: dict[str, Any] = {}
    if neox:
        parameters = config.rope_parameters
        if parameters.get("rope_type", "default") != "default":
            return None
        share = parameters.get("partial_rotary_factor", 1.0)
        rotary = {
            "rotary": int(share * config.hidden_size // config.num_attention_heads),
            "rotary_base": float(parameters["rope_theta"]),
            "parallel": bool(config.use_parallel_residual),
        }
    return Weights(
        embed=_own(bridge.embed).weight,
        positions=None if neox else _own(bridge.pos_embed).weight,
        layers=[_layer(block, conv=not neox) for block in bridge.blocks],
        norm=_norm(bridge.ln_final),
        unembed=_linear(bridge.unembed),
        heads=config.num_attention_heads,
        n_ctx=config.max_position_embeddings,
        eps=config.layer_norm_eps if neox else config.layer_norm_epsilon,
        gelu=gelu,
        **rotary,
    )


def _own(component: Any) -> Any:
    """The torch module that a bridge component wraps."""
    while hasattr(component, "_modules") and "_original_component" in component._modules:
        component = component._modules["_original_component"]
    return component


def _linear(component: Any, conv: bool = False) -> tuple[Tensor, Tensor | None]:
    """[out, in] weight and bias; `conv`: stored as [in, out], as GPT-2 has it."""
    module = _own(component)
    bias = module.bias if isinstance(module.bias, nn.Parameter) else None  # bridges fill in zeros where there is none
    return module.weight.T if conv else module.weight, bias


def _norm(component: Any) -> tuple[Tensor, Tensor]:
    module = _own(component)
    return module.weight, module.bias


def _layer(block: Any, conv: bool) -> Layer:
    return Layer(
        norm1=_norm(block.ln1),
        qkv_parts=(_linear(block.attn.q), _linear(block.attn.k), _linear(block.attn.v)),
        out=_linear(block.attn.o, conv),
        norm2=_norm(block.ln2),
        up=_linear(getattr(block.mlp, "in"), conv),
        down=_linear(block.mlp.out, conv),
    )


def position_ids(attention_mask: Tensor) -> Tensor:
    """[B, T]: each token's place among its row's real tokens; padding before the first one has place 0."""
    return (attention_mask.long().cumsum(1) - 1).clamp(min=0)


def visible(attention_mask: Tensor) -> Tensor:
    """[B, 1, T, T] bool: what each token sees of itself and those before it, by an attention mask [B, T].

    A padding token sees itself, so that no softmax is over nothing.
    """
    length = attention_mask.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=attention_mask.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=attention_mask.device)
    return ((causal & attention_mask.bool()[:, None, :]) | itself)[:, None]


def hidden(weights: Weights, tokens: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """[B, T, d]: the output of the final layer norm, arbitrary at padding.

    `attention_mask` [B, T] is 0 (or False) on padding, on either side; None means no padding on the left (padding on
    the right needs no mask: nothing real looks at it).
    """
    return final_norm(weights, residual(weights, tokens, attention_mask))


def residual(
    weights: Weights,
    tokens: Tensor,
    attention_mask: Tensor | None = None,
    *,
    start: int = 0,
    stop: int | None = None,
    given: Tensor | None = None,
    wanted: Tensor | None = None,
) -> Tensor:
    """[B, T, d]: the residual stream after the layers from `start` up to but without `stop` (None: the last).

    All but attention is computed for real tokens alone, M of them; what stands at padding is 0. `given` is the stream
    before layer `start`; None: the embedded tokens, for layer 0. `wanted` [B, T] bool: the result is [W, d], only
    there, and of the last of these layers all else is left out but its keys and values.
    """
    assert tokens.ndim == 2
    assert (given is None) == (start == 0)
    rows, length = tokens.shape
    real = torch.ones_like(tokens, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    if wanted is not None:
        real = real | wanted
    places, mask = position_ids(real), None if attention_mask is None else visible(real)
    packing = Packing(real.flatten())
    if given is None:
        x = embedded(weights, *(ids.flatten()[packing.picked] for ids in (tokens, places)))
    else:
        x = packing.pick(given.flatten(0, 1))
    turn = rotation(weights, places) if weights.rotary else None
    layers = weights.layers[start:stop]
    for number, layer in enumerate(layers, 1):
        y = _normed(x, layer.norm1, weights.eps)
        qkv = packing.spread(F.linear(y, *layer.qkv()))
        q, k, v = qkv.view(rows, length, 3, weights.heads, -1).permute(2, 0, 3, 1, 4)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        if wanted is not None and number == len(layers):
            x = Packing(F.pad(wanted[real], (0, len(x) - packing.count))).pick(x)
            packing = Packing(wanted.flatten())
        mixed = packing.pick(attend(q, k, v, mask).transpose(1, 2).flatten(2).flatten(0, 1))
        attended = F.linear(mixed, *layer.out)
        if not weights.parallel:
            x = x + attended
        y = gelu(F.linear(_normed(x, layer.norm2, weights.eps), *layer.up), weights.gelu)
        x = x + F.linear(y, *layer.down)
        if weights.parallel:
            x = x + attended
    return x[: packing.count] if wanted is not None else packing.spread(x).view(rows, length, -1)


def embedded(weights: Weights, tokens: Tensor, places: Tensor) -> Tensor:
    """[..., d]: token embeddings, with learnt positions where the model has them."""
    x = F.embedding(tokens, weights.embed)
    return x if weights.positions is None else x + F.embedding(places, weights.positions)


def final_norm(weights: Weights, residual: Tensor) -> Tensor:
    """The final layer norm of a residual stream, of any leading shape."""
    return _normed(residual, weights.norm, weights.eps)


def logits(weights: Weights, hidden: Tensor) -> Tensor:
    """[…, V] from [..., d]."""
    return F.linear(hidden, *weights.unembed)


def rotation(weights: Weights, places: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin [B, 1, T, R] of rotary positions (Su et al. 2021), R the rotated dimensions of a head."""
    exponents = torch.arange(0, weights.rotary, 2, device=places.device, dtype=torch.float32) / weights.rotary
    angles = places[..., None].float() * weights.rotary_base**-exponents
    angles = torch.cat([angles, angles], dim=-1)[:, None]
    return angles.cos().to(weights.embed.dtype), angles.sin().to(weights.embed.dtype)


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """x [B, H, T, D] with its first R dimensions rotated by `turn`."""
    cos, sin = turn
    size = cos.shape[-1]
    head, rest = x[..., :size], x[..., size:]
    left, right = head.chunk(2, dim=-1)
    return torch.cat([head * cos + torch.cat([-right, left], dim=-1) * sin, rest], dim=-1)


def _normed(x: Tensor, norm: tuple[Tensor, Tensor], eps: float) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], *norm, eps)
