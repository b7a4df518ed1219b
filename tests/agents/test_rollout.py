"""Rollouts: what is recorded, what is learnt from, and with which advantage."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from torch import Tensor

from agents.configs import ActorCriticConfig, PPOConfig, VPGConfig
from agents.losses import log_prob, masked_log_softmax
from agents.networks import ActorCritic
from agents.resume import named_seeds
from agents.rollout import Games, _by_seat, advantages, collect_rollout, may_truncate
from agents.shaping import Shaping
from envs.errors import UsageError
from envs.protocol import Step, Turn, VecEnv
from envs.registry import make
from envs.specs import GameSpec


class Walk(VecEnv):
    """Every game shows how many steps were taken, pays 1 a step and is truncated after two."""

    def __init__(self, num_envs: int) -> None:
        self.spec = GameSpec("walk", 1, 1, 1, 2, (1,), "float32", max_steps=2)
        self.num_envs, self.device, self.seeds = num_envs, torch.device("cpu"), torch.zeros(num_envs).long()
        self.ply = 0

    def turn(self, ply: int) -> Turn:
        ones = torch.ones(self.num_envs, 1, 2, dtype=torch.bool)
        return Turn(torch.full((self.num_envs, 1, 1), float(ply)), ones, torch.zeros(self.num_envs, 1).long())

    def reset(self, seeds: Tensor) -> Turn:
        return self.turn(0)

    def step(self, action: Tensor) -> Step:
        self.ply += 1
        final, ended = self.turn(self.ply), torch.full((self.num_envs,), self.ply == 2)
        self.ply %= 2
        self.seeds = self.seeds + ended
        return Step(torch.ones(self.num_envs, 1), torch.zeros_like(ended), ended, final, self.turn(self.ply))

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state: dict[str, Tensor]) -> Turn:
        return self.turn(self.ply)

    def fingerprints(self) -> list[bytes]:
        return []

    def draw(self, index: int = 0, seat: int | None = None) -> None:  # type: ignore[override]
        return None


def play(env: VecEnv, config: ActorCriticConfig, shaping: Shaping | None = None) -> tuple[Games, ActorCritic]:
    network = ActorCritic(env.spec, config, torch.Generator().manual_seed(0))
    return Games(config, env, named_seeds(0), None, shaping), network


@pytest.mark.parametrize("sparse", [True, False])
def test_truncated_games_go_on_with_the_value_of_their_last_state(sparse: bool) -> None:
    config = PPOConfig(num_envs=3, num_steps=5, hidden_layers=0, gamma=0.5, gae_lambda=1.0, reward_scale=2.0)
    games, network = play(Walk(3), config)
    with torch.no_grad():
        network.value_head.weight.fill_(10.0)  # V(ply) = 10 ply
    games.sparse = sparse
    rollout = collect_rollout(games, network)
    assert games.tally.charts() == {"charts/episodic_return": 2.0, "charts/episodic_length": 2.0}
    samples = advantages(games, network, rollout)
    at_1 = 0.5 + 0.5 * 20  # the truncated step: its own reward, then V(2)
    at_0 = 0.5 + 0.5 * at_1
    boundary = 0.5 + 0.5 * 10  # the last step of the rollout: then V(1)
    torch.testing.assert_close(samples.returns.view(5, 3)[:, 0], torch.tensor([at_0, at_1, at_0, at_1, boundary]))
    torch.testing.assert_close(samples.advantage + samples.value, samples.returns)


class SelfTruncating(gymnasium.Env[np.ndarray, int]):
    """Pays 1 a step and stops by itself after two, without a word about it in its spec."""

    observation_space = gymnasium.spaces.Box(0, 2, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.ply = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.ply += 1
        return np.full(1, self.ply, np.float32), 1.0, False, self.ply == 2, {}


@pytest.mark.parametrize("algorithm", ["ppo", "vpg"])
def test_games_of_other_libraries_that_stop_by_themselves_are_not_taken_for_ended(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gymnasium.registry, "SelfTruncating-v0", EnvSpec("SelfTruncating-v0", SelfTruncating))
    env = make("gym/SelfTruncating-v0", 2)
    assert env.spec.max_steps is None
    kind = {"ppo": PPOConfig, "vpg": VPGConfig}[algorithm]
    config = kind(num_envs=2, num_steps=2, hidden_layers=0, gamma=0.5, gae_lambda=1.0)
    games, network = play(env, config)
    with torch.no_grad():
        network.value_head.weight.fill_(10.0)  # V(ply) = 10 ply
    rollout = collect_rollout(games, network)
    assert rollout.truncated[1].all()
    samples = advantages(games, network, rollout)
    torch.testing.assert_close(samples.returns.view(2, 2)[:, 0], torch.tensor([1 + 0.5 * (1 + 0.5 * 20), 1 + 0.5 * 20]))


def test_a_parallel_game_of_pettingzoo_cut_by_its_limit_goes_on_with_the_value_of_every_seat() -> None:
    env = make("pettingzoo/classic/rps_v2?max_cycles=2", 2)
    config = PPOConfig(num_envs=2, num_steps=2, hidden_layers=0, gamma=0.5, gae_lambda=1.0, pool_share=0.0)
    games, network = play(env, config)
    with torch.no_grad():
        network.value_head.weight.zero_()
        network.value_head.bias.fill_(8.0)
    rollout = collect_rollout(games, network)
    assert rollout.truncated[1].all()
    samples = advantages(games, network, rollout)
    torch.testing.assert_close(samples.returns.view(2, 2, 2)[1], rollout.rewards[1] + 4.0)


class Knockout(Walk):
    """Three play together, cut after three steps; the first is out after one, for which it pays 1."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.spec = GameSpec("knockout", 1, 3, 3, 2, (1,), "float32", max_steps=3)

    def turn(self, ply: int) -> Turn:
        seats = torch.tensor([-1 if ply else 0, 1, 2]).expand(self.num_envs, 3)
        ones = torch.ones(self.num_envs, 3, 2, dtype=torch.bool)
        return Turn(torch.full((self.num_envs, 3, 1), float(ply)), ones, seats)

    def step(self, action: Tensor) -> Step:
        self.ply += 1
        final, cut = self.turn(self.ply), torch.full((self.num_envs,), self.ply == 3)
        rewards = torch.tensor([-1.0 if self.ply == 1 else 0.0, 0.0, 0.0]).expand(self.num_envs, 3)
        self.ply %= 3
        return Step(rewards, torch.zeros_like(cut), cut, final, self.turn(self.ply))


