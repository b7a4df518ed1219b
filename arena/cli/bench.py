"""`arena bench`: our side of the benchmarks."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from arena.cli.options import Json, group
from arena.cli.output import print_json

app = group("Measure this machine: random play, time to solve a game, training rates.")

Threads = Annotated[int, typer.Option(min=0, help="Torch threads; 0: as many as torch takes.")]
Game = Annotated[str, typer.Option("--game", help="A game.")]
Algorithm = Annotated[str, typer.Option("--algo", help="An algorithm.")]


def report(result: dict[str, Any], json: bool) -> None:
    print_json(result) if json else print(", ".join(f"{key} {value}" for key, value in result.items()))


def set_threads(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


@app.command()
def games(
    game: Game = "connect_four",
    games: Annotated[int, typer.Option(min=1, help="Games side by side.")] = 16384,
    seconds: Annotated[float, typer.Option(help="For how long.")] = 3.0,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Random play: moves a second.

    \b
    Example:
      arena bench games --game othello --games 16384 --json
    """
    from arena.bench import random_play

    set_threads(threads)
    report(random_play(game, games, seconds), json)


@app.command()
def solve(
    game: Game = "gym/CartPole-v1",
    algo: Algorithm = "ppo",
    target: Annotated[float, typer.Option(help="The mean return of 100 greedy episodes to be reached.")] = 475.0,
    budget: Annotated[int, typer.Option(min=1, help="Environment steps, over which the schedules run.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Where all chance comes from.")] = 0,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    """Seconds of training until a one-player game is solved.

    \b
    Example:
      arena bench solve --game gym/CartPole-v1 --algo ppo --seed 1 --json
    """
    from arena.bench import time_to_solve

    set_threads(threads)
    report(time_to_solve(algo, game, target, seed, budget), json)


@app.command()
def train(
    game: Game = "connect_four",
    algo: Algorithm = "ppo",
    steps: Annotated[int, typer.Option(min=2, help="Environment steps; the second half is measured.")] = 1_000_000,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Training: environment steps a second, learning included.

    \b
    Example:
      arena bench train --game connect_four --algo ppo --json
    """
    from arena.bench import training_rate

    set_threads(threads)
    report(training_rate(algo, game, steps), json)
