"""Connect four solved: exact scores of any position, by alpha-beta on bitboards.

A position's score is how many stones of the winner are still unplayed when the game ends, plus one, under perfect play:
22 minus the stones that the winner has then, positive where the player to move wins, negative where they lose, 0 for a
draw. The empty board's score is 1: the first player wins with the last of 21 stones, at ply 41.

Negamax with null windows (as in Pons 2015, "Solving Connect 4"), a transposition table of two-way buckets that keeps
the larger of two subtrees and is asked about all replies before one of them is gone into, moves that do not lose at
once, moves ordered by the winning squares they make, mirrored positions as one near the start, and two bounds from the
board alone:

- a side that has no line left cannot win;
- where every column has an even number of free squares, the player not to move can answer every stone in the same
  column and so gets the upper square of each pair (Allis 1988, "claimeven"): the one to move cannot win without a line
  among the lower squares, and loses if the upper ones complete a line. Where a stone in the only column with an odd
  number of them brings this about, the same holds one ply earlier for the other side.

A board is an int64 as in `envs/boards/connect_four.py`: bit 8 * column + height.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from agents.greedy import uniform
from agents.policy import Decision
from envs.boards.connect_four import COLUMNS, ROWS, boards_of

CELLS = ROWS * COLUMNS
TABLE_BITS = 22
"""The transposition table has 2^22 buckets of two entries of 8 bytes: 64 MiB."""
EXACT_PLY = 8
"""From this ply on `perfect` always plays perfectly; before it, where the budget suffices."""
BUDGET = 10_000_000
"""Positions that `perfect` visits for one decision before `EXACT_PLY`: about one second."""
NO_BUDGET = 1 << 60

U = np.uint64
_ONE, _SIX_BITS = U(1), U(63)
_STEPS = (U(8), U(7), U(9))
_COLUMN = U((1 << ROWS) - 1)
_LOWEST = U(sum(1 << (8 * column) for column in range(COLUMNS)))
_BOARD = U(int(_COLUMN) * int(_LOWEST))
_LOWER, _UPPER = U(int(_LOWEST) * 0b010101), U(int(_LOWEST) * 0b101010)
_ORDER = (0, 6, 1, 5, 2, 4, 3)  # of equals the last comes first
_MIRRORED_UNTIL, _CHILDREN_UNTIL, _STORED_UNTIL = 14, 30, 32  # stones
_KEY_BITS = 55
_KEY, _MULTIPLIER = U((1 << _KEY_BITS) - 1), U(0x2545F4914F6CDD1D & ((1 << _KEY_BITS) - 1))
_CHECK_BITS = U(_KEY_BITS - TABLE_BITS)
_CHECK = U((1 << (_KEY_BITS - TABLE_BITS)) - 1)
_OUT_OF_BUDGET = -100


@njit(inline="always")
def _count(board):
    board = board - ((board >> _ONE) & U(0x5555555555555555))
    board = (board & U(0x3333333333333333)) + ((board >> U(2)) & U(0x3333333333333333))
    board = (board + (board >> U(4))) & U(0x0F0F0F0F0F0F0F0F)
    return np.int64((board * U(0x0101010101010101)) >> U(56))


@njit(inline="always")
def _mirrored(board):
    """Columns are bytes: reverse eight and drop the empty one."""
    board = ((board >> U(8)) & U(0x00FF00FF00FF00FF)) | ((board & U(0x00FF00FF00FF00FF)) << U(8))
    board = ((board >> U(16)) & U(0x0000FFFF0000FFFF)) | ((board & U(0x0000FFFF0000FFFF)) << U(16))
    return ((board >> U(32)) | (board << U(32))) >> U(8)


@njit(inline="always")
def _has_four(board):
    pairs = board & (board >> _ONE)
    lines = pairs & (pairs >> U(2))
    for step in _STEPS:
        pairs = board & (board >> step)
        lines |= pairs & (pairs >> (step + step))
    return lines != U(0)


@njit(inline="always")
def _winning_squares(own, occupied):
    """Free squares, reachable now or not, that complete four of `own`."""
    lines = (own << _ONE) & (own << U(2)) & (own << U(3))
    for step in _STEPS:
        double, triple = step + step, step + step + step
        pairs = (own << step) & (own << double)
        lines |= pairs & ((own << triple) | (own >> step))
        pairs = (own >> step) & (own >> double)
        lines |= pairs & ((own << step) | (own >> triple))
    return lines & (_BOARD ^ occupied)


@njit(inline="always")
def _hash(own, occupied, stones):
    """A bijection of the position's key (55 bits): its upper bits choose the bucket, the others are checked."""
    key = own + occupied
    if stones < _MIRRORED_UNTIL:
        key = min(key, _mirrored(own) + _mirrored(occupied))
    key = (key * _MULTIPLIER) & _KEY
    key ^= key >> U(28)
    return (key * _MULTIPLIER) & _KEY


