"""NashConv in small two-player card games: what best responses win against a strategy (Lanctot et al. 2017, "A unified
game-theoretic approach to multiagent reinforcement learning").

The tree is of public histories, each for all D deals at once: what is dealt is known from the start, who knows what of
it is in the observations. It is grown by playing the game itself, so it needs moves that are open to every deal alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from agents.policy import Policy
from envs.errors import UsageError
from envs.protocol import Turn
from envs.registry import make

LEDUC = "pettingzoo/classic/leduc_holdem_v4"


class Deals(NamedTuple):
    """Every deal that makes a difference: seeds [D] int64 of games with it, probability [D] float64."""

    seeds: Tensor
    probability: Tensor


class CardGame(NamedTuple):
    """How to find the deals of a game: moves that show everything, and the probability [D] (up to a factor) of what the
    observations [D, *obs] before each of them and after the last one show."""

    moves: tuple[int, ...]
    weigh: Callable[[Sequence[Tensor]], Tensor]


def _ranks(shown: Sequence[Tensor]) -> Tensor:
    """Leduc: two cards of each of three ranks; the own one in the first three numbers, the public one in the next."""
    own, other, public = shown[0][:, :3].argmax(1), shown[1][:, :3].argmax(1), shown[2][:, 3:6].argmax(1)
    return (2.0 - (own == other).double()) * (2.0 - (public == own).double() - (public == other).double())


GAMES = {
    "kuhn_poker": CardGame((0,), lambda shown: torch.ones(len(shown[0]), dtype=torch.float64)),
    # Who begins is drawn, and nothing that a player sees depends on the seat: games that player 0 begins are enough.
    LEDUC: CardGame((0, 3), _ranks),
}


@dataclass(frozen=True)
class Node:
    """A public history, for D deals.

    Attributes:
        player: who decides; -1 where the game is over.
        observation, mask: [D, *obs], [D, A] bool, of the one who decides.
        known: [D] int64: deals that this player cannot tell apart have the same number.
        children: by action.
        payoff: [D, 2] float64, where the game is over.
    """

    player: int
    observation: Tensor
    mask: Tensor
    known: Tensor
    children: dict[int, Node]
    payoff: Tensor


Strategy = dict[int, Tensor]
"""Probabilities [D, A] float64 at every node that is not over, by the node's `id`."""


def find_deals(game: str, samples: int = 1000) -> Deals:
    """The deals of a game of `GAMES`, found among the games with seeds below `samples`; UsageError for other games."""
    if game not in GAMES:
        raise UsageError(f"NashConv is computed for {' and '.join(GAMES)}, not for {game}")
    known = GAMES[game]
    env = make(game, samples, autoreset=False)
    turn = env.reset(torch.arange(samples))
    begins, shown = turn.player[:, 0] == 0, [turn.observation[:, 0]]
    for move in known.moves:
        turn = env.step(torch.full((samples, 1), move)).turn
        shown.append(turn.observation[:, 0])
    seeds = begins.nonzero().squeeze(1)
    rows = torch.cat([seen.flatten(1) for seen in shown], 1)[seeds]
    _, deal = torch.unique(rows, dim=0, return_inverse=True)
    first = torch.stack([(deal == number).nonzero()[0, 0] for number in range(int(deal.max()) + 1)])
    weight = known.weigh([seen[seeds][first] for seen in shown])
    return Deals(seeds[first], weight / weight.sum())


