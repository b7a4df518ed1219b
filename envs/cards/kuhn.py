"""Kuhn poker (Kuhn 1950, "A simplified two-person poker"): three cards, one each, an ante of 1, one bet of 1.

The first player passes or bets; a bet is called (by betting) or folded to (by passing); after two passes, or a bet that
is called, the higher card wins. With best play the first player loses 1/18 a game.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from envs import chance
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing, Span
from envs.specs import GameSpec, Variant

_CARDS = ("J", "Q", "K")
_DEALS = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
_OVER = {  # moves → stake, and who folded: 0, 1 or nobody (-1)
    "pp": (1, -1),
    "bp": (1, 1),
    "bb": (2, -1),
    "pbp": (1, 0),
    "pbb": (2, -1),
}


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """After moves of number `ply` 1 … 3 with bets `bits`, at 8 ply + bits: what the first player wins with the lower
    and with the higher card [32, 2] float32, and whether the game is over [32] bool. And the deals [6, 2] int64."""
    pays, over = torch.zeros(32, 2), torch.zeros(32, dtype=torch.bool)
    for moves, (stake, folded) in _OVER.items():
        index = 8 * len(moves) + sum(1 << ply for ply, move in enumerate(moves) if move == "b")
        over[index] = True
        pays[index] = torch.tensor([-stake, stake] if folded < 0 else [(2 * folded - 1) * stake] * 2)
    return pays.to(device), over.to(device), torch.tensor(_DEALS, device=device)


class Kuhn:
    """State: `cards` [N, 2] int64, 0 (the lowest) to 2; `bets` [N] int64, whose bit t says whether move t was a bet."""

    def init(self, seeds: Tensor) -> State:
        deals = _tables(seeds.device)[2]
        return {"cards": deals.index_select(0, chance.below(seeds, 0, len(deals))), "bets": torch.zeros_like(seeds)}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        pays, over, _ = _tables(seeds.device)
        cards, bets = state["cards"], state["bets"] | (action.squeeze(1) << state["ply"])
        index = (8 * (state["ply"] + 1) + bets).clamp(max=31)  # games that are over may be asked to go on
        higher = (cards[:, 0] > cards[:, 1]).long()
        won = pays[index].gather(1, higher.unsqueeze(1))
        return {"cards": cards, "bets": bets}, torch.cat([won, 0 - won], 1), over[index]

    def observe(self, state: State) -> Turn:
        """Own card, one-hot; the first move passed, bet; the second move was a bet."""
        ply, bets = state["ply"], state["bets"]
        mover = (ply & 1).unsqueeze(1)
        card = state["cards"].gather(1, mover) == torch.arange(len(_CARDS), device=ply.device)
        first, moved = bets & 1, ply > 0
        seen = torch.stack([moved & (first == 0), moved & (first == 1), (ply > 1) & (bets & 2 > 0)], 1)
        mask = torch.ones(len(ply), 1, 2, dtype=torch.bool, device=ply.device)
        return Turn(torch.cat([card, seen], 1).to(torch.uint8).unsqueeze(1), mask, mover)

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        ply, bets = int(state["ply"][index]), int(state["bets"][index])
        moves = "".join("pb"[bets >> t & 1] for t in range(ply))
        stake, folded = _OVER.get(moves, (0, -1))
        cards = [_CARDS[card] for card in state["cards"][index].tolist()]
        shown = [seat in (None, player) or bool(stake and folded < 0) for player in (0, 1)]
        lines: list[list[Span]] = []
        for player in (0, 1):
            card = cards[player] if shown[player] else "?"
            paid = 1 + moves[player::2].count("b")
            words = " ".join("bet" if move == "b" else "pass" for move in moves[player::2])
            lines += [
                [("┌───┐", "dim")],
                [("│ ", "dim"), (card, f"player{player}"), (" │", "dim"), (f"  {'●' * paid}  {words}", "plain")],
                [("└───┘", "dim")],
            ]
        caption = f"player {ply % 2 + 1} to move: p passes, b bets"
        if stake:
            winner = 1 - folded if folded >= 0 else int(cards[1] == max(cards, key=_CARDS.index))
            caption = f"player {winner + 1} wins {stake}"
        return Drawing(lines, keys={} if stake else {0: ["p"], 1: ["b"]}, caption=caption)


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> NativeEnv:
    spec = GameSpec(
        game=str(variant),
        version=variant.game.version,
        num_players=2,
        num_slots=1,
        num_actions=2,
        observation_shape=(6,),
        observation_dtype="uint8",
        action_names=("pass", "bet"),
        zero_sum=True,
    )
    return NativeEnv(spec, Kuhn(), num_envs, device, autoreset)
