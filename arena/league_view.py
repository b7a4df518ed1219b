"""A league as its facts say it stands: read-only, for people and front ends. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from arena.league_config import from_json
from arena.locks import holder
from arena.matchmaking import Role
from arena.records import League, LeagueFact

if TYPE_CHECKING:
    from arena.store import Store

LeagueState = Literal["running", "paused", "idle"]


@dataclass(frozen=True)
class MemberView:
    """A learner of a league.

    Attributes:
        run: the one it learns in; None before it began. step, seconds: how far that one has come.
        newest: the agent that it left last. frozen: how many of its agents others may train against.
        resets, copies: how often it began anew, and took over what another had learnt.
        self_play: the share of its games against itself in its last round; opponents: whom the others were against,
            one a block of games.
    """

    name: str
    role: Role
    algorithm: str
    run: str | None
    step: int
    seconds: float
    newest: str | None
    frozen: int
    resets: int
    copies: int
    self_play: float
    opponents: tuple[str, ...]


@dataclass(frozen=True)
class LeagueView:
    """A league, its members in their order, and everything that became of them.

    Attributes:
        process: who is at work on it, where somebody is.
    """

    league: League
    state: LeagueState
    process: int | None
    members: tuple[MemberView, ...]
    facts: tuple[LeagueFact, ...]


def league_view(store: Store, name: str) -> LeagueView:
    """The league of this name. Raises UnknownNameError."""
    league = store.league(name)
    config = from_json(league.config)
    facts = store.league_facts(league.id)
    agents = {agent.id: agent.name for agent in store.agents(league.game, retired=True)}
    runs = store.runs(league=league.id)
    members = []
    for index, member in enumerate(config.members):
        own = [fact for fact in facts if fact.learner == index]
        trained = [fact for fact in own if fact.kind == "trained"]
        kinds = [fact.kind for fact in own]
        run = next((run for run in reversed(runs) if run.config.get("learner") == index), None)
        detail = trained[-1].detail if trained else {}
        members.append(
            MemberView(
                name=member.name,
                role=member.role,
                algorithm=member.algorithm,
                run=run.name if run else None,
                step=run.step if run else 0,
                seconds=run.seconds if run else 0.0,
                newest=agents.get(trained[-1].agent or 0) if trained else None,
                frozen=kinds.count("snapshot"),
                resets=kinds.count("reset"),
                copies=kinds.count("copied"),
                self_play=float(detail.get("self_play", 1.0)),
                opponents=tuple(map(str, detail.get("opponents", ()))),
            )
        )
    process = holder(store.path, f"league-{league.id}")
    state: LeagueState = "paused" if league.paused_at is not None else "running" if process else "idle"
    return LeagueView(league, state, process, tuple(members), tuple(facts))
