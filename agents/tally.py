"""What the games of a learner brought: sums on the device, read once per report. N games, P players."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agents.selfplay import SelfPlay
from envs.specs import GameSpec


class Tally:
    """Counts the games that end.

    Attributes:
        return_so_far: [N, P], ply: [N] int64, of the games that are being played.
        sums: [4, N] since the last report: games, their lengths, the learner's mean return, its score (win 1,
            draw ½, loss 0).
    """

    def __init__(self, spec: GameSpec, self_play: SelfPlay) -> None:
        seats = self_play.learner_seat.unsqueeze(1)
        device = seats.device
        self.self_play = self_play
        self.held = (seats < 0) | (seats == torch.arange(spec.num_players, device=device))  # [N, P]
        self.return_so_far = torch.zeros(len(seats), spec.num_players, device=device)
        self.ply = torch.zeros(len(seats), dtype=torch.int64, device=device)
        self.sums = torch.zeros(4, len(seats), device=device)

    def restart(self) -> None:
        """All games start anew."""
        self.return_so_far.zero_()
        self.ply.zero_()

    def count(self, rewards: Tensor, ended: Tensor, part: slice = slice(None)) -> None:
        """Take in one step of this part of the games: its rewards [N, P] and which of them it ended [N], so that others
        have begun (where a life ends a game for the learner, the game goes on)."""
        return_so_far, ply, held = self.return_so_far[part], self.ply[part], self.held[part]
        return_so_far += rewards
        ply += 1
        mine = (return_so_far * held).sum(1) / held.sum(1)
        best_other = return_so_far.masked_fill(held, -torch.inf).amax(1)
        score = 0.5 + 0.5 * torch.sign(mine - best_other)
        self.sums[:, part] += torch.stack([torch.ones_like(mine), ply.to(mine.dtype), mine, score]) * ended
        return_so_far.masked_fill_(ended.unsqueeze(1), 0.0)
        ply.masked_fill_(ended, 0)

    def take(self) -> Tensor:
        """[3, 4], on the device: the sums over games alone or in self-play, against the pool and against random moves,
        since the last call."""
        kinds = (self.self_play.num_self, self.self_play.num_pool, self.self_play.num_random)
        sums = torch.stack([part.sum(1) for part in self.sums.split(kinds, 1)])
        self.sums.zero_()
        return sums

    def charts(self, taken: Sequence[Sequence[float]] | None = None) -> dict[str, float]:
        """Means over the games that ended since the last call, or of what was `taken` and read; a kind of game of which
        none ended is left out."""
        sums = self.take().tolist() if taken is None else taken
        ended, length, total = (sum(kind[i] for kind in sums) for i in range(3))
        charts = {}
        if ended:
            charts = {"charts/episodic_return": total / ended, "charts/episodic_length": length / ended}
        for name, (count, _, _, score) in zip(("score_vs_pool", "score_vs_random"), sums[1:], strict=True):
            if count:
                charts[f"charts/{name}"] = score / count
        return charts
