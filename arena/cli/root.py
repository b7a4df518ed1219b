"""The command line: options of `arena` itself, and the commands that `arena.cli.lazy` lists."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from arena.cli.app import DEFAULT_DB, open_app
from arena.cli.lazy import LazyGroup
from arena.cli.options import Db

app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"arena-league {version('arena-league')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def arena(
    ctx: typer.Context,
    db: Db = DEFAULT_DB,
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Your name in the app.")] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from (also ARENA_DEBUG=1).")
    ] = False,
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and leave.")
    ] = False,
) -> None:
    """A terminal game arena: agents learn by self-play, are rated, replayed and played against.

    Without a command it opens the app. Everything that happens is kept in one file, league.db.

    \b
    Example:
      arena train connect_four --algo ppo --minutes 3
      arena play connect_four --vs ppo-1@latest
    """
    if db != DEFAULT_DB:
        os.environ["ARENA_DB"] = str(db)  # a --db before the command is the command's, unless it has its own
    if ctx.invoked_subcommand is None:
        open_app(db, name)
