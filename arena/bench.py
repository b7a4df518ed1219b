"""Our side of the benchmarks, measured after imports and a warm-up; `benchmarks/` sets it beside the peers'."""

from __future__ import annotations

import itertools
import time
from typing import Any

import torch

from agents.configs import LearnerConfig, default_config
from agents.registry import load_policy, load_train
from arena.match import evaluate
from arena.records import Agent
from arena.roster import Contender
from envs import registry
from envs.protocol import VecEnv

WARM_UP_STEPS = 16


def random_play(game: str, num_games: int, seconds: float, device: str = "cpu") -> dict[str, Any]:
    """Moves a second of `num_games` games side by side, sampling legal actions and writing observations included."""
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
        "value": count * num_games * env.spec.num_slots / elapsed,
        "unit": "moves/s",
        "game": game,
        "games": num_games,
    }


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


def time_to_solve(
    algorithm: str, game: str, target: float, seed: int, budget: int, every: int = 4096, episodes: int = 100
) -> dict[str, Any]:
    """Seconds of training until `episodes` greedy episodes average `target`; they are played off the clock."""
    config = default_config(algorithm, game)
    assert isinstance(config, LearnerConfig)
    env = registry.make(game, config.num_envs)
    training = load_train(algorithm)(config, env, seed=seed, total_steps=budget, checkpoint_steps=every)
    seconds, mean, step = 0.0, float("-inf"), 0
    start = time.perf_counter()
    for metrics in training:
        step = metrics.step
        if metrics.policy is None:
            continue
        seconds += time.perf_counter() - start
        contender = Contender(Agent(game, "bench", "checkpoint"), load_policy(env.spec, metrics.policy))
        mean = evaluate(None, game, contender, episodes=episodes, seed=10_000).mean
        if mean >= target:
            break
        start = time.perf_counter()
    return {"value": seconds, "unit": "s", "steps": step, "mean": mean, "reached": mean >= target, "game": game}


def training_rate(algorithm: str, game: str, steps: int, seed: int = 0) -> dict[str, Any]:
    """Environment steps a second of the second half of a training, learning included."""
    config = default_config(algorithm, game)
    assert isinstance(config, LearnerConfig)
    env = registry.make(game, config.num_envs)
    half, start = 0, 0.0
    for metrics in load_train(algorithm)(config, env, seed=seed, total_steps=steps):
        if half == 0 and metrics.step >= steps // 2:
            half, start = metrics.step, time.perf_counter()
    return {
        "value": (metrics.step - half) / (time.perf_counter() - start),
        "unit": "steps/s",
        "game": game,
        "steps": steps,
    }
