"""Sumo's rules by hand-made positions."""

from __future__ import annotations

import pytest
import torch

from envs.gridworld.sumo import MOVES, PERIOD, SumoRules
from envs.native import NativeEnv
from envs.protocol import Step
from envs.registry import make

Cell = tuple[int, int]


def at(cell: Cell, size: int = 7) -> int:
    """The index of a cell of the ring's square."""
    return (cell[0] + 1) * (size + 2) + cell[1] + 1


def bout(first: Cell, second: Cell, ply: int = 0, options: str = "") -> NativeEnv:
    env = make(f"gridworld/sumo{options}", autoreset=False)
    assert isinstance(env, NativeEnv)
    env.reset(torch.zeros(1, dtype=torch.int64))
    env.load({**env.state(), "position": torch.tensor([[at(first), at(second)]]), "ply": torch.tensor([ply])})
    return env


def move(env: NativeEnv, first: str, second: str) -> tuple[list[Cell], Step]:
    step = env.step(torch.tensor([[MOVES.index(first), MOVES.index(second)]]))
    cells = [divmod(cell, 9) for cell in env.state()["position"][0].tolist()]
    return [(row - 1, column - 1) for row, column in cells], step


@pytest.mark.parametrize(
    ("first", "second", "moves", "after"),
    [
        ((3, 1), (3, 5), ("right", "up"), [(3, 2), (2, 5)]),  # both walk
        ((3, 1), (3, 5), ("stay", "stay"), [(3, 1), (3, 5)]),
        ((3, 2), (3, 3), ("right", "stay"), [(3, 3), (3, 4)]),  # a push
        ((3, 2), (3, 3), ("stay", "left"), [(3, 1), (3, 2)]),
        ((2, 3), (3, 3), ("down", "stay"), [(3, 3), (4, 3)]),
        ((3, 2), (3, 3), ("right", "up"), [(3, 3), (2, 3)]),  # the other steps aside
        ((3, 2), (3, 3), ("right", "right"), [(3, 3), (3, 4)]),  # the other walks away
        ((3, 2), (3, 3), ("right", "left"), [(3, 2), (3, 3)]),  # push against push
        ((3, 2), (3, 4), ("right", "left"), [(3, 2), (3, 4)]),  # the same free cell
        ((2, 3), (3, 4), ("right", "up"), [(2, 3), (3, 4)]),  # the same free cell, round a corner
        ((3, 2), (3, 3), ("up", "left"), [(2, 2), (3, 2)]),
    ],
)
def test_moves(first: Cell, second: Cell, moves: tuple[str, str], after: list[Cell]) -> None:
    cells, step = move(bout(first, second), *moves)
    assert cells == after
    assert step.rewards.tolist() == [[0, 0]]
    assert not step.terminated


@pytest.mark.parametrize(
    ("first", "second", "moves", "rewards"),
    [
        ((3, 5), (3, 6), ("right", "stay"), [1, -1]),  # pushed off
        ((3, 6), (3, 5), ("stay", "right"), [-1, 1]),
        ((3, 0), (3, 5), ("left", "stay"), [-1, 1]),  # walked off
        ((3, 0), (3, 6), ("left", "right"), [0, 0]),  # both walked off
        ((0, 2), (3, 3), ("left", "stay"), [-1, 1]),  # the ring is round: its square's corners are outside
        ((3, 5), (3, 6), ("right", "up"), [0, 0]),  # dodged along the edge
        ((3, 5), (3, 6), ("right", "left"), [0, 0]),  # held at the edge
        ((3, 5), (3, 6), ("right", "right"), [1, -1]),  # fled off the edge
    ],
)
def test_the_edge(first: Cell, second: Cell, moves: tuple[str, str], rewards: list[int]) -> None:
    _, step = move(bout(first, second), *moves)
    assert step.rewards.tolist() == [rewards]
    fell = moves == ("left", "right") or rewards != [0, 0]
    assert bool(step.terminated) == fell
    assert not step.truncated


def test_the_ring_shrinks_under_who_stands_at_its_edge() -> None:
    env = bout((3, 6), (3, 3), ply=PERIOD - 2)
    _, step = move(env, "stay", "stay")
    assert not step.terminated
    _, step = move(env, "stay", "stay")
    assert step.rewards.tolist() == [[-1, 1]]
    assert bool(step.terminated)


