"""Outside engines as policies: they are asked position by position, and whatever they do wrong forfeits the game."""

from __future__ import annotations

import os
import time
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.engine_config import EngineConfig, located
from agents.engine_process import LIFETIME, EngineFailure, EngineProcess
from agents.engine_talk import Choice, Legal, Talk
from agents.greedy import uniform
from agents.gtp import Gtp
from agents.policy import RESIGNED, Decision
from agents.uci import Uci
from envs.errors import UsageError
from envs.specs import GameSpec

START_SECONDS = 30.0
_TALKS: dict[str, type[Uci] | type[Gtp]] = {"uci": Uci, "gtp": Gtp}


class EnginePolicy:
    """Plays what the engine answers, or with the config's probability any legal move. Its process starts when asked.

    Raises UsageError where the engine's protocol does not know the game.
    """

    one_by_one = True
    """Rows cost a question each: it is shown those alone that it decides."""

    def __init__(self, spec: GameSpec, config: EngineConfig) -> None:
        self.config = config
        self._talk: Talk = _TALKS[config.protocol](spec, config)
        self._process: EngineProcess | None = None
        self._owner = 0
        self.name = ""

    def start(self) -> str:
        """Start the engine, where it is not running; the name that it gives itself.

        Raises EngineFailure, and UsageError for a program or an option that does not exist.
        """
        process = self._process
        if process is not None and os.getpid() == self._owner and process.spent < LIFETIME:
            return self.name
        self.close()
        command = (located(self.config.command[0]), *self.config.command[1:])
        self._process, self._owner = EngineProcess(command, self.config.memory_mb * 2**20), os.getpid()
        try:
            self.name = self._talk.prepare(self._process, time.monotonic() + START_SECONDS)
        except BaseException:
            self.close()
            raise
        return self.name

    def close(self) -> None:
        """End the engine, if it runs; it starts again when it is next asked."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        mask = legal_action_mask.cpu()
        probabilities = uniform(mask)
        values, reasons = [], []
        known: dict[bytes, tuple[Choice, str]] = {}
        for row, seen in enumerate(observation.cpu().numpy()):
            key = seen.tobytes()
            if key not in known:
                known[key] = self._asked(seen, mask[row].numpy())
            choice, reason = known[key]
            values.append(choice.value)
            reasons.append(reason)
            if not reason:
                probabilities[row] *= self.config.random
                probabilities[row, choice.action] += 1 - self.config.random
        value = torch.tensor([v for v in values if v is not None]) if None not in values else None
        gave_up = tuple(reasons) if any(reasons) else None
        return Decision(probabilities.to(observation.device), value, gave_up=gave_up)

    def _asked(self, seen: NDArray[Any], legal: Legal) -> tuple[Choice, str]:
        """The engine's choice, or why it has none."""
        try:
            self.start()
            assert self._process is not None
            choice = self._talk.choose(self._process, seen, legal, time.monotonic() + self.config.timeout)
        except EngineFailure as failure:
            if failure.kind != "illegal":
                self.close()
            return Choice(-1), str(failure)
        except UsageError as error:  # its program is gone, or has become another
            return Choice(-1), f"crash: {error}"
        except BaseException:
            self.close()  # in the middle of a question: what it says next would answer that one
            raise
        if choice.action < 0:
            return choice, RESIGNED
        return choice, "" if legal[choice.action] else "illegal: it played what the rules forbid there"
