"""The recycling robot of five states in a row: a small sure reward near by, a large one behind a temptation.

s1 ← s2 ↔ s3 ↔ s4 → s5, start in s2. Reaching s1 pays 2 and ends, each entering of s4 pays 1, reaching s5 pays 10 and
ends. At a discount of 0.9 going right is best from everywhere; at a discount near 1 walking between s3 and s4 for ever
is worth more.

With `minutes` m > 0 the game ends after the m-th move, wherever that leads; its reward still counts. The state is then
the place and the time: index `5 · minute + place`, and the map of the dynamics has one row a minute.
"""

from __future__ import annotations

import numpy as np
import torch

from envs.gridworld.drawing import draw_walker
from envs.gridworld.table import Table, TableEnv, TableRules, table_spec
from envs.native import State
from envs.rendering import Drawing
from envs.specs import Variant

LEFT_END, START, RIGHT_END = 0, 1, 4
REWARDS = np.array([2.0, 0.0, 0.0, 1.0, 10.0])
"""[5], of entering each place."""

_MAX_STEPS = 20
_ROW = "G..+G"


def recycling_table(minutes: int, anywhere: bool) -> Table:
    """The table for a limit of so many minutes (0: none); `anywhere` starts in s2, s3 or s4, else in s2."""
    places = np.arange(5)
    entered = np.stack([places - 1, places + 1], axis=1).clip(0, 4)
    rows = minutes + 1
    time = np.repeat(np.arange(rows), 5)
    place = np.tile(places, rows)
    terminal = (place == LEFT_END) | (place == RIGHT_END)
    if minutes:
        terminal |= time == minutes
    next_time = np.minimum(time + 1, minutes)[:, None]
    stays = terminal[:, None]
    return Table(
        next_state=np.where(stays, np.arange(5 * rows)[:, None], 5 * next_time + entered[place]),
        reward=np.where(stays, 0.0, REWARDS[entered[place]]),
        terminal=terminal,
        starts=np.arange(START, RIGHT_END) if anywhere else np.array([START]),
        cell=np.stack([time, place], axis=1),
        picture=(_ROW,) * rows,
        action_names=("left", "right"),
    )


class RecyclingRules(TableRules):
    """The table's, drawn as one row with the minute below."""

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        minute, place = divmod(int(state["place"][index]), 5)
        minutes = len(self.table.picture) - 1
        caption = (
            f"minute {minute} of {minutes}" if minutes else "+2 at the left end, +1 at each +, +10 at the right end"
        )
        return draw_walker((_ROW,), (0, place), self.table.action_names, caption)


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> TableEnv:
    options = variant.all_options()
    minutes = int(options["minutes"])
    table = recycling_table(minutes, options["start"] == "any")
    spec = table_spec(variant, table, None if minutes else _MAX_STEPS)
    return TableEnv(RecyclingRules(table, device), spec, num_envs, device, autoreset)
