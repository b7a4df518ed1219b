"""Tournaments: gauntlet, round robin, Swiss, knock-out. A meeting is a rated match from both seats, kept as it ends."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from arena import pairings
from arena.episodes import scores_of
from arena.match import Finisher, Keeper, MatchResult, Tally, play_match
from arena.matchmaking import round_robin
from arena.roster import Contender, game_spec
from envs.errors import UsageError

Format = Literal["round-robin", "gauntlet", "swiss", "knockout"]
REPLAYS = 3
"""How often a drawn match of a knock-out is played again; after that the higher seed goes on."""


@dataclass(frozen=True)
class Meeting:
    """A match of a tournament, from the first one's side; `winner` None: drawn.

    `finishers` says how everybody fared, the best first, where there are more than two.
    """

    round: int
    agents: tuple[str, ...]
    total: Tally
    winner: str | None
    match: int | None
    finishers: tuple[Finisher, ...] = ()

    def points(self) -> dict[str, float]:
        """Each one's share of the others that it has beaten, drawn half."""
        if not self.finishers:
            return {name: 0.5 if self.winner is None else float(self.winner == name) for name in self.agents}
        shares = scores_of([row.score for row in self.finishers])
        return {row.agent: share or 0.0 for row, share in zip(self.finishers, shares, strict=True)}

    def games(self, name: str) -> tuple[Tally, float]:
        """One's games, and the points it has made in them."""
        if not self.finishers:
            games = self.total if name == self.agents[0] else _turned(self.total)
            return games, games.wins + games.draws / 2
        row = next(row for row in self.finishers if row.agent == name)
        return row.games, row.score * row.games.games


@dataclass(frozen=True)
class Place:
    """A row of the final table.

    Attributes:
        points: a match won is 1, drawn ½; a round without an opponent counts as won. Among more than two, the share of
            the others that one has beaten.
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
            for name, share in meeting.points().items():
                points[name] += share
        return points

    def places(self) -> list[Place]:
        points = self.points()
        rows = []
        for name in self.names:
            own = [meeting for meeting in self.meetings if name in meeting.agents]
            games, made = [], 0.0
            for meeting in own:
                tally, share = meeting.games(name)
                games.append(tally)
                made += share
            total = Tally(sum(t.wins for t in games), sum(t.draws for t in games), sum(t.losses for t in games))
            won = sum(m.winner == name for m in own)
            drawn = sum(m.winner is None and m.points()[name] == max(m.points().values()) for m in own)
            rivals = sum(points[other] for m in own for other in m.agents if other != name)
            score = made / total.games if total.games else 0.0
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
    """Play a tournament: every meeting as it ends, the whole at the end.

    In a game of more than two, a round robin lets every choice of as many agents as there are seats meet.

    Args:
        contenders: seeded in their order; in a gauntlet the first one plays the others.
        games: of every meeting; seats alternate, openings come in pairs.
        rounds: of a Swiss tournament; default: as many as a knock-out has.

    When `should_stop()` it ends after the meeting it is in, with the table so far.

    Raises UsageError for fewer than two agents, the same one twice, and games that are not for two.
    """
    names = [contender.name for contender in contenders]
    seats = game_spec(game).num_players
    if seats == 1:
        raise UsageError(f"{game} is a one-player game: `arena evaluate {game} AGENT` scores an agent in it")
    if seats > 2 and format != "round-robin":
        raise UsageError(f"{game} has {seats} players: --format round-robin is for it, {format} has two at a time")
    if len(names) < seats or len(set(names)) < len(names):
        raise UsageError(f"a tournament of {game} needs at least {seats} agents, each named once")
    if rounds is not None and format != "swiss":
        raise UsageError(f"--rounds is for --format swiss; a {format} has as many as it needs")
    by_name = dict(zip(names, contenders, strict=True))
    table = _Table(names)

    def meet(number: int, agents: tuple[str, ...]) -> Meeting:
        chance = np.random.SeedSequence([seed, len(table.meetings)]).generate_state(1, np.uint64)[0]
        first, *others = (by_name[name] for name in agents)
        result = play_match(store, game, first, *others, games=games, seed=int(chance >> np.uint64(1)))
        meeting = Meeting(number, agents, result.total, _winner(agents, result), result.match, result.finishers)
        table.meetings.append(meeting)
        table.results.append(result)
        return meeting

    played = 0
    for number, meetings in enumerate(_rounds(table, format, rounds, seats), 1):
        for pair in meetings:
            if should_stop():
                break
            yield meet(number, pair)
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


def _winner(agents: tuple[str, ...], result: MatchResult) -> str | None:
    """Who has won a match; None: it is drawn."""
    if result.finishers:
        best, second, *_ = result.finishers
        return best.agent if best.score > second.score else None
    lead = result.total.wins - result.total.losses
    return None if lead == 0 else agents[0] if lead > 0 else agents[1]


def _rounds(table: _Table, format: Format, rounds: int | None, seats: int) -> Iterator[Sequence[tuple[str, ...]]]:
    """The rounds, each made from the results of those before it."""
    names = table.names
    if seats > 2:
        yield list(itertools.combinations(names, seats))
    elif format == "gauntlet":
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


def _knockout(table: _Table) -> Iterator[Sequence[tuple[str, ...]]]:
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
            last = {(meeting.agents[0], meeting.agents[1]): meeting.winner for meeting in table.meetings}
            if any(pair not in last for pair in open_):
                return  # stopped
            winners |= {pair: winner for pair in open_ if (winner := last[pair]) is not None}
            if replay == REPLAYS:
                winners |= {pair: min(pair, key=seeds.__getitem__) for pair in open_ if pair not in winners}
        places = pairings.advance(places, winners)


def _turned(tally: Tally) -> Tally:
    return Tally(tally.losses, tally.draws, tally.wins)
