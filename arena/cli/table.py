"""`arena table`: who is how strong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli.options import DEFAULT_DB, Db, GameName, Json
from arena.cli.output import number, print_json, print_table, signed, width
from arena.rating_history import RatingPoint, player_history, run_histories
from arena.standings import Matrix, ScoreRow, Standing, matrix, pair_rows, score_table, standings
from arena.store import Store
from envs.errors import UsageError
from envs.human_scores import scale
from envs.specs import find_game

if TYPE_CHECKING:
    from arena.skills import SkillRow

NOTHING = "no rated games yet; `arena match GAME A B` or `arena league run GAME` plays some"
NO_SCORES = "no games yet; `arena evaluate GAME AGENT` or `arena play GAME` plays some"
RATINGS = ("", "agent", "kind", "Elo ± 95 %", "games", "W/D/L", "1st", "2nd", "online")
"""1st and 2nd: the share of points in either seat of two. Narrow terminals leave out the running Elo at the end."""
NARROW = 100
SKILLS = ("", "agent", "kind", "mu", "sigma", "ordinal", "games")
SCORES = ("", "agent", "kind", "mean", "±", "best", "human", "episodes", "steps")


def table(
    game: GameName,
    retired: Annotated[bool, typer.Option("--retired", help="Retired agents too.")] = False,
    who_beats_whom: Annotated[
        bool, typer.Option("--matrix", help="Every agent's score against every other, Nash average and α-rank.")
    ] = False,
    openskill: Annotated[
        bool, typer.Option("--openskill", help="The ratings that the package openskill makes of the same games.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Ratings over time: of the best runs' agents, by environment steps.")
    ] = False,
    player: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --history: of an agent or a person, by rated games.")
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Show who is how strong. Elo with its 95 % interval, random = 0 where it has played; scores where one plays alone.

    In games of more than two players the ratings come from everybody's places: 400 points are odds of ten to one to
    come in ahead, and W, D and L count games in which one came in first alone, first with others, or behind.

    --matrix shows who beats whom: a share in the Nash average has who belongs to the mixture that nobody beats, and
    α-rank is the share of time that an evolving population spends with an agent. --json tells of every pair how sure
    it is who is the stronger, and how well ratings explain the results of games of two.

    \b
    Example:
      arena table connect_four
      arena table connect_four --matrix
      arena table connect_four --history --player Ann
      arena table pettingzoo/butterfly/knights_archers_zombies_v11 --openskill
    """
    alone = find_game(game.partition("?")[0]).num_players == 1
    if alone and who_beats_whom:
        raise UsageError(f"{game} is played alone: there is nobody to beat")
    if openskill and (alone or who_beats_whom):
        raise UsageError("--openskill is for rating tables, without --matrix")
    if history and (alone or openskill or who_beats_whom):
        raise UsageError("--history is of ratings, and stands alone")
    if player is not None and not history:
        raise UsageError("--player NAME belongs to --history")
    with Store(db, create=False) as store:
        if history:
            curves = run_histories(store, game) if player is None else {player: player_history(store, game, player)}
            print_json({"game": game, "kind": "history", "curves": curves}) if json else print_history(curves, player)
        elif openskill:
            from arena.skills import openskill_table

            skills = openskill_table(store, game, retired)
            print_json({"game": game, "kind": "openskill", "rows": skills}) if json else print_skills(skills)
        elif json:
            print_json(_everything(store, game, alone, retired, who_beats_whom))
        elif who_beats_whom:
            print_matrix(matrix(store, game, retired))
        else:
            rows = score_table(store, game, retired) if alone else standings(store, game, retired)
            print_standings(rows, NO_SCORES if alone else NOTHING)
            if any(isinstance(row, ScoreRow) and row.human is not None for row in rows):
                print(scale(game))


