"""The command `arena`: alone it opens the app and waits for no parser; with words it is what `arena.cli.root` says."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arena.cli.root import app as app

DEFAULT_DB = Path("league.db")


def __getattr__(name: str) -> Any:
    """`app`: the whole command line, imported when it is asked for."""
    if name != "app":
        raise AttributeError(name)
    from arena.cli.root import app

    return app


def open_app(db: Path, name: str | None = None, **start: Any) -> None:
    """The app, at its home screen or in a game (`game`, `opponents`, `seat`, `seed`)."""
    gc.disable()  # nothing that is loaded until the first screen is garbage; the app turns it on again
    from tui.app import run

    run(db, name, **start)


def app_keys() -> tuple[str, list[dict[str, Any]], str]:
    """The app's keys: as a keymap file, as rows, and where the person's own file is."""
    from tui.app import keymap

    path = keymap.keymap_path()
    own = keymap.read_keymap(path)
    return keymap.template(own), keymap.rows(own), str(path)


def _warn(message: Warning | str, category: type[Warning], *where: Any, **further: Any) -> None:
    """One line for a person, without the place in the code that it came from."""
    if category is UserWarning:
        print(f"Warning: {message}", file=sys.stderr)


def main() -> None:
    """The entry point."""
    warnings.showwarning = _warn
    if sys.argv[1:]:
        from arena.cli.root import app

        app(prog_name="arena")
    else:
        try:
            open_app(Path(os.environ.get("ARENA_DB") or DEFAULT_DB))
        except (KeyboardInterrupt, Exception) as error:
            from arena.cli.errors import end

            end(error)
