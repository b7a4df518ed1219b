"""A residual network for boards, and heads that fit every size of board: what it learns on 9×9 it can play on 13×13.

Blocks of two 3×3 convolutions with a bypass (He et al. 2016). Between the two, the board's mean and maximum of every
filter are added to each point (global pooling, Wu 2019, "Accelerating self-play learning in Go"), so that far places
know of each other. The heads see points and such means alone: a logit per point by one filter, those of other actions
(a pass) and the value from means and maxima.

Deviations: no normalisation layers; a block begins as its bypass, its second convolution at zero (compare Zhang et al.
2019, "Fixup initialization").
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from envs.specs import GameSpec


def acts_on_points(spec: GameSpec) -> bool:
    """Whether the actions are the points of the observed planes [C, H, W], row by row, and a pass."""
    shape = spec.observation_shape
    return len(shape) == 3 and spec.num_actions == shape[1] * shape[2] + 1


def pool(x: Tensor) -> Tensor:
    """Mean and maximum over the points: [B, C, P] → [B, 2 C]."""
    return torch.cat([x.mean(-1), x.amax(-1)], 1)


def orthogonal(layer: nn.Linear | nn.Conv2d | nn.Conv1d, gain: float, generator: torch.Generator) -> None:
    """Orthogonal weights of this gain, zero bias."""
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(cast(Tensor, layer.bias))


class Block(nn.Module):
    """[B, C, H, W] → [B, C, H, W]."""

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.everywhere = nn.Linear(2 * channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        orthogonal(self.first, math.sqrt(2), generator)
        orthogonal(self.everywhere, 0.5, generator)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(cast(Tensor, self.second.bias))

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.first(x))
        y = relu(y + self.everywhere(pool(y.flatten(2)))[:, :, None, None])
        return relu(x + self.second(y))


def board_layers(planes: int, channels: int, blocks: int, generator: torch.Generator) -> list[nn.Module]:
    """Layers from planes [B, planes, H, W] to features [B, channels · H · W]."""
    first = nn.Conv2d(planes, channels, 3, padding=1)
    orthogonal(first, math.sqrt(2), generator)
    return [first, nn.ReLU(), *(Block(channels, generator) for _ in range(blocks)), nn.Flatten()]


class PointPolicy(nn.Module):
    """Features [B, C · P] of `board_layers` → logits [B, P + 1] of the points and the pass."""

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.channels = channels
        self.points, self.rest = nn.Conv1d(channels, 1, 1), nn.Linear(2 * channels, 1)
        for layer in (self.points, self.rest):
            orthogonal(layer, 0.01, generator)

    def forward(self, features: Tensor) -> Tensor:
        x = features.unflatten(1, (self.channels, -1))
        return torch.cat([self.points(x).squeeze(1), self.rest(pool(x))], 1)


class PooledValue(nn.Module):
    """Features [B, C · P] of `board_layers` → value [B, 1]."""

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.channels = channels
        self.hidden, self.output = nn.Linear(2 * channels, 2 * channels), nn.Linear(2 * channels, 1)
        orthogonal(self.hidden, math.sqrt(2), generator)
        orthogonal(self.output, 0.1, generator)

    def forward(self, features: Tensor) -> Tensor:
        return self.output(relu(self.hidden(pool(features.unflatten(1, (self.channels, -1))))))
