"""The real command in a pseudo-terminal: it paints, takes keys, and leaves the terminal as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from arena.cli import terminal as commands
from arena.cli.app import app
from arena.session_start import read_unfinished
from arena.store import Store

ARENA = (sys.executable, "-m", "arena")
RESTORED = (b"\x1b[?1049l", b"\x1b[?1003l", b"\x1b[?25h", b"\x1b[?2004l")


class Terminal:
    """A command (the app, with these arguments) in an 80×24 pseudo-terminal."""

    def __init__(self, directory: Path, *arguments: str, command: Sequence[str] = ARENA, **settings: str) -> None:
        self.output = b""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            for name in ("COLORTERM", "NO_COLOR"):
                os.environ.pop(name, None)
            os.environ.update(
                TERM="xterm-256color", PYTHONPATH=str(Path(__file__).parents[2]), TEXTUAL_ANIMATIONS="none"
            )
            os.environ.update(settings)
            os.execv(command[0], [*command, *arguments])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def wait_for(self, text: bytes, seconds: float = 180) -> None:
        """Read until `text` has been painted since the last key."""
        end = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < end, self.output[-2000:]
            self._read()

    def press(self, keys: bytes) -> None:
        self.output = b""
        os.write(self._fd, keys)

    def echoes(self) -> bool:
        """Whether what is typed is shown and read by the line, as a shell expects it to be."""
        return termios.tcgetattr(self._fd)[3] & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON

    def children(self, pid: int | None = None) -> list[int]:
        """Of the command, or of another process."""
        pid = pid or self.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self) -> int:
        """Read to the end; the exit status."""
        end = time.monotonic() + 180
        while self._read():
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self._fd)

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], 0.5)[0]:
            return True
        try:
            chunk = os.read(self._fd, 1 << 16)
        except OSError:
            return False
        self.output += chunk
        return bool(chunk)


def begun(directory: Path) -> Mapping[str, Any] | None:
    """The game that is kept to be gone on with."""
    with Store(directory / "league.db", create=False) as store:
        return read_unfinished(store)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    try:
        terminal.wait_for(b"gridworld/tron")
        yield terminal
    finally:
        terminal.close()


@pytest.mark.slow
def test_keys_and_quitting(terminal: Terminal, tmp_path: Path) -> None:
    assert b"\x1b[?1049h" in terminal.output
    terminal.press(b"l")
    terminal.wait_for(b"Matches")  # a tab of the league
    terminal.press(b"\x1b")
    terminal.wait_for(b"Set up")  # the lobby's footer; a q right behind the escape would be another key
    terminal.press(b"q")
    assert terminal.end() == 0
    for sequence in RESTORED:
        assert sequence in terminal.output
    assert not (tmp_path / "league.db").exists()


def test_a_terminal_in_disorder_is_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    monkeypatch.setattr(commands, "TTY", os.ttyname(slave))
    assert CliRunner().invoke(app, ["reset-terminal"]).exit_code == 0
    written = os.read(master, 1 << 16)
    for sequence in RESTORED:
        assert sequence in written
    assert termios.tcgetattr(slave)[3] & termios.ECHO
    assert termios.tcgetattr(slave)[3] & termios.ICANON
    for end in (master, slave):
        os.close(end)


def test_without_a_terminal_nothing_is_reset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "TTY", tmp_path / "none")
    result = CliRunner().invoke(app, ["reset-terminal"])
    assert (result.exit_code, result.stderr) == (1, "Error: there is no terminal here to reset\n")


@pytest.mark.slow
def test_a_training_says_at_once_what_it_does(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "train", "tic_tac_toe", "--steps", "512", "--device", "cpu")
    try:
        plan = b"tic_tac_toe: ppo with preset tic_tac_toe"
        terminal.wait_for(plan)
        terminal.wait_for(b"starting")
        assert terminal.end() == 0
        assert terminal.output.count(plan) > 1, "as a bar while torch is loaded, then as a line with the device"
        assert b"ppo-1: finished" in terminal.output
    finally:
        terminal.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_game_in_a_child_and_the_end_by_a_signal(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "play", "tic_tac_toe", "--vs", "first-legal", "--as", "Ann")
    try:
        terminal.wait_for(b"your move")
        for key in (b"5", b"3"):
            terminal.press(key)
            terminal.wait_for(b"your move")
        terminal.press(b"7")
        terminal.wait_for(b"You win")
        with Store(tmp_path / "league.db", create=False) as store:
            assert [episode.rated for episode in store.episodes()] == [True]
        children = terminal.children()
        assert children
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.end() == 128 + signal.SIGTERM
        for sequence in RESTORED:
            assert sequence in terminal.output
        assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    finally:
        terminal.close()


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"NO_COLOR": "1"}], ids=["256 colours", "none"])
def test_few_colours_or_none(settings: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, **settings)
    try:
        terminal.wait_for(b"gridworld/tron")
        assert b"8;2;" not in terminal.output  # no colour of 24 bits
        colours = {int(number) for number in re.findall(rb"[34]8;5;(\d+)", terminal.output)}
        greys = {16, 231, *range(232, 256)}
        assert colours <= greys if settings else colours - greys
        terminal.press(b"\x11")
        assert terminal.end() == 0
    finally:
        terminal.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killed_it_has_lost_nothing_that_was_finished(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "play", "tic_tac_toe", "--vs", "first-legal", "--as", "Ann")
    try:
        terminal.wait_for(b"your move")
        for key, seen in ((b"5", b"your move"), (b"3", b"your move"), (b"7", b"You win"), (b"n", b"your move")):
            terminal.press(key)
            terminal.wait_for(seen)
        terminal.press(b"5")  # in the second game, which is not finished
        end = time.monotonic() + 180
        while len((begun(tmp_path) or {"actions": ()})["actions"]) < 3:
            assert time.monotonic() < end, "the second game is not kept"
            time.sleep(0.1)
        children = terminal.children()
        os.kill(terminal.pid, signal.SIGKILL)
        assert terminal.end() == -signal.SIGKILL
        while any(Path(f"/proc/{pid}").exists() for pid in children):
            assert time.monotonic() < end, "a child outlived the app"
            time.sleep(0.1)
        with Store(tmp_path / "league.db", create=False) as store:
            assert store.check() == []
            assert [episode.rated for episode in store.episodes()] == [True]
        kept = begun(tmp_path)
        assert kept is not None
        assert (kept["seats"], len(kept["actions"])) == (["first-legal", {"human": "Ann"}], 3)
    finally:
        terminal.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_when_the_terminal_goes_away_so_does_everything(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "play", "tic_tac_toe", "--vs", "random", "--as", "Ann")
    terminal.wait_for(b"your move")
    pids = [terminal.pid, *terminal.children()]
    terminal.close()
    end = time.monotonic() + 180
    while os.waitpid(terminal.pid, os.WNOHANG)[0] == 0:
        assert time.monotonic() < end, "the app outlived its terminal"
        time.sleep(0.1)
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end, "a child outlived the app"
        time.sleep(0.1)
