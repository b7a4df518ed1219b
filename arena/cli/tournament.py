"""`arena tournament`: gauntlet, round robin, Swiss, knock-out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli.errors import INTERRUPTED
from arena.cli.interrupts import stoppable
from arena.cli.options import DEFAULT_DB, Db, GameName, Json, Seed
from arena.cli.output import clean, number, print_json, print_table
from arena.cli.progress import Meter
from arena.store import Store
from envs.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from arena.tournament import Format, Meeting, Tournament

KINDS: dict[str, Format] = {name: name for name in ("round-robin", "gauntlet", "swiss", "knockout")}


def tournament(
    game: GameName,
    agents: Annotated[
        list[str] | None, typer.Argument(metavar="AGENT AGENT…", help="Who plays, seeded in this order.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help="round-robin, gauntlet (the first against all), swiss or knockout."
        ),
    ] = "round-robin",
    league: Annotated[
        str | None, typer.Option(metavar="NAME", help="The frozen players of this league, too, by the table.")
    ] = None,
    games: Annotated[int, typer.Option(metavar="N", min=1, help="Games of every match.")] = 20,
    rounds: Annotated[int | None, typer.Option(metavar="N", min=1, help="Rounds of a Swiss tournament.")] = None,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Let agents play a tournament of rated matches. Seats alternate; each opening is played from both sides.

    Where a game seats more than two, a round robin lets every choice of so many agents meet.

    \b
    Example:
      arena tournament connect_four ppo-1 tactician mcts-100 random --format swiss
      arena tournament connect_four --league four --games 10
    """
    form = KINDS.get(kind)
    if form is None:
        raise UnknownNameError("format", kind, KINDS)
    names = list(agents or ())
    if not names and league is None:
        raise UsageError("name at least two agents, or a --league")
    from arena.roster import game_spec, require_scripts, resolve_all
    from arena.tournament import Tournament, play_tournament

    if league is None:
        require_scripts(db, game, names)
    with Store(db, create=league is None) as store, stoppable() as should_stop, Meter() as meter:
        names += [name for name in _frozen(store, game, league) if name not in names]
        contenders = resolve_all(store, game, names)
        total = _meetings(kind, len(names), rounds, game_spec(game).num_players)
        found: Tournament | None = None
        played = 0
        for event in play_tournament(
            store,
            game,
            contenders,
            form,
            games=games,
            rounds=rounds,
            seed=seed,
            should_stop=should_stop,
        ):
            if isinstance(event, Tournament):
                found = event
                continue
            played += 1
            meter.update(
                f"{kind} on {game}", played, max(total, played), f"{' – '.join(event.agents)}: {_score(event)}"
            )
        stopped = should_stop()
    assert found is not None
    print_json(found) if json else print_tournament(found)
    if stopped:
        raise typer.Exit(INTERRUPTED)


def _frozen(store: Store, game: str, league: str | None) -> list[str]:
    """A league's frozen players, the best first."""
    if league is None:
        return []
    from arena.standings import standings

    chosen = store.league(league)
    if chosen.game != game:
        raise UsageError(f"league {league!r} plays {chosen.game}, not {game}")
    frozen = {fact.agent for fact in store.league_facts(chosen.id, "snapshot")}
    names = {agent.name for agent in store.agents(game) if agent.id in frozen}
    return [row.agent for row in standings(store, game) if row.agent in names]


def _score(meeting: Meeting) -> str:
    """How a match ended, in a few words."""
    if meeting.finishers:
        return f"won by {meeting.winner}" if meeting.winner else "drawn"
    return f"{meeting.total.wins}–{meeting.total.losses}, {meeting.total.draws} drawn"


def _meetings(kind: str, players: int, rounds: int | None, seats: int) -> int:
    """About how many matches there will be."""
    if seats > 2:
        return math.comb(players, seats)
    if kind == "swiss":
        return (rounds or max(1, (players - 1).bit_length())) * (players // 2)
    return players * (players - 1) // 2 if kind == "round-robin" else players - 1


def print_tournament(found: Tournament) -> None:
    """A tournament for people: the table, a knock-out's matches, how games ended."""
    lines = [
        (
            place.rank,
            place.agent,
            number(place.points, 1),
            f"{place.won}/{place.drawn}/{place.lost}",
            f"{place.games.wins}/{place.games.draws}/{place.games.losses}",
            f"{place.score:.1%}",
            number(place.opponents, 1),
        )
        for place in found.table
    ]
    plural = "" if found.rounds == 1 else "s"
    print(f"{found.format} on {found.game}: {found.rounds} round{plural}, {len(found.meetings)} matches\n")
    print_table(("", "agent", "points", "matches", "games", "score", "opponents"), lines, "nobody has played", left=2)
    if found.format in ("knockout", "swiss"):
        print()
        rows = [(m.round, *m.agents, _score(m), m.winner or "drawn") for m in found.meetings]
        print_table(("round", "", "", "games", "winner"), rows, "", left=5)
    ended = ", ".join(f"{count} {clean(reason)}" for reason, count in found.reasons.items())
    print(f"\n{found.games} games ({found.distinct} distinct): {ended or 'none'}")
