"""The command `arena`: the app where no command is named, else what `arena.cli.lazy` lists."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from arena.cli.lazy import LazyGroup
from arena.cli.options import DEFAULT_DB, Db

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


def open_app(db: Path, name: str | None = None, **start: Any) -> None:
    """The app, at its home screen or in a game (`game`, `opponents`, `seat`, `seed`)."""
    from tui.app import run

    run(db, name, **start)


def app_keys() -> tuple[str, list[dict[str, Any]], str]:
    """The app's keys: as a keymap file, as rows, and where the person's own file is."""
    from tui.app import keymap

    path = keymap.keymap_path()
    own = keymap.read_keymap(path)
    return keymap.template(own), keymap.rows(own), str(path)


def main() -> None:
    """The entry point."""
    app(prog_name="arena")
