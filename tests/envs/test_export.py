"""Our games leave as Gymnasium and PettingZoo environments and pass those projects' own checkers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import api_test, parallel_api_test, seed_test

from envs.errors import IllegalActionError, UsageError
from envs.export import to_aec, to_gymnasium, to_parallel
from envs.registry import make
from envs.specs import GAMES

NATIVE = [game for game in GAMES if game.source == "native" and game.id != "gridworld/custom"]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize("game", [game.id for game in NATIVE if game.num_players == 1])
def test_gymnasium_checker(game: str) -> None:
    check_env(to_gymnasium(game), skip_render_check=True)


@pytest.mark.parametrize("game", [game.id for game in NATIVE if game.num_players != 1])
def test_pettingzoo_checkers(game: str) -> None:
    api_test(to_aec(game), num_cycles=60)
    seed_test(lambda: to_aec(game), num_cycles=30)


@pytest.mark.parametrize("game", [game.id for game in NATIVE if game.turns == "simultaneous"])
def test_pettingzoo_parallel_checkers(game: str) -> None:
    parallel_api_test(to_parallel(game), num_cycles=60)


def test_a_seed_means_the_same_game_outside() -> None:
    outside, inside = to_gymnasium("gridworld/rooms"), make("gridworld/rooms", autoreset=False)
    starts = set()
    for seed in range(8):
        seen, _ = outside.reset(seed=seed)
        turn = inside.reset(torch.tensor([seed]))
        assert np.array_equal(seen, turn.observation[0, 0].numpy())
        starts.add(int(seen.argmax()))
        for action in (0, 1, 2, 3, 3, 1):
            step = inside.step(torch.tensor([[action]]))
            seen, reward, terminated, truncated, _ = outside.step(action)
            assert reward == step.rewards.item()
            assert (terminated, truncated) == (step.terminated.item(), step.truncated.item())
            if terminated:
                break
            assert np.array_equal(seen, step.turn.observation[0, 0].numpy())
    assert len(starts) > 3


def test_a_time_limit_truncates_outside_too() -> None:
    env = to_gymnasium("gridworld/tiny")
    limit = env.unwrapped._game.env.spec.max_steps
    env.reset(seed=0)
    for step_number in range(1, limit + 1):
        _, _, terminated, truncated, _ = env.step(0)  # up, into the wall
        assert not terminated
        assert truncated == (step_number == limit)


def test_a_won_game_pays_both_players() -> None:
    env = to_aec("tic_tac_toe", render_mode="ansi")
    env.reset(seed=0)
    for action in (0, 3, 1, 4, 2):  # down the first column
        env.step(action)
    assert env.terminations == {"player_0": True, "player_1": True}
    paid = {}
    for agent in env.agent_iter():
        seen, reward, *_ = env.last()
        paid[agent] = reward
        assert not seen["action_mask"].any()
        env.step(None)
    assert paid == {"player_0": 1.0, "player_1": -1.0}
    assert env.render().count("✕") == 3


def test_illegal_actions_are_refused() -> None:
    env = to_aec("connect_four")
    env.reset(seed=0)
    for _ in range(6):
        env.step(2)
    assert env.observe(env.agent_selection)["action_mask"].tolist() == [1, 1, 0, 1, 1, 1, 1]
    with pytest.raises(IllegalActionError, match="action 2 is not legal"):
        env.step(2)


@pytest.mark.parametrize(
    ("leave", "game", "door"),
    [
        (to_gymnasium, "tic_tac_toe", "to_aec"),
        (to_aec, "gridworld/tiny", "to_gymnasium"),
        (to_parallel, "connect_four", "to_aec"),
        (to_parallel, "gridworld/tiny", "to_gymnasium"),
    ],
)
def test_the_wrong_door_names_the_right_one(leave: object, game: str, door: str) -> None:
    assert callable(leave)
    with pytest.raises(UsageError, match=door):
        leave(game)
