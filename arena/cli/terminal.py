"""`arena reset-terminal`: the last help where a program left the terminal in disorder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from envs.errors import ArenaError

TTY = Path("/dev/tty")
RESET = (
    "\x1b[?1049l"  # back from the alternate screen
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # no reports of mouse and focus
    "\x1b[?2004l\x1b[?2026l\x1b[?2048l"  # no bracketed paste, held frames or reports of size
    "\x1b[<u\x1b[=0;1u\x1b[>4;0m"  # keys as every program knows them
    "\x1b[?7h\x1b[?25h\x1b[r\x1b(B\x1b[0m"  # lines fold, the cursor shows, all scrolls, plain letters
    "\x1b[999;1H\r\n"  # the prompt comes below what is there
)


def reset_terminal() -> None:
    """Put the terminal right again: screen, cursor, mouse, keys, echo. Type it blindly if need be.

    \b
    Example:
      arena reset-terminal
    """
    try:
        terminal = os.open(TTY, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        raise ArenaError("there is no terminal here to reset") from None
    try:
        os.write(terminal, RESET.encode())
        subprocess.run(["stty", "sane"], stdin=terminal, check=False)
    finally:
        os.close(terminal)
