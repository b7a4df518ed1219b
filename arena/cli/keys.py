"""`arena keys`: what the app's keys do, and a file to change them with."""

from __future__ import annotations

from arena.cli.options import Json
from arena.cli.output import print_json


def keys(json: Json = False) -> None:
    """Print every key of the app as a keymap file; what stands there without # is your own choice.

    \b
    Example:
      arena keys > ~/.config/arena/keys.toml
    """
    from arena.cli.app import app_keys

    text, rows, path = app_keys()
    if json:
        print_json({"path": path, "keys": rows})
    else:
        print(f"# The app reads {path}\n{text}", end="")
