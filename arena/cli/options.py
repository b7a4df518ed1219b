"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arena.cli.app import DEFAULT_DB as DEFAULT_DB
from envs.specs import parse_variant


def group(help: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


def canonical(game: str) -> str:
    """A typed game as the league knows it, options in order, defaults dropped; UsageError for what does not exist."""
    return str(parse_variant(game))


Db = Annotated[Path, typer.Option("--db", envvar="ARENA_DB", metavar="PATH", help="The league's file.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, on stdout.")]
GameName = Annotated[
    str, typer.Argument(metavar="GAME", help="A game, such as connect_four or gridworld/maze?size=9.", parser=canonical)
]
SomeGame = Annotated[str | None, typer.Argument(metavar="GAME", help="Only this game.", parser=canonical)]
AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="An agent, as `arena agents list` names it.")]
MAX_SEED = 2**63 - 1  # what the league's file and torch's generators hold
Seed = Annotated[int, typer.Option(metavar="N", min=0, max=MAX_SEED, help="Where all chance comes from.")]
