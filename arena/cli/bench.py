"""`arena bench`: our side of the benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from arena.cli.options import Json, Seed, group
from arena.cli.output import print_json, print_table

if TYPE_CHECKING:
    from agents.configs import LearnerConfig

app = group("Measure this machine: random play, time to solve a game, training rates.")

Threads = Annotated[int, typer.Option(min=0, help="Torch threads; 0: as many as torch takes.")]
Game = Annotated[str, typer.Option("--game", help="A game.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Algorithm = Annotated[str, typer.Option("--algo", help="An algorithm with a network: ppo, vpg, dqn, az.")]
Seconds = Annotated[float, typer.Option(min=0.001, max=86_400, help="For how long.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting of the algorithm; may be repeated."),
]
SIZES = (1, 64, 1024, 16384)


def report(result: dict[str, Any], json: bool) -> None:
    print_json(result) if json else print(", ".join(f"{key} {value}" for key, value in result.items()))


def set_threads(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


def device_here(device: str) -> str:
    """`device`; raises UsageError where it is not to be had."""
    from agents.configs import Config
    from arena.provenance import resolve_device

    return resolve_device(device, Config(), 1.0)


def learner(algorithm: str, game: str, settings: list[str] | None) -> LearnerConfig:
    """The preset with these settings; raises UsageError for what has no network."""
    from agents.configs import LearnerConfig, default_config
    from arena.config import apply_sets
    from envs.errors import UsageError

    config = apply_sets(default_config(algorithm, game), settings or [])
    if not isinstance(config, LearnerConfig):
        raise UsageError(f"--algo {algorithm} has no network to train; take ppo, vpg, dqn or az")
    return config


@app.command()
def games(
    game: Game = "connect_four",
    games: Annotated[int, typer.Option(min=1, help="Games side by side.")] = 16384,
    seconds: Seconds = 3.0,
    threads: Threads = 1,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Random play: steps a second.

    \b
    Example:
      arena bench games --game othello --games 16384 --json
    """
    from arena.bench import random_play

    set_threads(threads)
    report(random_play(game, games, seconds, device_here(device)), json)


@app.command()
def curve(game: Game = "connect_four", seconds: Seconds = 1.0, threads: Threads = 1, json: Json = False) -> None:
    """Random play with 1, 64, 1,024 and 16,384 games side by side: what a step costs, what a game weighs.

    \b
    Example:
      arena bench curve --game gridworld/tron
    """
    from arena.bench import random_play

    set_threads(threads)
    results = [random_play(game, size, seconds) for size in SIZES]
    if json:
        print_json(results)
        return
    rows = [(f"{r['games']:,}", f"{r['value']:,.0f}", f"{1e9 / r['value']:,.0f}", f"{r['bytes']:,}") for r in results]
    print_table(("games", "steps/s", "ns a step", "bytes a game"), rows, "", left=0)


@app.command()
def solve(
    game: Game = "cartpole",
    algo: Algorithm = "ppo",
    target: Annotated[
        float, typer.Option(min=-1e9, max=1e9, help="The mean return of 100 greedy episodes to be reached.")
    ] = 475.0,
    budget: Annotated[int, typer.Option(min=1, help="Environment steps, over which the schedules run.")] = 100_000,
    seed: Seed = 0,
    settings: Settings = None,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    """Seconds of training until a one-player game is solved.

    \b
    Example:
      arena bench solve --game cartpole --algo ppo --seed 1 --json
    """
    from arena.bench import time_to_solve

    set_threads(threads)
    report(time_to_solve(algo, learner(algo, game, settings), game, target, seed, budget), json)


@app.command()
def train(
    game: Game = "connect_four",
    algo: Algorithm = "ppo",
    steps: Annotated[int, typer.Option(min=2, help="Environment steps; the second half is measured.")] = 1_000_000,
    settings: Settings = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say where the time goes, and what share of the device's peak is used.")
    ] = False,
    threads: Threads = 0,
    device: Device = "cpu",
    json: Json = False,
) -> None:
    """Training: environment steps a second, learning included.

    \b
    Example:
      arena bench train --game connect_four --algo ppo --profile
    """
    from arena.bench import training_rate

    set_threads(threads)
    config = learner(algo, game, settings)
    report(training_rate(algo, config, game, steps, profile=profile, device=device_here(device)), json)
