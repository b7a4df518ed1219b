"""How observations lie in memory: what is taken from it is what was put in, pictures with their channels last."""

from __future__ import annotations

import pytest
import torch

from agents.layout import room_for, rows


@pytest.mark.parametrize(("shape", "picture"), [((4, 84, 84), True), ((2, 7, 7), False), ((5,), False)])
def test_rows_are_those_of_the_index_and_lie_as_before(shape: tuple[int, ...], picture: bool) -> None:
    room = room_for((3, 2, 1), shape, torch.uint8, torch.device("cpu"))
    assert room.shape == (3, 2, 1, *shape)
    room.copy_(torch.randint(0, 256, room.shape, dtype=torch.uint8))
    flat, index = room.flatten(0, 2), torch.tensor([5, 0, 0, 3])
    taken = rows(flat, index)
    assert torch.equal(taken, flat[index])
    for each in (flat, taken):
        assert not picture or each.is_contiguous(memory_format=torch.channels_last)
        assert picture or each.is_contiguous()
