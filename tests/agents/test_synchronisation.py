"""The host waits for the device a fixed number of times per iteration of self-play, however long a rollout is."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from agents.configs import default_config
from agents.metrics import Metrics
from agents.registry import load_train
from envs.native import NativeEnv
from envs.registry import make

# What reads a tensor's values on the host, or has a result whose shape depends on them.
WAITING = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "equal",
    "is_nonzero",
    "_unique2",
    "unique_dim",
    "bincount",
}


class Waits(TorchDispatchMode):
    """Counts the operations that would make the host wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITING:
            self.seen[name] += 1
        if name in ("index", "index_put", "index_put_"):
            self.seen["by mask"] += any(index is not None and index.dtype == torch.bool for index in args[1])
        return func(*args, **(kwargs or {}))


def third_iteration(game: str, num_steps: int, device: str = "cpu") -> Iterator[Metrics]:
    """A PPO run with opponents from the pool, the rollout and update after its first two to be drawn next."""
    config = replace(default_config("ppo", game), num_envs=32, num_steps=num_steps, pool_share=0.25)
    env = make(game, 32, device=device)
    assert isinstance(env, NativeEnv)
    env._sparse = False  # as on a GPU: no look at which games ended
    run = load_train("ppo")(config, env, seed=0, total_steps=10**6)
    next(run)
    next(run)
    return run


@pytest.mark.parametrize("game", ["tic_tac_toe", "connect_four", "gridworld/sumo", "gridworld/tron", "cartpole"])
@pytest.mark.slow
def test_waits_do_not_grow_with_the_rollout(game: str) -> None:
    seen = []
    for num_steps in (4, 8):
        run = third_iteration(game, num_steps)
        with Waits() as waits:
            next(run)
        seen.append(+waits.seen)
    assert seen[0] == seen[1]
    assert set(seen[0]) == {"nonzero"}, "the learner's decisions are picked out of the rollout"
    assert seen[0]["nonzero"] <= 2, "and where games are truncated, the states they ended in"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("game", ["connect_four", "gridworld/tron", "cartpole"])
def test_on_a_gpu_waits_do_not_grow_with_the_rollout(game: str) -> None:
    counts = []
    for num_steps in (4, 8):
        run = third_iteration(game, num_steps, "cuda")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                next(run)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        counts.append(len(told))
    assert counts[0] == counts[1]
    assert counts[0] <= 6
