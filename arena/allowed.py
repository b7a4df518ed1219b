"""Which commands the person at this machine has allowed to be run: those typed here, and no others.

A league's file may come from anywhere, and an engine's command stands in it. It is run only where it was typed at
`arena agents add`, or allowed since, on this machine, by this user: so says a file of digests in the user's own
configuration folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from envs.errors import ArenaError

MAX_BYTES = 10_000_000


def allowed_file() -> Path:
    """`arena/allowed` in $XDG_CONFIG_HOME, which is ~/.config where nothing else is said."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "arena" / "allowed"


def is_allowed(digest: str) -> bool:
    """Whether the command of this digest may be run."""
    try:
        with allowed_file().open("rb") as file:
            return digest.encode() in file.read(MAX_BYTES).split()
    except OSError:
        return False


def allow(digest: str) -> None:
    """Let the command of this digest be run from now on."""
    if is_allowed(digest):
        return
    path = allowed_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(f"{digest}\n".encode())
    except OSError as error:
        raise ArenaError(f"{path} cannot be written: {error.strerror}") from None
