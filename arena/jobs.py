"""Long work of the app: commands of `arena` as child processes that are followed, stopped and gone on with. No torch.

A job is a process group of its own and goes on when the app is closed; whoever opens the app on the league again finds
it in the list. Beside the league's file lies a folder `league.db.jobs` with three files a job: `ID.json` (what was
started), `ID.log` (what it printed), `ID.end` (how it ended), and `ID.lock`, which its processes hold locked: whether a
job runs is never guessed from a process id.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from envs.errors import ArenaError, UnknownNameError, UsageError

COMMAND = (sys.executable, "-m", "arena")
KEPT = 100
"""Jobs that have ended of which the files are kept, the latest."""
TAIL_BYTES = 1 << 16
MAX_BYTES = 1 << 16
PROGRESS_SECONDS = "2"
"""How often a job prints how far it is."""
NICENESS = 10
"""Jobs let the app and its games go first."""
START_SECONDS = 10.0
STOPPED = (130, -signal.SIGINT, -signal.SIGTERM)

JobState = Literal["running", "done", "stopped", "failed"]
_LINE = re.compile(r"^(?P<job>.+) (?P<done>\d[\d,]{0,25})/(?P<total>\d[\d,]{0,25})(?: · (?P<state>.*))?$")


@dataclass(frozen=True)
class JobProgress:
    """The last line that told how far a job is: `done` of `total` of its `part`, and what else was said."""

    part: str
    done: int
    total: int
    words: str


@dataclass(frozen=True)
class Job:
    """A command that was started.

    Attributes:
        command: its words after `arena`. title: for people. tag: what it works on, such as "run ppo-3".
        resume: the words that go on with it after it was stopped or killed; empty: it cannot be gone on with.
        state: "done" by itself, "stopped" when asked to, "failed" by an error or by a kill: `why` tells.
        started_at, ended_at: UTC milliseconds; None while it runs, or where its end was seen by nobody.
    """

    id: int
    command: tuple[str, ...]
    title: str
    tag: str
    resume: tuple[str, ...]
    started_at: int
    state: JobState = "running"
    why: str = ""
    ended_at: int | None = None
    progress: JobProgress | None = None


class Jobs:
    """The jobs of one league. Every method is quick, but reads and writes files: call it in a thread.

    Args:
        db: the league's file; it need not exist.
        program: what `command` is appended to.
    """

    def __init__(self, db: Path, program: Sequence[str] = COMMAND) -> None:
        self._db = db.absolute()
        self.folder = self._db.with_name(self._db.name + ".jobs")
        self._program = tuple(program)
        self._ended: dict[int, Job] = {}
        self._children: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def start(self, command: Sequence[str], title: str, tag: str = "", resume: Sequence[str] = ()) -> Job:
        """Start `arena COMMAND` on this league. Raises ArenaError where that cannot be done."""
        facts = {"command": list(command), "title": title, "tag": tag, "resume": list(resume), "started_at": _now()}
        environment = os.environ | {
            "ARENA_DB": str(self._db),
            "ARENA_PROGRESS_SECONDS": PROGRESS_SECONDS,
            "PYTHONUNBUFFERED": "1",
        }
        try:
            with self._lock:
                self.folder.mkdir(exist_ok=True)
                number = self._claim(json.dumps(facts))
                stem = self._stem(number)
                lock = os.open(stem.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    child = subprocess.Popen(
                        [sys.executable, "-m", "arena.jobs", str(stem), str(lock), *self._program, *command],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        env=environment,
                        pass_fds=(lock,),
                        start_new_session=True,
                    )
                    os.pwrite(lock, f"{child.pid}\n".encode(), 0)
                finally:
                    os.close(lock)
                self._children.append(child)
            self._prune()
            return self.job(number)
        except OSError as error:
            raise ArenaError(f"{self.folder}: no job can be started: {error.strerror or error}") from error

    def all(self) -> list[Job]:
        """All jobs, the newest first."""
        self._reap()
        found = []
        for number in sorted(self._numbers(), reverse=True):
            with contextlib.suppress(ArenaError):  # its files are damaged, or have gone meanwhile
                found.append(self.job(number))
        return found

    def job(self, number: int) -> Job:
        """One job as it stands now. Raises UsageError where there is none."""
        if number in self._ended:
            return self._ended[number]
        facts = self._facts(number)
        ended = self._end(number)
        if ended is None and self._is_running(number):
            state: JobState = "running"
            why = ""
        else:
            ended = ended or self._end(number)  # it may have ended between the two looks
            state, why = self._verdict(number, ended)
        job = Job(
            id=number,
            command=facts["command"],
            title=facts["title"],
            tag=facts["tag"],
            resume=facts["resume"],
            started_at=facts["started_at"],
            state=state,
            why=why,
            ended_at=ended and ended[1],
            progress=_progress(self.tail(number)),
        )
        if state != "running":
            self._ended[number] = job
        return job

    def tail(self, number: int, lines: int = 500) -> list[str]:
        """The last lines of what a job has printed."""
        try:
            with self._stem(number).with_suffix(".log").open("rb") as log:
                start = max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES)
                log.seek(start)
                text = log.read().decode(errors="replace")
        except OSError:
            return []
        if start:
            text = text.partition("\n")[2]
        return text.splitlines()[-lines:]

    def stop(self, number: int) -> None:
        """Ask a job to stop, as Ctrl-C does: it keeps everything and ends soon. A second time it leaves at once."""
        with contextlib.suppress(OSError):
            self._stem(number).with_suffix(".stop").touch()
        self._signal(number, signal.SIGINT)

    def kill(self, number: int) -> None:
        """End a job and all its processes at once; what its last interval has kept stays."""
        self._signal(number, signal.SIGKILL)

    def resume(self, number: int) -> Job:
        """Go on with a job that was stopped or killed, as a new job. Raises UsageError where that cannot be."""
        job = self.job(number)
        if job.state == "running":
            raise UsageError(f"{job.title} is running")
        if not job.resume:
            raise UsageError(f"{job.title} cannot be gone on with; start it anew")
        if any(word.split("=")[0] in ("--reward", "--allow-code") for word in job.resume):
            raise UsageError(f"{job.title} runs code of its own; go on with it at the command line")
        return self.start(job.resume, job.title, job.tag, job.resume)

    def _stem(self, number: int) -> Path:
        return self.folder / f"{number:06d}"

    def _numbers(self) -> list[int]:
        return [int(path.stem) for path in self.folder.glob("*.json") if path.stem.isascii() and path.stem.isdigit()]

    def _claim(self, facts: str) -> int:
        """Write a new job's facts under the next free number."""
        number = max(self._numbers(), default=0) + 1
        while True:
            try:
                with self._stem(number).with_suffix(".json").open("x", encoding="utf-8") as file:
                    file.write(facts)
                return number
            except FileExistsError:
                number += 1

    def _facts(self, number: int) -> dict[str, Any]:
        path = self._stem(number).with_suffix(".json")
        facts = _read_json(path)
        if facts is None:
            raise UnknownNameError("job", str(number), map(str, self._numbers()))
        try:
            return {
                "command": tuple(map(str, facts["command"])),
                "title": str(facts["title"]),
                "tag": str(facts["tag"]),
                "resume": tuple(map(str, facts["resume"])),
                "started_at": int(facts["started_at"]),
            }
        except (KeyError, TypeError, ValueError) as error:
            raise ArenaError(f"{path} tells of no job") from error

    def _end(self, number: int) -> tuple[int, int] | None:
        """(exit status, when), or None where the job has not told of its end."""
        facts = _read_json(self._stem(number).with_suffix(".end"))
        try:
            return None if facts is None else (int(facts["code"]), int(facts["ended_at"]))
        except (KeyError, TypeError, ValueError):
            return None

    def _verdict(self, number: int, ended: tuple[int, int] | None) -> tuple[JobState, str]:
        if ended is None:
            return "failed", "killed: its processes are gone without a word"
        code = ended[0]
        if code == 0:
            return "done", ""
        lines = [line.strip() for line in self.tail(number) if line.strip()]
        errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
        asked = self._stem(number).with_suffix(".stop").exists()
        if code in STOPPED or (asked and not errors):  # Python that is still being loaded ends with another status
            return "stopped", ""
        if code < 0:
            return "failed", f"killed by signal {-code}"
        return "failed", (errors or lines or [f"exit status {code}"])[-1]

    def _is_running(self, number: int) -> bool:
        """Whether anybody holds the job's lock."""
        try:
            lock = os.open(self._stem(number).with_suffix(".lock"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _signal(self, number: int, what: signal.Signals) -> None:
        if self.job(number).state != "running":
            return
        deadline = time.monotonic() + START_SECONDS
        while not self._stem(number).with_suffix(".log").exists() and time.monotonic() < deadline:
            time.sleep(0.01)  # its supervisor is being loaded and has no ear for signals yet
        try:
            group = int(self._stem(number).with_suffix(".lock").read_text())
        except (OSError, ValueError):
            return
        if group > 1:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, what)

    def _reap(self) -> None:
        with self._lock:
            self._children = [child for child in self._children if child.poll() is None]

    def _prune(self) -> None:
        """Drop the files of jobs that ended long ago."""
        for number in sorted(self._numbers(), reverse=True)[KEPT:]:
            if self._end(number) is not None or not self._is_running(number):
                self._ended.pop(number, None)
                for suffix in (".json", ".log", ".end", ".stop", ".lock"):
                    self._stem(number).with_suffix(suffix).unlink(missing_ok=True)


def parse_line(line: str) -> tuple[str, int, int, str] | None:
    """(job, done, total, state) of a line of progress as commands print it, or None for any other."""
    found = _LINE.match(line)
    if found is None:
        return None
    done, total = (int(found[part].replace(",", "")) for part in ("done", "total"))
    return found["job"], done, total, found["state"] or ""


def _progress(lines: Sequence[str]) -> JobProgress | None:
    for line in reversed(lines):
        if (found := parse_line(line)) is not None:
            return JobProgress(*found)
    return None


def _read_json(path: Path) -> Mapping[str, Any] | None:
    """A small file's JSON object, or None where there is none."""
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _now() -> int:
    return time.time_ns() // 1_000_000


def supervise(stem: Path, lock: int, command: Sequence[str]) -> None:
    """Run a job's command to its end and write down how it ended; its signals are the command's to answer."""
    os.nice(NICENESS)
    early: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: early.append(number))
    with stem.with_suffix(".log").open("ab") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(lock,))
        for missed in early:
            child.send_signal(missed)
        code = child.wait()
    ended = stem.with_suffix(".end.new")
    ended.write_text(json.dumps({"code": code, "ended_at": _now()}))
    ended.rename(stem.with_suffix(".end"))


if __name__ == "__main__":
    supervise(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