def test_the_middle_is_the_last_place_to_stand() -> None:
    _, step = move(bout((3, 3), (3, 4), ply=3 * PERIOD - 1), "stay", "stay")
    assert step.rewards.tolist() == [[1, -1]]
    _, step = move(bout((3, 3), (3, 4), ply=3 * PERIOD - 1), "stay", "left")
    assert step.rewards.tolist() == [[-1, 1]]
    _, step = move(bout((2, 3), (3, 4), ply=3 * PERIOD - 1), "stay", "stay")
    assert step.rewards.tolist() == [[0, 0]]
    assert bool(step.terminated)


def test_nothing_is_left_at_the_deadline() -> None:
    """Only the even ring has room for two until the end; then it is a draw, and the rules end it."""
    env = make("gridworld/sumo?size=6", autoreset=False)
    env.reset(torch.zeros(1, dtype=torch.int64))
    middle = torch.tensor([[at((2, 2), 6), at((3, 3), 6)]])
    env.load({**env.state(), "position": middle})
    steps = [env.step(torch.zeros(1, 2, dtype=torch.int64)) for _ in range(3 * PERIOD)]
    assert [bool(step.terminated) for step in steps] == [False] * (3 * PERIOD - 1) + [True]
    assert steps[-1].rewards.tolist() == [[0, 0]]


def test_rings_of_seven() -> None:
    rules = SumoRules(7, 0, torch.device("cpu"))
    inner = rules.depth.view(9, 9)[1:-1, 1:-1]
    assert [int((inner > shrunk).sum()) for shrunk in range(5)] == [37, 21, 9, 1, 0]
    assert inner[0].tolist() == [0, 0, 1, 1, 1, 0, 0]
    for turned in (inner.flip(0), inner.flip(1), inner.T):
        assert torch.equal(inner, turned)


@pytest.mark.parametrize("size", [5, 6, 7, 10, 15])
def test_games_start_opposite_each_other_inside_the_second_ring(size: int) -> None:
    env = make(f"gridworld/sumo?size={size}", 500)
    seen = env.reset(torch.arange(500)).observation
    own, other, ring = seen[:, 0, 0], seen[:, 0, 1], seen[:, 0, 2]
    assert torch.equal(other, own.flip(1, 2))
    assert not (own.bool() & other.bool()).any()
    assert ((own > 0).sum((1, 2)) == 1).all()
    assert (ring[own > 0] > 0).all()
    assert len({bytes(o) for o in own.flatten(1).numpy()}) >= 8


def test_both_seats_see_the_game_from_their_own_side() -> None:
    env = bout((3, 1), (2, 5), ply=13)
    seen = env.load(env.state()).observation[0]
    assert seen.shape == (2, 4, 7, 7)
    assert seen[0, 0].nonzero().tolist() == [[3, 1]]
    assert seen[0, 1].nonzero().tolist() == [[2, 5]]
    assert torch.equal(seen[1], seen[0, [1, 0, 2, 3]])
    assert set(seen[0, :3].unique().tolist()) == {0, PERIOD}
    assert int((seen[0, 2] > 0).sum()) == 21
    assert (seen[:, 3] == 7).all()


def test_fog_hides_what_is_far_away() -> None:
    seen = []
    for cell in ((3, 3), (3, 4), (2, 5)):
        env = bout((3, 1), cell, options="?fog=2")
        seen.append(env.load(env.state()).observation[0])
    assert seen[0][0, 1].nonzero().tolist() == [[3, 3]]
    assert torch.equal(seen[1][0], seen[2][0])
    assert not seen[1][0, 1].any()
    assert seen[1][0, 2].nonzero()[:, 1].max() == 3
    assert (seen[1][0, 3] == PERIOD).all()


def test_the_game_is_fair() -> None:
    """Swap the wrestlers, mirror them in the middle and mirror their moves: the rewards swap."""
    count, generator = 2000, torch.Generator().manual_seed(0)
    game, mirror = (make("gridworld/sumo", count, autoreset=False) for _ in range(2))
    game.reset(torch.arange(count))
    mirror.reset(torch.arange(count))
    mirror.load({**mirror.state(), "position": 80 - game.state()["position"].flip(1)})
    opposite = torch.tensor([0, 2, 1, 4, 3])
    decided = torch.zeros(2)
    for _ in range(4 * PERIOD):
        action = torch.randint(5, (count, 2), generator=generator)
        a, b = game.step(action), mirror.step(opposite[action].flip(1))
        assert torch.equal(a.rewards, b.rewards.flip(1))
        decided += torch.stack([(a.rewards[:, 0] != 0).sum(), a.terminated.sum()])
    assert decided[1] == count
    assert decided[0] > 0.85 * count
