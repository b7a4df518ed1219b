"""Our side of the benchmarks, measured after imports and a warm-up; `benchmarks/` sets it beside the peers'."""

from __future__ import annotations

import functools
import itertools
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch.utils.flop_counter import FlopCounterMode

from agents import descent
from agents.configs import LearnerConfig
from agents.dqn import QNetwork
from agents.fits import training_env
from agents.networks import ActorCritic
from agents.products import has_bfloat16
from agents.registry import load_policy, load_train
from arena.match import evaluate
from arena.memory import keep_freed_memory
from arena.records import Agent
from arena.roster import Contender
from envs import registry
from envs.errors import UsageError
from envs.protocol import Turn, VecEnv

WARM_UP_STEPS = 16


def random_play(game: str, num_games: int, seconds: float, device: str = "cpu") -> dict[str, Any]:
    """Steps a second of `num_games` games side by side, sampling legal actions and writing observations included: moves
    in turn-based games; where several decide together a step is one move of each.

    `bytes` is what a game holds: its state, and what its players see.
    """
    keep_freed_memory()
    env = registry.make(game, num_games, device)
    generator = torch.Generator(env.device).manual_seed(0)
    turn = env.reset(torch.arange(num_games, device=env.device))

    def steps(count: int) -> None:
        nonlocal turn
        for _ in range(count):
            assert turn.legal_action_mask is not None
            turn = env.step(sample_legal(turn.legal_action_mask, generator)).turn
        synchronize(env)

    steps(WARM_UP_STEPS)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        steps(WARM_UP_STEPS)
        count += WARM_UP_STEPS
    return {
        "value": count * num_games / elapsed,
        "unit": "steps/s",
        "game": game,
        "games": num_games,
        "bytes": game_bytes(env, turn),
        "threads": torch.get_num_threads(),
    }


def game_bytes(env: VecEnv, turn: Turn) -> int:
    """Bytes a game: the state and the turn's tensors as they lie in memory, padding included."""
    tensors = [*env.state().values(), *turn]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}
    return round(sum(storage.nbytes() for storage in storages.values()) / env.num_envs)


