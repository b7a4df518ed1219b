"""`arena train`: one agent learns."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli.errors import INTERRUPTED
from arena.cli.interrupts import stoppable
from arena.cli.options import DEFAULT_DB, Db, GameName, Json, Seed
from arena.cli.output import clean, number, print_json, say
from arena.cli.progress import Meter, training_state
from arena.store import Store
from envs.errors import UsageError
from envs.specs import find_game, parse_variant

if TYPE_CHECKING:
    from agents.configs import Config
    from arena.training import Progress


def train(
    game: GameName,
    algo: Annotated[str, typer.Option(metavar="NAME", help="How it learns: ppo, vpg, dqn, az, q_learning, …")] = "ppo",
    steps: Annotated[int | None, typer.Option(metavar="N", min=1, help="Environment steps in all.")] = None,
    minutes: Annotated[float | None, typer.Option(help="How long to train at most.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The run's name; its agents are NAME@STEPS.")] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Threads of a network on the CPU: more pay for wide ones and pixels. 0: all cores."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting of the algorithm; may be repeated."),
    ] = None,
    compile: Annotated[bool, typer.Option("--compile", help="The same as --set compile=true.")] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings from a TOML file; --set goes before it.")
    ] = None,
    checkpoint_steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Steps between two agents; else a tenth of the run.")
    ] = None,
    opponent: Annotated[
        list[str] | None, typer.Option(metavar="AGENT", help="Also learn against this agent; may be repeated.")
    ] = None,
    init: Annotated[
        str,
        typer.Option(metavar="AGENT", help="Start from this trained agent's weights; of another game: GAME:AGENT."),
    ] = "",
    reward: Annotated[str, typer.Option(metavar="MODULE:FUNCTION", help="Shape a one-player game's rewards.")] = "",
    lessons: Annotated[
        str,
        typer.Option(
            "--from", metavar="SOURCE", help="What bc learns from: a PGN or SGF file, episodes, or episodes:AGENT."
        ),
    ] = "",
    record: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Keep every N-th game it plays alone or with itself as an episode."),
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run --name (--steps or --minutes may be new).")
    ] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Let a resumed run call the --reward stored with it.")
    ] = False,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print the settings as TOML, for --config, and leave.")
    ] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Train an agent. By self-play where a game has several players; where it has one, on its rewards.

    Ctrl-C stops and keeps everything; --resume goes on.

    \b
    Example:
      arena train connect_four --algo ppo --minutes 3 --name mine
      arena train gridworld/cliff --algo q_learning --steps 20000
      arena train connect_four --name mine --resume --steps 4000000
      arena train go --algo bc --from games.sgf
      arena train pettingzoo/atari/pong_v3 --init 'ALE/Pong-v5:ppo-1'
    """
    if resume and name is None:
        raise UsageError("--resume needs the --name of the run to go on with; `arena runs list` shows them")
    settings = [*(["compile=true"] if compile else []), *(settings or [])]
    chosen = None if resume else configure(algo, game, config, settings, init, db)
    if resume and (settings or config or record or lessons or init or threads is not None):
        raise UsageError(
            "a resumed run keeps its settings; "
            "leave out --set, --compile, --config, --threads, --record, --from and --init"
        )
    if show_settings and chosen is not None:
        from arena.config import to_toml

        print_json(chosen) if json else print(to_toml(chosen), end="")
        return
    intent = plan(game, name, chosen, algo, steps, minutes)
    last: Progress | None = None
    with stoppable() as should_stop, Meter() as meter:
        meter.wait(intent)
        with Store(db, create=not resume) as store:
            from arena.training import TrainRequest, train_agent

            request = TrainRequest(
                game=game,
                algorithm=algo,
                name=name,
                config=chosen,
                steps=steps,
                minutes=minutes,
                seed=seed,
                device=device,
                threads=1 if threads is None else threads,
                checkpoint_steps=checkpoint_steps,
                opponents=tuple(opponent or ()),
                init=init,
                reward=reward,
                lessons=lessons,
                record=record,
                resume=resume,
                allow_code=allow_code,
            )
            try:
                for report in train_agent(store, request, should_stop):
                    if last is None:
                        meter.end(intent)
                        meter.note(f"{intent}, on {store.run(report.run).device}")
                    last = report
                    meter.update(last.run, last.step, last.total, training_state(last))
            finally:
                if last is not None and last.state == "running":
                    meter.note(how_to_go_on(game, last.run, db))
            assert last is not None
            run = store.run(last.run)
            agents = [agent for agent in store.agents(game, retired=True) if agent.run == run.id]
    if json:
        print_json({"run": run, "agents": agents, "return": last.episodic_return})
    else:
        score = number(last.episodic_return)
        print(f"{clean(run.name)}: {run.state} at step {run.step:,} of {run.total_steps:,}, return {score}")
        if agents:
            newest = shlex.quote(agents[-1].name)
            alone = find_game(game.partition("?")[0]).num_players == 1
            print(
                f"next: arena {'evaluate' if alone else 'play'} {shlex.quote(game)} {'' if alone else '--vs '}{newest}"
            )
    if run.state == "stopped":
        say(how_to_go_on(game, run.name, db))
        raise typer.Exit(INTERRUPTED if should_stop() else 0)


def plan(
    game: str, name: str | None, config: Config | None, algorithm: str, steps: int | None, minutes: float | None
) -> str:
    """What a training is about to do, said before anything slow is loaded."""
    if config is None:
        return f"{clean(game)}: going on with {clean(name or '')}"
    from agents.presets import EVERY_ALGORITHM, PRESETS

    prefixes = sorted({*PRESETS.get(algorithm, {}), *EVERY_ALGORITHM})
    presets = [prefix for prefix in prefixes if str(parse_variant(game)).startswith(prefix)]
    settings = f"preset {' + '.join(presets)}" if presets else "its usual settings"
    length = [f"{steps:,} steps"] if steps else []
    length += [f"at most {minutes:g} min" if steps else f"{minutes:g} min, after a short trial"] if minutes else []
    games = getattr(config, "num_envs", 1)
    together = [f"{games:,} games side by side"] if games > 1 else []
    return f"{clean(game)}: {algorithm} with {', '.join([settings, *together, *length])}"


def configure(
    algorithm: str, game: str, file: Path | None, settings: list[str], init: str = "", db: Path = DEFAULT_DB
) -> Config:
    """The algorithm's settings for the game: its own, then those of a TOML file, then those typed.

    With `init` its own have a network of that agent's shape.
    """
    from agents.configs import default_config
    from arena.config import apply_sets, load_toml

    config = default_config(algorithm, game)
    if init:
        from arena.warm_start import starting_config

        with Store(db) as store:
            config = starting_config(store, algorithm, str(parse_variant(game)), init)
    if file is not None:
        config = load_toml(config, file)
    return apply_sets(config, settings)


def how_to_go_on(game: str, run: str, db: Path) -> str:
    """The command that goes on with a run that was stopped."""
    words = ["arena", "train", game, "--name", run, "--resume"] + ([] if db == DEFAULT_DB else ["--db", str(db)])
    return f"go on with: {clean(shlex.join(words))}"
