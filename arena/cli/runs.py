"""`arena runs`: what was trained, how it went."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from arena.cli.options import DEFAULT_DB, Db, Json, SomeGame, group
from arena.cli.output import clean, duration, number, print_json, print_table, say, when
from arena.run_standing import standing
from arena.store import Store
from envs.errors import UsageError

app = group("Training runs: list, show, compare, export their metrics.")

RunName = Annotated[str, typer.Argument(metavar="NAME", help="A run, as `arena runs list` names it.")]


@app.command("list")
def list_runs(game: SomeGame = None, db: Db = DEFAULT_DB, json: Json = False) -> None:
    """List the runs of a game, or of all games.

    \b
    Example:
      arena runs list
    """
    with Store(db, create=False) as store:
        runs = [(run, *standing(store, run)) for run in store.runs(game)]
    if json:
        print_json([asdict(run) | {"state": state, "step": step} for run, state, step in runs])
        return
    rows = [
        (
            run.name,
            run.game,
            run.algorithm,
            state,
            f"{step:,}/{run.total_steps:,}",
            duration(run.seconds),
            when(run.created_at),
        )
        for run, state, step in runs
    ]
    columns = ("run", "game", "by", "state", "steps", "time", "since")
    print_table(columns, rows, "no runs yet; `arena train GAME` begins one", left=4)


@app.command()
def show(name: RunName, db: Db = DEFAULT_DB, json: Json = False) -> None:
    """Show a run: its settings, its progress, its newest metrics, its agents.

    \b
    Example:
      arena runs show ppo-1
    """
    with Store(db, create=False) as store:
        run = store.run(name)
        state, step = standing(store, run)
        metrics = store.newest_metrics(run.id)
        agents = [agent for agent in store.agents(run.game, retired=True) if agent.run == run.id]
    if json:
        print_json({"run": asdict(run) | {"state": state, "step": step}, "metrics": metrics, "agents": agents})
        return
    facts: dict[str, object] = {
        "run": f"{run.name} · {run.algorithm} on {run.game}",
        "state": state if run.error is None else f"{state}: {run.error}",
        "step": f"{step:,} of {run.total_steps:,} in {duration(run.seconds)} on {run.device}",
        "seed": run.seed,
        "began": when(run.created_at),
        "commit": run.commit_hash[:12] or "–",
        "versions": " ".join(f"{package} {version}" for package, version in run.versions.items()),
    }
    for fact, value in facts.items():
        print(f"{fact:<9} {clean(str(value))}")
    print()
    print_table(("setting", "value"), list(_flat(run.config).items()), "no settings")
    print()
    print_table(("metric", "last"), [(key, number(value, 4)) for key, value in metrics.items()], "no metrics yet")
    print()
    print_table(("agent", "steps"), [(agent.name, f"{agent.step or 0:,}") for agent in agents], "no agents yet")


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Two runs or more.")],
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Set runs side by side: the settings that differ, and the newest metrics.

    \b
    Example:
      arena runs compare ppo-1 ppo-2
    """
    if len(names) < 2:
        raise UsageError("name at least two runs to compare")
    with Store(db, create=False) as store:
        runs = [store.run(name) for name in names]
        metrics = [store.newest_metrics(run.id) for run in runs]
    settings = [
        {"game": run.game, "algorithm": run.algorithm, "seed": run.seed, "device": run.device, "step": run.step}
        | {"seconds": round(run.seconds, 1)}
        | _flat(run.config)
        for run in runs
    ]
    keys = list(dict.fromkeys(key for values in settings for key in values))
    differing = {
        key: [values.get(key) for values in settings] for key in keys if len({str(v.get(key)) for v in settings}) > 1
    }
    series = sorted({key for values in metrics for key in values})
    if json:
        print_json(
            {
                "runs": names,
                "settings": differing,
                "metrics": {key: [values.get(key) for values in metrics] for key in series},
            }
        )
        return
    print_table(
        ("setting", *names),
        [(key, *(("–" if v is None else v) for v in row)) for key, row in differing.items()],
        "same settings",
    )
    print()
    print_table(
        ("metric", *names),
        [(key, *(number(values.get(key), 4) for values in metrics)) for key in series],
        "no metrics yet",
    )


@app.command()
def metrics(
    name: RunName,
    csv: Annotated[bool, typer.Option("--csv", help="A table of all metrics by step, on stdout.")] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write event files for TensorBoard below DIR.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only this series, such as charts/episodic_return.")
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Export a run's metrics as CSV, as TensorBoard events or as JSON.

    \b
    Example:
      arena runs metrics ppo-1 --csv > ppo-1.csv
      arena runs metrics ppo-1 --tensorboard events
    """
    from arena.cli.metrics_export import write_csv, write_tensorboard

    if csv + (tensorboard is not None) + json != 1:
        raise UsageError("choose one of --csv, --tensorboard DIR and --json")
    with Store(db, create=False) as store:
        run = store.run(name)
        keys = store.metric_keys(run.id) if key is None else [key]
        series = {key: store.metrics(run.id, key) for key in keys}
    if tensorboard is not None:
        write_tensorboard(series, tensorboard / re.sub(r"^\.+|/", "-", run.name))
        say(f"written; look at it with: tensorboard --logdir {clean(str(tensorboard))}")
    elif csv:
        write_csv(series)
    else:
        print_json(series)


def _flat(config: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Nested settings as `a.b` → value."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
