"""The one loop where frozen policies meet an env outside training: matches between agents, evaluations of one.

All games of a match are played side by side, but none depends on the others: its chance is its own (`openings.py`), and
policies always see batches of `BLOCK` rows in which a game keeps its row. Who decides what: `choosing.py`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from arena.choosing import choose, refuse_illegal
from arena.episodes import Recorder
from arena.openings import GAME, SAMPLE, pair_hash, sampled_openings
from arena.ratings import elo_difference
from arena.records import Episode, Match, MatchKind, ending
from arena.roster import Contender, game_spec
from envs import chance
from envs.errors import UsageError
from envs.registry import make
from envs.specs import GameSpec


class Keeper(Protocol):
    """Where matches are kept: a Store, or whatever hands them on to one."""

    def add_match(self, match: Match, episodes: Sequence[Episode]) -> int: ...


MAX_PLIES = 10_000
"""Games without an end are cut here; a game that has a limit of its own keeps it."""


@dataclass(frozen=True)
class Tally:
    """Wins, draws and losses."""

    wins: int = 0
    draws: int = 0
    losses: int = 0

    @property
    def games(self) -> int:
        return self.wins + self.draws + self.losses

    @property
    def score(self) -> float:
        """Points per game: a win is 1, a draw ½. NaN without games."""
        return (self.wins + self.draws / 2) / self.games if self.games else float("nan")


@dataclass(frozen=True)
class Finisher:
    """How an agent fared in a match of more than two seats, over all seats that it held.

    Attributes:
        games: wins are games in which its seat came in first alone, draws first with others.
        place: the mean, 1 the best; who come in together share the mean of their places.
        score: the mean share of the other seats that it came in ahead of, who came in beside it half.
        reward: the mean return.
    """

    agent: str
    games: Tally
    place: float
    score: float
    reward: float


@dataclass(frozen=True)
class MatchResult:
    """What came of a match, from the first agent's side.

    Attributes:
        agents: names, the first one's opponents behind it.
        seats: the first agent's results by the seat it held.
        distinct: number of different games, by the sequence of actions.
        elo, elo_low, elo_high: Elo difference, first minus second, with its 95 % interval; None for more than two.
        finishers: where there are more than two seats, how everybody fared, the best first.
        forfeits: (who forfeited a game, what it did in place of a move), in the games' order.
        reasons: how many games ended how (see `records.ending`).
        match: its id in the Store, None where it was not stored.
    """

    game: str
    agents: tuple[str, ...]
    total: Tally
    seats: tuple[Tally, ...]
    distinct: int
    elo: float | None
    elo_low: float | None
    elo_high: float | None
    reasons: dict[str, int]
    greedy: bool
    seed: int
    opening_plies: int
    match: int | None = None
    forfeits: tuple[tuple[str, str], ...] = ()
    finishers: tuple[Finisher, ...] = ()
    episodes: tuple[Episode, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Evaluation:
    """How an agent did in a one-player game: mean and (population) standard deviation of its returns."""

    game: str
    agent: str
    mean: float
    std: float
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    greedy: bool
    seed: int
    match: int | None = None


def play_match(
    store: Keeper | None,
    game: str,
    first: Contender,
    *others: Contender,
    games: int = 100,
    seed: int = 0,
    greedy: bool | None = None,
    opening_plies: int | None = None,
    kind: MatchKind = "match",
    rated: bool = True,
    league: int | None = None,
    round: int | None = None,
    slot: int | None = None,
    max_plies: int | None = None,
) -> MatchResult:
    """Play `games` games between agents and keep them in `store` (in one transaction; None: nowhere).

    Games come in groups of as many legs as there are seats: same seed, same sampled opening, seats rotated; in a game
    of two, each pair is played from both sides. Of seats that are left over the last agent takes all.

    Args:
        greedy: learnt agents take their likeliest action; default: where nothing is hidden and openings are sampled.
            Scripted agents always play their own distribution.
        opening_plies: random legal plies before the agents take over; default: the game's own.
        max_plies: where games are cut (reason truncated).

    Raises:
        UsageError: a one-player game, too many agents, agents of another game, no games.
        IllegalActionError: an agent's policy chose what the rules do not allow; nothing is stored.
    """
    if games < 1:
        raise UsageError(f"games={games}: a match needs at least one game")
    contenders = [first, *others]
    spec = _spec_for(game, contenders)
    check_players(spec, [contender.name for contender in contenders])
    contenders += [contenders[-1]] * (spec.num_players - len(contenders))
    plies = spec.opening_plies if opening_plies is None else opening_plies
    greedy = (spec.perfect_information and plies > 0) if greedy is None else greedy
    seating = np.array([_rotation(spec.num_players, index % spec.num_players) for index in range(games)])
    episodes = _play(spec, contenders, seating, seed, greedy, plies, rated, max_plies)
    rules = {"greedy": greedy, "opening_plies": plies, "seed": seed}
    match = _save(store, Match(spec.game, kind, rules, league=league, round=round, slot=slot), episodes)
    return _result(spec, contenders, seating, episodes, greedy, seed, plies, match)


def evaluate(
    store: Keeper | None,
    game: str,
    contender: Contender,
    *,
    episodes: int = 10,
    seed: int = 0,
    greedy: bool = True,
    league: int | None = None,
    round: int | None = None,
    slot: int | None = None,
    max_plies: int | None = None,
) -> Evaluation:
    """Play `episodes` games of a one-player game and keep them in `store` as a match of kind evaluation.

    Raises UsageError for games of several players (`play_match` is for them) and where there is nothing to play.
    """
    if episodes < 1:
        raise UsageError(f"episodes={episodes}: an evaluation needs at least one episode")
    spec = _spec_for(game, [contender])
    check_player(spec, contender.name)
    played = _play(spec, [contender], np.zeros((episodes, 1), np.int64), seed, greedy, 0, True, max_plies)
    rules = {"greedy": greedy, "opening_plies": 0, "seed": seed}
    match = _save(store, Match(spec.game, "evaluation", rules, league=league, round=round, slot=slot), played)
    returns = [episode.players[0].reward for episode in played]
    return Evaluation(
        game=spec.game,
        agent=contender.name,
        mean=float(np.mean(returns)),
        std=float(np.std(returns)),
        returns=tuple(returns),
        lengths=tuple(episode.length for episode in played),
        greedy=greedy,
        seed=seed,
        match=match,
    )


def check_players(spec: GameSpec, names: Sequence[str]) -> None:
    """Raises UsageError where a match between these agents cannot be."""
    if spec.num_players == 1:
        raise UsageError(
            f"{spec.game} is a one-player game: `arena evaluate {spec.game} {names[0]}` scores an agent in it"
        )
    if not 2 <= len(names) <= spec.num_players:
        wanted = "2" if spec.num_players == 2 else f"2 to {spec.num_players}"
        raise UsageError(f"{spec.game} has {spec.num_players} players: name {wanted} agents, not {len(names)}")


def check_player(spec: GameSpec, name: str) -> None:
    """Raises UsageError where an agent cannot be scored alone."""
    if spec.num_players > 1:
        raise UsageError(
            f"{spec.game} has {spec.num_players} players: `arena match {spec.game} {name} OTHER` is for it"
        )


def _spec_for(game: str, contenders: Sequence[Contender]) -> GameSpec:
    """What is fixed about the game, once it is sure that these agents can play it."""
    spec = game_spec(game)
    for contender in contenders:
        if contender.agent.game != spec.game:
            raise UsageError(f"{contender.name} is an agent of {contender.agent.game}, not of {spec.game}")
    return spec


def _rotation(num_players: int, leg: int) -> list[int]:
    """Which contender holds each seat in this leg: contender 0 moves one seat on from leg to leg."""
    return [(seat - leg) % num_players for seat in range(num_players)]


def _save(store: Keeper | None, match: Match, episodes: Sequence[Episode]) -> int | None:
    return None if store is None else store.add_match(match, episodes)


def _play(
    spec: GameSpec,
    contenders: Sequence[Contender],
    seating: np.ndarray,
    seed: int,
    greedy: bool,
    opening_plies: int,
    rated: bool,
    max_plies: int | None,
) -> list[Episode]:
    """All games to their end; `seating` [N, P] says which contender holds each seat. P games in a row are one pair."""
    torch.set_num_threads(1)  # the networks are small: threads that wait for each other cost more than they gain
    games, legs = seating.shape
    pair = torch.arange(games) // legs
    seeds = pair_hash(seed, pair, GAME)
    samples = chance.draw(pair_hash(seed, pair, SAMPLE), torch.arange(games) % legs)
    opening = sampled_openings(spec, seed, int(pair[-1]) + 1, opening_plies)[:, pair]  # [plies, N, K]
    seat_of = torch.from_numpy(seating)
    with contextlib.closing(make(spec.game, games, autoreset=False)) as env:
        turn = env.reset(seeds)
        recorder = Recorder(env)
        limit = max_plies or spec.max_steps or MAX_PLIES
        ply = 0
        while not recorder.over and ply < limit:
            if ply < len(opening):
                action = torch.where(turn.player < 0, 0, opening[ply])
            else:
                action = choose(spec, contenders, seat_of, turn, greedy, samples, ply, recorder)
                refuse_illegal(spec, contenders, seat_of, turn, action, ply)
            step = env.step(action)
            turn = step.turn
            recorder.record(action, step)
            ply += 1
    ids = [[contenders[index].agent.id for index in row] for row in seating]
    return [
        recorder.episode(
            index,
            ids[index],
            reason=recorder.reasons[index] or "truncated",
            pair=index // legs,
            leg=index % legs,
            opening_plies=min(opening_plies, recorder.lengths[index]),
            rated=(rated and len(set(ids[index])) != 1) or legs == 1,
        )
        for index in range(games)
    ]


def _result(
    spec: GameSpec,
    contenders: Sequence[Contender],
    seating: np.ndarray,
    episodes: Sequence[Episode],
    greedy: bool,
    seed: int,
    opening_plies: int,
    match: int | None,
) -> MatchResult:
    counts: list[Counter[str]] = [Counter() for _ in range(spec.num_players)]
    for episode, row in zip(episodes, seating, strict=True):
        seat = int(np.flatnonzero(row == 0)[0])
        own = episode.players[seat].score or 0.0
        best = max(player.score or 0.0 for player in episode.players if player.seat != seat)
        counts[seat]["wins" if own > best else "draws" if own == best else "losses"] += 1
    seats = tuple(Tally(**count) for count in counts)
    total = Tally(sum(t.wins for t in seats), sum(t.draws for t in seats), sum(t.losses for t in seats))
    elo = elo_difference(total.wins, total.draws, total.losses) if spec.num_players == 2 else None
    return MatchResult(
        game=spec.game,
        agents=tuple(contender.name for contender in contenders),
        total=total,
        seats=seats,
        distinct=len({episode.actions for episode in episodes}),
        elo=elo.difference if elo else None,
        elo_low=elo.low if elo else None,
        elo_high=elo.high if elo else None,
        reasons=dict(Counter(ending(episode) for episode in episodes)),
        greedy=greedy,
        seed=seed,
        opening_plies=opening_plies,
        match=match,
        forfeits=tuple(
            (contenders[index].name, episode.forfeit)
            for episode, row in zip(episodes, seating, strict=True)
            for index, player in zip(row, episode.players, strict=True)
            if episode.forfeit is not None and player.score == 0
        ),
        finishers=_finishers(contenders, seating, episodes) if spec.num_players > 2 else (),
        episodes=tuple(episodes),
    )


def _finishers(
    contenders: Sequence[Contender], seating: np.ndarray, episodes: Sequence[Episode]
) -> tuple[Finisher, ...]:
    """How each agent fared in the seats that it held, by mean score."""
    wins: dict[str, Counter[str]] = {contender.name: Counter() for contender in contenders}
    seats: dict[str, list[tuple[float, float]]] = {name: [] for name in wins}
    for episode, row in zip(episodes, seating, strict=True):
        scores = [player.score or 0.0 for player in episode.players]
        first = scores.count(max(scores))
        for index, player, score in zip(row, episode.players, scores, strict=True):
            name = contenders[index].name
            wins[name]["losses" if score < max(scores) else "draws" if first > 1 else "wins"] += 1
            seats[name].append((score, player.reward))
    others = seating.shape[1] - 1
    found = [
        Finisher(name, Tally(**wins[name]), float(1 + others * (1 - score)), float(score), float(reward))
        for name, held in seats.items()
        for score, reward in [np.mean(held, axis=0)]
    ]
    return tuple(sorted(found, key=lambda row: (-row.score, row.agent)))
