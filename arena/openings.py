"""Chance in matches: a game's seed, its sampled opening and its samples are hashes of (match seed, pair).

So a game comes out the same however many are played beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from envs import chance
from envs.registry import make
from envs.specs import GameSpec

OPENING_TRIES = 16
"""How often a pair's opening is drawn anew while another pair has it."""

GAME, OPENING, SAMPLE = range(3)  # what a pair's numbers are for


def pair_hash(seed: int, index: Tensor, purpose: int) -> Tensor:
    """[N] int64 in [0, 2**63): independent numbers for these pairs [N] of the match with this seed."""
    return chance.draw(torch.full_like(index, seed), index, purpose)


def sample(probabilities: Tensor, draws: Tensor) -> Tensor:
    """One action per row [B, A] by the inverse of the cumulative distribution, at draws [B] in [0, 2**63)."""
    cumulative = probabilities.double().cumsum(-1)
    point = draws.double() / 2.0**63 * cumulative[:, -1]
    # At or beyond the last possible action's edge (rounding) the last possible action is meant.
    last = (cumulative < cumulative[:, -1:]).sum(-1)
    return torch.minimum((cumulative <= point.unsqueeze(-1)).sum(-1), last)


def normal_draws(seeds: Tensor, ply: int, slot: int, count: int) -> Tensor:
    """[N, count] standard normal numbers of the games with these seeds [N], by the inverse of the distribution."""
    draws = chance.draw(seeds.unsqueeze(1), ply, slot * count + torch.arange(count))
    return torch.special.ndtri((draws.double() + 0.5) / 2.0**63).float()


def sampled_openings(spec: GameSpec, seed: int, pairs: int, plies: int) -> Tensor:
    """Random legal actions [plies, pairs, K] for the start of each pair, all different while there are enough.

    A pair whose opening an earlier pair has, or in whose opening the game ends, draws anew; so a pair's opening depends
    on the seed and the earlier pairs alone.
    """
    actions = torch.zeros((plies, pairs, spec.num_slots), dtype=torch.int64)
    if plies == 0:
        return actions
    env = make(spec.game, pairs, autoreset=False)
    index = torch.arange(pairs)
    tries = torch.zeros_like(index)
    for _ in range(OPENING_TRIES):
        draws = chance.draw(pair_hash(seed, index, OPENING), tries)
        turn = env.reset(pair_hash(seed, index, GAME))
        ended = torch.zeros(pairs, dtype=torch.bool)
        for ply in range(plies):
            assert turn.legal_action_mask is not None
            mask = turn.legal_action_mask.cpu()
            for slot in range(spec.num_slots):
                actions[ply, :, slot] = sample(mask[:, slot].float(), chance.draw(draws, ply, slot))
            actions[ply].masked_fill_((turn.player < 0).cpu(), 0)
            step = env.step(actions[ply].to(env.device))
            turn = step.turn
            ended |= (step.terminated | step.truncated).cpu()
        seen: set[bytes] = set()
        again = []
        for pair, line in enumerate(actions.transpose(0, 1).contiguous().numpy()):
            again.append(line.tobytes() in seen or bool(ended[pair]))
            seen.add(line.tobytes())
        if not any(again):
            break
        tries += torch.tensor(again)
    env.close()
    return actions
