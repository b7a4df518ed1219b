"""Monte-Carlo tree search with random play-outs: a ladder of players that learn nothing, to measure others by.

UCT (Kocsis and Szepesvári 2006, "Bandit based Monte-Carlo planning"): every simulation walks down the tree by the upper
confidence bound, mean + C √(ln N / n), children that were never tried first, in random order; a position that is met a
second time gets its children; from its end uniformly random moves finish the game. The move tried most is played.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor

from agents.fast_boards import CODES, GOES_ON, legal, next_random, play, play_out, positions
from agents.policy import Decision
from envs.specs import GameSpec, parse_variant

SIMULATIONS = (100, 1_000, 10_000)
LINE = 8
"""Moves of the principal line."""
EXPLORATION = 1.4
"""C, for results between −1 and 1."""


@njit(cache=True, nogil=True)
def search(code, size, komi, root, allowed, simulations, seed):
    """(visits, sums of results for the player to move) by action [A], from position `root` [length], and the moves
    tried most from there on [`LINE`], -1 after the last one.

    Args:
        allowed: [A] bool, the legal actions of the root.
        seed: where all chance comes from, uint64.
    """
    num_actions = len(allowed)
    capacity = min(1 + (simulations + 1) * num_actions, 8_000_000)
    first, count = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
    action, visits = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
    total = np.zeros(capacity)  # of results for the player who moved into the node
    ended = np.full(capacity, GOES_ON, np.int64)
    path, scratch = np.empty(10_000, np.int64), np.empty(num_actions, np.int64)
    random = np.array([seed | np.uint64(1)])
    used, state = 1, root.copy()
    for _ in range(simulations):
        state[:] = root
        node, depth = 0, 0
        path[0] = 0
        result = GOES_ON  # for the player who moved into `node`
        while True:
            if ended[node] != GOES_ON:
                result = ended[node]
                break
            if count[node] == 0 and (node == 0 or visits[node] > 0) and used + num_actions <= capacity:
                if node == 0:
                    choices = 0
                    for move in range(num_actions):
                        if allowed[move]:
                            scratch[choices] = move
                            choices += 1
                else:
                    choices = legal(code, size, state, scratch)
                for i in range(choices - 1, 0, -1):
                    j = next_random(random) % (i + 1)
                    scratch[i], scratch[j] = scratch[j], scratch[i]
                first[node], count[node] = used, choices
                action[used : used + choices] = scratch[:choices]
                used += choices
            if count[node] == 0:
                result = -play_out(code, size, komi, state, random, scratch)
                break
            best, bound = -1, -np.inf
            width = np.log(max(visits[node], 1))
            for child in range(first[node], first[node] + count[node]):
                if visits[child] == 0:
                    best = child
                    break
                value = total[child] / visits[child] + EXPLORATION * np.sqrt(width / visits[child])
                if value > bound:
                    best, bound = child, value
            node = best
            ended[node] = play(code, size, komi, state, action[node])
            depth += 1
            path[depth] = node
        for place in range(depth, -1, -1):
            visits[path[place]] += 1
            total[path[place]] += result
            result = -result
    tried, won = np.zeros(num_actions, np.int64), np.zeros(num_actions)
    for child in range(first[0], first[0] + count[0]):
        tried[action[child]] = visits[child]
        won[action[child]] = total[child]
    line, node = np.full(LINE, -1), 0
    for ply in range(LINE):
        best = -1
        for child in range(first[node], first[node] + count[node]):
            more = best < 0 or visits[child] > visits[best]
            if visits[child] > 0 and (more or (visits[child] == visits[best] and action[child] < action[best])):
                best = child
        if best < 0:
            break
        line[ply], node = action[best], best
    return tried, won, line


class MctsPolicy:
    """Plays the move that so many simulations tried most. The same position always gets the same answer.

    Args:
        transposed: whether the observation shows columns as rows (PettingZoo's tic-tac-toe).
    """

    def __init__(self, spec: GameSpec, simulations: int, game: str, transposed: bool = False) -> None:
        options = parse_variant(spec.game).all_options() if game == "go" else {}
        self._code = CODES[game]
        self._size, self._komi = int(options.get("size", 0)), float(options.get("komi", 0.0))
        self._transposed = transposed
        self.simulations = simulations

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        shown = observation.transpose(-1, -2) if self._transposed else observation
        shape = legal_action_mask.shape
        probabilities, visits = torch.zeros(shape), torch.zeros(shape, dtype=torch.int64)
        values, line = torch.zeros(len(shown)), torch.zeros(len(shown), LINE, dtype=torch.int64)
        known: dict[bytes, int] = {}
        for row, (position, mask) in enumerate(
            zip(positions(self._code, shown), legal_action_mask.cpu().numpy(), strict=True)
        ):
            same = known.setdefault(position.tobytes() + mask.tobytes(), row)
            if same == row:
                tried, won, moves = self._search(position, mask)
                visits[row], line[row] = torch.from_numpy(tried), torch.from_numpy(moves)
                values[row] = float(won.sum() / max(tried.sum(), 1))
                probabilities[row, int(tried.argmax())] = 1.0
            else:
                for part in (visits, line, values, probabilities):
                    part[row] = part[same]
        device = observation.device
        return Decision(probabilities.to(device), values.to(device), visits=visits, line=line)

    def _search(self, position: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        seed = np.random.SeedSequence([self.simulations, *position.view(np.uint64).tolist()])
        start = seed.generate_state(1, np.uint64)[0]
        found: tuple[np.ndarray, np.ndarray, np.ndarray] = search(
            self._code, self._size, self._komi, position, mask, self.simulations, start
        )
        return found
