"""Pieces of a TrainingState: optimizers and generators as named CPU tensors and plain JSON values, and back.

Tensors are stored under `prefix/name`. What comes out of `pack_*` is a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from agents.metrics import TrainingState


def pack(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the tensors on the CPU, named `prefix/name`."""
    return {f"{prefix}/{name}": tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def unpack(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `pack` put under this prefix, by name."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + "/")}


def pack_optimizer(prefix: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's moments and step counts, named `prefix/INDEX.KEY`; its settings are not kept."""
    state = optimizer.state_dict()["state"]
    return pack(prefix, {f"{index}.{key}": value for index, values in state.items() for key, value in values.items()})


def unpack_optimizer(prefix: str, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give a fresh optimizer over the same parameters the moments that `pack_optimizer` kept.

    Moments lie in memory as their parameters do: fused optimizers read both by place, whatever their strides.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in unpack(prefix, tensors).items():
        index, _, key = name.partition(".")
        parameter = parameters[int(index)]
        alike = tensor.shape == parameter.shape
        kept = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor) if alike else tensor.clone()
        state.setdefault(int(index), {})[key] = kept.detach()
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def pack_generator(generator: torch.Generator) -> Tensor:
    """A torch generator's state as a uint8 tensor; `generator.set_state` takes it back."""
    return generator.get_state().clone()


def pack_rng(rng: np.random.Generator) -> dict[str, Any]:
    """A numpy generator's state as plain JSON values (PCG64's integers are larger than 64 bits, which JSON allows)."""
    state = rng.bit_generator.state
    return {**state, "state": {name: int(value) for name, value in state["state"].items()}}


def unpack_rng(state: Mapping[str, Any]) -> np.random.Generator:
    """The generator that `pack_rng` kept."""
    bits = np.random.PCG64()
    bits.state = cast(Any, dict(state))
    return np.random.Generator(bits)


def named_seeds(seed: int) -> dict[str, np.random.SeedSequence]:
    """Independent seeds of a run, by what they are for, so that adding draws to one changes none of the others."""
    names = ("games", "policy", "init", "opponents")
    return dict(zip(names, np.random.SeedSequence(seed).spawn(len(names)), strict=True))


def torch_generator(seed: np.random.SeedSequence, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator started from a SeedSequence."""
    return torch.Generator(device).manual_seed(int(seed.generate_state(1, np.uint64)[0]) & 0x7FFFFFFFFFFFFFFF)


def fresh_seeds(rng: np.random.Generator, num_envs: int) -> Tensor:
    """[N] int64 in [0, 2**63): seeds for `env.reset`."""
    return torch.from_numpy(rng.integers(0, 2**63 - 1, num_envs, dtype=np.int64))


SITUATION = ("games/", "env/", "pool/", "memory/", "pending/")
"""Where a learner stands and what it remembers, by the prefixes of its state's tensors; the rest it has learnt."""


def take_over(own: TrainingState, other: TrainingState) -> TrainingState | None:
    """`own` state with what the `other` learner has learnt: weights, statistics, moments; None where they do not fit.

    Games, schedules, chance and replay memory stay its own.
    """
    learnt = {name: tensor for name, tensor in other.tensors.items() if not name.startswith(SITUATION)}
    mine = {name: tensor for name, tensor in own.tensors.items() if not name.startswith(SITUATION)}
    if {n: (t.shape, t.dtype) for n, t in mine.items()} != {n: (t.shape, t.dtype) for n, t in learnt.items()}:
        return None
    return TrainingState(own.tensors | {name: tensor.clone() for name, tensor in learnt.items()}, own.meta)
