"""`arena play`: a person against agents."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from arena.cli.options import DEFAULT_DB, MAX_SEED, Db, GameName
from arena.store import Store
from envs.errors import UsageError
from envs.specs import find_game


def play(
    game: GameName,
    vs: Annotated[
        list[str] | None,
        typer.Option("--vs", metavar="AGENT", help="Whom you play; may be repeated where more than two play."),
    ] = None,
    race: Annotated[
        str | None,
        typer.Option(metavar="AGENT", help="In the app: an Atari game for one player side by side with this agent's."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Your name; else the one you gave in the app.")
    ] = None,
    seat: Annotated[int, typer.Option(metavar="N", min=0, help="Your seat: 0 moves first.")] = 0,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=MAX_SEED, help="Where all chance comes from; else a new one.")
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="In plain lines, without the app (also where there is no terminal).")
    ] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Play a game. The finished game is rated and kept under your name.

    \b
    Example:
      arena play connect_four --vs ppo-1@latest
      arena play tic_tac_toe --vs minimax --seat 1 --text
      arena play ALE/Breakout-v5 --race random
    """
    players = find_game(game.partition("?")[0]).num_players
    opponents = list(vs or [])
    if players == 1 and opponents:
        raise UsageError(f"{game} is played alone; leave out --vs")
    if players is not None and players > 1 and len(opponents) != players - 1:
        raise UsageError(f"{game} has {players} players: name {players - 1} with --vs, such as --vs random")
    if seat > len(opponents):
        raise UsageError(f"--seat {seat}: {game} has the seats 0 to {len(opponents)}")
    if race is not None and (players != 1 or not game.startswith("ALE/") or text):
        raise UsageError("--race is for Atari games for one player in the app, such as ALE/Breakout-v5")
    if text or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from arena.cli.play_text import play_text

        seats: list[str | dict[str, str]] = [*opponents]
        seats.insert(seat, {"human": name or your_name(db)})
        play_text(str(db), game, seats, seed, None, input)
    else:
        from arena.cli.app import open_app

        open_app(db, name, game=game, opponents=opponents, seat=seat, seed=seed, race=race)


def your_name(db: Path) -> str:
    """The name given in the app, else the system's."""
    if not db.exists():
        return getpass.getuser()
    with Store(db, create=False) as store:
        return store.setting("name") or getpass.getuser()
