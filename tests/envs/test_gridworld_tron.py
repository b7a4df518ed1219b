"""Tron's rules by hand-made positions."""

from __future__ import annotations

import pytest
import torch

from envs.native import NativeEnv
from envs.protocol import Step
from envs.registry import make

Cell = tuple[int, int]
SIZE = 10
MOVES = ("up", "down", "left", "right")


def ride(first: list[Cell], second: list[Cell], options: str = "") -> NativeEnv:
    """A game whose trails are these cells, heads last; both have just moved."""
    env = make(f"gridworld/tron{options}", autoreset=False)
    assert isinstance(env, NativeEnv)
    env.reset(torch.zeros(1, dtype=torch.int64))
    trail = torch.zeros(1, 2, SIZE, SIZE, dtype=torch.bool)
    for player, cells in enumerate((first, second)):
        for row, column in cells:
            trail[0, player, row, column] = True
    head = torch.tensor([[row * SIZE + column for row, column in (first[-1], second[-1])]])
    env.load({**env.state(), "head": head, "trail": trail.flatten(2)})
    return env


def move(env: NativeEnv, first: str, second: str) -> Step:
    return env.step(torch.tensor([[MOVES.index(first), MOVES.index(second)]]))


@pytest.mark.parametrize(
    ("first", "second", "moves", "rewards"),
    [
        ([(5, 1), (5, 2)], [(2, 7)], ("right", "up"), None),
        ([(0, 3)], [(5, 5)], ("up", "up"), [-1, 1]),  # four walls
        ([(9, 3)], [(5, 5)], ("down", "up"), [-1, 1]),
        ([(5, 5)], [(3, 0)], ("up", "left"), [1, -1]),
        ([(5, 5)], [(3, 9)], ("up", "right"), [1, -1]),
        ([(5, 5)], [(6, 8), (6, 7), (5, 7), (5, 6)], ("right", "up"), [-1, 1]),  # the other's cell of a moment ago
        ([(5, 5)], [(6, 8), (6, 7), (5, 7), (4, 7)], ("up", "down"), [1, -1]),  # its own trail
        ([(5, 5)], [(5, 7)], ("right", "left"), [0, 0]),  # the same cell
        ([(5, 5)], [(5, 6)], ("right", "left"), [0, 0]),  # head on
        ([(0, 5)], [(9, 5)], ("up", "down"), [0, 0]),  # both into walls
    ],
)
def test_moves(first: list[Cell], second: list[Cell], moves: tuple[str, str], rewards: list[int] | None) -> None:
    step = move(ride(first, second), *moves)
    assert step.rewards.tolist() == [rewards or [0, 0]]
    assert bool(step.terminated) == (rewards is not None)


def test_a_move_leaves_a_trail() -> None:
    env = ride([(5, 2)], [(2, 7)])
    seen = move(env, "right", "up").turn.observation[0]
    assert seen[0, 0].nonzero().tolist() == [[5, 3]]
    assert seen[0, 1].nonzero().tolist() == [[1, 7]]
    assert seen[0, 2].nonzero().tolist() == [[5, 2], [5, 3]]
    assert seen[0, 3].nonzero().tolist() == [[1, 7], [2, 7]]
    assert torch.equal(seen[1], seen[0, [1, 0, 3, 2]])


def test_turning_back_is_not_legal() -> None:
    env = make("gridworld/tron")
    turn = env.reset(torch.zeros(1, dtype=torch.int64))
    assert turn.legal_action_mask is not None
    assert turn.legal_action_mask.all()
    for name, back in zip(MOVES, ("down", "up", "right", "left"), strict=True):
        mask = move(ride([(5, 2)], [(5, 7)]), name, name).turn.legal_action_mask
        assert mask is not None
        assert (~mask).nonzero().tolist() == [[0, 0, MOVES.index(back)], [0, 1, MOVES.index(back)]]


@pytest.mark.parametrize("size", [6, 9, 10])
def test_games_start_mirrored_and_apart(size: int) -> None:
    env = make(f"gridworld/tron?size={size}", 500)
    own, other = env.reset(torch.arange(500)).observation[:, 0, :2].unbind(1)
    assert torch.equal(other, own.flip(1, 2))
    distance = (own.nonzero() - other.nonzero())[:, 1:].abs().amax(1)
    assert distance.min() >= size // 2
    assert len({bytes(o) for o in own.flatten(1).numpy()}) > 20


def test_fog_hides_what_is_far_away() -> None:
    hidden = [[(5, 7), (5, 6)], [(1, 5), (5, 6)], [(9, 9)]]
    seen = []
    for cells in hidden:
        env = ride([(5, 1), (5, 2)], cells, "?fog=3")
        seen.append(env.load(env.state()).observation[0, 0])
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
    near = ride([(5, 1), (5, 2)], [(8, 5)], "?fog=3")
    both = near.load(near.state()).observation[0]
    assert both[0, 1].nonzero().tolist() == [[8, 5]]
    assert both[1, 3].nonzero().tolist() == [[5, 2]]  # of the first one's trail the second sees only the head


def test_every_game_ends_and_is_fair() -> None:
    """Swap the cycles, mirror them in the middle and mirror their moves: the rewards swap."""
    count, generator = 1000, torch.Generator().manual_seed(0)
    game, mirror = (make("gridworld/tron", count, autoreset=False) for _ in range(2))
    turn = game.reset(torch.arange(count))
    mirror.reset(torch.arange(count))
    start = game.state()
    flipped = {"head": 99 - start["head"].flip(1), "trail": start["trail"].flip(1, 2)}
    mirror.load({**mirror.state(), **flipped})
    opposite = torch.tensor([1, 0, 3, 2])
    ended = decided = 0
    for _ in range(50):
        assert turn.legal_action_mask is not None
        action = (torch.rand(count, 2, 4, generator=generator) * turn.legal_action_mask).argmax(-1)
        a, b = game.step(action), mirror.step(opposite[action].flip(1))
        assert torch.equal(a.rewards, b.rewards.flip(1))
        ended += int(a.terminated.sum())
        decided += int((a.rewards[:, 0] != 0).sum())
        turn = a.turn
    assert ended == count
    assert decided > 0.75 * count
