"""Gumbel AlphaZero's search in many games at once: a compiled tree beside batched evaluations of a network.

Danihelka et al. 2022, "Policy improvement by planning with Gumbel". At the root the best few actions by log-prior plus
Gumbel noise share the simulations by sequential halving (Karnin et al. 2013); below it a move is taken where the
improved policy is furthest ahead of the visits. The improved policy is softmax(log-prior + σ(q)), where an action that
was not visited counts as much as its position, and σ(q) = (`VISITS` + most visits) · scale · q: no worse than the prior
even where simulations are few, which is what makes it a teacher.

All games go down one ply tree each, side by side: a simulation is one compiled pass over all of them and one batch of
the network. The rules are `agents/fast_boards.py`'s: in go no limit of plies and no superko beyond the root.

B games, A actions, S simulations. Values are those of the player to move.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from agents.fast_boards import CODES, GO, GOES_ON, OTHELLO, TIC_TAC_TOE, legal, play, positions
from agents.losses import masked_log_softmax
from agents.search import searchable
from envs.specs import GameSpec, parse_variant

VISITS = 50.0
"""What σ adds to the visits of the action visited most."""
_ILLEGAL = -1e9

Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Observations uint8 [B, *obs] → logits [B, A] and values [B] within ±1, on the CPU."""


class Found(NamedTuple):
    """What a search of B positions found.

    Attributes:
        policy: [B, A], the improved policy, zero where illegal.
        value: [B], of the improved policy.
        action: [B] int64, what sequential halving left: the move to play.
        visits: [B, A] int64.
    """

    policy: Tensor
    value: Tensor
    action: Tensor
    visits: Tensor


