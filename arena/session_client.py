"""The torch-free end of a session: what front ends send, what they get back, and the child process in between.

`Session` blocks, for the command line; the app has `arena.game_client`. The protocol stands in
`docs/plans/session-protocol.md`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any

from arena.child import GRACE_SECONDS, SessionDied, death, encode
from envs.errors import ArenaError
from envs.rendering import Drawing

PROTOCOL = 1
COMMAND = (sys.executable, "-m", "arena.session")

Seat = str | Mapping[str, str]
"""An agent's name, or {"human": name}."""


@dataclass(frozen=True)
class Mind:
    """What an agent thought: the value it expects (None: no opinion), its likeliest moves and their probabilities.

    Attributes:
        q: what it expects of every legal action, where it says so and they are few.
        visits: of an agent that searches, how often it tried its most tried moves; `simulations` is the whole number.
        line: the moves that it expects of both sides from here on.
    """

    value: float | None
    top: Sequence[tuple[str, float]]
    q: Sequence[tuple[str, float]] = ()
    visits: Sequence[tuple[str, int]] = ()
    line: Sequence[str] = ()
    simulations: int = 0

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"value": self.value, "top": [list(move) for move in self.top]}
        data |= {"q": [list(move) for move in self.q]} if self.q else {}
        if self.visits:
            data |= {"visits": [list(move) for move in self.visits], "simulations": self.simulations}
        return data | ({"line": list(self.line)} if self.line else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Mind:
        top, q, visits = ([(name, number) for name, number in data.get(part, ())] for part in ("top", "q", "visits"))
        line = [str(name) for name in data.get("line", ())]
        return cls(data["value"], top, q or (), visits or (), line or (), data.get("simulations", 0))


@dataclass(frozen=True)
class Result:
    """How a game ended: per seat the score (1, ½ or 0; None in one-player games) and the return, and why it ended.

    `forfeit` says what somebody did in place of a move, where that is why.
    """

    scores: Sequence[float | None]
    returns: Sequence[float]
    reason: str
    forfeit: str | None = None


@dataclass(frozen=True)
class Position:
    """A game as it stands.

    Attributes:
        game: the canonical variant. seats: who plays each seat. rated: whether the game counts.
        to_move: the seats that decide now. legal: per human seat to move, its (action, name) pairs.
        returns: per seat, the rewards so far.
        last: seat → the name of the move it made last. minds: seat → what its agent thought then.
        episode: its number in the Store once it is stored. rating: player → (before, after); before is None at
            a first game.
        length: plies of the whole game (replays only).
        kept: whether who leaves the game now can go on with it later.
        mapped: whose values and policy the drawing shows over the map of a gridworld, if it does.
        id: of the request that this answers; None when an agent moved of its own accord.
    """

    game: str
    ply: int
    drawing: Drawing
    seats: Sequence[str]
    to_move: Sequence[int] = ()
    legal: Mapping[int, Sequence[tuple[int, str]]] = field(default_factory=dict)
    returns: Sequence[float] = ()
    last: Mapping[int, str] = field(default_factory=dict)
    over: bool = False
    rated: bool = True
    result: Result | None = None
    episode: int | None = None
    rating: Mapping[str, tuple[float | None, float]] = field(default_factory=dict)
    minds: Mapping[int, Mind] = field(default_factory=dict)
    length: int | None = None
    kept: bool = False
    mapped: str | None = None
    id: int | None = None

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"event": "position"} | self.__dict__
        data["drawing"] = self.drawing.to_json()
        data["legal"] = {str(seat): [list(move) for move in moves] for seat, moves in self.legal.items()}
        data["last"] = {str(seat): name for seat, name in self.last.items()}
        data["minds"] = {str(seat): mind.to_json() for seat, mind in self.minds.items()}
        data["result"] = self.result and self.result.__dict__
        return {name: value for name, value in data.items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Position:
        fields = {name: value for name, value in data.items() if name in cls.__dataclass_fields__}
        fields["drawing"] = Drawing.from_json(data["drawing"])
        fields["legal"] = {
            int(seat): [(action, name) for action, name in moves] for seat, moves in data["legal"].items()
        }
        fields["last"] = {int(seat): name for seat, name in data["last"].items()}
        fields["minds"] = {int(seat): Mind.from_json(mind) for seat, mind in data["minds"].items()}
        fields["rating"] = {name: (before, after) for name, (before, after) in data["rating"].items()}
        fields["result"] = Result(**data["result"]) if "result" in data else None
        return cls(**fields)


@dataclass(frozen=True)
class Hint:
    """What `agent` would do in `seat`'s place; the game becomes unrated."""

    seat: int
    agent: str
    mind: Mind
    id: int | None = None


@dataclass(frozen=True)
class Verified:
    """Whether re-simulating the episode gave the stored hash chain; the message names the first step that differs."""

    ok: bool
    message: str
    id: int | None = None


@dataclass(frozen=True)
class Annotated:
    """What the agent `by` thinks of each position of an episode but the last (values: seat 0's, rewards so far and to
    come), and the ply whose move changed the value most (None: none did)."""

    by: str
    minds: Sequence[Mind]
    decisive: int | None
    id: int | None = None


@dataclass(frozen=True)
class Refusal:
    """A request that was not carried out, and why. The position stands. After a fatal one the child exits."""

    message: str
    fatal: bool = False
    id: int | None = None


Event = Position | Hint | Verified | Annotated | Refusal


class SessionError(ArenaError):
    """A request was refused; the message says why."""


def decode_event(line: bytes) -> Event:
    """A line from the child → an event. Raises SessionDied for anything else: the child cannot be trusted."""
    try:
        data = json.loads(line)
        match data["event"]:
            case "position":
                return Position.from_json(data)
            case "hint":
                return Hint(data["seat"], data["agent"], Mind.from_json(data), data.get("id"))
            case "verified":
                return Verified(data["ok"], data["message"], data.get("id"))
            case "annotated":
                minds = [Mind.from_json(mind) for mind in data["minds"]]
                return Annotated(data["by"], minds, data["decisive"], data.get("id"))
            case "error":
                return Refusal(data["message"], data["fatal"], data.get("id"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SessionDied(f"the session sent a line that is no event ({type(error).__name__})") from error
    raise SessionDied(f"the session sent an unknown event {data['event']!r}")


def open_request(
    db: str, game: str, seats: Sequence[Seat], seed: int | None = None, greedy: bool | None = None, **start: Any
) -> dict[str, Any]:
    """The fields of an `open`. greedy: None plays as in matches (the first plies sampled, then the likeliest move).

    start: `moves`, `episode` and `ply`, `temperature`, as `session_start.Start` says.
    """
    request = {
        "do": "open",
        "protocol": PROTOCOL,
        "db": db,
        "game": game,
        "seats": list(seats),
        "seed": seed,
        "greedy": greedy,
        **start,
    }
    return {name: value for name, value in request.items() if value is not None}


def resume_request(db: str) -> dict[str, Any]:
    """The fields of a `resume`: go on with the unfinished game."""
    return {"do": "resume", "protocol": PROTOCOL, "db": db}


def replay_request(db: str, episode: int) -> dict[str, Any]:
    """The fields of a `replay`."""
    return {"do": "replay", "protocol": PROTOCOL, "db": db, "episode": episode}


class Session:
    """A session for a command line: every method waits. Use as a context manager; leaving it ends the child.

    Raises SessionError where a request is refused and SessionDied where the child dies.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._next_id = 0
        self._stderr: deque[str] = deque(maxlen=20)
        assert self._process.stderr is not None
        self._stderr_thread = threading.Thread(target=self._read_stderr, args=(self._process.stderr,), daemon=True)
        self._stderr_thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def open(
        self,
        db: str,
        game: str,
        seats: Sequence[Seat],
        seed: int | None = None,
        greedy: bool | None = None,
        **start: Any,
    ) -> Position:
        """Start a game (`start`: as in `open_request`); `wait` then gives the position in which a person is to move."""
        return self._position(open_request(db, game, seats, seed, greedy, **start))

    def resume(self, db: str) -> Position:
        """Go on with the unfinished game."""
        return self._position(resume_request(db))

    def replay(self, db: str, episode: int) -> Position:
        """Load a stored episode, at ply 0."""
        return self._position(replay_request(db, episode))

    def act(self, seat: int, action: int | None = None, move: str | None = None) -> Position:
        """Play an action, or a typed move, in `seat`; the position before any agent has answered."""
        return self._position({"do": "act", "seat": seat} | ({"move": move} if action is None else {"action": action}))

    def step(self) -> Position:
        """Watching: let the agents play one step."""
        return self._position({"do": "step"})

    def undo(self, seat: int) -> Position:
        """Back to `seat`'s last decision; the game becomes unrated."""
        return self._position({"do": "undo", "seat": seat})

    def resign(self, seat: int) -> Position:
        """Give the game up; it is stored as a loss."""
        return self._position({"do": "resign", "seat": seat})

    def seek(self, ply: int) -> Position:
        """Replays: go to `ply`."""
        return self._position({"do": "seek", "ply": ply})

    def hint(self, seat: int, agent: str | None = None) -> Hint:
        """What `agent` (default: the strongest known) would do in `seat`'s place; the game becomes unrated."""
        answer = self.request({"do": "hint", "seat": seat} | ({"agent": agent} if agent else {}))
        assert isinstance(answer, Hint)
        return answer

    def verify(self) -> Verified:
        """Replays: re-simulate the episode and compare its hash chain."""
        answer = self.request({"do": "verify"})
        assert isinstance(answer, Verified)
        return answer

    def wait(self, position: Position) -> Position:
        """Read on from `position` until somebody outside is needed: a person to move, or the game over."""
        while not (position.over or position.legal):
            event = self._read()
            if isinstance(event, Refusal):
                raise SessionError(event.message)
            if isinstance(event, Position):
                position = event
        return position

    def request(self, request: Mapping[str, Any]) -> Event:
        """Send a request and wait for the event that answers it."""
        assert self._process.stdin is not None
        self._next_id += 1
        try:
            self._process.stdin.write(encode({**request, "id": self._next_id}))
            self._process.stdin.flush()
        except OSError:
            pass  # the child is gone: reading says how
        while (event := self._read()).id != self._next_id and not (isinstance(event, Refusal) and event.fatal):
            pass
        if isinstance(event, Refusal):
            raise SessionError(event.message)
        return event

    def close(self) -> None:
        """End the child and reap it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(encode({"do": "close"}))
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _position(self, request: Mapping[str, Any]) -> Position:
        answer = self.request(request)
        assert isinstance(answer, Position)
        return answer

    def _read(self) -> Event:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line.endswith(b"\n"):
            return decode_event(line)
        self._process.wait()
        self._stderr_thread.join(GRACE_SECONDS)
        raise death("game", self._process.returncode, self._stderr)

    def _read_stderr(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._stderr.append(line.decode(errors="replace"))
