"""Self-play: the layout of blocks and seats, opponents that act where they should, snapshots, random openings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.configs import PPOConfig
from agents.networks import ActorCritic, NetworkPolicy
from agents.policy import Decision
from agents.resume import named_seeds
from agents.rollout import Games, advantages, collect_rollout
from agents.selfplay import Opponents, SelfPlay, draw_uniformly, in_random_opening
from envs import chance
from envs.protocol import Turn
from envs.registry import make

CONFIG = PPOConfig(
    num_envs=20, num_steps=30, hidden_size=8, pool_share=0.5, pool_blocks=3, random_share=0.2, snapshot_steps=1200
)


class Fixed:
    """Plays the legal action with the lowest number (or the highest), and remembers for how many rows it was asked."""

    def __init__(self, highest: bool = False) -> None:
        self.highest = highest
        self.rows: list[int] = []

    def choice(self, mask: Tensor) -> Tensor:
        return mask.shape[-1] - 1 - mask.flip(-1).int().argmax(-1) if self.highest else mask.int().argmax(-1)

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        self.rows.append(len(observation))
        return Decision(
            torch.nn.functional.one_hot(self.choice(legal_action_mask), legal_action_mask.shape[-1]).float()
        )


def games(game: str, config: PPOConfig, opponents: Opponents | None = None) -> tuple[Games, ActorCritic]:
    env = make(game, config.num_envs)
    network = ActorCritic(env.spec, config, torch.Generator().manual_seed(0))
    return Games(config, env, named_seeds(0), opponents, None), network


def test_blocks_cover_the_games_in_order_and_seats_are_balanced() -> None:
    self_play = games("tic_tac_toe", CONFIG)[0].self_play
    assert (self_play.num_self, self_play.num_pool, self_play.num_random) == (6, 10, 4)
    assert [(block.start, block.stop) for block in self_play.blocks] == [(6, 9), (9, 12), (12, 16)]
    seats = self_play.learner_seat
    assert seats[:6].eq(-1).all()
    for block in [*self_play.blocks, self_play.random_block]:
        counts = torch.bincount(seats[block], minlength=2)
        assert counts.sum() == block.stop - block.start
        assert abs(int(counts[0] - counts[1])) <= 1


def test_one_player_games_have_no_opponents() -> None:
    self_play = games("gym/CartPole-v1", CONFIG)[0].self_play
    assert self_play.num_self == 20
    assert not self_play.renews(0, 0)


def test_the_learner_decides_its_own_seats_and_no_idle_slot() -> None:
    self_play = games("tic_tac_toe", CONFIG)[0].self_play
    player = torch.ones(20, 1, dtype=torch.int64)
    player[0] = -1
    decides = self_play.learner_decides(Turn(torch.zeros(20, 1), None, player))[:, 0]
    assert decides.tolist() == [False] + [True] * 5 + [seat == 1 for seat in self_play.learner_seat[6:].tolist()]


@pytest.mark.parametrize("game", ["tic_tac_toe", "gridworld/sumo"])
def test_opponents_play_their_blocks_and_teach_nothing(game: str) -> None:
    first, last = Fixed(), Fixed(highest=True)

    def draw(num_policies: int, count: int, rng: np.random.Generator) -> Sequence[int]:
        assert (num_policies, count) == (3, 3)  # two from outside and the first snapshot
        return [0, 1, 0]

    state, network = games(game, CONFIG, Opponents([first, last], draw))
    rollout = collect_rollout(state, network)
    slots = rollout.player.shape[2]
    assert first.rows == [3 * slots, 4 * slots] * CONFIG.num_steps
    assert last.rows == [3 * slots] * CONFIG.num_steps
    for block, policy in zip(state.self_play.blocks, (first, last, first), strict=True):
        theirs = ~rollout.learner[:, block]
        assert theirs.any()
        assert torch.equal(rollout.action[:, block][theirs], policy.choice(rollout.mask[:, block])[theirs])
        assert not torch.equal(rollout.action[:, block][~theirs], policy.choice(rollout.mask[:, block])[~theirs])
    samples = advantages(state, network, rollout)
    assert len(samples.action) <= int(rollout.learner.sum())
    assert samples.mask.gather(1, samples.action.unsqueeze(1)).all()


def test_snapshots_are_copies_and_join_when_all_games_start_anew() -> None:
    drawn = []

    def draw(num_policies: int, count: int, rng: np.random.Generator) -> Sequence[int]:
        drawn.append(num_policies)
        return [num_policies - 1] * count

    state, network = games("connect_four", replace(CONFIG, pool_size=2), Opponents(draw=draw))
    plies = []
    for _ in range(7):
        with torch.no_grad():
            network.policy_head.bias += 1
        rollout = collect_rollout(state, network)
        # 20 games × 30 steps: every second rollout crosses a multiple of 1,200 and begins with empty boards.
        plies.append(int(rollout.observation[0].sum()))
    assert [ply == 0 for ply in plies] == [True, False, True, False, True, False, True]
    assert drawn == [1, 2, 2, 2]
    biases = [float(snapshot.policy_head.bias[0]) for snapshot in state.self_play.snapshots]
    assert biases == [5.0, 7.0]
    assert float(network.policy_head.bias[0]) == 7.0
    with torch.no_grad():
        network.policy_head.bias += 1
    playing = state.self_play.playing[0]
    assert isinstance(playing, NetworkPolicy)
    assert float(playing.network.policy_head.bias[0]) == 7.0


def test_uniform_draws_repeat_nobody_while_there_are_enough() -> None:
    rng = np.random.default_rng(0)
    assert sorted(draw_uniformly(5, 5, rng)) == [0, 1, 2, 3, 4]
    assert len(draw_uniformly(2, 5, rng)) == 5
    counts = np.bincount([i for _ in range(3000) for i in draw_uniformly(3, 1, rng)])
    assert (np.abs(counts - 1000) < 120).all()


def test_random_openings_are_uniformly_long_and_are_not_learnt_from() -> None:
    seeds = chance.mix(torch.arange(6000)) & 0x7FFFFFFFFFFFFFFF
    lengths = sum(in_random_opening(seeds, torch.full((6000,), ply), 2).int() for ply in range(5))
    assert (torch.bincount(lengths, minlength=3) - 2000).abs().max() < 150
    config = replace(CONFIG, random_plies=4, pool_share=0.0, random_share=0.0, num_envs=200, num_steps=5)
    state, network = games("connect_four", config)
    with torch.no_grad():
        network.policy_head.bias[0] = 50.0  # the learner always plays the first column
    rollout = collect_rollout(state, network)
    learner = rollout.learner[..., 0]
    assert learner.float().mean(1).tolist() == sorted(learner.float().mean(1).tolist())
    assert learner[0].float().mean() == pytest.approx(1 / 5, abs=0.1)
    assert learner[4].all()
    assert rollout.action[..., 0][learner].eq(0).all()
    assert rollout.action[..., 0][~learner].float().mean() == pytest.approx(3.0, abs=0.3)


def test_state_brings_back_pool_draws_and_generator() -> None:
    state, network = games("tic_tac_toe", CONFIG)
    collect_rollout(state, network)
    tensors, meta = state.self_play.state()
    fresh, _ = games("tic_tac_toe", CONFIG)
    fresh.self_play.load(network, tensors, meta)
    assert isinstance(fresh.self_play, SelfPlay)
    for one, other in zip(state.self_play.snapshots, fresh.self_play.snapshots, strict=True):
        assert all(torch.equal(one.state_dict()[name], tensor) for name, tensor in other.state_dict().items())
    assert fresh.self_play.drawn == state.self_play.drawn
    assert fresh.self_play.rng.random() == state.self_play.rng.random()