def sample_legal(mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One uniformly drawn legal action per slot: mask [N, K, A] → [N, K], from one draw a slot."""
    kind = torch.uint8 if mask.shape[-1] < 256 else torch.int16
    # How many of the actions up to this one are legal: [A, N · K], all slots of one action together.
    count = mask.flatten(0, 1).view(torch.uint8).t().contiguous().to(kind)
    for row, following in itertools.pairwise(count):
        following += row
    draw = torch.rand(count.shape[1], generator=generator, device=mask.device).mul_(count[-1]).to(kind)
    return (count <= draw).sum(0, dtype=kind).long().view(mask.shape[:-1])


def synchronize(env: VecEnv) -> None:
    if env.device.type == "cuda":
        torch.cuda.synchronize(env.device)


def import_optimizers() -> None:
    """Making the first optimizer imports the better part of torch; clocks start after imports."""
    torch.optim.Adam([torch.zeros(1)])


def time_to_solve(
    algorithm: str,
    config: LearnerConfig,
    game: str,
    target: float,
    seed: int,
    budget: int,
    every: int = 4096,
    episodes: int = 100,
) -> dict[str, Any]:
    """Seconds of training until `episodes` greedy episodes average `target`; they are played off the clock."""
    keep_freed_memory()
    import_optimizers()
    env = training_env(game, config)
    training = load_train(algorithm)(config, env, seed=seed, total_steps=budget, checkpoint_steps=every)
    seconds, means, step = 0.0, [], 0
    start = time.perf_counter()
    for metrics in training:
        step = metrics.step
        if metrics.policy is None:
            continue
        seconds += time.perf_counter() - start
        contender = Contender(Agent(game, "bench", "checkpoint"), load_policy(env.spec, metrics.policy))
        means.append(evaluate(None, game, contender, episodes=episodes, seed=10_000).mean)
        if means[-1] >= target:
            break
        start = time.perf_counter()
    return {
        "value": seconds,
        "unit": "s",
        "game": game,
        "seed": seed,
        "steps": step,
        "means": means,
        "reached": means[-1] >= target,
    }


def training_rate(
    algorithm: str,
    config: LearnerConfig,
    game: str,
    steps: int,
    seed: int = 0,
    profile: bool = False,
    device: str = "cpu",
) -> dict[str, Any]:
    """Environment steps a second of the second half of a training, learning included.

    `cpu_us`: microseconds of processor time that a step took, all threads together. With `profile` also `flops`, the
    network's floating-point operations a step, `peak`, how many a second the device does at best, `peak_share`, and on
    the CPU `shares`: where the time went.

    Raises UsageError where the second half of so few steps holds no update.
    """
    keep_freed_memory()
    env = training_env(game, config, device)
    half, start, cpu_start = 0, 0.0, 0.0
    spent: defaultdict[str, float] = defaultdict(float)
    with ExitStack() as patches:
        if profile and env.device.type == "cpu":  # elsewhere the host's calls return before their work is done
            for owner, name, part in _parts(env):
                patches.enter_context(mock.patch.object(owner, name, _timed(getattr(owner, name), part, spent)))
        # Of a run twice as long: how it would end, with a state to go on from, is no part of an update.
        for metrics in load_train(algorithm)(config, env, seed=seed, total_steps=2 * steps):
            if half == 0 and metrics.step >= steps // 2:
                synchronize(env)
                half, start, cpu_start = metrics.step, time.perf_counter(), time.process_time()
                spent.clear()
            if metrics.step >= steps:
                break
        synchronize(env)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    if metrics.step == half:
        raise UsageError(f"steps={steps:,} leave no update to be timed after the first half; {2 * half:,} do")
    result = {
        "value": (metrics.step - half) / seconds,
        "unit": "steps/s",
        "cpu_us": 1e6 * cpu_seconds / (metrics.step - half),
        "game": game,
        "algorithm": algorithm,
        "steps": steps,
        "threads": torch.get_num_threads(),
        "device": device,
    }
    if profile:
        result["flops"] = step_flops(algorithm, config, game, device)
        result["peak"] = peak_rate(env, torch.bfloat16 if config.bfloat16 and has_bfloat16(device) else torch.float32)
        result["peak_share"] = result["value"] * result["flops"] / result["peak"]
    if spent:
        shares = {part: time_spent / seconds for part, time_spent in spent.items()}
        result["shares"] = shares | {"the rest": 1 - sum(shares.values())}
    return result


def step_flops(algorithm: str, config: LearnerConfig, game: str, device: str = "cpu") -> float:
    """Floating-point operations of the network for one env step, learning included, as counted from one report to the
    next, once learning has begun. A multiplication and the addition after it are two."""
    env = training_env(game, config, device)
    training = load_train(algorithm)(replace(config, compile=False), env, seed=0, total_steps=10**9)
    begun = next(metrics.step for metrics in training if any(name.startswith("losses/") for name in metrics.values))
    with FlopCounterMode(display=False) as counter:
        steps = next(training).step - begun
    return counter.get_total_flops() / steps


def peak_rate(env: VecEnv, dtype: torch.dtype, seconds: float = 0.3) -> float:
    """Floating-point operations a second in products of large matrices on the env's device: the most that it gives."""
    size = 1024 if env.device.type == "cpu" else 8192
    matrix = torch.ones(size, size, dtype=dtype, device=env.device)
    product = matrix @ matrix
    synchronize(env)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        for _ in range(4):
            torch.mm(matrix, matrix, out=product)
        synchronize(env)
        count += 4
    return count * 2 * size**3 / elapsed


def _parts(env: VecEnv) -> list[tuple[Any, str, str]]:
    """What a profile tells apart: (where a function lies, its name, the part of the training it is). None calls another
    one of them."""
    forward = "network forward"
    return [
        *((ActorCritic, name, forward) for name in ("forward", "policy", "value")),
        (QNetwork, "forward", forward),
        (torch.Tensor, "backward", "network backward"),
        (descent, "step", "optimizer"),
        *((own, name, "games") for _, own in env.groups for name in _steps_of(own)),
    ]


def _steps_of(env: VecEnv) -> tuple[str, ...]:
    """The methods in which its games are stepped."""
    return ("step",) if type(env).receive is VecEnv.receive else ("send", "receive")


def _timed(function: Callable[..., Any], part: str, spent: defaultdict[str, float]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[part] += time.perf_counter() - start

    return wrapper
