"""The contract between games and learners: N games side by side, one batched step.

Shapes: N games, K decision slots (1 in one-player and turn-based games, P in simultaneous ones), P players, A actions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from envs.errors import UsageError, some
from envs.rendering import Drawing
from envs.scaling import Picture
from envs.specs import GameSpec

Attention: TypeAlias = Literal["observations", "pictures", "states"]
"""Observations alone; with the pictures that people see; neither: games are stepped to get to a later state."""


class Turn(NamedTuple):
    """What those who decide now may know.

    Attributes:
        observation: [N, K, *obs], each slot's own perspective, in `spec.observation_dtype`.
        legal_action_mask: [N, K, A] bool; None where actions are continuous. An idle slot's row is all True.
        player: [N, K] int64, the seat of each slot; -1 where the slot is idle (eliminated, or the game is over).
    """

    observation: Tensor
    legal_action_mask: Tensor | None
    player: Tensor


class Step(NamedTuple):
    """What one action of every game led to.

    Attributes:
        rewards: [N, P] float32, of this step, for every player.
        terminated: [N] bool, the rules ended the game with this step.
        truncated: [N] bool, a limit outside the rules cut the game at this step; never True where `terminated` is.
        final: the turn after the action, before any reset; with automatic reset and unless `spec.shows_ends` it may be
            the same as `turn`.
        turn: the turn to act on now: ended games have been reset (unless the env was made with `autoreset=False`).
    """

    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    final: Turn
    turn: Turn


class VecEnv(ABC):
    """N games of one variant, stepped together.

    With `autoreset=True` (learning) an ended game starts anew in the same step, from `next_seed` of its old seed.
    With `autoreset=False` (matches, sessions, replays) an ended game stays as it ended: its slots are idle (`player`
    -1), its later actions are ignored, its later rewards are 0 and its flags are False.

    Attributes:
        spec: what is fixed about this variant.
        num_envs: N.
        device: where all tensors live.
        seeds: [N] int64, of the games being played now. A game is a function of its seed and its actions alone.
        exact: False where that holds only for the games that `reset` begins, not for those that follow by themselves;
            then `load` may begin new games, and fingerprints are not those of an env made with `autoreset=False`.
    """

    exact: bool = True

    spec: GameSpec
    num_envs: int
    device: torch.device
    seeds: Tensor

    @abstractmethod
    def reset(self, seeds: Tensor) -> Turn:
        """Start all games anew; seeds [N] int64, each in [0, 2**63)."""

    @abstractmethod
    def step(self, action: Tensor) -> Step:
        """Play action [N, K] int64 (or [N, K, D] float32).

        Illegal actions are undefined here: callers that do not sample from the mask check first (`check_legal`).
        """

    def send(self, action: Tensor) -> None:
        """Begin a step that `receive` ends; nothing else may be asked of the games in between.

        Games with threads of their own go on meanwhile (Atari's); others wait for `receive`.
        """
        self._sent = action

    def receive(self) -> Step:
        """The step that `send` began."""
        return self.step(self._sent)

    @property
    def groups(self) -> Sequence[tuple[slice, VecEnv]]:
        """(Which of the games, their env): groups that step independently of one another. As a rule one, of all."""
        return [(slice(0, self.num_envs), self)]

    @abstractmethod
    def state(self) -> Any:
        """The games as they stand, to be given back to `load` of an env of the same variant and N."""

    @abstractmethod
    def load(self, state: Any) -> Turn:
        """Put the games back to `state`."""

    @abstractmethod
    def fingerprints(self) -> Sequence[bytes]:
        """Per game, the authoritative state after the last action, before any reset, as bytes equal on every device."""

    @abstractmethod
    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        """Game `index` as it stands, as `seat` may know it (None: everything)."""

    def names(self, seat: int = 0, index: int = 0) -> Mapping[int, str]:
        """What a person in `seat` types for the actions of game `index` as it stands: for all of them, or for the legal
        ones alone where the words depend on the position. Not for continuous actions."""
        return dict(enumerate(self.spec.action_names)) or {a: str(a) for a in range(self.spec.num_actions or 0)}

    def action(self, word: str, seat: int = 0, index: int = 0) -> int:
        """The action that a word of the person in `seat` stands for in game `index`; letter case does not matter.

        Raises UsageError.
        """
        typed, names = word.strip(), self.names(seat, index)
        for action, name in names.items():
            if name.lower() == typed.lower():
                return action
        known = some(names.values(), 12)
        if len(names) < (self.spec.num_actions or 0):
            raise UsageError(f"{typed[:40]!r} is no legal move here; legal: {known}")
        raise UsageError(f"{typed[:40]!r} is no move of {self.spec.game}; moves: {known}")

    def attend(self, what: Attention) -> None:  # noqa: B027 - where nothing is costly nothing is left out
        """What the games are played for from now on: learning and matches, people who watch, or their states alone."""

    def pictures(self, index: int = 0) -> Sequence[Picture]:
        """The frames [H, W, 3] that game `index` showed in its last step or reset, oldest first, for "pictures".

        None of them where the game is drawn in character cells.
        """
        return ()

    def aim(self, seat: int, pointer: tuple[float, float], index: int = 0) -> int | None:
        """The action that follows a pointer in the picture (x, y from 0 to 1); None where no pointer suits the game."""
        return None

    def bookmark(self) -> Any:
        """The games as they stand, quicker to go back to than `state`, by envs of the same variant in this process."""
        return self.state()

    def return_to(self, bookmark: Any) -> Turn:
        """Put the games back to a bookmark; pictures come with the next step."""
        return self.load(bookmark)

    def packed(self, index: int = 0) -> bytes | None:
        """Game `index` as it stands, in bytes that `unpack` takes, in other processes too; None where a game's actions
        bring it back soon enough."""
        return None

    def unpack(self, packed: bytes, played: Tensor) -> None:
        """Put an env of one game, which has begun from the same seed, to where it was `packed`, after actions `played`
        [T, K]; observations and pictures come with the steps that follow.

        Bytes that `packed` has not made may crash the process.
        """
        raise NotImplementedError(f"{self.spec.game} is not packed")

    def close(self) -> None:  # noqa: B027 - most games hold nothing
        """Free what lies outside memory; nothing by default."""


def check_legal(turn: Turn, action: Tensor) -> Tensor:
    """[N, K] bool: whether each slot's action [N, K] is one that the rules allow (idle slots: True)."""
    assert turn.legal_action_mask is not None
    num_actions = turn.legal_action_mask.shape[-1]
    in_range = (action >= 0) & (action < num_actions)
    legal = turn.legal_action_mask.gather(-1, action.clamp(0, num_actions - 1).unsqueeze(-1)).squeeze(-1)
    return (in_range & legal) | (turn.player < 0)
