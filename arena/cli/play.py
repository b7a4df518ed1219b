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
    moves: Annotated[
        str, typer.Option(metavar="MOVES", help='Moves that have been played, such as "4 4 3"; it does not count.')
    ] = "",
    episode: Annotated[
        int | None, typer.Option("--from", metavar="EPISODE", help="Go on from a stored game; it does not count.")
    ] = None,
    ply: Annotated[int, typer.Option(metavar="N", min=0, help="With --from: after so many of its moves.")] = 0,
    temperature: Annotated[
        float | None,
        typer.Option(metavar="T", help="How agents draw their moves: 0 the likeliest, 2 weaker; it does not count."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the game that you left.")] = False,
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
      arena play connect_four --vs ppo-1 --moves "4 4 3" --temperature 2
      arena play ALE/Breakout-v5 --race random
    """
    if resume:
        _resume(db, game, name, text)
        return
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
    start = {"moves": moves.split(), "episode": episode, "ply": ply, "temperature": temperature, "race": race}
    start = {key: value for key, value in start.items() if value}
    if temperature is not None:
        start["temperature"] = temperature
    if _in_lines(text):
        from arena.cli.play_text import play_text

        seats: list[str | dict[str, str]] = [*opponents]
        seats.insert(seat, {"human": name or your_name(db)})
        play_text(str(db), game, seats, seed, None, input, start=start)
    else:
        from arena.cli.app import open_app
        from arena.realtime_client import in_real_time

        if in_real_time(game) and (moves or episode is not None or ply or temperature is not None):
            raise UsageError(f"{game} runs by the clock; leave out --moves, --from, --ply and --temperature")
        open_app(db, name, game=game, opponents=opponents, seat=seat, seed=seed, start=start)


def _in_lines(text: bool) -> bool:
    return text or not (sys.stdin.isatty() and sys.stdout.isatty())


def _resume(db: Path, game: str, name: str | None, text: bool) -> None:
    """Go on with the unfinished game; UsageError where there is none of this kind."""
    from arena.session_start import read_unfinished

    kept = None
    if db.exists():
        with Store(db, create=False) as store:
            kept = read_unfinished(store)
    if kept is None or kept["game"] != game:
        raise UsageError(f"no unfinished game of {game}" + (f", but one of {kept['game']}" if kept else ""))
    if _in_lines(text):
        from arena.cli.play_text import play_text

        play_text(str(db), game, kept["seats"], None, None, input, resume=True)
    else:
        from arena.cli.app import open_app

        open_app(db, name, resume=kept)


def your_name(db: Path) -> str:
    """The name given in the app, else the system's."""
    if not db.exists():
        return getpass.getuser()
    with Store(db, create=False) as store:
        return store.setting("name") or getpass.getuser()
