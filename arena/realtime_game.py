"""The games inside a real-time session: people and agents against the clock, a race of both, or a stored episode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from arena.episode_states import Place, complete, usable
from arena.episodes import as_recorded, decode_actions, malformed, seats_to_move
from arena.realtime_client import steps_a_second
from arena.records import Episode
from arena.session_client import Position, Result
from arena.session_game import LiveGame
from arena.store import Store
from envs.errors import ArenaError, UsageError
from envs.protocol import VecEnv
from envs.registry import make
from envs.rendering import Drawing
from envs.scaling import Picture

IDLE = ("noop", "stay")
"""What a seat does of which nothing is wanted; in games without such an action it goes on as before."""
BOOKMARK_STEPS = 20
"""Steps from one mark of a replay to the next."""
PREPARED_AT_ONCE = 8
WRONG_PLACES = 3
"""So many places in a row from which a replay went astray, and it goes on from the beginning."""

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
        """The game does not count any more; one that is stored stays as it is."""
        self._rated = self._rated and self.over

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
        self._still: list[LivePlay] = []  # over before the last step
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
        self._still = [game for game in self._games if game.over]
        for game in self._games:
            if game not in self._still:
                game.play(self._wanted)

    def positions(self) -> list[Position]:
        return [game.position() for game in self._games]

    def films(self) -> list[Sequence[Picture]]:
        return [game.film()[-1:] if game in self._still else game.film() for game in self._games]

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


class Mark(NamedTuple):
    """Where a replay may go back to: the game after some steps, and each seat's return until then."""

    returns: list[float]
    bookmark: Any


class Astray(ArenaError):
    """From the place that a replay went on from the game does not go on as it was recorded."""


class _Emulator:
    """An episode's game at some step, which leaves marks on its way.

    Attributes:
        ply: steps so far.
        returns: of each seat until here.
        start: the place that it went on from; 0 is the beginning.
    """

    def __init__(self, env: VecEnv, episode: Episode, actions: Tensor, marks: dict[int, Mark]) -> None:
        self.env = env
        self._episode = episode
        self._actions = actions
        self._marks = marks
        self._comparable = episode.backend in (None, env.spec.backend)
        self.begin()

    def begin(self) -> None:
        self.env.reset(torch.tensor([self._episode.seed]))
        self.start = self.ply = 0
        self.returns = [0.0] * self.env.spec.num_players
        self._marks.setdefault(0, Mark(self.returns, self.env.bookmark()))

    def step(self, pictures: bool = False) -> None:
        """The next step of the record.

        Raises Astray where it does not come out as recorded, and ArenaError where the game ends before its record.
        """
        self.env.attend("pictures" if pictures else "states")
        step = self.env.step(self._actions[self.ply].unsqueeze(0))
        self.ply += 1
        unsure = self.start > 0 and self._comparable  # an emulator's state may not hold all of a game
        if unsure and not as_recorded(self._episode, self.ply, step, self.env.fingerprints()[0]):
            raise Astray(f"episode {self._episode.id}: from step {self.start} it does not go on as recorded")
        self.returns = [a + b for a, b in zip(self.returns, step.rewards[0].tolist(), strict=True)]
        over = bool(step.terminated[0] | step.truncated[0])
        if over and self.ply < self._episode.length:
            raise ArenaError(f"episode {self._episode.id}: the game ends at step {self.ply}, before its record")
        if self.ply % BOOKMARK_STEPS == 0 and not over and self.ply not in self._marks:
            self._marks[self.ply] = Mark(self.returns, self.env.bookmark())

    def go_to(self, ply: int) -> None:
        """To a mark; what is shown comes with the next step."""
        self.returns, bookmark = self._marks[ply]
        self.env.return_to(bookmark)
        self.start = self.ply = ply

    def go_to_state(self, ply: int, state: Place) -> None:
        """To a stored state."""
        self.env.unpack(state.packed, self._actions[:ply])
        self.start, self.ply, self.returns = ply, ply, state.returns


