"""Games as text for people."""

from __future__ import annotations

from collections.abc import Sequence

from arena.episodes import as_text
from arena.formats import Recorded


def write(games: Sequence[Recorded]) -> bytes:
    """Of each game the players, every move, the last position and the outcome; an empty line between two."""
    return ("\n\n".join(as_text(game.episode, game.names) for game in games) + "\n").encode()
