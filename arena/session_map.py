"""What an agent thinks of every cell of a gridworld, drawn over its map."""

from __future__ import annotations

import torch

from arena.roster import Contender, resolve
from arena.store import Store
from envs.gridworld.drawing import draw_policy_over
from envs.gridworld.dynamics import Dynamics, state_index
from envs.protocol import Turn, VecEnv
from envs.rendering import Drawing


def newest_of_run(store: Store, game: str, contender: Contender) -> Contender:
    """The newest agent of the contender's run, which changes while the run learns; itself where it is of none."""
    agent = contender.agent
    siblings = [a for a in store.agents(game) if a.run == agent.run and a.checkpoint] if agent.run is not None else []
    return resolve(store, game, max(siblings, key=lambda a: a.step or 0).name) if siblings else contender


def draw_map(env: VecEnv, turn: Turn, dynamics: Dynamics, contender: Contender) -> Drawing:
    """Game 0 of `env` as it stands, with the contender's values and likeliest actions in all cells."""
    observation, legal = torch.from_numpy(dynamics.observation), torch.from_numpy(dynamics.legal)
    decision = contender.policy(observation, legal)
    values = decision.value
    if values is None and decision.q_values is not None:
        values = decision.q_values.masked_fill(~legal, -torch.inf).amax(-1)
    if values is None:
        values = torch.zeros(len(observation))
    row, column = dynamics.cell[int(state_index(turn.observation[0, 0], dynamics.num_states))].tolist()
    return draw_policy_over(dynamics, values, decision.probabilities, (row, column), env.draw(0, None).caption)
