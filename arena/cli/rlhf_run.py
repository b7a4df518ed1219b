"""How a training of `arena rlhf` goes under its command: begun or resumed, shown, told of."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from arena.cli.errors import INTERRUPTED
from arena.cli.interrupts import stoppable
from arena.cli.options import DEFAULT_DB
from arena.cli.output import clean, duration, print_json, say
from arena.cli.progress import Meter
from arena.store import Store
from envs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arena.feedback import TextProgress
    from arena.records_text import TextModelKind


def given_options(ctx: typer.Context) -> set[str]:
    """The options that were typed with a command."""
    typed = {name for name in ctx.params if str(ctx.get_parameter_source(name)).endswith("COMMANDLINE")}
    return {parameter.opts[0] for parameter in ctx.command.params if parameter.name in typed}


def configure(algorithm: str, settings: list[str] | None) -> Any:
    """An algorithm's settings with what was typed."""
    from arena.config import apply_sets
    from arena.feedback_stages import CONFIGS

    return apply_sets(CONFIGS[algorithm](), settings or [])


def newest(store: Store, *kinds: TextModelKind) -> str:
    """The newest model of the first of these kinds that there is one of; UsageError where there is none."""
    from arena.feedback_status import newest_model

    if found := newest_model(store, *kinds):
        return found
    words = {"pretrained": "arena rlhf pretrain", "sft": "arena rlhf sft", "reward": "arena rlhf reward"}
    made = next((words[kind] for kind in kinds if kind in words), "arena rlhf pretrain")
    raise UsageError(f"there is no model to begin with yet; `{made}` makes one, or name one")


def run_training(
    ctx: typer.Context, db: Path, algorithm: str, name: str | None, config: Any, seed: int, device: str,
    resume: bool, json: bool, allow_code: bool = False, quiet: bool = False,
) -> TextProgress:  # fmt: skip
    """Begin or resume a training, show its progress, print what came of it, leave with 130 where it was stopped."""
    if resume:
        if name is None:
            raise UsageError("--resume needs the --name of the run to go on with; `arena rlhf status` shows them")
        if more := given_options(ctx) - {"--name", "--resume", "--allow-code", "--db", "--json"}:
            raise UsageError(f"--resume goes on with what the run began with; leave out {', '.join(sorted(more))}")
    else:
        from arena.feedback_stages import device_of

        device_of(device)  # before anything is added
    with Store(db, create=not resume) as store:
        from arena.feedback import resume_text, train_text
        from arena.feedback_demo import training_line
        from arena.feedback_status import resume_words

        last: TextProgress | None = None
        with stoppable() as should_stop, Meter() as meter:
            reports: Iterator[TextProgress]
            if resume:
                reports = resume_text(store, name or "", allow_code=allow_code, should_stop=should_stop)
            else:
                reports = train_text(
                    store, name, algorithm, config(store), seed=seed, device=device, should_stop=should_stop
                )
            for last in reports:
                meter.update(last.run, last.step, last.total, training_line(last))
        assert last is not None
        run = store.run(last.run)
    if last.state != "finished":
        words = ["arena", *resume_words(run)]
        words += [] if db == DEFAULT_DB else ["--db", str(db)]
        say(f"go on with: {clean(shlex.join(words))}")
        raise typer.Exit(INTERRUPTED if should_stop() else 1)
    if json:
        print_json({"run": run, "model": last.model, "metrics": dict(last.values)})
    elif not quiet:
        steps = f"step {run.step:,} of {run.total_steps:,} in {duration(run.seconds)}"
        print(f"{clean(run.name)}: {steps}; {training_line(last)}")
    return last
