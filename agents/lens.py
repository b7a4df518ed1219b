"""What changed inside: log-ratios by token, the logit lens by layer, direct attribution of a reward by head and token.

The logit lens reads the residual stream after each layer through the final norm and the unembedding (nostalgebraist
2020). The attribution follows the residual stream's sum: with the final norm's scale held as it is at each token, a
reward is linear in what each head moves from each token to where the reward is read, in each MLP, and in the embedding
(Elhage et al. 2021, "A mathematical framework for transformer circuits"). Activations come from the TransformerLens
bridge's hooks.

T tokens, of which R are read (all of the completion's, or the last one), L layers, H heads, D dimensions per head, d
model width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents import gpt
from agents.lens_layer import LensLayer
from agents.reward_model import RewardModel
from agents.scoring import Scorer
from agents.sequences import make_sequences
from agents.tokenizer import pad_id
from agents.transformer import TextModel
from envs.errors import UsageError


@dataclass(frozen=True)
class Attribution:
    """Where a reward comes from; all parts add up to `reward`.

    Attributes:
        tokens: [T], of prompt and completion, as text.
        heads: [L, H, T], moved by each head from each token to those that are read.
        mlps: [L]. embedding: of the tokens that are read. rest: biases, and the reward's own zero.
    """

    tokens: tuple[str, ...]
    heads: Tensor
    mlps: Tensor
    embedding: float
    rest: float
    reward: float


def token_texts(model: TextModel, tokens: list[int]) -> tuple[str, ...]:
    """Each token as text."""
    return tuple(str(model.tokenizer.decode([token])) for token in tokens)


@torch.no_grad()
def log_ratios(policy: TextModel, reference: TextModel, prompt: list[int], completion: list[int]) -> list[float]:
    """log π − log π_ref of each completion token, in nats."""
    sequences = make_sequences([prompt], [completion], pad_id(policy.tokenizer), policy.device)
    mine, others = (Scorer(model).log_probs(sequences, 1.0)[0] for model in (policy, reference))
    found: list[float] = (mine - others).tolist()
    return found


@torch.no_grad()
def logit_lens(model: TextModel, prompt: list[int], completion: list[int]) -> list[LensLayer]:
    """One entry per layer: from the embedding (0) to the last layer's output (L), which is the model's own answer."""
    tokens = torch.tensor([prompt + completion], device=model.device)
    _, cache = model.bridge.run_with_cache(tokens)
    layers = int(model.bridge.cfg.n_layers)
    names = ["blocks.0.hook_resid_pre", *(f"blocks.{layer}.hook_resid_post" for layer in range(layers))]
    weights = model.weights()
    places = slice(len(prompt) - 1, len(prompt) + len(completion) - 1)
    actual = torch.tensor(completion, device=model.device)
    found = []
    for name in names:
        stream = cache[name][0, places]
        normed = gpt.final_norm(weights, stream) if weights is not None else model.bridge.ln_final(stream)
        probability = torch.softmax(model.unembed(normed).float(), -1)
        taken = probability.gather(1, actual.unsqueeze(1)).squeeze(1)
        found.append(LensLayer(token_texts(model, probability.argmax(-1).tolist()), tuple(taken.tolist())))
    return found


@torch.no_grad()
def attribute_reward(rewarder: RewardModel, prompt: list[int], completion: list[int]) -> Attribution:
    """The reward of a completion, split by head and token. Raises UsageError for an unknown architecture."""
    model = rewarder.model
    weights = model.weights()
    if weights is None:
        raise UsageError("rewards are attributed in models of the GPT-2 and GPT-NeoX families")
    tokens = prompt + completion
    _, cache = model.bridge.run_with_cache(torch.tensor([tokens], device=model.device))
    layers = len(weights.layers)
    first = len(prompt) if rewarder.readout != "last" and completion else len(tokens) - 1
    stream = cache[f"blocks.{layers - 1}.hook_resid_post"][0, first:]  # [R, d]
    gain, bias = weights.norm
    head = rewarder.direction(len(completion))
    deviation = (stream.var(1, correction=0, keepdim=True) + weights.eps).sqrt()
    direction = (head * gain - (head * gain).mean()) / deviation / rewarder.scale / len(stream)  # [R, d]
    heads = torch.zeros(layers, weights.heads, len(tokens))
    mlps = torch.zeros(layers)
    for layer in range(layers):
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"][0, :, first:]  # [H, R, T]
        value = cache[f"blocks.{layer}.attn.hook_v"][0].reshape(len(tokens), weights.heads, -1)  # [T, H, D]
        out = weights.layers[layer].out[0]  # [d, H D]
        by_head = (direction @ out).view(len(stream), weights.heads, -1)  # [R, H, D]
        heads[layer] = torch.einsum("hrt,thd,rhd->ht", pattern, value, by_head)
        mlps[layer] = (cache[f"blocks.{layer}.hook_mlp_out"][0, first:] * direction).sum()
    embedding = float((cache["blocks.0.hook_resid_pre"][0, first:] * direction).sum())
    biases = [layer.out[1] for layer in weights.layers if layer.out[1] is not None]
    out_bias = sum(float((direction @ own).sum()) for own in biases)
    constant = (float(head @ bias) + float(rewarder.heads.bias.mean()) - rewarder.shift) / rewarder.scale
    rest = out_bias + constant
    reward = float(heads.sum() + mlps.sum()) + embedding + rest
    return Attribution(token_texts(model, tokens), heads, mlps, embedding, rest, reward)
