"""Poker agents against best responses: NashConv of one, or of a run's agents taken together as fictitious play does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.nash_conv import average, find_deals, grow, nash_conv, strategy, value
from agents.policy import Policy


@dataclass(frozen=True)
class CardStrength:
    """How far a strategy is from an equilibrium.

    Attributes:
        agents: how many policies it averages.
        nash_conv: what both players together gain by turning to a best response.
        exploitability: half of it: what a best response wins a game, over both seats.
        first_wins: what the one who begins wins a game when both play it.
    """

    game: str
    agents: int
    nash_conv: float
    exploitability: float
    first_wins: float


def card_strength(game: str, policies: Sequence[Policy]) -> CardStrength:
    """NashConv of what the policies' probabilities say; of several: of one who draws one of them for each game."""
    deals = find_deals(game)
    root = grow(game, deals)
    each = [strategy(root, policy) for policy in policies]
    chosen = average(root, each) if len(each) > 1 else each[0]
    gap = nash_conv(root, chosen, deals)
    return CardStrength(game, len(each), gap, gap / 2, float((deals.probability @ value(root, chosen))[0]))