@njit(inline="always")
def _look_up(table, key):
    """The entry of this key, 0 for none. An entry: check << 18 | lower bound << 12 | upper bound << 6 | stones."""
    bucket, check = np.int64(key >> _CHECK_BITS) << 1, key & _CHECK
    for entry in (table[bucket], table[bucket + 1]):
        if entry != U(0) and entry >> U(18) == check:
            return entry
    return U(0)


@njit(inline="always")
def _store(table, key, lower, upper, stones):
    """The first entry of a bucket gives way to positions with as few stones, the second to any."""
    bucket, check = np.int64(key >> _CHECK_BITS) << 1, key & _CHECK
    entry = (check << U(18)) | (U(lower + 32) << U(12)) | (U(upper + 32) << U(6)) | U(stones)
    first = table[bucket]
    if first == U(0) or first >> U(18) == check:
        table[bucket] = entry
    elif np.int64(first & _SIX_BITS) >= stones:
        table[bucket] = entry
        table[bucket + 1] = first
    else:
        table[bucket + 1] = entry


@njit(cache=True, nogil=True)
def _search(own, occupied, alpha, beta, table, budget):
    """(bound of the score, positions visited) of a position without a win at once, fail-soft within alpha < beta."""
    owns, occupieds, keys = np.empty(CELLS, U), np.empty(CELLS, U), np.empty(CELLS, U)
    alphas, betas, bests = np.empty(CELLS, np.int64), np.empty(CELLS, np.int64), np.empty(CELLS, np.int64)
    lows, highs, left = np.empty(CELLS, np.int64), np.empty(CELLS, np.int64), np.empty(CELLS, np.int64)
    moves, weights = np.empty((CELLS, COLUMNS), U), np.empty(COLUMNS, np.int64)
    lines = np.empty((CELLS, COLUMNS), U)
    threats = _winning_squares(own ^ occupied, occupied)
    stones, depth, visited = _count(occupied), 0, 0
    while True:
        visited += 1
        if visited > budget:
            return _OUT_OF_BUDGET, visited
        # What the board alone says. No score is below `low` or above `high`.
        done, value = False, 0
        other = own ^ occupied
        landing = (occupied + _LOWEST) & _BOARD
        forced = landing & threats
        safe = (landing if forced == U(0) else forced) & ~(threats >> _ONE)
        low, high = -((40 - stones) >> 1), (41 - stones) >> 1
        if safe == U(0) or (forced & (forced - _ONE)) != U(0):
            done, value = True, low - 1
        elif stones >= CELLS - 2:
            done = True
        else:
            free = _BOARD ^ occupied
            if (landing & _UPPER) == U(0):
                if not _has_four(own | (free & _LOWER)):
                    high = -1 if _has_four(other | (free & _UPPER)) else 0
            elif not _has_four(own | free):
                high = 0
            elif beta <= 1:
                # A stone in the only column with an odd number of free squares leaves the other side to move so.
                odd = landing & _UPPER
                lone = (odd & (odd - _ONE)) == U(0) and (odd & safe) != U(0)
                if lone and not _has_four(other | ((free ^ odd) & _LOWER)):
                    low = 1 if _has_four(own | (free & _UPPER)) else 0
            if high <= alpha:
                done, value = True, high
            elif low >= beta:
                done, value = True, low
        key = U(0)
        if not done and stones < _STORED_UNTIL:
            key = _hash(own, occupied, stones)
            entry = _look_up(table, key)
            if entry != U(0):
                low = max(low, np.int64((entry >> U(12)) & _SIX_BITS) - 32)
                high = min(high, np.int64((entry >> U(6)) & _SIX_BITS) - 32)
                if low >= beta:
                    done, value = True, low
                elif high <= alpha or low == high:
                    done, value = True, high
        count = 0
        if not done and stones < _CHILDREN_UNTIL:  # does the table know a reply that settles it?
            for column in _ORDER:
                move = safe & (_COLUMN << U(8 * column))
                if move != U(0):
                    entry = _look_up(table, _hash(other, occupied | move, stones + 1))
                    if entry != U(0):
                        low = max(low, 32 - np.int64((entry >> U(6)) & _SIX_BITS))
            if low >= beta:
                done, value = True, low
        if not done:
            for column in _ORDER:
                move = safe & (_COLUMN << U(8 * column))
                if move == U(0):
                    continue
                wins = _winning_squares(own | move, occupied | move)
                reachable = wins & ((landing ^ move) | ((move << _ONE) & _BOARD))
                if (reachable & (reachable - _ONE)) | (reachable & (wins >> _ONE)):
                    # Two wins at once, or one above the other: only one can be blocked.
                    done, value = True, (41 - stones) >> 1
                    break
                weight = 3 * _count(wins) - 2 * _count(wins & (move << _ONE))
                place = count
                while place > 0 and weights[place - 1] > weight:
                    weights[place], moves[depth, place] = weights[place - 1], moves[depth, place - 1]
                    lines[depth, place] = lines[depth, place - 1]
                    place -= 1
                weights[place], moves[depth, place] = weight, move
                lines[depth, place] = wins
                count += 1
        if not done:
            owns[depth], occupieds[depth], keys[depth] = own, occupied, key
            alphas[depth], betas[depth], bests[depth] = alpha, beta, -CELLS
            lows[depth], highs[depth], left[depth] = low, high, count
        # Hand the value up until a position has a move left to try.
        while done:
            depth -= 1
            if depth < 0:
                return value, visited
            stones -= 1
            value = -value
            bests[depth] = max(bests[depth], value)
            alphas[depth] = max(alphas[depth], value)
            if value >= betas[depth]:
                low, high = value, highs[depth]
            elif left[depth] == 0:
                value = bests[depth]
                low, high = lows[depth], value
            else:
                break
            if stones < _STORED_UNTIL:
                _store(table, keys[depth], low, high, stones)
        left[depth] -= 1
        own = owns[depth] ^ occupieds[depth]
        occupied = occupieds[depth] | moves[depth, left[depth]]
        threats = lines[depth, left[depth]]
        alpha, beta = -betas[depth], -alphas[depth]
        depth += 1
        stones += 1


