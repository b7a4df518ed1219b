"""What the training screen shows: runs with their jobs, curves, the end of a log. Read in worker threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agents.configs import CONFIGS, SEARCHABLE, LearnerConfig
from arena.jobs import Job, Jobs
from arena.records import Run
from arena.run_names import free_name
from arena.run_standing import standing
from arena.store import Store
from envs.errors import UnknownNameError
from envs.specs import find_game

MAX_RUNS = 200
"""Runs that are listed, the newest."""
POINTS = 400
RETURN, RATE = "charts/episodic_return", "charts/SPS"
FIRST_KEYS = (
    "charts/score_vs_pool",
    "charts/score_vs_random",
    RETURN,
    "losses/policy_loss",
    "losses/td_loss",
    "losses/value_loss",
    "losses/entropy",
    "losses/approx_kl",
    RATE,
)
"""The order in which metrics are offered; what is not among them comes behind."""
SIGNS = {"starting": "…", "running": "▶", "finished": "✓", "stopped": "■", "failed": "✗", "killed": "‼"}


@dataclass(frozen=True)
class RunRow:
    """A run in the list, or a job that has not made one yet.

    Attributes:
        state: a key of `SIGNS`; "killed": it says that it runs, and nobody is at work on it.
        why: what went wrong, or "".
        rate: env steps per second, result: the return, or the score against the pool; None where nothing is known.
        job: the last one that worked on it, or None.
    """

    name: str
    game: str
    algorithm: str
    state: str
    step: int
    total: int
    rate: float | None = None
    result: float | None = None
    left: str = ""
    why: str = ""
    job: Job | None = None
    run: Run | None = None

    @property
    def active(self) -> bool:
        return self.state in ("starting", "running")


@dataclass(frozen=True)
class Curves:
    """Metrics of some runs: keys in the order in which they are offered, and key → run → (steps, values)."""

    keys: list[str] = field(default_factory=list)
    series: Mapping[str, Mapping[str, tuple[list[int], list[float]]]] = field(default_factory=dict)


def read_runs(db: Path, jobs: Jobs) -> list[RunRow]:
    """The newest runs, and what has been started but is not one yet; newest first."""
    at_work: dict[str, Job] = {}
    for job in jobs.all():  # the newest first
        if job.tag.startswith("run "):
            at_work.setdefault(job.tag.removeprefix("run "), job)
    rows: list[RunRow] = []
    if db.exists():
        with Store(db, create=False) as store:
            for run in reversed(store.runs(newest=MAX_RUNS)):
                values = store.newest_metrics(run.id, (RETURN, RATE, "charts/score_vs_pool"))
                rows.append(run_row(store, run, at_work.pop(run.name, None), values))
            known = {run.name for run in store.runs()} if at_work else set()
    else:
        known = set()
    return [_unborn(name, job) for name, job in at_work.items() if name not in known] + rows


def run_row(store: Store, run: Run, job: Job | None, values: Mapping[str, float]) -> RunRow:
    """A run as it stands: what its job and its lock say counts before what it says of itself."""
    state, step = standing(store, run)
    why, left = run.error or "", ""
    if job is not None and job.state == "running":
        over = run.state != "running" and run.updated_at > job.started_at  # its process tidies up
        state = run.state if over or run.state == "running" else "starting"
        if job.progress is not None and job.progress.part == run.name:
            step = max(step, job.progress.done)
            left = job.progress.words.rpartition(" · ")[2]
            left = left if left.endswith(" left") else ""
    elif state == "killed":
        why = f"its process is gone; it can go on from step {run.step:,}"
    elif job is not None and job.state == "failed" and job.started_at > run.updated_at:
        why = job.why
    return RunRow(
        name=run.name,
        game=run.game,
        algorithm=run.algorithm,
        state=state,
        step=step,
        total=run.total_steps,
        rate=values.get(RATE),
        result=values.get("charts/score_vs_pool", values.get(RETURN)),
        left=left,
        why=why,
        job=job,
        run=run,
    )


def _unborn(name: str, job: Job) -> RunRow:
    state = {"running": "starting", "done": "failed"}.get(job.state, job.state)
    words = [*job.command, "", ""]
    game = words[1]
    algorithm = words[words.index("--algo") + 1] if "--algo" in words else ""
    return RunRow(name, game, algorithm, state, 0, 0, why=job.why, job=job)


def read_curves(db: Path, names: Sequence[str], first: int, panels: int) -> Curves:
    """Of these runs the series of `panels` metrics, from the `first` key on (round and round)."""
    if not db.exists():
        return Curves()
    with Store(db, create=False) as store:
        runs: dict[str, int] = {}
        for name in names:
            with suppress(UnknownNameError):  # a job that has not begun its run yet
                runs[name] = store.run(name).id
        found = {key for run in runs.values() for key in store.metric_keys(run)}
        keys = [key for key in FIRST_KEYS if key in found] + sorted(found - set(FIRST_KEYS))
        shown = [keys[(first + panel) % len(keys)] for panel in range(min(panels, len(keys)))]
        series = {
            key: {name: _columns(store.metrics(runs[name], key, POINTS)) for name in names if name in runs}
            for key in shown
        }
    return Curves(keys, series)


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def algorithms(game: str) -> list[str]:
    """Who learns such a game (a variant)."""
    registered = find_game(game.partition("?")[0])
    tables = registered.id.startswith("gridworld/") and registered.turns == "one player"
    continuous = registered.actions.startswith("continuous")
    nets = ["ppo", "vpg", *([] if continuous else ["dqn"]), *(["az"] if registered.id in SEARCHABLE else [])]
    return [
        name for name, config in CONFIGS.items() if name in nets or (tables and not issubclass(config, LearnerConfig))
    ]


def new_name(db: Path, algorithm: str, jobs: Jobs) -> str:
    """A name that no run has, nor a job that is about to make one."""
    taken = {job.tag.removeprefix("run ") for job in jobs.all() if job.tag.startswith("run ")}
    if db.exists():
        with Store(db, create=False) as store:
            name = free_name(store, algorithm)
    else:
        name = f"{algorithm}-1"
    while name in taken:
        head, _, number = name.rpartition("-")
        name = f"{head}-{int(number) + 1}"
    return name


def settings_that_differ(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """What distinguishes runs: (setting, its value in each)."""
    flat = [
        {"game": run.game, "algorithm": run.algorithm, "seed": run.seed, "device": run.device}
        | {key: value for key, value in run.config.items() if key != "settings"}
        | run.config.get("settings", {})
        for run in runs
    ]
    keys = dict.fromkeys(key for values in flat for key in values)
    rows = [(key, ["–" if values.get(key) is None else str(values[key]) for values in flat]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1 or len(runs) == 1]
