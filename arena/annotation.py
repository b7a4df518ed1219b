"""What an agent thinks of every position of a stored game, and where it was decided."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from agents.distributions import legal_actions
from arena.episodes import decode_actions
from arena.minds import mind_of
from arena.records import Episode
from arena.roster import Contender, resolve
from arena.session_client import Annotated, Mind
from arena.standings import standings
from envs.errors import ArenaError, UsageError
from envs.protocol import Turn, VecEnv, check_legal
from envs.registry import make
from envs.specs import GameSpec

if TYPE_CHECKING:
    from arena.store import Store

FALLBACKS = ("mcts-100", "value-iteration")


def annotate(store: Store, episode: Episode, by: str | None = None) -> Annotated:
    """The episode with the thoughts of one agent: the named one, or the strongest with an opinion of positions.

    Values are seat 0's, where the game goes to from there: the rewards so far and what is expected to come; the last
    one is the return. In games of more than two players they are known where seat 0 decides.

    Raises UsageError where nobody knows the game, ArenaError where the record cannot be played.
    """
    spec = make(episode.game).spec
    if spec.num_actions is None:
        raise UsageError(f"{spec.game} has continuous actions: they have no probabilities to show")
    adviser = resolve(store, spec.game, by, join=False) if by else _adviser(store, spec, episode)
    minds = [*_thoughts(spec, episode, adviser)]
    final = float(episode.players[0].reward)
    values = [*(mind.value for mind in minds), final]
    return Annotated(adviser.name, minds, decisive(values))


def decisive(values: Sequence[float | None]) -> int | None:
    """The ply whose move changed the value most, from the position before it to that after it; None: no change."""
    known = [(ply, value) for ply, value in enumerate(values) if value is not None]
    swings = [(abs(b - a), ply) for (_, a), (ply, b) in itertools.pairwise(known)]
    size, ply = max(swings, key=lambda swing: swing[0], default=(0.0, 0))
    return ply if size > 0 else None


def _adviser(store: Store, spec: GameSpec, episode: Episode) -> Contender:
    """The strongest agent of the table that says what a position is worth; else a search."""
    env = make(spec.game)
    turn = env.reset(torch.tensor([episode.seed]))
    names = [row.agent for row in standings(store, spec.game) if row.kind == "checkpoint"]
    names += [agent.name for agent in reversed(store.agents(spec.game)) if agent.kind == "checkpoint"]
    for name in [*dict.fromkeys(names), *FALLBACKS]:
        try:
            found = resolve(store, spec.game, name, join=False)
            if found.policy(turn.observation[:, 0], legal_actions(turn)[:, 0]).value is not None:
                return found
        except ArenaError:
            continue  # it does not play this game, or its checkpoint is damaged
    raise UsageError(f"nobody knows what positions of {spec.game} are worth; train an agent first")


def _thoughts(spec: GameSpec, episode: Episode, adviser: Contender) -> Iterator[Mind]:
    """A mind for each position but the last one; of those who decide at once the first one's."""
    with contextlib.closing(make(spec.game, autoreset=False)) as env:
        turn = env.reset(torch.tensor([episode.seed]))
        so_far = 0.0
        for ply, action in enumerate(decode_actions(spec, episode), 1):
            if not bool(check_legal(turn, action.unsqueeze(0)).all()):
                raise ArenaError(f"episode {episode.id}, step {ply}: {action.tolist()} is not legal there")
            yield _mind(env, turn, adviser, so_far)
            step = env.step(action.unsqueeze(0))
            so_far += float(step.rewards[0, 0])
            turn = step.turn


def _mind(env: VecEnv, turn: Turn, adviser: Contender, so_far: float) -> Mind:
    slot = next(index for index, seat in enumerate(turn.player[0].tolist()) if seat >= 0)
    seat, legal = int(turn.player[0, slot]), legal_actions(turn)[:, slot]
    mind = mind_of(adviser.policy(turn.observation[:, slot], legal), legal[0], env.names(seat))
    if mind.value is None or (seat > 0 and env.spec.num_players != 2):
        return dataclasses.replace(mind, value=None)
    return dataclasses.replace(mind, value=so_far + (mind.value if seat == 0 else -mind.value) + 0.0)
