"""Networks: shapes, initialisation, scaling, running statistics, storing and loading."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace

import pytest
import torch

from agents.configs import PPOConfig
from agents.metrics import PolicyWeights
from agents.networks import (
    ActorCritic,
    NetworkPolicy,
    RunningStatistics,
    Tanh,
    build_trunk,
    choose_network,
    compile_trunks,
    freeze,
    prepare,
    weights_stand_still,
)
from agents.registry import load_policy
from envs.errors import ArenaError, UsageError
from envs.specs import GameSpec


def spec(shape: tuple[int, ...], dtype: str = "uint8", scale: float = 1.0, actions: int = 5) -> GameSpec:
    return GameSpec("test", 1, 1, 1, actions, shape, dtype, scale=scale)


def network(game: GameSpec, config: PPOConfig | None = None, seed: int = 0) -> ActorCritic:
    return ActorCritic(game, config or PPOConfig(), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((4,), "mlp"),
        ((2, 3, 3), "mlp"),
        ((2, 6, 7), "mlp"),
        ((4, 9, 9), "cnn"),
        ((8, 8, 111), "mlp"),
        ((4, 84, 84), "nature"),
    ],
)
def test_auto_network_follows_the_observation(shape: tuple[int, ...], kind: str) -> None:
    assert choose_network(shape) == kind
    logits, value = network(spec(shape))(torch.zeros(3, *shape, dtype=torch.uint8))
    assert logits.shape == (3, 5)
    assert value.shape == (3,)


def test_convolutions_need_planes() -> None:
    with pytest.raises(UsageError, match="needs planes"):
        network(spec((4,)), PPOConfig(network="cnn"))


def test_orthogonal_initialisation_and_its_gains() -> None:
    net = network(spec((64,), "float32"), PPOConfig(hidden_size=64))
    for layer, gain in ((net.policy_trunk[1], 2**0.5), (net.policy_head, 0.01), (net.value_head, 1.0)):
        rows = layer.weight @ layer.weight.T
        torch.testing.assert_close(rows, gain**2 * torch.eye(len(rows)), atol=1e-5, rtol=0)
        assert layer.bias.eq(0).all()


def test_a_seed_decides_the_weights() -> None:
    one, two, other = (network(spec((4,), "float32"), seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(one.policy_head.weight, other.policy_head.weight)


def test_uint8_observations_are_divided_by_the_scale() -> None:
    pixels = torch.randint(0, 256, (4, 6), dtype=torch.uint8)
    net = network(spec((6,), scale=255.0))
    same = network(spec((6,), "float32"))
    torch.testing.assert_close(net(pixels)[1], same(pixels.float() / 255)[1])


def test_shared_trunk_shares_and_separate_does_not() -> None:
    shared, separate = (network(spec((4,), "float32"), PPOConfig(shared_trunk=flag)) for flag in (True, False))
    for net, touched in ((shared, True), (separate, False)):
        net.value(torch.ones(2, 4)).sum().backward()
        assert (net.policy_trunk[1].weight.grad is not None) is touched
    logits, value = separate(torch.ones(2, 4))
    assert torch.equal(logits, separate.policy(torch.ones(2, 4)))
    assert torch.equal(value, separate.value(torch.ones(2, 4)))


def test_running_statistics_equal_those_of_all_batches_at_once() -> None:
    data = 5 + 3 * torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    statistics = RunningStatistics((2,))
    for batch in data.split([10, 400, 1, 589]):
        statistics.update(batch)
    torch.testing.assert_close(statistics.mean, data.mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(statistics.variance, data.var(0, correction=0), atol=1e-2, rtol=1e-3)


def test_pictures_are_normalised_in_the_units_that_the_network_sees() -> None:
    net = network(spec((4, 84, 84), scale=255.0), PPOConfig(normalise_observations=True, hidden_size=8))
    pictures = torch.randint(0, 256, (50, 4, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    net.take_in(pictures)
    seen = net.prepare(pictures)
    torch.testing.assert_close(seen.mean(0), torch.zeros(4, 84, 84), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen.std(0, correction=0), torch.ones(4, 84, 84), atol=1e-3, rtol=0)


def test_a_stored_policy_plays_as_the_network_did() -> None:
    game = spec((4,), "float32")
    config = PPOConfig(normalise_observations=True, normalise_rewards=True, reward_scale=3.0)
    net = network(game, config)
    assert net.normaliser is not None
    assert net.rewards is not None
    net.normaliser.update(10 + torch.randn(100, 4))
    net.rewards.update(7 * torch.randn(100))
    weights = freeze("ppo", config, net)
    observation, mask = 10 + torch.randn(6, 4), torch.rand(6, 5) < 0.7
    mask[:, 0] = True
    before = NetworkPolicy(net)(observation, mask)
    with torch.no_grad():
        net.policy_head.weight.add_(1)  # the stored weights are copies
    after = load_policy(game, weights)(observation, mask)
    assert torch.equal(before.probabilities, after.probabilities)
    assert before.value is not None
    assert after.value is not None
    assert torch.equal(before.value, after.value)
    torch.testing.assert_close(after.value, net.value(observation).detach() * 3.0 * net.rewards.deviation)
    torch.testing.assert_close(after.probabilities.sum(-1), torch.ones(6))
    assert after.probabilities[~mask].eq(0).all()


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_is_near_float32_and_learns_in_float32() -> None:
    game, observation = spec((2, 6, 7), "float32"), torch.rand(64, 2, 6, 7)
    exact, rough = (network(game, PPOConfig(bfloat16=bfloat16, hidden_size=128)) for bfloat16 in (False, True))
    for ours, theirs in zip(rough(observation), exact(observation), strict=True):
        assert ours.dtype == torch.float32
        assert not torch.equal(ours, theirs)
        torch.testing.assert_close(ours, theirs, atol=0.03, rtol=0.03)
    rough(observation)[1].sum().backward()
    assert all(x.grad is None or x.grad.dtype == x.dtype == torch.float32 for x in rough.parameters())
    assert rough.policy_trunk[1].weight.grad is None
    assert rough.value_trunk is not None
    assert rough.value_trunk[1].weight.grad.abs().sum() > 0


def test_where_bfloat16_is_only_imitated_float32_is_used(monkeypatch: pytest.MonkeyPatch, bfloat16: None) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True})
    game, observation = spec((2, 6, 7), "float32"), torch.rand(8, 2, 6, 7)
    exact, asked = (network(game, PPOConfig(bfloat16=wanted)) for wanted in (False, True))
    for ours, theirs in zip(asked(observation), exact(observation), strict=True):
        assert torch.equal(ours, theirs)


def test_pictures_lie_channels_last_and_look_the_same() -> None:
    pictures = torch.randint(0, 256, (3, 4, 84, 84), dtype=torch.uint8)
    prepared = prepare(pictures, 255.0)
    assert prepared.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(prepared, pictures.float() / 255)
    assert prepare(pictures[:, :, :7, :7], 1.0).is_contiguous()


@pytest.mark.usefixtures("bfloat16")
def test_while_weights_stand_still_each_is_rounded_once() -> None:
    net, observation = network(spec((12,), "float32"), PPOConfig(bfloat16=True)), torch.rand(4, 12)
    plain = net(observation)[0]
    with torch.no_grad():
        with weights_stand_still(observation.device):
            first = net(observation)[0]
            net.policy_trunk[1].weight.zero_()  # what must not happen shows that the rounded weights are kept
            assert torch.equal(net(observation)[0], first)
        assert not torch.equal(net(observation)[0], first)
    assert torch.equal(first, plain)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_compiled_trunks_are_the_same(device: str) -> None:
    """In rollouts and in updates, by turns, as often as a GPU takes to record its graphs and to replay them."""
    game = spec((2, 6, 7), "float32")
    plain, built = network(game).to(device), network(game).to(device)
    compile_trunks(built)
    for observation in torch.rand(4, 64, 2, 6, 7, device=device):
        with torch.no_grad():
            for ours, theirs in zip(built(observation), plain(observation), strict=True):
                torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        for each in (built, plain):
            output, value = each(observation)
            each.zero_grad()
            (output.square().sum() + value.sum()).backward()
        for ours, theirs in zip(built.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)
    assert freeze("ppo", PPOConfig(), built).tensors.keys() == plain.state_dict().keys()
    assert torch.allclose(copy.deepcopy(built).value(observation), plain.value(observation), atol=1e-5)


def test_weights_of_another_game_are_refused_in_one_line() -> None:
    weights = freeze("ppo", PPOConfig(), network(spec((4,), "float32")))
    for game in (spec((5,), "float32"), spec((4,), "float32", actions=2)):
        with pytest.raises(ArenaError, match="do not fit ppo on test") as error:
            load_policy(game, weights)
        assert "\n" not in str(error.value)
    missing = PolicyWeights("ppo", weights.config, {k: v for k, v in weights.tensors.items() if "head" not in k})
    with pytest.raises(ArenaError, match="do not fit"):
        load_policy(spec((4,), "float32"), missing)


def test_trunk_width_without_hidden_layers() -> None:
    config = replace(PPOConfig(), hidden_layers=0)
    assert build_trunk(spec((2, 3)), config, torch.Generator())[1] == 6


def test_tanh_is_tanh_with_its_gradient() -> None:
    x = torch.cat([torch.linspace(-20, 20, 4001), torch.tensor([-1e4, 1e4, torch.inf, -torch.inf])]).requires_grad_()
    y = Tanh()(x)
    torch.testing.assert_close(y, torch.tanh(x), atol=3e-7, rtol=0)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, 1 - torch.tanh(x).square(), atol=6e-7, rtol=0)
    coarse = x.detach().bfloat16()
    assert torch.equal(Tanh()(coarse), torch.tanh(coarse))
