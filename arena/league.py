"""Leagues: a population trains, is matched, rated and frozen, round after round; stopped at any moment, it goes on.

docs/plans/league.md says what a round is. This is the coordinator: it alone reads and writes the Store. What takes long
(`league_work.py`) is done by an engine (`workers.py`), here or in other processes; results are written in the order of
the jobs. Who trains against whom, who plays whom and with which seeds depends on the league's seed, on numbers and on
the facts of earlier rounds alone, and everything has its place in the Store once: so records depend neither on where
the league was interrupted nor on the number of workers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from agents.configs import LearnerConfig, config_from
from agents.scripted import THINKERS, scripted_policies
from agents.search import searchable
from arena import matchmaking
from arena.checkpoints import SIDECAR_BYTES, pack_state, state_bytes, state_of, unpack_state
from arena.league_config import ANY_GAME, LeagueConfig, default_league, from_json, to_json
from arena.league_gate import conclude, trials
from arena.league_past import DRAW, LEARNER, MATCH, VETERANS, Past, league_seed, look_back
from arena.league_work import MatchJob, Played, Player, Report, Trained, TrainJob
from arena.locks import hold
from arena.match import Evaluation, MatchResult
from arena.records import Agent, League, LeagueFact, Run
from arena.roster import enlist, game_spec
from arena.run_names import agent_name, free_name, newest_agent
from arena.standings import fitted_ratings
from arena.store import Store
from arena.training import Progress, TrainRequest, never, start_run
from arena.workers import Engine, Failed, Lost, make_engine, ordered
from envs.errors import ArenaError, UsageError
from envs.specs import GameSpec, parse_variant

GAMES = 20
POINTLESS = ("first-legal", *THINKERS)
"""Scripts that teach nothing about who is strong, and those that would take longer than the round."""


@dataclass(frozen=True)
class LeagueEvent:
    """What a league has just done.

    Attributes:
        kind: "train" (progress: after every update of a member), "match" (result) or "evaluate" (evaluation) after
            each, "note" (text: a worker has died), "round" when a round is complete, "end" as the last event.
        done, total: of the round's matches, after "match" and "evaluate".
    """

    league: str
    round: int
    kind: Literal["train", "match", "evaluate", "note", "round", "end"]
    progress: Progress | None = None
    result: MatchResult | None = None
    evaluation: Evaluation | None = None
    text: str = ""
    done: int = 0
    total: int = 0


def run_league(
    store: Store,
    game: str,
    name: str | None = None,
    *,
    config: LeagueConfig | None = None,
    minutes: float | None = None,
    rounds: int | None = None,
    learners: Sequence[str] | None = None,
    slice_steps: Mapping[str, int] | None = None,
    games: int = GAMES,
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    should_stop: Callable[[], bool] = never,
) -> Iterator[LeagueEvent]:
    """Run a league until `should_stop()`, for so many minutes or rounds, or for ever; begin it where there is none yet.

    The clock, `should_stop` and `arena league pause` end it at the next update or match, with everything kept; closing
    the iterator ends it at once and loses the slices or the matches it was in.

    Args:
        name: the league's; default: the game's.
        config: of a new league. Without it: a main agent for each of `learners` (algorithms; None: those that learn
            such games) with these `slice_steps`, `games`, `seed` and `device`. A league that exists keeps its settings.
        workers: processes; None: as many as the league's settings say; 0: this one alone.

    Raises UsageError for games and settings that do not exist and for a paused league, ArenaError where another process
    runs this league.
    """
    game = str(parse_variant(game))
    spec = game_spec(game)
    name = name or game
    if minutes is not None and not 0 < minutes < math.inf:
        raise UsageError(f"minutes={minutes} must be more than 0" + " and have an end" * (minutes > 0))
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    if not any(league.name == name for league in store.leagues()):
        config = config or _simple(spec, learners, slice_steps or {}, games, seed, device)
        begin_league(store, game, name, config)
    league = store.league(name)
    if league.game != game:
        raise UsageError(f"league {name!r} plays {league.game}, not {game}; give it another --name")
    if league.paused_at is not None:
        raise UsageError(f"league {name!r} is paused; `arena league resume {name}` goes on with it")

    def stop() -> bool:
        late = deadline is not None and time.monotonic() >= deadline
        return should_stop() or late or store.league(name).paused_at is not None

    with hold(store.path, f"league-{league.id}", f"league {name}"), contextlib.ExitStack() as stack:
        count = from_json(league.config).workers if workers is None else workers
        engine = make_engine(count, stop)
        stack.callback(engine.close)
        first = (league := store.league(name)).round
        while not stop() and (rounds is None or league.round < first + rounds):
            yield from _Round(store, league, spec, engine, stop).play()
            league = store.league(name)
        yield LeagueEvent(name, league.round, "end")


def default_learners(spec: GameSpec) -> list[str]:
    """Who learns this game where nobody says who shall."""
    return [name for name in ANY_GAME if name != "dqn" or spec.num_actions is not None]


def begin_league(store: Store, game: str, name: str, config: LeagueConfig) -> League:
    """Write a new league down. Another process that begins the same one first is as good."""
    if config.games < 1 or any(member.steps < 1 for member in config.members):
        raise UsageError("games and steps must be at least 1")
    spec = game_spec(game)
    for member in config.members:
        if member.algorithm == "dqn" and spec.num_actions is None:
            raise UsageError(f"{game} has continuous actions: ppo and vpg learn them, dqn does not")
        if member.algorithm == "az":
            searchable(spec)
    try:
        store.create_league(League(name, game, to_json(config), config.seed))
    except UsageError:
        if not any(league.name == name for league in store.leagues()):
            raise
    return store.league(name)


def _simple(
    spec: GameSpec,
    learners: Sequence[str] | None,
    slice_steps: Mapping[str, int],
    games: int,
    seed: int,
    device: str,
) -> LeagueConfig:
    config = default_league(spec.game, default_learners(spec) if learners is None else learners)
    members = tuple(
        dataclasses.replace(member, steps=slice_steps.get(member.algorithm, member.steps)) for member in config.members
    )
    return dataclasses.replace(config, members=members, games=games, seed=seed, device=device)


class _Round:
    """The league's round, or what is left of it."""

    def __init__(
        self, store: Store, league: League, spec: GameSpec, engine: Engine, should_stop: Callable[[], bool]
    ) -> None:
        self.store, self.league, self.spec, self.engine, self.should_stop = store, league, spec, engine, should_stop
        self.number = league.round
        self.config = from_json(league.config)
        self.facts = store.league_facts(league.id)
        self.past: Past = look_back(
            self.config,
            self.number,
            self.facts,
            store.agents(league.game),
            store.league_results(league.id, before=self.number),
        )

    def play(self) -> Iterator[LeagueEvent]:
        yield from self._train()
        if self.should_stop():
            return
        jobs = self._match_jobs()
        yield from self._matches(jobs, range(len(jobs)), len(jobs))
        if self.should_stop():
            return
        here = (self.store, self.league, self.config, self.past, self._newest())
        decisions: dict[int, Any] = {}
        if self.config.gate.kind == "sprt":
            for slots in trials(*here, len(jobs), decisions):
                wave = {slot: self._job(agents, seed, games) for slot, agents, seed, games in slots}
                yield from self._matches(list(wave.values()), list(wave), len(jobs))
                if self.should_stop():
                    return
        conclude(*here, len(jobs), decisions)
        if self.spec.num_players > 1:
            fitted_ratings(self.store, self.league.game)
        yield LeagueEvent(self.league.name, self.number, "round", done=len(jobs), total=len(jobs))

    # Training

    def _train(self) -> Iterator[LeagueEvent]:
        done = {fact.learner for fact in self.facts if fact.round == self.number and fact.kind == "trained"}
        due = [n for n in range(len(self.config.members)) if n not in done]
        runs = {n: self._run(n) for n in due}
        with contextlib.ExitStack() as held:
            for run in runs.values():
                held.enter_context(hold(self.store.path, f"run-{run.id}", f"run {run.name}"))
            runs = {n: self.store.run(run.name) for n, run in runs.items()}
            untils = {n: self._start(run) + self.config.members[n].steps for n, run in runs.items()}
            details: dict[int, dict[str, Any]] = {}
            jobs = [lambda n=n: self._train_job(n, runs[n], untils[n], details) for n in due]
            finished: set[int] = set()
            try:
                for index, news in ordered(self.engine, jobs, self.should_stop):
                    n = due[index]
                    if isinstance(news, Trained):
                        finished.add(n)
                        agent = self._keep(n, runs[n], untils[n], news, details[n])
                        yield self._progress(runs[n], untils[n], news.step, news.values, agent, "stopped")
                    elif isinstance(news, Report):
                        yield self._progress(runs[n], untils[n], news.step, news.values, None, "running")
                    else:
                        yield self._note(news, f"training {runs[n].name}", runs[n])
            finally:
                for n in set(due) - finished:
                    run = self.store.run(runs[n].name)
                    if run.state == "running":
                        self.store.finish_run(run.id, "stopped")

    def _run(self, learner: int) -> Run:
        """The member's run since it last began anew, begun where it does not exist yet."""
        runs = [run for run in self.store.runs(league=self.league.id) if run.config["learner"] == learner]
        number = self.past.resets[learner]
        if len(runs) > number:
            return runs[number]
        member = self.config.members[learner]
        request = TrainRequest(
            game=self.league.game,
            algorithm=member.algorithm,
            name=free_name(self.store, member.name),
            config=config_from(member.algorithm, member.settings),
            steps=member.steps,
            checkpoint_steps=member.steps,
            seed=league_seed(self.league, LEARNER, number, learner),
            device=self.config.device,
            league=self.league.id,
            learner=learner,
        )
        return start_run(self.store, request)

    def _start(self, run: Run) -> int:
        """The step at which the run's newest agent was made."""
        return max((agent.step or 0 for agent in self.store.agents(retired=True) if agent.run == run.id), default=0)

    def _train_job(self, learner: int, run: Run, until: int, details: dict[int, dict[str, Any]]) -> TrainJob:
        opponents, detail = self._opponents(learner, run)
        details[learner] = detail
        self.store.extend_run(run.id, until)
        state = self.store.run_state(run.id)
        return TrainJob(
            game=self.league.game,
            algorithm=run.algorithm,
            settings=run.config["settings"],
            seed=run.seed,
            device=run.device,
            until=until,
            state=None if state is None else state_bytes(unpack_state(self.store, run, state)),
            opponents=tuple(self._player(agent) for agent in opponents),
            self_play=detail["self_play"],
            key=f"round {self.number}",
        )

    def _opponents(self, learner: int, run: Run) -> tuple[list[Agent], dict[str, Any]]:
        """One frozen agent a block of games, drawn for this round."""
        detail: dict[str, Any] = {"self_play": 1.0, "opponents": []}
        config = config_from(run.algorithm, run.config["settings"])
        if self.spec.num_players == 1 or self.config.strategy == "independent" or not isinstance(config, LearnerConfig):
            return [], detail
        agents, mix = self.past.mix(learner)
        if not sum(mix.weights) > 0:
            return [], detail
        rng = np.random.default_rng(league_seed(self.league, DRAW, self.number, learner))
        drawn = [agents[index] for index in matchmaking.spread(mix.weights, config.pool_blocks, rng)]
        return drawn, {"self_play": round(mix.self_play, 6), "opponents": [agent.name for agent in drawn]}

    def _keep(self, learner: int, run: Run, until: int, news: Trained, detail: dict[str, Any]) -> str | None:
        """A stretch of a run in one transaction; the name of the agent that it left, if it got to its end."""
        state = news.state
        if state is not None and len(state) > SIDECAR_BYTES:
            state = pack_state(self.store, run, news.step, state_of(state, "a learner's state"))
        agent = fact = None
        if news.reached and news.policy is not None:
            name = agent_name(self.store, run, news.step)
            agent = Agent(game=run.game, name=name, kind="checkpoint", run=run.id, step=news.step)
            fact = LeagueFact(self.league.id, self.number, learner, "trained", detail=detail)
        self.store.commit_interval(
            run.id,
            news.step,
            run.seconds + news.seconds,
            metrics=news.metrics,
            state=state,
            agent=agent,
            policy=None if agent is None else news.policy,
            fact=fact,
        )
        self.store.finish_run(run.id, "stopped")
        return None if agent is None else agent.name

    # Matches

    def _newest(self) -> dict[int, Agent]:
        """Learner → the agent that it left in this round, without the retired ones."""
        known = {agent.id: agent for agent in self.store.agents(self.league.game)}
        facts = self.store.league_facts(self.league.id, "trained")
        return {f.learner: known[f.agent] for f in facts if f.round == self.number and f.agent in known}

    def _pairings(self) -> list[tuple[Agent, ...]]:
        """Who meets whom in this round, by slot; a single agent is to be evaluated."""
        newest = [agent for _, agent in sorted(self._newest().items())]
        retired = {a.name for a in self.store.agents(self.league.game, retired=True) if a.retired_at is not None}
        offered = [name for name in scripted_policies(self.spec) if name not in retired and name not in POINTLESS]
        scripts = [enlist(self.store, self.league.game, name) for name in offered]
        if self.spec.num_players == 1:
            return [(agent,) for agent in (*newest, *(scripts if self.number == 0 else ()))]
        veterans = sorted((agent for agents in self.past.frozen for agent in agents), key=lambda agent: agent.id)
        by_name = {agent.name: agent for agent in (*newest, *scripts)}
        pairs = [(by_name[a], by_name[b]) for a, b in matchmaking.round_robin([agent.name for agent in newest])]
        for agent in newest:
            pairs += [(agent, script) for script in scripts]
            rng = np.random.default_rng(league_seed(self.league, VETERANS, self.number, agent.id))
            pairs += [(agent, veterans[index]) for index in rng.permutation(len(veterans))[: self.config.veterans]]
        if self.number == 0:
            pairs += [(by_name[a], by_name[b]) for a, b in matchmaking.round_robin([agent.name for agent in scripts])]
        # Engines may join at any time: they come last, so that the slots of the other pairs stay what they are.
        engines = [agent for agent in self.store.agents(self.league.game) if agent.kind == "engine"]
        pairs += [(agent, engine) for engine in engines for agent in newest]
        return [*pairs]

    def _match_jobs(self) -> list[Callable[[], MatchJob]]:
        return [
            self._job(agents, league_seed(self.league, MATCH, self.number, slot), self.config.games)
            for slot, agents in enumerate(self._pairings())
        ]

    def _job(self, agents: Sequence[Agent], seed: int, games: int) -> Callable[[], MatchJob]:
        return lambda: MatchJob(self.league.game, tuple(self._player(agent) for agent in agents), games, seed)

    def _player(self, agent: Agent) -> Player:
        return Player(agent, None if agent.checkpoint is None else self.store.checkpoint_data(agent.checkpoint))

    def _matches(
        self, jobs: Sequence[Callable[[], MatchJob]], slots: Sequence[int], total: int
    ) -> Iterator[LeagueEvent]:
        """Play what has not been played; each match enters under its slot."""
        played = {match.slot for match in self.store.matches(league=self.league.id, round=self.number)}
        due = [(slot, job) for slot, job in zip(slots, jobs, strict=True) if slot not in played]
        for index, news in ordered(self.engine, [job for _, job in due], self.should_stop):
            slot = due[index][0]
            if not isinstance(news, Played):
                yield self._note(news, f"match {slot + 1} of round {self.number + 1}")
                continue
            kind = "evaluation" if self.spec.num_players == 1 else "league"
            place: dict[str, Any] = {"kind": kind, "league": self.league.id, "round": self.number, "slot": slot}
            match = self.store.add_match(dataclasses.replace(news.match, **place), news.episodes)
            event = LeagueEvent(self.league.name, self.number, "match", done=slot + 1, total=max(total, slot + 1))
            result = dataclasses.replace(news.result, match=match)
            if isinstance(result, Evaluation):
                yield dataclasses.replace(event, kind="evaluate", evaluation=result)
            else:
                yield dataclasses.replace(event, result=result)

    # Telling

    def _progress(
        self, run: Run, until: int, step: int, values: Mapping[str, float], agent: str | None, state: Any
    ) -> LeagueEvent:
        rate = values.get("charts/SPS", 0.0)
        progress = Progress(
            run=run.name,
            step=step,
            total=until,
            sps=rate,
            episodic_return=values.get("charts/episodic_return"),
            seconds_left=max(0, until - step) / rate if rate > 0 and state == "running" else None,
            new_agent=agent,
            last_agent=agent or newest_agent(self.store, run) if state != "running" else None,
            state=state,
            values=values,
        )
        return LeagueEvent(self.league.name, self.number, "train", progress=progress)

    def _note(self, news: object, what: str, run: Run | None = None) -> LeagueEvent:
        """A worker that has died is told of; a job that cannot be done ends the league."""
        if isinstance(news, Lost):
            text = f"worker {news.worker} died ({news.why}) in {what}; another one does it again"
            return LeagueEvent(self.league.name, self.number, "note", text=text)
        assert isinstance(news, Failed), news
        if run is not None:
            self.store.finish_run(run.id, "failed", news.why)
        if news.error is not None:
            raise news.error
        raise ArenaError(f"{what}: {news.why}")
