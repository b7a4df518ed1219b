"""Replay memory: wrap-around, types, sampling, state."""

from __future__ import annotations

import dataclasses

import torch

from agents.buffers import ReplayBuffer, Transitions
from envs.registry import make

SPEC = dataclasses.replace(make("tic_tac_toe").spec, observation_shape=(2,), num_actions=3)


def rows(*numbers: int) -> Transitions:
    """Transitions that carry their number in every column."""
    x = torch.tensor(numbers, dtype=torch.int64)
    return Transitions(
        torch.stack([x, x], 1).to(torch.uint8),
        x,
        x.float(),
        torch.stack([x + 1, x + 1], 1).to(torch.uint8),
        (x.unsqueeze(1) >> torch.arange(3)) & 1 == 1,
        x % 2 == 1,
    )


def test_the_oldest_are_overwritten() -> None:
    buffer = ReplayBuffer(SPEC, 4, torch.device("cpu"))
    for batch in ((1, 2, 3), (), (4, 5)):
        buffer.add(rows(*batch))
    assert len(buffer) == 4
    assert buffer.rows.action.tolist() == [5, 2, 3, 4]
    for column, expected in zip(buffer.rows, rows(5, 2, 3, 4), strict=True):
        assert torch.equal(column, expected)
    assert buffer.rows.observation.dtype == torch.uint8
    buffer.add(rows(6, 7, 8, 9, 10, 11))
    assert sorted(buffer.rows.action.tolist()) == [8, 9, 10, 11]


def test_samples_are_whole_rows_and_uniform() -> None:
    buffer = ReplayBuffer(SPEC, 8, torch.device("cpu"))
    buffer.add(rows(1, 2, 3))
    batch = buffer.sample(3000, torch.Generator().manual_seed(0))
    for column, expected in zip(batch, rows(*batch.action.tolist()), strict=True):
        assert torch.equal(column, expected)
    counts = torch.bincount(batch.action, minlength=4)
    assert counts[0] == 0
    assert (counts[1:] - 1000).abs().max() < 110


def test_state_goes_on_where_it_was() -> None:
    first, second = (ReplayBuffer(SPEC, 4, torch.device("cpu")) for _ in range(2))
    first.add(rows(1, 2, 3, 4, 5))
    second.load(*first.state())
    for buffer in (first, second):
        buffer.add(rows(6))
    for a, b in zip(first.rows, second.rows, strict=True):
        assert torch.equal(a, b)
