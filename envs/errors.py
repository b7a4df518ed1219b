"""The base of all our exceptions. A message is one line: what was wrong and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def some(words: Iterable[str], most: int = 20) -> str:
    """The first words, with commas, and … where there are more."""
    words = [*words]
    return ", ".join(words[:most]) + " …" * (len(words) > most)


class ArenaError(Exception):
    """Something went wrong that the person at the terminal can understand; the command exits with `exit_code`."""

    exit_code = 1


class UsageError(ArenaError):
    """A wrong argument or name."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that does not exist, with the nearest ones that do."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"known: {some(known) or 'none'}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class IllegalActionError(ArenaError):
    """An action that the rules do not allow here."""


class MissingPackageError(ArenaError):
    """An optional package is not installed; the message names the command that installs it."""
