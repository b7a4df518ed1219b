"""Matches that stop as soon as a sequential test has decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arena.match import MatchResult, Tally, play_match
from arena.ratings import elo_difference
from arena.records import Episode
from arena.roster import Contender, game_spec
from arena.sprt import Decision, Sprt, pentanomial
from envs.errors import UsageError

if TYPE_CHECKING:
    from arena.store import Store

BATCH = 64
"""Games between two looks at the test, even: every opening from both sides. Each batch is a match of its own."""
LIMIT = 20_000


@dataclass(frozen=True)
class SprtResult:
    """What a sequential test came to, from the first agent's side.

    Attributes:
        total: of all games. distinct: how many of them differ, by batch.
        pairs: how often a pair brought 0, ½, 1, 1½ and 2 points.
        ratio: the log-likelihood ratio at the end; low, high: where it would decide.
        decision: "elo0", "elo1", or None where the limit of games came first.
        elo, elo_low, elo_high: Elo difference with its 95 % interval; the test's stopping makes it a little too large.
        matches: ids in the Store.
    """

    game: str
    agents: tuple[str, str]
    elo0: float
    elo1: float
    total: Tally
    distinct: int
    pairs: tuple[int, ...]
    ratio: float
    low: float
    high: float
    decision: Decision | None
    elo: float
    elo_low: float
    elo_high: float
    seed: int
    matches: tuple[int, ...]


def play_sprt(
    store: Store | None,
    game: str,
    first: Contender,
    second: Contender,
    test: Sprt,
    *,
    limit: int = LIMIT,
    seed: int = 0,
    greedy: bool | None = None,
    opening_plies: int | None = None,
    batch: int = BATCH,
) -> SprtResult:
    """Play batches of paired games until the test decides or `limit` games are over; every batch is kept in `store`.

    Raises UsageError for games that are not for two, and odd batches.
    """
    if game_spec(game).num_players != 2:
        raise UsageError(f"an SPRT compares two agents in a game for two; {game} is none")
    if batch < 2 or batch % 2:
        raise UsageError(f"batch={batch}: an even number of games")
    pairs, results = np.zeros(5, np.int64), list[MatchResult]()
    decision: Decision | None = None
    played = 0
    while decision is None and played < limit:
        games = min(batch, limit - played + (limit - played) % 2)
        chance = int(np.random.SeedSequence([seed, len(results)]).generate_state(1, np.uint64)[0] >> 1)
        result = play_match(
            store, game, first, second, games=games, seed=chance, greedy=greedy, opening_plies=opening_plies
        )
        results.append(result)
        pairs += pair_counts(result)
        played += games
        decision = test.decide(pairs.tolist())
    total = Tally(
        sum(result.total.wins for result in results),
        sum(result.total.draws for result in results),
        sum(result.total.losses for result in results),
    )
    elo = elo_difference(total.wins, total.draws, total.losses)
    low, high = test.bounds
    return SprtResult(
        game=results[0].game,
        agents=(first.name, second.name),
        elo0=test.elo0,
        elo1=test.elo1,
        total=total,
        distinct=sum(result.distinct for result in results),
        pairs=tuple(pairs.tolist()),
        ratio=test.ratio(pairs.tolist()),
        low=low,
        high=high,
        decision=decision,
        elo=elo.difference,
        elo_low=elo.low,
        elo_high=elo.high,
        seed=seed,
        matches=tuple(result.match for result in results if result.match is not None),
    )


def pair_counts(result: MatchResult) -> list[int]:
    """How often a pair of a match's games brought the first agent 0, ½, 1, 1½ and 2 points."""
    return pairs_of(result.episodes)


def pairs_of(episodes: Sequence[Episode]) -> list[int]:
    """The same of a match's episodes, in which the first agent's seat is the leg's number."""
    points = np.zeros(max(episode.pair for episode in episodes) + 1)
    for episode in episodes:
        own, other = (episode.players[seat].score or 0.0 for seat in (episode.leg, 1 - episode.leg))
        points[episode.pair] += 1.0 if own > other else 0.5 if own == other else 0.0
    return pentanomial(points.tolist())
