"""Atari for people: the frames that a step showed, going back to bookmarks, paddles that follow a pointer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from envs.protocol import VecEnv
from envs.registry import make

BREAKOUT, PONG, TWO = "ALE/Breakout-v5", "ALE/Pong-v5?sticky=0", "pettingzoo/atari/pong_v3"


def started(game: str, seed: int = 5) -> VecEnv:
    env = make(game, autoreset=False)
    env.attend("pictures")
    env.reset(torch.tensor([seed]))
    return env


def actions(env: VecEnv, steps: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    assert env.spec.num_actions is not None
    return [torch.randint(env.spec.num_actions, (1, env.spec.num_slots), generator=generator) for _ in range(steps)]


@pytest.mark.parametrize("game", [BREAKOUT, TWO])
def test_every_frame_of_a_step_is_shown(game: str) -> None:
    env = started(game)
    assert [picture.shape for picture in env.pictures()] == [(210, 160, 3)]
    for action in actions(env, 10):
        env.step(action)
        assert len(env.pictures()) == 4
    env.attend("observations")
    env.step(actions(env, 1)[0])
    assert len(env.pictures()) == 0
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("game", [BREAKOUT, TWO])
def test_from_a_bookmark_the_game_goes_on_as_it_did(game: str) -> None:
    """The emulator's chance (sticky actions) too, and in another env of the same game, one that skips its pictures."""
    env, ahead = started(game), make(game, autoreset=False)
    ahead.attend("states")
    ahead.reset(torch.tensor([5]))
    chosen = actions(env, 16)
    for action in chosen[:8]:
        env.step(action)
        ahead.step(action)
    assert env.fingerprints() == ahead.fingerprints()
    ways = []
    for mark in (env.bookmark(), ahead.bookmark()):
        env.return_to(mark)
        ways.append([])
        for action in chosen[8:]:
            step = env.step(action)
            ways[-1].append((env.fingerprints()[0], step.rewards.tolist(), env.pictures()[-1].tobytes()))
    assert ways[0] == ways[1]
    for action in chosen[8:]:
        ahead.step(action)
    assert ahead.fingerprints()[0] == ways[0][-1][0]
    env.return_to(mark)
    for action in chosen[:4]:
        env.step(action)
    assert torch.equal(env.state()["actions"][0], torch.cat([*chosen[:8], *chosen[:4]]))
    env.close()
    ahead.close()


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["bookmark", "packed"])
def test_a_button_that_sticks_sticks_after_going_back_too(kept: str) -> None:
    """An action sticks in a quarter of all frames, and which one that is is no part of the emulator's state."""
    env = started(BREAKOUT)
    env.attend("states")
    chosen = actions(env, 80)
    places = []
    for ply, action in enumerate(chosen):
        place = env.bookmark() if kept == "bookmark" else env.packed()
        env.step(action)
        places.append((ply, place, env.fingerprints()))
    for ply, place, after in reversed(places):
        if kept == "bookmark":
            env.return_to(place)
        else:
            env.unpack(place, torch.cat(chosen[:ply] or [torch.empty(0, 1)]))
        env.step(chosen[ply])
        assert env.fingerprints() == after
        assert len(env.state()["actions"][0]) == ply + 1
    env.close()


@pytest.mark.parametrize(("game", "seat", "colour"), [(PONG, 0, (92, 186, 92)), (TWO, 1, (213, 130, 74))])
def test_pongs_paddle_follows_the_pointer(game: str, seat: int, colour: tuple[int, int, int]) -> None:
    env = started(game)
    for wanted in (0.35, 0.7):
        for _ in range(25):
            action = env.aim(seat, (0.1, wanted))
            assert action is not None
            joint = torch.zeros(1, env.spec.num_slots, dtype=torch.int64)
            joint[0, seat] = action
            env.step(joint)
        field = env.pictures()[-1][34:194]
        rows = np.argwhere((field == colour).all(-1))[:, 0] + 34
        assert abs((rows.min() + rows.max()) / 2 - 210 * wanted) < 12
    env.close()


def test_breakouts_paddle_follows_the_pointer_and_other_games_have_none() -> None:
    env = started(BREAKOUT + "?sticky=0")
    for wanted in (0.3, 0.7):
        for _ in range(25):
            action = env.aim(0, (wanted, 0.0))
            env.step(torch.tensor([[action]]))
        line = env.pictures()[-1][190, 8:152]
        columns = np.argwhere((line == (200, 72, 72)).all(-1))[:, 0] + 8
        assert abs(columns.mean() - 160 * wanted) < 14
    env.close()
    assert make("gridworld/sumo").aim(0, (0.5, 0.5)) is None


@pytest.mark.parametrize(("game", "upright"), [(BREAKOUT, False), (TWO, True)])
def test_a_new_games_paddle_does_not_glide_on_from_the_last_games(game: str, upright: bool) -> None:
    env = started(game)
    rest = env.spec.action_names.index("noop")

    def aim(wanted: float) -> int | None:
        return env.aim(0, (0.0, wanted) if upright else (wanted, 0.0))

    there = next(wanted for wanted in np.linspace(0, 1, 50).tolist() if aim(wanted) == rest)
    for _ in range(20):
        wanted = 1.0 if there < 0.5 else 0.0
        joint = torch.zeros(1, env.spec.num_slots, dtype=torch.int64)
        joint[0, 0] = aim(wanted) or 0
        env.step(joint)
        aim(wanted)
    assert aim(there) != rest, "the paddle has moved away"
    env.reset(torch.tensor([5]))
    assert aim(there) == rest
    env.close()