@pytest.mark.parametrize("num_steps", [2, 3])
def test_who_is_out_learns_it_wherever_the_rollout_ends_and_the_game_is_cut(num_steps: int) -> None:
    config = PPOConfig(num_envs=1, num_steps=num_steps, hidden_layers=0, gamma=0.5, gae_lambda=1.0, pool_share=0.0)
    games, network = play(Knockout(1), config)
    with torch.no_grad():
        network.value_head.weight.zero_()
        network.value_head.bias.fill_(8.0)
    samples = advantages(games, network, collect_rollout(games, network))
    staying = [8 * 0.5 ** (num_steps - t) for t in range(num_steps)]
    assert samples.returns.tolist() == [-1.0, staying[0], staying[0], *(x for x in staying[1:] for _ in range(2))]


@pytest.mark.parametrize("exact", [True, False])
def test_where_a_resumed_run_begins_new_games_nothing_of_the_old_ones_is_counted(exact: bool) -> None:
    config = PPOConfig(num_envs=1, num_steps=1, hidden_layers=0)
    games, network = play(Walk(1), config)
    collect_rollout(games, network)
    tensors, meta = games.state()
    again, _ = play(Walk(1), config)
    again.env.exact = exact
    again.load(network, tensors, meta)
    assert again.tally.return_so_far.sum() == (1.0 if exact else 0.0)
    assert again.tally.ply.tolist() == [1 if exact else 0]


def test_only_native_games_without_a_limit_keep_no_final_observations() -> None:
    for game, kept in (("tic_tac_toe", False), ("gridworld/tiny", True), ("pettingzoo/classic/tictactoe_v3", True)):
        assert may_truncate(make(game)) is kept


def test_rewards_are_clipped_before_they_are_scaled() -> None:
    config = PPOConfig(num_envs=1, num_steps=2, hidden_layers=0, gamma=0.0, reward_scale=2.0, reward_clip=0.25)
    games, network = play(Walk(1), config)
    rollout = collect_rollout(games, network)
    assert advantages(games, network, rollout).returns.tolist() == [0.125, 0.125]


