"""What every learner keeps to: same seed, same run; a resumed run equals one that never stopped; stopping; metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from agents.configs import default_config
from agents.fits import training_env
from agents.metrics import Metrics, TrainingState
from agents.policy import act
from agents.registry import load_policy, load_train
from envs.registry import make

DQN = {
    "num_envs": 8, "hidden_size": 16, "hidden_layers": 1, "batch_size": 16, "learning_starts": 100, "buffer_size": 700,
    "train_ratio": 0.05, "target_update": 7, "report_steps": 200, "snapshot_steps": 500, "pool_share": 0.5,
    "pool_blocks": 2, "random_share": 0.25, "random_plies": 2,
}  # fmt: skip
ACTOR_CRITIC = {
    "num_envs": 8, "num_steps": 10, "hidden_size": 16, "hidden_layers": 1, "snapshot_steps": 500, "pool_share": 0.5,
    "pool_blocks": 2, "random_share": 0.25, "random_plies": 2,
}  # fmt: skip
PPO = ACTOR_CRITIC | {"num_epochs": 2, "num_minibatches": 2}
NORMALISED = {"normalise_observations": True, "normalise_rewards": True, "random_plies": 0}
AZ = ACTOR_CRITIC | {"simulations": 4, "batch_size": 16, "window": 300, "passes": 1.0}
PIXELS = {"num_envs": 4, "network": "dqn2013", "hidden_size": 16}
TABLE = {"report_steps": 200, "num_envs": 4}
CASES = [
    ("ppo", "tic_tac_toe", PPO),
    ("ppo", "gridworld/sumo", PPO | {"network": "mlp"}),
    ("ppo", "gym/CartPole-v1", PPO | NORMALISED),
    ("ppo", "gym/Pendulum-v1", PPO | NORMALISED | {"num_envs": 4}),
    ("vpg", "tic_tac_toe", ACTOR_CRITIC),
    ("vpg", "gridworld/sumo", ACTOR_CRITIC | {"network": "mlp", "baseline": False}),
    ("vpg", "gridworld/recycling", ACTOR_CRITIC | NORMALISED),
    ("vpg", "gym/Pendulum-v1", ACTOR_CRITIC | NORMALISED | {"num_envs": 4, "env_groups": 2}),
    ("dqn", "gridworld/recycling", DQN | {"normalise_observations": True}),
    ("dqn", "tic_tac_toe", DQN),
    ("dqn", "gridworld/sumo", DQN | {"network": "mlp"}),
    ("dqn", "gym/CartPole-v1", DQN | {"n_steps": 3, "priority_exponent": 0.6, "target_rate": 0.1}),
    ("ppo", "ALE/Breakout-v5?frame_skip=16", PIXELS | {"num_steps": 50, "num_epochs": 1, "num_minibatches": 8}),
    (
        "ppo",
        "ALE/Breakout-v5?frame_skip=16&sticky=0",
        PIXELS | {"num_steps": 50, "num_minibatches": 8, "env_groups": 2},
    ),
    (
        "dqn",
        "ALE/Breakout-v5?frame_skip=16",
        PIXELS | {"learning_starts": 100, "buffer_size": 600, "report_steps": 200},
    ),
    ("az", "tic_tac_toe", AZ | {"normalise_observations": True}),
    ("q_learning", "gridworld/cliff", TABLE),
    ("sarsa", "gridworld/cliff", TABLE),
    ("monte_carlo", "gridworld/tiny", TABLE),
    ("monte_carlo", "gridworld/rooms", TABLE | {"off_policy": True, "settle_share": 0.5}),
    ("td0", "gridworld/tiny", TABLE),
]
STEPS = 800
VALUE_KEYS = {"losses/value_loss", "losses/explained_variance"}
_COMMON = {"charts/episodic_return", "charts/episodic_length", "charts/SPS"}
_TABLE_KEYS = _COMMON | {"charts/epsilon", "losses/td_error"}
_VPG_KEYS = _COMMON | VALUE_KEYS | {
    "charts/learning_rate", "losses/policy_loss", "losses/entropy", "losses/approx_kl"
}  # fmt: skip
KEYS = {
    "ppo": _VPG_KEYS | {"losses/clipfrac"},
    "vpg": _VPG_KEYS,
    "dqn": _COMMON
    | {"charts/epsilon", "charts/learning_rate", "charts/q_mean", "losses/td_loss", "losses/bellman_residual"},
    "az": _COMMON
    | {"charts/learning_rate", "charts/search_gain", "losses/policy_loss", "losses/value_loss", "losses/entropy"},
    "q_learning": _TABLE_KEYS,
    "sarsa": _TABLE_KEYS,
    "monte_carlo": _TABLE_KEYS,
    "td0": _TABLE_KEYS,
}


def reports(case: tuple[str, str, dict[str, Any]], seed: int = 0, **more: Any) -> Iterator[Metrics]:
    algorithm, game, values = case
    config = replace(default_config(algorithm, game), **values)
    env = training_env(game, config)
    return load_train(algorithm)(config, env, seed=seed, total_steps=STEPS, **more)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case[:2]))
@pytest.mark.slow
def test_contract(case: tuple[str, str, dict[str, Any]]) -> None:
    whole = list(reports(case, checkpoint_steps=400))
    first, *_, last = [report for report in whole if report.policy is not None]
    assert (first.step, last.step) == (400, STEPS)
    assert [report.step for report in whole] == sorted({report.step for report in whole})
    assert last.policy is not None
    assert last.state is not None
    assert first.state is not None
    assert last.policy.algorithm == case[0]
    json.dumps(last.policy.config)

    kept = TrainingState(
        {k: v.clone() for k, v in first.state.tensors.items()}, json.loads(json.dumps(first.state.meta))
    )
    *_, resumed = reports(case, checkpoint_steps=400, resume=kept, seed=99)
    assert resumed.policy is not None
    assert resumed.state is not None
    assert same(resumed.policy.tensors, last.policy.tensors)
    assert same(resumed.state.tensors, last.state.tensors)
    assert resumed.state.meta == last.state.meta
    assert not same(first.policy.tensors, last.policy.tensors)  # type: ignore[union-attr]

    *_, again = reports(case, checkpoint_steps=400)
    *_, other = reports(case, checkpoint_steps=400, seed=1)
    assert again.policy is not None
    assert other.policy is not None
    assert same(again.policy.tensors, last.policy.tensors)
    assert not same(other.policy.tensors, last.policy.tensors)

    keys = {key for report in whole for key in report.values}
    assert keys == KEYS[case[0]] - (VALUE_KEYS if case[2].get("baseline") is False else set()) | (
        {"charts/score_vs_pool", "charts/score_vs_random"} if make(case[1]).spec.num_players > 1 else set()
    )
    assert all(value == value for report in whole for value in report.values.values())

    env = make(case[1], 3)
    policy = load_policy(env.spec, last.policy)
    turn = env.reset(torch.arange(3))
    for greedy in (True, False):
        action = act(policy, turn, greedy, torch.Generator().manual_seed(0))
        if turn.legal_action_mask is None:
            assert action.abs().max() <= env.spec.action_high
        else:
            assert turn.legal_action_mask.gather(2, action.unsqueeze(2)).all()
        turn = env.step(action).turn


@pytest.mark.parametrize(
    "case", [case for case in CASES if case[1] in ("tic_tac_toe", "gridworld/cliff")][:5], ids=lambda case: case[0]
)
@pytest.mark.slow
def test_stopping(case: tuple[str, str, dict[str, Any]]) -> None:
    stopped = list(reports(case, should_stop=lambda: True))
    assert len(stopped) == 1
    assert stopped[0].step < STEPS
    assert stopped[0].policy is not None
    assert stopped[0].state is not None
    *_, resumed = reports(case, resume=stopped[0].state)
    *_, whole = reports(case)
    assert resumed.policy is not None
    assert whole.policy is not None
    assert same(resumed.policy.tensors, whole.policy.tensors)
    closed = reports(case)
    next(closed)
    closed.close()  # type: ignore[attr-defined]
    assert list(closed) == []
