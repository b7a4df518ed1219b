"""What is the same in every environment that enters from another library: AdapterEnv around N single games."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import chance
from envs.protocol import Attention, Step, Turn, VecEnv
from envs.rendering import Drawing
from envs.scaling import Picture
from envs.specs import GameSpec

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pictures are drawn into memory, never into a window

Array = NDArray[Any]
Seen = tuple[Array, Array | None, Array]
"""Observation [N, K, *obs], legal actions [N, K, A] (None: continuous), player [N, K]; without N for one game."""


@cache
def backend(package: str, rom: str | Path | None = None) -> str:
    """What `GameSpec.backend` says of a game that an installed package plays, with the ROM that it plays."""
    said = f"{package} {version(package)}"
    if rom is None:
        return said
    return f"{said}, ROM md5 {hashlib.md5(Path(rom).read_bytes(), usedforsecurity=False).hexdigest()}"


class WrappedGame(ABC):
    """One game of another library. `spec` is what is fixed about it."""

    spec: GameSpec

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Start anew; the game is a function of the seed and the actions alone."""

    @abstractmethod
    def step(self, action: Array) -> tuple[Sequence[float], bool, bool]:
        """Play action [K] (or [K, D]) → rewards of every player, terminated, truncated."""

    @abstractmethod
    def observe(self, observation: Array, mask: Array | None, player: Array) -> None:
        """Fill in what is known now: observation [K, *obs] (zeros so far), mask [K, A] (all True), player [K] (-1)."""

    @abstractmethod
    def fingerprint(self) -> bytes:
        """The authoritative state, or what comes nearest to it."""

    @abstractmethod
    def draw(self, seat: int | None) -> Drawing:
        """The game as `seat` may know it (None: everything)."""

    @abstractmethod
    def close(self) -> None:
        """Free what lies outside memory."""

    def names(self, seat: int) -> Mapping[int, str] | None:
        """As `VecEnv.names`; None: those of the spec."""
        return None

    attention: Attention = "observations"

    def pictures(self) -> Sequence[Picture]:
        """As `VecEnv.pictures`."""
        return ()

    def aim(self, seat: int, pointer: tuple[float, float]) -> int | None:
        """As `VecEnv.aim`."""
        return None

    def bookmark(self) -> Any:
        """The game as it stands, for `return_to` of a game of the same variant; None where only its actions tell."""
        return None

    def return_to(self, bookmark: Any) -> None:
        """Put the game back."""
        raise NotImplementedError

    def packed(self) -> bytes | None:
        """As `VecEnv.packed`."""
        return None

    def unpack(self, packed: bytes) -> None:
        """Put the game where it was packed."""
        raise NotImplementedError