def test_shaping_changes_what_is_learnt_and_not_what_is_reported() -> None:
    def by_position(observation: Tensor, action: Tensor, reward: Tensor, next_observation: Tensor) -> Tensor:
        return reward + 100 * observation[:, 0] + 10 * next_observation[:, 0]

    config = PPOConfig(num_envs=2, num_steps=2, hidden_layers=0, gamma=0.0)
    games, network = play(Walk(2), config, by_position)
    rollout = collect_rollout(games, network)
    assert rollout.rewards[:, 0, 0].tolist() == [11.0, 121.0]
    assert games.tally.charts()["charts/episodic_return"] == 2.0
    with pytest.raises(UsageError, match="one-player"):
        play(make("tic_tac_toe", 2), config, by_position)


def decided(env: VecEnv, config: ActorCriticConfig, shaping: Shaping | None = None) -> tuple[Games, ActorCritic]:
    """Games of a policy that leaves nothing to chance."""
    games, network = play(env, config, shaping)
    with torch.no_grad():
        if network.log_deviation is None:
            network.policy_head.weight.mul_(1e6)
        else:
            network.log_deviation.fill_(-30.0)
    return games, network


@pytest.mark.parametrize("game", ["gym/CartPole-v1", "gym/Pendulum-v1", "gridworld/tiny"])
def test_games_in_groups_bring_what_they_would_together(game: str) -> None:
    def by_reward_and_action(seen: Tensor, action: Tensor, reward: Tensor, next_seen: Tensor) -> Tensor:
        return 2 * reward + action.flatten(1).sum(1) if action.ndim > 1 else 2 * reward + action

    config = PPOConfig(num_envs=5, num_steps=40)
    whole, network = decided(make(game, 5), config, by_reward_and_action)
    parts, same = decided(make(game, 5, groups=3), config, by_reward_and_action)
    for _ in range(2):  # the second goes on from the first
        one, other = collect_rollout(whole, network), collect_rollout(parts, same)
        for name, x in vars(one).items():
            torch.testing.assert_close(vars(other)[name], x, rtol=1e-3, atol=1e-3, msg=name)
        for x, y in zip(advantages(whole, network, one), advantages(parts, same, other), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-3)
    assert whole.step == parts.step == 2 * 5 * 40
    assert whole.tally.charts() == parts.tally.charts()


def test_while_one_group_is_decided_for_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    games, network = play(make("gym/CartPole-v1", 4, groups=2), PPOConfig(num_envs=4, num_steps=3))
    seen: list[str] = []
    for number, group in enumerate(games.env.groups):
        for verb in ("send", "receive"):
            plain = getattr(group[1], verb)

            def noted(*args: Any, what: str = f"{verb} {number}", plain: Any = plain) -> Any:
                seen.append(what)
                return plain(*args)

            monkeypatch.setattr(group[1], verb, noted)
    collect_rollout(games, network)
    step = ["receive 0", "send 0", "receive 1", "send 1"]
    assert seen == ["send 0", "send 1", *step, *step, "receive 0", "receive 1"]


