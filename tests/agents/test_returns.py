"""Returns and advantages against hand-computed numbers and against loops that say what is meant."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from agents.returns import gae, rewards_to_go, seat_gae

GAMMA, LAM = 0.9, 0.8


def column(*values: float) -> Tensor:
    """[T, 1]."""
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def flags(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.bool).unsqueeze(1)


def test_gae_by_hand() -> None:
    rewards, values = column(1, 2, 3), column(0.5, 1.0, 1.5)
    none = flags(0, 0, 0)
    advantages = gae(rewards, values, none, none, column(0, 0, 0), torch.tensor([2.0]).double(), GAMMA, LAM)
    d2 = 3 + 0.9 * 2.0 - 1.5
    d1 = 2 + 0.9 * 1.5 - 1.0
    d0 = 1 + 0.9 * 1.0 - 0.5
    expected = column(d0 + 0.72 * (d1 + 0.72 * d2), d1 + 0.72 * d2, d2)
    torch.testing.assert_close(advantages, expected)


def test_termination_counts_as_zero_and_truncation_goes_on_with_the_final_value() -> None:
    rewards, values, final = column(1, 2, 3), column(0.5, 1.0, 1.5), column(9, 7, 9)
    last = torch.tensor([100.0]).double()
    terminated = gae(rewards, values, flags(0, 1, 0), flags(0, 0, 0), final, last, GAMMA, LAM)
    truncated = gae(rewards, values, flags(0, 0, 0), flags(0, 1, 0), final, last, GAMMA, LAM)
    assert terminated[1, 0] == pytest.approx(2 - 1.0)
    assert truncated[1, 0] == pytest.approx(2 + 0.9 * 7 - 1.0)
    # Both cut the recursion: what follows belongs to another game.
    assert terminated[0, 0] == pytest.approx((1 + 0.9 * 1.0 - 0.5) + 0.72 * (2 - 1.0))
    assert truncated[0, 0] == pytest.approx((1 + 0.9 * 1.0 - 0.5) + 0.72 * (2 + 0.9 * 7 - 1.0))


def random_games(
    generator: torch.Generator, steps: int, games: int, players: int, turn_based: bool
) -> dict[str, Tensor]:
    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    ended = uniform(steps, games)
    deciding = uniform(steps, games, players) < 0.7
    if turn_based:
        mover = torch.randint(players, (steps, games, 1), generator=generator)
        deciding = mover == torch.arange(players)
    return {
        "rewards": uniform(steps, games, players) - 0.5,
        "values": uniform(steps, games, players) - 0.5,
        "deciding": deciding,
        "terminated": ended < 0.15,
        "truncated": (ended >= 0.15) & (ended < 0.3),
        "final_values": uniform(steps, games, players),
        "final_known": uniform(steps, games, players) < 0.5,
        "last_values": uniform(games, players),
        "last_known": uniform(games, players) < 0.5,
    }


def slow_seat_gae(g: dict[str, Tensor], gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """For every decision, walk forward to the same seat's next decision, and sum the deltas along the chain."""
    steps, games, players = g["rewards"].shape
    advantages, valid = torch.zeros_like(g["rewards"]), torch.zeros_like(g["deciding"])
    for n in range(games):
        for p in range(players):

            def follow(t: int, n: int = n, p: int = p) -> tuple[float, bool, int | None]:
                """(delta, whether its successor's value is known, the seat's next decision in this game)."""
                total = 0.0
                for s in range(t, steps):
                    total += float(g["rewards"][s, n, p])
                    value = float(g["values"][t, n, p])
                    if g["terminated"][s, n]:
                        return total - value, True, None
                    if g["truncated"][s, n]:
                        known = bool(g["final_known"][s, n, p])
                        return total + gamma * float(g["final_values"][s, n, p]) - value, known, None
                    if s + 1 < steps and g["deciding"][s + 1, n, p]:
                        return total + gamma * float(g["values"][s + 1, n, p]) - value, True, s + 1
                known = bool(g["last_known"][n, p])
                return total + gamma * float(g["last_values"][n, p]) - value, known, None

            for t in range(steps):
                if not g["deciding"][t, n, p]:
                    continue
                delta, known, following = follow(t)
                if not known:
                    continue
                valid[t, n, p] = True
                weight, total = 1.0, delta
                while following is not None:
                    delta, known, after = follow(following)
                    if not known:
                        break
                    weight *= gamma * lam
                    total += weight * delta
                    following = after
                advantages[t, n, p] = total
    return advantages, valid


