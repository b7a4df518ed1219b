"""The host never waits for the device in an iteration of self-play but for one copy of its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from agents import rollout
from agents.configs import default_config
from agents.metrics import Metrics
from agents.networks import ActorCritic
from agents.registry import load_train
from envs.registry import make

GAMES = ["tic_tac_toe", "connect_four", "gridworld/sumo", "gridworld/tron", "cartpole"]


class Crossings(TorchDispatchMode):
    """What brings numbers from the host to the device, or back."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if len({leaf.device for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)}) > 1:
            self.seen.append(func.overloadpacket.__name__)
        return result

    def watched(self, create: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """A function that makes tensors of the host's numbers, which is a crossing where they are to lie elsewhere."""

        def wrapper(data: Any, **more: Any) -> Tensor:
            made = create(data, **more)
            if made is not data and made.device.type != "cpu":
                self.seen.append(create.__name__)
            return made

        return wrapper


def iterations(game: str, device: str | torch.device) -> Iterator[Metrics]:
    """PPO with opponents from the pool, and openings of random moves where the preset has them."""
    config = replace(default_config("ppo", game), num_envs=32, num_steps=2, num_epochs=1, pool_share=0.25)
    return load_train("ppo")(config, make(game, 32, device=device), seed=0, total_steps=10**6)


def to(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """`module.to(device)` for a device without values."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            part._parameters[name] = None if parameter is None else torch.nn.Parameter(parameter.to(device))
        for name, buffer in part._buffers.items():
            part._buffers[name] = None if buffer is None else buffer.to(device)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_an_iteration_wants_no_value_but_its_figures(game: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device whose tensors have no values what looks at one, or at how many there are of something, fails."""
    read: list[int] = []

    def tolist(tensor: Tensor) -> list[float]:
        assert tensor.dim() == 1
        read.append(len(tensor))
        return [0.0] * len(tensor)

    monkeypatch.setattr(rollout, "torch_generator", lambda *_: None)  # that device has no generators,
    monkeypatch.setattr(rollout, "weights_stand_still", lambda _: nullcontext())  # no autocast
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, *_, **__: torch.optim.SGD(parameters, 0.1))  # nor Adam
    monkeypatch.setattr(ActorCritic, "to", to)
    monkeypatch.setattr(Tensor, "tolist", tolist)
    run = iterations(game, "meta")
    next(run)  # the games begin, and the first opponents are drawn
    read.clear()
    with Crossings() as crossings:
        for name in ("tensor", "as_tensor"):
            monkeypatch.setattr(torch, name, crossings.watched(getattr(torch, name)))
        next(run)
    assert crossings.seen == []
    assert len(read) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("game", GAMES)
def test_on_a_gpu_an_iteration_waits_for_its_figures_alone(game: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tolist, read = Tensor.tolist, 0

    def reading(tensor: Tensor) -> Any:
        nonlocal read
        read += 1
        torch.cuda.set_sync_debug_mode("default")
        values = tolist(tensor)
        torch.cuda.set_sync_debug_mode("error")
        return values

    run = iterations(game, "cuda")
    next(run)
    next(run)
    monkeypatch.setattr(Tensor, "tolist", reading)
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(run)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert read == 1
