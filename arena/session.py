"""One game being played, watched or replayed, in a process of its own: `python -m arena.session`.

The protocol is `docs/plans/session-protocol.md`, the other end `arena/session_client.py`, the game
`arena/session_game.py`, the pipes `arena/session_pipe.py`.
"""

from __future__ import annotations

import queue
import sys
import traceback
from collections.abc import Iterator
from typing import BinaryIO

from arena.annotation import annotate
from arena.child import encode
from arena.episodes import verify_batch
from arena.roster import require_scripts
from arena.session_client import PROTOCOL, Annotated, Event, Hint, Position, Refusal, Verified
from arena.session_game import LiveGame, ReplayedGame
from arena.session_pipe import Request, StoreServer, db_of, field, leave, open_pipes, parse_request, seed_of
from arena.session_start import Start, read_unfinished
from envs.errors import ArenaError, UsageError


class Server(StoreServer):
    """Answers requests about at most one game at a time; `open` and `replay` replace it."""

    def __init__(self) -> None:
        super().__init__()
        self._game: LiveGame | None = None
        self._replay: ReplayedGame | None = None

    def handle(self, request: Request) -> Iterator[Event]:
        """The answer to a request, and after it the positions that the agents' own moves lead to.

        Raises ArenaError where it is refused; nothing has changed then.
        """
        do = field(request, "do", str)
        handlers = {
            "open": self._open,
            "resume": self._resume,
            "replay": self._open_replay,
            "act": self._act,
            "step": self._step,
            "undo": self._undo,
            "hint": self._hint,
            "resign": self._resign,
            "map": self._map,
            "seek": self._seek,
            "verify": self._verify,
            "annotate": self._annotate,
        }
        if do not in handlers:
            raise UsageError(f"unknown request {do[:40]!r}; known: {', '.join(handlers)}, close")
        yield from handlers[do](request)

    def _open(self, request: Request) -> Iterator[Event]:
        seats, game_name = field(request, "seats", list), field(request, "game", str)
        require_scripts(db_of(request), game_name, [seat for seat in seats if isinstance(seat, str)])
        store = self.store_at(request, create=True)
        temperature = request.get("temperature")
        if temperature is not None and (isinstance(temperature, bool) or not isinstance(temperature, int | float)):
            raise UsageError("temperature must be a number")
        moves = field(request, "moves", list, [])
        if not all(isinstance(move, str) for move in moves):
            raise UsageError("moves must be words")
        start = Start(moves, field(request, "episode", int, None), field(request, "ply", int, 0), temperature)
        yield from self._begin(
            LiveGame(store, game_name, seats, seed_of(request), field(request, "greedy", bool, None), start)
        )

    def _resume(self, request: Request) -> Iterator[Event]:
        store = self.store_at(request, create=False)
        kept = read_unfinished(store)
        if kept is None:
            raise UsageError("there is no unfinished game")
        start = Start(actions=kept["actions"], rated=kept["rated"])
        yield from self._begin(LiveGame(store, kept["game"], kept["seats"], kept["seed"], None, start))

    def _begin(self, game: LiveGame) -> Iterator[Event]:
        self._game, self._replay = game, None
        yield game.position()
        yield from game.advance()

    def _open_replay(self, request: Request) -> Iterator[Event]:
        store = self.store_at(request, create=False)
        self._replay, self._game = ReplayedGame(store, field(request, "episode", int)), None
        yield self._replay.position()

    def _act(self, request: Request) -> Iterator[Event]:
        game = self._live()
        game.act(field(request, "seat", int), field(request, "action", int, None), field(request, "move", str, None))
        yield game.position()
        yield from game.advance()

    def _step(self, request: Request) -> Iterator[Event]:
        game = self._live()
        game.step()
        yield game.position()

    def _undo(self, request: Request) -> Iterator[Event]:
        game = self._live()
        game.undo(field(request, "seat", int))
        yield game.position()

    def _hint(self, request: Request) -> Iterator[Event]:
        seat = field(request, "seat", int)
        name, mind = self._live().hint(seat, field(request, "agent", str, None))
        yield Hint(seat, name, mind)

    def _resign(self, request: Request) -> Iterator[Event]:
        game = self._live()
        game.resign(field(request, "seat", int))
        yield game.position()

    def _map(self, request: Request) -> Iterator[Event]:
        game = self._live()
        game.show_map(field(request, "on", bool, True), field(request, "agent", str, None))
        yield game.position()

    def _seek(self, request: Request) -> Iterator[Event]:
        replay = self._replayed()
        replay.seek(field(request, "ply", int))
        yield replay.position()

    def _verify(self, request: Request) -> Iterator[Event]:
        (verdict,) = verify_batch([self._replayed().episode])
        yield Verified(verdict.ok, verdict.problem or "every step is as recorded")

    def _annotate(self, request: Request) -> Iterator[Event]:
        by = field(request, "agent", str, None)
        yield annotate(self.store_at(request, create=False), self._replayed().episode, by)

    def _live(self) -> LiveGame:
        if self._game is None:
            raise UsageError("no game is being played here; open one first")
        return self._game

    def _replayed(self) -> ReplayedGame:
        if self._replay is None:
            raise UsageError("no episode is being replayed here; replay one first")
        return self._replay


def serve(requests: queue.Queue[bytes | None], output: BinaryIO) -> int:
    """Answer requests until there are no more (None), `close`, or a fatal error; the exit status."""
    server = Server()

    def send(event: Event, number: int | None) -> None:
        output.write(_line(event, number))
        output.flush()

    try:
        while (line := requests.get()) is not None:
            number: int | None = None
            try:
                request = parse_request(line)
                number = request["id"]
                if request.get("protocol", PROTOCOL) != PROTOCOL:
                    message = f"protocol {request['protocol']!r} is not spoken here; this is {PROTOCOL}"
                    send(Refusal(message, fatal=True), number)
                    return 1
                if request.get("do") == "close":
                    return 0
                for event in server.handle(request):
                    send(event, number)
                    number = None
            except ArenaError as error:
                send(Refusal(str(error).replace("\n", " ")), number)
            except BrokenPipeError:
                raise
            except Exception as error:
                traceback.print_exc()
                message = f"the game broke down: {type(error).__name__}: {error}".replace("\n", " ")
                print(message, file=sys.stderr, flush=True)
                send(Refusal(message[:500], fatal=True), number)
                return 1
        return 0
    except BrokenPipeError:
        return 0
    finally:
        server.close()


def _line(event: Event, number: int | None) -> bytes:
    if isinstance(event, Position):
        data = event.to_json()
    elif isinstance(event, Hint):
        data = {"event": "hint", "seat": event.seat, "agent": event.agent, **event.mind.to_json()}
    elif isinstance(event, Verified):
        data = {"event": "verified", "ok": event.ok, "message": event.message}
    elif isinstance(event, Annotated):
        minds = [mind.to_json() for mind in event.minds]
        data = {"event": "annotated", "by": event.by, "minds": minds, "decisive": event.decisive}
    else:
        data = {"event": "error", "message": event.message, "fatal": event.fatal}
    return encode(data if number is None else data | {"id": number})


if __name__ == "__main__":
    leave(serve(*open_pipes()))
