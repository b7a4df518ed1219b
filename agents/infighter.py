"""A scripted boxer of Atari's Boxing that goes to where its glove meets the other's head, and punches: a yardstick.

It reads the last picture of the stack, 84×84 in grey, in which it is white itself, as the first player is and, in
`pettingzoo/atari/boxing_v2`, the second one, too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agents.ball_follower import middle
from agents.policy import Decision
from envs.specs import GameSpec

RING = slice(14, 71), slice(16, 69)
"""The rows and columns between the ropes."""
WHITE, BLACK = 190, 60
"""Brighter than this is oneself, darker the other; the canvas is between."""
TOP, BOTTOM = 11.0, 45.0
"""The rows of the ring beyond which no boxer's middle comes."""
REACH, ASIDE = 7.0, 6.0
"""Columns and rows from its middle to the other's from which a punch hits the head: beside it, by a glove."""
NEAR = 2.0, 1.5
"""Columns and rows within which that is reached."""


class Infighter:
    """A step to the place from which a punch hits, or the punch."""

    def __init__(self, spec: GameSpec) -> None:
        ways = [[f"{down}{right}" or "fire" for right in ("left", "", "right")] for down in ("up", "", "down")]
        self.actions = torch.tensor([[spec.action_names.index(name) for name in row] for row in ways])

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        ring = observation[:, -1, *RING]
        own, other = ring > WHITE, ring < BLACK
        (row, other_row), (column, other_column) = ([middle(one, axis)[0] for one in (own, other)] for axis in (1, 2))
        above = (row < other_row) & (other_row - ASIDE > TOP) | (other_row + ASIDE > BOTTOM)
        down = _towards(other_row + torch.where(above, -ASIDE, ASIDE) - row, NEAR[1])
        right = _towards(other_column + torch.where(column < other_column, -REACH, REACH) - column, NEAR[0])
        chosen = self.actions.to(observation.device)[down + 1, right + 1]
        return Decision(torch.nn.functional.one_hot(chosen, legal_action_mask.shape[-1]).float())


def boxes(spec: GameSpec) -> bool:
    """Whether it plays this variant: grey pictures of Boxing in which one is white."""
    game, _, options = spec.game.partition("?")
    known = game in ("ALE/Boxing-v5", "pettingzoo/atari/boxing_v2") and "obs_type" not in options
    return known and spec.frames == spec.observation_shape[0]


def _towards(way: Tensor, near: float) -> Tensor:
    """way [B] → -1, 0 where it is near, or 1 [B] int64."""
    return torch.where(way.abs() > near, way.sign(), 0.0).long()
