"""Which commands the person at this machine has allowed to be run: those typed here, and no others.

A league's file may come from anywhere, and an engine's command stands in it. It is run only where it was typed at
`arena agents add`, or allowed since, on this machine, by this user: so says a file of digests in the user's own
configuration folder.
"""

from __future__ import annotations

import os
import secrets
from functools import cache
from pathlib import Path

from envs.errors import ArenaError

MAX_BYTES = 10_000_000
KEY_SIZE = 32


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


@cache
def own_key() -> bytes | None:
    """This user's key on this machine, made when it is first wanted: what is signed with it was written here.

    None where it can be neither read nor written.
    """
    path = allowed_file().with_name("key")
    new = path.with_name(f"key.{os.getpid()}")
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_SIZE))
            try:
                os.link(new, path)  # whole or not at all, and only the first of several
            except FileExistsError:
                pass
            finally:
                new.unlink()
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == KEY_SIZE else None
