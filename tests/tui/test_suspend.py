"""Ctrl-Z: the terminal is the shell's until `fg`, nothing of the app goes on meanwhile, and then all is as it was."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from arena.store import Store
from tests.tui.test_terminal import ARENA, RESTORED, Terminal

PROMPT = b"shell> "
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def wait_until_stopped(pids: Iterable[int]) -> None:
    end = time.monotonic() + 180
    while any(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T" for pid in pids):
        assert time.monotonic() < end, "something goes on behind the shell's back"
        time.sleep(0.05)


def move(number: int) -> bytes:
    """What the screen says once so many moves have been made."""
    return f"rated · move {number}".encode()


def test_to_the_shell_and_back(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, command=("/bin/sh", "-i"), PS1=PROMPT.decode(), ENV="")
    try:
        terminal.wait_for(PROMPT)
        command = shlex.join([*ARENA, "play", "tic_tac_toe", "--vs", "first-legal", "--as", "Ann"])
        terminal.press(command.encode() + b"\n")
        terminal.wait_for(move(0))
        [app] = terminal.children()
        pids = [app, *terminal.children(app)]
        assert len(pids) > 1, "the game is played in a child"
        terminal.press(b"5\x1a")  # while the opponent is asked for its move
        terminal.wait_for(PROMPT)
        for sequence in RESTORED:
            assert sequence in terminal.output
        assert terminal.echoes()
        wait_until_stopped(pids)
        terminal.press(b"bg\n")  # it cannot paint there: it waits on
        terminal.wait_for(PROMPT)
        terminal.press(b"echo the $((6 * 7))nd line\n")
        terminal.wait_for(b"the 42nd line")
        terminal.press(b"fg\n")
        for text in (b"\x1b[?1049h", move(2)):
            terminal.wait_for(text)
        for key, text in ((b"3", move(4)), (b"7", b"You win")):
            while text not in terminal.output:  # a key that comes while the answer to another is awaited is dropped
                terminal.press(key)
                with contextlib.suppress(AssertionError):
                    terminal.wait_for(text, 10)
        terminal.press(b"\x11")
        terminal.wait_for(PROMPT)
        assert terminal.echoes()
        terminal.press(b"exit\n")
        assert terminal.end() == 0
    finally:
        terminal.close()
    with Store(tmp_path / "league.db", create=False) as store:
        assert [episode.rated for episode in store.episodes()] == [True]
