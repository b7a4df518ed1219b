"""How runs and the agents they make are named: `ppo-3`, `ppo-3@2.0M`."""

from __future__ import annotations

import itertools

from arena.records import Run
from arena.store import Store
from envs.errors import UsageError


def free_name(store: Store, base: str) -> str:
    """The base (an algorithm, a league's member) and the next free number."""
    taken = {run.name for run in store.runs()}
    return next(name for number in itertools.count(1) if (name := f"{base}-{number}") not in taken)


def step_label(step: int, digits: int = 0) -> str:
    """A number of steps as names have it: 950, 2.0k, 20k, 2.0M; `digits` more decimals where labels must differ."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if step >= size * 0.9995:
            return f"{step / size:.{digits + (step < 9.95 * size)}f}{letter}"
    return str(step)


def agent_name(store: Store, run: Run, step: int) -> str:
    """NAME@20k, with as many digits as no other agent of the game has."""
    taken = {agent.name for agent in store.agents(run.game, retired=True)}
    for label in (*(step_label(step, digits) for digits in range(4)), str(step)):
        if f"{run.name}@{label}" not in taken:
            return f"{run.name}@{label}"
    raise UsageError(f"{run.game} already has an agent {run.name}@{step}; rename it first")


def newest_agent(store: Store, run: Run) -> str | None:
    """The name of the run's newest agent, or None."""
    agents = [agent for agent in store.agents(run.game, retired=True) if agent.run == run.id]
    return max(agents, key=lambda agent: agent.step or 0).name if agents else None
