"""Gymnasium's spaces → our arrays and actions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.errors import UsageError

Array = NDArray[Any]


class ObservationForm:
    """How a space's observations become arrays: uint8 for pixels and planes (channels first), float32 for all else;
    spaces that hold no array (Discrete, Tuple, Dict) are flattened."""

    def __init__(self, space: spaces.Space, game: str) -> None:
        self._space = space
        self._flat = not isinstance(space, spaces.Box)
        box: Any = spaces.flatten_space(space) if self._flat else space
        if not isinstance(box, spaces.Box):
            raise UsageError(f"{game}: observations are {space}, of no fixed size")
        integral = box.dtype.kind in "biu"
        self.dtype, self.scale = "float32", 1.0
        if integral and bool((box.low >= 0).all()) and bool((box.high <= 255).all()):
            self.dtype, self.scale = "uint8", 1.0 if bool((box.high <= 1).all()) else 255.0
        shape = box.shape
        self._move = len(shape) == 3 and shape[1] != shape[2] and (shape[0] == shape[1] or shape[2] < shape[0])
        self.shape = (shape[2], shape[0], shape[1]) if self._move else shape

    def write(self, observation: Any, out: Array) -> None:
        """Put one observation of the space into out [*shape]."""
        array: Any = spaces.flatten(self._space, observation) if self._flat else np.asarray(observation)
        out[...] = array.transpose(2, 0, 1) if self._move else array


class ActionForm:
    """Actions of ours → actions of the space."""

    def __init__(self, space: spaces.Space, game: str) -> None:
        self.count: int | None = None
        self.shape: tuple[int, ...] = ()
        self.low, self.high = -1.0, 1.0
        if isinstance(space, spaces.Discrete):
            self.count, self._start = int(space.n), int(space.start)
        elif isinstance(space, spaces.Box):
            self._space = space
            self.shape = (math.prod(space.shape),)
            low, high = space.low.min(), space.high.max()
            if (space.low == low).all() and (space.high == high).all() and np.isfinite([low, high]).all():
                self.low, self.high = float(low), float(high)
            bounded = space.is_bounded()
            self._centre = (space.high + space.low) / 2 if bounded else np.zeros(space.shape)
            self._reach = (space.high - space.low) / 2 if bounded else np.ones(space.shape)
        else:
            raise UsageError(f"{game}: actions are {space}; only Discrete and Box actions can be played")

    def __call__(self, action: Array) -> Any:
        """An index, or [D] between `low` and `high`, stretched to the space's own bounds where these differ."""
        if self.count is not None:
            return int(action) + self._start
        unit = (np.clip(action, self.low, self.high) - (self.high + self.low) / 2) / ((self.high - self.low) / 2)
        return (self._centre + self._reach * unit.reshape(self._space.shape)).astype(self._space.dtype)
