"""A hall with three exits worth 0, 1 and 1000: one decision, and who never explores never finds the third.

State 0 is the hall, where every game starts; states 1 to 3 are the exits, where it is over.
"""

from __future__ import annotations

import numpy as np
import torch

from envs.gridworld.table import Table, TableEnv, TableRules, table_spec
from envs.specs import Variant

TRAP = Table(
    next_state=np.array([[1, 2, 3], [1, 1, 1], [2, 2, 2], [3, 3, 3]]),
    reward=np.array([[0.0, 1.0, 1000.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    terminal=np.array([False, True, True, True]),
    starts=np.array([0]),
    cell=np.array([[1, 1], [1, 0], [0, 1], [1, 2]]),
    picture=(" G ", "GSG"),
    action_names=("left", "up", "right"),
)


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> TableEnv:
    rules = TableRules(TRAP, device, "three exits")
    return TableEnv(rules, table_spec(variant, TRAP, None), num_envs, device, autoreset)
