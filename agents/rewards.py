"""Reward functions for text: plain Python from `module:function`, and the shipped one.

A reward function takes prompts and completions (lists of strings of one length) and returns a number for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from agents.sequences import Sequences
from agents.shaping import load_function
from agents.tokenizer import decode_completion
from agents.transformer import TextModel
from envs.errors import UsageError

TextReward = Callable[[list[str], list[str]], Sequence[float]]


def full_stops(prompts: list[str], completions: list[str]) -> list[float]:
    """How many full stops each completion has."""
    return [float(completion.count(".")) for completion in completions]


def load_text_reward(name: str) -> TextReward:
    """The function that `module:function` names, its results checked. This runs the module's code.

    Raises UsageError where there is no such function, and when it returns anything but one finite number each.
    """
    function = load_function(name)

    def checked(prompts: list[str], completions: list[str]) -> list[float]:
        try:
            found = function(prompts, completions)
        except Exception as error:
            raise UsageError(f"reward={name} failed: {type(error).__name__}: {error}") from error
        try:
            rewards = [float(reward) for reward in found]
        except (TypeError, ValueError):
            rewards = []
        if len(rewards) != len(completions) or not all(map(math.isfinite, rewards)):
            raise UsageError(f"reward={name} must return {len(completions)} finite numbers, one per completion")
        return rewards

    return checked


def token_reward(reward: TextReward, model: TextModel) -> Callable[[Sequences], Tensor]:
    """A reward function of strings as one of token sequences of `model`'s tokenizer."""

    def of(sequences: Sequences) -> Tensor:
        completions = texts(sequences, model)
        found = reward(prompt_texts(sequences, model), completions)
        return torch.tensor(list(found), dtype=torch.float32, device=sequences.tokens.device)

    return of


def texts(sequences: Sequences, model: TextModel) -> list[str]:
    """The completions as strings."""
    rows = zip(sequences.tokens.tolist(), sequences.mask.tolist(), strict=True)
    return [
        decode_completion(model.tokenizer, [token for token, real in zip(row, mask, strict=True) if real])
        for row, mask in rows
    ]


def prompt_texts(sequences: Sequences, model: TextModel) -> list[str]:
    """The prompts as strings."""
    rows = zip(sequences.prompt.tolist(), sequences.prompt_mask.tolist(), strict=True)
    tokens = [[token for token, real in zip(row, mask, strict=True) if real] for row, mask in rows]
    return [str(model.tokenizer.decode(row, skip_special_tokens=True)) for row in tokens]