class AdapterEnv(VecEnv):
    """N wrapped games in a plain loop. Its state is each game's seed and actions; `load` plays them again."""

    def __init__(
        self, spec: GameSpec, games: Sequence[WrappedGame], device: torch.device, autoreset: bool = True
    ) -> None:
        self.spec = spec
        self.num_envs = len(games)
        self.device = device
        self.autoreset = autoreset
        self.seeds = torch.zeros(self.num_envs, dtype=torch.int64, device=device)
        self._games = list(games)
        self._over = np.zeros(self.num_envs, dtype=bool)
        self._dtype = np.dtype(spec.observation_dtype)
        discrete = spec.num_actions is not None
        self._action_shape = (spec.num_slots,) if discrete else (spec.num_slots, *spec.action_shape)
        self._action_dtype = np.dtype(np.int64 if discrete else np.float32)
        self._log: list[Array] = []  # the actions [N, K, …] of the latest steps; game n began in row _begin[n]
        self._begin = np.zeros(self.num_envs, dtype=np.int64)
        self._length = np.zeros(self.num_envs, dtype=np.int64)
        self._ended: dict[int, bytes] = {}  # fingerprints of the games that were reset in the last step

    def reset(self, seeds: Tensor) -> Turn:
        self.seeds = seeds.to(self.device, torch.int64)
        self._log, self._ended = [], {}
        self._begin[:] = self._length[:] = 0
        self._over[:] = False
        for game, seed in zip(self._games, seeds.tolist(), strict=True):
            game.reset(seed)
        return self._observe()

    def step(self, action: Tensor) -> Step:
        actions = action.detach().cpu().numpy().astype(self._action_dtype)
        self._remember(actions)
        rewards = np.zeros((self.num_envs, self.spec.num_players), dtype=np.float32)
        terminated = np.zeros(self.num_envs, dtype=bool)
        truncated = np.zeros(self.num_envs, dtype=bool)
        seen = self._blank()
        for n, game in enumerate(self._games):
            if not self._over[n]:
                rewards[n], terminated[n], cut = game.step(actions[n])
                truncated[n] = cut and not terminated[n]
                game.observe(*_row(seen, n))
        final = turn = self._turn(seen)
        ended = np.flatnonzero(terminated | truncated)
        self._ended = {}
        if len(ended):
            turn = self._turn(self._after(ended, seen))
        return Step(self._tensor(rewards), self._tensor(terminated), self._tensor(truncated), final, turn)

    def state(self) -> dict[str, Tensor]:
        longest = int(self._length.max(initial=0))
        actions = np.zeros((self.num_envs, longest, *self._action_shape), self._action_dtype)
        for n, (begin, length) in enumerate(zip(self._begin, self._length, strict=True)):
            for ply in range(length):
                actions[n, ply] = self._log[begin + ply][n]
        return {
            "seeds": self.seeds.cpu(),
            "actions": torch.from_numpy(actions),
            "length": torch.from_numpy(self._length.copy()),
            "over": torch.from_numpy(self._over.copy()),
        }

    def load(self, state: dict[str, Tensor]) -> Turn:
        self.reset(state["seeds"])
        actions, lengths = state["actions"].cpu().numpy(), state["length"].cpu().numpy()
        log = np.zeros_like(actions)
        for n, (game, length) in enumerate(zip(self._games, lengths.tolist(), strict=True)):
            log[n, log.shape[1] - length :] = actions[n, :length]
            for action in actions[n, :length]:
                game.step(action)
        self._log = list(log.swapaxes(0, 1))
        self._begin, self._length = log.shape[1] - lengths, lengths.copy()
        self._over = state["over"].cpu().numpy().copy()
        return self._observe()

    def fingerprints(self) -> list[bytes]:
        return [self._ended[n] if n in self._ended else game.fingerprint() for n, game in enumerate(self._games)]

    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        return self._games[index].draw(seat)

    def names(self, seat: int = 0, index: int = 0) -> Mapping[int, str]:
        names = self._games[index].names(seat)
        return super().names(seat, index) if names is None else names

    def attend(self, what: Attention) -> None:
        for game in self._games:
            game.attention = what

    def pictures(self, index: int = 0) -> Sequence[Picture]:
        return self._games[index].pictures()

    def aim(self, seat: int, pointer: tuple[float, float], index: int = 0) -> int | None:
        return self._games[index].aim(seat, pointer)

    def bookmark(self) -> Any:
        games = [game.bookmark() for game in self._games]
        if None in games:
            return self.state()
        log = self._log, len(self._log)  # of which only the end ever changes
        return games, self.seeds, log, self._begin.copy(), self._length.copy(), self._over.copy()

    def return_to(self, bookmark: Any) -> Turn:
        if isinstance(bookmark, dict):
            return self.load(bookmark)
        games, self.seeds, (log, rows), begin, length, over = bookmark
        self._log, self._ended = log[:rows], {}
        self._begin, self._length, self._over = begin.copy(), length.copy(), over.copy()
        for game, state in zip(self._games, games, strict=True):
            game.return_to(state)
        return self._observe()

    def packed(self, index: int = 0) -> bytes | None:
        return self._games[index].packed()

    def unpack(self, packed: bytes, played: Tensor) -> None:
        (game,) = self._games
        game.unpack(packed)
        self._log, self._ended = list(played.numpy().astype(self._action_dtype)[:, None]), {}
        self._begin[:], self._length[:], self._over[:] = 0, len(played), False

    def close(self) -> None:
        for game in self._games:
            game.close()

    def _remember(self, actions: Array) -> None:
        """Append the actions [N, K, …] to the log, dropping now and then the rows that no game needs any more."""
        if len(self._log) > 2 * int(self._length.max(initial=0)) + 1024:
            first = int(self._begin.min())
            self._log, self._begin = self._log[first:], self._begin - first
        self._log.append(actions)
        self._length += ~self._over

    def _after(self, ended: Array, seen: Seen) -> Seen:
        """What is known once the games `ended` have begun anew from their next seeds (or are idle: no autoreset)."""
        observation, mask, player = seen = (seen[0].copy(), None if seen[1] is None else seen[1].copy(), seen[2].copy())
        observation[ended], player[ended] = 0, -1
        if mask is not None:
            mask[ended] = True
        if not self.autoreset:
            self._over[ended] = True
            return seen
        index = torch.from_numpy(ended).to(self.device)
        seeds = chance.next_seed(self.seeds[index])
        self.seeds = self.seeds.index_copy(0, index, seeds)
        self._begin[ended], self._length[ended] = len(self._log), 0
        for n, seed in zip(ended.tolist(), seeds.tolist(), strict=True):
            self._ended[n] = self._games[n].fingerprint()
            self._games[n].reset(seed)
            self._games[n].observe(*_row(seen, n))
        return seen

    def _blank(self) -> Seen:
        """Of idle slots: zeros, all legal, player -1."""
        slots = (self.num_envs, self.spec.num_slots)
        return (
            np.zeros((*slots, *self.spec.observation_shape), self._dtype),
            None if self.spec.num_actions is None else np.ones((*slots, self.spec.num_actions), dtype=bool),
            np.full(slots, -1, dtype=np.int64),
        )

    def _observe(self) -> Turn:
        seen = self._blank()
        for n, game in enumerate(self._games):
            if not self._over[n]:
                game.observe(*_row(seen, n))
        return self._turn(seen)

    def _turn(self, seen: Seen) -> Turn:
        observation, mask, player = seen
        return Turn(self._tensor(observation), None if mask is None else self._tensor(mask), self._tensor(player))

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _row(seen: Seen, n: int) -> Seen:
    """Game n's part, to be written into."""
    observation, mask, player = seen
    return observation[n], None if mask is None else mask[n], player[n]
