"""`arena league`: a population trains, is matched and rated, again and again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from arena.cli.errors import INTERRUPTED
from arena.cli.interrupts import stoppable
from arena.cli.options import DEFAULT_DB, Db, GameName, Json, Seed, SomeGame, canonical, group
from arena.cli.output import clean, duration, print_json, print_table, say, signed, when
from arena.cli.progress import Meter, training_state
from arena.cli.table import print_standings
from arena.standings import ScoreRow, Standing, score_table, standings
from arena.store import Store
from envs.errors import UnknownNameError, UsageError
from envs.specs import find_game

if TYPE_CHECKING:
    from arena.league import LeagueEvent

app = group("Leagues: a population trains, is matched and rated, round after round.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A league, as `arena league list` names it.")]
Minutes = Annotated[float | None, typer.Option(help="Stop after so long.")]
Rounds = Annotated[int | None, typer.Option(metavar="N", min=1, help="Stop after so many more rounds.")]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, help="Processes that train and play; 0: none but this one. Else the league's own."
    ),
]


class NewLeague(TypedDict, total=False):
    """What a league is given that has not begun yet; one that has keeps its own."""

    learners: tuple[str, ...] | None
    games: int
    seed: int
    device: str


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new league's name.")],
    game: GameName,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its members, gate and draw, as TOML; else the default league.")
    ] = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the configuration, ready to be edited, and begin nothing.")
    ] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Write a new league down. `arena league run NAME` plays it.

    \b
    Example:
      arena league new four connect_four --show-config > league.toml
      arena league new four connect_four --config league.toml
    """
    from arena.league_config import default_league, load_league, to_toml

    if config is None:
        from arena.league import default_learners
        from arena.roster import game_spec

        chosen = default_league(game, default_learners(game_spec(game)))
    else:
        chosen = load_league(config, game)
    if show_config:
        print_json(chosen) if json else print(to_toml(chosen, game), end="")
        return
    from arena.league import begin_league

    with Store(db) as store:
        if any(league.name == name for league in store.leagues()):
            raise UsageError(f"there is a league {name!r} already; `arena league run {name}` goes on with it")
        league = begin_league(store, game, name, chosen)
    if json:
        print_json(league)
    else:
        members = ", ".join(f"{member.name} ({member.role}, {member.algorithm})" for member in chosen.members)
        print(f"{clean(league.name)} plays {game}: {clean(members)}")


@app.command()
def run(
    which: Annotated[
        str, typer.Argument(metavar="NAME", help="A league, or a game: its default league, begun where there is none.")
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="A new league's name; else the game's.")] = None,
    minutes: Minutes = None,
    rounds: Rounds = None,
    algo: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A learner of a new league; may be repeated (dqn, vpg, ppo, az)."),
    ] = None,
    games: Annotated[int | None, typer.Option(metavar="N", min=1, help="Games of every match of a new league.")] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda, for a new league.")] = "auto",
    workers: Workers = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Go on with a league, or begin a game's. Train, play, rate, until Ctrl-C, --minutes or --rounds.

    \b
    Example:
      arena league run connect_four --minutes 10
      arena league run four --workers 2
    """
    game, name = _which(db, which, name)
    new_league: NewLeague = {"learners": tuple(algo) if algo else None, "seed": seed, "device": device}
    if games:
        new_league["games"] = games
    _go_on(db, game, name, minutes, rounds, workers, json, new_league)


@app.command()
def resume(
    name: Name,
    minutes: Minutes = None,
    rounds: Rounds = None,
    workers: Workers = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Go on with a paused league.

    \b
    Example:
      arena league resume four --minutes 10
    """
    with Store(db, create=False) as store:
        league = store.pause_league(name, paused=False)
    _go_on(db, league.game, name, minutes, rounds, workers, json, {})


@app.command()
def pause(name: Name, db: Db = DEFAULT_DB, json: Json = False) -> None:
    """Stop a league wherever it runs, with everything kept, until `arena league resume`.

    \b
    Example:
      arena league pause four
    """
    from arena.league_view import league_view

    with Store(db, create=False) as store:
        store.pause_league(name)
        view = league_view(store, name)
    if json:
        print_json(view.league)
    else:
        stops = f"; process {view.process} stops at its next update or match" if view.process else ""
        print(f"{clean(name)} is paused after {view.league.round} rounds{stops}")


@app.command("list")
def list_leagues(game: SomeGame = None, db: Db = DEFAULT_DB, json: Json = False) -> None:
    """List the leagues of a game, or of all games.

    \b
    Example:
      arena league list
    """
    from arena.league_view import league_view

    with Store(db, create=False) as store:
        leagues = store.leagues(game)
        states = [league_view(store, league.name).state for league in leagues] if not json else []
    if json:
        print_json(leagues)
        return
    rows = [
        (league.name, league.game, state, league.round, when(league.created_at))
        for league, state in zip(leagues, states, strict=True)
    ]
    print_table(
        ("league", "game", "state", "rounds", "since"),
        rows,
        "no leagues yet; `arena league run GAME` begins one",
        left=3,
    )


