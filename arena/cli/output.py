"""What commands print: results on stdout, everything else on stderr, and nothing that a terminal would obey."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any

from envs.rendering import Drawing

WIDE = 10_000
"""Columns where no terminal says how many there are: lines are not folded for pipes and files."""
GAP = "  "
"""Between columns."""


def clean(text: str) -> str:
    """`text` with control characters, line breaks and changes of direction made visible (as \\x1b)."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def say(text: str) -> None:
    """A line for the person, on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """`value` (records, dataclasses, dicts, lists) as JSON on stdout, in ASCII where a terminal might obey it."""
    plain = _plain(value)
    text = json.dumps(plain, ensure_ascii=False, indent=2, allow_nan=False)
    print(text if text.replace("\n", "").isprintable() else json.dumps(plain, indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str, left: int = 1) -> None:
    """Columns on stdout; `empty` on stderr where no rows are.

    The first `left` columns are aligned to the left and folded where the terminal is narrow, the others are numbers.
    """
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    if not cells:
        say(empty)
        return
    widths = [max(map(_cells, column)) for column in zip(columns, *cells, strict=True)]
    total = sum(widths) + len(GAP) * (len(widths) - 1)
    if total > width():
        _print_folded(columns, cells, left)
        return
    head, *lines = (
        GAP.join(
            " " * (0 if n < left else room - _cells(cell)) + cell + " " * (room - _cells(cell) if n < left else 0)
            for n, (cell, room) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (columns, *cells)
    )
    bold = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    print(f"\x1b[1m{head}\x1b[0m" if bold else head, "─" * total, *lines, sep="\n")


def _cells(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _print_folded(columns: Sequence[str], cells: Iterable[Sequence[str]], left: int) -> None:
    """A table whose first `left` columns are folded until it fits the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        if index < left:
            table.add_column(Text(column), overflow="fold")
        else:
            table.add_column(Text(column), justify="right", no_wrap=True)
    for line in cells:
        table.add_row(*map(Text, line))
    console = Console(width=width(), highlight=False, markup=False, emoji=False)
    with console.capture() as printed:
        console.print(table)
    print("\n".join(line.rstrip() for line in printed.get().splitlines()))


def width() -> int:
    """Columns of the terminal; plenty where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE


def number(value: float | None, digits: int = 2) -> str:
    """`value` for a person; "–" where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    """A rating or a difference for a person."""
    return "–" if value is None or not math.isfinite(value) else f"{value:+.0f}"


def when(milliseconds: int) -> str:
    """UTC milliseconds in local time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """Seconds as 42 s, 3:05 or 1:02:03."""
    if not math.isfinite(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


def drawing_text(drawing: Drawing) -> str:
    """A game's picture with its caption, without styles."""
    lines = [clean(line) for line in drawing.text().splitlines()]
    return "\n".join([*lines, clean(drawing.caption)] if drawing.caption else lines)
