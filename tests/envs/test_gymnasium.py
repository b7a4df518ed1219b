"""Gymnasium environments as games: ends, seeds, state, spaces, pictures, errors."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from envs import chance
from envs.conformance import check_env
from envs.errors import MissingPackageError, UnknownNameError, UsageError
from envs.pictures import half_blocks, text_lines
from envs.registry import make
from envs.rendering import Drawing


@pytest.mark.parametrize(
    "game",
    [
        "gym/CartPole-v1",
        "gym/Pendulum-v1",
        "gym/FrozenLake-v1?is_slippery=false",
        pytest.param("gym/Taxi-v4", marks=pytest.mark.slow),
    ],
)
def test_conforms(game: str) -> None:
    assert check_env(game, steps=24) == []


def test_equal_to_gymnasium_through_an_automatic_reset() -> None:
    env, theirs = make("gym/CartPole-v1", 2), gymnasium.make("CartPole-v1")
    turn = env.reset(torch.tensor([5, 2**62]))
    seen, _ = theirs.reset(seed=2**62)
    seed, ends = torch.tensor([2**62]), 0
    for step_number in range(120):
        assert np.array_equal(turn.observation[1, 0].numpy(), seen)
        action = step_number // 3 % 2
        step = env.step(torch.tensor([[0], [action]]))
        seen, reward, terminated, truncated, _ = theirs.step(action)
        assert step.rewards[1].item() == reward
        assert (step.terminated[1].item(), step.truncated[1].item()) == (terminated, truncated)
        assert np.array_equal(step.final.observation[1, 0].numpy(), seen)
        if terminated:
            ends += 1
            seed = chance.next_seed(seed)
            seen, _ = theirs.reset(seed=int(seed))
            assert torch.equal(env.seeds[1:], seed)
        turn = step.turn
    assert ends > 1


def balance(observation: torch.Tensor) -> torch.Tensor:
    """A controller that keeps CartPole upright: [N, 1, 4] → [N, 1]."""
    return (observation @ torch.tensor([0.1, 0.5, 1.0, 1.0]) > 0).long()


def test_a_time_limit_truncates_and_final_shows_where() -> None:
    env = make("gym/CartPole-v1", 3)
    assert env.spec.max_steps == 500
    turn = env.reset(torch.arange(3))
    for _ in range(499):
        step = env.step(balance(turn.observation))
        assert not (step.terminated | step.truncated).any()
        turn = step.turn
    step = env.step(balance(turn.observation))
    assert step.truncated.tolist() == [True] * 3
    assert step.terminated.tolist() == [False] * 3
    assert (step.final.observation - turn.observation).abs().max() < 0.5  # one step on from the last one
    assert not torch.equal(step.final.observation, step.turn.observation)
    start, _ = gymnasium.make("CartPole-v1").reset(seed=int(env.seeds[0]))
    assert np.array_equal(step.turn.observation[0, 0].numpy(), start)


def test_actions_between_other_bounds_are_stretched() -> None:
    env, theirs = make("gym/Pendulum-v1"), gymnasium.make("Pendulum-v1")
    assert env.spec.num_actions is None
    assert (env.spec.action_shape, env.spec.action_low, env.spec.action_high) == ((1,), -2.0, 2.0)
    turn = env.reset(torch.tensor([4]))
    assert turn.legal_action_mask is None
    theirs.reset(seed=4)
    step = env.step(torch.tensor([[[1.5]]]))
    seen, reward, *_ = theirs.step(np.array([1.5], dtype=np.float32))
    assert np.array_equal(step.turn.observation[0, 0].numpy(), seen)
    assert step.rewards.item() == pytest.approx(reward)


def test_masks_come_from_the_info() -> None:
    env, theirs = make("gym/Taxi-v4"), gymnasium.make("Taxi-v4")
    turn = env.reset(torch.tensor([3]))
    state, info = theirs.reset(seed=3)
    assert turn.legal_action_mask[0, 0].tolist() == (info["action_mask"] == 1).tolist()
    assert not turn.legal_action_mask.all()
    assert turn.observation[0, 0].argmax().item() == state


def test_a_long_run_keeps_only_the_actions_it_needs() -> None:
    env = make("gym/CartPole-v1", 2)
    turn = env.reset(torch.tensor([0, 1]))
    for _ in range(1300):
        turn = env.step(torch.zeros(2, 1, dtype=torch.int64)).turn
    assert len(env._log) < 1200
    other = make("gym/CartPole-v1", 2)
    assert torch.equal(other.load(env.state()).observation, turn.observation)


@pytest.mark.parametrize(
    ("game", "error", "words"),
    [
        ("gym/CartPol-v1", UnknownNameError, "CartPole-v1"),
        ("gym/CartPole-v7", UnknownNameError, "CartPole-v1"),
        ("gym/CartPole-v1?gravity=3", UsageError, "gravity"),
        ("gym/CartPole-v1?render_mode=human", UsageError, "render_mode"),
        ("gym/os:path-v0", UsageError, "not module:name"),
    ],
)
def test_errors_are_one_line(game: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        make(game)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("game", ["gym/BipedalWalker-v3", "gym/LunarLander-v3"])
def test_a_game_in_a_world_of_bodies_is_a_function_of_its_seed(game: str) -> None:
    pytest.importorskip("Box2D")
    env, seen = make(game, autoreset=False), []
    for seed in (1, 2, 1):
        turn = env.reset(torch.tensor([seed]))
        generator = torch.Generator().manual_seed(5)
        for _ in range(60):
            shape = (1, 1, *env.spec.action_shape)
            action = (
                torch.rand(shape, generator=generator) * 2 - 1 if env.spec.action_shape else torch.ones(shape).long()
            )
            turn = env.step(action).turn
        seen.append(turn.observation)
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise gymnasium.error.DependencyNotInstalled("Box2D is not installed")

    monkeypatch.setattr(gymnasium, "make", absent)
    with pytest.raises(MissingPackageError, match=r'pip install "arena-league\[box2d\]"'):
        make("gym/LunarLander-v3")


def test_half_blocks_average_areas() -> None:
    frame = np.zeros((80, 156, 3), dtype=np.uint8)
    frame[:2, :2] = [200, 100, 40]
    frame[0, 0] = 0  # a quarter of the first cell's upper pixel
    lines = half_blocks(frame)
    assert len(lines) == 20
    assert all(sum(len(text) for text, _ in line) == 78 for line in lines)
    assert lines[0][0] == ("▀", "#964b1e on #000000")
    assert lines[0][1] == ("▀" * 77, "#000000 on #000000")
    assert lines[19] == [("▀" * 78, "#000000 on #000000")]
    frame[-2:] = 255
    assert Drawing(half_blocks(frame)).text().split("\n") == ["▀", *[""] * 18, "▄" * 78], "what stands out, uncoloured"


def test_text_loses_its_escapes() -> None:
    lines = text_lines("  (Down)\nS\x1b[41mF\x1b[0mG\x07" + "x" * 99)
    assert lines[0] == [("  (Down)", "plain")]
    assert lines[1] == [("S", "plain"), ("F", "agent"), ("G" + "x" * 75, "plain")]


def test_pictures() -> None:
    env = make("gym/CartPole-v1")
    env.reset(torch.tensor([0]))
    drawing = env.draw()
    assert len(drawing.lines) == 20
    assert drawing.keys == {0: ["left", "0"], 1: ["right", "1"]}
    text = make("gym/FrozenLake-v1")
    text.reset(torch.tensor([0]))
    assert "SFFF" in text.draw().text()