@njit(cache=True, nogil=True)
def _solve(own, occupied, low, high, table, budget):
    """(score, positions visited), the score clipped to low … high; null windows from 0 on towards the score."""
    stones = _count(occupied)
    if _has_four(own ^ occupied):
        return min(max(-((CELLS + 2 - stones) >> 1), low), high), 1
    if stones == CELLS:
        return min(max(0, low), high), 1
    if (_winning_squares(own, occupied) & (occupied + _LOWEST)) != U(0):
        return min(max((CELLS + 1 - stones) >> 1, low), high), 1
    least, most = low, high
    low, high = max(low, -((CELLS - stones) >> 1)), min(high, (CELLS - 1 - stones) >> 1)
    total, guess = 0, 0
    while low < high:
        guess = min(max(guess, low), high - 1)
        value, visited = _search(own, occupied, guess, guess + 1, table, budget - total)
        total += visited
        if value == _OUT_OF_BUDGET:
            return value, total
        if value <= guess:
            high = value
            guess = value - 1
        else:
            low = guess = value
    return min(max(low, least), most), total


class Solution(NamedTuple):
    """What is known of a position. `best` are the moves (columns) that keep its score; None: the budget ran out."""

    score: int | None
    best: tuple[int, ...]


class Solver:
    """Exact scores. What it has found out it keeps, as far as its table holds it.

    Attributes:
        visited: positions visited so far.
    """

    def __init__(self) -> None:
        self._table = np.zeros(2 << TABLE_BITS, U)
        self.visited = 0

    def forget(self) -> None:
        """Empty the table: what follows costs the same whatever was asked before."""
        self._table[:] = 0

    def score(self, own: int, other: int, low: int = -CELLS, high: int = CELLS, budget: int = NO_BUDGET) -> int | None:
        """The score for the player to move, who has the stones `own`; clipped to low … high, which is quicker.

        None where more than `budget` positions would have to be visited. A position that is over has a score, too.
        """
        value, visited = _solve(U(own), U(own | other), low, high, self._table, budget)
        self.visited += int(visited)
        return None if value == _OUT_OF_BUDGET else int(value)

    def move_scores(self, own: int, other: int, low: int = -CELLS, high: int = CELLS) -> dict[int, int]:
        """By legal column, the score after that move for the one who made it; clipped to low … high."""
        scores = {}
        for column in columns(own | other):
            value = self._child(own, other, column, -high, -low, NO_BUDGET)
            assert value is not None, "nothing limits this search"
            scores[column] = -value
        return scores

    def solve(self, own: int, other: int, budget: int = NO_BUDGET, low: int = -CELLS, high: int = CELLS) -> Solution:
        """The score of a position that is not over, clipped to low … high, and every move that keeps it."""
        start = self.visited
        score = self.score(own, other, low, high, budget)
        if score is None:
            return Solution(None, ())
        best = []
        for column in columns(own | other):
            left = budget - (self.visited - start)
            value = self._child(own, other, column, max(-score, -high), min(1 - score, -low), left)
            if value is None:
                return Solution(None, ())
            if -value == score:
                best.append(column)
        return Solution(score, tuple(best))

    def _child(self, own: int, other: int, column: int, low: int, high: int, budget: int) -> int | None:
        return self.score(*play(own, other, column), low, high, budget)


