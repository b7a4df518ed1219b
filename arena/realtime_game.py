"""The games inside a real-time session: people and agents against the clock, a race of both, or a stored episode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from arena.episodes import decode_actions, malformed, seats_to_move
from arena.realtime_client import steps_a_second
from arena.session_client import Position, Result
from arena.session_game import LiveGame
from arena.store import Store
from envs.errors import ArenaError, UsageError
from envs.registry import make
from envs.rendering import Drawing
from envs.scaling import Picture

IDLE = ("noop", "stay")
"""What a seat does of which nothing is wanted; in games without such an action it goes on as before."""
BOOKMARK_STEPS = 20
"""A replay goes back to the nearest bookmark and steps on from there: at most so many steps."""
PREPARED_AT_ONCE = 8

Pointer = tuple[float, float]


class Table(ABC):
    """One or more games that a clock moves on together.

    Attributes:
        rate: steps a second at speed 1.
        people: the seats that people hold.
        pointer: whether a pointer moves something.
    """

    rate: float
    people: Sequence[int] = ()
    pointer: bool = False

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether there is nothing to come."""

    @abstractmethod
    def step(self) -> None:
        """One step of every game that goes on."""

    @abstractmethod
    def positions(self) -> list[Position]:
        """The games as they stand."""

    @abstractmethod
    def films(self) -> list[Sequence[Picture]]:
        """Per game the pictures of its last step, oldest first; none where games are drawn in cells."""

    def prepare(self) -> bool:
        """A little work ahead, while nothing else is to be done; False when all is done."""
        return False

    @property
    def ready(self) -> int | None:
        """Replays: up to which ply any place is reached at once."""
        return None


class LivePlay(LiveGame):
    """A game in which people's seats do at every step what is wanted of them at that moment."""

    def __init__(self, store: Store, game: str, seats: Sequence[Any], seed: int) -> None:
        super().__init__(store, game, seats, seed)
        self._env.attend("pictures")
        self._restart([])
        self.people = tuple(self._people)

    @property
    def over(self) -> bool:
        return self._result is not None

    def film(self) -> Sequence[Picture]:
        return self._env.pictures()

    def aim(self, seat: int, pointer: Pointer) -> int | None:
        return self._env.aim(seat, pointer)

    def play(self, wanted: Mapping[int, int | Pointer]) -> None:
        """One step; `wanted` is an action or where a pointer is, by seat."""
        for seat in seats_to_move(self._turn):
            if seat in self._people:
                self._chosen[seat] = self._action_for(seat, wanted.get(seat))
        self._play()

    def discount(self) -> None:
        """The game does not count any more."""
        self._rated = False

    def _action_for(self, seat: int, wanted: int | Pointer | None) -> int:
        legal = dict(self._legal(seat))
        action = self.aim(seat, wanted) if isinstance(wanted, tuple) else wanted
        if action in legal:
            return action
        idle = next((action for action, name in legal.items() if name in IDLE), None)
        if idle is not None:
            return idle
        before = [action for action, name in legal.items() if name == self._last.get(seat)]
        return before[0] if before else min(legal)

    def _drawing(self, to_move: Sequence[int]) -> Drawing:
        return Drawing([]) if self._env.pictures() else super()._drawing(to_move)


class LiveTable(Table):
    """A game of people and agents; in a race also the same game of an agent, from the same seed."""

    def __init__(self, store: Store, game: str, seats: Sequence[Any], seed: int, race: str | None = None) -> None:
        self._games = [LivePlay(store, game, seats, seed)]
        first = self._games[0]
        if race is not None:
            if first.spec.num_players != 1 or not first.people:
                raise UsageError("a race is run by a person in a game for one player")
            self._games.append(LivePlay(store, game, [race], seed))
        self.people = first.people
        self.rate = steps_a_second(game)
        self.pointer = bool(self.people) and first.aim(self.people[0], (0.5, 0.5)) is not None
        self._wanted: dict[int, int | Pointer] = {}
        self._num_actions = first.spec.num_actions or 0

    @property
    def over(self) -> bool:
        return all(game.over for game in self._games)

    def step(self) -> None:
        for game in self._games:
            if not game.over:
                game.play(self._wanted)

    def positions(self) -> list[Position]:
        return [game.position() for game in self._games]

    def films(self) -> list[Sequence[Picture]]:
        return [game.film() for game in self._games]

    def want(self, seat: int, wanted: int | Pointer | None) -> None:
        """From now on this is wanted of a person's seat, until something else is; None: nothing."""
        if seat not in self.people:
            raise UsageError(f"seat {seat} is not a person's; a person holds {list(self.people) or 'none'}")
        if isinstance(wanted, int) and not 0 <= wanted < self._num_actions:
            raise UsageError(f"action {wanted} is outside 0 … {self._num_actions - 1}")
        if wanted is None:
            self._wanted.pop(seat, None)
        else:
            self._wanted[seat] = wanted

    def let_go(self) -> None:
        """Nothing is wanted of any seat."""
        self._wanted.clear()

    def discount(self) -> None:
        """The person's game does not count any more: it was slowed down."""
        self._games[0].discount()

    def resign(self, seat: int) -> None:
        self._games[0].resign(seat)


