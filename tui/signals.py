"""What the system tells the app: end (SIGTERM, SIGHUP), step aside for the shell (SIGTSTP), go on (SIGCONT)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import time
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.app import ArenaApp

END_SECONDS = 30.0
"""How long a signal leaves the app to end in good order."""


def listen(app: ArenaApp) -> None:
    """Have the signals do what is right; called on the app's loop, after its driver has set its own."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, partial(_end, app, loop))
    # On the loop, not between two lines of whatever runs now: that may be writing to the terminal.
    signal.signal(signal.SIGTSTP, lambda *_: loop.call_soon_threadsafe(app.action_suspend_process))
    signal.signal(signal.SIGCONT, lambda *_: loop.call_soon_threadsafe(_continued, app))


def step_aside() -> None:
    """Stop the whole process group, as the terminal does at Ctrl-Z: also what started the app, also its children.

    Returns when the shell has brought it to the foreground again; at once where no shell could do that. The terminal
    must be in the state that the shell shall find.
    """
    handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    try:
        os.killpg(0, signal.SIGTSTP)
    finally:
        signal.signal(signal.SIGTSTP, handler)
    with contextlib.suppress(termios.error):
        termios.tcflush(0, termios.TCIFLUSH)  # in the background (`bg`) this stops it once more


def _continued(app: ArenaApp) -> None:
    """It has been stopped, perhaps by SIGSTOP, which nobody hears: a shell may have had the terminal meanwhile."""
    driver = app._driver
    if driver is None or app._exit:
        return
    with contextlib.suppress(termios.error):
        if termios.tcgetattr(0)[3] & termios.ECHO:
            driver.suspend_application_mode()
            driver.resume_application_mode()
    app.refresh(layout=True)


def _end(app: ArenaApp, loop: asyncio.AbstractEventLoop, number: int, _frame: object) -> None:
    # In a thread of its own: writing to a terminal that is gone or does not read blocks the loop for ever.
    Thread(target=_end_in_time, args=(app, loop, number), daemon=True).start()


def _end_in_time(app: ArenaApp, loop: asyncio.AbstractEventLoop, number: int) -> None:
    loop.call_soon_threadsafe(partial(app.exit, return_code=128 + number))
    time.sleep(END_SECONDS)
    app.sessions.kill()
    os._exit(128 + number)
