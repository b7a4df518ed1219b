"""A game as a terminal recording: asciicast, version 2 (https://docs.asciinema.org/manual/asciicast/v2/)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby

from arena.formats import Recorded
from arena.formats.film import BACKGROUND, Shot, colours, only, shots
from envs.rendering import Span
from envs.scaling import fitting, pack, scale

COLUMNS, LINES = 80, 30
"""Of a game's own picture."""
MAX_COLUMNS = 240


def write(games: Sequence[Recorded]) -> bytes:
    """One game's positions at its own pace; of each only the lines that differ from the one before."""
    game = only(games)
    events: list[str] = []
    shown: list[str] = []
    seconds, width, height = 0.0, 1, 1
    for shot in shots(game):
        lines = _lines(shot)
        width = max(width, min(MAX_COLUMNS, max(sum(len(text) for text, _ in line) for line in lines)))
        height = max(height, len(lines))
        written = [_line(line) for line in lines]
        written += [""] * (len(shown) - len(written))
        changed = [
            f"\x1b[{row};1H\x1b[0m\x1b[K{line}"
            for row, (line, before) in enumerate(zip(written, shown + [""] * len(written), strict=False), 1)
            if line != before or not events
        ]
        start = "" if events else "\x1b[?25l\x1b[2J"
        if changed:
            events.append(json.dumps([round(seconds, 4), "o", start + "".join(changed) + "\x1b[0m"]))
        shown = written
        seconds += shot.seconds
    events.append(json.dumps([round(seconds, 4), "o", f"\x1b[{height + 1};1H\x1b[?25h"]))
    title = f"{game.episode.game}: {' – '.join(game.names)}"
    head = {"version": 2, "width": width, "height": height + 1, "title": title}
    return "\n".join([json.dumps(head | {"timestamp": game.episode.created_at // 1000}), *events, ""]).encode()


def _lines(shot: Shot) -> list[Sequence[Span]]:
    caption: list[Span] = [("".join(c for c in shot.caption if c.isprintable())[:MAX_COLUMNS], "dim")]
    if shot.picture is None:
        return [*shot.drawing.lines, caption]
    small = scale(pack(shot.picture), *fitting(COLUMNS, LINES)) & 0xFFFFFF
    cells = zip(small[::2].tolist(), small[1::2].tolist(), strict=True)
    return [*([("▀", f"#{a:06x} on #{b:06x}") for a, b in zip(*rows, strict=True)] for rows in cells), caption]


def _line(spans: Iterable[Span]) -> str:
    """A line with escapes for its colours."""
    parts = []
    for style, run in groupby(spans, lambda span: span[1]):
        text = "".join(letter for span in run for letter in span[0] if letter.isprintable())
        front, back = colours(style)
        behind = "" if back == BACKGROUND else f"\x1b[48;2;{_rgb(back)}m"
        parts.append(f"\x1b[0m\x1b[38;2;{_rgb(front)}m{behind}{text}")
    return "".join(parts).rstrip()


def _rgb(colour: str) -> str:
    return ";".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
