"""Jobs: children that outlive whoever started them, are followed, stopped, killed and gone on with."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arena.jobs import Job, JobProgress, Jobs, parse_line
from envs.errors import UnknownNameError, UsageError

WAITS = """
import signal, sys, time
asked = []
signal.signal(signal.SIGINT, lambda *_: sys.exit(130) if asked else asked.append(1))
print("ppo-1 1,500/20,000 · 300 steps/s · 1:02 left")
print("waiting", flush=True)
while not (asked and "patient" not in sys.argv):
    time.sleep(0.01)
print("kept", flush=True)
sys.exit(130)
"""
PROGRAM = (
    sys.executable,
    "-c",
    """
import os, sys
kind = sys.argv[1]
print(os.environ["ARENA_DB"], *sys.argv[1:], flush=True)
if kind == "fails":
    print("Error: no such game\\nread the manual", file=sys.stderr)
    sys.exit(2)
if kind == "waits":
    exec("""
    + repr(WAITS)
    + ")",
)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    found = Jobs(tmp_path / "league.db", PROGRAM)
    yield found
    for job in found.all():
        found.kill(job.id)


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def ended(jobs: Jobs, job: Job) -> Job:
    until(lambda: jobs.job(job.id).state != "running")
    return jobs.job(job.id)


def running(jobs: Jobs, *command: str, resume: tuple[str, ...] = ()) -> Job:
    """A job that waits, once it does."""
    job = jobs.start(["waits", *command], "a wait", "run ppo-1", resume)
    until(lambda: "waiting" in jobs.tail(job.id))
    return job


def test_a_job_that_ends_by_itself_is_done(jobs: Jobs, tmp_path: Path) -> None:
    job = ended(jobs, jobs.start(["says", "a b"], "words"))
    assert (job.state, job.why, job.title) == ("done", "", "words")
    assert job.ended_at is not None
    assert jobs.tail(job.id) == [f"{tmp_path / 'league.db'} says a b"]


def test_a_failure_tells_why(jobs: Jobs) -> None:
    job = ended(jobs, jobs.start(["fails"], "a failure"))
    assert (job.state, job.why) == ("failed", "no such game")
    assert jobs.tail(job.id, 1) == ["read the manual"]


def test_a_job_is_seen_by_others_and_stopped_by_them(jobs: Jobs, tmp_path: Path) -> None:
    job = running(jobs)
    others = Jobs(tmp_path / "league.db", PROGRAM)
    (seen,) = others.all()
    assert (seen.state, seen.tag) == ("running", "run ppo-1")
    assert seen.progress == JobProgress("ppo-1", 1500, 20_000, "300 steps/s · 1:02 left")
    others.stop(job.id)
    assert ended(jobs, job).state == "stopped"
    assert jobs.tail(job.id)[-1] == "kept"


def test_whoever_does_not_stop_when_asked_is_asked_again(jobs: Jobs) -> None:
    job = running(jobs, "patient")
    jobs.stop(job.id)
    jobs.stop(job.id)
    until(lambda: jobs.stop(job.id) or jobs.job(job.id).state == "stopped")


def test_a_kill_is_shown_and_the_job_can_be_gone_on_with(jobs: Jobs) -> None:
    job = running(jobs, resume=("says", "again"))
    with pytest.raises(UsageError, match="is running"):
        jobs.resume(job.id)
    jobs.kill(job.id)
    killed = ended(jobs, job)
    assert (killed.state, killed.ended_at) == ("failed", None)
    assert "killed" in killed.why
    again = ended(jobs, jobs.resume(job.id))
    assert (again.state, again.title, again.tag, again.resume) == ("done", job.title, job.tag, job.resume)
    assert jobs.tail(again.id)[0].endswith("says again")
    assert [one.id for one in jobs.all()] == [again.id, job.id]


def test_a_kill_of_the_command_alone_is_told(jobs: Jobs) -> None:
    job = jobs.start(["waits"], "a wait")
    until(lambda: "waiting" in jobs.tail(job.id))
    group = int((jobs.folder / f"{job.id:06d}.lock").read_text())
    (command,) = (int(child) for child in Path(f"/proc/{group}/task/{group}/children").read_text().split())
    os.kill(command, signal.SIGKILL)
    killed = ended(jobs, job)
    assert (killed.state, killed.why) == ("failed", "killed by signal 9")


def test_a_job_stopped_before_it_has_begun_is_stopped(jobs: Jobs) -> None:
    job = jobs.start(["waits"], "a wait")
    until(lambda: jobs.stop(job.id) or jobs.job(job.id).state != "running")
    assert jobs.job(job.id).state == "stopped"


def test_what_lies_in_the_folder_is_not_trusted(jobs: Jobs) -> None:
    job = ended(jobs, jobs.start(["says"], "words"))
    with pytest.raises(UsageError, match="cannot be gone on with"):
        jobs.resume(job.id)
    code = ended(jobs, jobs.start(["says"], "code", resume=["train", "--reward=os:abort"]))
    with pytest.raises(UsageError, match="code of its own"):
        jobs.resume(code.id)
    (jobs.folder / "000009.json").write_text("[" * 100_000)
    (jobs.folder / "000010.json").write_text('{"command": 3}')
    (jobs.folder / "000011.json").write_text('{"command": [], "title": "x", "tag": "", "resume": [], "started_at": 1}')
    (jobs.folder / "000011.lock").write_text("1")
    jobs.kill(11)  # nobody holds the lock: the number in it is nobody's
    assert [one.id for one in jobs.all()] == [11, code.id, job.id]
    with pytest.raises(UnknownNameError):
        jobs.job(404)


def test_old_files_are_dropped(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.jobs.KEPT", 1)
    first = ended(jobs, jobs.start(["says"], "first"))
    second = ended(jobs, jobs.start(["says"], "second"))
    assert [one.id for one in jobs.all()] == [second.id]
    assert not [path for path in jobs.folder.iterdir() if path.stem == f"{first.id:06d}"]


def test_lines_of_progress() -> None:
    assert parse_line("round 2: ppo-1 5/10") == ("round 2: ppo-1", 5, 10, "")
    assert parse_line("go on with: arena train") is None
    for other in ("what else ,/,", "a 1/,", "a ,/1", f"a {'9' * 5000}/1"):
        assert parse_line(other) is None
