"""Whether a run still goes, and how far it has come."""

from __future__ import annotations

from arena.locks import is_held
from arena.records import Run
from arena.store import Store


def standing(store: Store, run: Run) -> tuple[str, int]:
    """(state, step): `killed` where a run's process is gone without a word; at work, the step of its newest metrics.

    A run's own `step` is what it could go on from.
    """
    if run.state != "running":
        return run.state, run.step
    if not is_held(store.path, f"run-{run.id}"):
        return "killed", run.step
    return "running", max(run.step, store.newest_step(run.id))
