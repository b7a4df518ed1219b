"""Look-ahead on top of a learnt policy and value: Monte-Carlo tree search in many positions at once.

PUCT (Silver et al. 2017, "Mastering the game of Go without human knowledge"): a simulation walks down by
Q + c · prior · √N / (1 + n), adds one position to the tree, asks the network for its policy and value, and hands the
value up with alternating sign. All positions of a batch go down side by side, on the batched rules; no loop over games.

Deviations: no noise at the root and no sampling, for search serves play and not learning; a move never tried is worth
what its position is worth; and a share of every prior is uniform, so that a move that the policy has given up is still
looked at. Ends of games count fully, while a network that discounts reports a little less than it hopes for.
"""

from __future__ import annotations

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


class BoardRules(Rules, Protocol):
    """Rules of a game for two in turn, whose positions can be told from what is seen of them."""

    def restore(self, observation: Tensor) -> State:
        """observation [B, *obs] → positions that look so, with `ply`; what does not show is taken as fresh."""


class Found(NamedTuple):
    """What a search of B positions found: how often each action was tried [B, A], and the mean value [B]."""

    visits: Tensor
    value: Tensor


@torch.no_grad()
def search(rules: BoardRules, policy: Policy, state: State, legal: Tensor, simulations: int) -> Found:
    """Search the positions `state` (B of them) with so many simulations each.

    Args:
        policy: gives priors and values; action values serve where it has no value.
        legal: [B, A] bool, the legal actions there.
    """
    size, num_actions = legal.shape
    rows = torch.arange(size)
    nodes = simulations + 1
    seeds = torch.zeros(size, dtype=torch.int64)
    states = {name: value.new_zeros(size, nodes, *value.shape[1:]) for name, value in state.items()}
    children = torch.full((size, nodes, num_actions), -1)
    visits, totals = torch.zeros(size, nodes, num_actions), torch.zeros(size, nodes, num_actions)
    priors, values = torch.zeros(size, nodes, num_actions), torch.zeros(size, nodes)
    ended = torch.zeros(size, nodes, dtype=torch.bool)
    player = torch.zeros(size, nodes, dtype=torch.int64)

    def write(node: int, state: State, legal: Tensor | None) -> Tensor:
        """Put positions into the tree; what the policy thinks they are worth to those who are to move."""
        turn = rules.observe(state)
        mask = turn.legal_action_mask[:, 0] if legal is None else legal  # type: ignore[index]
        prior, value = _think(policy, turn.observation[:, 0], mask)
        for name, part in state.items():
            states[name][:, node] = part
        # An illegal action's prior is −1: its score stays below every legal one's.
        priors[:, node] = torch.where(mask, prior, -1.0)
        player[:, node] = turn.player[:, 0]
        return value

    values[:, 0] = write(0, state, legal)
    for new in range(1, nodes):
        node, going = torch.zeros_like(rows), torch.ones(size, dtype=torch.bool)
        last, action, reached = node, node, node
        path: list[tuple[Tensor, Tensor, Tensor]] = []
        while bool(going.any()):
            choice = _best(visits[rows, node], totals[rows, node], priors[rows, node], values[rows, node])
            path.append((node, choice, going))
            child = children[rows, node, choice]
            last, action = torch.where(going, node, last), torch.where(going, choice, action)
            reached = torch.where(going, child, reached)
            going = going & (child >= 0) & ~ended[rows, child]
            node = torch.where(going, child, node)
        old = {name: value[rows, last] for name, value in states.items()}
        after, rewards, terminated = rules.step(old, action.unsqueeze(1), seeds)
        worth = write(new, {**after, "ply": old["ply"] + 1}, None)
        reward = rewards.gather(1, player[rows, last].unsqueeze(1)).squeeze(1)
        values[:, new] = torch.where(terminated, -reward, worth)
        ended[:, new] = terminated
        fresh = reached < 0
        children[rows, last, action] = torch.where(fresh, new, reached)
        value = torch.where(fresh, values[:, new], values[rows, reached.clamp(min=0)])
        for node, choice, on_path in reversed(path):
            value = torch.where(on_path, -value, value)
            visits[rows, node, choice] += on_path.float()
            totals[rows, node, choice] += torch.where(on_path, value, 0.0)
    return Found(visits[:, 0], totals[:, 0].sum(-1) / simulations)


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

    Raises UsageError for games that cannot be searched.
    """

    def __init__(self, spec: GameSpec, policy: Policy, simulations: int) -> None:
        if not 1 <= simulations <= MAX_SIMULATIONS:
            raise UsageError(f"mcts:{simulations}: between 1 and {MAX_SIMULATIONS:,} simulations")
        self.rules = searchable(spec)
        self.policy, self.simulations = policy, simulations

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        mask = legal_action_mask.cpu()
        found = search(self.rules, self.policy, self.rules.restore(observation.cpu()), mask, self.simulations)
        device = observation.device
        return Decision((found.visits / self.simulations).to(device), found.value.to(device))


def searchable(spec: GameSpec) -> BoardRules:
    """The rules of a game in which a search can look ahead; raises UsageError for others."""
    env = make(spec.game)
    if not isinstance(env, NativeEnv) or not hasattr(env.rules, "restore"):
        raise UsageError(f"{spec.game} cannot be searched: tic_tac_toe, connect_four, othello and go can")
    return cast(BoardRules, env.rules)
