"""Look-ahead on top of a learnt policy and value: Monte-Carlo tree search in many positions at once.

PUCT (Silver et al. 2017, "Mastering the game of Go without human knowledge"): a simulation walks down by
Q + c · prior · √N / (1 + n), adds one position to the tree, asks the network for its policy and value, and hands the
value up with alternating sign. All positions of a batch go down side by side, on the batched rules; no loop over games.

Deviations: no noise at the root and no sampling, for search serves play and not learning; a move never tried is worth
what its position is worth; and a share of every prior is uniform, so that a move that the policy has given up is still
looked at. Ends of games count fully, while a network that discounts reports a little less than it hopes for.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor

from agents.policy import Decision, Policy
from envs.errors import UsageError
from envs.native import NativeEnv, Rules, State
from envs.registry import make
from envs.specs import GameSpec

EXPLORATION = 1.5
"""c."""
UNIFORM = 0.1
"""How much of every prior is uniform over the legal moves."""
MAX_SIMULATIONS = 100_000
MAX_SECONDS = 60
LINE = 8
"""Moves of the principal line."""
FIRST_NODES = 256
"""Nodes that a tree begins with, at most."""


class BoardRules(Rules, Protocol):
    """Rules of a game for two in turn, whose positions can be told from what is seen of them."""

    def restore(self, observation: Tensor) -> State:
        """observation [B, *obs] → positions that look so, with `ply`; what does not show is taken as fresh."""


class Found(NamedTuple):
    """What a search of B positions found.

    Attributes:
        visits: [B, A] int64, how often each action was tried.
        value: [B], the mean value.
        line: [B, `LINE`] int64, the moves tried most from there on, -1 after the last one.
        simulations: how many there were.
    """

    visits: Tensor
    value: Tensor
    line: Tensor
    simulations: int


class _Tree:
    """B trees of the same number of nodes, in tensors [B, nodes, …] that grow as they fill."""

    def __init__(self, state: State, legal: Tensor, nodes: int) -> None:
        self.size = len(legal)
        self.states = {name: value.new_zeros(self.size, nodes, *value.shape[1:]) for name, value in state.items()}
        shape = (self.size, nodes, legal.shape[1])
        self.children = torch.full(shape, -1)
        self.visits, self.totals, self.priors = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)
        self.values, self.player = torch.zeros(shape[:2]), torch.zeros(shape[:2], dtype=torch.int64)
        self.ended = torch.zeros(shape[:2], dtype=torch.bool)

    def grow(self) -> None:
        """Make room for twice as many nodes."""
        for name in ("children", "visits", "totals", "priors", "values", "player", "ended"):
            old = getattr(self, name)
            setattr(self, name, torch.cat([old, torch.full_like(old, -1 if name == "children" else 0)], 1))
        self.states = {name: torch.cat([old, torch.zeros_like(old)], 1) for name, old in self.states.items()}

    def line(self) -> Tensor:
        """[B, `LINE`]: from the root on, the action tried most."""
        rows, node = torch.arange(self.size), torch.zeros(self.size, dtype=torch.int64)
        line = torch.full((self.size, LINE), -1)
        for ply in range(LINE):
            tried, choice = self.visits[rows, node].max(-1)
            going = tried > 0
            line[:, ply] = torch.where(going, choice, -1)
            node = torch.where(going, self.children[rows, node, choice], node)
            if not bool(going.any()):
                break
        return line


@torch.no_grad()
def search(
    rules: BoardRules, policy: Policy, state: State, legal: Tensor, simulations: int, seconds: float | None = None
) -> Found:
    """Search the positions `state` (B of them) with so many simulations each.

    Args:
        policy: gives priors and values; action values serve where it has no value.
        legal: [B, A] bool, the legal actions there.
        seconds: after how many no further simulation begins; one there always is.
    """
    size = len(legal)
    rows = torch.arange(size)
    seeds = torch.zeros(size, dtype=torch.int64)
    tree = _Tree(state, legal, min(simulations + 1, FIRST_NODES))
    end = math.inf if seconds is None else time.monotonic() + seconds

    def write(node: int, state: State, legal: Tensor | None) -> Tensor:
        """Put positions into the tree; what the policy thinks they are worth to those who are to move."""
        turn = rules.observe(state)
        if legal is None:
            assert turn.legal_action_mask is not None
            legal = turn.legal_action_mask[:, 0]
        prior, value = _think(policy, turn.observation[:, 0], legal)
        for name, part in state.items():
            tree.states[name][:, node] = part
        # An illegal action's prior is −1: its score stays below every legal one's.
        tree.priors[:, node] = torch.where(legal, prior, -1.0)
        tree.player[:, node] = turn.player[:, 0]
        return value

    tree.values[:, 0] = write(0, state, legal)
    new = 0
    while new < simulations and (new == 0 or time.monotonic() < end):
        new += 1
        if new == tree.values.shape[1]:
            tree.grow()
        node, going = torch.zeros_like(rows), torch.ones(size, dtype=torch.bool)
        last, action, reached = node, node, node
        path: list[tuple[Tensor, Tensor, Tensor]] = []
        while bool(going.any()):
            choice = _best(
                tree.visits[rows, node], tree.totals[rows, node], tree.priors[rows, node], tree.values[rows, node]
            )
            path.append((node, choice, going))
            child = tree.children[rows, node, choice]
            last, action = torch.where(going, node, last), torch.where(going, choice, action)
            reached = torch.where(going, child, reached)
            going = going & (child >= 0) & ~tree.ended[rows, child]
            node = torch.where(going, child, node)
        old = {name: value[rows, last] for name, value in tree.states.items()}
        after, rewards, terminated = rules.step(old, action.unsqueeze(1), seeds)
        worth = write(new, {**after, "ply": old["ply"] + 1}, None)
        reward = rewards.gather(1, tree.player[rows, last].unsqueeze(1)).squeeze(1)
        tree.values[:, new] = torch.where(terminated, -reward, worth)
        tree.ended[:, new] = terminated
        fresh = reached < 0
        tree.children[rows, last, action] = torch.where(fresh, new, reached)
        value = torch.where(fresh, tree.values[:, new], tree.values[rows, reached.clamp(min=0)])
        for node, choice, on_path in reversed(path):
            value = torch.where(on_path, -value, value)
            tree.visits[rows, node, choice] += on_path.float()
            tree.totals[rows, node, choice] += torch.where(on_path, value, 0.0)
    return Found(tree.visits[:, 0].long(), tree.totals[:, 0].sum(-1) / new, tree.line(), new)


def _best(visits: Tensor, totals: Tensor, prior: Tensor, value: Tensor) -> Tensor:
    """[B]: the action to walk down by, of nodes' statistics [B, A], priors [B, A] and own values [B]."""
    worth = torch.where(visits > 0, totals / visits.clamp(min=1), value.unsqueeze(-1))
    bonus = EXPLORATION * prior * (visits.sum(-1, keepdim=True) + 1).sqrt() / (1 + visits)
    return torch.where(prior < 0, -torch.inf, worth + bonus).argmax(-1)