def halving_schedule(considered: int, simulations: int) -> list[int]:
    """How often an action must have been visited to be visited next, simulation by simulation.

    `considered` actions are visited in turn; after each of ⌈log₂⌉ phases of alike length the better half goes on.
    """
    if considered <= 1:
        return list(range(simulations))
    phases = int(np.ceil(np.log2(considered)))
    schedule: list[int] = []
    done, left = 0, considered
    while len(schedule) < simulations:
        rounds = max(1, simulations // (phases * left))
        for _ in range(rounds):
            schedule += [done] * left
            done += 1
        left = max(2, left // 2)
    return schedule[:simulations]


class GumbelSearch:
    """Searches positions of one game, so many simulations each.

    Args:
        considered: how many actions the root looks at, at most.
        value_scale: what a difference in value counts beside one in log-prior, in σ.
        gamma: discount per ply.
        threads: how many parts of the positions are searched at a time; each is a batch of its own to the network.

    Raises UsageError for games that cannot be searched.
    """

    def __init__(
        self,
        spec: GameSpec,
        simulations: int,
        considered: int = 16,
        value_scale: float = 0.5,
        gamma: float = 1.0,
        threads: int = 1,
    ) -> None:
        searchable(spec)
        options = parse_variant(spec.game).all_options()
        assert spec.num_actions is not None
        self.code = CODES[spec.game.partition("?")[0]]
        self.size, self.komi = int(options.get("size", 0)), float(options.get("komi", 0.0))
        self.shape, self.num_actions = spec.observation_shape, spec.num_actions
        self.simulations, self.value_scale, self.gamma = simulations, value_scale, gamma
        most = min(considered, self.num_actions)
        self.schedule = np.array([halving_schedule(count, simulations) for count in range(most + 1)])
        self.threads, self.pool = threads, ThreadPoolExecutor(threads)

    def __call__(
        self, evaluate: Evaluate, observation: Tensor, mask: Tensor, logits: Tensor, value: Tensor, noise: Tensor
    ) -> Found:
        """Search the positions seen as observation [B, *obs], with legal actions mask [B, A] bool, the network's logits
        [B, A] and value [B] there, and Gumbel noise [B, A] (zeros: the best few by the prior alone)."""
        count = min(self.threads, len(observation))
        if count <= 1:
            return self._search(evaluate, observation, mask, logits, value, noise)
        columns = (column.tensor_split(count) for column in (observation, mask, logits, value, noise))
        parts = list(self.pool.map(self._search, [evaluate] * count, *columns))
        return Found(*(torch.cat(column) for column in zip(*parts, strict=True)))

    @torch.no_grad()
    def _search(
        self, evaluate: Evaluate, observation: Tensor, mask: Tensor, logits: Tensor, value: Tensor, noise: Tensor
    ) -> Found:
        size, nodes = len(observation), self.simulations + 1
        tree = _Tree(
            states=np.empty((size, nodes, positions(self.code, observation[:1]).shape[1]), np.int64),
            children=np.full((size, nodes, self.num_actions), -1, np.int32),
            visits=np.zeros((size, nodes, self.num_actions), np.int32),
            totals=np.zeros((size, nodes, self.num_actions), np.float32),
            logits=np.empty((size, nodes, self.num_actions), np.float32),
            values=np.zeros((size, nodes), np.float32),
            ended=np.zeros((size, nodes), np.bool_),
        )
        tree.states[:, 0] = positions(self.code, observation)
        tree.logits[:, 0] = masked_log_softmax(logits, mask).masked_fill_(~mask, _ILLEGAL).numpy()
        tree.values[:, 0] = value.numpy()
        path = np.empty((size, nodes, 2), np.int32)
        depth, leaf, rows = np.full(size, -1), np.empty(size, np.int64), np.empty(size, np.int64)
        seen = np.zeros((size, int(np.prod(self.shape))), np.uint8)
        shown = torch.from_numpy(seen).view(size, *self.shape)
        gumbel = noise.numpy()
        answers, worth = np.empty((0, self.num_actions), np.float32), np.empty(0, np.float32)
        count = 0
        for simulation in range(self.simulations):
            count = _simulate(
                self.code, self.size, self.komi, self.value_scale, self.gamma, simulation, self.schedule, gumbel,
                *tree, path, depth, leaf, rows, count, answers, worth, seen,
            )  # fmt: skip
            if count:
                output, estimate = evaluate(shown[:count])
                answers, worth = output.numpy(), estimate.numpy()
        _back_up(self.gamma, *tree[1:], path, depth, leaf, rows, count, answers, worth)
        policy, improved, action = _conclude(self.value_scale, gumbel, *tree[2:6])
        visits = torch.from_numpy(tree.visits[:, 0].astype(np.int64))
        return Found(torch.from_numpy(policy), torch.from_numpy(improved), torch.from_numpy(action), visits)


class _Tree(NamedTuple):
    """Per game and node: position, children by action (−1: none), visits and summed values of actions as the player
    to move there sees them, log-priors (`_ILLEGAL` where illegal), the node's own value, whether the game is over."""

    states: NDArray[np.int64]
    children: NDArray[np.int32]
    visits: NDArray[np.int32]
    totals: NDArray[np.float32]
    logits: NDArray[np.float32]
    values: NDArray[np.float32]
    ended: NDArray[np.bool_]


@njit(cache=True, nogil=True)
def _score(scale, visits, totals, logits, value, out):
    """Write log-prior + σ(completed q) of a node's actions to out [A], `_ILLEGAL` where illegal.

    An action not visited counts as the node's own value, mixed with what its visited actions brought (equation 33).
    """
    most, count, weight, mean = 0, 0, 0.0, 0.0
    for action in range(len(visits)):
        if visits[action] > 0:
            prior = np.exp(logits[action])
            most, count = max(most, visits[action]), count + visits[action]
            weight += prior
            mean += prior * totals[action] / visits[action]
    mixed = value
    if count > 0:
        mixed = (value + count * mean / max(weight, 1e-9)) / (1 + count)
    sharpness = (VISITS + most) * scale
    for action in range(len(visits)):
        out[action] = _ILLEGAL
        if logits[action] > _ILLEGAL:
            q = totals[action] / visits[action] if visits[action] > 0 else mixed
            out[action] = logits[action] + sharpness * q
    return mixed


@njit(cache=True, nogil=True)
def _softmax(scores, out):
    highest, total = scores.max(), 0.0
    for action in range(len(scores)):
        out[action] = np.exp(scores[action] - highest) if scores[action] > _ILLEGAL else 0.0
        total += out[action]
    for action in range(len(scores)):
        out[action] /= total


@njit(cache=True, nogil=True)
def _root_choice(schedule, simulation, gumbel, visits, scores):
    """The action that sequential halving visits next, of the root's `_score`s."""
    num_legal = 0
    for action in range(len(scores)):
        num_legal += scores[action] > _ILLEGAL
    wanted = schedule[min(num_legal, len(schedule) - 1), simulation]
    best, highest = -1, -np.inf
    for action in range(len(scores)):
        if scores[action] > _ILLEGAL and visits[action] == wanted and scores[action] + gumbel[action] > highest:
            best, highest = action, scores[action] + gumbel[action]
    return best


@njit(cache=True, nogil=True)
def _inner_choice(visits, scores, policy):
    """The action whose improved probability is furthest ahead of its share of the visits."""
    _softmax(scores, policy)
    total = 1 + visits.sum()
    best, highest = -1, -np.inf
    for action in range(len(scores)):
        if scores[action] > _ILLEGAL:
            ahead = policy[action] - visits[action] / total
            if ahead > highest:
                best, highest = action, ahead
    return best


@njit(cache=True, nogil=True)
def _simulate(
    code, size, komi, scale, gamma, simulation, schedule, gumbel, states, children, visits, totals, logits, values,
    ended, path, depth, leaf, rows, count, answers, worth, seen,
):  # fmt: skip
    """Back up the last simulation's answers, then walk down every tree and add a node; how many are to be evaluated.

    The observations of those are in seen[:count], their games in rows[:count].
    """
    _back_up(gamma, children, visits, totals, logits, values, ended, path, depth, leaf, rows, count, answers, worth)
    num_actions = visits.shape[2]
    scores, policy = np.empty(num_actions, np.float64), np.empty(num_actions, np.float64)
    scratch = np.empty(num_actions, np.int64)
    count = 0
    for game in range(len(states)):
        node, steps, new = 0, 0, simulation + 1
        while True:
            _score(scale, visits[game, node], totals[game, node], logits[game, node], values[game, node], scores)
            if node == 0:
                action = _root_choice(schedule, simulation, gumbel[game], visits[game, 0], scores)
            else:
                action = _inner_choice(visits[game, node], scores, policy)
            path[game, steps, 0], path[game, steps, 1] = node, action
            steps += 1
            child = children[game, node, action]
            if child >= 0:
                node = child
                if ended[game, node]:
                    break
                continue
            states[game, new] = states[game, node]
            result = play(code, size, komi, states[game, new], action)
            children[game, node, action] = new
            node = new
            if result != GOES_ON:
                ended[game, new], values[game, new] = True, -result
                break
            moves = legal(code, size, states[game, new], scratch)
            logits[game, new] = _ILLEGAL
            for i in range(moves):
                logits[game, new, scratch[i]] = 0.0
            _observe(code, size, states[game, new], scratch[:moves], action, seen[count])
            rows[count] = game
            count += 1
            break
        depth[game], leaf[game] = steps, node
    return count


@njit(cache=True, nogil=True)
def _back_up(
    gamma, children, visits, totals, logits, values, ended, path, depth, leaf, rows, count, answers, worth
):  # fmt: skip
    """Give the new nodes the network's answers [count, A] and worth [count], and every path its leaf's value."""
    if depth[0] < 0:
        return
    for row in range(count):
        game = rows[row]
        new = logits[game, leaf[game]]
        highest, total = -np.inf, 0.0
        for action in range(len(new)):
            if new[action] > _ILLEGAL:
                highest = max(highest, answers[row, action])
        for action in range(len(new)):
            if new[action] > _ILLEGAL:
                total += np.exp(answers[row, action] - highest)
        for action in range(len(new)):
            if new[action] > _ILLEGAL:
                new[action] = answers[row, action] - highest - np.log(total)
        values[game, leaf[game]] = worth[row]
    for game in range(len(leaf)):
        value = values[game, leaf[game]]
        for step in range(depth[game] - 1, -1, -1):
            value = -gamma * value
            node, action = path[game, step, 0], path[game, step, 1]
            visits[game, node, action] += 1
            totals[game, node, action] += value


@njit(cache=True, nogil=True)
def _conclude(scale, gumbel, visits, totals, logits, values):
    """(improved policies [B, A], their values [B], the actions to play [B])."""
    games, num_actions = len(visits), visits.shape[2]
    policies, improved = np.empty((games, num_actions), np.float32), np.empty(games, np.float32)
    actions, scores = np.empty(games, np.int64), np.empty(num_actions, np.float64)
    for game in range(games):
        n, total = visits[game, 0], totals[game, 0]
        mixed = _score(scale, n, total, logits[game, 0], values[game, 0], scores)
        _softmax(scores, policies[game])
        value, most, best, highest = 0.0, n.max(), -1, -np.inf
        for action in range(num_actions):
            value += policies[game, action] * (total[action] / n[action] if n[action] > 0 else mixed)
            if n[action] == most and scores[action] > _ILLEGAL and scores[action] + gumbel[game, action] > highest:
                best, highest = action, scores[action] + gumbel[game, action]
        improved[game], actions[game] = value, best
    return policies, improved, actions


@njit(cache=True, nogil=True)
def _observe(code, size, state, moves, last, out):
    """Write what the player to move sees to out [C · H · W], as the games' own `observe` does."""
    out[:] = 0
    if code == GO:
        points = size * size
        colour = state[points]
        for point in range(points):
            if state[point] == colour:
                out[point] = 1
            elif state[point] == -colour:
                out[points + point] = 1
            if colour == 1:
                out[4 * points + point] = 1
        for move in moves:
            if move < points:
                out[2 * points + move] = 1
        if last < points:
            out[3 * points + last] = 1
        return
    for side in range(2):
        board = state[side]
        if code == TIC_TAC_TOE:
            for square in range(9):
                out[9 * side + 3 * (square % 3) + square // 3] = (board >> square) & 1
        elif code == OTHELLO:
            for square in range(64):
                out[64 * side + square] = (board >> square) & 1
        else:
            for column in range(7):
                for height in range(6):
                    out[42 * side + 7 * (5 - height) + column] = (board >> (8 * column + height)) & 1
