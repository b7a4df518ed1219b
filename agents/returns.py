"""Returns and advantages: pure functions. T steps, N games, P players (seats).

A step's rewards follow its action. `terminated` and `truncated` [T, N] belong to the step that ended the game: both cut
the recursion there; truncation goes on with the value of the final state, termination with nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _check(rewards: Tensor, *others: Tensor) -> None:
    for other in others:
        assert other.shape == rewards.shape, (other.shape, rewards.shape)


def gae(
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_values: Tensor,
    last_value: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """Generalised advantage estimates [T, N] (Schulman et al. 2016, equation 16) where one player always decides.

    Args:
        rewards, values, terminated, truncated: [T, N]; values of the observations acted on.
        final_values: [T, N], values of the states in which truncated games ended; read there only.
        last_value: [N], of the observations to be acted on after the last step.
    """
    assert rewards.ndim == 2
    _check(rewards, values, terminated, truncated, final_values)
    assert last_value.shape == rewards.shape[1:]
    advantages = torch.empty_like(rewards)
    next_values = torch.cat([values[1:], last_value.unsqueeze(0)])
    next_values = torch.where(truncated, final_values, next_values).masked_fill(terminated, 0.0)
    deltas = rewards + gamma * next_values - values
    decay = (gamma * lam) * (~(terminated | truncated)).to(rewards.dtype)
    advantage = torch.zeros_like(last_value)
    for t in reversed(range(rewards.shape[0])):
        advantage = deltas[t] + decay[t] * advantage
        advantages[t] = advantage
    return advantages


def seat_gae(
    rewards: Tensor,
    values: Tensor,
    deciding: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_values: Tensor,
    final_known: Tensor,
    last_values: Tensor,
    last_known: Tensor,
    gamma: float,
    lam: float,
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates per seat: (advantages [T, N, P], valid [T, N, P] bool); 0 where nobody decided.

    Each seat's decisions form one chain: what follows a decision is the seat's next decision in the same game, the
    rewards in between are summed, and γ counts own decisions. Any number of seats, in any order, eliminated ones
    included (their chain ends with the game, so late rewards still reach their last decision). In a two-player zero-sum
    game where one network plays both seats, a value of the side to move is the other's negated: pass it so in
    `final_values` and `last_values`.

    A decision whose successor's value is unknown (the rollout ended first) is not valid; for the decisions before it
    the chain is cut at its value.

    Args:
        rewards, values, deciding: [T, N, P]; values are read where `deciding` only.
        terminated, truncated: [T, N].
        final_values, final_known: [T, N, P], of the states in which truncated games ended, for each seat.
        last_values, last_known: [N, P], of the states after the last step. In both a seat that is out has the known
            value 0.
    """
    assert rewards.ndim == 3
    _check(rewards, values, deciding, final_values, final_known)
    assert terminated.shape == truncated.shape == rewards.shape[:2]
    assert last_values.shape == last_known.shape == rewards.shape[1:]
    advantages = torch.zeros_like(rewards)
    valid = torch.zeros_like(deciding)
    pending = torch.zeros_like(last_values)
    next_value, known, next_advantage = last_values, last_known, pending
    ended = (terminated | truncated).unsqueeze(-1)
    cut_value = torch.where(truncated.unsqueeze(-1), final_values, 0.0)
    cut_known = terminated.unsqueeze(-1) | final_known
    for t in reversed(range(rewards.shape[0])):
        next_value = torch.where(ended[t], cut_value[t], next_value)
        known = torch.where(ended[t], cut_known[t], known)
        next_advantage = next_advantage.masked_fill(ended[t], 0.0)
        pending = pending.masked_fill(ended[t], 0.0) + rewards[t]
        advantage = pending + gamma * (next_value + lam * next_advantage) - values[t]
        valid[t] = deciding[t] & known
        advantages[t] = torch.where(valid[t], advantage, 0.0)
        next_value = torch.where(deciding[t], values[t], next_value)
        next_advantage = torch.where(deciding[t], advantages[t], next_advantage)
        known = known | deciding[t]
        pending = pending.masked_fill(deciding[t], 0.0)
    return advantages, valid


def rewards_to_go(
    rewards: Tensor, deciding: Tensor, terminated: Tensor, truncated: Tensor, gamma: float
) -> tuple[Tensor, Tensor]:
    """Discounted returns per seat with no value to bootstrap from: (returns [T, N, P], complete [T, N, P] bool).

    Rewards between a seat's decisions are summed and γ counts own decisions, as in `seat_gae`. A truncated game's
    return is what it brought until then. Decisions of games that had not ended by the last step are not complete, their
    return is zero.
    """
    assert rewards.ndim == 3
    _check(rewards, deciding)
    assert terminated.shape == truncated.shape == rewards.shape[:2]
    returns = torch.zeros_like(rewards)
    complete = torch.zeros_like(deciding)
    ended = (terminated | truncated).unsqueeze(-1)
    later = torch.zeros_like(rewards[0])
    pending = torch.zeros_like(later)
    finished = torch.zeros_like(deciding[0])
    for t in reversed(range(rewards.shape[0])):
        finished = finished | ended[t]
        later = later.masked_fill(ended[t], 0.0)
        pending = pending.masked_fill(ended[t], 0.0) + rewards[t]
        total = pending + gamma * later
        complete[t] = deciding[t] & finished
        returns[t] = torch.where(complete[t], total, 0.0)
        later = torch.where(deciding[t], total, later)
        pending = pending.masked_fill(deciding[t], 0.0)
    return returns, complete
