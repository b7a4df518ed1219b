"""Games in groups that step on their own."""

from __future__ import annotations

import pytest
import torch

from envs.groups import Groups
from envs.protocol import Step
from envs.registry import make


def assert_alike(one: Step, other: Step) -> None:
    for x, y in zip([*one[:3], *one.final, *one.turn], [*other[:3], *other.final, *other.turn], strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("game", ["gym/CartPole-v1", "gym/Acrobot-v1", "gridworld/tron"])
def test_games_in_groups_are_those_of_one_env(game: str) -> None:
    whole, parts, loaded = make(game, 5), make(game, 5, groups=2), make(game, 5, groups=2)
    assert isinstance(parts, Groups)
    assert [(part, env.num_envs) for part, env in parts.groups] == [(slice(0, 2), 2), (slice(2, 5), 3)]
    seeds = torch.arange(5)
    one, other = whole.reset(seeds), parts.reset(seeds)
    assert torch.equal(one.observation, other.observation)
    slots, actions = one.player.shape[1], whole.spec.num_actions or 0
    generator = torch.Generator().manual_seed(0)
    for t in range(60):
        if t == 30:
            assert torch.equal(loaded.load(parts.state()).observation, whole.load(whole.state()).observation)
        action = torch.randint(actions, (5, slots), generator=generator)
        step = whole.step(action)
        assert_alike(step, parts.step(action))
        if t >= 30:
            assert_alike(step, loaded.step(action))
        assert torch.equal(whole.seeds, parts.seeds)
    if game != "gym/Acrobot-v1":
        assert (whole.seeds != seeds).all()  # every game has ended and begun anew
    assert whole.fingerprints() == parts.fingerprints() == loaded.fingerprints()
    assert parts.draw(4) == whole.draw(4)
