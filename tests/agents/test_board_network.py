"""The residual network for boards: points keep their places, and one set of weights plays on every size of board."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agents.az import train
from agents.bc import Lessons
from agents.bc import train as clone
from agents.configs import AZConfig, BCConfig
from agents.metrics import Metrics
from agents.networks import ActorCritic, freeze, load_actor_critic
from agents.symmetries import Symmetries
from agents.warm_start import Start, check_start, warm_start
from envs.errors import UsageError
from envs.registry import make

SMALL: dict[str, Any] = {"network": "board", "hidden_size": 8, "hidden_layers": 2}
CONFIG = AZConfig(**SMALL, num_envs=4, num_steps=4, simulations=4, window=64, batch_size=16)


def network(game: str, config: Any = CONFIG, seed: int = 0) -> ActorCritic:
    """With nothing left as it was initialised."""
    generator = torch.Generator().manual_seed(seed)
    made = ActorCritic(make(game).spec, config, generator)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return made


def boards(size: int, count: int = 8) -> torch.Tensor:
    return torch.randint(0, 2, (count, 5, size, size), generator=torch.Generator().manual_seed(size)).to(torch.uint8)


def test_what_is_seen_here_moves_the_logits_here() -> None:
    """A stone changes the logits around it more than far away, and those of the mirrored point in the mirrored net."""
    net, empty = network("go?size=13"), torch.zeros(1, 5, 13, 13, dtype=torch.uint8)
    stone = empty.clone()
    stone[0, 0, 2, 10] = 1
    change = (net.policy(stone) - net.policy(empty))[0, :-1].detach().abs().view(13, 13)
    assert change[2, 10] > 2 * change[10, 2] > 0, "near first, but everybody hears of it"
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.flip(3)
    flipped = net.policy(stone.flip(3))[0]
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.flip(3)
    plain = net.policy(stone)[0]
    torch.testing.assert_close(flipped[:-1].view(13, 13), plain[:-1].view(13, 13).flip(1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(flipped[-1], plain[-1], atol=1e-5, rtol=1e-4)


def test_weights_of_one_size_play_on_another() -> None:
    small, large = make("go?size=5").spec, make("go?size=9").spec
    theirs = network("go?size=5", seed=1)
    start = Start("small", freeze("az", CONFIG, theirs), small)
    ours = network("go?size=9")
    warm_start(ours, CONFIG, large, start)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, ours.state_dict()[name]), name
    logits, value = ours(boards(9))
    assert (logits.shape, value.shape) == ((8, 82), (8,))
    again = load_actor_critic(large, freeze("az", CONFIG, ours))
    decision = again(boards(9), torch.ones(8, 82, dtype=torch.bool))
    torch.testing.assert_close(decision.probabilities, logits.softmax(-1))


def test_other_networks_and_other_planes_do_not_fit() -> None:
    start = Start("small", freeze("az", CONFIG, network("go?size=5")), make("go?size=5").spec)
    with pytest.raises(UsageError, match="5×5×5 uint8"):
        check_start(CONFIG, make("othello").spec, start)
    with pytest.raises(UsageError, match="network"):
        check_start(AZConfig(network="mlp", hidden_size=8, hidden_layers=2), make("go?size=5").spec, start)


def test_games_whose_actions_are_not_points_have_plain_heads() -> None:
    net = network("connect_four")
    logits, value = net(torch.zeros(3, 2, 6, 7, dtype=torch.uint8))
    assert (logits.shape, value.shape) == ((3, 7), (3,))
    assert net.policy_head.weight.shape == (7, 8 * 42)


@pytest.mark.slow
def test_it_learns_by_search_from_a_smaller_board() -> None:
    def last(game: str, start: Start | None = None) -> Metrics:
        env = make(game, CONFIG.num_envs)
        *_, report = train(CONFIG, env, seed=0, total_steps=32, start=start)
        return report

    first = last("go?size=5")
    assert first.policy is not None
    second = last("go?size=7", Start("small", first.policy, make("go?size=5").spec))
    assert second.values["losses/policy_loss"] > 0


@pytest.mark.slow
def test_a_clone_learns_a_board_in_all_its_images() -> None:
    """Shown one corner only, it knows all four; unmirrored, it does not."""
    spec = make("go?size=5").spec
    count = 64
    observation = torch.zeros(count, 5, 5, 5, dtype=torch.uint8)
    observation[:, 0, 0, 1] = 1
    mask = torch.ones(count, 26, dtype=torch.bool)
    held_out = torch.arange(count) == 0
    lessons = Lessons(observation, mask, torch.zeros(count, dtype=torch.int64), torch.zeros(count), held_out)
    images = Symmetries(spec).apply(torch.arange(8), observation[:8], torch.eye(26)[:1].expand(8, -1))

    def right(mirrored: bool) -> int:
        config = BCConfig(**SMALL, mirrored=mirrored, learning_rate=1e-2, batch_size=64)
        *_, report = clone(config, make("go?size=5", 1), seed=0, total_steps=64 * 40, lessons=lessons)
        assert report.policy is not None
        chosen = load_actor_critic(spec, report.policy)(images[0], mask[:8]).probabilities.argmax(-1)
        return int((chosen == images[1].argmax(-1)).sum())

    assert right(mirrored=True) == 8
    assert right(mirrored=False) < 8
    with pytest.raises(UsageError, match="cannot be searched"):
        next(clone(BCConfig(mirrored=True), make("gridworld/trap", 1), seed=0, total_steps=1, lessons=lessons))
