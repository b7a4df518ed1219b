"""Training runs: an algorithm's generator between an environment and the Store.

A run is created with everything it depends on (settings, seed, versions, commit, device). It goes on interval by
interval, each of which is one transaction (metrics, progress, resume state, a new agent), and can be continued from its
last interval whatever ended it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from agents.bc import Lessons
from agents.configs import (
    Config,
    LearnerConfig,
    config_from,
    default_steps,
    training_game,
)
from agents.fits import check_fits, training_env
from agents.metrics import Metrics
from agents.registry import load_train
from agents.selfplay import Opponents, kinds_of_games
from agents.shaping import load_shaping
from arena.checkpoints import pack_policy, pack_state, unpack_state
from arena.lessons import digest, read_lessons
from arena.locks import hold
from arena.matchmaking import POOL_DRAWS, Draw, uniform
from arena.memory import keep_freed_memory
from arena.provenance import commit_hash, resolve_device, versions
from arena.recording import RecordingEnv, as_episodes
from arena.records import Agent, Episode, Match, Run, RunStatus
from arena.roster import game_spec, on_device, resolve
from arena.run_names import agent_name, free_name, newest_agent
from arena.store import Store
from arena.thinning import Thinner
from arena.trial import steps_in
from arena.warm_start import load_start, start_facts, starting_config
from envs.errors import ArenaError, UsageError
from envs.registry import make
from envs.specs import GameSpec, parse_variant

EPOCHS, FEWEST = 10, 40_000
"""Passes over recorded games where nothing says how long to learn from them, and the fewest decisions that makes."""
CHECKPOINTS = 10
"""Checkpoints of a run whose interval is not given."""
CORES = os.cpu_count() or 1
METRICS_SECONDS = 2.0
"""How often a run's metrics are written between its checkpoints, for whoever watches."""


def never() -> bool:
    return False


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        name: of the run; its agents are NAME@STEPS. None: the algorithm and the next free number.
        config: the algorithm's settings; None: what suits the game.
        steps: env steps in all. With `minutes` alone as many as a short trial says will fit; else what ends first.
        device: "cpu", "cuda", "cuda:1", "mps" or "auto".
        threads: how many a network on the CPU has; 0: one per core. More than one pay for wide networks and pixels.
        checkpoint_steps: env steps between checkpoints; None: a tenth of the run.
        opponents: names of agents to play against, besides the learner itself and its snapshots.
        init: the trained agent to start from, as `warm_start.find_start` takes it; "": from fresh weights. Without a
            `config` the network has the shape of that agent's.
        reward: "module:function" that shapes the rewards of a one-player game.
        lessons: what behaviour cloning learns from, as `lessons.read_lessons` takes it.
        record: keep every so-manieth game that the learner plays alone or with itself as an episode; 0: none.
        resume: continue the run `name`; only `steps`, `minutes` and `allow_code` may be given with it.
        allow_code: run a `reward` that stands in a stored run's settings.
        league, learner: the league that the run belongs to, and which of its learners it is.
    """

    game: str
    algorithm: str = "ppo"
    name: str | None = None
    config: Config | None = None
    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    checkpoint_steps: int | None = None
    opponents: tuple[str, ...] = ()
    init: str = ""
    reward: str = ""
    lessons: str = ""
    record: int = 0
    resume: bool = False
    allow_code: bool = False
    league: int | None = None
    learner: int | None = None


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        step, total: env steps done, and to do in all.
        sps: env steps per second of late.
        episodic_return: of late; None before a game has ended.
        seconds_left: None while nothing is known.
        new_agent: the agent that this report's checkpoint made, or None.
        last_agent: the newest one, or None.
        state: "running", or how it ended, in the last report.
        values: all metrics of this report.
    """

    run: str
    step: int
    total: int
    sps: float
    episodic_return: float | None
    seconds_left: float | None
    new_agent: str | None
    last_agent: str | None
    state: RunStatus
    values: Mapping[str, float] = field(default_factory=dict)


