"""What training yields: typed metrics and, now and then, a checkpoint to keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class PolicyWeights:
    """A frozen policy in storable form: `agents.registry.load_policy(spec, weights)` makes it play again.

    Attributes:
        algorithm: the registry's name ("ppo", "dqn", "q_learning", …).
        config: the algorithm's config as plain JSON values.
        tensors: name → CPU tensor (weights, normalisation statistics, Q-tables). Copies: nothing trains them further.
    """

    algorithm: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class TrainingState:
    """Everything a run needs to go on as if it had never stopped.

    Attributes:
        tensors: name → CPU tensor: weights, optimizer moments, generator states, replay memory, frozen opponents.
        meta: plain JSON values: counters, schedules, numpy generator states.
    """

    tensors: dict[str, Tensor]
    meta: dict[str, Any]


@dataclass(frozen=True)
class Metrics:
    """One report of a training run.

    Attributes:
        step: environment steps so far, summed over games (a step of 8 games is 8 steps).
        values: documented keys → numbers: `charts/episodic_return`, `charts/SPS`, `losses/policy_loss`, …
        policy: the policy as it is now, at checkpoints (and at the end), else None.
        state: the training state to resume from, at the same moments, else None.
    """

    step: int
    values: dict[str, float] = field(default_factory=dict)
    policy: PolicyWeights | None = None
    state: TrainingState | None = None
