"""The package openskill's ratings of recorded games, for those who know its numbers; it is the extra `openskill`.

It goes through the games in the order in which they were kept (Weng and Lin 2011, Plackett-Luce), so that, unlike the
table's own ratings, they depend on that order, and a newcomer's are far off: their intervals are not tested here.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from arena.records import AgentKind
from envs.errors import MissingPackageError

if TYPE_CHECKING:
    from arena.store import Store


@dataclass(frozen=True)
class SkillRow:
    """A row of the table.

    Attributes:
        mu, sigma: the skill's mean and standard deviation; newcomers have 25 and 25/3.
        ordinal: mu − 3 sigma, by which agents are ranked.
    """

    rank: int | None
    agent: str
    kind: AgentKind
    retired: bool
    mu: float
    sigma: float
    ordinal: float
    games: int


def openskill_table(store: Store, game: str, retired: bool = False) -> list[SkillRow]:
    """Everybody's skill in a game's newest version, by openskill's Plackett-Luce model without drift.

    An agent that holds several seats of a game has the mean of what it gets in each of them.

    Raises MissingPackageError where openskill is not installed.
    """
    try:
        from openskill.models import PlackettLuce
    except ImportError:
        raise MissingPackageError("--openskill needs pip install openskill") from None
    found = store.results_digest(game)
    model = PlackettLuce(tau=0.0)  # agents are frozen: nothing drifts between games
    skills: dict[int, tuple[float, float]] = {}
    games: dict[int, int] = {}
    for finish in store.finishes(game, found[0]) if found else ():
        if len(set(finish.agents)) == 1:
            continue
        start = model.rating()
        teams = [[model.rating(*skills.get(player, (start.mu, start.sigma)))] for player in finish.agents]
        after = model.rate(teams, scores=list(finish.scores))
        for player in set(finish.agents):
            own = [team[0] for team, seat in zip(after, finish.agents, strict=True) if seat == player]
            skills[player] = fmean(r.mu for r in own), fmean(r.sigma for r in own)
            games[player] = games.get(player, 0) + 1
    agents = {agent.id: agent for agent in store.agents(game, retired=True)}
    rows: list[SkillRow] = []
    rank = 0
    for key, (mu, sigma) in sorted(skills.items(), key=lambda item: (3 * item[1][1] - item[1][0], item[0])):
        agent, gone = agents[key], agents[key].retired_at is not None
        if gone and not retired:
            continue
        rank += not gone
        rows.append(
            SkillRow(None if gone else rank, agent.name, agent.kind, gone, mu, sigma, mu - 3 * sigma, games[key])
        )
    return rows