def _everything(store: Store, game: str, alone: bool, retired: bool, who_beats_whom: bool) -> dict[str, object]:
    """What --json prints."""
    if alone:
        return {"game": game, "kind": "scores", "rows": score_table(store, game, retired)}
    pairs, goodness = pair_rows(store, game)
    found = store.results_digest(game)
    fit = goodness if found is None or store.seats(game, found[0]) == 2 else None  # of more seats, pairs are not apart
    told = {"game": game, "kind": "ratings", "rows": standings(store, game, retired), "fit": fit, "pairs": pairs}
    return told | ({"matrix": matrix(store, game, retired)} if who_beats_whom else {})


def print_history(curves: Mapping[str, Sequence[RatingPoint]], player: str | None) -> None:
    """Ratings over time for people: a line a point."""
    columns = ("run" if player is None else "player", "steps" if player is None else "games", "Elo ± 95 %")
    lines = [
        (name, point.x, f"{signed(point.elo)} ± {(point.high - point.low) / 2:3.0f}")
        for name, points in curves.items()
        for point in points
    ]
    print_table(columns, lines, NOTHING, left=1)


def print_matrix(found: Matrix) -> None:
    """Scores in per cent by rank, and what each agent is worth in the whole."""
    numbers = [str(n + 1) for n in range(len(found.agents))]
    lines = []
    for row, agent in enumerate(found.agents):
        cells = [
            "·" if column == row else "–" if score is None else f"{100 * score:.0f}"
            for column, score in enumerate(found.scores[row])
        ]
        lines.append((numbers[row], agent, *cells, f"{found.nash[row]:.0%}", f"{found.alpha_rank[row]:.0%}"))
    print_table(("", "agent", *numbers, "Nash", "α-rank"), lines, NOTHING, left=2)


def print_standings(rows: Sequence[Standing | ScoreRow], nothing: str = NOTHING) -> None:
    """A rating table or a score table for people; `nothing` is said where there are no rows."""
    if rows and isinstance(rows[0], ScoreRow):
        scores = [row for row in rows if isinstance(row, ScoreRow)]
        known = any(row.human is not None for row in scores)
        shown = [column for column in range(len(SCORES)) if known or SCORES[column] != "human"]
        lines = [_score_line(row) for row in scores]
        print_table([SCORES[c] for c in shown], [[line[c] for c in shown] for line in lines], NOTHING, left=3)
        return
    found = [row for row in rows if isinstance(row, Standing)]
    seats = any(row.first_score is not None or row.second_score is not None for row in found)
    shown = [column for column in range(len(RATINGS)) if seats or RATINGS[column] not in ("1st", "2nd")]
    if width() < NARROW:
        shown.pop()
    lines = [_rating_line(row) for row in found]
    print_table([RATINGS[c] for c in shown], [[line[c] for c in shown] for line in lines], nothing, left=3)


def print_skills(rows: Sequence[SkillRow]) -> None:
    """What openskill makes of the games, for people."""
    lines = [
        (_rank(row), row.agent, _kind(row), *(number(n, 2) for n in (row.mu, row.sigma, row.ordinal)), row.games)
        for row in rows
    ]
    print_table(SKILLS, lines, NOTHING, left=3)


def _rank(row: Standing | ScoreRow | SkillRow) -> str:
    return "–" if row.rank is None else str(row.rank)


def _kind(row: Standing | ScoreRow | SkillRow) -> str:
    return f"{row.kind}, retired" if row.retired else row.kind


def _rating_line(row: Standing) -> tuple[object, ...]:
    elo = f"{signed(row.elo)} ± {(row.high - row.low) / 2:3.0f}" if row.connected else "not joined"
    results = f"{row.wins}/{row.draws}/{row.losses}"
    seats = ("–" if score is None else f"{score:.0%}" for score in (row.first_score, row.second_score))
    return _rank(row), row.agent, _kind(row), elo, row.games, results, *seats, signed(row.online)


def _score_line(row: ScoreRow) -> tuple[object, ...]:
    human = "–" if row.human is None else f"{row.human:.0%}"
    scores = (number(row.mean), number(row.std), number(row.best), human)
    return _rank(row), row.agent, _kind(row), *scores, row.episodes, number(row.mean_length, 1)
