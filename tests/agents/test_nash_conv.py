"""NashConv against known equilibria, closed forms, and play of the games themselves."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from agents.nash_conv import (
    LEDUC,
    Deals,
    Node,
    Strategy,
    average,
    best_response,
    find_deals,
    grow,
    nash_conv,
    nodes,
    strategy,
    value,
)
from agents.policy import Decision
from envs.errors import UsageError
from envs.registry import make


class Kuhn:
    """The equilibrium of Kuhn 1950 with this share of bluffs (0 to 1/3) of the first player."""

    def __init__(self, bluff: float) -> None:
        third = 1 / 3
        #                 card:  J       Q               K
        self.bets = {
            (0, 0, 0): (bluff, 0.0, 3 * bluff),
            (1, 0, 0): (third, 0.0, 1.0),
            (0, 1, 0): (0.0, third, 1.0),
            (1, 0, 1): (0.0, bluff + third, 1.0),
        }

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        rows = [self.bets[tuple(row[3:])][row[:3].index(1)] for row in observation.tolist()]
        bets = torch.tensor(rows)
        return Decision(torch.stack([1 - bets, bets], 1))


def uniform(root: Node) -> Strategy:
    return {id(node): node.mask.double() / node.mask.sum(1, keepdim=True) for node in nodes(root)}


@pytest.fixture(scope="module")
def kuhn() -> tuple[Deals, Node]:
    deals = find_deals("kuhn_poker")
    return deals, grow("kuhn_poker", deals)


@pytest.mark.parametrize("bluff", [0.0, 0.2, 1 / 3])
def test_equilibria_of_kuhn_poker(kuhn: tuple[Deals, Node], bluff: float) -> None:
    deals, root = kuhn
    assert len(deals.seeds) == 6
    assert len(nodes(root)) == 4
    chosen = strategy(root, Kuhn(bluff))
    assert nash_conv(root, chosen, deals) == pytest.approx(0, abs=1e-6)
    assert (deals.probability @ value(root, chosen)).tolist() == pytest.approx([-1 / 18, 1 / 18], abs=1e-6)


def test_what_is_no_equilibrium(kuhn: tuple[Deals, Node]) -> None:
    deals, root = kuhn
    assert nash_conv(root, uniform(root), deals) == pytest.approx(11 / 12)
    assert nash_conv(root, strategy(root, Kuhn(0.5)), deals) > 0.05, "too many bluffs"
    greedy = strategy(root, Kuhn(0.2), samples=False)
    assert all(set(shares.flatten().tolist()) == {0.0, 1.0} for shares in greedy.values())
    assert nash_conv(root, greedy, deals) > 0.1, "an equilibrium needs chance"


def test_a_best_response_beats_every_pure_strategy(kuhn: tuple[Deals, Node]) -> None:
    """The first player has 2 free choices at each of 3 cards × 2 histories: all 64 are gone through."""
    deals, root = kuhn
    chosen = uniform(root)
    again = root.children[0].children[1]
    own = (root, again)
    found = -10.0
    for moves in itertools.product((0, 1), repeat=6):
        pure = dict(chosen)
        for which, node in enumerate(own):
            cards = node.observation[:, :3].argmax(1)
            pure[id(node)] = torch.eye(2, dtype=torch.float64)[torch.tensor(moves)[3 * which + cards]]
        found = max(found, float((deals.probability @ value(root, pure))[0]))
    best = deals.probability @ best_response(root, chosen, 0, deals.probability)
    assert float(best) == pytest.approx(found)


def test_an_average_is_to_draw_one_for_each_game(kuhn: tuple[Deals, Node]) -> None:
    deals, root = kuhn
    one, other = strategy(root, Kuhn(1 / 3)), strategy(root, Kuhn(0.0))
    both = average(root, [one, other])
    assert nash_conv(root, both, deals) == pytest.approx(0, abs=1e-6), "equilibria of zero-sum games are convex"
    assert both[id(root)][:, 1].max() == pytest.approx(0.5)
    again = root.children[0].children[1]  # who bet with the king less often is met here more often
    king = again.observation[:, 2] == 1
    assert torch.equal(both[id(again)][king], one[id(again)][king])
    queen = again.observation[:, 1] == 1
    assert both[id(again)][queen, 1].tolist() == pytest.approx([0.5, 0.5])
    # An average by behaviour alone would weigh both alike at a node that only one of them reaches.
    pure = {id(node): torch.eye(2, dtype=torch.float64)[0].expand(6, 2) for node in nodes(root)}
    bets = {id(node): torch.eye(2, dtype=torch.float64)[1].expand(6, 2) for node in nodes(root)}
    assert torch.equal(average(root, [pure, bets])[id(again)], pure[id(again)])


@pytest.mark.slow
def test_leduc_is_dealt_as_it_is_played() -> None:
    deals = find_deals(LEDUC)
    assert len(deals.seeds) == 24
    assert float(deals.probability.sum()) == pytest.approx(1)
    root = grow(LEDUC, deals)
    chosen = uniform(root)
    mine = float((deals.probability @ value(root, chosen))[0])
    assert nash_conv(root, chosen, deals) > 2
    env = make(LEDUC, 400, autoreset=False)
    turn = env.reset(torch.arange(400))
    begins = turn.player[:, 0]
    total = torch.zeros(400, 2)
    generator = torch.Generator().manual_seed(0)
    while bool((turn.player >= 0).any()):
        assert turn.legal_action_mask is not None
        action = torch.multinomial(turn.legal_action_mask[:, 0].float(), 1, generator=generator)
        step = env.step(action)
        total += step.rewards
        turn = step.turn
    played = total.gather(1, begins.unsqueeze(1))
    assert float(played.mean()) == pytest.approx(mine, abs=4 * float(played.std()) / 20)


def test_other_games_have_no_deals() -> None:
    with pytest.raises(UsageError, match="not for tic_tac_toe"):
        find_deals("tic_tac_toe")
