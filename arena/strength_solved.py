"""Connect four agents against the solver: move by move on a fixed sample, and in lost games against perfect play."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from agents.connect_four_solver import COLUMNS, Solver, as_observation, columns, has_four, play
from agents.policy import Policy
from arena.solved_positions import SolvedPosition, solved_positions


@dataclass(frozen=True)
class SolvedStrength:
    """What an agent's moves are worth beside perfect play. The sample is `arena.solved_positions`.

    Attributes:
        positions: how many positions in which the choice matters.
        preserved: share of moves that keep the result (win, draw or loss) of the position.
        exact: share of moves that keep its score, so win as fast as can be.
        value_loss: how much of the score a move loses on average; a score counts the winner's unplayed stones.
        by_chance: the share of moves that keep the result for one who moves at random.
        lost_games: lost positions, played on against perfect play.
        survived, survivable: plies that the agent lasted in them on average, and that perfect defence lasts.
        fault: the first position in which its likeliest move throws the result away, in words; "" for none.
    """

    game: str
    positions: int
    preserved: float
    exact: float
    value_loss: float
    by_chance: float
    lost_games: int
    survived: float
    survivable: float
    fault: str

    @property
    def perfect(self) -> bool:
        return self.preserved == 1.0


def solved_strength(
    game: str, policy: Policy, *, samples: bool = False, positions: int | None = None, seed: int = 0
) -> SolvedStrength:
    """Compare a policy with the solver.

    Args:
        samples: whether the policy draws from its distribution (its moves then count by their probability) or plays
            its likeliest move.
        positions: how many positions of the sample, the first ones; default: all.
        seed: of the draws in lost games.
    """
    cases, lost = solved_positions()
    cases = cases[:positions]
    lost = lost[: len(cases)]
    chances = _chances(policy, [case.position for case in cases], samples)
    preserved, exact, loss = [], [], []
    fault = ""
    for case, chance in zip(cases, chances, strict=True):
        moves = case.scores
        preserved.append(sum(chance[column] for column in moves if case.keeps(column)))
        exact.append(sum(chance[column] for column in moves if moves[column] == case.score))
        loss.append(sum(chance[column] * (case.score - moves[column]) for column in moves))
        likeliest = int(chance.argmax())
        if not fault and not case.keeps(likeliest):
            fault = _in_words(case, likeliest)
    return SolvedStrength(
        game=game,
        positions=len(cases),
        preserved=float(np.mean(preserved)),
        exact=float(np.mean(exact)),
        value_loss=float(np.mean(loss)),
        by_chance=float(np.mean([np.mean([case.keeps(column) for column in case.scores]) for case in cases])),
        lost_games=len(lost),
        survived=_survived(policy, samples, lost, seed),
        survivable=float(np.mean([case.plies_left for case in lost])),
        fault=fault,
    )


def _survived(policy: Policy, samples: bool, cases: Sequence[SolvedPosition], seed: int) -> float:
    """How many plies the policy lasts from lost positions against perfect play, on average."""
    rng, solver = np.random.default_rng(seed), Solver()
    games = [case.position for case in cases]
    going, plies = list(range(len(games))), 0
    while going:
        chances = _chances(policy, [games[index] for index in going], samples)
        for index, chance in zip(list(going), chances, strict=True):
            reply = play(*games[index], int(rng.choice(COLUMNS, p=chance)))
            games[index] = play(*reply, solver.solve(*reply).best[0])
            plies += 2
            if has_four(games[index][1]):
                going.remove(index)
    return plies / len(games)


def _chances(policy: Policy, positions: list[tuple[int, int]], samples: bool) -> np.ndarray:
    """[B, 7]: how likely each move is."""
    legal = torch.zeros(len(positions), COLUMNS, dtype=torch.bool)
    for row, (own, other) in enumerate(positions):
        legal[row, columns(own | other)] = True
    chosen = policy(torch.from_numpy(as_observation(positions)), legal).probabilities.cpu()
    if not samples:
        chosen = torch.nn.functional.one_hot(chosen.argmax(-1), COLUMNS)
    chances = chosen.double()
    return (chances / chances.sum(-1, keepdim=True)).numpy()


def _in_words(case: SolvedPosition, column: int) -> str:
    words = {1: "wins", 0: "draws", -1: "loses"}
    keeping = ", ".join(str(c + 1) for c in case.scores if case.keeps(c))
    reached = int(np.sign(case.scores[column]))
    return f"after {case.moves} it plays {column + 1}, which {words[reached]}, where {keeping} {words[case.result]}"
