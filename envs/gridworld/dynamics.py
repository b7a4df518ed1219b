"""Exact dynamics of the one-player gridworlds, for planning. No torch at import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from envs.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from envs.protocol import VecEnv


@dataclass(frozen=True)
class Dynamics:
    """A finite game as a Markov decision process of S states and A actions: what p(s′, r | s, a) is (Sutton & Barto,
    section 3.1).

    The step limit (`spec.max_steps`) is not part of it: it truncates and says nothing about the states.

    Attributes:
        transition: [S, A, S] float64, the probability of the next state; terminal states lead to themselves.
        reward: [S, A, S] float64, of that transition; 0 from terminal states.
        terminal: [S] bool, where the game is over (so are places where nobody can stand, such as a maze's walls).
        start: [S] float64, the probability that a game starts there.
        observation: [S, *obs], what one slot sees there.
        legal: [S, A] bool.
        cell: [S, 2] int64, (row, column) on `picture`.
        picture: the map in the characters of `envs.gridworld.maps`, row by row.
        action_names: A words, as in the spec.
    """

    transition: NDArray[np.float64]
    reward: NDArray[np.float64]
    terminal: NDArray[np.bool_]
    start: NDArray[np.float64]
    observation: NDArray[np.generic]
    legal: NDArray[np.bool_]
    cell: NDArray[np.int64]
    picture: tuple[str, ...]
    action_names: tuple[str, ...]

    @property
    def num_states(self) -> int:
        return len(self.terminal)


def state_index(observation: Tensor, num_states: int) -> Tensor:
    """The index in `Dynamics` of the state that each observation shows: [..., S] one-hot, or [..., planes, rows,
    columns], whose plane 0 is the walker → [...] int64."""
    if observation.shape[-1] >= num_states:
        return observation[..., :num_states].argmax(-1)
    return observation[..., 0, :, :].flatten(-2).argmax(-1)


def exact_dynamics(env: VecEnv) -> Dynamics:
    """The dynamics of a one-player gridworld's env; raises UsageError where a game has none."""
    dynamics = getattr(env, "dynamics", None)
    if dynamics is None:
        raise UsageError(f"{env.spec.game} has no exact dynamics: tables and planning need a one-player gridworld")
    return cast(Dynamics, dynamics())