def train_agent(store: Store, request: TrainRequest, should_stop: Callable[[], bool] = never) -> Iterator[Progress]:
    """Train an agent: start a run, or continue one; report at once and after every update, and how it ended.

    When `should_stop()` turns true the run stops at its next update and keeps a checkpoint there. Closing the iterator
    stops it at once: it can be resumed from its last checkpoint. An error leaves the run failed, with the error's line.

    Raises UsageError for what cannot be trained, ArenaError where another process is at work on the run.
    """
    deadline = None if request.minutes is None else time.monotonic() + 60 * request.minutes
    run = _resumed(store, request) if request.resume else start_run(store, request)
    allow_code = request.allow_code or not request.resume
    yield from continue_run(store, run, should_stop, deadline=deadline, allow_code=allow_code)


def start_run(store: Store, request: TrainRequest) -> Run:
    """Check the request and create its run in the Store. Raises UsageError for what cannot be trained."""
    game = str(parse_variant(request.game))
    config = request.config or starting_config(store, request.algorithm, game, request.init)
    _check_numbers(request)
    spec = game_spec(game)
    env = make(training_game(game, config))
    try:
        check_fits(request.algorithm, config, env, shaped=bool(request.reward))
    finally:
        env.close()
    if request.reward:
        load_shaping(request.reward)
    if request.record:
        if training_game(game, config) != game:
            raise UsageError(f"--record keeps games of {game}, and this run trains on others (training_options)")
        _watched(spec, config)
        RecordingEnv(make(game), request.record, 1).close()
    taught = _lessons(store, request, game)
    begun = start_facts(store, request.algorithm, config, spec, request.init) if request.init else {}
    device = resolve_device(request.device, config, spec.scale)
    threads = request.threads or CORES
    _use_threads(device, threads)
    for opponent in request.opponents:
        resolve(store, game, opponent, join=False)
    steps = request.steps or (
        max(EPOCHS * len(taught.action), FEWEST)
        if taught is not None
        else default_steps(request.algorithm, game)
        if request.minutes is None
        else steps_in(60 * request.minutes, request.algorithm, config, game, device, request.seed)
    )
    run = Run(
        name=request.name or free_name(store, request.algorithm),
        game=game,
        algorithm=request.algorithm,
        config={
            "settings": dataclasses.asdict(config),
            "checkpoint_steps": request.checkpoint_steps or max(1, steps // CHECKPOINTS),
            "opponents": list(request.opponents),
            "reward": request.reward,
            "record": request.record,
        }
        | ({} if taught is None else {"lessons": request.lessons, "lessons_digest": digest(taught)})
        | begun
        | ({} if threads == 1 else {"threads": threads})
        | ({} if request.learner is None else {"learner": request.learner}),
        seed=request.seed,
        total_steps=steps,
        device=device,
        versions=versions(),
        commit_hash=commit_hash(),
        league=request.league,
    )
    return dataclasses.replace(run, id=store.create_run(run))


def _check_numbers(request: TrainRequest) -> None:
    for name in ("steps", "minutes", "checkpoint_steps"):
        value = getattr(request, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{name}={value} must be more than 0" + " and have an end" * (value > 0))
    if not 0 <= request.threads <= CORES:
        raise UsageError(f"threads={request.threads} must be 0 to {CORES}, the cores of this machine")


def _use_threads(device: str, threads: int) -> None:
    """In small networks several threads wait for each other longer than they save; wide ones and pixels gain."""
    if device == "cpu":
        torch.set_num_threads(threads)


def continue_run(
    store: Store,
    run: Run,
    should_stop: Callable[[], bool] = never,
    *,
    deadline: float | None = None,
    allow_code: bool = False,
) -> Iterator[Progress]:
    """Go on with a run from its last interval to its end or the `deadline` (on the monotonic clock)."""
    with hold(store.path, f"run-{run.id}", f"run {run.name}"):
        run = store.run(run.name)
        try:
            drive = _Drive(store, run, allow_code)
        except ArenaError as failure:
            store.finish_run(run.id, "failed", str(failure))
            raise
        yield from drive.reports(should_stop, deadline)


class _Drive:
    """One stretch of a run, from its last interval on."""

    def __init__(self, store: Store, run: Run, allow_code: bool) -> None:
        self.store, self.run = store, run
        self.started = time.monotonic()
        self.first_report: tuple[float, int] | None = None
        self.last_agent = newest_agent(store, run)
        self.episodic_return: float | None = None
        self.metrics = Thinner(run.total_steps)
        self.metrics_at = self.started
        settings = run.config
        config = config_from(run.algorithm, settings["settings"])
        state = store.run_state(run.id)
        options: dict[str, Any] = {}
        if settings["reward"]:
            options["reward"] = load_shaping(_allowed(settings["reward"], run, allow_code))
        if state is None and (init := settings.get("init")):
            options["start"] = load_start(
                store, Agent(init["game"], init["agent"], "checkpoint", checkpoint=init["checkpoint"])
            )
        if source := settings.get("lessons"):
            options["lessons"] = lessons = read_lessons(store, run.game, source)
            if digest(lessons) != settings["lessons_digest"]:
                raise ArenaError(f"{source} is no longer what run {run.name} began to learn from; begin a new run")
        draw = POOL_DRAWS.get(getattr(config, "pool_draw", "uniform"))
        opponents: Opponents | None = None
        if settings["opponents"]:
            opponents = frozen_opponents(store, run.game, settings["opponents"], run.device, draw or uniform)
        elif draw is not None:
            opponents = Opponents(draw=draw)
        keep_freed_memory()
        _use_threads(run.device, settings.get("threads", 1))
        self.random_plies = getattr(config, "random_plies", 0)
        self.env = training_env(run.game, config, run.device)
        self.recording: RecordingEnv | None = None
        if every := settings.get("record", 0):
            self.env = self.recording = RecordingEnv(self.env, every, _watched(self.env.spec, config))
        self.train = functools.partial(
            load_train(run.algorithm),
            config,
            self.env,
            seed=run.seed,
            total_steps=run.total_steps,
            opponents=opponents,
            resume=None if state is None else unpack_state(store, run, state),
            checkpoint_steps=settings["checkpoint_steps"],
            **options,
        )

    def reports(self, should_stop: Callable[[], bool], deadline: float | None) -> Iterator[Progress]:
        ended: RunStatus = "stopped"
        error: str | None = None
        report: Progress | None = None

        def stop() -> bool:
            return should_stop() or (deadline is not None and time.monotonic() >= deadline)

        generator = self.train(should_stop=stop)
        try:
            yield self._progress(self.run.step, {}, None, None)
            for metrics in generator:
                self.metrics.add(metrics)
                report = self._report(metrics, deadline)
                yield report
            if report is not None and (report.step >= self.run.total_steps or not stop()):
                ended = "finished"
        except ArenaError as failure:
            ended, error = "failed", str(failure)
            raise
        except Exception as failure:
            ended, error = "failed", f"{type(failure).__name__}: {failure}"
            raise
        finally:
            generator.close()
            self.env.close()
            self.store.finish_run(self.run.id, ended, error)
        if report is not None:
            yield dataclasses.replace(report, state=ended, new_agent=None, seconds_left=None)

    def _report(self, metrics: Metrics, deadline: float | None) -> Progress:
        """Keep what this report brings and say where the run is."""
        new_agent = None if metrics.policy is None else self._commit(metrics)
        now = time.monotonic()
        if now >= self.metrics_at + METRICS_SECONDS:
            self.metrics_at = now
            self.store.add_metrics(self.run.id, self.metrics.take_whole())
        self.first_report = self.first_report or (now, metrics.step)
        since, first_step = self.first_report
        rate = (metrics.step - first_step) / max(now - since, 1e-9)  # what comes before a first update is no rate
        left = (self.run.total_steps - metrics.step) / rate if rate > 0 else None
        if deadline is not None:
            until_deadline = max(0.0, deadline - now)
            left = until_deadline if left is None else min(left, until_deadline)
        return self._progress(metrics.step, metrics.values, left, new_agent)

    def _progress(
        self, step: int, values: Mapping[str, float], seconds_left: float | None, new_agent: str | None
    ) -> Progress:
        self.episodic_return = values.get("charts/episodic_return", self.episodic_return)
        return Progress(
            run=self.run.name,
            step=step,
            total=self.run.total_steps,
            sps=values.get("charts/SPS", 0.0),
            episodic_return=self.episodic_return,
            seconds_left=seconds_left,
            new_agent=new_agent,
            last_agent=self.last_agent,
            state="running",
            values=values,
        )

    def _commit(self, metrics: Metrics) -> str:
        """One interval in one transaction; returns the new agent's name."""
        assert metrics.policy is not None
        name = agent_name(self.store, self.run, metrics.step)
        match, episodes = None, list[Episode]()
        if self.recording is not None:
            episodes = as_episodes(self.run.game, self.recording.take(), self.random_plies)
        if episodes:
            rules = {"greedy": False, "opening_plies": self.random_plies, "seed": self.run.seed, "run": self.run.name}
            match = Match(self.run.game, "training", rules)
        self.store.commit_interval(
            self.run.id,
            metrics.step,
            self.run.seconds + time.monotonic() - self.started,
            metrics=self.metrics.take(),
            state=None if metrics.state is None else pack_state(self.store, self.run, metrics.step, metrics.state),
            agent=Agent(game=self.run.game, name=name, kind="checkpoint", run=self.run.id, step=metrics.step),
            policy=pack_policy(metrics.policy),
            match=match,
            episodes=episodes,
        )
        self.last_agent = name
        return name


def _watched(spec: GameSpec, config: Config) -> int:
    """How many of a learner's games it plays alone or with itself; those can be recorded."""
    num_envs = getattr(config, "num_envs", 1)
    watched, *_ = kinds_of_games(spec, config, num_envs) if isinstance(config, LearnerConfig) else (num_envs, 0)
    if not watched:
        raise UsageError("there are no games of self-play to record: pool_share and random_share take all")
    return watched


def frozen_opponents(store: Store, game: str, names: Sequence[str], device: str, draw: Draw = uniform) -> Opponents:
    """Agents by name as opponents for a learner on `device`."""
    policies = [on_device(resolve(store, game, name, join=False).policy, device) for name in names]
    return Opponents(policies, draw)


def _lessons(store: Store, request: TrainRequest, game: str) -> Lessons | None:
    """What a new run shall learn from, where its algorithm learns from recorded games."""
    if request.algorithm != "bc":
        if request.lessons:
            raise UsageError(f"{request.algorithm} learns by playing; --from is for bc")
        return None
    if not request.lessons:
        raise UsageError("bc needs recorded games: --from FILE (PGN, SGF), --from episodes or --from episodes:AGENT")
    return read_lessons(store, game, request.lessons)


def _allowed(reward: str, run: Run, allow_code: bool) -> str:
    """The stored name of a shaping function, where it may be run: our own always, another only if that is said."""
    if allow_code or reward.partition(":")[0] in ("", "agents.shaping"):
        return reward
    raise UsageError(f"run {run.name} was trained with the code of {reward}; --allow-code runs it again")


def _resumed(store: Store, request: TrainRequest) -> Run:
    """The run of this name, set going again; raises UsageError where nothing is left to do."""
    _check_numbers(request)
    run = store.run(request.name or "")
    if request.game and str(parse_variant(request.game)) != run.game:
        raise UsageError(f"run {run.name} trains on {run.game}, not on {request.game}")
    total = request.steps or run.total_steps
    if request.minutes and not request.steps:
        total = max(total, run.step + int(60 * request.minutes * run.step / max(run.seconds, 1.0)))
    if run.step >= total or (run.state == "finished" and total == run.total_steps):
        raise UsageError(f"run {run.name} has finished its {run.step:,} steps; give more with --steps or --minutes")
    _allowed(run.config["reward"], run, request.allow_code)
    with hold(store.path, f"run-{run.id}", f"run {run.name}"):
        store.extend_run(run.id, total)
    return store.run(run.name)