def columns(occupied: int) -> list[int]:
    """The columns that are not full."""
    return [column for column in range(COLUMNS) if _stone(occupied, column)]


def _stone(occupied: int, column: int) -> int:
    """The bit on which a stone comes to rest, 0 in a full column."""
    return (occupied + (1 << (8 * column))) & (((1 << ROWS) - 1) << (8 * column))


def play(own: int, other: int, column: int) -> tuple[int, int]:
    """The position after a stone in this column, from the side of the next to move."""
    return other, own | _stone(own | other, column)


def has_four(board: int) -> bool:
    """Whether these stones hold four in a row."""
    return bool(_has_four(U(board)))


class PerfectPolicy:
    """Uniform over the moves with the best score: the fastest win, the slowest loss. Its value is the result.

    From `EXACT_PLY` stones on that is exact. Before, where half of `BUDGET` positions does not settle the score, it
    plays any move that keeps the result; where the other half does not settle that, the column nearest to the centre,
    without an opinion of the value (0). Decisions there start from an empty table: the same position always gets the
    same answer.
    """

    def __init__(self) -> None:
        self._solver = Solver()
        self._early: dict[tuple[int, int], Solution] = {}

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        boards = boards_of(observation).cpu()
        positions, row = boards.unique(dim=0, return_inverse=True)
        choice = torch.zeros(len(positions), COLUMNS, dtype=torch.bool)
        value = torch.zeros(len(positions))
        for index, (own, other) in enumerate(positions.tolist()):
            score, best = self._solve(own, other)
            choice[index, list(best)] = True
            value[index] = float(np.sign(score or 0))
        device = observation.device
        return Decision(uniform(choice[row]).to(device), value[row].to(device))

    def _solve(self, own: int, other: int) -> Solution:
        occupied = own | other
        if occupied.bit_count() >= EXACT_PLY:
            return self._solver.solve(own, other)
        if (own, other) not in self._early:
            self._solver.forget()
            found = self._solver.solve(own, other, BUDGET // 2)
            if found.score is None:
                found = self._solver.solve(own, other, BUDGET // 2, -1, 1)
            if found.score is None:
                found = Solution(None, (min(columns(occupied), key=lambda column: abs(column - COLUMNS // 2)),))
            self._early[own, other] = found
        return self._early[own, other]


def random_position(rng: np.random.Generator, plies: int) -> tuple[int, int]:
    """(own, other) after `plies` uniformly random legal moves: not over, and nobody wins with the next stone."""
    while True:
        own, other = 0, 0
        for _ in range(plies):
            own, other = play(own, other, int(rng.choice(columns(own | other))))
            if has_four(other):
                break
        else:
            if plies < CELLS and not winning_columns(own, other):
                return own, other


def winning_columns(own: int, other: int) -> list[int]:
    """The columns in which the player to move wins at once."""
    occupied = own | other
    return [column for column in columns(occupied) if has_four(own | _stone(occupied, column))]


def position_after(moves: str) -> tuple[int, int]:
    """(own, other) after moves typed as column numbers 1 … 7, the usual notation of solved positions."""
    own, other = 0, 0
    for move in moves:
        own, other = play(own, other, int(move) - 1)
    return own, other


def as_observation(positions: list[tuple[int, int]]) -> NDArray[np.uint8]:
    """Positions as the game shows them: [B, 2, 6, 7]."""
    boards = np.array(positions, dtype=np.int64)
    bits = 8 * np.arange(COLUMNS) + np.arange(ROWS - 1, -1, -1)[:, None]
    return ((boards[:, :, None, None] >> bits) & 1).astype(np.uint8)
