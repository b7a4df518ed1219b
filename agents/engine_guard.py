"""Stands between Arena and an outside program, so that nothing of it outlives Arena, whatever ends either of them.

Run by its path as `python -I -S engine_guard.py SETTINGS`, in a session of its own; it imports nothing of ours.
SETTINGS are JSON: command, directory, stderr (a file's name in it), control (a file descriptor), limits.

The program runs in a process group of its own with its limits set; Arena talks to it directly over stdin and stdout.
The guard waits until the program ends, or until `control`, a pipe whose other end Arena holds, is closed, as it is by
Arena's death of any kind. Then it kills the group and, on Linux, where it is the foster parent of whatever the program
left behind, every process that came of it. Once the pipe is closed it removes the directory and exits with the
program's status.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from typing import Any

_PDEATHSIG, _SUBREAPER = 1, 36  # prctl's numbers, Linux
_PATIENCE = 10.0
_HEARD = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LIMITS = {
    "memory": resource.RLIMIT_AS,
    "cpu": resource.RLIMIT_CPU,
    "files": resource.RLIMIT_NOFILE,
    "file_size": resource.RLIMIT_FSIZE,
    "core": resource.RLIMIT_CORE,
}
CANNOT_START = 127


def main(settings: dict[str, Any]) -> int:
    control = settings["control"]
    os.set_inheritable(control, False)
    _prctl(_SUBREAPER, 1)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in _HEARD:
        signal.signal(number, lambda *_: None)
    guard = os.getpid()
    program = os.fork()
    if program == 0:
        _start(settings, guard)
    with contextlib.suppress(OSError):
        os.setpgid(program, program)  # as the program does itself: whoever comes first
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)  # so that Arena reads the end of stdout when the program ends
    told = False  # to end
    while not told and not _ended(program):
        told = _told(control, woken)
    with contextlib.suppress(OSError):
        os.killpg(program, signal.SIGKILL)  # before it is waited for: until then the number is its own
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    _reap_rest()
    while not told:  # Arena may want to read what the program left
        told = _told(control, woken)
    shutil.rmtree(settings["directory"], ignore_errors=True)
    return status if status >= 0 else 128 - status


def _told(control: int, woken: int) -> bool:
    """Wait for a signal or the pipe's end; whether it is time to end, and not only a child that has ended."""
    ready, _, _ = select.select([control, woken], [], [])
    if control in ready:
        return True
    with contextlib.suppress(BlockingIOError):
        return bool(set(os.read(woken, 4096)) - {signal.SIGCHLD})
    return False


def _start(settings: dict[str, Any], guard: int) -> None:
    """In the child: become the program."""
    try:
        os.setpgid(0, 0)
        _prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(CANNOT_START)  # the guard had died before that was said
        for number in (*_HEARD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(settings["directory"])
        log = os.open(settings["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        for name, value in settings["limits"].items():
            _, hard = resource.getrlimit(_LIMITS[name])
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of address space
                resource.setrlimit(_LIMITS[name], (value, value))
        os.execv(settings["command"][0], settings["command"])
    except OSError as error:
        os.write(2, f"{settings['command'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(CANNOT_START)


def _ended(program: int) -> bool:
    """Whether the program has ended, and is waiting to be waited for; orphans that have ended are waited for here."""
    while True:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return False
        if found.si_pid == program:
            return True
        os.waitpid(found.si_pid, os.WNOHANG)


def _reap_rest() -> None:
    """Kill and wait for all that the program left behind: they have become this process's children."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        for child in _children():
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _children() -> list[int]:
    own = os.getpid()
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                if int(file.read().rpartition(b")")[2].split()[1]) == own:
                    found.append(int(name))
    return found


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
