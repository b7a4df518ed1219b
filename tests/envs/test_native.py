"""NativeEnv around a counting game: truncation, automatic reset, frozen games, state, fingerprints."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from envs import chance
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing
from envs.specs import GameSpec


class Counting:
    """Add the action (0 or 1) to a total that starts at the seed's lowest bit; 3 ends the game with reward 1."""

    def init(self, seeds: Tensor) -> State:
        return {"total": seeds & 1, "board": torch.zeros(len(seeds), 2, 2, dtype=torch.int64)}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        total = state["total"] + action.squeeze(1)
        ended = total >= 3
        board = state["board"] + action.unsqueeze(2)
        return {"total": total, "board": board}, ended.float().unsqueeze(1), ended

    def observe(self, state: State) -> Turn:
        shape = (len(state["total"]), 1)
        seen = torch.stack([state["total"], state["ply"]], 1).float().unsqueeze(1)
        return Turn(seen, torch.ones(*shape, 2, dtype=torch.bool), torch.zeros(shape, dtype=torch.int64))

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        return Drawing([[(str(int(state["total"][index])), "plain")]])


def counting(num_envs: int, autoreset: bool = True, max_steps: int | None = 5) -> NativeEnv:
    spec = GameSpec("counting", 1, 1, 1, 2, (2,), "float32", ("stay", "add"), max_steps=max_steps)
    return NativeEnv(spec, Counting(), num_envs, torch.device("cpu"), autoreset)


def actions(*values: int) -> Tensor:
    return torch.tensor(values).unsqueeze(1)


def test_truncation_is_not_termination() -> None:
    env = counting(2)
    env.reset(torch.tensor([2, 4]))
    for _ in range(2):
        env.step(actions(1, 0))
    for _ in range(2):
        env.step(actions(0, 0))
    step = env.step(actions(1, 0))  # the fifth step: game 0 reaches 3 at the limit, game 1 is cut
    assert step.terminated.tolist() == [True, False]
    assert step.truncated.tolist() == [False, True]
    assert step.rewards.tolist() == [[1.0], [0.0]]
    assert step.final.observation.tolist() == [[[3.0, 5.0]], [[0.0, 5.0]]]


def test_automatic_reset_shows_the_next_game_and_keeps_the_old_in_final() -> None:
    env = counting(2)
    env.reset(torch.tensor([1, 2]))
    env.step(actions(1, 1))
    before = env.seeds.clone()
    step = env.step(actions(1, 1))
    assert step.terminated.tolist() == [True, False]
    assert env.seeds.tolist() == [int(chance.next_seed(before[:1])), 2]
    assert step.turn.observation[0].tolist() == [[float(env.seeds[0] & 1), 0.0]]
    assert step.final.observation[0].tolist() == [[3.0, 2.0]]
    assert torch.equal(step.turn.observation[1], step.final.observation[1])
    assert env.fingerprints()[0] == counting_fingerprint(total=3, ply=2, board=2)


def counting_fingerprint(total: int, ply: int, board: int) -> bytes:
    return torch.tensor([board] * 4 + [ply, total]).numpy().tobytes()


def test_both_ways_of_resetting_give_the_same_games() -> None:
    sparse, dense = counting(64), counting(64)
    dense._sparse = False
    seeds = torch.arange(64)
    assert torch.equal(sparse.reset(seeds).observation, dense.reset(seeds).observation)
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        action = torch.randint(2, (64, 1), generator=generator)
        left, right = sparse.step(action), dense.step(action)
        assert torch.equal(left.turn.observation, right.turn.observation)
        assert torch.equal(left.final.observation, right.final.observation)
        assert torch.equal(left.rewards, right.rewards)
        assert torch.equal(sparse.seeds, dense.seeds)
        assert sparse.fingerprints() == dense.fingerprints()


def test_without_autoreset_ended_games_are_idle_and_frozen() -> None:
    env = counting(2, autoreset=False)
    env.reset(torch.tensor([1, 2]))
    env.step(actions(1, 0))
    step = env.step(actions(1, 0))
    assert step.terminated.tolist() == [True, False]
    assert step.turn.player.tolist() == [[-1], [0]]
    assert step.final.player.tolist() == [[0], [0]]
    frozen = env.fingerprints()[0]
    step = env.step(actions(1, 1))
    assert step.rewards.tolist() == [[0.0], [0.0]]
    assert step.terminated.tolist() == [False, False]
    assert step.turn.observation[0].tolist() == [[0.0, 0.0]]
    assert bool(step.turn.legal_action_mask[0].all())
    assert env.fingerprints()[0] == frozen
    assert env.fingerprints()[1] == counting_fingerprint(total=1, ply=3, board=1)


@pytest.mark.parametrize("autoreset", [True, False])
def test_state_puts_the_games_back(autoreset: bool) -> None:
    env = counting(3, autoreset)
    env.reset(torch.tensor([0, 1, 2]))
    for _ in range(3):
        turn = env.step(actions(0, 1, 1)).turn
    state, prints = env.state(), None
    expected = []
    for _ in range(4):
        step = env.step(actions(1, 0, 1))
        expected.append((step.rewards, step.truncated, step.turn.observation))
        prints = env.fingerprints()
    other = counting(3, autoreset)
    back = other.load(state)
    assert torch.equal(back.observation, turn.observation)
    assert torch.equal(back.player, turn.player)
    for rewards, truncated, observation in expected:
        step = other.step(actions(1, 0, 1))
        assert torch.equal(step.rewards, rewards)
        assert torch.equal(step.truncated, truncated)
        assert torch.equal(step.turn.observation, observation)
    assert other.fingerprints() == prints
