"""Commands of human feedback as jobs of the app: what was typed, and how it is started."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from arena.feedback_status import ALGORITHMS, free_name
from arena.jobs import Job, Jobs
from arena.store import Store
from envs.errors import UsageError
from tui.lab_facts import JOB_TAG

TRAININGS = tuple(ALGORITHMS.values())


def typed(text: str, known: Sequence[str]) -> list[str]:
    """The words of a command that was typed. Raises UsageError for one that is not of the lab."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from None
    words = words[1:] if words[:1] == ["arena"] else words
    if words[:1] != ["rlhf"] or len(words) < 2 or words[1] not in known:
        raise UsageError(f"{text}: write rlhf and one of {', '.join(known)}")
    if any(word.partition("=")[0] == "--db" for word in words):
        raise UsageError("--db is not for here: the lab works on the league that is open")
    return words


def start(jobs: Jobs, db: Path, words: Sequence[str]) -> Job:
    """Start a command, in a thread. A training without a name gets one, so that it can be gone on with."""
    words = list(words)
    if words[1] not in TRAININGS:
        return jobs.start(words, words[1], JOB_TAG, words)
    name = _option(words, "--name")
    if name is None:
        name = _new_name(db, words[1], [job.tag.removeprefix("run ") for job in jobs.all()])
        words += ["--name", name]
    resume = words if "--resume" in words else ["rlhf", words[1], "--name", name, "--resume"]
    return jobs.start(words, name, f"run {name}", resume)


def _new_name(db: Path, command: str, taken: Sequence[str]) -> str:
    algorithm = next(name for name, word in ALGORITHMS.items() if word == command)
    if not db.exists():
        return f"{command}-1"
    with Store(db, create=False) as store:
        return free_name(store, algorithm, taken)


def _option(words: Sequence[str], name: str) -> str | None:
    """The value of an option that was typed, or None. Raises UsageError where it has none."""
    for number, word in enumerate(words):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name:
            if number + 1 == len(words):
                raise UsageError(f"{name} needs a value")
            return words[number + 1]
    return None
