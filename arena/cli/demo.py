"""`arena demo`: everything once, in a few minutes."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from arena.cli.errors import INTERRUPTED
from arena.cli.interrupts import stoppable
from arena.cli.options import DEFAULT_DB, Db, Json
from arena.cli.output import clean, drawing_text, duration, number, print_json, say
from arena.cli.progress import Meter
from arena.cli.table import print_standings
from arena.jobs import parse_line
from arena.store import Store

if TYPE_CHECKING:
    from arena.demo import DemoEvent, DemoResults


def demo(db: Db = DEFAULT_DB, json: Json = False) -> None:
    """Show everything once, in some minutes. DQN, VPG and PPO learn three games, meet the scripts and are rated.

    Interrupted, it goes on when it is called again; once complete, it shows its results again.

    \b
    Example:
      arena demo
    """
    from arena import demo as service

    began = time.monotonic()
    here = "" if db == DEFAULT_DB else f" --db {shlex.quote(clean(str(db)))}"
    with Store(db) as store:
        fresh = not service.is_complete(store)
        if fresh:
            say("DQN, VPG and PPO learn a gridworld, tic-tac-toe and connect four: about five minutes on two cores.")
        with stoppable() as should_stop, Meter() as meter:
            for event in service.run_demo(store, should_stop):
                report(event, meter)
            stopped = should_stop()
        if stopped:
            say(f"go on with: {command()} demo{here}")
            raise typer.Exit(INTERRUPTED)
        say("comparing with perfect play …")
        found = service.results(store)
    if json:
        print_json(found)
        return
    print_results(found)
    spent = f"after {duration(time.monotonic() - began)}" if fresh else "from before: nothing was left to do"
    print(f"\nEverything is in {clean(str(db))}, {spent}. Type next:\n\n  {command()}{here}")


def report(event: DemoEvent, meter: Meter) -> None:
    """Show what the demonstration has just done."""
    if event.trained:
        meter.end(event.job)
        meter.note(f"{event.job} is trained")
    elif event.total:
        meter.update(event.job, event.done, event.total, event.line)
    elif (progress := parse_line(event.line)) is not None:
        meter.update(*progress)
    else:
        meter.note(f"{event.job}: {event.line}")


def print_results(found: DemoResults) -> None:
    """Two rating tables, a score table beside the optimum, and a game."""
    from arena.episodes import as_text

    for game, rows in found.tables.items():
        print(f"\n{game}\n")
        print_standings(rows)
    print()
    for name, (lost, lines) in found.lost_lines.items():
        print(f"tic-tac-toe: {clean(name)} loses {lost:,} of {lines:,} lines")
    print(f"\n{found.gridworld} (perfect play: {number(found.optimum)})\n")
    print_standings(found.scores)
    if found.moves.drawing is not None:
        print(f"\n{clean(found.moves.agent)}'s values and moves\n{drawing_text(found.moves.drawing)}")
    print(f"\n{as_text(found.sample, [clean(name) for name in found.players])}")
    print(f"step through it: {command()} replay show {found.sample.id}")


def command() -> str:
    """How this program was called, for the person to call it again."""
    called = Path(sys.argv[0])
    if called.name != "arena":
        return "arena"
    return os.path.relpath(called) if called.absolute().is_relative_to(Path.cwd()) else "arena"
