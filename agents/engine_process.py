"""An outside program that is spoken to in lines: started, asked with deadlines, and always ended.

Nothing that it says is trusted: lines and answers have a largest size, and no wait is without an end.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path

from envs.errors import ArenaError

GUARD = Path(__file__).with_name("engine_guard.py")
MAX_LINE = 2**16
MAX_ANSWER = 2**22
"""Bytes that it may say in answer to one question."""
LIFETIME = 600.0
"""Seconds of thinking after which a program is replaced by a fresh one, between two questions."""
END_SECONDS = 15.0
LOG = "stderr"
LOG_BYTES = 2**24
OPEN_FILES = 64


class EngineFailure(ArenaError):
    """The program did not do what it should; `kind` says in a word what it did instead."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class EngineProcess:
    """A running program in a temporary directory of its own, with a clean environment and limits.

    Args:
        command: its file (absolute) and arguments.
        memory: bytes of address space.

    Attributes:
        spent: seconds that it has been waited for.
    """

    def __init__(self, command: Sequence[str], memory: int) -> None:
        directory = tempfile.mkdtemp(prefix="arena-engine-")
        theirs, ours = os.pipe()
        settings = {
            "command": list(command),
            "directory": directory,
            "stderr": LOG,
            "control": theirs,
            "limits": {
                "memory": memory,
                "cpu": int(2 * LIFETIME) * (os.cpu_count() or 1),
                "files": OPEN_FILES,
                "file_size": LOG_BYTES,
                "core": 0,
            },
        }
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": directory}
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**environment, "TMPDIR": directory},
                pass_fds=(theirs,),
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            os.close(ours)
            shutil.rmtree(directory, ignore_errors=True)
            raise EngineFailure("crash", f"cannot be started: {error.strerror}") from None
        finally:
            os.close(theirs)
        self.spent = 0.0
        self._log = Path(directory, LOG)
        self._buffer = b""
        self._said = 0
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._stdin, self._stdout = self._guard.stdin.fileno(), self._guard.stdout.fileno()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self.close = weakref.finalize(self, _end, self._guard, ours, directory, os.getpid())
        """End the program and all that came of it; done by itself when this is dropped and at the end of Python."""

    @property
    def directory(self) -> Path:
        """Where it runs, removed with it."""
        return self._log.parent

    def ask(self, lines: Iterable[str], deadline: float) -> None:
        """Say some lines; a new question begins, whose answer may have `MAX_ANSWER` bytes.

        Args:
            deadline: on the clock of `time.monotonic`.
        """
        self._said = 0
        waiting = memoryview("".join(f"{line}\n" for line in lines).encode())
        begin = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            selector.register(self._stdout, selectors.EVENT_READ)
            while waiting:
                for key, _ in self._select(selector, deadline):
                    if key.fd == self._stdout:
                        self._read()
                    else:
                        try:
                            waiting = waiting[os.write(self._stdin, waiting) :]
                        except BlockingIOError:
                            pass
                        except OSError:
                            raise self._crash() from None
        self.spent += time.monotonic() - begin

    def line(self, deadline: float) -> str:
        """Its next line, without the line's end; characters that cannot be printed are gone."""
        begin = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if len(self._buffer) > MAX_LINE:
                    raise EngineFailure("nonsense", f"a line of more than {MAX_LINE // 1024} KiB")
                self._select(selector, deadline)
                self._read()
        self.spent += time.monotonic() - begin
        line, _, self._buffer = self._buffer.partition(b"\n")
        return "".join(c for c in line.decode("utf-8", "replace").replace("\t", " ") if c.isprintable()).strip()

    def _select(self, selector: selectors.BaseSelector, deadline: float) -> list[tuple[selectors.SelectorKey, int]]:
        ready = selector.select(max(0.0, deadline - time.monotonic()))
        if not ready:
            raise EngineFailure("timeout", "no answer in time")
        return ready

    def _read(self) -> None:
        try:
            data = os.read(self._stdout, MAX_LINE)
        except BlockingIOError:
            return
        if not data:
            raise self._crash()
        self._said += len(data)
        if self._said > MAX_ANSWER:
            raise EngineFailure("nonsense", f"more than {MAX_ANSWER // 2**20} MiB in answer to one question")
        self._buffer += data

    def _crash(self) -> EngineFailure:
        """How it ended, with the last line of its stderr; a program that closed its output without ending is ended."""
        last = _last_line(self._log)
        self.close()
        status = self._guard.returncode
        how = f"killed by {_signal_name(status - 128)}" if status > 128 else f"exit status {status}"
        return EngineFailure("crash", how + (f", {last}" if last else ""))


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read(4096).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    shown = ["".join(c for c in line if c.isprintable()).strip() for line in lines]
    return next((line for line in reversed(shown) if line), "")[:200]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end(guard: subprocess.Popen[bytes], control: int, directory: str, owner: int) -> None:
    """Close the guard's control pipe, upon which it ends the program, and wait for it."""
    if os.getpid() != owner:
        return  # a fork's copy: the program belongs to the parent
    os.close(control)
    for stream in (guard.stdin, guard.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        guard.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        guard.kill()
        guard.wait()
    shutil.rmtree(directory, ignore_errors=True)
