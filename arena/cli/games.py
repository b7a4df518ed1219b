"""`arena games`: what can be played."""

from __future__ import annotations

from typing import Annotated

import typer

from arena.cli.options import GameName, Json
from arena.cli.output import clean, print_json, print_table
from envs.specs import GAMES

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.callback(invoke_without_command=True)
def games(ctx: typer.Context, json: Json = False) -> None:
    """The games: list, show, check. Without a command it lists them.

    \b
    Example:
      arena games
    """
    if ctx.invoked_subcommand is None:
        list_games(json)


@app.command("list")
def list_games(json: Json = False) -> None:
    """List the games. Id, players, who moves when, observation, actions, source.

    \b
    Example:
      arena games list --json
    """
    if json:
        print_json(GAMES)
        return
    rows = [
        (
            game.id,
            game.num_players or "any",
            game.turns,
            game.observation,
            game.actions,
            game.source,
        )
        for game in GAMES
    ]
    print_table(("game", "players", "turns", "observation", "actions", "source"), rows, "", left=6)


@app.command()
def show(
    game: GameName,
    json: Json = False,
) -> None:
    """Show one game and its options.

    \b
    Example:
      arena games show gridworld/maze
    """
    from envs.specs import parse_variant

    variant = parse_variant(game)
    if json:
        print_json({"variant": str(variant), "game": variant.game, "options": variant.all_options()})
        return
    found = variant.game
    print(f"{variant} – {found.summary} ({found.turns}; observation: {found.observation}; actions: {found.actions})")
    rows = [
        (option.name, value, option.help) for option in found.options for value in [variant.all_options()[option.name]]
    ]
    if rows:
        print_table(("option", "value", "meaning"), rows, "", left=3)


@app.command()
def check(
    game: GameName,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Random steps to play.")] = 48,
    json: Json = False,
) -> None:
    """Hold an environment to the protocol. Exits with 1 where it breaks it.

    \b
    Example:
      arena games check pettingzoo/classic/go_v5?board_size=9
    """
    from envs.conformance import check_env

    problems = check_env(game, steps)
    if json:
        print_json({"game": game, "ok": not problems, "problems": problems})
    else:
        for problem in problems:
            print(clean(problem))
        print(f"{game}: {f'{len(problems)} problem(s)' if problems else 'keeps the protocol'}")
    if problems:
        raise typer.Exit(1)
