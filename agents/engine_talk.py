"""What a protocol has to say to an engine's process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.engine_process import EngineProcess

Legal = NDArray[np.bool_]


class Choice(NamedTuple):
    """The action that an engine chose (−1: it resigns), and the return that it expects (None: it does not say)."""

    action: int
    value: float | None = None


class Talk(ABC):
    """One protocol, for one game. Deadlines are on the clock of `time.monotonic`.

    Both methods raise EngineFailure where the engine does not answer as it should.
    """

    @abstractmethod
    def prepare(self, process: EngineProcess, deadline: float) -> str:
        """Greet a process that has just been started, set its options; the name that it gives itself.

        Raises UsageError for an option that it does not have.
        """

    @abstractmethod
    def choose(self, process: EngineProcess, observation: NDArray[Any], legal: Legal, deadline: float) -> Choice:
        """Put a position [*obs] with these legal actions [A] to the engine; what it chooses may still be illegal."""
