"""PettingZoo environments as games: players, masks, rewards, ends, hidden hands, errors."""

from __future__ import annotations

import gc

import numpy as np
import pettingzoo
import pytest
import torch

from envs.conformance import check_env
from envs.errors import UnknownNameError, UsageError
from envs.protocol import VecEnv
from envs.registry import make


def sample(mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.multinomial(mask.flatten(0, 1).float(), 1, generator=generator).view(mask.shape[:2])


@pytest.mark.parametrize("name", ["connect_four_v3", "tictactoe_v3", "leduc_holdem_v4", "rps_v2"])
def test_conforms(name: str) -> None:
    assert check_env(f"pettingzoo/classic/{name}", steps=24) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["classic/chess_v6", "classic/go_v5?board_size=13", "butterfly/cooperative_pong_v6?max_cycles=5"]
)
def test_large_ones_conform(name: str) -> None:
    gc.collect()
    assert check_env(f"pettingzoo/{name}", steps=8) == []


@pytest.mark.parametrize("game", ["connect_four", "tic_tac_toe"])
def test_equals_our_own_twin(game: str) -> None:
    twin = make(f"pettingzoo/classic/{game.replace('tic_tac_toe', 'tictactoe')}_v3", 8)
    ours = make(game, 8)
    assert twin.spec.action_names == ours.spec.action_names
    generator = torch.Generator().manual_seed(0)
    left, right = twin.reset(torch.arange(8)), ours.reset(torch.arange(8))
    ends = 0
    for _ in range(60):
        seen = left.observation if game == "connect_four" else left.observation.transpose(-1, -2)
        assert torch.equal(seen, right.observation)
        assert torch.equal(left.legal_action_mask, right.legal_action_mask)
        assert torch.equal(left.player, right.player)
        action = sample(right.legal_action_mask, generator)
        theirs, step = twin.step(action), ours.step(action)
        assert torch.equal(theirs.rewards, step.rewards)
        assert torch.equal(theirs.terminated, step.terminated)
        assert torch.equal(twin.seeds, ours.seeds)
        left, right = theirs.turn, step.turn
        ends += int(step.terminated.sum())
    assert ends > 8


def test_every_player_is_paid_at_every_step() -> None:
    """Against PettingZoo's own bookkeeping: what `last` tells each agent, added up."""
    ours = make("pettingzoo/classic/leduc_holdem_v4", autoreset=False)
    generator = torch.Generator().manual_seed(2)
    paid = 0
    for seed in range(30):
        theirs = pettingzoo.make("aec", "classic/leduc_holdem-v4")
        theirs.reset(seed=seed)
        turn, total = ours.reset(torch.tensor([seed])), torch.zeros(2)
        sums = dict.fromkeys(theirs.possible_agents, 0.0)
        for agent in theirs.agent_iter():
            seen, reward, terminated, truncated, _ = theirs.last()
            sums[agent] += reward
            if terminated or truncated:
                theirs.step(None)
                continue
            assert int(turn.player) == theirs.possible_agents.index(agent)
            assert np.array_equal(turn.observation[0, 0].numpy(), seen["observation"])
            assert turn.legal_action_mask[0, 0].tolist() == (seen["action_mask"] == 1).tolist()
            action = sample(turn.legal_action_mask, generator)
            theirs.step(int(action))
            step = ours.step(action)
            turn, total = step.turn, total + step.rewards[0]
        assert int(turn.player) == -1
        assert total.tolist() == [sums[agent] for agent in theirs.possible_agents]
        paid += int(total.abs().sum() > 0)
    assert paid > 20


def test_simultaneous_games_have_a_slot_for_each_player_and_are_cut_by_the_cycle_limit() -> None:
    env = make("pettingzoo/classic/rps_v2")
    assert env.spec.action_names == ("rock", "paper", "scissors")
    turn = env.reset(torch.tensor([0]))
    assert turn.player.tolist() == [[0, 1]]
    step = env.step(torch.tensor([[1, 0]]))
    assert step.rewards.tolist() == [[1.0, -1.0]]
    assert step.turn.observation[0].argmax(-1).tolist() == [0, 1]  # each sees what the other showed
    for _ in range(14):
        step = env.step(torch.tensor([[2, 2]]))
    assert step.truncated.item()
    assert not step.terminated.item()