def grow(game: str, deals: Deals) -> Node:
    """The tree of a game from its first decision on."""
    count = len(deals.seeds)
    env = make(game, count, autoreset=False)

    def play(history: tuple[int, ...]) -> tuple[Turn, Tensor]:
        turn = env.reset(deals.seeds)
        payoff = torch.zeros(count, 2, dtype=torch.float64)
        for action in history:
            step = env.step(torch.full((count, 1), action))
            turn, payoff = step.turn, payoff + step.rewards
        return turn, payoff

    def node(history: tuple[int, ...]) -> Node:
        turn, payoff = play(history)
        players = turn.player.unique().tolist()
        assert len(players) == 1, "one history, one to move"
        assert turn.legal_action_mask is not None
        mask, observation = turn.legal_action_mask[:, 0], turn.observation[:, 0]
        assert bool((mask == mask[0]).all()), "a move that some deals forbid"
        known = torch.unique(observation.flatten(1), dim=0, return_inverse=True)[1]
        open_moves = mask[0].nonzero().squeeze(1).tolist() if players[0] >= 0 else []
        children = {action: node((*history, action)) for action in open_moves}
        return Node(players[0], observation, mask, known, children, payoff)

    return node(())


def nodes(root: Node) -> list[Node]:
    """All nodes at which somebody decides."""
    if root.player < 0:
        return []
    return [root, *(below for child in root.children.values() for below in nodes(child))]


def strategy(root: Node, policy: Policy, samples: bool = True) -> Strategy:
    """What the policy does everywhere; its likeliest move alone where it does not sample."""
    chosen = {}
    for node in nodes(root):
        probabilities = policy(node.observation, node.mask).probabilities.double()
        if not samples:
            best = probabilities.argmax(1, keepdim=True)
            probabilities = torch.zeros_like(probabilities).scatter_(1, best, 1.0)
        chosen[id(node)] = probabilities
    return chosen


def average(root: Node, strategies: Sequence[Strategy]) -> Strategy:
    """The strategy of one who draws one of these for each game: at every node each counts by how likely its own moves
    lead there, as in fictitious play (Heinrich et al. 2015, "Fictitious self-play in extensive-form games")."""
    averaged: Strategy = {}

    def visit(node: Node, reach: list[Tensor]) -> None:  # reach: of each player [K, D]
        if node.player < 0:
            return
        each = torch.stack([chosen[id(node)] for chosen in strategies])  # [K, D, A]
        mine = reach[node.player].unsqueeze(-1)
        total = mine.sum(0)
        averaged[id(node)] = torch.where(total > 0, (mine * each).sum(0) / total.clamp(min=1e-300), each.mean(0))
        for action, child in node.children.items():
            further = list(reach)
            further[node.player] = reach[node.player] * each[:, :, action]
            visit(child, further)

    even = torch.ones(len(strategies), len(root.known), dtype=torch.float64)
    visit(root, [even, even])
    return averaged


def value(node: Node, chosen: Strategy) -> Tensor:
    """[D, 2]: what both players win on average from here when both play `chosen`."""
    if node.player < 0:
        return node.payoff
    shares = chosen[id(node)]
    parts = [shares[:, action, None] * value(child, chosen) for action, child in node.children.items()]
    return torch.stack(parts).sum(0)


def best_response(node: Node, chosen: Strategy, player: int, reach: Tensor) -> Tensor:
    """[D]: what `player` wins from here by the best play against `chosen`; reach [D] is the probability of the deals,
    times that of the other's moves."""
    if node.player < 0:
        return node.payoff[:, player]
    if node.player != player:
        shares = chosen[id(node)]
        parts = [
            shares[:, action] * best_response(child, chosen, player, reach * shares[:, action])
            for action, child in node.children.items()
        ]
        return torch.stack(parts).sum(0)
    wins = torch.stack([best_response(child, chosen, player, reach) for child in node.children.values()], 1)  # [D, M]
    groups = torch.zeros(int(node.known.max()) + 1, wins.shape[1], dtype=torch.float64)
    groups.index_add_(0, node.known, reach.unsqueeze(1) * wins)
    return wins.gather(1, groups.argmax(1)[node.known].unsqueeze(1)).squeeze(1)


def nash_conv(root: Node, chosen: Strategy, deals: Deals) -> float:
    """What both players together would gain by turning to a best response; 0 at an equilibrium alone."""
    own = deals.probability @ value(root, chosen)
    best = [deals.probability @ best_response(root, chosen, player, deals.probability) for player in (0, 1)]
    return float(best[0] - own[0] + best[1] - own[1])
