"""Settings of a run: frozen dataclass ↔ TOML ↔ `--set key=value`.

Types come from the fields' annotations (int, float, bool, str, and `T | None` or `tuple[T, ...]` of these). The
dataclass checks its own ranges when it is made, as `agents.configs.Config` does. Everything wrong is one UsageError;
unknown keys name the nearest known one.
"""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from envs.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAX_FILE_BYTES = 1_000_000
_WORDS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False, "1": True, "0": False}

Config = TypeVar("Config", bound="DataclassInstance")


def replace(config: Config, values: Mapping[str, Any], source: str = "") -> Config:
    """`config` with some settings changed to plain values (of TOML or JSON); `source` begins an error's message."""
    hints = _hints(type(config))
    converted = {}
    for name, value in values.items():
        if name not in hints:
            raise UnknownNameError(f"{source}setting", name, hints)
        converted[name] = _convert(hints[name], value, f"{source}{name}")
    return dataclasses.replace(config, **converted)


def apply_sets(config: Config, pairs: Iterable[str]) -> Config:
    """`config` with `key=value` pairs as a person types them; the last of equal keys counts."""
    hints = _hints(type(config))
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals:
            raise UsageError(f"--set takes key=value, not {pair!r}")
        if name not in hints:
            raise UnknownNameError("setting", name, hints)
        values[name] = _parse(hints[name], text.strip(), name)
    return dataclasses.replace(config, **values)


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """A TOML file's text and what it says; raises UsageError with the line of what is no TOML."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path} is too large to be a configuration (over {MAX_FILE_BYTES:,} bytes)")
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML: {error}") from error


def load_toml(config: Config, path: str | Path) -> Config:
    """`config` with the settings of a TOML file; raises UsageError with the line of what is no TOML."""
    _, values = read_toml(Path(path))
    return replace(config, values, f"{path}: ")


def to_toml(config: Any) -> str:
    """A file that `load_toml` reads back to an equal config, a line per setting; those that are None are left out."""
    lines = []
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if value is not None:
            help = f.metadata.get("help")
            lines.append(f"{f.name} = {toml_value(value)}" + (f"  # {help}" if help else ""))
    return "\n".join(lines) + "\n"


def to_json(config: Any) -> dict[str, Any]:
    """The settings as plain JSON values; `replace(type(config)(), …)` reads them back."""
    return json.loads(json.dumps(dataclasses.asdict(config), allow_nan=False))


def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def _optional(hint: Any) -> tuple[Any, bool]:
    """(T, True) of `T | None`, else (hint, False)."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        assert len(rest) == 1, f"a setting has one type: {hint}"
        return rest[0], True
    return hint, False


def _convert(hint: Any, value: Any, name: str) -> Any:
    """A plain value as the type of the setting; an int will do for a float, nothing else is bent."""
    kind, optional = _optional(hint)
    if value is None and optional:
        return None
    if typing.get_origin(kind) is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(typing.get_args(kind)[0], item, name) for item in value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise UsageError(f"{name} is {_describe(kind)}, not {value!r}")
    if kind is float and not math.isfinite(value):
        raise UsageError(f"{name} is a finite number, not {value!r}")
    return value


def _parse(hint: Any, text: str, name: str) -> Any:
    """What a person typed as the type of the setting: `1e6` is an int too, `1_000` a number."""
    kind, optional = _optional(hint)
    if optional and text.lower() in ("", "none"):
        return None
    if typing.get_origin(kind) is tuple:
        items = [item for item in text.strip("()[]").split(",") if item.strip()]
        return tuple(_parse(typing.get_args(kind)[0], item.strip(), name) for item in items)
    value: Any = text
    try:
        if kind is bool:
            value = _WORDS[text.lower()]
        elif kind is int:
            value = int(text) if text.lstrip("+-").replace("_", "").isdigit() else float(text)
            value = int(value) if value == int(value) else text
        elif kind is float:
            value = float(text)
    except (KeyError, ValueError, OverflowError):
        raise UsageError(f"{name} is {_describe(kind)}, not {text!r}") from None
    return _convert(hint, value, name)


def _describe(kind: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return names.get(kind, "a list")


def toml_value(value: Any) -> str:
    """A number, text, or list as TOML writes it."""
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(toml_value, value))}]"
    return repr(value) if type(value) is float else json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
