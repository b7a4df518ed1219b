"""Replay memory: wrap-around, types, sampling, priorities against a float64 reference, state."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from agents.buffers import PrioritisedReplay, ReplayBuffer, SumTree, Transitions
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
        (x % 2).float(),
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
    batch, index, weight = buffer.sample(3000, torch.Generator().manual_seed(0))
    assert (weight == 1).all()
    assert torch.equal(index, batch.action - 1)
    for column, expected in zip(batch, rows(*batch.action.tolist()), strict=True):
        assert torch.equal(column, expected)
    counts = torch.bincount(batch.action, minlength=4)
    assert counts[0] == 0
    assert (counts[1:] - 1000).abs().max() < 110


@pytest.mark.parametrize("capacity", [1, 2, 5, 8, 1000])
def test_sum_tree_finds_what_a_running_sum_does(capacity: int) -> None:
    rng = np.random.default_rng(capacity)
    numbers = rng.random(capacity) * (rng.random(capacity) < 0.7)
    numbers[[0, -1]] = 0.0  # nothing to be found at either edge
    numbers[capacity // 2] = 1e-3
    tree = SumTree(capacity, torch.device("cpu"))
    tree.put(torch.arange(capacity), torch.rand(capacity, dtype=torch.float64))
    for part in np.array_split(rng.permutation(capacity), 3):
        tree.put(torch.from_numpy(part), torch.from_numpy(numbers[part]))
    quantiles = rng.random(2000)
    expected = np.searchsorted(np.cumsum(numbers), quantiles * numbers.sum(), side="right")
    assert tree.find(torch.from_numpy(quantiles)).tolist() == expected.tolist()
    np.testing.assert_allclose(tree.share(torch.arange(capacity)), numbers / numbers.sum(), rtol=1e-12)
    edges = tree.find(torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert (tree.leaves[edges] > 0).all()


def test_priorities_are_what_the_paper_says() -> None:
    """P(i) = pᵢ^α / Σ p^α and (N P(i))^−β over the batch's largest, of a memory that has been written over once."""
    alpha, beta, capacity = 0.6, 0.5, 6
    buffer = PrioritisedReplay(SPEC, capacity, torch.device("cpu"), alpha)
    buffer.add(rows(0, 1, 2, 3, 4, 5))
    generator = torch.Generator().manual_seed(0)
    batch = buffer.sample(600, generator, beta)
    assert torch.bincount(batch.place).tolist() == [100] * 6  # all are new; one from each of 600 equal parts
    assert (batch.weight == 1).all()

    buffer.learnt(torch.arange(6), torch.tensor([0.1, 0.0, 2.0, -8.0, 0.5, 1.0]))
    buffer.add(rows(6, 7))  # over the first two, with the largest priority so far
    errors = np.array([8.0, 8.0, 2.0, 8.0, 0.5, 1.0])
    priorities = (errors + PrioritisedReplay.LITTLE) ** alpha
    probabilities = priorities / priorities.sum()
    batch = buffer.sample(100_000, generator, beta)
    assert batch.rows.action[batch.place == 0].unique().tolist() == [6]
    frequencies = np.bincount(batch.place, minlength=6) / 100_000
    np.testing.assert_allclose(frequencies, probabilities, atol=2e-5)  # drawn part by part: almost no spread
    weights = (capacity * probabilities) ** -beta
    np.testing.assert_allclose(batch.weight, (weights / weights.max())[batch.place], rtol=1e-6)
    buffer.learnt(torch.tensor([3]), torch.tensor([0.0]))
    buffer.add(rows(8))
    assert buffer.priorities.share(torch.tensor([2])) > 100 * buffer.priorities.share(torch.tensor([3])) > 0


@pytest.mark.parametrize("prioritised", [False, True])
def test_state_goes_on_where_it_was(prioritised: bool) -> None:
    first, second = (
        PrioritisedReplay(SPEC, 4, torch.device("cpu"), 0.7)
        if prioritised
        else ReplayBuffer(SPEC, 4, torch.device("cpu"))
        for _ in range(2)
    )
    first.add(rows(1, 2, 3, 4, 5))
    first.learnt(torch.tensor([0, 2]), torch.tensor([3.0, 0.1]))
    second.load(*first.state())
    for buffer in (first, second):
        buffer.add(rows(6))
    for a, b in zip(first.rows, second.rows, strict=True):
        assert torch.equal(a, b)
    drawn = [buffer.sample(50, torch.Generator().manual_seed(1), 0.4) for buffer in (first, second)]
    assert torch.equal(drawn[0].place, drawn[1].place)
    assert torch.equal(drawn[0].weight, drawn[1].weight)
