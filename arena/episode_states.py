"""States of an episode's game at intervals: a replay goes on from the nearest one, however long the game is.

A state is kept where the emulator would take seconds to come there again (Atari). It is deflated with the game's
beginning as dictionary, which halves it, and signed: the emulator reads native bytes without looking at them twice, and
a league's file may come from anywhere, so only states that this user has written on this machine are gone on from.
"""

from __future__ import annotations

import hmac
import zlib
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from arena.allowed import own_key
from arena.records import Episode, EpisodeState
from envs.specs import GameSpec

STATE_STEPS = 200
"""Steps from one stored state to the next: about a fifth of a second of emulation."""
SIGNATURE_SIZE = 16


class Place(NamedTuple):
    """Where a replay may go on from: each seat's return until there, and the packed game."""

    returns: list[float]
    packed: bytes


def keep(ply: int, returns: list[float], packed: bytes, beginning: bytes) -> EpisodeState | None:
    """A packed game as it is stored, its first state being `beginning`; None where this user cannot sign."""
    writer = zlib.compressobj(zdict=beginning)
    data = writer.compress(packed) + writer.flush()
    signature = _signature(data, beginning)
    return None if signature is None else EpisodeState(ply, returns, signature + data)


def usable(spec: GameSpec, episode: Episode, states: Iterable[EpisodeState], beginning: bytes) -> dict[int, Place]:
    """By ply the states of an episode that may be gone on from: signed here, of the package and ROM that are here."""
    if episode.backend != spec.backend:
        return {}
    places: dict[int, Place] = {}
    for state in states:
        signature, data = state.data[:SIGNATURE_SIZE], state.data[SIGNATURE_SIZE:]
        expected = _signature(data, beginning)
        fits = state.ply < episode.length and len(state.returns) == spec.num_players
        if fits and expected is not None and hmac.compare_digest(signature, expected):
            places[state.ply] = Place(state.returns, zlib.decompressobj(zdict=beginning).decompress(data))
    return places


def complete(episode: Episode, places: Mapping[int, Place]) -> bool:
    """Whether every place of the episode is STATE_STEPS from a state at most, in a game that has states."""
    return bool(places) and all(ply in places for ply in range(STATE_STEPS, episode.length, STATE_STEPS))


def _signature(data: bytes, beginning: bytes) -> bytes | None:
    key = own_key()
    return None if key is None else blake2b(beginning + data, key=key, digest_size=SIGNATURE_SIZE).digest()
