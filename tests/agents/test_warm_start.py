"""Warm starts: which weights go where, by part and by the actions' names, and one line where they do not fit."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from agents.configs import BCConfig, Config, DQNConfig, PPOConfig, QLearningConfig
from agents.dqn import QNetwork
from agents.metrics import PolicyWeights
from agents.networks import ActorCritic, freeze
from agents.warm_start import Start, check_start, shaped_alike, warm_start
from envs.errors import UsageError
from envs.specs import GameSpec

SMALL: dict[str, Any] = {"hidden_size": 8, "hidden_layers": 1, "activation": "relu"}
SPEC = GameSpec("there", 1, 1, 1, 3, (5,), "float32", ("noop", "left", "right"))


def network(config: Any, spec: GameSpec = SPEC, seed: int = 0) -> Any:
    kind = QNetwork if isinstance(config, DQNConfig) else ActorCritic
    return kind(spec, config, torch.Generator().manual_seed(seed))


def start_of(config: Any, spec: GameSpec = SPEC, **changes: Any) -> tuple[Any, Start]:
    """A network with nothing left as it was initialised, and the agent that it is."""
    theirs = network(config, spec, seed=1)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.rand(parameter.shape))
    names: dict[type[Config], str] = {PPOConfig: "ppo", BCConfig: "bc", DQNConfig: "dqn"}
    return theirs, Start("she", freeze(names[type(config)], config, theirs), dataclasses.replace(spec, **changes))


OBSERVATION = torch.randn(6, 5, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("normalise", [False, True])
def test_the_same_network_is_the_same_policy(normalise: bool) -> None:
    config = PPOConfig(**SMALL, normalise_observations=normalise)
    theirs, start = start_of(config)
    if normalise:
        theirs.normaliser.update(4 * OBSERVATION + 1)
        start = start._replace(weights=freeze("ppo", config, theirs))
    ours = network(config)
    warm_start(ours, config, SPEC, start)
    for mine, other in zip(ours(OBSERVATION), theirs(OBSERVATION), strict=True):
        assert torch.equal(mine, other)


def test_a_clone_gives_policy_and_value_to_whoever_keeps_them_apart() -> None:
    theirs, start = start_of(BCConfig(**SMALL))
    ours = network(config := PPOConfig(**SMALL))
    warm_start(ours, config, SPEC, start)
    assert torch.equal(ours.value(OBSERVATION), theirs.value(OBSERVATION))
    joined = network(config := PPOConfig(**SMALL, shared_trunk=True))
    before = joined.value_head.weight.clone()
    warm_start(joined, config, SPEC, start)
    assert torch.equal(joined.policy(OBSERVATION), theirs.policy(OBSERVATION))
    assert torch.equal(joined.value_head.weight, before), "their value stood on other layers"


def test_shared_layers_become_both() -> None:
    theirs, start = start_of(PPOConfig(**SMALL, shared_trunk=True))
    ours = network(config := PPOConfig(**SMALL))
    warm_start(ours, config, SPEC, start)
    assert torch.equal(ours.value(OBSERVATION), theirs.value(OBSERVATION))


def test_logits_become_values_and_values_logits() -> None:
    theirs, start = start_of(BCConfig(**SMALL))
    ours = network(config := DQNConfig(**SMALL))
    warm_start(ours, config, SPEC, start)
    assert torch.equal(ours(OBSERVATION), theirs.policy(OBSERVATION))
    values, start = start_of(DQNConfig(**SMALL))
    back = network(ppo := PPOConfig(**SMALL))
    warm_start(back, ppo, SPEC, start)
    assert torch.equal(back.policy(OBSERVATION), values(OBSERVATION))


def test_actions_are_matched_by_name_and_new_ones_begin_fresh() -> None:
    config = PPOConfig(**SMALL)
    theirs, start = start_of(config)
    here = dataclasses.replace(SPEC, game="here", num_actions=4, action_names=("right", "fire", "noop", "Left"))
    ours = network(config, here)
    fresh = network(config, here).policy_head
    warm_start(ours, config, here, start)
    logits = theirs.policy(OBSERVATION)
    assert torch.equal(ours.policy(OBSERVATION)[:, [2, 3, 0]], logits)
    assert torch.equal(ours.policy_head.weight[1], fresh.weight[1])
    assert not torch.equal(ours.policy_head.weight[2], fresh.weight[2])


def test_planes_for_the_players_say_nothing_at_first() -> None:
    config = PPOConfig(network="dqn2013", hidden_size=8, normalise_observations=True)
    alone = dataclasses.replace(SPEC, observation_shape=(4, 84, 84), observation_dtype="uint8", scale=255.0)
    here = dataclasses.replace(alone, game="here", num_players=2, num_slots=2, observation_shape=(6, 84, 84))
    theirs, start = start_of(config, alone)
    seen = torch.randint(0, 256, (3, 4, 84, 84), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    theirs.take_in(seen)
    start = start._replace(weights=freeze("ppo", config, theirs))
    ours = network(config, here)
    warm_start(ours, config, here, start)
    for plane in (4, 5):
        shown = torch.cat([seen, torch.zeros(3, 2, 84, 84, dtype=torch.uint8)], 1)
        shown[:, plane] = 255
        for mine, other in zip(ours(shown), theirs(seen), strict=True):
            assert torch.allclose(mine, other, atol=1e-4)
    colour = dataclasses.replace(here, observation_shape=(12, 84, 84))
    with pytest.raises(UsageError, match="sees 4×84×84 uint8 up to 255 in there, and here shows 12×84×84"):
        check_start(config, colour, start)


@pytest.mark.parametrize(
    ("config", "changes", "complaint"),
    [
        (PPOConfig(**SMALL), {"observation_shape": (6,)}, "sees 6 float32 in there, and there shows 5 float32"),
        (PPOConfig(**SMALL), {"action_names": ("a", "b", "c")}, "no action of the same name"),
        (PPOConfig(**SMALL), {"num_actions": None, "action_shape": (3,)}, "act in other ways"),
        (PPOConfig(hidden_size=16, hidden_layers=1), {}, "hidden_size=16: it has 8; --set hidden_size=8"),
        (PPOConfig(**{**SMALL, "activation": "tanh"}), {}, "--set activation=relu"),
        (PPOConfig(**SMALL, normalise_observations=True), {}, "--set normalise_observations=false"),
        (QLearningConfig(), {}, "only networks start"),
    ],
)
def test_one_line_where_it_does_not_fit(config: Config, changes: dict[str, Any], complaint: str) -> None:
    _, start = start_of(PPOConfig(**SMALL), **changes)
    with pytest.raises(UsageError, match=complaint) as refused:
        check_start(config, SPEC, start)
    assert "\n" not in str(refused.value)


def test_weights_that_are_not_what_they_say_are_refused() -> None:
    config = PPOConfig(**SMALL)
    _, start = start_of(config)
    for name in ("policy_head.weight", "policy_trunk.1.bias"):
        tensors = start.weights.tensors | {name: torch.zeros(2, 2)}
        with pytest.raises(UsageError, match=f"its {name} is \\[2, 2\\]"):
            check_start(config, SPEC, start._replace(weights=PolicyWeights("ppo", start.weights.config, tensors)))
    table = PolicyWeights("q_learning", {}, {})
    with pytest.raises(UsageError, match="has no network to start from"):
        check_start(config, SPEC, start._replace(weights=table))


def test_settings_take_the_other_networks_shape() -> None:
    theirs = dataclasses.asdict(PPOConfig(**SMALL, network="mlp", shared_trunk=True, learning_rate=0.5))
    config = shaped_alike(PPOConfig(), theirs)
    assert (config.hidden_size, config.activation, config.network, config.shared_trunk) == (8, "relu", "mlp", True)
    assert config.learning_rate == PPOConfig().learning_rate
    assert shaped_alike(DQNConfig(), theirs).hidden_size == 8
    assert shaped_alike(QLearningConfig(), theirs) == QLearningConfig()
