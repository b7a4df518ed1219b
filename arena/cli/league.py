"""`arena league`: a population trains, is matched and rated, again and again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli.errors import INTERRUPTED
from arena.cli.interrupts import stoppable
from arena.cli.options import DEFAULT_DB, Db, GameName, Json, Seed, SomeGame, group
from arena.cli.output import clean, duration, print_json, print_table, say, signed, when
from arena.cli.progress import Meter, training_state
from arena.cli.table import print_standings
from arena.standings import ScoreRow, Standing, score_table, standings
from arena.store import Store
from envs.specs import find_game

if TYPE_CHECKING:
    from arena.league import LeagueEvent

app = group("Leagues: a population trains, is matched and rated, round after round.")


@app.command()
def run(
    game: GameName,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The league's name; else the game's.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so long.")] = None,
    rounds: Annotated[int | None, typer.Option(metavar="N", min=1, help="Stop after so many more rounds.")] = None,
    algo: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A learner of a new league; may be repeated (dqn, vpg, ppo)."),
    ] = None,
    games: Annotated[int | None, typer.Option(metavar="N", min=1, help="Games of every match of a new league.")] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda, for a new league.")] = "auto",
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Begin a league or go on with it. Train, play, rate, until Ctrl-C, --minutes or --rounds.

    \b
    Example:
      arena league run connect_four --minutes 10
    """
    opening = f"{clean(name or game)}: the league opens"
    with Store(db) as store, stoppable() as should_stop, Meter() as meter:
        meter.wait(opening)
        from arena.league import GAMES, run_league

        events = run_league(
            store,
            game,
            name,
            minutes=minutes,
            rounds=rounds,
            learners=tuple(algo) if algo else None,
            games=games or GAMES,
            seed=seed,
            device=device,
            should_stop=should_stop,
        )
        for event in events:
            meter.end(opening)
            report(event, meter, store)
        stopped = should_stop()
        league = store.league(name or game)
        rows = _table(store, league.game)
    if json:
        print_json({"league": league, "rows": rows})
    else:
        print(f"{clean(league.name)}: {league.round} rounds played")
        print_standings(rows)
    if stopped:
        words = ["arena", "league", "run", league.game, *([] if name is None else ["--name", name])]
        say(f"go on with: {clean(shlex.join(words + ([] if db == DEFAULT_DB else ['--db', str(db)])))}")
        raise typer.Exit(INTERRUPTED)


@app.command("list")
def list_leagues(game: SomeGame = None, db: Db = DEFAULT_DB, json: Json = False) -> None:
    """List the leagues of a game, or of all games.

    \b
    Example:
      arena league list
    """
    with Store(db, create=False) as store:
        leagues = store.leagues(game)
    if json:
        print_json(leagues)
        return
    rows = [(league.name, league.game, league.round, when(league.created_at)) for league in leagues]
    print_table(
        ("league", "game", "rounds", "since"), rows, "no leagues yet; `arena league run GAME` begins one", left=2
    )


@app.command()
def status(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A league, as `arena league list` names it.")],
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Show a league: its round, its learners, the game's table.

    \b
    Example:
      arena league status connect_four
    """
    with Store(db, create=False) as store:
        league = store.league(name)
        runs = store.runs(league=league.id)
        rows = _table(store, league.game)
    if json:
        print_json({"league": league, "runs": runs, "rows": rows})
        return
    print(f"{clean(f'{league.name}: {league.game}')}, {league.round} rounds played, since {when(league.created_at)}\n")
    lines = [(run.name, run.algorithm, run.state, f"{run.step:,}", duration(run.seconds)) for run in runs]
    print_table(("learner", "algorithm", "state", "steps", "trained"), lines, "no learners yet", left=3)
    print()
    print_standings(rows)


def report(event: LeagueEvent, meter: Meter, store: Store) -> None:
    """Show what a league has just done."""
    matches = f"round {event.round + 1}: matches"
    if event.progress is not None:
        progress = event.progress
        job = f"round {event.round + 1}: {progress.run}"
        meter.update(job, progress.step, progress.total, training_state(progress))
        if progress.state != "running":
            meter.end(job)
    elif event.result is not None:
        total = event.result.total
        score = f"{' – '.join(event.result.agents)}: {total.wins}–{total.losses}, {total.draws} drawn"
        meter.update(matches, event.done, event.total, score)
    elif event.evaluation is not None:
        meter.update(matches, event.done, event.total, f"{event.evaluation.agent}: {event.evaluation.mean:.3g}")
    elif event.kind == "round":
        meter.end(matches)
        best = [_short(row) for row in _table(store, store.league(event.league).game)[:3]]
        meter.note(f"round {event.round + 1} is complete: {', '.join(best)}")


def _table(store: Store, game: str) -> list[Standing] | list[ScoreRow]:
    alone = find_game(game.partition("?")[0]).num_players == 1
    return score_table(store, game) if alone else standings(store, game)


def _short(row: Standing | ScoreRow) -> str:
    return f"{row.agent} {signed(row.elo) if isinstance(row, Standing) else f'{row.mean:.3g}'}"