@app.command()
def status(name: Name, db: Db = DEFAULT_DB, json: Json = False) -> None:
    """Show a league: its round, its members and whom they train against, its newest frozen players, the game's table.

    \b
    Example:
      arena league status connect_four
    """
    from arena.league_view import league_view

    with Store(db, create=False) as store:
        view = league_view(store, name)
        runs = store.runs(league=view.league.id)
        rows = _table(store, view.league.game)
    if json:
        print_json({"league": view.league, "state": view.state, "members": view.members, "runs": runs, "rows": rows})
        return
    league = view.league
    since = f"{league.round} rounds played, since {when(league.created_at)}, {view.state}"
    print(f"{clean(f'{league.name}: {league.game}')}, {since}\n")
    lines = [
        (m.name, m.role, m.algorithm, m.newest or "–", f"{m.step:,}", duration(m.seconds), m.frozen, m.resets)
        for m in view.members
    ]
    heads = ("member", "role", "algorithm", "newest", "steps", "trained", "frozen", "begun anew")
    print_table(heads, lines, "no members", left=4)
    against = [(m.name, f"{m.self_play:.0%}", ", ".join(m.opponents) or "–") for m in view.members if m.newest]
    if any(m.opponents for m in view.members):
        print()
        print_table(("member", "itself", "trains against"), against, "", left=3)
    print()
    print_standings(rows)


@app.command("report")
def write_report(
    name: Name,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the page and its drawing go.")] = Path(),
    positions: Annotated[
        int, typer.Option(metavar="N", min=1, help="Solved positions to compare moves in, where the game has them.")
    ] = 500,
    games: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Frozen players that have met in fewer games play a match of so many first."
        ),
    ] = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Write a league down as a page: ratings, growth, who beats whom, true strength, what was decided.

    \b
    Example:
      arena league report four --out reports
    """
    with Store(db, create=False) as store:
        from arena.league_report import write_report

        paths = write_report(store, name, out, positions, games)
    if json:
        print_json([str(path) for path in paths])
    else:
        print("\n".join(clean(str(path)) for path in paths))


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
    elif event.kind == "note":
        meter.note(event.text)
    elif event.kind == "round":
        meter.end(matches)
        best = [_short(row) for row in _table(store, store.league(event.league).game)[:3]]
        meter.note(f"round {event.round + 1} is complete: {', '.join(best)}")


def _which(db: Path, which: str, name: str | None) -> tuple[str, str]:
    """(game, league) of what was typed: a league that there is, or a game and the name of its league."""
    leagues = {}
    if db.exists():
        with Store(db, create=False) as store:
            leagues = {league.name: league.game for league in store.leagues()}
    if which in leagues and name is None:
        return leagues[which], which
    try:
        game = canonical(which)
    except UsageError as error:
        raise UnknownNameError("league", which, leagues) if leagues and "/" not in which else error from None
    return game, name or game


def _go_on(
    db: Path,
    game: str,
    name: str,
    minutes: float | None,
    rounds: int | None,
    workers: int | None,
    json: bool,
    options: NewLeague,
) -> None:
    opening = f"{clean(name)}: the league opens"
    with Store(db) as store, stoppable() as should_stop, Meter() as meter:
        meter.wait(opening)
        from arena.league import run_league

        events = run_league(
            store,
            game,
            name,
            minutes=minutes,
            rounds=rounds,
            workers=workers,
            should_stop=should_stop,
            **options,
        )
        for event in events:
            meter.end(opening)
            report(event, meter, store)
        stopped = should_stop()
        league = store.league(name)
        rows = _table(store, league.game)
    if json:
        print_json({"league": league, "rows": rows})
    else:
        print(f"{clean(league.name)}: {league.round} rounds played{', paused' if league.paused_at else ''}")
        print_standings(rows)
    if stopped:
        say(f"go on with: {clean(shlex.join(_again(db, league.name)))}")
        raise typer.Exit(INTERRUPTED)


def _again(db: Path, name: str) -> Sequence[str]:
    return ["arena", "league", "run", name, *([] if db == DEFAULT_DB else ["--db", str(db)])]


def _table(store: Store, game: str) -> list[Standing] | list[ScoreRow]:
    alone = find_game(game.partition("?")[0]).num_players == 1
    return score_table(store, game) if alone else standings(store, game)


def _short(row: Standing | ScoreRow) -> str:
    return f"{row.agent} {signed(row.elo) if isinstance(row, Standing) else f'{row.mean:.3g}'}"
