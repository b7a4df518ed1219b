"""Recorded games as lessons for behaviour cloning: what was seen, legal and chosen, and what came of it."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from agents.bc import Lessons
from arena.episodes import VERIFY_BATCH, decode_actions
from arena.imported import read_games
from arena.records import Episode
from arena.roster import game_spec
from arena.store import Store
from envs.errors import ArenaError, UsageError
from envs.registry import make
from envs.specs import GameSpec

EPISODES = "episodes"
HELD_OUT = 10
"""Every so-manieth game is measured on and not learnt from."""
MAX_BYTES = 2**30


def read_lessons(store: Store, game: str, source: str) -> Lessons:
    """The lessons of a source.

    Args:
        source: "episodes", all recorded games of the variant; "episodes:NAME", the decisions of one agent in them; else
            a file that `arena replay import` takes.

    Raises UsageError where there are none, ArenaError for files with mistakes in them and for too many games.
    """
    word, _, name = source.partition(":")
    if word == EPISODES:
        agent = store.agent(game, name).id if name else None
        episodes = list(reversed(store.episodes(game=game, agent=agent)))
    else:
        agent = None
        episodes = [episode for played, episode in read_games(Path(source), game=game)]
    spec = game_spec(game)
    if spec.num_actions is None:
        raise UsageError(f"{game} has continuous actions, which are not cloned")
    episodes = [episode for episode in episodes if episode.length > episode.opening_plies]
    if not episodes:
        raise UsageError(f"there are no games of {game} to learn from in {source}")
    parts, size = [], 0
    for start, end in _batches(spec, episodes):
        parts.append(_decisions(game, episodes[start:end], start, agent))
        size += sum(tensor.numel() * tensor.element_size() for tensor in parts[-1])
        if size > MAX_BYTES:
            fewer = "play fewer into a league of their own (--db)" if word == EPISODES else "split the file"
            raise ArenaError(
                f"{source}: the decisions of {end:,} of its {len(episodes):,} games take {size / 2**20:,.0f} MiB; "
                f"at most {MAX_BYTES / 2**20:,.0f} MiB are learnt from: {fewer}"
            )
    return Lessons(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _batches(spec: GameSpec, episodes: Sequence[Episode]) -> Iterator[tuple[int, int]]:
    """From where to where games are re-simulated side by side: as many as do not show too much at once."""
    step_bytes = math.prod(spec.observation_shape) * np.dtype(spec.observation_dtype).itemsize * spec.num_slots
    start = 0
    while start < len(episodes):
        end, room = start, MAX_BYTES // 4 // step_bytes
        while end < min(start + VERIFY_BATCH, len(episodes)) and (end == start or room >= episodes[end].length):
            room -= episodes[end].length
            end += 1
        yield start, end
        start = end


def digest(lessons: Lessons) -> str:
    """What tells these lessons from all others."""
    found = hashlib.sha256()
    for part in lessons:
        found.update(part.contiguous().numpy().tobytes())
    return found.hexdigest()


def _decisions(game: str, episodes: Sequence[Episode], first: int, agent: int | None) -> tuple[torch.Tensor, ...]:
    """The decisions of some games, sampled openings left out; `agent` None: everybody's."""
    with contextlib.closing(make(game, len(episodes), autoreset=False)) as env:
        turn = env.reset(torch.tensor([episode.seed for episode in episodes]))
        played = torch.nn.utils.rnn.pad_sequence([decode_actions(env.spec, episode) for episode in episodes])
        lengths = torch.tensor([episode.length for episode in episodes])
        openings = torch.tensor([episode.opening_plies for episode in episodes])
        learnt = torch.tensor([[agent in (None, player.agent) for player in episode.players] for episode in episodes])
        outcome = torch.tensor([[_outcome(player.score) for player in episode.players] for episode in episodes])
        rewards: list[torch.Tensor] = []
        found: list[tuple[torch.Tensor, ...]] = []
        for ply, action in enumerate(played):
            going = (ply < lengths).unsqueeze(1) & (turn.player >= 0)
            chosen = going & (ply >= openings).unsqueeze(1) & learnt.gather(1, turn.player.clamp(min=0))
            assert turn.legal_action_mask is not None
            games, slots = chosen.nonzero().unbind(1)
            seats = turn.player[games, slots]
            parts = (turn.observation[games, slots], turn.legal_action_mask[games, slots], action[games, slots])
            if not bool(parts[1].gather(1, parts[2].unsqueeze(1)).all()):
                raise ArenaError(
                    f"a recorded game of {game} has an illegal action; `arena replay verify --all` names it"
                )
            found.append((*parts, games, seats, torch.full_like(games, ply)))
            legal = turn.legal_action_mask.to(torch.uint8).argmax(-1)
            step = env.step(torch.where(going, action, legal))
            rewards.append(torch.where((ply < lengths).unsqueeze(1), step.rewards, 0.0))
            turn = step.turn
    observation, mask, action, games, seats, plies = (torch.cat(part) for part in zip(*found, strict=True))
    if env.spec.num_players == 1:
        to_go = torch.stack(rewards).flip(0).cumsum(0).flip(0)[..., 0]  # [T, N]
        value = to_go[plies, games]
    else:
        value = outcome[games, seats]
    return observation, mask, action, value.float(), (games + first) % HELD_OUT == HELD_OUT - 1


def _outcome(score: float | None) -> float:
    return 0.0 if score is None else 2 * score - 1