def _think(policy: Policy, observation: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(priors [B, A], values [B] within ±1)."""
    decision = policy(observation, mask)
    value = decision.value
    if value is None and decision.q_values is not None:
        value = decision.q_values.masked_fill(~mask, -torch.inf).amax(-1)
    if value is None:
        raise UsageError("a search needs an agent that says what a position is worth; this one does not")
    even = mask.float() / mask.sum(-1, keepdim=True).clamp(min=1)
    return (1 - UNIFORM) * decision.probabilities + UNIFORM * even, value.clamp(-1, 1)


class SearchPolicy:
    """A policy that searches before it decides: as likely as often tried. It thinks on the CPU.

    Args:
        simulations: how many a move.
        seconds: how long a move, in place of so many simulations. Then how far it looks depends on the machine and on
            what else this does, and the same position need not get the same answer; positions are searched one by one.

    Raises UsageError for games that cannot be searched.
    """

    def __init__(
        self, spec: GameSpec, policy: Policy, simulations: int = MAX_SIMULATIONS, seconds: float | None = None
    ) -> None:
        if not 1 <= simulations <= MAX_SIMULATIONS:
            raise UsageError(f"mcts:{simulations}: between 1 and {MAX_SIMULATIONS:,} simulations")
        self.rules = searchable(spec)
        self.policy, self.simulations, self.seconds = policy, simulations, seconds
        self.one_by_one = seconds is not None

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        seen, mask = observation.cpu(), legal_action_mask.cpu()
        rows = [slice(i, i + 1) for i in range(len(mask))] if self.one_by_one else [slice(0, len(mask))]
        found = [
            search(self.rules, self.policy, self.rules.restore(seen[r]), mask[r], self.simulations, self.seconds)
            for r in rows
        ]
        device = observation.device
        probabilities = torch.cat([f.visits / f.simulations for f in found]).to(device)
        value = torch.cat([f.value for f in found]).to(device)
        visits, line = (torch.cat(parts) for parts in zip(*((f.visits, f.line) for f in found), strict=True))
        return Decision(probabilities, value, visits=visits, line=line)


def searchable(spec: GameSpec) -> BoardRules:
    """The rules of a game in which a search can look ahead; raises UsageError for others."""
    env = make(spec.game)
    if not isinstance(env, NativeEnv) or not hasattr(env.rules, "restore"):
        raise UsageError(f"{spec.game} cannot be searched: tic_tac_toe, connect_four, othello and go can")
    return cast(BoardRules, env.rules)
