"""The end of a league's round: tests between newest and frozen agents, and who joins, begins anew, or takes over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from agents.resume import take_over
from arena.checkpoints import SIDECAR_BYTES, pack_state, state_bytes, unpack_state
from arena.league_config import LeagueConfig
from arena.league_past import RESET, TEST, Past, league_seed, scores
from arena.ratings import fit_bradley_terry
from arena.records import Agent, League, LeagueFact, LeagueFactKind
from arena.roles import Met, begins_anew, hardest, judge
from arena.sprt import Decision, Sprt
from arena.sprt_match import pairs_of
from arena.store import Store

BATCH = 32
"""Games between two looks at a test, even."""


class Trial(NamedTuple):
    """A match of a sequential test: its slot, who plays, its seed and number of games."""

    slot: int
    agents: tuple[Agent, Agent]
    seed: int
    games: int


def met_by(
    store: Store, league: League, config: LeagueConfig, past: Past, newest: Mapping[int, Agent], slots: int
) -> dict[int, list[Met]]:
    """Learner → what its newest agent has done against other members' agents in this round's first `slots` matches."""
    results = scores(store.league_results(league.id, before=league.round + 1, since=league.round, slots=slots))
    frozen = {agent.id: learner for learner, agents in enumerate(past.frozen) for agent in agents}
    fresh = {agent.id: learner for learner, agent in newest.items()}
    found: dict[int, list[Met]] = {learner: [] for learner in newest}
    for (own, other), (points, games) in sorted(results.items()):
        learner = fresh.get(own)
        owner = frozen.get(other, fresh.get(other))
        if learner is None or owner is None:
            continue
        role = config.members[owner].role
        found[learner].append(Met(other, role, other in fresh, other in frozen, points, games))
    return found


def trials(
    store: Store,
    league: League,
    config: LeagueConfig,
    past: Past,
    newest: Mapping[int, Agent],
    first_slot: int,
    decisions: dict[int, Decision | None],
) -> Iterator[list[Trial]]:
    """Wave after wave of matches, one for every sequential test that has not decided; `decisions` takes what they say.

    A main agent is tested against its own last frozen copy, an exploiter against whom it did worst against.
    """
    gate = config.gate
    test, limit = Sprt(gate.elo0, gate.elo1), -(-gate.games // BATCH)
    frozen = {agent.id: agent for agents in past.frozen for agent in agents}
    known = frozen | {agent.id: agent for agent in newest.values()}
    met = met_by(store, league, config, past, newest, first_slot)
    rivals: dict[int, Agent] = {}
    for learner in newest:
        own = past.frozen[learner]
        worst = hardest(config.members[learner].role, met[learner])
        if config.members[learner].role == "main" and own:
            rivals[learner] = own[-1]
        elif config.members[learner].role != "main" and worst is not None:
            rivals[learner] = known[worst.agent]
    for batch in range(limit):
        decisions |= {n: test.decide(_pairs(store, league, first_slot + n * limit, batch)) for n in rivals}
        wave = []
        for learner, rival in sorted(rivals.items()):
            if decisions[learner] is None:
                slot = first_slot + learner * limit + batch
                seed = league_seed(league, TEST, league.round, slot)
                wave.append(Trial(slot, (newest[learner], rival), seed, BATCH))
        if not wave:
            return
        yield wave
    decisions |= {n: test.decide(_pairs(store, league, first_slot + n * limit, limit)) for n in rivals}


def _pairs(store: Store, league: League, slot: int, batches: int) -> list[int]:
    """How often the pairs of a test's first batches brought 0, ½, 1, 1½ and 2 points."""
    total = np.zeros(5, np.int64)
    for match in store.matches(league=league.id, round=league.round):
        if match.slot is not None and slot <= match.slot < slot + batches:
            total += pairs_of(store.episodes(match=match.id))
    return total.tolist()


def conclude(
    store: Store,
    league: League,
    config: LeagueConfig,
    past: Past,
    newest: Mapping[int, Agent],
    slots: int,
    decisions: Mapping[int, Decision | None],
) -> None:
    """Decide what becomes of the round's agents and go on to the next round, in one transaction.

    `slots` matches were everybody's; those behind them belong to the tests that `decisions` are of.
    """
    facts: list[LeagueFact] = []
    met = met_by(store, league, config, past, newest, slots)
    for learner, agent in sorted(newest.items()):
        role = config.members[learner].role
        verdict = judge(role, config.gate, past.waited[learner] + 1, met[learner], decisions.get(learner))
        detail = {"why": verdict.why, "score": verdict.score, "against": verdict.against}
        kind: LeagueFactKind = "snapshot" if verdict.joins else "rejected"
        facts.append(LeagueFact(league.id, league.round, learner, kind, agent.id, detail))
        draw = np.random.default_rng(league_seed(league, RESET, league.round, learner)).random()
        if config.strategy == "league" and begins_anew(role, verdict.joins, draw, config.gate.reset):
            facts.append(LeagueFact(league.id, league.round, learner, "reset"))
    states: dict[int, tuple[int, bytes]] = {}
    if config.strategy == "copy-best":
        copies, states = _copies(store, league, config, newest)
        facts += copies
    store.advance_league(league.id, league.round + 1, facts, states)
    for fact in facts:
        if fact.kind == "reset":  # what it would go on from is for `arena db gc` now
            store.finish_run(newest[fact.learner].run or 0)


def _copies(
    store: Store, league: League, config: LeagueConfig, newest: Mapping[int, Agent]
) -> tuple[list[LeagueFact], dict[int, tuple[int, bytes]]]:
    """Members that go on with what the best of their kind has learnt: facts, and run → (step, resume state)."""
    fit = fit_bradley_terry(store.league_results(league.id, before=league.round + 1, since=league.round)).by_agent()
    kinds: dict[str, list[int]] = defaultdict(list)
    for learner, agent in sorted(newest.items()):
        if agent.id in fit:
            kinds[config.members[learner].algorithm].append(learner)
    runs = {run.id: run for run in store.runs(league=league.id)}
    facts, states = list[LeagueFact](), dict[int, tuple[int, bytes]]()
    for learners in kinds.values():
        best = max(learners, key=lambda learner: (fit[newest[learner].id].elo, -learner))
        rows = {learner: store.run_state(newest[learner].run or 0) for learner in learners}
        loaded = {n: unpack_state(store, runs[newest[n].run or 0], row) for n, row in rows.items() if row is not None}
        for learner in learners:
            if learner == best or best not in loaded or learner not in loaded:
                continue
            state = take_over(loaded[learner], loaded[best])
            if state is None:
                continue
            run, row = runs[newest[learner].run or 0], rows[learner]
            assert row is not None
            data = state_bytes(state)
            states[run.id] = row.step, data if len(data) <= SIDECAR_BYTES else pack_state(store, run, row.step, state)
            facts.append(LeagueFact(league.id, league.round, learner, "copied", newest[best].id))
    return facts, states