class ReplayTable(Table):
    """A stored episode with pictures. A second emulator runs ahead of the one that is seen and leaves bookmarks."""

    def __init__(self, store: Store, episode: int) -> None:
        self.episode = store.episode(episode)
        self._names = [store.agent_by_id(player.agent).name for player in self.episode.players]
        self._env, self._ahead = (make(self.episode.game, autoreset=False) for _ in range(2))
        problem = malformed(self._env.spec, self.episode)
        if problem:
            raise ArenaError(f"episode {episode}: {problem}")
        self._actions = decode_actions(self._env.spec, self.episode)
        if not bool(((self._actions >= 0) & (self._actions < (self._env.spec.num_actions or 0))).all()):
            raise ArenaError(f"episode {episode} has actions that are none of {self.episode.game}")
        self.rate = steps_a_second(self.episode.game)
        seeds = torch.tensor([self.episode.seed])
        self._env.attend("pictures")
        self._ahead.attend("states")
        self._env.reset(seeds)
        self._ahead.reset(seeds)
        self._ply = self._ahead_ply = 0
        zero = [0.0] * self._env.spec.num_players
        self._returns: list[list[float]] = [zero]
        self._marks: dict[int, Any] = {0: self._ahead.bookmark()}

    @property
    def over(self) -> bool:
        return self._ply == self.episode.length

    @property
    def ready(self) -> int:
        return self._ahead_ply

    def step(self) -> None:
        if not self.over:
            self._reach(self._ply + 1)
            self._env.step(self._actions[self._ply].unsqueeze(0))
            self._ply += 1

    def seek(self, ply: int) -> None:
        """Show the position after `ply` steps; raises UsageError outside the episode."""
        if not 0 <= ply <= self.episode.length:
            raise UsageError(f"ply {ply} is outside 0 … {self.episode.length}")
        self._reach(ply)
        if ply == self._ply:
            return
        mark = max((at for at in self._marks if at < ply), default=0)
        if ply == 0:
            self._env.reset(torch.tensor([self.episode.seed]))
            self._ply = 0
        elif not mark <= self._ply < ply:
            self._env.return_to(self._marks[mark])
            self._ply = mark
        while self._ply < ply:
            self._env.attend("states" if self._ply < ply - 1 else "pictures")
            self._env.step(self._actions[self._ply].unsqueeze(0))
            self._ply += 1

    def prepare(self) -> bool:
        self._reach(min(self._ahead_ply + PREPARED_AT_ONCE, self.episode.length))
        return self._ahead_ply < self.episode.length

    def _reach(self, ply: int) -> None:
        """Let the emulator that runs ahead come to `ply`."""
        while self._ahead_ply < ply:
            step = self._ahead.step(self._actions[self._ahead_ply].unsqueeze(0))
            self._ahead_ply += 1
            gained = step.rewards[0].tolist()
            self._returns.append([a + b for a, b in zip(self._returns[-1], gained, strict=True)])
            over = bool(step.terminated[0] | step.truncated[0])
            if over and self._ahead_ply < self.episode.length:
                raise ArenaError(
                    f"episode {self.episode.id}: the game ends at step {self._ahead_ply}, before its record"
                )
            if self._ahead_ply % BOOKMARK_STEPS == 0 and not over:
                self._marks[self._ahead_ply] = self._ahead.bookmark()

    def positions(self) -> list[Position]:
        episode = self.episode
        players = episode.players
        last = self._actions[self._ply - 1].tolist() if self._ply else []
        return [
            Position(
                game=episode.game,
                ply=self._ply,
                drawing=Drawing([]),
                seats=self._names,
                to_move=() if self.over else tuple(range(len(players))),
                returns=self._returns[self._ply],
                last={seat: self._env.names(seat)[action] for seat, action in enumerate(last)},
                over=self.over,
                rated=episode.rated,
                result=Result([p.score for p in players], [p.reward for p in players], episode.reason)
                if self.over
                else None,
                episode=episode.id,
                length=episode.length,
            )
        ]

    def films(self) -> list[Sequence[Picture]]:
        return [self._env.pictures()]
