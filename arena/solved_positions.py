"""A sample of connect four positions with the exact score of every move, by which agents are measured.

`python -m arena.solved_positions > arena/data/connect_four.csv` makes it anew, in about ten minutes. Positions come
from ply `FIRST_PLY` to `LAST_PLY` of games between players who move at random (every other one) or who take wins, block
them and else move at random. Kept are `COUNT` positions in which the choice matters (nobody wins at once; some moves
keep the result, some do not) and `LOST` in which every move loses, but not within `LASTING` plies; none twice.
"""

from __future__ import annotations

import csv
import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from agents.connect_four_solver import (
    CELLS,
    COLUMNS,
    Solver,
    columns,
    has_four,
    play,
    position_after,
    winning_columns,
)

COUNT, LOST = 500, 50
FIRST_PLY, LAST_PLY = 8, 30
FIRST_LOST_PLY, LASTING = 12, 6
SEED = 0


@dataclass(frozen=True)
class SolvedPosition:
    """A position after `moves` (columns 1 … 7) and, by legal column (0 … 6), the score after moving there."""

    moves: str
    scores: dict[int, int]

    @property
    def position(self) -> tuple[int, int]:
        """(own, other), as in `agents.connect_four_solver`."""
        return position_after(self.moves)

    @property
    def score(self) -> int:
        return max(self.scores.values())

    @property
    def result(self) -> int:
        """1 for a win of the player to move, 0 a draw, −1 a loss."""
        return int(np.sign(self.score))

    def keeps(self, column: int) -> bool:
        """Whether a move there keeps the result."""
        return np.sign(self.scores[column]) == self.result

    @property
    def plies_left(self) -> int:
        """Until the end, both sides playing perfectly."""
        if self.score == 0:
            return CELLS - len(self.moves)
        end = 44 - 2 * abs(self.score)  # stones on the board at the end, or one less, by who wins
        winner_moves = self.score > 0
        return end - len(self.moves) - ((end - len(self.moves)) % 2 != winner_moves)


@functools.cache
def solved_positions() -> tuple[list[SolvedPosition], list[SolvedPosition]]:
    """(those in which the choice matters, the lost ones), in the order in which they were drawn."""
    text = (files("arena") / "data" / "connect_four.csv").read_text()
    rows = csv.reader(text.splitlines())
    next(rows)
    every = [
        SolvedPosition(moves, {column: int(score) for column, score in enumerate(scores) if score})
        for moves, *scores in rows
    ]
    return [p for p in every if p.result >= 0], [p for p in every if p.result < 0]


def _draw(rng: np.random.Generator, careful: bool) -> str | None:
    """A position's moves; None where the game ends before, or where somebody wins at once."""
    own, other = 0, 0
    moves = ""
    for _ in range(int(rng.integers(FIRST_PLY, LAST_PLY + 1))):
        wins, blocks = winning_columns(own, other), winning_columns(other, own)
        choice = (wins or blocks if careful else []) or columns(own | other)
        moves += str(int(rng.choice(choice)) + 1)
        own, other = play(own, other, int(moves[-1]) - 1)
        if has_four(other):
            return None
    return None if winning_columns(own, other) else moves


def _generate() -> Iterator[SolvedPosition]:
    rng, solver, seen = np.random.default_rng(SEED), Solver(), set()
    wanted = {True: COUNT, False: LOST}
    while any(wanted.values()):
        moves = _draw(rng, careful=sum(wanted.values()) % 2 == 1)
        if moves is None or (position := position_after(moves)) in seen:
            continue
        result = solver.score(*position, -1, 1)
        results = set(solver.move_scores(*position, -1, 1).values())
        if len(results) == 1 and (result != -1 or len(moves) < FIRST_LOST_PLY):
            continue
        found = SolvedPosition(moves, solver.move_scores(*position))
        matters = len(results) > 1
        if wanted[matters] and (matters or found.plies_left > LASTING):
            wanted[matters] -= 1
            seen.add(position)
            yield found


def main() -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["moves", *(f"score of {column + 1}" for column in range(COLUMNS))])
    for found in _generate():
        writer.writerow([found.moves, *(found.scores.get(column, "") for column in range(COLUMNS))])
        sys.stdout.flush()


if __name__ == "__main__":
    main()
