"""PettingZoo's Atari games for learning: emulators in threads.

The emulator is a library of C++ that holds no lock of Python's while it plays a frame, and NumPy holds none while it
prepares a picture: together nine tenths of the time. Games therefore scale with the cores in threads of one process,
and what they show is written once, where the learner reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from envs import chance
from envs.adapter import Array
from envs.protocol import Step, Turn, VecEnv
from envs.rendering import Drawing

if TYPE_CHECKING:
    from envs.pettingzoo_atari import AtariPlayers


class AtariPlayersEnv(VecEnv):
    """N emulators with several players each, reset by themselves.

    Starting an emulator from a seed takes a tenth of a second, so an ended game is followed by another start of the
    same emulator: games after the first in a slot are not a function of `seeds` alone (`exact` is False), though the
    same seeds and actions give the same games again, on however many threads. `state` holds seeds only, and `load`
    starts the games anew.
    """

    exact = False

    def __init__(self, games: Sequence[AtariPlayers], device: torch.device, workers: int | None = None) -> None:
        self.spec = spec = games[0].spec
        self.num_envs = len(games)
        self.device = device
        self.seeds = torch.zeros(self.num_envs, dtype=torch.int64, device=device)
        self._games = list(games)
        self._slots = (self.num_envs, spec.num_slots)
        self._mask = torch.ones(*self._slots, len(spec.action_names), dtype=torch.bool, device=device)
        self._ended: dict[int, bytes] = {}  # fingerprints of the games that were restarted in the last step
        workers = min(workers or usable_cores(), self.num_envs)
        self._parts = [range(start, self.num_envs, workers) for start in range(workers)]
        self._threads = ThreadPoolExecutor(workers, "emulators") if workers > 1 else None

    def reset(self, seeds: Tensor) -> Turn:
        self.seeds = seeds.to(self.device, torch.int64)
        self._ended = {}
        observation, player = self._blank()
        numbers = seeds.tolist()

        def begin(n: int) -> None:
            self._games[n].reset(numbers[n])
            self._games[n].observe(observation[n], None, player[n])

        self._each(begin)
        return self._turn(observation, player)

    def step(self, action: Tensor) -> Step:
        actions = action.detach().cpu().numpy()
        rewards = np.zeros((self.num_envs, self.spec.num_players), dtype=np.float32)
        terminated, truncated = np.zeros((2, self.num_envs), dtype=bool)
        observation, player = self._blank()
        begun: dict[int, tuple[Array, Array]] = {}
        self._ended = {}

        def play(n: int) -> None:
            game = self._games[n]
            rewards[n], terminated[n], truncated[n] = game.step(actions[n])
            game.observe(observation[n], None, player[n])
            if terminated[n] or truncated[n]:
                self._ended[n] = game.fingerprint()
                game.restart()
                begun[n] = np.zeros_like(observation[n]), np.full_like(player[n], -1)
                game.observe(begun[n][0], None, begun[n][1])

        self._each(play)
        final = turn = self._turn(observation, player)
        if begun:
            observation, player = observation.copy(), player.copy()
            for n, (first, seats) in begun.items():
                observation[n], player[n] = first, seats
            turn = self._turn(observation, player)
            ended = self._tensor(terminated | truncated)
            self.seeds = torch.where(ended, chance.next_seed(self.seeds), self.seeds)
        return Step(self._tensor(rewards), self._tensor(terminated), self._tensor(truncated), final, turn)

    def names(self, seat: int = 0, index: int = 0) -> Mapping[int, str]:
        return self._games[index].names(seat)

    def state(self) -> dict[str, Tensor]:
        return {"seeds": self.seeds.cpu()}

    def load(self, state: dict[str, Tensor]) -> Turn:
        return self.reset(state["seeds"])

    def fingerprints(self) -> list[bytes]:
        return [self._ended[n] if n in self._ended else game.fingerprint() for n, game in enumerate(self._games)]

    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        return self._games[index].draw(seat)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown()
        for game in self._games:
            game.close()

    def _each(self, do: Callable[[int], None]) -> None:
        """Do it for every game, each thread its own part of them; the first error is raised once all have ended."""

        def part(games: range) -> None:
            for n in games:
                do(n)

        if self._threads is None:
            part(self._parts[0])
            return
        parts = [self._threads.submit(part, games) for games in self._parts]
        wait(parts)
        for ended in parts:
            ended.result()

    def _blank(self) -> tuple[Array, Array]:
        """Of idle slots: observation [N, K, *obs] of zeros, player [N, K] of -1."""
        return np.zeros((*self._slots, *self.spec.observation_shape), dtype=np.uint8), np.full(self._slots, -1)

    def _turn(self, observation: Array, player: Array) -> Turn:
        return Turn(self._tensor(observation), self._mask, self._tensor(player))

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
