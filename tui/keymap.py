"""The person's own keys: a TOML file that gives bindings (by their ids) other keys.

home.play = "x"
area.league = ["f4", "ctrl+l"]
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual.binding import Binding
from textual.keys import format_key
from textual.screen import Screen

from envs.errors import ArenaError, UnknownNameError, UsageError
from tui.areas import AREAS, KEYS, bindings

if TYPE_CHECKING:
    from tui.app import ArenaApp

MAX_BYTES = 100_000
SPOKEN = {"enter": "Enter", "escape": "Esc", "minus": "−"}
"""Keys that a text does not name by their sign."""
EVERYWHERE: tuple[Binding, ...] = (
    Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="app.quit"),
    Binding(
        "ctrl+z", "suspend_process", "Suspend", show=False, id="app.suspend", tooltip="to the shell; fg comes back"
    ),
    *(Binding(a.key, f"go('{a.name}')", a.title, show=False, tooltip=a.help, id=f"area.{a.name}") for a in AREAS),
)
"""The keys that work on every screen."""


def keymap_path() -> Path:
    """Where the file is: `arena/keys.toml` in the user's configuration directory."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".config") / "arena" / "keys.toml"


def groups() -> list[tuple[str, list[Binding]]]:
    """Every binding there is, by screen; imports all screens."""
    return [("Everywhere", list(EVERYWHERE)), *((title, bindings(screen)) for title, screen in KEYS)]


def title_of(screen: type) -> str | None:
    """The title of a screen's group; None where it has none."""
    name = f"{screen.__module__}:{screen.__name__}"
    return next((title for title, known in KEYS if known == name), None)


def keys_of(binding: Binding, keymap: Mapping[str, str]) -> str:
    """What a binding is bound to, comma-separated."""
    return keymap.get(binding.id or "", binding.key)


def key_of(screen: Screen[Any], *actions: str) -> str:
    """How a text names the key of the first of these actions that the screen has, as it is bound now."""
    binding = next(one for action in actions for _, one in screen._bindings if one.action == action)
    key = keys_of(binding, cast("ArenaApp", screen.app).keys).partition(",")[0]
    return SPOKEN.get(key) or format_key(key)


def read_keymap(path: Path) -> dict[str, str]:
    """Binding id → keys, comma-separated; empty where there is no file.

    Raises UsageError (one line) for a file that is no keymap: unknown ids, no keys, one key for two things.
    """
    if not path.exists():  # nobody waits for a parser of nothing
        return {}
    import tomllib

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES:,} bytes")
        keys = dict(_flat(tomllib.loads(data.decode()), ""))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path} cannot be read: {reason}") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    try:
        check(keys)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return keys


def check(keymap: Mapping[str, str]) -> None:
    """Raises UsageError where an id does not exist, or a key would do two things on one screen."""
    known = {binding.id for _, found in groups() for binding in found if binding.id}
    for name in keymap:
        if name not in known:
            raise UnknownNameError("binding", name, known)
    for title, found in groups():
        taken: dict[str, str] = {}
        for binding in [*found, *(EVERYWHERE if title != "Everywhere" else ())]:
            for key in keys_of(binding, keymap).split(","):
                other = taken.setdefault(key, binding.id or "")
                if other != binding.id and {other, binding.id} & keymap.keys():
                    raise UsageError(f"{key} would be both {other} and {binding.id} ({title})")


def bind(path: Path, name: str, key: str) -> dict[str, str]:
    """Give a binding a key in the file, and leave its other lines alone; returns the keymap as it is then.

    Raises UsageError for what cannot be, ArenaError where the file cannot be written; it is as it was then.
    """
    import tomllib

    keys = {**read_keymap(path), name: key}
    check(keys)
    line = f"{name} = {json.dumps(key)}"
    old = path.read_text().splitlines() if path.exists() else []
    new = [line if _name(words) == name else words for words in old]
    text = "\n".join(new if line in new else [*new, line]) + "\n"
    try:
        kept = dict(_flat(tomllib.loads(text), ""))
    except (ValueError, UsageError):
        kept = {}
    if kept != keys:  # tables or lists of many lines: write it plainly
        text = "".join(f"{each} = {json.dumps(value.split(','))}\n" for each, value in keys.items())
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text)
        partial.replace(path)
    except OSError as error:
        raise ArenaError(f"{path} cannot be written: {error.strerror}") from error
    return keys


def template(keymap: Mapping[str, str]) -> str:
    """A file with every binding as it is now; those that are not the person's own are comments."""
    lines = ["# Keys of Arena's app: take away the # and write another key, or a list of them.", ""]
    seen = set()
    for title, found in groups():
        lines.append(f"# {title}")
        for binding in found:
            if binding.id and binding.id not in seen:
                seen.add(binding.id)
                keys = keys_of(binding, keymap).split(",")
                value = json.dumps(keys[0] if len(keys) == 1 else keys, ensure_ascii=False)
                mark = "" if binding.id in keymap else "# "
                lines.append(f"{mark}{binding.id} = {value}  # {binding.tooltip or binding.description}")
        lines.append("")
    return "\n".join(lines)


def rows(keymap: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every binding as a row for `--json`: screen, id, keys, what it does, whether it is the person's own."""
    return [
        {
            "screen": title,
            "id": binding.id,
            "keys": keys_of(binding, keymap).split(","),
            "does": binding.tooltip or binding.description,
            "own": binding.id in keymap,
        }
        for title, found in groups()
        for binding in found
    ]


def _name(line: str) -> str:
    return line.partition("=")[0].strip()


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
            continue
        keys = value if isinstance(value, list) else [value]
        if not keys or not all(isinstance(key, str) and key and key.isprintable() and " " not in key for key in keys):
            raise UsageError(f'{prefix}{name}: write a key such as "f2", or a list of keys')
        yield f"{prefix}{name}", ",".join("comma" if key == "," else key for key in keys)
