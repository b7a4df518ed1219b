"""Connect four, equal to PettingZoo's connect_four_v3 move for move.

A board is an int64 with one byte per column, the lowest stone first: bit 8 * column + height. The two highest bits of
every byte stay empty, so that no line runs round an edge, and one shift and one mask lay a row out as bytes.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from envs.boards.drawings import draw_connect_four
from envs.boards.rewards import to_the_mover
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing
from envs.specs import GameSpec, Variant

ROWS, COLUMNS = 6, 7
_COLUMN = (1 << ROWS) - 1
_LOWEST = sum(1 << (8 * column) for column in range(COLUMNS))
_FULL = _COLUMN * _LOWEST
_STEPS = (1, 7, 8, 9)  # north, south-east, east, north-east


@cache
def _steps(device: torch.device, rank: int) -> Tensor:
    """_STEPS along a first dimension before `rank` others."""
    return torch.tensor(_STEPS, device=device).view(-1, *[1] * rank)


def has_four(board: Tensor) -> Tensor:
    """[...] bool: whether these boards (int64) hold four in a row."""
    steps = _steps(board.device, board.dim())
    pairs = (board >> steps).bitwise_and_(board)
    fours = (pairs >> (2 * steps)).bitwise_and_(pairs)
    halves = fours[:2].bitwise_or_(fours[2:])
    return halves[0].bitwise_or_(halves[1]) != 0


def boards_of(observation: Tensor) -> Tensor:
    """[B, 2] int64: the boards of the player to move and of the other, from what the former sees, [B, 2, 6, 7]."""
    device = observation.device
    heights = torch.arange(ROWS - 1, -1, -1, device=device).unsqueeze(1)
    return (observation.long() << (8 * torch.arange(COLUMNS, device=device) + heights)).sum((-2, -1))


def winning_moves(observation: Tensor) -> Tensor:
    """[B, 7] bool: the columns that win at once for the one who sees observation [B, 2, 6, 7]."""
    own, other = boards_of(observation).unsqueeze(-1).unbind(1)
    stone = _landing(own | other, torch.arange(COLUMNS, device=observation.device))
    return (stone != 0) & has_four(own | stone)


def _landing(occupied: Tensor, column: Tensor) -> Tensor:
    """The bit on which a stone comes to rest, 0 in a full column."""
    free = (_COLUMN << (8 * column)) & ~occupied
    return free & -free


class ConnectFour:
    """State: `own` and `other` [N] int64, the boards of the player to move and of the one who just moved;
    `last` [N] int64, the column just played, -1 at first."""

    def __init__(self, device: torch.device) -> None:
        self._heights = torch.arange(ROWS - 1, -1, -1, device=device).view(ROWS, 1, 1)

    def init(self, seeds: Tensor) -> State:
        zeros = torch.zeros_like(seeds)
        return {"own": zeros, "other": zeros, "last": zeros - 1}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        column = action.squeeze(1)
        own, other = state["own"], state["other"]
        occupied = own | other
        # A one added at the foot of a column runs up to the first empty place.
        occupied |= occupied + (1 << (column << 3))
        moved = occupied ^ other
        won = has_four(moved)
        return (
            {"own": other, "other": moved, "last": column},
            to_the_mover(won, state["ply"]),
            (occupied == _FULL).logical_or_(won),
        )

    def observe(self, state: State) -> Turn:
        """Rows of a byte per column, all games' rows of one height together: few and long operations."""
        own, other = state["own"], state["other"]
        rows = (torch.stack([own, other]) >> self._heights).bitwise_and_(_LOWEST)  # [6, 2, N]
        top = (own | other).bitwise_not_().__irshift__(ROWS - 1).bitwise_and_(_LOWEST)
        return Turn(
            _bytes(rows, torch.uint8).permute(2, 1, 0, 3).unsqueeze(1),
            _bytes(top, torch.bool).unsqueeze(1),
            (state["ply"] & 1).unsqueeze(1),
        )

    def restore(self, observation: Tensor) -> State:
        """Positions that are seen as observation [B, 2, 6, 7], the first player to move."""
        own, other = boards_of(observation).unbind(1)
        return {"own": own, "other": other, "last": torch.full_like(own, -1), "ply": torch.zeros_like(own)}

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        boards = [int(state["own"][index]), int(state["other"][index])]
        ply, last = int(state["ply"][index]), int(state["last"][index])
        return draw_connect_four(boards if ply % 2 == 0 else boards[::-1], ply, last)


def _bytes(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows of a byte per column [...] int64 → [..., 7] of a one-byte dtype, a view."""
    return rows.unsqueeze(-1).view(dtype)[..., :COLUMNS]


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> NativeEnv:
    spec = GameSpec(
        game=str(variant),
        version=variant.game.version,
        num_players=2,
        num_slots=1,
        num_actions=COLUMNS,
        observation_shape=(2, ROWS, COLUMNS),
        observation_dtype="uint8",
        action_names=tuple(str(column + 1) for column in range(COLUMNS)),
        zero_sum=True,
        perfect_information=True,
        opening_plies=4,
    )
    return NativeEnv(spec, ConnectFour(device), num_envs, device, autoreset)
