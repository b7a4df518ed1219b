"""What a league's earlier rounds say: who is there, who has done how against whom. A pure view of its facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arena.league_config import LeagueConfig
from arena.matchmaking import Mix, Seated, league_mix
from arena.records import Agent, League, LeagueFact, PairResult

FADING = 0.5
"""What a learner's results count for after each further round: it has changed since."""


@dataclass(frozen=True)
class Past:
    """A league as it stood when its round began, whatever has happened in the round since.

    Attributes:
        frozen: agents that have joined, by their learner, oldest first; retired ones are left out.
        newest: the agent that each learner left in the round before; None in the first round, or where it is retired.
        lineage: by learner, agents since it last began anew, newest first.
        resets: how often each learner has begun anew. waited: rounds since its last frozen copy.
        results: pair → (points of the first, games).
    """

    config: LeagueConfig
    frozen: tuple[tuple[Agent, ...], ...]
    newest: tuple[Agent | None, ...]
    lineage: tuple[tuple[int, ...], ...]
    resets: tuple[int, ...]
    waited: tuple[int, ...]
    results: dict[tuple[int, int], tuple[float, int]]

    @property
    def learner_of(self) -> dict[int, int]:
        """Agent id → learner, of all frozen ones and the newest."""
        every = {agent.id: learner for learner, agents in enumerate(self.frozen) for agent in agents}
        return every | {agent.id: learner for learner, agent in enumerate(self.newest) if agent is not None}

    def players(self) -> list[tuple[Agent, Seated]]:
        """Everybody whom a learner may train against, oldest first."""
        frozen = {agent.id: agent for agents in self.frozen for agent in agents}
        newest = {agent.id: agent for agent in self.newest if agent is not None}
        every, learners = frozen | newest, self.learner_of
        return [
            (
                every[agent],
                Seated(self.config.members[learners[agent]].role, learners[agent], agent in frozen, agent in newest),
            )
            for agent in sorted(every)
        ]

    def mix(self, learner: int) -> tuple[list[Agent], Mix]:
        """Whom this learner trains against in the round that follows."""
        players = self.players()
        points, games = np.zeros(len(players)), np.zeros(len(players))
        for age, own in enumerate(self.lineage[learner]):
            for index, (agent, _) in enumerate(players):
                won, met = self.results.get((own, agent.id), (0.0, 0))
                points[index] += FADING**age * won
                games[index] += FADING**age * met
        seats = [seat for _, seat in players]
        # Its own newest agent is itself; frozen, it is a past player like others.
        own_newest = self.newest[learner]
        for index, (agent, seat) in enumerate(players):
            if own_newest is not None and agent.id == own_newest.id:
                seats[index] = seat._replace(newest=False)
        role = self.config.members[learner].role
        return [agent for agent, _ in players], league_mix(role, seats, points, games, self.config.draw)


def look_back(
    config: LeagueConfig,
    round: int,
    facts: Sequence[LeagueFact],
    agents: Sequence[Agent],
    results: Sequence[PairResult],
) -> Past:
    """The past of a round.

    Args:
        facts: all of the league's; those of this round and later ones are not looked at.
        agents: of its game, without the retired ones. results: of its rounds before this one.
    """
    known = {agent.id: agent for agent in agents}
    size = len(config.members)
    trained: dict[int, list[tuple[int, int]]] = defaultdict(list)
    frozen: dict[int, list[Agent]] = defaultdict(list)
    resets, since, copied = [0] * size, [-1] * size, [-1] * size
    for fact in facts:
        if fact.round >= round:
            continue
        if fact.kind == "trained" and fact.agent is not None:
            trained[fact.learner].append((fact.round, fact.agent))
        elif fact.kind == "snapshot" and fact.agent is not None:
            copied[fact.learner] = fact.round
            if fact.agent in known:
                frozen[fact.learner].append(known[fact.agent])
        elif fact.kind == "reset":
            resets[fact.learner] += 1
            since[fact.learner] = fact.round
    last = [trained[n][-1] if trained[n] else (-1, 0) for n in range(size)]
    return Past(
        config=config,
        frozen=tuple(tuple(frozen[n]) for n in range(size)),
        newest=tuple(known.get(agent) for _, agent in last),
        lineage=tuple(tuple(agent for at, agent in reversed(trained[n]) if at > since[n]) for n in range(size)),
        resets=tuple(resets),
        waited=tuple(round - at - 1 for at in copied),
        results=scores(results),
    )


def scores(results: Sequence[PairResult]) -> dict[tuple[int, int], tuple[float, int]]:
    """Pair → (points of the first, games), both ways round and over both seats."""
    table: dict[tuple[int, int], tuple[float, int]] = {}
    for result in results:
        games = result.wins + result.draws + result.losses
        for pair, won in (
            ((result.agent_0, result.agent_1), result.wins + result.draws / 2),
            ((result.agent_1, result.agent_0), result.losses + result.draws / 2),
        ):
            points, met = table.get(pair, (0.0, 0))
            table[pair] = points + won, met + games
    return table


LEARNER, DRAW, VETERANS, MATCH, TEST, RESET = range(6)
"""What chance is for."""


def league_seed(league: League, purpose: int, number: int, which: int) -> int:
    """[0, 2**63): independent for all purposes, numbers (a round's) and what they are for."""
    return int(np.random.SeedSequence([league.seed, purpose, number, which]).generate_state(1, np.uint64)[0]) >> 1