@pytest.mark.parametrize("turn_based", [True, False])
@pytest.mark.parametrize("players", [1, 2, 3])
def test_seat_gae_equals_the_slow_loop(players: int, turn_based: bool) -> None:
    games = random_games(torch.Generator().manual_seed(players), 24, 8, players, turn_based)
    advantages, valid = seat_gae(**games, gamma=GAMMA, lam=LAM)
    expected, expected_valid = slow_seat_gae(games, GAMMA, LAM)
    assert torch.equal(valid, expected_valid)
    assert valid.any()
    assert not valid[games["deciding"]].all()
    torch.testing.assert_close(advantages, expected)


def test_seat_gae_of_one_player_who_always_decides_is_gae() -> None:
    g = random_games(torch.Generator().manual_seed(5), 30, 6, 1, True)
    g["final_known"][:], g["last_known"][:] = True, True
    advantages, valid = seat_gae(**g, gamma=GAMMA, lam=LAM)
    plain = gae(
        g["rewards"][..., 0],
        g["values"][..., 0],
        g["terminated"],
        g["truncated"],
        g["final_values"][..., 0],
        g["last_values"][..., 0],
        GAMMA,
        LAM,
    )
    assert valid.all()
    torch.testing.assert_close(advantages[..., 0], plain)


def test_two_player_zero_sum_agrees_with_the_opponents_value_negated() -> None:
    """At λ = 1 and γ = 1, negamax (the next value is the opponent's, negated) gives each mover the same advantage."""
    generator = torch.Generator().manual_seed(3)
    steps, games = 20, 5
    mine = torch.rand(steps, games, generator=generator, dtype=torch.float64) - 0.5  # the mover's reward
    values = torch.rand(steps, games, generator=generator, dtype=torch.float64)
    last = torch.rand(games, generator=generator, dtype=torch.float64)  # of the side to move at the end
    terminated = torch.rand(steps, games, generator=generator) < 0.2
    mover = torch.zeros(steps + 1, games, dtype=torch.int64)
    for t in range(steps):
        mover[t + 1] = torch.where(terminated[t], 0, 1 - mover[t])
    seat = torch.nn.functional.one_hot(mover, 2).bool()
    sign = torch.where(seat, 1.0, -1.0).double()

    negamax = torch.zeros(steps, games, dtype=torch.float64)
    following = last
    for t in reversed(range(steps)):
        negamax[t] = mine[t] - torch.where(terminated[t], 0.0, following)
        following = negamax[t]
    advantages, valid = seat_gae(
        rewards=mine.unsqueeze(-1) * sign[:-1],
        values=values.unsqueeze(-1) * sign[:-1],
        deciding=seat[:-1],
        terminated=terminated,
        truncated=torch.zeros_like(terminated),
        final_values=torch.zeros(steps, games, 2).double(),
        final_known=torch.zeros(steps, games, 2).bool(),
        last_values=last.unsqueeze(-1) * sign[-1],
        last_known=torch.ones(games, 2).bool(),
        gamma=1.0,
        lam=1.0,
    )
    assert torch.equal(valid, seat[:-1])
    torch.testing.assert_close(advantages.sum(-1), negamax - values)


