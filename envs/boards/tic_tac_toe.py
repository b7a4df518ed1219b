"""Tic-tac-toe, equal to PettingZoo's tictactoe_v3 move for move.

Squares are numbered as there, down the columns: square s lies in row s % 3, column s // 3. A board is an int64 whose
bit s is square s.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from envs.boards.drawings import TIC_TAC_TOE_LINES, TIC_TAC_TOE_NAMES, draw_tic_tac_toe
from envs.boards.rewards import to_the_mover
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing
from envs.specs import GameSpec, Variant

NUM_ACTIONS = 9
_FULL = 0b111111111


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each of the 512 boards: whether it holds a line [512] bool, and its squares as 16 bytes, the last seven of
    them empty [512] complex128: one number is looked up faster than a row of bytes."""
    board = torch.arange(_FULL + 1)
    lines = torch.tensor(TIC_TAC_TOE_LINES)
    squares = torch.zeros(_FULL + 1, 16, dtype=torch.uint8)
    squares[:, :NUM_ACTIONS] = board.unsqueeze(1) >> torch.arange(NUM_ACTIONS) & 1
    won = ((board.unsqueeze(1) & lines) == lines).any(1)
    return won.to(device), squares.view(torch.complex128).squeeze(1).to(device)


def has_line(board: Tensor) -> Tensor:
    """[...] bool: whether these boards (int64) hold three in a row."""
    return _tables(board.device)[0].index_select(0, board.flatten()).view(board.shape)


def _squares(board: Tensor, dtype: torch.dtype) -> Tensor:
    """[N] int64 → [N, 9] of a one-byte dtype, a view."""
    rows = _tables(board.device)[1].index_select(0, board)
    return rows.unsqueeze(1).view(dtype)[:, :NUM_ACTIONS]


def boards_of(observation: Tensor) -> Tensor:
    """[B, 2] int64: the boards of the player to move and of the other, from what the former sees, [B, 2, 3, 3]."""
    squares = observation.transpose(-1, -2).flatten(-2).long()  # [B, 2, 9]
    return (squares << torch.arange(NUM_ACTIONS, device=observation.device)).sum(-1)


def winning_moves(observation: Tensor) -> Tensor:
    """[B, 9] bool: the squares that win at once for the one who sees observation [B, 2, 3, 3]."""
    bits = 1 << torch.arange(NUM_ACTIONS, device=observation.device)
    own, other = boards_of(observation).unbind(1)
    free = ((own | other).unsqueeze(1) & bits) == 0
    return free & has_line(own.unsqueeze(1) | bits)


class TicTacToe:
    """State: `own` and `other` [N] int64, the boards of the player to move and of the one who just moved;
    `last` [N] int64, the square just played, -1 at first."""

    def init(self, seeds: Tensor) -> State:
        zeros = torch.zeros_like(seeds)
        return {"own": zeros, "other": zeros, "last": zeros - 1}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        square = action.squeeze(1)
        moved = state["own"] | (1 << square)
        won = has_line(moved)
        ended = ((moved | state["other"]) == _FULL).logical_or_(won)
        return {"own": state["other"], "other": moved, "last": square}, to_the_mover(won, state["ply"]), ended

    def observe(self, state: State) -> Turn:
        own, other = state["own"], state["other"]
        planes = _squares(torch.stack([own, other], 1).flatten(), torch.uint8)
        return Turn(
            planes.view(-1, 1, 2, 3, 3).transpose(-1, -2),
            _squares((own | other).bitwise_xor_(_FULL), torch.bool).unsqueeze(1),
            (state["ply"] & 1).unsqueeze(1),
        )

    def restore(self, observation: Tensor) -> State:
        """Positions that are seen as observation [B, 2, 3, 3], the first player to move."""
        own, other = boards_of(observation).unbind(1)
        return {"own": own, "other": other, "last": torch.full_like(own, -1), "ply": torch.zeros_like(own)}

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        boards = [int(state["own"][index]), int(state["other"][index])]
        ply, last = int(state["ply"][index]), int(state["last"][index])
        return draw_tic_tac_toe(boards if ply % 2 == 0 else boards[::-1], ply, last)


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> NativeEnv:
    spec = GameSpec(
        game=str(variant),
        version=variant.game.version,
        num_players=2,
        num_slots=1,
        num_actions=NUM_ACTIONS,
        observation_shape=(2, 3, 3),
        observation_dtype="uint8",
        action_names=TIC_TAC_TOE_NAMES,
        zero_sum=True,
        perfect_information=True,
        opening_plies=1,  # after two, one side may be lost
    )
    return NativeEnv(spec, TicTacToe(), num_envs, device, autoreset)
