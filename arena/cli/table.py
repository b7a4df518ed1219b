"""`arena table`: who is how strong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from arena.cli.options import DEFAULT_DB, Db, GameName, Json
from arena.cli.output import number, print_json, print_table, signed, width
from arena.standings import ScoreRow, Standing, score_table, standings
from arena.store import Store
from envs.specs import find_game

NOTHING = "no rated games yet; `arena match GAME A B` or `arena league run GAME` plays some"
RATINGS = ("", "agent", "kind", "Elo ± 95 %", "games", "W/D/L", "1st", "2nd", "online")
"""1st and 2nd: the share of points in either seat. Narrow terminals leave out the running Elo at the end."""
NARROW = 100
SCORES = ("", "agent", "kind", "mean", "±", "best", "episodes", "steps")


def table(
    game: GameName,
    retired: Annotated[bool, typer.Option("--retired", help="Retired agents too.")] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Show who is how strong. Elo with its 95 % interval, random = 0; scores where one plays alone.

    \b
    Example:
      arena table connect_four
    """
    alone = find_game(game.partition("?")[0]).num_players == 1
    with Store(db, create=False) as store:
        rows = score_table(store, game, retired) if alone else standings(store, game, retired)
    if json:
        print_json({"game": game, "kind": "scores" if alone else "ratings", "rows": rows})
    else:
        print_standings(rows)


def print_standings(rows: Sequence[Standing | ScoreRow]) -> None:
    """A rating table or a score table for people."""
    lines = [_score_line(row) if isinstance(row, ScoreRow) else _rating_line(row) for row in rows]
    heads = SCORES if rows and isinstance(rows[0], ScoreRow) else RATINGS
    shown = len(RATINGS) - 1 if heads == RATINGS and width() < NARROW else len(heads)
    print_table(heads[:shown], [line[:shown] for line in lines], NOTHING, left=3)


def _rank(row: Standing | ScoreRow) -> str:
    return "–" if row.rank is None else str(row.rank)


def _kind(row: Standing | ScoreRow) -> str:
    return f"{row.kind}, retired" if row.retired else row.kind


def _rating_line(row: Standing) -> tuple[object, ...]:
    elo = f"{signed(row.elo)} ± {(row.high - row.low) / 2:3.0f}" if row.connected else "not joined"
    results = f"{row.wins}/{row.draws}/{row.losses}"
    seats = ("–" if score is None else f"{score:.0%}" for score in (row.first_score, row.second_score))
    return _rank(row), row.agent, _kind(row), elo, row.games, results, *seats, signed(row.online)


def _score_line(row: ScoreRow) -> tuple[object, ...]:
    scores = (number(row.mean), number(row.std), number(row.best))
    return _rank(row), row.agent, _kind(row), *scores, row.episodes, number(row.mean_length, 1)
