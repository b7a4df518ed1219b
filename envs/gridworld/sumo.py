"""Sumo: two wrestlers in a round ring that shrinks; who leaves it loses.

Both move at once: stay, or one cell up, down, left or right. Walking into the other pushes.

- The other stays: it is pushed one cell on, out of the ring if need be, and the pusher takes its cell.
- The other steps aside, or away: nobody is pushed, and both arrive where they went.
- Both walk into each other, or both into the same free cell: they hold each other, and nobody moves.

The ring loses its outermost cells after every ten moves, until nothing is left: on a ring of odd size the last thing to
stand on is a single cell. Who stands outside the ring after a move loses (−1, the other +1); if both do, it is a draw.
So a game lasts at most 10 · ⌈size / 2⌉ moves, and the clock is in the observation.

Four planes each, in its own perspective: itself, the other, the ring, and all over the board the number of moves until
the ring shrinks. A set cell is 10 as well, and `spec.scale` is 10. With `fog` the first three show only cells within
that Chebyshev distance.

The ring of radius r holds the cells at (y, x) from its middle with y² + x² ≤ r (r + 1). The wrestlers start opposite
each other, mirrored in the middle, at a place chosen by the seed inside the first ring to remain."""

from __future__ import annotations

import torch
from torch import Tensor

from envs import chance
from envs.gridworld.drawing import DIRECTIONS, FLOOR, HIDDEN, PLAYERS, draw_cells
from envs.gridworld.planes import grid_cells, places, within
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing
from envs.specs import GameSpec, Variant

MOVES = ("stay", "up", "down", "left", "right")
PERIOD = 10
_STAY = 0
_FALLING = (": ", "danger")
_OUTSIDE = ("  ", "plain")


class SumoRules:
    """State: `position` [N, 2], cells of a grid of side size + 2, so that it also says where someone fell. Observations
    show the inner grid of side size."""

    def __init__(self, size: int, fog: int, device: torch.device) -> None:
        self.size = size
        self.side = size + 2
        self.fog = fog
        cells = grid_cells(self.side, self.side)
        depth = _depth(cells, size)
        self.num_rings = int(depth.max())
        self.depth = depth.to(device)
        """[side²]: how many times the ring shrinks until the cell is gone; 0 outside it."""
        middle = self.side * self.side // 2 if size % 2 else -1
        starts = (depth >= 2) & (torch.arange(len(cells)) != middle)
        self._starts = starts.nonzero().squeeze(1).to(device)
        moves = [DIRECTIONS[name] for name in MOVES]
        self._offset = torch.tensor([row * self.side + column for row, column in moves], device=device)
        inner = ((cells >= 1) & (cells <= size)).all(1)
        self._cell = ((cells[:, 0] - 1) * size + cells[:, 1] - 1).masked_fill(~inner, 0).to(device)
        self._mark = (inner * PERIOD).to(device, torch.uint8)
        self._boards = _boards(depth[inner]).to(device)
        self._visible = within(cells, cells[inner], fog).to(device) if fog else None
        self._legal = torch.ones(1, 1, len(MOVES), dtype=torch.bool, device=device)
        self._seats = torch.arange(2, device=device)

    def init(self, seeds: Tensor) -> State:
        cell = self._starts[chance.below(seeds, 0, len(self._starts))]
        return {"position": torch.stack([cell, self.side * self.side - 1 - cell], dim=1)}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        position = state["position"]
        offset = self._offset.index_select(0, action.flatten()).view(action.shape)
        target = position + offset
        other, other_target = position.flip(1), target.flip(1)
        moving = action != _STAY
        pushed = ~moving & (other_target == position)
        head_on = ((target == other) & (other_target == position)) | (
            (target == other_target) & moving & moving.flip(1)
        )
        position = torch.where(head_on, position, target + offset.flip(1) * pushed)
        depth = self.depth.index_select(0, position.flatten()).view(position.shape)
        out = depth <= ((state["ply"] + 1) // PERIOD).unsqueeze(1)
        lost = out.float()
        return {"position": position}, lost.flip(1) - lost, out.any(1)

    def observe(self, state: State) -> Turn:
        position, ply = state["position"], state["ply"]
        planes = self._boards.index_select(0, ply)
        for seen, plane in ((position, 0), (position.flip(1), self.size * self.size)):
            cell = self._cell.index_select(0, seen.flatten()).view(seen.shape) + plane
            planes.view(-1).index_copy_(0, places(planes, cell), self._mark.index_select(0, seen.flatten()))
        if self._visible is not None:
            planes[:, :, :3] *= self._visible[position].unsqueeze(2)
        return Turn(
            planes.unflatten(-1, (self.size, self.size)),
            self._legal.expand(len(ply), 2, len(MOVES)),
            self._seats.expand(len(ply), 2),
        )

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        position = state["position"][index].tolist()
        ply = int(state["ply"][index])
        shrunk = ply // PERIOD
        depth = self.depth.tolist()
        cells = [_OUTSIDE if d <= shrunk else _FALLING if d == shrunk + 1 else FLOOR for d in depth]
        for player, cell in enumerate(position):
            cells[cell] = PLAYERS[player]
        at = None if seat is None else divmod(position[seat], self.side)
        if at is not None and self.fog:
            hidden = ~within(torch.tensor([at]), grid_cells(self.side, self.side), self.fog)[0]
            cells = [HIDDEN if hide else cell for cell, hide in zip(cells, hidden.tolist(), strict=True)]
        rows = [cells[row * self.side : (row + 1) * self.side] for row in range(self.side)]
        left = [PLAYERS[player][0].strip() for player, cell in enumerate(position) if depth[cell] <= shrunk]
        caption = f"{' and '.join(left)} left the ring" if left else f"the ring shrinks in {PERIOD - ply % PERIOD}"
        return draw_cells(rows, MOVES, at, caption)


def _depth(cells: Tensor, size: int) -> Tensor:
    """[(size + 2)²] int64: in how many of the ever smaller rings each cell lies."""
    twice = (2 * cells - (size + 1)).square().sum(1)
    radii = range(size - 1, -1, -2)
    return torch.stack([twice <= radius * (radius + 2) for radius in radii]).sum(0)


def _boards(depth: Tensor) -> Tensor:
    """[plies + 1, 2, 4, size²] uint8: what is seen at each ply of cells of this depth [size²], with nobody there."""
    ply = torch.arange(PERIOD * int(depth.max()) + 1)
    boards = torch.zeros(len(ply), 2, 4, len(depth), dtype=torch.uint8)
    boards[:, :, 2] = ((depth > (ply // PERIOD).unsqueeze(1)) * PERIOD).unsqueeze(1)
    boards[:, :, 3] = (PERIOD - ply % PERIOD).view(-1, 1, 1)
    return boards


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> NativeEnv:
    options = variant.all_options()
    size = int(options["size"])
    spec = GameSpec(
        game=str(variant),
        version=variant.game.version,
        num_players=2,
        num_slots=2,
        num_actions=len(MOVES),
        observation_shape=(4, size, size),
        observation_dtype="uint8",
        action_names=MOVES,
        zero_sum=True,
        scale=PERIOD,
    )
    return NativeEnv(spec, SumoRules(size, int(options["fog"]), device), num_envs, device, autoreset)
