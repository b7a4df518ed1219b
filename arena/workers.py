"""Who does a league's jobs: the process that runs it (`Inline`), or others (`Processes`).

An `Engine` takes jobs and tells what comes of them, in any order. It depends on nothing but the jobs, which are plain
values, so that a cluster's engine can take the place of these.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import NamedTuple, Protocol

from arena.league_work import Job, Played, Report, Result, Trained, perform
from envs.errors import ArenaError

TRIES = 3
"""So many workers a job may take with it before it is given up."""
PATIENCE = 0.2
"""Seconds between two looks at whether it is time to stop."""
_STOP = "stop"


@dataclass(frozen=True)
class Lost:
    """A worker died over a job, which another one has been given."""

    worker: int
    why: str


@dataclass(frozen=True)
class Failed:
    """A job cannot be done."""

    why: str
    error: Exception | None = None


News = Report | Result | Lost | Failed


class Message(NamedTuple):
    """What has become of the job with this ticket; it is done with anything but a Report and a Lost."""

    ticket: int
    news: News


class Engine(Protocol):
    """Does jobs."""

    slots: int
    """How many jobs it can do at a time."""

    def submit(self, job: Job) -> int:
        """Take a job; its ticket."""

    def next(self) -> Message | None:
        """The next news; None where there has been none for a moment. Some job must be in work."""

    def close(self) -> None:
        """Give up whatever is in work."""


def make_engine(workers: int, should_stop: Callable[[], bool]) -> Engine:
    """`workers` processes, or none but this one. Training jobs end early when `should_stop()`."""
    return Processes(workers, should_stop) if workers else Inline(should_stop)


def ordered(
    engine: Engine, jobs: Sequence[Callable[[], Job]], should_stop: Callable[[], bool]
) -> Iterator[tuple[int, News]]:
    """Have all jobs done: reports and losses as they come, results in the order of the jobs, whoever is first.

    When `should_stop()` no further job is begun; those in work are waited for.
    """
    waiting, tickets = deque(enumerate(jobs)), dict[int, int]()
    results, due = dict[int, News](), 0
    while waiting or tickets:
        while waiting and len(tickets) < engine.slots and not should_stop():
            index, make = waiting.popleft()
            tickets[engine.submit(make())] = index
        if not tickets:
            return
        message = engine.next()
        if message is None:
            continue
        index, news = tickets[message.ticket], message.news
        if isinstance(news, (Report, Lost)):
            yield index, news
            continue
        del tickets[message.ticket]
        results[index] = news
        while due in results:
            yield due, results.pop(due)
            due += 1


class Inline:
    """Does jobs one after the other, here."""

    slots = 1

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self._waiting: deque[tuple[int, Job]] = deque()
        self._current: tuple[int, Generator[Report | Result]] | None = None
        self._tickets = 0

    def submit(self, job: Job) -> int:
        self._tickets += 1
        self._waiting.append((self._tickets, job))
        return self._tickets

    def next(self) -> Message | None:
        if self._current is None:
            ticket, job = self._waiting.popleft()
            self._current = ticket, perform(job, self._should_stop)
        ticket, steps = self._current
        news: News
        try:
            news = next(steps)
        except Exception as error:
            news = failure(error)
        if not isinstance(news, Report):
            self.close()
        return Message(ticket, news)

    def close(self) -> None:
        if self._current is not None:
            self._current[1].close()
            self._current = None


class _Worker:
    """A child process, this end of its line, and what it is doing."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "arena.workers", str(theirs.fileno())]
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the league, which asks its workers itself
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        self.line = Connection(ours.detach())
        self.ticket: int | None = None

    def end(self) -> None:
        self.line.close()
        self.process.kill()
        self.process.wait()


class Processes:
    """Does jobs in child processes, which see nothing but the jobs. One that dies is replaced, its job done anew."""

    def __init__(self, workers: int, should_stop: Callable[[], bool]) -> None:
        self.slots = workers
        self._should_stop = should_stop
        self._asked = False
        self._workers: list[_Worker] = []
        self._jobs: dict[int, Job] = {}
        self._tries: dict[int, int] = {}
        self._waiting: deque[int] = deque()
        self._news: deque[Message] = deque()
        self._tickets = 0

    def submit(self, job: Job) -> int:
        self._tickets += 1
        self._jobs[self._tickets], self._tries[self._tickets] = job, 0
        self._waiting.append(self._tickets)
        self._give()
        return self._tickets

    def next(self) -> Message | None:
        if self._news:
            return self._news.popleft()
        if not self._asked and self._should_stop():
            self._asked = True
            for worker in self._workers:
                self._send(worker, _STOP)
        busy = [worker for worker in self._workers if worker.ticket is not None]
        ready = wait([worker.line for worker in busy], PATIENCE)
        for worker in busy:
            if worker.line in ready:
                self._hear(worker)
        self._give()
        return self._news.popleft() if self._news else None

    def close(self) -> None:
        while self._workers:
            self._workers.pop().end()

    def pids(self) -> list[int]:
        """The processes at work."""
        return [worker.process.pid for worker in self._workers]

    def _give(self) -> None:
        """Jobs to those who have none."""
        while self._waiting:
            worker = next((worker for worker in self._workers if worker.ticket is None), None)
            if worker is None and len(self._workers) < self.slots:
                worker = _Worker()
                self._workers.append(worker)
            if worker is None:
                return
            worker.ticket = self._waiting.popleft()
            self._send(worker, (worker.ticket, self._jobs[worker.ticket]))
            if self._asked:
                self._send(worker, _STOP)

    def _send(self, worker: _Worker, what: object) -> None:
        with contextlib.suppress(OSError):  # it has died: whoever listens to it hears so
            worker.line.send(what)

    def _hear(self, worker: _Worker) -> None:
        ticket = worker.ticket
        assert ticket is not None
        try:
            news: News = worker.line.recv()
        except (EOFError, OSError):
            news = self._lost(worker, ticket)
        if isinstance(news, (Played, Trained, Failed)):
            worker.ticket = None
            del self._jobs[ticket], self._tries[ticket]
        self._news.append(Message(ticket, news))

    def _lost(self, worker: _Worker, ticket: int) -> News:
        self._workers.remove(worker)
        worker.end()
        code = worker.process.returncode
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        self._tries[ticket] += 1
        if self._tries[ticket] >= TRIES:
            worker.ticket = None
            return Failed(f"{TRIES} workers died over the same job (the last one by {why})")
        self._waiting.appendleft(ticket)
        return Lost(worker.process.pid, why)


def failure(error: Exception) -> Failed:
    """An error in a line."""
    if isinstance(error, ArenaError):
        return Failed(str(error), error)
    return Failed(f"{type(error).__name__}: {error}", error)


def work(line: Connection) -> None:
    """Do the jobs that come along the line, until it is closed."""
    asked = False

    def should_stop() -> bool:
        """Whether the other end has said so; it says nothing else while a job is in work. A closed line ends it all."""
        nonlocal asked
        while line.poll():
            asked = line.recv() == _STOP
        return asked

    while True:
        message = line.recv()
        if message == _STOP:
            continue
        _, job = message
        try:
            for news in perform(job, should_stop):
                line.send(news)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:
            line.send(Failed(failure(error).why))


if __name__ == "__main__":
    with contextlib.suppress(EOFError, ConnectionError):
        work(Connection(int(sys.argv[1])))
