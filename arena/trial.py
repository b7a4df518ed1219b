"""How long a training will take: a short trial of it, thrown away."""

from __future__ import annotations

import sys
import time

from agents.configs import Config
from agents.fits import training_env
from agents.registry import load_train

TRIAL_SHARE, TRIAL_REPORTS, TRIAL_SECONDS = 0.04, 6, 10.0
"""The trial that says how many steps fit into a run's time: its share of that time, at least so many reports, but never
longer than so many seconds."""


def steps_in(seconds: float, algorithm: str, config: Config, game: str, device: str, seed: int) -> int:
    """How many env steps a run of so many seconds will make, from a short trial that is thrown away.

    A tenth more than the trial's rate says: rather the clock ends the run than the steps before it.
    """
    env = training_env(game, config, device)
    generator = load_train(algorithm)(config, env, seed=seed, total_steps=sys.maxsize)
    marks: list[tuple[float, int]] = []
    started = time.monotonic()
    for metrics in generator:
        now = time.monotonic() - started
        marks.append((now, metrics.step))
        if now >= TRIAL_SECONDS or (now >= TRIAL_SHARE * seconds and len(marks) >= TRIAL_REPORTS):
            break
    generator.close()
    env.close()
    (first_time, first_step), (last_time, last_step) = marks[len(marks) // 2], marks[-1]
    if last_step == first_step:
        first_time, first_step = 0.0, 0
    rate = (last_step - first_step) / max(last_time - first_time, 1e-9)
    return last_step + max(1, int(1.1 * rate * (seconds - last_time)))
