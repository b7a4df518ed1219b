"""How a game in a session begins where that is not the usual way: in a position, at a strength, where it was left.

Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envs.errors import UsageError

if TYPE_CHECKING:
    from arena.store import Store

UNFINISHED = "unfinished"
"""The setting that holds the newest game in turns that a person has begun and not ended."""
MAX_OPENING = 1000
MAX_TEMPERATURE = 10.0


@dataclass(frozen=True)
class Start:
    """How a game begins. A game from a set-up position, or against agents of another strength, does not count.

    Attributes:
        moves: typed moves that have been played already.
        episode, ply: go on from there in a stored episode, with its seed.
        temperature: trained agents draw from their probabilities to the power of 1 / temperature: 0 is the likeliest
            move always, 1 as they are, more is weaker; None plays as in matches.
        actions: steps that have been played already, of a game that is gone on with (it counts if `rated`).
    """

    moves: Sequence[str] = ()
    episode: int | None = None
    ply: int = 0
    temperature: float | None = None
    actions: Sequence[Sequence[int]] = ()
    rated: bool = True

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 <= self.temperature <= MAX_TEMPERATURE:
            raise UsageError(f"temperature {self.temperature:g} is outside 0 … {MAX_TEMPERATURE:g}")
        if len(self.moves) > MAX_OPENING:
            raise UsageError(f"an opening has at most {MAX_OPENING:,} moves")
        if self.moves and self.episode is not None:
            raise UsageError("say the moves of a position, or an episode that it is in, not both")

    @property
    def counts(self) -> bool:
        """Whether the game can be rated."""
        return self.rated and not self.moves and self.episode is None and self.temperature is None


def save_unfinished(
    store: Store, game: str, seats: Sequence[Any], seed: int, actions: Sequence[Sequence[int]], rated: bool
) -> None:
    """Keep a game as it stands, in place of any other."""
    kept = {"game": game, "seats": list(seats), "seed": seed, "actions": [list(a) for a in actions], "rated": rated}
    store.set_setting(UNFINISHED, json.dumps(kept, separators=(",", ":")))


def forget_unfinished(store: Store) -> None:
    if store.setting(UNFINISHED):
        store.set_setting(UNFINISHED, "")


def read_unfinished(store: Store) -> Mapping[str, Any] | None:
    """The kept game (game, seats, seed, actions, rated), or None where there is none that can be read."""
    try:
        kept = json.loads(store.setting(UNFINISHED) or "null")
        game, seats, seed, actions = kept["game"], kept["seats"], kept["seed"], kept["actions"]
        sound = (
            isinstance(game, str)
            and isinstance(seats, list)
            and all(isinstance(s, str) or (isinstance(s, dict) and isinstance(s.get("human"), str)) for s in seats)
            and isinstance(seed, int)
            and isinstance(kept["rated"], bool)
            and isinstance(actions, list)
            and all(isinstance(step, list) and all(isinstance(a, int) for a in step) for step in actions)
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return kept if sound else None
