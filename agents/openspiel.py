"""OpenSpiel's bots (Lanctot et al. 2019, "OpenSpiel: A framework for reinforcement learning in games") as policies.

They play tic-tac-toe and connect four, in Arena's and PettingZoo's form. OpenSpiel knows states by their moves and not
by what is seen, so that a position becomes one by moves that lead to it: which ones makes no difference to these rules.
The package is the extra `openspiel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.engine_config import BOTS, EngineConfig
from agents.fast_boards import CODES, positions
from agents.greedy import uniform
from agents.policy import Decision
from envs.boards.connect_four import COLUMNS, ROWS
from envs.errors import MissingPackageError, UsageError
from envs.specs import GameSpec

# Which game of OpenSpiel's, and whether the observation shows columns as rows. Squares of tic-tac-toe are numbered by
# rows there and by columns here; a board and its transpose are the same game.
_GAMES = {
    "tic_tac_toe": ("tic_tac_toe", False),
    "pettingzoo/classic/tictactoe_v3": ("tic_tac_toe", True),
    "connect_four": ("connect_four", False),
    "pettingzoo/classic/connect_four_v3": ("connect_four", False),
}
EXPLORATION = 2.0
"""C of UCT, as OpenSpiel's examples have it."""
MEMORY_MB = 256


class OpenSpielPolicy:
    """A bot of OpenSpiel's: "random", or "mcts" with `nodes` simulations a move, which solves what it can on the way.

    The same position always gets the same answer: the bot's seed is made of it.

    Raises:
        UsageError: a game that these bots do not play here, or a bot of another name.
        MissingPackageError: OpenSpiel is not installed.
    """

    one_by_one = True
    """Rows cost a search each."""

    def __init__(self, spec: GameSpec, config: EngineConfig) -> None:
        if spec.game not in _GAMES:
            raise UsageError(f"OpenSpiel's bots play {', '.join(_GAMES)} here, not {spec.game}")
        try:
            import pyspiel
        except ImportError:
            raise MissingPackageError("OpenSpiel's bots need pip install open-spiel") from None
        self.config = config
        self._name, self._transposed = _GAMES[spec.game]
        self._spiel: Any = pyspiel
        self._game: Any = pyspiel.load_game(self._name)

    def start(self) -> str:
        """The name that it gives itself; nothing has to be started."""
        return f"OpenSpiel's {self.config.command[0]} bot"

    def close(self) -> None:
        """Nothing has to be ended."""

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        shown = observation.cpu().transpose(-1, -2) if self._transposed else observation.cpu()
        probabilities = self.config.random * uniform(legal_action_mask.cpu())
        known: dict[tuple[int, int], Tensor] = {}
        for row, (own, other) in enumerate(positions(CODES[self._name], shown).tolist()):
            if (own, other) not in known:
                known[own, other] = self._asked(own, other, legal_action_mask.shape[1])
            probabilities[row] += (1 - self.config.random) * known[own, other]
        return Decision(probabilities.to(observation.device))

    def _asked(self, own: int, other: int, num_actions: int) -> Tensor:
        """[A] the bot's distribution."""
        state = self._game.new_initial_state()
        for move in moves_to(self._name, own, other):
            state.apply_action(move)
        bot = self._bot(state.current_player(), own, other)
        chosen = torch.zeros(num_actions)
        for action, probability in bot.get_policy(state) if bot.provides_policy() else [(bot.step(state), 1.0)]:
            chosen[action] = probability
        return chosen

    def _bot(self, player: int, own: int, other: int) -> Any:
        seed = int(np.random.SeedSequence([own, other]).generate_state(1)[0] >> 1)
        if self.config.command[0] == "random":
            return self._spiel.make_uniform_random_bot(player, seed)
        play_outs = self._spiel.RandomRolloutEvaluator(1, seed)
        nodes = self.config.nodes or BOTS["mcts"]
        return self._spiel.MCTSBot(self._game, play_outs, EXPLORATION, nodes, MEMORY_MB, True, seed, False)


def moves_to(game: str, own: int, other: int) -> list[int]:
    """Moves that lead to a position in which nobody has won, first and second player in turn; boards as in `envs`."""
    first, second = (own, other) if own.bit_count() == other.bit_count() else (other, own)
    if game == "tic_tac_toe":
        sides = [[square for square in range(9) if board >> square & 1] for board in (first, second)]
        return [sides[ply % 2][ply // 2] for ply in range(sum(map(len, sides)))]
    columns = [_column(first, second, column) for column in range(COLUMNS)]
    moves = _stacked(columns, (0,) * COLUMNS, 0, set())
    if moves is None:
        raise ValueError(f"no game of connect four leads to {own}, {other}")
    return moves


def _column(first: int, second: int, column: int) -> list[int]:
    """Whose stones lie in a column, from below: 0 the first player's, 1 the second's."""
    bits = [1 << (8 * column + row) for row in range(ROWS)]
    return [0 if first & bit else 1 for bit in bits if (first | second) & bit]


def _stacked(
    columns: Sequence[Sequence[int]], heights: tuple[int, ...], ply: int, dead: set[tuple[int, ...]]
) -> list[int] | None:
    """Moves that fill the columns from these heights on, or None; `dead` are heights that lead nowhere."""
    if all(height == len(column) for height, column in zip(heights, columns, strict=True)):
        return []
    for move, (height, column) in enumerate(zip(heights, columns, strict=True)):
        if height < len(column) and column[height] == ply % 2:
            after = (*heights[:move], height + 1, *heights[move + 1 :])
            if after not in dead and (rest := _stacked(columns, after, ply + 1, dead)) is not None:
                return [move, *rest]
    dead.add(heights)
    return None
