"""Tournaments: gauntlet, round robin, Swiss, knock-out. A meeting is a rated match from both seats, kept as it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from arena import pairings
from arena.match import Keeper, MatchResult, Tally, play_match
from arena.matchmaking import round_robin
from arena.roster import Contender, game_spec
from envs.errors import UsageError

Format = Literal["round-robin", "gauntlet", "swiss", "knockout"]
FORMATS: tuple[Format, ...] = ("round-robin", "gauntlet", "swiss", "knockout")
REPLAYS = 3
"""How often a drawn match of a knock-out is played again; after that the higher seed goes on."""


@dataclass(frozen=True)
class Meeting:
    """A match of a tournament, from the first one's side; `winner` None: drawn."""

    round: int
    agents: tuple[str, str]
    total: Tally
    winner: str | None
    match: int | None


@dataclass(frozen=True)
class Place:
    """A row of the final table.

    Attributes:
        points: a match won is 1, drawn ½; a round without an opponent counts as won.
        score: the share of points over all games. opponents: the sum of the opponents' points (Buchholz).
    """

    rank: int
    agent: str
    points: float
    won: int
    drawn: int
    lost: int
    games: Tally
    score: float
    opponents: float


@dataclass(frozen=True)
class Tournament:
    """What a tournament came to.

    Attributes:
        reasons: how many games ended how. distinct: how many of each match's games differ, added up.
    """

    game: str
    format: Format
    rounds: int
    table: tuple[Place, ...]
    meetings: tuple[Meeting, ...]
    reasons: dict[str, int]
    distinct: int
    games: int


@dataclass
class _Table:
    """The state of a tournament."""

    names: list[str]
    meetings: list[Meeting] = field(default_factory=list)
    rested: list[str] = field(default_factory=list)
    results: list[MatchResult] = field(default_factory=list)

    def points(self) -> dict[str, float]:
        points = dict.fromkeys(self.names, 0.0)
        for name in self.rested:
            points[name] += 1.0
        for meeting in self.meetings:
            for name in meeting.agents:
                points[name] += 0.5 if meeting.winner is None else float(meeting.winner == name)
        return points

    def places(self) -> list[Place]:
        points = self.points()
        rows = []
        for name in self.names:
            own = [meeting for meeting in self.meetings if name in meeting.agents]
            games = [m.total if m.agents[0] == name else _turned(m.total) for m in own]
            total = Tally(sum(t.wins for t in games), sum(t.draws for t in games), sum(t.losses for t in games))
            won = sum(m.winner == name for m in own)
            drawn = sum(m.winner is None for m in own)
            rivals = sum(points[other] for m in own for other in m.agents if other != name)
            score = total.score if total.games else 0.0
            rows.append(Place(0, name, points[name], won, drawn, len(own) - won - drawn, total, score, rivals))
        seeds = {name: seed for seed, name in enumerate(self.names)}
        rows.sort(key=lambda row: (-row.points, -row.opponents, -row.score, seeds[row.agent]))
        return [Place(rank, *list(vars(row).values())[1:]) for rank, row in enumerate(rows, 1)]


def play_tournament(
    store: Keeper | None,
    game: str,
    contenders: Sequence[Contender],
    format: Format,
    *,
    games: int = 20,
    rounds: int | None = None,
    seed: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Meeting | Tournament]:
    """Play a tournament in a game of two: every meeting as it ends, the whole at the end.

    Args:
        contenders: seeded in their order; in a gauntlet the first one plays the others.
        games: of every meeting; seats alternate, openings come in pairs.
        rounds: of a Swiss tournament; default: as many as a knock-out has.

    When `should_stop()` it ends after the meeting it is in, with the table so far.

    Raises UsageError for fewer than two agents, the same one twice, and games that are not for two.
    """
    names = [contender.name for contender in contenders]
    if game_spec(game).num_players != 2:
        raise UsageError(f"a tournament is between two at a time; {game} is not a game for two")
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError("a tournament needs at least two agents, each named once")
    if rounds is not None and format != "swiss":
        raise UsageError(f"--rounds is for --format swiss; a {format} has as many as it needs")
    by_name = dict(zip(names, contenders, strict=True))
    table = _Table(names)

    def meet(number: int, a: str, b: str) -> Meeting:
        chance = np.random.SeedSequence([seed, len(table.meetings)]).generate_state(1, np.uint64)[0]
        result = play_match(store, game, by_name[a], by_name[b], games=games, seed=int(chance >> np.uint64(1)))
        total = result.total
        winner = a if total.wins > total.losses else b if total.losses > total.wins else None
        meeting = Meeting(number, (a, b), total, winner, result.match)
        table.meetings.append(meeting)
        table.results.append(result)
        return meeting

    played = 0
    for number, meetings in enumerate(_rounds(table, format, rounds), 1):
        for pair in meetings:
            if should_stop():
                break
            yield meet(number, *pair)
        if should_stop():
            break
        played = number
    reasons: Counter[str] = Counter()
    for result in table.results:
        reasons.update(result.reasons)
    yield Tournament(
        game=game,
        format=format,
        rounds=played,
        table=tuple(table.places()),
        meetings=tuple(table.meetings),
        reasons=dict(reasons.most_common()),
        distinct=sum(result.distinct for result in table.results),
        games=sum(result.total.games for result in table.results),
    )


def _rounds(table: _Table, format: Format, rounds: int | None) -> Iterator[list[pairings.Pairing]]:
    """The rounds, each made from the results of those before it."""
    names = table.names
    if format == "gauntlet":
        yield pairings.gauntlet(names)
    elif format == "round-robin":
        yield round_robin(names)
    elif format == "swiss":
        for _ in range(rounds or pairings.swiss_rounds(len(names))):
            met = {frozenset(meeting.agents) for meeting in table.meetings}
            drawn = pairings.swiss_round([place.agent for place in table.places()], met, set(table.rested))
            if drawn is None:
                return
            pairs, rests = drawn
            if rests is not None:
                table.rested.append(rests)
            yield pairs
    else:
        yield from _knockout(table)


def _knockout(table: _Table) -> Iterator[list[pairings.Pairing]]:
    seeds = {name: seed for seed, name in enumerate(table.names)}
    places = pairings.bracket(table.names)
    while len(places) > 1:
        due = pairings.knockout_round(places)
        winners: dict[pairings.Pairing, str] = {}
        for replay in range(1 + REPLAYS):
            open_ = [pair for pair in due if pair not in winners]
            if not open_:
                break
            yield open_
            last = {meeting.agents: meeting.winner for meeting in table.meetings}
            if any(pair not in last for pair in open_):
                return  # stopped
            winners |= {pair: winner for pair in open_ if (winner := last[pair]) is not None}
            if replay == REPLAYS:
                winners |= {pair: min(pair, key=seeds.__getitem__) for pair in open_ if pair not in winners}
        places = pairings.advance(places, winners)


def _turned(tally: Tally) -> Tally:
    return Tally(tally.losses, tally.draws, tally.wins)
