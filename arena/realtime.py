"""Games that go on by themselves, in a process of their own (`arena.game_child`).

Emulators and agents run here on a clock; requests say what is wanted of people's seats (the latest counts) and what
the clock should do; what is to be seen stands in shared memory and never waits for anybody to look at it. A step
that begins late is not caught up with. The protocol is part of `docs/plans/session-protocol.md`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from arena.child import encode
from arena.episodes import verify_batch
from arena.frames import FrameMemory
from arena.realtime_client import SPEEDS, Done, Scene, has_pictures
from arena.realtime_game import LiveTable, Pointer, ReplayTable, Table
from arena.roster import require_scripts
from arena.session_client import PROTOCOL, Refusal, Verified
from arena.session_pipe import Request, StoreServer, db_of, field, parse_request, seed_of
from envs.errors import ArenaError, UsageError

PAINTS_A_SECOND = 60
Answer = Done | Verified | Refusal


class Clock:
    """When the next step and the next picture are due. Times are in seconds of `now`."""

    def __init__(self, rate: float, now: Callable[[], float]) -> None:
        self._now = now
        self.rate = rate
        self.speed = 1.0
        self.running = False
        self.late = 0
        self._began = self._painted = now()

    @property
    def period(self) -> float:
        """Seconds from one step to the next."""
        return 1 / (self.rate * self.speed)

    def start(self) -> None:
        """The next step is due at once."""
        self._began = self._now() - self.period
        self.running = True

    def until_step(self) -> float:
        """Seconds until the next step is due, negative where it is late."""
        return self._began + self.period - self._now()

    def step_begins(self) -> None:
        """A step begins now. One that is more than a whole step late is not made up for."""
        if self.until_step() < -self.period:
            self.late += 1
            self._began = self._now()
        else:
            self._began += self.period

    def until_paint(self, part: int, parts: int) -> float:
        """Seconds until picture `part` of a step of `parts` is due."""
        due = self._began + self.period * part / parts
        return max(due, self._painted + 0.9 / PAINTS_A_SECOND) - self._now()

    def paints(self) -> None:
        """A picture is shown now."""
        self._painted = self._now()


class Server(StoreServer):
    """Answers requests about at most one game at a time, and moves it on: see `until_due` and `work`."""

    def __init__(self, memory: FrameMemory, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._memory = memory
        self._now = now
        self._table: Table | None = None
        self._clock = Clock(1.0, now)
        self._waiting = self._preparing = False
        self._part = 0
        self._text = b""

    def handle(self, request: Request) -> Iterator[Answer]:
        """The answers to a request. Raises ArenaError where it is refused; nothing has changed then."""
        do = field(request, "do", str)
        handlers: dict[str, Callable[[Request], Answer | None]] = {
            "open": self._open,
            "replay": self._replay,
            "input": self._input,
            "pointer": self._pointer,
            "clock": self._set_clock,
            "step": self._single_step,
            "seek": self._seek,
            "resign": self._resign,
            "verify": self._verify,
        }
        if do not in handlers:
            raise UsageError(f"unknown request {do[:40]!r}; known: {', '.join(handlers)}, close")
        answer = handlers[do](request)
        if answer is not None:
            yield answer

    def halt(self) -> None:
        """Let nothing go on by itself: a step could not be made."""
        self._clock.running = self._preparing = False
        if self._table is not None:
            self._tell()

    def until_due(self) -> float | None:
        """Seconds until there is something to do; None: only a request changes anything."""
        if self._clock.running:
            parts = self._parts()
            next_paint = self._clock.until_paint(self._part + 1, parts) if self._part + 1 < parts else float("inf")
            return max(0.0, min(self._clock.until_step(), next_paint))
        return 0.0 if self._preparing else None

    def work(self) -> None:
        """Do what is due: a step, a picture, or some of the work ahead."""
        if self._table is None:
            return
        if self._clock.running and self._clock.until_step() <= 0:
            self._clock.step_begins()
            self._step()
            if self._table.over:
                self._show(self._parts() - 1)
            elif self._clock.until_paint(0, 1) <= 0:
                self._show(0)
            else:
                self._part = -1  # a moment too early for another picture
        elif self._clock.running and self._part + 1 < self._parts():
            part = self._part + 1
            while part + 1 < self._parts() and self._clock.until_paint(part + 1, self._parts()) <= 0:
                part += 1
            if self._clock.until_paint(part, self._parts()) <= 0:
                self._show(part)
        elif self._preparing:
            self._preparing = self._table.prepare()
            if not self._preparing:
                self._tell()
        if self._clock.running and self._preparing and (self.until_due() or 0.0) > 0.01:
            self._preparing = self._table.prepare()

    def _step(self) -> None:
        assert self._table is not None
        self._table.step()
        if self._table.over:
            self._clock.running = False
        self._describe()

    def _parts(self) -> int:
        assert self._table is not None
        return max(1, *(len(film) for film in self._table.films()))

    def _show(self, part: int) -> None:
        """Show picture `part` of the last step; of a shorter film its last one."""
        assert self._table is not None
        self._part = part
        pictures = [film[min(part, len(film) - 1)] for film in self._table.films() if film]
        self._memory.write(self._text, pictures)
        self._clock.paints()

    def _describe(self) -> None:
        assert self._table is not None
        scene = Scene(
            positions=self._table.positions(),
            running=self._clock.running,
            speed=self._clock.speed,
            rate=self._clock.rate,
            waiting=self._waiting,
            late=self._clock.late,
            pointer=self._table.pointer,
            ready=self._table.ready,
        )
        self._text = scene.to_json()

    def _tell(self) -> None:
        """Show how things stand, with the last picture."""
        self._describe()
        self._show(self._parts() - 1)

    def _begin(self, table: Table) -> Done:
        self._table = table
        self._clock = Clock(table.rate, self._now)
        self._waiting = bool(table.people)
        self._preparing = table.ready is not None
        if not self._waiting and table.ready is None:
            self._clock.start()
        self._tell()
        return Done()

    def _open(self, request: Request) -> Done:
        seats, game = field(request, "seats", list), field(request, "game", str)
        race = field(request, "race", str, None)
        names = [name for name in (*seats, race) if isinstance(name, str)]
        require_scripts(db_of(request), game, names)
        store = self.store_at(request, create=True)
        return self._begin(LiveTable(store, game, seats, seed_of(request), race))

    def _replay(self, request: Request) -> Done:
        store = self.store_at(request, create=False)
        episode = store.episode(field(request, "episode", int))
        if not has_pictures(episode.game):
            raise UsageError(f"episode {episode.id} is of {episode.game}, which has no pictures")
        return self._begin(ReplayTable(store, episode.id))

    def _input(self, request: Request) -> None:
        action = field(request, "action", int, None)
        self._want(request, action)

    def _pointer(self, request: Request) -> None:
        x, y = request.get("x"), request.get("y")
        if not all(isinstance(at, int | float) and not isinstance(at, bool) and 0 <= at <= 1 for at in (x, y)):
            raise UsageError("a pointer's x and y are numbers from 0 to 1")
        assert x is not None
        assert y is not None
        self._want(request, (float(x), float(y)))

    def _want(self, request: Request, wanted: int | Pointer | None) -> None:
        """No answer; what comes when the game has just ended is no mistake. The first button starts the clock."""
        table = self._known()
        if not isinstance(table, LiveTable):
            raise UsageError("a replay is looked at, not played")
        table.want(field(request, "seat", int), wanted)
        if self._waiting and wanted is not None:
            self._waiting = False
            self._clock.start()
            self._describe()

    def _set_clock(self, request: Request) -> Done:
        table = self._known()
        speed = request.get("speed", self._clock.speed)
        if speed not in SPEEDS or isinstance(speed, bool):
            raise UsageError(f"a speed is one of {', '.join(f'{speed:g}' for speed in SPEEDS)}")
        running = field(request, "running", bool, self._clock.running)
        self._clock.speed = float(speed)
        if isinstance(table, LiveTable):
            if speed < 1 and table.people and not table.over:
                table.discount()
            if not running:
                table.let_go()
        if running and not self._clock.running and not table.over:
            self._waiting = False
            self._clock.start()
        self._clock.running = running and not table.over
        self._tell()
        return Done()

    def _single_step(self, request: Request) -> Done:
        table = self._known()
        if table.over:
            raise UsageError("the game is over")
        if isinstance(table, LiveTable) and table.people:
            table.discount()
        self._clock.running = self._waiting = False
        self._step()
        self._tell()
        return Done()

    def _seek(self, request: Request) -> Done:
        table = self._known()
        if not isinstance(table, ReplayTable):
            raise UsageError("only in replays one can go anywhere")
        table.seek(field(request, "ply", int))
        self._tell()
        return Done()

    def _resign(self, request: Request) -> Done:
        table = self._live()
        table.resign(field(request, "seat", int))
        self._waiting = False
        self._clock.running = self._clock.running and not table.over
        self._tell()
        return Done()

    def _verify(self, request: Request) -> Verified:
        table = self._known()
        if not isinstance(table, ReplayTable):
            raise UsageError("no episode is being replayed here; replay one first")
        (verdict,) = verify_batch([table.episode])
        return Verified(verdict.ok, verdict.problem or "every step is as recorded")

    def _known(self) -> Table:
        if self._table is None:
            raise UsageError("no game is being played here; open one first")
        return self._table

    def _live(self) -> LiveTable:
        table = self._known()
        if not isinstance(table, LiveTable):
            raise UsageError("a replay is looked at, not played")
        if table.over:
            raise UsageError("the game is over")
        return table


def line_of(answer: Answer, number: int | None) -> bytes:
    """An answer as a line of the protocol."""
    data: dict[str, Any] = {"event": "error" if isinstance(answer, Refusal) else type(answer).__name__.lower()}
    data |= dataclasses.asdict(answer)
    data["id"] = number
    return encode({name: value for name, value in data.items() if value is not None})


def serve(server: Server, requests: queue.Queue[bytes | None], output: BinaryIO) -> int:
    """Answer requests and move the game on until there are no more (None), `close`, or a fatal error; exit status."""

    def send(answer: Answer, number: int | None) -> None:
        output.write(line_of(answer, number))
        output.flush()

    number: int | None = None
    try:
        while True:
            number = None
            try:
                line = requests.get(timeout=server.until_due())
            except queue.Empty:
                line = b""
            try:
                if line is None:
                    return 0
                if line:
                    request = parse_request(line)
                    number = request["id"]
                    if request.get("protocol", PROTOCOL) != PROTOCOL:
                        message = f"protocol {request['protocol']!r} is not spoken here; this is {PROTOCOL}"
                        send(Refusal(message, fatal=True), number)
                        return 1
                    if request.get("do") == "close":
                        return 0
                    for answer in server.handle(request):
                        send(answer, number)
                if server.until_due() == 0.0:
                    server.work()
            except ArenaError as error:
                if not line:
                    server.halt()
                send(Refusal(str(error).replace("\n", " ")), number)
    except BrokenPipeError:
        return 0
    except Exception as error:
        traceback.print_exc()
        message = f"the game broke down: {type(error).__name__}: {error}".replace("\n", " ")
        print(message, file=sys.stderr, flush=True)
        with contextlib.suppress(OSError):
            send(Refusal(message[:500], fatal=True), number)
        return 1
    finally:
        server.close()
