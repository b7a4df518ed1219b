"""Othello on 8×8: moves that flip, passes only where nothing flips, the end when neither side can move.

A board is an int64, bit 8 * row + column, row 0 on top. Lines of flipped discs are flooded along four directions at a
time, the left shifts and the right shifts; a flood stays off the outer columns, so that no line runs round an edge.
"""

from __future__ import annotations

import torch
from torch import Tensor

from envs.boards.drawings import OTHELLO_START, draw_othello, othello_square
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing
from envs.specs import GameSpec, Variant

SIZE, PASS = 8, 64
_SHIFTS = (1, 7, 8, 9)
_INNER = 0x7E7E7E7E7E7E7E7E  # the columns b to g: where a disc flanked from the side can lie
_SPREAD = sum(1 << (7 * bit) for bit in range(7))  # times seven bits, masked with _LOWEST: one byte each
_LOWEST = sum(1 << (8 * bit) for bit in range(7))


class Othello:
    """State, all [N] int64: `own` and `other`, the discs of the player to move and of the one who just moved; `legal`,
    the squares that the player to move may take (0: a pass); `last`, the action just played, -1 at first."""

    def __init__(self, device: torch.device) -> None:
        self._shifts = torch.tensor(_SHIFTS, device=device).unsqueeze(1)
        self._logical = torch.tensor([(1 << (64 - shift)) - 1 for shift in _SHIFTS], device=device).unsqueeze(1)
        self._flanked = torch.tensor([_INNER, _INNER, -1, _INNER], device=device).unsqueeze(1)
        self._rows = torch.arange(0, 64, 8, device=device)

    def init(self, seeds: Tensor) -> State:
        own = torch.full_like(seeds, sum(othello_square(*square) for square in OTHELLO_START[0]))
        other = torch.full_like(seeds, sum(othello_square(*square) for square in OTHELLO_START[1]))
        return {"own": own, "other": other, "legal": self.legal(own, other), "last": torch.full_like(seeds, -1)}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        action = action.squeeze(1)
        own, other = state["own"], state["other"]
        disc = torch.where(action < PASS, torch.ones_like(own) << action.clamp(max=PASS - 1), 0)
        flips = self.flips(disc, own, other)
        own, other = own | disc | flips, other & ~flips
        reply = self.legal(other, own)
        over = (reply == 0) & (self.legal(own, other) == 0)
        black = 1 - 2 * (state["ply"] & 1)
        sign = (count(own) - count(other)).sign() * black * over
        rewards = torch.stack([sign, -sign], 1).float()
        return {"own": other, "other": own, "legal": reply, "last": action}, rewards, over

    def legal(self, own: Tensor, other: Tensor) -> Tensor:
        """[N] int64: the empty squares from which `own` flanks a line of `other`."""
        flanked = other & self._flanked
        left, right = self._flood(own, flanked)
        reached = (left << self._shifts) | (right >> self._shifts)
        return _join(reached) & ~(own | other)

    def flips(self, disc: Tensor, own: Tensor, other: Tensor) -> Tensor:
        """[N] int64: the discs of `other` between the new `disc` (0: none) and the discs of `own`."""
        left, right = self._flood(disc, other & self._flanked)
        closed_left = ((left << self._shifts) & own) != 0
        closed_right = ((right >> self._shifts) & own) != 0
        return _join(left * closed_left | right * closed_right)

    def _flood(self, start: Tensor, through: Tensor) -> tuple[Tensor, Tensor]:
        """[4, N] twice: the unbroken lines of `through` [4, N] beside `start` [N], by left and by right shifts."""
        shifts = self._shifts
        left = (start << shifts) & through
        right = (start >> shifts) & self._logical & through
        for _ in range(SIZE - 3):
            left |= (left << shifts) & through
            right |= (right >> shifts) & through
        return left, right

    def observe(self, state: State) -> Turn:
        boards = torch.stack([state["own"], state["other"]], 1)
        planes = self._unpack(boards, torch.uint8).unsqueeze(1)
        legal = state["legal"]
        squares = self._unpack(legal, torch.bool).flatten(1)
        mask = torch.cat([squares, (legal == 0).unsqueeze(1)], 1).unsqueeze(1)
        return Turn(planes, mask, (state["ply"] & 1).unsqueeze(1))

    def _unpack(self, boards: Tensor, dtype: torch.dtype) -> Tensor:
        """Boards [...] int64 → [..., 8, 8] of a one-byte dtype."""
        rows = boards.unsqueeze(-1) >> self._rows
        words = ((rows & 0x7F) * _SPREAD & _LOWEST) | ((rows & 0x80) << 49)
        return words.unsqueeze(-1).view(dtype)

    def restore(self, observation: Tensor) -> State:
        """Positions that are seen as observation [B, 2, 8, 8], the first player to move."""
        squares = observation.flatten(2).long()
        own, other = (squares << torch.arange(64, device=observation.device)).sum(-1).unbind(1)
        nothing = torch.zeros_like(own)
        return {"own": own, "other": other, "legal": self.legal(own, other), "last": nothing - 1, "ply": nothing}

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        ply = int(state["ply"][index])
        boards = [int(state[name][index]) for name in ("own", "other")]
        legal, last = int(state["legal"][index]), int(state["last"][index])
        over = legal == 0 and int(self.legal(state["other"], state["own"])[index]) == 0
        return draw_othello(boards if ply % 2 == 0 else boards[::-1], legal, over, ply, last)


def count(board: Tensor) -> Tensor:
    """[N] int64 → [N] int64: the number of bits set (Warren 2012, Hacker's Delight, section 5-1)."""
    board = board - ((board >> 1) & 0x5555555555555555)
    board = (board & 0x3333333333333333) + ((board >> 2) & 0x3333333333333333)
    board = (board + (board >> 4)) & 0x0F0F0F0F0F0F0F0F
    return ((board * 0x0101010101010101) >> 56) & 0x7F


def _join(lines: Tensor) -> Tensor:
    """[4, N] → [N], the union."""
    return (lines[0] | lines[1]) | (lines[2] | lines[3])


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> NativeEnv:
    names = tuple(f"{'abcdefgh'[square % SIZE]}{square // SIZE + 1}" for square in range(PASS))
    spec = GameSpec(
        game=str(variant),
        version=variant.game.version,
        num_players=2,
        num_slots=1,
        num_actions=PASS + 1,
        observation_shape=(2, SIZE, SIZE),
        observation_dtype="uint8",
        action_names=(*names, "pass"),
        zero_sum=True,
        perfect_information=True,
        opening_plies=6,
    )
    return NativeEnv(spec, Othello(device), num_envs, device, autoreset)
