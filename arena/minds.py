"""From what a policy decides to what people are shown of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from agents.policy import Decision
from arena.session_client import Mind

TOP_MOVES = 5
MAX_Q_VALUES = 12
"""Actions of a game whose action values are shown."""


def mind_of(decision: Decision, legal: Tensor, names: Mapping[int, str]) -> Mind:
    """The thoughts behind a decision of one row in a position with these legal actions [A], by the actions' names.

    Of an agent that searches the moves it tried most, and how often; of others the likeliest.
    """
    probabilities = decision.probabilities[0].masked_fill(~legal, 0.0)
    weights = probabilities if decision.visits is None else decision.visits[0]
    order = [a for a in weights.argsort(descending=True, stable=True)[:TOP_MOVES].tolist() if weights[a] > 0]
    value = None if decision.value is None else float(decision.value[0]) + 0.0  # never −0
    q_values = [] if decision.q_values is None else decision.q_values[0].tolist()
    shown = legal.nonzero().flatten().tolist() if 0 < len(q_values) <= MAX_Q_VALUES else []
    visits = [] if decision.visits is None else [(names[a], int(decision.visits[0, a])) for a in order]
    line = [] if decision.line is None else [a for a in decision.line[0].tolist() if a >= 0]
    return Mind(
        value if value is not None and math.isfinite(value) else None,
        [(names[a], round(float(probabilities[a]), 4)) for a in order if probabilities[a] > 0],
        [(names[a], float(q_values[a])) for a in shown if math.isfinite(q_values[a])],
        visits,
        [names[a] for a in line],
        0 if decision.visits is None else int(decision.visits[0].sum()),
    )
