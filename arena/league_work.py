"""What a league has done for it elsewhere: jobs, and how they are done. Nothing here knows a Store, a path or a clock.

A job is plain values and safetensors bytes, so that it can be done in another process or on another machine; the same
job gives the same result wherever it is done (on one kind of machine, with one version of torch), times apart.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from agents.configs import LearnerConfig, config_from
from agents.fits import training_env
from agents.metrics import PolicyWeights
from agents.registry import load_train
from agents.selfplay import Opponents
from arena.checkpoints import pack_policy, state_bytes, state_of, unpack_policy
from arena.match import Evaluation, MatchResult, evaluate, play_match
from arena.matchmaking import in_order
from arena.memory import keep_freed_memory
from arena.records import Agent, Episode, Match, PackedPolicy
from arena.roster import Contender, on_device, policy_of
from arena.thinning import Thinner


@dataclass(frozen=True)
class Player:
    """An agent and, where it is a checkpoint, its bytes."""

    agent: Agent
    data: bytes | None = field(default=None, repr=False)

    def contender(self) -> Contender:
        return Contender(self.agent, policy_of(self.agent, self._weights))

    def _weights(self) -> PolicyWeights:
        assert self.data is not None, f"{self.agent.name} comes without its weights"
        return unpack_policy(self.data, f"checkpoint {self.agent.checkpoint}")


@dataclass(frozen=True)
class MatchJob:
    """Games between agents, or episodes of one alone."""

    game: str
    players: tuple[Player, ...]
    games: int
    seed: int
    greedy: bool | None = None
    opening_plies: int | None = None


@dataclass(frozen=True)
class TrainJob:
    """A stretch of a run.

    Attributes:
        until: env steps of the run at which it ends. state: where it begins; None: at the run's beginning.
        opponents: one per block of opponents, in their order; with them the share of games against itself.
        key: the phase; with another one than the state's, games start anew.
    """

    game: str
    algorithm: str
    settings: Mapping[str, Any]
    seed: int
    device: str
    until: int
    state: bytes | None = field(default=None, repr=False)
    opponents: tuple[Player, ...] = ()
    self_play: float = 1.0
    key: str = ""


Job = MatchJob | TrainJob


@dataclass(frozen=True)
class Report:
    """How far a training job is."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Played:
    """What a match job came to: rows for the Store, and the result in words."""

    result: MatchResult | Evaluation
    match: Match
    episodes: tuple[Episode, ...]


@dataclass(frozen=True)
class Trained:
    """What a training job came to.

    Attributes:
        reached: whether it got to `until`; if not, it was asked to stop.
        metrics: (step, key → value); values: the last report's.
        state, policy: None where it was asked to stop before it had done anything.
    """

    step: int
    reached: bool
    seconds: float
    metrics: tuple[tuple[int, dict[str, float]], ...]
    values: Mapping[str, float]
    state: bytes | None = field(default=None, repr=False)
    policy: PackedPolicy | None = field(default=None, repr=False)


Result = Played | Trained


def perform(job: Job, should_stop: Callable[[], bool]) -> Generator[Report | Result]:
    """Do a job: reports of training, then the result. Training ends early when `should_stop()`; matches never do."""
    if isinstance(job, TrainJob):
        yield from _train(job, should_stop)
    else:
        yield _play(job)


class _Kept:
    """Takes what a match would put into a Store."""

    def add_match(self, match: Match, episodes: Sequence[Episode]) -> int:
        self.match, self.episodes = match, tuple(episodes)
        return 0


def _play(job: MatchJob) -> Played:
    kept, contenders = _Kept(), [player.contender() for player in job.players]
    result: MatchResult | Evaluation
    if len(contenders) == 1:
        greedy = True if job.greedy is None else job.greedy
        result = evaluate(kept, job.game, contenders[0], episodes=job.games, seed=job.seed, greedy=greedy)
    else:
        rules: dict[str, Any] = {"greedy": job.greedy, "opening_plies": job.opening_plies}
        result = play_match(kept, job.game, *contenders, games=job.games, seed=job.seed, **rules)
        result = dataclasses.replace(result, episodes=())
    return Played(dataclasses.replace(result, match=None), kept.match, kept.episodes)


def _train(job: TrainJob, should_stop: Callable[[], bool]) -> Iterator[Report | Result]:
    started = time.monotonic()
    config = config_from(job.algorithm, dict(job.settings))
    opponents = None
    if job.opponents and isinstance(config, LearnerConfig):
        share = (1 - job.self_play) * (1 - config.random_share)
        config = dataclasses.replace(config, pool_share=share, pool_blocks=len(job.opponents))
        policies = [on_device(player.contender().policy, job.device) for player in job.opponents]
        opponents = Opponents(policies, in_order, job.key)
    keep_freed_memory()
    torch.set_num_threads(1)  # small networks: threads that wait for each other cost more than they gain
    env = training_env(job.game, config, job.device)
    generator = functools.partial(load_train(job.algorithm), config, env, seed=job.seed, total_steps=job.until)(
        opponents=opponents,
        resume=None if job.state is None else state_of(job.state, "a learner's state"),
        checkpoint_steps=0,
        should_stop=should_stop,
    )
    thinner, last = Thinner(job.until), None
    try:
        for metrics in generator:
            thinner.add(metrics)
            last = metrics
            yield Report(metrics.step, metrics.values)
    finally:
        generator.close()
        env.close()
    assert last is not None, "training reports at least once"
    yield Trained(
        step=last.step,
        reached=last.step >= job.until,
        seconds=time.monotonic() - started,
        metrics=tuple(thinner.take()),
        values=last.values,
        state=None if last.state is None else state_bytes(last.state),
        policy=None if last.policy is None else pack_policy(last.policy),
    )
