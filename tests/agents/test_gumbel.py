"""Gumbel's search: it sees the games' own observations, its arithmetic is the paper's, it finds wins and blocks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from agents.gumbel import VISITS, Found, GumbelSearch, halving_schedule
from envs.errors import UsageError
from envs.registry import make
from envs.specs import GameSpec

GAMES = ("tic_tac_toe", "connect_four", "othello", "go?size=5")


def no_idea(num_actions: int) -> object:
    """Every move alike, every position even."""
    return lambda observation: (torch.zeros(len(observation), num_actions), torch.zeros(len(observation)))


def search_without_an_idea(spec: GameSpec, observation: Tensor, mask: Tensor, simulations: int, **more: float) -> Found:
    assert spec.num_actions is not None
    search = GumbelSearch(spec, simulations, **more)  # type: ignore[arg-type]
    zeros = torch.zeros(mask.shape)
    evaluate = no_idea(spec.num_actions)
    return search(evaluate, observation, mask, zeros, torch.zeros(len(mask)), zeros)  # type: ignore[arg-type]


@pytest.mark.parametrize("game", GAMES)
def test_the_search_shows_the_network_what_the_game_shows(game: str) -> None:
    """One simulation evaluates the position after the move with the largest noise: what the game shows after it."""
    env = make(game, 4)
    assert env.spec.num_actions is not None
    search = GumbelSearch(env.spec, 1)
    turn = env.reset(torch.arange(4))
    generator = torch.Generator().manual_seed(0)
    compared = 0
    for _ in range(70):
        assert turn.legal_action_mask is not None
        observation, mask = turn.observation[:, 0], turn.legal_action_mask[:, 0]
        seen: list[Tensor] = []

        def evaluate(observation: Tensor, seen: list[Tensor] = seen) -> tuple[Tensor, Tensor]:
            seen.append(observation.clone())
            return torch.zeros(len(observation), env.spec.num_actions or 0), torch.zeros(len(observation))

        noise = torch.rand(mask.shape, generator=generator)
        found = search(evaluate, observation, mask, torch.zeros(mask.shape), torch.zeros(4), noise)
        assert torch.equal(found.action, noise.masked_fill(~mask, -1.0).argmax(-1))
        assert torch.equal(found.visits, torch.nn.functional.one_hot(found.action, env.spec.num_actions))
        step = env.step(found.action.unsqueeze(1))
        going = ~(step.terminated | step.truncated)
        if bool(going.any()):
            assert torch.equal(seen[0], step.turn.observation[going, 0])
            compared += 1
        turn = step.turn
    assert compared > 20


def test_sequential_halving_by_hand() -> None:
    # Two phases of four simulations: once each of four, then twice each of the better two.
    assert halving_schedule(4, 8) == [0, 0, 0, 0, 1, 1, 2, 2]
    # What is left over goes on with the last two.
    assert halving_schedule(3, 9) == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert halving_schedule(4, 3) == [0, 0, 0]
    assert halving_schedule(1, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize("game", GAMES)
def test_every_simulation_is_counted_and_only_legal_moves_are_tried(game: str) -> None:
    env = make(game, 6)
    turn = env.reset(torch.arange(6))
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        assert turn.legal_action_mask is not None
        turn = env.step(torch.multinomial(turn.legal_action_mask[:, 0].float(), 1, generator=generator)).turn
    assert turn.legal_action_mask is not None
    mask = turn.legal_action_mask[:, 0]
    found = search_without_an_idea(env.spec, turn.observation[:, 0], mask, 40)
    assert found.visits.sum(-1).tolist() == [40] * 6
    assert not bool((found.visits > 0)[~mask].any())
    assert bool((found.policy[~mask] == 0).all())
    assert torch.allclose(found.policy.sum(-1), torch.ones(6))
    assert bool(mask.gather(1, found.action.unsqueeze(1)).all())
    # In any company the same, and so in several threads, more of them than positions too.
    for threads in (3, 9):
        parts = search_without_an_idea(env.spec, turn.observation[:, 0], mask, 40, threads=threads)
        assert all(torch.equal(a, b) for a, b in zip(parts, found, strict=True))
    alone = search_without_an_idea(env.spec, turn.observation[2:3, 0], mask[2:3], 40)
    assert torch.equal(alone.policy, found.policy[2:3])


def test_the_improved_policy_by_hand() -> None:
    """One move of tic-tac-toe fills the board: two simulations of two squares, one of which wins."""
    env = make("tic_tac_toe", 1, autoreset=False)
    turn = env.reset(torch.zeros(1, dtype=torch.int64))
    for square in (0, 3, 1, 4, 6, 2, 5):  # ✕ 0 1 6 5, ○ 3 4 2; 7 and 8 are free and ○ to move: neither wins at once
        turn = env.step(torch.tensor([[square]])).turn
    assert turn.legal_action_mask is not None
    mask = turn.legal_action_mask[:, 0]
    assert mask[0].nonzero().flatten().tolist() == [7, 8]
    logits = torch.zeros(1, 9)
    logits[0, 7] = 1.0
    # The network thinks every position good for the one to move there: 0.5.
    seen: list[Tensor] = []

    def evaluate(observation: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(observation.clone())
        return torch.zeros(len(observation), 9), torch.full((len(observation),), 0.5)

    search = GumbelSearch(env.spec, 2, value_scale=0.1)
    found = search(evaluate, turn.observation[:, 0], mask, logits, torch.tensor([0.2]), torch.zeros(1, 9))
    assert [len(batch) for batch in seen] == [1, 1]
    assert found.visits[0, 7:].tolist() == [1, 1]
    # q = −0.5 for both, so the prior stays.
    assert found.policy[0, 7:].tolist() == pytest.approx(torch.tensor([1.0, 0.0]).softmax(0).tolist())
    assert float(found.value) == pytest.approx(-0.5)
    assert int(found.action) == 7
    # A discount holds for every ply.
    half = GumbelSearch(env.spec, 2, value_scale=0.1, gamma=0.5)
    found = half(evaluate, turn.observation[:, 0], mask, logits, torch.tensor([0.2]), torch.zeros(1, 9))
    assert float(found.value) == pytest.approx(-0.25)
    # With one simulation the other action counts as the mix of the position's value and what was seen of it.
    once = GumbelSearch(env.spec, 1, value_scale=0.1)
    found = once(evaluate, turn.observation[:, 0], mask, logits, torch.tensor([0.2]), torch.zeros(1, 9))
    mixed = (0.2 + -0.5) / 2
    scores = torch.tensor([1.0 + (VISITS + 1) * 0.1 * -0.5, (VISITS + 1) * 0.1 * mixed])
    assert found.policy[0, 7:].tolist() == pytest.approx(scores.softmax(0).tolist(), rel=1e-5)


def test_without_an_idea_it_still_takes_wins_and_blocks_them() -> None:
    spec = make("connect_four").spec
    for moves, expected, sign in (([0, 1, 0, 1, 0, 1], 0, 1), ([3, 1, 3, 1, 3], 3, 0), ([0, 2, 0, 3, 6, 4], None, -1)):
        env = make("connect_four", 1)
        turn = env.reset(torch.zeros(1, dtype=torch.int64))
        for move in moves:
            turn = env.step(torch.tensor([[move]])).turn
        assert turn.legal_action_mask is not None
        found = search_without_an_idea(spec, turn.observation[:, 0], turn.legal_action_mask[:, 0], 400)
        assert expected is None or int(found.action) == int(found.policy.argmax()) == expected
        assert sign == 0 or float(found.value) * sign > 0.5


def test_games_that_cannot_be_searched_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be searched"):
        GumbelSearch(make("gridworld/sumo").spec, 8)
