"""`arena starters`: the trained agents that come with Arena."""

from __future__ import annotations

from typing import Annotated

import typer

from arena.cli.options import DEFAULT_DB, Db, Json, SomeGame, group
from arena.cli.output import clean, print_json, print_table
from arena.starters import Starter, provenance, starters
from arena.starters import add as add_starters
from arena.store import Store

app = group("Trained agents that come with Arena, for who has none yet: list, add.")


@app.command("list")
def list_starters(game: SomeGame = None, json: Json = False) -> None:
    """List the starters: how strong they were measured to be, and where they come from.

    They can be named as opponents anywhere; one that plays joins the league.

    \b
    Example:
      arena starters list connect_four
    """
    found = starters(game)
    if json:
        print_json([{**starter.__dict__, "provenance": provenance(starter)} for starter in found])
        return
    rows = [(s.name, s.game, s.strength, _elo(s), f"{s.step:,}") for s in found]
    print_table(("agent", "game", "measured", "Elo", "steps"), rows, "no starters for this game", left=3)


@app.command()
def add(
    game: SomeGame = None,
    names: Annotated[
        list[str] | None, typer.Option("--name", metavar="NAME", help="Only this one; may be repeated.")
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Make starters members of the league, with the runs they come from. They also join when they first play.

    \b
    Example:
      arena starters add connect_four
    """
    with Store(db) as store:
        agents = add_starters(store, names or (), game)
    if json:
        print_json(agents)
    for agent in () if json else agents:
        print(f"{clean(agent.game)}: {clean(agent.name)} is in the league")


def _elo(starter: Starter) -> str:
    if starter.elo is None or starter.low is None or starter.high is None:
        return "–"
    return f"{starter.elo:+.0f} ±{(starter.high - starter.low) / 2:.0f}"
