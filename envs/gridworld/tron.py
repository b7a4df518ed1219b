"""Tron: two light cycles on a walled square, each leaving a trail; who runs into a wall or a trail loses.

Both move at once and must move. Turning back onto one's own trail is not legal. Who meets the edge or any trail (the
other's cell of a moment ago is one) crashes and stays where it was; if both would enter the same cell, both crash. A
crash loses (−1, the other +1); two at once are a draw. The cycles start mirrored in the middle, at least half the side
apart, at a place chosen by the seed.

Four planes each, in its own perspective: its head, the other's head, its trail, the other's trail (heads included).
With `fog` they show only cells within that Chebyshev distance of its head."""

from __future__ import annotations

import torch
from torch import Tensor

from envs import chance
from envs.gridworld.drawing import DIRECTIONS, FLOOR, HIDDEN, PLAYERS, draw_cells
from envs.gridworld.maps import MOVES
from envs.gridworld.planes import grid_cells, places, within
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing, Span
from envs.specs import GameSpec, Variant

_TRAILS: tuple[Span, Span] = (("▓▓", "player0"), ("▞▞", "player1"))
_BACK = (1, 0, 3, 2)
"""The action opposite to each of MOVES."""


class TronRules:
    """State: `head` [N, 2] cells, `trail` [N, 2, size²] bool, `heading` [N, 2] (0: not yet moved, else 1 + the last
    action)."""

    def __init__(self, size: int, fog: int, device: torch.device) -> None:
        self.size = size
        self.fog = fog
        cells = grid_cells(size, size)
        apart = (2 * cells - (size - 1)).abs().amax(1)
        self._starts = (apart >= size // 2).nonzero().squeeze(1).to(device)
        target = cells.unsqueeze(1) + torch.tensor([DIRECTIONS[name] for name in MOVES])
        inside = ((target >= 0) & (target < size)).all(2)
        self._target = torch.where(inside, target[..., 0] * size + target[..., 1], size * size).flatten().to(device)
        self._legal = torch.ones(1 + len(MOVES), len(MOVES), dtype=torch.bool, device=device)
        self._legal[range(1, 1 + len(MOVES)), _BACK] = False
        self._visible = within(cells, cells, fog).to(device) if fog else None
        self._seats = torch.arange(2, device=device)

    def init(self, seeds: Tensor) -> State:
        cell = self._starts[chance.below(seeds, 0, len(self._starts))]
        head = torch.stack([cell, self.size * self.size - 1 - cell], dim=1)
        trail = torch.zeros(len(seeds), 2, self.size * self.size, dtype=torch.bool, device=seeds.device)
        return {"head": head, "trail": trail.scatter_(2, head.unsqueeze(2), True), "heading": torch.zeros_like(head)}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        head, trail = state["head"], state["trail"]
        target = self._target.index_select(0, (head * len(MOVES) + action).flatten()).view(head.shape)
        outside = target == self.size * self.size
        cell = target.masked_fill(outside, 0)
        occupied = trail[:, 0].gather(1, cell) | trail[:, 1].gather(1, cell)
        crashed = outside | occupied | (target == target.flip(1))
        head = torch.where(crashed, head, target)
        trail = trail.clone(memory_format=torch.contiguous_format)
        trail.view(-1).index_fill_(0, places(trail, head), True)
        lost = crashed.float()
        return {"head": head, "trail": trail, "heading": action + 1}, lost.flip(1) - lost, crashed.any(1)

    def observe(self, state: State) -> Turn:
        head, trail = state["head"], state["trail"].view(torch.uint8)
        planes = torch.zeros(len(head), 2, 4, self.size * self.size, dtype=torch.uint8, device=head.device)
        for cell in (head, head.flip(1) + self.size * self.size):
            planes.view(-1).index_fill_(0, places(planes, cell), 1)
        planes[:, 0, 2:] = trail
        planes[:, 1, 2], planes[:, 1, 3] = trail[:, 1], trail[:, 0]
        if self._visible is not None:
            planes *= self._visible[head].unsqueeze(2)
        return Turn(
            planes.unflatten(-1, (self.size, self.size)),
            self._legal.index_select(0, state["heading"].flatten()).view(len(head), 2, len(MOVES)),
            self._seats.expand(len(head), 2),
        )

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        head = state["head"][index].tolist()
        cells = [FLOOR] * (self.size * self.size)
        for player, trail in enumerate(state["trail"][index]):
            for cell in trail.nonzero().squeeze(1).tolist():
                cells[cell] = _TRAILS[player]
            cells[head[player]] = PLAYERS[player]
        if seat is not None and self._visible is not None:
            cells = [cell if seen else HIDDEN for cell, seen in zip(cells, self._visible[head[seat]], strict=True)]
        rows = [cells[row : row + self.size] for row in range(0, len(cells), self.size)]
        caption = " against ".join(symbol.strip() for symbol, _ in PLAYERS)
        if seat is None:
            return draw_cells(rows, MOVES, caption=caption)
        legal = self._legal[state["heading"][index, seat]].nonzero().squeeze(1).tolist()
        return draw_cells(rows, MOVES, divmod(head[seat], self.size), caption, legal=legal)


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
    )
    return NativeEnv(spec, TronRules(size, int(options["fog"]), device), num_envs, device, autoreset)
