"""The board games as compiled single-game rules, for players who play out thousands of games over one move.

They are the rules of `envs/boards/` (tested against them move by move), where a batch of games is what is fast; here
it is one game. A position is an int64 array:

- tic-tac-toe, connect four, othello: [own, other], the boards of the player to move and of the other one, with the
  bits of `envs/boards/`;
- go: the points (1 black, −1 white), then the colour to move, the point that ko forbids (−1: none) and whether the
  last move was a pass. Games of go have no limit here, and superko is not known.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from envs.boards import connect_four, tic_tac_toe
from envs.boards.drawings import TIC_TAC_TOE_LINES

TIC_TAC_TOE, CONNECT_FOUR, OTHELLO, GO = range(4)
CODES = {"tic_tac_toe": TIC_TAC_TOE, "connect_four": CONNECT_FOUR, "othello": OTHELLO, "go": GO}
GOES_ON = 2
"""What `play` gives while the game is not over; else 1, 0 or −1 for the one who moved."""

Int64s = NDArray[np.int64]
_LINES = np.array(TIC_TAC_TOE_LINES, dtype=np.int64)
_FULL, _COLUMN = connect_four._FULL, connect_four._COLUMN
_SHIFTS = ((1, 0x7E7E7E7E7E7E7E7E), (7, 0x7E7E7E7E7E7E7E7E), (8, -1), (9, 0x7E7E7E7E7E7E7E7E))


def positions(code: int, observation: Tensor) -> Int64s:
    """The positions that are seen as observation [B, *obs] of a native game → [B, length] int64."""
    if code == GO:
        own, other, _, last, black = observation.flatten(2).long().unbind(1)
        colour = 2 * black[:, :1] - 1
        passed = (last.sum(1) == 0) & ((own + other).any(1) | (colour[:, 0] == -1))
        nothing = torch.full_like(colour, -1)
        return torch.cat([(own - other) * colour, colour, nothing, passed.long().unsqueeze(1)], 1).cpu().numpy()
    if code == CONNECT_FOUR:
        return connect_four.boards_of(observation).cpu().numpy()
    if code == TIC_TAC_TOE:
        return tic_tac_toe.boards_of(observation).cpu().numpy()
    squares = observation.flatten(2).long()
    return (squares << torch.arange(64, device=observation.device)).sum(-1).cpu().numpy()


@njit(inline="always")
def _right(board, shift):
    """Logical shift."""
    return np.int64(np.uint64(board) >> np.uint64(shift))


@njit(inline="always")
def _has_four(board):
    found = np.int64(0)
    for step in (1, 7, 8, 9):
        pairs = board & (board >> step)
        found |= pairs & (pairs >> (2 * step))
    return found != 0


@njit
def _othello_moves(own, other):
    empty, moves = ~(own | other), np.int64(0)
    for shift, inner in _SHIFTS:
        through = other & inner
        left, right = (own << shift) & through, _right(own, shift) & through
        for _ in range(5):
            left |= (left << shift) & through
            right |= _right(right, shift) & through
        moves |= ((left << shift) | _right(right, shift)) & empty
    return moves


@njit
def _othello_flips(disc, own, other):
    flips = np.int64(0)
    for shift, inner in _SHIFTS:
        through = other & inner
        left, right = (disc << shift) & through, _right(disc, shift) & through
        for _ in range(5):
            left |= (left << shift) & through
            right |= _right(right, shift) & through
        if (left << shift) & own:
            flips |= left
        if _right(right, shift) & own:
            flips |= right
    return flips


@njit
def _bits(board):
    count = 0
    while board != 0:
        board &= board - 1
        count += 1
    return count


@njit
def _neighbours(point, size, out):
    row, column, count = point // size, point % size, 0
    if row > 0:
        out[count] = point - size
        count += 1
    if row < size - 1:
        out[count] = point + size
        count += 1
    if column > 0:
        out[count] = point - 1
        count += 1
    if column < size - 1:
        out[count] = point + 1
        count += 1
    return count


@njit
def _breathes(state, size, start, seen, stack):
    """Whether the chain at `start` has a liberty; where it has none, stack[:count] is the chain. (breathes, count)."""
    colour, around = state[start], np.empty(4, np.int64)
    seen[:] = 0
    seen[start], stack[0], count, place = 1, start, 1, 0
    while place < count:
        for i in range(_neighbours(stack[place], size, around)):
            point = around[i]
            if state[point] == 0:
                return True, count
            if state[point] == colour and seen[point] == 0:
                seen[point], stack[count] = 1, point
                count += 1
        place += 1
    return False, count


@njit
def _go_place(state, size, point):
    """Play on an empty point. Where that is suicide nothing changes: False. Ko is not checked."""
    points, around = size * size, np.empty(4, np.int64)
    seen, stack = np.empty(points, np.int8), np.empty(points, np.int64)
    colour, captured, last, walled = state[points], 0, -1, True
    state[point] = colour
    count = _neighbours(point, size, around)
    for i in range(count):
        if state[around[i]] != -colour:
            walled = False
    for i in range(count):
        if state[around[i]] == -colour:
            breathes, stones = _breathes(state, size, around[i], seen, stack)
            if not breathes:
                for j in range(stones):
                    state[stack[j]] = 0
                captured, last = captured + stones, stack[0]
    if captured == 0 and not _breathes(state, size, point, seen, stack)[0]:
        state[point] = 0
        return False
    state[points], state[points + 1], state[points + 2] = -colour, last if captured == 1 and walled else -1, 0
    return True


@njit
def _go_allowed(state, size, point):
    """Whether a stone on an empty point would have a liberty; ko is not checked."""
    around = np.empty(4, np.int64)
    for i in range(_neighbours(point, size, around)):
        if state[around[i]] == 0:
            return True
    return _go_place(state.copy(), size, point)


@njit
def _go_area(state, size):
    """Black's area minus white's."""
    points, around = size * size, np.empty(4, np.int64)
    seen, stack, area = np.zeros(points, np.int8), np.empty(points, np.int64), 0
    for start in range(points):
        area += state[start]
        if state[start] != 0 or seen[start]:
            continue
        seen[start], stack[0], count, place, colours = 1, start, 1, 0, 0
        while place < count:
            for i in range(_neighbours(stack[place], size, around)):
                point = around[i]
                if state[point] == 0:
                    if seen[point] == 0:
                        seen[point], stack[count] = 1, point
                        count += 1
                else:
                    colours |= 1 if state[point] == 1 else 2
            place += 1
        area += count if colours == 1 else -count if colours == 2 else 0
    return area


@njit
def _own_eye(state, size, point):
    """Whether all around an empty point are stones of the player to move: filling it rarely helps."""
    around = np.empty(4, np.int64)
    return np.all(state[around[: _neighbours(point, size, around)]] == state[size * size])


@njit
def legal(code, size, state, out):
    """Write the legal actions to `out`, lowest first; how many."""
    count = 0
    if code == GO:
        points = size * size
        for point in range(points):
            if state[point] == 0 and point != state[points + 1] and _go_allowed(state, size, point):
                out[count] = point
                count += 1
        out[count] = points
        return count + 1
    own, other = state[0], state[1]
    if code == TIC_TAC_TOE:
        for square in range(9):
            if not ((own | other) >> square) & 1:
                out[count] = square
                count += 1
    elif code == CONNECT_FOUR:
        for column in range(7):
            if not ((own | other) >> (8 * column + 5)) & 1:
                out[count] = column
                count += 1
    else:
        moves = _othello_moves(own, other)
        for square in range(64):
            if (moves >> square) & 1:
                out[count] = square
                count += 1
        if count == 0:
            out[0], count = 64, 1
    return count


@njit
def play(code, size, komi, state, action):
    """Play a legal action in place: GOES_ON, or the result for the one who moved. The next player is to move then."""
    if code == GO:
        points = size * size
        if action < points:
            _go_place(state, size, action)
            return GOES_ON
        if state[points + 2]:
            return _go_result(state, size, komi)
        state[points], state[points + 1], state[points + 2] = -state[points], -1, 1
        return GOES_ON
    own, other = state[0], state[1]
    result = GOES_ON
    if code == TIC_TAC_TOE:
        own |= np.int64(1) << action
        for line in _LINES:
            if own & line == line:
                result = 1
        if result == GOES_ON and (own | other) == 0b111111111:
            result = 0
    elif code == CONNECT_FOUR:
        free = (np.int64(_COLUMN) << (8 * action)) & ~(own | other)
        own |= free & -free
        result = 1 if _has_four(own) else 0 if (own | other) == _FULL else GOES_ON
    elif action < 64:
        disc = np.int64(1) << action
        flips = _othello_flips(disc, own, other)
        own, other = own | disc | flips, other & ~flips
    if code == OTHELLO and _othello_moves(other, own) == 0 and _othello_moves(own, other) == 0:
        difference = _bits(own) - _bits(other)
        result = 1 if difference > 0 else -1 if difference < 0 else 0
    state[0], state[1] = other, own
    return result


@njit
def _go_result(state, size, komi):
    """For the player to move, if the game is over now."""
    margin = (_go_area(state, size) - komi) * state[size * size]
    return 1 if margin > 0 else -1 if margin < 0 else 0


@njit
def next_random(random):
    """Xorshift64* (Vigna 2016) on random[0] uint64; the upper 31 bits of the next number."""
    x = random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    random[0] = x
    return np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(33))


@njit
def play_out(code, size, komi, state, random, scratch):
    """Play uniformly random legal moves to the end, in place: the result for the player who is to move now.

    In go nobody fills an eye of their own, passes only where nothing else is left, and games of three plies a point are
    counted as they stand.
    """
    sign, ply = 1, 0
    while True:
        if code == GO:
            if ply > 3 * size * size:
                return sign * _go_result(state, size, komi)
            action = _go_random(state, size, random, scratch)
            result = GOES_ON
            if action == size * size:  # a stone has been played already
                result = play(code, size, komi, state, action)
        else:
            count = legal(code, size, state, scratch)
            result = play(code, size, komi, state, scratch[next_random(random) % count])
        if result != GOES_ON:
            return sign * result
        sign, ply = -sign, ply + 1


@njit
def _go_random(state, size, random, scratch):
    """Play on a random point that is no own eye; where there is none, give the pass and play nothing."""
    points, count = size * size, 0
    for point in range(points):
        if state[point] == 0 and point != state[points + 1]:
            scratch[count] = point
            count += 1
    while count > 0:
        index = next_random(random) % count
        point = scratch[index]
        if not _own_eye(state, size, point) and _go_place(state, size, point):
            return point
        count -= 1
        scratch[index] = scratch[count]
    return points
