"""A scripted player of Atari's Pong that keeps its paddle level with the ball, by what it sees: a yardstick.

It reads the last two pictures of the stack, 84×84 in grey, in which its own paddle is on the right, as in `ALE/Pong-v5`
and, for both players, in `pettingzoo/atari/pong_v3`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agents.policy import Decision
from envs.specs import GameSpec

TOP, BOTTOM = 14, 77
"""The rows of the field, walls left out."""
BETWEEN, OWN = slice(11, 73), slice(73, 76)
"""The columns between the paddles, and those of one's own paddle."""
GREY = 87
"""The field's own grey; paddles and ball are brighter."""
FAINT = 10
"""How much brighter a pixel that a thing covers in part still counts."""
HALF = 3.5
"""Half a paddle's height in rows."""
NEAR = 1.5
"""Rows within which the paddle is level with the ball."""
GLIDE = 0.55
"""How far a paddle goes on without a button, in its way of the last step."""


class BallFollower:
    """Up or down to where the ball will be a step later; FIRE, which serves, where there is none."""

    def __init__(self, spec: GameSpec) -> None:
        self.actions = torch.tensor([spec.action_names.index(name) for name in ("noop", "right", "left", "fire")])

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        before, now = (observation[:, plane, TOP:BOTTOM].int() > GREY + FAINT for plane in (-2, -1))
        ball, seen = middle(now[:, :, BETWEEN])
        last_ball, was_seen = middle(before[:, :, BETWEEN])
        paddle, last_paddle = _paddle(now[:, :, OWN]), _paddle(before[:, :, OWN])
        ball = ball + torch.where(was_seen, ball - last_ball, 0.0)
        away = ball - paddle - GLIDE * (paddle - last_paddle)
        # Pong's paddles turn by a knob: right is up
        button = torch.where(away < -NEAR, 1, torch.where(away > NEAR, 2, 0))
        chosen = self.actions.to(observation.device)[torch.where(seen, button, 3)]
        return Decision(torch.nn.functional.one_hot(chosen, legal_action_mask.shape[-1]).float())


def follows(spec: GameSpec) -> bool:
    """Whether it plays this variant: two grey pictures or more, of Pong with one paddle to a side."""
    game, _, options = spec.game.partition("?")
    if game == "pettingzoo/atari/pong_v3":
        plain = spec.num_players == 2 and "game_version" not in options and "obs_type" not in options
    else:
        plain = game == "ALE/Pong-v5"
    return plain and spec.frames == spec.observation_shape[0] > 1


def middle(things: Tensor, axis: int = 1) -> tuple[Tensor, Tensor]:
    """things [B, rows, columns] bool → the mean row (or along `axis` 2 the mean column) of what is there [B] float32,
    and whether anything is [B]."""
    weight = things.sum(3 - axis).float()
    places = torch.arange(weight.shape[1], device=weight.device, dtype=torch.float32)
    total = weight.sum(-1)
    return (weight * places).sum(-1) / total.clamp(min=1), total > 0


def _paddle(things: Tensor) -> Tensor:
    """things [B, rows, columns] bool → the row of the paddle's middle [B] float32; it may stand out of the field."""
    there = things.any(-1).int()
    last = there.shape[1] - 1
    top, bottom = there.argmax(-1).float(), last - there.flip(-1).argmax(-1).float()
    middle = torch.where(top == 0, bottom - HALF, (top + bottom) / 2)
    return torch.where(bottom == last, top + HALF, middle)
