"""States of an episode's game at intervals: a replay goes on from the nearest one, however long the game is.

A state is kept where the emulator would take seconds to come there again (Atari). It is deflated with the game's
beginning as dictionary, which halves it, and is believed only where the step after it has the recorded hash.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from arena.records import Episode, EpisodeState
from envs.errors import ArenaError
from envs.specs import GameSpec

STATE_STEPS = 200
"""Steps from one stored state to the next: about a fifth of a second of emulation."""


def deflate(state: bytes, beginning: bytes) -> bytes:
    """The state of a game whose first state is `beginning`, as it is stored."""
    writer = zlib.compressobj(zdict=beginning)
    return writer.compress(state) + writer.flush()


def inflate(data: bytes, beginning: bytes) -> bytes:
    """What `deflate` was given. Raises ArenaError for other bytes and for another beginning."""
    reader = zlib.decompressobj(zdict=beginning)
    try:
        state = reader.decompress(data) + reader.flush()
    except zlib.error as error:
        raise ArenaError(f"the stored state is unreadable: {error}") from None
    if not reader.eof:
        raise ArenaError("the stored state is unreadable: its end is missing")
    return state


def usable(spec: GameSpec, episode: Episode, states: Sequence[EpisodeState]) -> dict[int, EpisodeState]:
    """By ply the states that fit the episode; none where another package or ROM than is here wrote them."""
    if episode.backend != spec.backend:
        return {}
    return {
        state.ply: state for state in states if state.ply < episode.length and len(state.returns) == spec.num_players
    }


def complete(episode: Episode, states: dict[int, EpisodeState]) -> bool:
    """Whether every place of the episode is STATE_STEPS from a state at most, in a game that has states."""
    return bool(states) and all(ply in states for ply in range(STATE_STEPS, episode.length, STATE_STEPS))
