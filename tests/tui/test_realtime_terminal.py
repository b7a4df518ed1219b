"""Playing in real time on a real terminal: what it is asked and told, and one that stops reading."""

from __future__ import annotations

import fcntl
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.test_terminal import Terminal
from tui.terminal_keys import QUERY, REPORT, STOP_REPORTING


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, "play", "ALE/Breakout-v5", "--as", "Ann")
    try:
        terminal.wait_for(b"a direction begins")
        yield terminal
    finally:
        terminal.close()


@pytest.mark.slow
def test_a_terminal_that_knows_releases_and_then_stops_reading(terminal: Terminal) -> None:
    terminal.wait_for(QUERY.encode())
    assert REPORT.encode() not in terminal.output
    terminal.press(b"\x1b[?25u")  # it knows the protocol
    terminal.wait_for(REPORT.encode())
    terminal.press(b"\x1b[?27u")  # and does what it was asked for
    terminal.wait_for(b"release")
    terminal.press(b"\x1b[122;5u")  # Ctrl-Z, with no shell to go to: it comes back at once, and asks anew
    terminal.wait_for(QUERY.encode())
    assert STOP_REPORTING.encode() in terminal.output.partition(b"\x1b[?1049l")[0]
    terminal.press(b"\x1b[?25u")
    terminal.wait_for(REPORT.encode())
    terminal.press(b"\x1b[?27u")
    terminal.press(b"\x1b[32;1:1u\x1b[32;1:3u")  # space, down and up
    terminal.wait_for(b"fire")
    before, same = 0, 0
    for _ in range(600):  # nobody reads: until no more is written, and on for a while
        waiting = int.from_bytes(fcntl.ioctl(terminal._fd, termios.FIONREAD, bytes(4)), sys.byteorder)
        same = same + 1 if waiting == before else 0
        before = waiting
        if same == 20:
            break
        time.sleep(0.1)
    assert before > 1000
    terminal.press(b"p")
    terminal.wait_for(b"paused")
    terminal.press(b"\x11")
    assert terminal.end() == 0
    assert STOP_REPORTING.encode() in terminal.output
