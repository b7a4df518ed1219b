"""Log-probabilities of completions under a language model, with gradient, and its weights as named tensors.

B sequences, P prompt tokens, T completion tokens, d model width, V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents import gpt
from agents.losses import log_prob
from agents.products import has_bfloat16
from agents.sequences import Sequences
from agents.transformer import TextModel
from envs.errors import ArenaError, UsageError

_BLOCK = re.compile(r"(?:^|\.)(?:blocks|h|layers)\.(\d+)\.")
_FINAL_NORM = re.compile(r"\.(?:ln_f|final_layer_norm)\.")


class Scorer:
    """A model as training sees it: hidden states and log-probabilities at the completion's positions only.

    Args:
        frozen_layers: the lowest layers that training leaves alone, with the embeddings (so with the unembedding too,
            where it is the same matrix). What they compute is shared with a reference whose weights are equal there.
        bfloat16: multiply matrices in bfloat16, gradients included, where the device has it; all else is in float32.

    Raises UsageError where the model has fewer layers, or its pass cannot be cut in two.
    """

    def __init__(self, model: TextModel, frozen_layers: int = 0, bfloat16: bool = False) -> None:
        self.model, self.frozen_layers = model, frozen_layers
        self.bfloat16 = bfloat16 and has_bfloat16(model.device.type)
        layers = int(model.bridge.cfg.n_layers)
        if frozen_layers >= layers:
            raise UsageError(f"frozen_layers={frozen_layers} must be less than the model's {layers} layers")
        if frozen_layers and model.weights() is None:
            raise UsageError("frozen_layers is for models of the GPT-2 and GPT-NeoX families")

    def trained_parameters(self) -> list[nn.Parameter]:
        """What training changes, always in the same order."""
        if not self.frozen_layers:
            return list(self.model.parameters())
        found = []
        for name, parameter in self.model.named_parameters():
            block = _BLOCK.search(name)
            if (block and int(block[1]) >= self.frozen_layers) or (block is None and _FINAL_NORM.search(name)):
                found.append(parameter)
        return found

    @torch.no_grad()
    def trunk(self, sequences: Sequences) -> Tensor | None:
        """[B, P + T − 1, d]: what the frozen layers make of everything but the last column; None: nothing is frozen."""
        if not self.frozen_layers:
            return None
        weights = self.model.weights()
        assert weights is not None
        tokens, mask = sequences.all_tokens[:, :-1], sequences.attention_mask[:, :-1]
        with self._precision():
            return gpt.residual(weights, tokens, mask, stop=self.frozen_layers)

    def hidden(self, sequences: Sequences, trunk: Tensor | None = None) -> Tensor:
        """[M, d]: the final layer norm's output where each of the M completion tokens is predicted, in rows' order.

        `trunk` is what `trunk(sequences)` gave, of this model or of one with the same frozen layers.
        """
        tokens, mask = sequences.all_tokens[:, :-1], sequences.attention_mask[:, :-1]
        first = sequences.prompt.shape[1] - 1
        weights = self.model.weights()
        with self._precision():
            if weights is None:
                return self.model.hidden(tokens, mask)[:, first:][sequences.mask].float()
            if self.frozen_layers and trunk is None:
                trunk = self.trunk(sequences)
            wanted = F.pad(sequences.mask, (first, 0))
            residual = gpt.residual(weights, tokens, mask, start=self.frozen_layers, given=trunk, wanted=wanted)
            return gpt.final_norm(weights, residual)

    def logits(self, hidden: Tensor, temperature: float) -> Tensor:
        """[…, V]: of the next token at this temperature, of hidden states […, d]."""
        with self._precision():
            logits = self.model.unembed(hidden).float()
        return logits if temperature == 1.0 else logits / temperature

    def log_softmax(self, hidden: Tensor, temperature: float) -> Tensor:
        """[…, V]: log-probabilities of the next token at this temperature, of hidden states […, d]."""
        return torch.log_softmax(self.logits(hidden, temperature), -1)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.bfloat16)

    def log_probs(self, sequences: Sequences, temperature: float, trunk: Tensor | None = None) -> Tensor:
        """[B, T]: log-probability of each completion token at this temperature; 0 outside the mask."""
        mask = sequences.mask
        taken = log_prob(self.log_softmax(self.hidden(sequences, trunk), temperature), sequences.tokens[mask])
        return torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, taken)


def shared_columns(trunk: Tensor, sequences: Sequences, index: Tensor, batch: Sequences) -> Tensor:
    """The part of `trunk`, which belongs to `sequences`, for `batch = sequences.select(index)`."""
    first = sequences.prompt.shape[1] - batch.prompt.shape[1]
    return trunk[index, first : first + batch.prompt.shape[1] + batch.tokens.shape[1] - 1]


@torch.no_grad()
def sharpen(model: TextModel, temperature: float) -> TextModel:
    """Make the model give at temperature 1 what it gave at this one, in place, by the scale of its final norm.

    Raises UsageError where the place of that scale is not known.
    """
    if temperature == 1.0:
        return model
    weights = model.weights()
    if weights is None:
        raise UsageError("reference_temperature is for models of the GPT-2 and GPT-NeoX families")
    for parameter in (*weights.norm, weights.unembed[1]):
        if parameter is not None:
            parameter.div_(temperature)
    return model


def model_state(model: TextModel) -> dict[str, Tensor]:
    """The live weights by name, each once."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


@torch.no_grad()
def load_model_state(model: TextModel, state: Mapping[str, Tensor]) -> None:
    """Put `model_state` back in place. Raises ArenaError where it does not fit."""
    parameters = dict(model.named_parameters())
    if parameters.keys() != state.keys() or any(parameters[name].shape != state[name].shape for name in state):
        raise ArenaError("the stored training state does not fit the model it is about")
    for name, parameter in parameters.items():
        parameter.copy_(state[name])
