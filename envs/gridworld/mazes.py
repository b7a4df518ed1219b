"""Mazes grown from seeds, batched: random spanning trees of a square of rooms, with a few loops.

A maze of odd `size` has m × m rooms, m = (size − 1) / 2, at the odd cells; the cell between two neighbouring rooms is
open or a wall. The tree is the minimum spanning tree of random weights, found with Borůvka's algorithm (each round
joins every component along its lightest edge, so log2 m² rounds join all). Of the remaining walls about one in ten is
opened.

Two sets of mazes, disjoint by construction: each wall between rooms has a fixed key bit, and a maze's parity is the sum
of the key bits of its open walls modulo 2. Mazes for learning are odd, held-out ones even. A maze of the wrong parity
gets one wall with key bit 1 that the tree does not need opened, or closed; the key bits of the four walls around one
corner of rooms are 1, so that no tree needs all of them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from envs import chance

_EDGE_BITS = 10
_EDGE_MASK = (1 << _EDGE_BITS) - 1
_LOOP_CHANCE = 0.1
_NONE = 0x7FFFFFFFFFFFFFFF


@lru_cache(maxsize=16)
def _walls_between(rooms: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """first [E], second [E]: the rooms on both sides of each wall; cell [E]: its index in the grid; key [E] bool."""
    size = 2 * rooms + 1
    across = [(r, c, r, c + 1) for r in range(rooms) for c in range(rooms - 1)]
    down = [(r, c, r + 1, c) for r in range(rooms - 1) for c in range(rooms)]
    edges = torch.tensor(across + down, device=device)
    first, second = edges[:, 0] * rooms + edges[:, 1], edges[:, 2] * rooms + edges[:, 3]
    cell = (edges[:, 0] + edges[:, 2] + 1) * size + edges[:, 1] + edges[:, 3] + 1
    key = (chance.draw(torch.arange(len(edges), device=device), rooms) & 1).bool()
    return first, second, cell, key | (edges <= 1).all(1)


def room_cells(rooms: int, device: torch.device) -> Tensor:
    """[rooms²] int64: the cell of each room."""
    odd = torch.arange(rooms, device=device) * 2 + 1
    return (odd.unsqueeze(1) * (2 * rooms + 1) + odd).flatten()


def parity(walls: Tensor, size: int) -> Tensor:
    """[N] bool: the parity of mazes [N, size²]; True for those for learning, False for held-out ones."""
    _, _, cell, key = _walls_between(size // 2, walls.device)
    return (~walls[:, cell] & key).sum(1) % 2 == 1


def grow_mazes(seeds: Tensor, size: int, held_out: bool) -> Tensor:
    """seeds [N] → walls [N, size²] bool. Every open cell can be reached from every other. Uses draw 0 of plies 0 … E −
    1."""
    rooms = size // 2
    _, _, cell, key = _walls_between(rooms, seeds.device)
    edge = torch.arange(len(cell), device=seeds.device)
    draws = chance.draw(seeds.unsqueeze(1), edge)
    weight = (draws & ~_EDGE_MASK) | edge
    tree = _spanning_tree(weight, rooms)
    opened = tree | ((draws & _EDGE_MASK) < int(_LOOP_CHANCE * (_EDGE_MASK + 1)))
    wrong = ((opened & key).sum(1) % 2 == 1) == held_out
    spare = weight.masked_fill(tree | ~key, _NONE).amin(1) & _EDGE_MASK
    opened = opened ^ ((edge == spare.unsqueeze(1)) & wrong.unsqueeze(1))
    walls = torch.ones(len(seeds), size * size, dtype=torch.bool, device=seeds.device)
    walls[:, room_cells(rooms, seeds.device)] = False
    walls[:, cell] = ~opened
    return walls


def _spanning_tree(weight: Tensor, rooms: int) -> Tensor:
    """[N, E] bool: the walls to open for the minimum spanning tree. Weights [N, E] are distinct; their low bits are the
    wall's index."""
    first, second, _, _ = _walls_between(rooms, weight.device)
    num_games, num_walls = weight.shape
    label = torch.arange(rooms * rooms, device=weight.device).repeat(num_games, 1)
    room = label
    tree = torch.zeros(num_games, num_walls + 1, dtype=torch.bool, device=weight.device)
    components = rooms * rooms
    while components > 1:
        ends = label[:, first], label[:, second]
        joining = weight.masked_fill(ends[0] == ends[1], _NONE)
        lightest = torch.full_like(label, _NONE)
        for end in ends:
            lightest = lightest.scatter_reduce(1, end, joining, "amin")
        found = lightest != _NONE
        wall = torch.where(found, lightest & _EDGE_MASK, num_walls)
        tree.scatter_(1, wall, True)
        wall = wall.clamp(max=num_walls - 1)
        beyond = ends[0].gather(1, wall) + ends[1].gather(1, wall) - room
        parent = torch.where(found, beyond, room)
        mutual = (parent.gather(1, parent) == room) & (room < parent)
        parent = torch.where(mutual, room, parent)
        for _ in range((components - 1).bit_length()):
            parent = parent.gather(1, parent)
        label = parent.gather(1, label)
        components //= 2
    return tree[:, :num_walls]
