"""A prompt under the lens, as facts to show and to send. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.lens_layer import LensLayer

LEVELS = " ·:+#"
"""Marks of a log-ratio's size: below 0.25 nats nothing, then a mark more for each doubling."""
NO_PARTS = "no reward model here whose rewards can be taken apart (those of the GPT-2 and GPT-NeoX families can)"


@dataclass(frozen=True)
class LayerTable:
    """A model's logit lens: `layers` from the embedding (0) to the last layer's output."""

    model: str
    layers: list[LensLayer]


@dataclass(frozen=True)
class RewardParts:
    """The reward of the answer, split: the heads that move it most, what each token brings through all heads, the rest.

    Attributes:
        heads: (layer, head, its part), largest first.
        tokens: (token, its part), in order, prompt first.
        mlps: per layer. embedding, rest: the other parts; with the heads they all add up to `reward`.
    """

    model: str
    reward: float
    heads: list[tuple[int, int, float]]
    tokens: list[tuple[str, float]]
    mlps: list[float]
    embedding: float
    rest: float


@dataclass(frozen=True)
class Look:
    """The answer of `model` to a prompt, with log π − log π_ref of each of its tokens, in nats."""

    prompt: str
    model: str
    reference: str
    answer: str
    tokens: list[tuple[str, float]]
    tables: list[LayerTable]
    reward: RewardParts | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Look:
        """What `dataclasses.asdict` made, read back. Raises KeyError, TypeError or ValueError for anything else."""
        tables = [
            LayerTable(
                str(table["model"]),
                [
                    LensLayer(tuple(map(str, one["likeliest"])), tuple(map(float, one["probability"])))
                    for one in table["layers"]
                ],
            )
            for table in data["tables"]
        ]
        parts = data["reward"]
        reward = parts and RewardParts(
            str(parts["model"]),
            float(parts["reward"]),
            [(int(layer), int(head), float(part)) for layer, head, part in parts["heads"]],
            _valued(parts["tokens"]),
            [float(part) for part in parts["mlps"]],
            float(parts["embedding"]),
            float(parts["rest"]),
        )
        prompt, model, reference, answer = (str(data[key]) for key in ("prompt", "model", "reference", "answer"))
        return cls(prompt, model, reference, answer, _valued(data["tokens"]), tables, reward or None)


def mark(value: float) -> str:
    """A log-ratio's size as a mark."""
    size = abs(value)
    return LEVELS[0 if not size >= 0.25 else min(1 + int(math.log2(size / 0.25)), len(LEVELS) - 1)].strip()


def _valued(rows: Any) -> list[tuple[str, float]]:
    return [(str(token), float(value)) for token, value in rows]
