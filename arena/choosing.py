"""Who chooses what in one step of a match's games, which are played side by side.

Policies see batches of a fixed size in which a game keeps its row, so that a game does not depend on the others; those
of outside engines, which cost a question a row, see the rows that they decide, and may give games up.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agents.distributions import legal_actions
from arena.episodes import Recorder
from arena.openings import normal_draws, sample
from arena.roster import Contender
from envs import chance
from envs.errors import ArenaError, IllegalActionError
from envs.protocol import Turn, check_legal
from envs.specs import GameSpec

BLOCK = 64
"""Rows that a policy sees at a time."""
PIXELS, PIXEL_BLOCK = 4096, 4
"""Observations of so many numbers cost a network milliseconds a row: their batches are smaller."""


def choose(
    spec: GameSpec,
    contenders: Sequence[Contender],
    seat_of: Tensor,
    turn: Turn,
    greedy: bool,
    samples: Tensor,
    ply: int,
    recorder: Recorder,
) -> Tensor:
    """Everybody's actions [N, K], or [N, K, D] where they are continuous; idle slots get 0.

    Games that somebody gives up end in the recorder; the env plays them on with the first legal action.
    """
    given_up = torch.tensor([reason == "resigned" for reason in recorder.reasons]).unsqueeze(1)
    deciding = (turn.player >= 0) & ~given_up
    holder = torch.where(deciding, seat_of.gather(1, turn.player.clamp(min=0)), -1)  # [N, K] contender
    action = _nothing(spec, *turn.player.shape)
    for number, contender in enumerate(contenders):
        same = [index for index, other in enumerate(contenders) if other.policy is contender.policy]
        if same[0] != number:
            continue
        mine = torch.isin(holder, torch.tensor(same))
        for slot in range(mine.shape[1]):
            decided, reasons = _decide(spec, contender, turn, slot, mine[:, slot], greedy, samples, ply)
            action[mine[:, slot], slot] = decided[mine[:, slot]]
            for game, why in reasons.items():
                recorder.give_up(game, int(turn.player[game, slot]), why)
    if "resigned" in recorder.reasons and turn.legal_action_mask is not None:
        over = torch.tensor([reason == "resigned" for reason in recorder.reasons])
        action[over] = turn.legal_action_mask[over].to(torch.uint8).argmax(-1).cpu()
    return action


def _nothing(spec: GameSpec, *shape: int) -> Tensor:
    """Action 0 everywhere: [*shape] int64, or [*shape, D] float32 where actions are continuous."""
    if spec.num_actions is None:
        return torch.zeros(*shape, *spec.action_shape)
    return torch.zeros(*shape, dtype=torch.int64)


def _decide(
    spec: GameSpec,
    contender: Contender,
    turn: Turn,
    slot: int,
    mine: Tensor,
    greedy: bool,
    samples: Tensor,
    ply: int,
) -> tuple[Tensor, dict[int, str]]:
    """The contender's actions [N, …] in this slot of the games `mine` [N], and which of them it gives up and why.

    What the actions of the other games hold means nothing.
    """
    legal = legal_actions(turn)
    gave_up: dict[int, str] = {}
    chosen = _nothing(spec, len(samples))
    num_games = len(samples)
    block = PIXEL_BLOCK if turn.observation[0, 0].numel() >= PIXELS else BLOCK
    for start in range(0, num_games, block):
        rows = slice(start, min(start + block, num_games))
        if not bool(mine[rows].any()):
            continue
        missing = block - (rows.stop - start)
        if contender.one_by_one:
            shown, missing = mine.nonzero().squeeze(1), 0
            shown = shown[(shown >= start) & (shown < rows.stop)]
        else:
            shown = torch.arange(start, rows.stop)
        observation = _pad(turn.observation[shown, slot], missing)
        decision = contender.policy(observation, _pad(legal[shown, slot], missing))
        given = decision.probabilities[: len(shown)].cpu()
        probabilities = given.new_zeros(rows.stop - start, given.shape[-1])
        probabilities[shown - start] = given
        if decision.gave_up is not None:
            reasons = zip(shown.tolist(), decision.gave_up, strict=False)
            gave_up |= {game: why for game, why in reasons if why and bool(mine[game])}
        likeliest = greedy and not contender.samples
        if decision.normal is not None:
            noise = None if likeliest else normal_draws(_pad(samples[rows], missing), ply, slot, *spec.action_shape)
            chosen[rows] = decision.normal.action(noise)[: rows.stop - start].cpu()
        elif likeliest:
            chosen[rows] = probabilities.argmax(-1)
        else:
            chosen[rows] = sample(probabilities, chance.draw(samples[rows], ply, slot))
        if not bool(torch.isfinite(probabilities[mine[rows]]).all() and torch.isfinite(chosen[rows][mine[rows]]).all()):
            raise ArenaError(f"{contender.name} gave probabilities that are no numbers; its weights are damaged")
    return chosen, gave_up


def _pad(rows: Tensor, missing: int) -> Tensor:
    """`rows` with its last one repeated until the block is full."""
    return rows if not missing else torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])


def refuse_illegal(
    spec: GameSpec, contenders: Sequence[Contender], seat_of: Tensor, turn: Turn, action: Tensor, ply: int
) -> None:
    if spec.num_actions is None:
        return  # a policy's actions are within the bounds by construction
    illegal = ~check_legal(turn, action)
    if not bool(illegal.any()):
        return
    game, slot = illegal.nonzero()[0].tolist()
    contender = contenders[int(seat_of[game, turn.player[game, slot]])]
    number = int(action[game, slot])
    word = spec.action_names[number] if number < len(spec.action_names) else str(number)
    raise IllegalActionError(
        f"{contender.name} played {word!r} at step {ply + 1} of game {game + 1}, which is not legal there"
    )