def test_recorded_log_probabilities_are_those_of_the_network() -> None:
    games, network = play(make("connect_four", 8), PPOConfig(num_envs=8, num_steps=30, pool_share=0.5, pool_blocks=2))
    with torch.no_grad():
        network.policy_head.weight.mul_(100)
    rollout = collect_rollout(games, network)
    samples = advantages(games, network, rollout)
    assert samples.mask.gather(1, samples.action.unsqueeze(1)).all()
    logits, values = network(samples.observation)
    torch.testing.assert_close(
        samples.log_prob, log_prob(masked_log_softmax(logits, samples.mask), samples.action), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(samples.value, values, atol=1e-5, rtol=1e-5)
    assert samples.log_prob.std() > 0.01


def test_where_the_host_does_not_look_a_set_number_of_the_same_decisions_teaches() -> None:
    config = PPOConfig(num_envs=16, num_steps=9, pool_share=0.5, pool_blocks=2, random_plies=4)
    games, network = play(make("tic_tac_toe", 16), config)
    rollout = collect_rollout(games, network)
    exact = advantages(games, network, rollout)
    games.sparse = False
    count = len(exact.action)
    for size in (16 * 9, count + 3, count - 5):
        games.sample_size = size
        chosen = advantages(games, network, rollout)
        for everything, some in zip(exact, chosen, strict=True):
            assert torch.equal(some, everything[torch.arange(size) * count // size])
        games.finish_rollout()
        assert games.sample_size == 9 * math.ceil(count / 9), "sixteenths of all, as many as there were or a few more"


def test_where_the_host_does_not_look_and_there_is_nothing_to_learn_nothing_is_better_than_thought() -> None:
    games, network = play(make("kuhn_poker", 4), PPOConfig(num_envs=4, num_steps=1, pool_share=0.0))
    games.sparse = False
    samples = advantages(games, network, collect_rollout(games, network))
    assert len(samples.action) == 4
    assert samples.advantage.eq(0).all()
    assert torch.equal(samples.returns, samples.value)


def test_in_self_play_every_decision_has_an_advantage_in_zero_sum_games() -> None:
    games, network = play(make("tic_tac_toe", 16), PPOConfig(num_envs=16, num_steps=7, pool_share=0.0))
    rollout = collect_rollout(games, network)
    assert len(advantages(games, network, rollout).action) == 7 * 16


def test_where_cards_are_hidden_the_others_view_is_no_view_of_ones_own() -> None:
    """A decision whose game goes on at the rollout's end teaches only if its seat is to decide next."""
    games, network = play(make("kuhn_poker", 64), PPOConfig(num_envs=64, num_steps=1, pool_share=0.0))
    rollout = collect_rollout(games, network)
    assert not rollout.terminated.any()
    assert len(advantages(games, network, rollout).action) == 0
    rollout = collect_rollout(games, network)
    assert 0 < int(rollout.terminated.sum()) < 64
    assert len(advantages(games, network, rollout).action) == int(rollout.terminated.sum())


def test_without_bootstrap_only_finished_games_teach_and_wins_are_worth_one() -> None:
    config = PPOConfig(num_envs=16, num_steps=12, pool_share=0.0, gamma=1.0)
    games, network = play(make("tic_tac_toe", 16), config)
    rollout = collect_rollout(games, network)
    samples = advantages(games, network, rollout, bootstrap=False)
    ended = rollout.terminated
    last_end = torch.where(ended.any(0), 11 - ended.flip(0).int().argmax(0), -1)
    assert len(samples.action) == int((last_end + 1).sum())
    assert set(samples.returns.tolist()) <= {-1.0, 0.0, 1.0}
    assert torch.equal(samples.returns, samples.advantage)


def test_slots_to_seats() -> None:
    values, known = _by_seat(torch.tensor([[3.0], [4.0], [5.0]]), torch.tensor([[1], [0], [-1]]), 2)
    assert values.tolist() == [[0, 3], [4, 0], [0, 0]]
    assert known.tolist() == [[False, True], [True, False], [False, False]]
    values, known = _by_seat(torch.tensor([[3.0], [4.0], [5.0]]), torch.tensor([[1], [0], [-1]]), 2, zero_sum=True)
    assert values[:2].tolist() == [[-3, 3], [4, -4]]
    assert known.tolist() == [[True, True], [True, True], [False, False]]
    values, known = _by_seat(torch.tensor([[3.0, 4.0]]), torch.tensor([[0, 1]]), 2)
    assert values.tolist() == [[3, 4]]
    assert known.all()


@pytest.mark.slow
def test_a_game_is_counted_to_its_end_where_a_life_ends_it_for_the_learner() -> None:
    """And the random moves that games begin with come at its beginning alone."""
    config = PPOConfig(
        num_envs=1, network="dqn2013", hidden_size=8, hidden_layers=1, num_steps=300, random_plies=20, reward_clip=0.0
    )
    env = make("ALE/Breakout-v5?life_loss=true&sticky=0", 1)
    games = Games(config, env, named_seeds(0), None, None)
    rollout = collect_rollout(games, ActorCritic(env.spec, config, torch.Generator().manual_seed(0)))
    random_moves = (~rollout.learner[:, 0, 0]).nonzero().flatten().tolist()
    ends = rollout.terminated[:, 0].nonzero().flatten().tolist()
    charts = games.finish_rollout()
    length = round(charts["charts/episodic_length"])
    assert length - 1 == ends[4], "five lives"
    assert charts["charts/episodic_return"] == rollout.rewards[:length].sum()
    assert all(ply < 20 or ply >= length for ply in random_moves)
    assert 0 in random_moves
    env.close()
