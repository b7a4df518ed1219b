"""Games of either kind, one at a time, in a process of their own: `python -m arena.game_child FD`.

A spare one has its libraries loaded and waits for `begin`, which says what the next game is: in turns
(`arena.session`), or by the clock (`arena.realtime`, with the shared memory FD). `close` ends the game, and after it
another may begin, of either kind.
"""

from __future__ import annotations

import queue
import sys
from typing import BinaryIO

from arena import realtime, session
from arena.child import encode
from arena.frames import FrameMemory
from arena.session_pipe import field, leave, open_pipes, parse_request
from envs.errors import UsageError


def serve(memory: FrameMemory, requests: queue.Queue[bytes | None], output: BinaryIO) -> int:
    """Let games begin until there are no more requests (None), `close` between games, or a fatal error; exit status."""
    status = 0
    while status == 0 and (line := requests.get()) is not None:
        number = None
        try:
            request = parse_request(line)
            number = request["id"]
            do = field(request, "do", str)
            if do == "close":
                return 0
            if do != "begin" or request.get("kind") not in ("turns", "realtime"):
                raise UsageError("no game has begun; begin one of the kind turns or realtime")
        except UsageError as error:
            output.write(encode({"event": "error", "message": str(error), "fatal": False, "id": number}))
            output.flush()
            continue
        if request["kind"] == "turns":
            status = session.serve(requests, output)
        else:
            status = realtime.serve(realtime.Server(memory), requests, output)
    return status


if __name__ == "__main__":
    memory = FrameMemory(int(sys.argv[1]))
    leave(serve(memory, *open_pipes()))