class ReplayTable(Table):
    """A stored episode with pictures. It goes on from stored states and from marks that it leaves on its way; where
    there are no states, a second emulator runs ahead of the one that is seen and leaves more."""

    def __init__(self, store: Store, episode: int) -> None:
        self.episode = store.with_states(store.episode(episode))
        self._names = [store.agent_by_id(player.agent).name for player in self.episode.players]
        env = make(self.episode.game, autoreset=False)
        env.attend("pictures")
        spec = env.spec
        problem = malformed(spec, self.episode)
        if problem:
            raise ArenaError(f"episode {episode}: {problem}")
        self._actions = decode_actions(spec, self.episode)
        if not bool(((self._actions >= 0) & (self._actions < (spec.num_actions or 0))).all()):
            raise ArenaError(f"episode {episode} has actions that are none of {self.episode.game}")
        self.rate = steps_a_second(self.episode.game)
        self._marks: dict[int, Mark] = {}
        self._shown = _Emulator(env, self.episode, self._actions, self._marks)
        self._states = usable(spec, self.episode, self.episode.states, env.packed() or b"")
        self._complete = complete(self.episode, self._states)

    @cached_property
    def _ahead(self) -> _Emulator:
        """The second emulator, from when it is first wanted."""
        return _Emulator(make(self.episode.game, autoreset=False), self.episode, self._actions, self._marks)

    @property
    def over(self) -> bool:
        return self._shown.ply == self.episode.length

    @property
    def ready(self) -> int:
        return self.episode.length if self._complete else self._ahead.ply

    def prepare(self) -> bool:
        if self.ready < self.episode.length:
            self._run_ahead(min(self._ahead.ply + PREPARED_AT_ONCE, self.episode.length))
        return self.ready < self.episode.length

    def step(self) -> None:
        if not self.over:
            self.seek(self._shown.ply + 1)

    def seek(self, ply: int) -> None:
        """Show the position after `ply` steps; raises UsageError outside the episode."""
        if not 0 <= ply <= self.episode.length:
            raise UsageError(f"ply {ply} is outside 0 … {self.episode.length}")
        if ply == 0:
            self._shown.env.attend("pictures")
            self._shown.begin()
        if not self._complete:
            self._run_ahead(ply)
        wrong = 0
        while self._shown.ply != ply:
            try:
                self._approach(ply)
                while self._shown.ply < ply:
                    self._shown.step(pictures=self._shown.ply == ply - 1)
            except Astray:
                wrong += 1
                self._forget(self._shown.start, all_places=wrong == WRONG_PLACES)
                self._shown.begin()

    def _approach(self, ply: int) -> None:
        """Go to the nearest place before `ply`; it is shown only with the next step."""
        here = self._shown.ply if self._shown.ply < ply else -1
        mark, state = (max((at for at in places if at < ply), default=0) for places in (self._marks, self._states))
        if max(mark, state) <= here:
            return
        if state > mark:
            self._shown.go_to_state(state, self._states[state])
        elif mark:
            self._shown.go_to(mark)
        else:
            self._shown.begin()

    def _forget(self, place: int, all_places: bool = False) -> None:
        """Go on from this place no more, or from none but the beginning: this game's states do not hold all of it."""
        for places in (self._marks, self._states):
            if all_places:
                places.clear()
            else:
                places.pop(place, None)

    def _run_ahead(self, ply: int) -> None:
        while self._ahead.ply < ply:
            self._ahead.step()

    def positions(self) -> list[Position]:
        episode, ply = self.episode, self._shown.ply
        players = episode.players
        last = self._actions[ply - 1].tolist() if ply else []
        return [
            Position(
                game=episode.game,
                ply=ply,
                drawing=Drawing([]),
                seats=self._names,
                to_move=() if self.over else tuple(range(len(players))),
                returns=self._shown.returns,
                last={seat: self._shown.env.names(seat)[action] for seat, action in enumerate(last)},
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
        return [self._shown.env.pictures()]
