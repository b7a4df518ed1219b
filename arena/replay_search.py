"""What a person types to find episodes: words → conditions. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from envs.errors import UsageError

HELP = "a player, won, lost, draw, rated, unrated, resigned, cut, >40 or <10 plies, #17"
_RESULTS = ("won", "lost", "draw")
_REASONS = {"resigned": "resigned", "cut": "truncated", "ended": "terminated"}


@dataclass(frozen=True)
class Search:
    """Which episodes are meant.

    Attributes:
        players: parts of names (case does not matter); each of them played. result: of the first of these (won, lost),
            or of the game (draw).
        longer, shorter: more, or fewer, plies than this.
    """

    players: tuple[str, ...] = ()
    result: str | None = None
    rated: bool | None = None
    reason: str | None = None
    longer: int | None = None
    shorter: int | None = None
    episode: int | None = None


def parse_search(text: str) -> Search:
    """The search that words mean; raises UsageError for what contradicts itself."""
    found = Search()
    for word in text.split():
        plain = word.lower()
        if plain in _RESULTS:
            found = replace(found, result=plain)
        elif plain in ("rated", "unrated"):
            found = replace(found, rated=plain == "rated")
        elif plain in _REASONS:
            found = replace(found, reason=_REASONS[plain])
        elif match := re.fullmatch(r"([<>])([0-9]{1,9})", plain):
            number = int(match[2])
            found = replace(found, longer=number) if match[1] == ">" else replace(found, shorter=number)
        elif match := re.fullmatch(r"#([0-9]{1,18})", plain):
            found = replace(found, episode=int(match[1]))
        else:
            found = replace(found, players=(*found.players, word))
    if found.result in ("won", "lost") and not found.players:
        raise UsageError(f"say who {found.result}: a part of a name, as in: ann {found.result}")
    return found