def test_rewards_of_other_seats_moves_reach_the_last_decision() -> None:
    """Seat 0 moves at steps 0 and 2; seat 1's move at step 1 costs it five; then seat 0 wins."""
    rewards = torch.tensor([[[0.0, 0.0]], [[-5.0, 5.0]], [[1.0, -1.0]]]).double()
    deciding = torch.tensor([[[True, False]], [[False, True]], [[True, False]]])
    zeros = torch.zeros_like(rewards)
    advantages, valid = seat_gae(
        rewards,
        zeros,
        deciding,
        flags(0, 0, 1),
        flags(0, 0, 0),
        zeros,
        zeros.bool(),
        zeros[0],
        zeros[0].bool(),
        0.5,
        1.0,
    )
    assert torch.equal(valid, deciding)
    assert advantages[:, 0, 0].tolist() == [-5.0 + 0.5 * 1.0, 0.0, 1.0]
    assert advantages[1, 0, 1] == 5.0 - 1.0
    returns, complete = rewards_to_go(rewards, deciding, flags(0, 0, 1), flags(0, 0, 0), 0.5)
    assert torch.equal(complete, deciding)
    torch.testing.assert_close(returns, advantages)


def test_who_is_out_is_paid_at_the_end_and_the_next_game_is_another_one() -> None:
    """Three seats decide together. Seat 2 is out after step 0, seat 0 wins at step 1; then a game of its own begins."""
    rewards = torch.tensor([[[0.0, 0.0, -1.0]], [[3.0, -1.0, -2.0]], [[50.0, 60.0, 70.0]]]).double()
    values = torch.tensor([[[0.5, 0.25, 0.125]], [[1.0, 2.0, 9.0]], [[10.0, 20.0, 30.0]]]).double()
    deciding = torch.tensor([[[True, True, True]], [[True, True, False]], [[True, True, True]]])
    zeros, last = torch.zeros_like(rewards), torch.tensor([[100.0, 200.0, 300.0]]).double()
    ends, never = flags(0, 1, 0), flags(0, 0, 0)
    known = torch.tensor([[True, True, False]])  # what seat 2 does next comes after the rollout
    advantages, valid = seat_gae(
        rewards, values, deciding, ends, never, zeros, zeros.bool(), last, known, gamma=0.5, lam=0.5
    )
    won, lost = 3.0 - 1.0, -1.0 - 2.0
    expected = [
        [0.5 * 1.0 - 0.5 + 0.25 * won, 0.5 * 2.0 - 0.25 + 0.25 * lost, -1.0 - 2.0 - 0.125],
        [won, lost, 0.0],
        [50 + 0.5 * 100 - 10, 60 + 0.5 * 200 - 20, 0.0],
    ]
    assert advantages[:, 0].tolist() == expected
    assert valid[:, 0].tolist() == [[True, True, True], [True, True, False], [True, True, False]]
    # Cut by a limit instead, the values of the last state are what is left to come; seat 2's is not asked for.
    final = torch.tensor([0.0, 4.0, 0.0]).double().view(3, 1, 1).expand(3, 1, 3)
    cut, _ = seat_gae(
        rewards, values, deciding, never, ends, final, zeros.bool() | (final > 0), last, known, gamma=0.5, lam=0.5
    )
    assert cut[1, 0].tolist() == [won + 0.5 * 4.0, lost + 0.5 * 4.0, 0.0]
    assert cut[0, 0, 2].item() == -1.0 - 2.0 + 0.5 * 4.0 - 0.125
    assert cut[2].equal(advantages[2])
    returns, complete = rewards_to_go(rewards, deciding, ends, never, 0.5)
    assert returns[:, 0].tolist() == [[1.5, -0.5, -3.0], [3.0, -1.0, 0.0], [0.0, 0.0, 0.0]]
    assert torch.equal(complete, deciding & torch.tensor([True, True, False]).view(3, 1, 1))


def test_rewards_to_go_leaves_out_what_did_not_end() -> None:
    rewards = column(1, 2, 4, 8, 16).unsqueeze(-1)
    always = torch.ones_like(rewards).bool()
    returns, complete = rewards_to_go(rewards, always, flags(0, 0, 1, 0, 0), flags(0, 0, 0, 0, 0), 0.5)
    assert returns.flatten().tolist() == [1 + 0.5 * (2 + 0.5 * 4), 2 + 0.5 * 4, 4, 0, 0]
    assert complete.flatten().tolist() == [True, True, True, False, False]
    cut, _ = rewards_to_go(rewards, always, flags(0, 0, 0, 0, 0), flags(0, 0, 1, 0, 0), 0.5)
    torch.testing.assert_close(cut, returns)