def words(env: VecEnv, seat: int | None) -> str:
    return env.draw(0, seat).text()


def test_a_hand_is_drawn_for_its_holder_alone() -> None:
    env = make("pettingzoo/classic/leduc_holdem_v4")
    hands = {}
    for seed in range(12):
        env.reset(torch.tensor([seed]))
        own, other, both = words(env, 0), words(env, 1), words(env, None)
        assert own.count("holds") == other.count("holds") == 1
        assert "player 1 holds" not in own
        assert "player 0 holds" not in other
        assert own in both
        assert other in both
        hands[own.splitlines()[0][-1], other.splitlines()[0][-1]] = seed
    assert len(hands) > 3


@pytest.mark.slow
def test_go_keeps_one_size_in_a_process() -> None:
    gc.collect()
    small = make("pettingzoo/classic/go_v5?board_size=5")
    turn = small.reset(torch.tensor([0]))
    assert turn.observation.shape == (1, 1, 17, 5, 5)
    assert small.spec.num_actions == 26
    with pytest.raises(UsageError, match="one board size per process, now 5"):
        make("pettingzoo/classic/go_v5?board_size=7")
    small.close()
    large = make("pettingzoo/classic/go_v5?board_size=7")
    large.reset(torch.tensor([0]))
    for name in ("D4", "A1", "pass"):
        large.step(torch.tensor([[large.action(name)]]))
    rows = large.draw().text().splitlines()
    assert rows[3].split() == ["4", "·", "·", "·", "●", "·", "·", "·"]
    assert rows[6].split() == ["1", "○", "·", "·", "·", "·", "·", "·"]
    assert large.draw().caption == "○ to move · area ● 1, ○ 1 + 7.5"
    large.close()
    assert make("pettingzoo/classic/go_v5").spec.num_actions == 362


def test_chess_in_pieces() -> None:
    env = make("pettingzoo/classic/chess_v6")
    env.reset(torch.tensor([0]))
    rows = env.draw().text().splitlines()
    assert [rows[1][4], rows[15][4]] == ["♜", "♖"]
    assert len(set(env.spec.action_names)) == env.spec.num_actions == 4672


def test_chess_moves_are_words_of_both_sides_squares_and_boxes_of_the_board() -> None:
    env = make("pettingzoo/classic/chess_v6", autoreset=False)
    turn = env.reset(torch.tensor([0]))
    for word in ("e2e4", "a7a5", "e4e5", "D7D5", "e5d6", "a5a4", "d6c7", "a4a3"):
        names = env.names()
        assert turn.legal_action_mask is not None
        assert turn.legal_action_mask[0, 0].nonzero().flatten().tolist() == sorted(names)
        with pytest.raises(UsageError, match="'e2e5' is no legal move here; legal: "):
            env.action("e2e5")
        turn = env.step(torch.tensor([[env.action(word)]])).turn
    drawing, names = env.draw(), env.names()
    assert drawing.caption == "white to move"
    assert {names[a] for a, box in drawing.origins.items() if box == (10, 2, 4, 2)} == {"c7b8q", "c7d8q"}
    assert drawing.targets[env.action("c7b8q")] == [(6, 0, 4, 2)]
    assert env.action("c7b8n") not in drawing.targets, "only the queen's promotion is what a click stands for"
    env.step(torch.tensor([[env.action("c7d8n")]]))
    assert env.draw().text().splitlines()[1].split("│")[4] == " ♘ "


@pytest.mark.parametrize(
    ("game", "error", "text"),
    [
        ("pettingzoo/classic/go_v4", UnknownNameError, "pettingzoo/classic/go_v5"),
        ("pettingzoo/klassic/rps_v2", UnknownNameError, "pettingzoo/classic/rps_v2"),
        ("pettingzoo/classic/rps_v2?foo=3", UsageError, "foo"),
        ("pettingzoo/classic/rps_v2?num_actions=4", UsageError, "odd"),
    ],
)
def test_errors_are_one_line(game: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        make(game)
    assert "\n" not in str(caught.value)
