"""A game as a terminal can draw it: lines of styled text, and what can be clicked. No torch, no Textual."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Span = tuple[str, str]
"""(text, style). A style is words with spaces between: tokens of `STYLES`, or "#rrggbb" and "on #rrggbb"."""

Box = tuple[int, int, int, int]
"""(x, y, width, height) in a drawing's cells."""

STYLES = (
    "plain",  # text
    "dim",  # labels, grid lines
    "player0",  # seat 0's pieces (orange)
    "player1",  # seat 1's pieces (blue)
    "last",  # the move just made
    "win",  # the winning line
    "legal",  # a square that may be played
    "wall",
    "goal",
    "danger",  # the cliff, the red square
    "agent",  # the one-player games' walker
    "hidden",  # fog
)


CONTRAST = 24
"""A pixel stands out where its brightness (0 to 255) differs by so much from the commonest."""
_PIXELS = re.compile("#([0-9a-f]{6}) on #([0-9a-f]{6})")
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def _levels(text: str, style: str) -> list[int]:
    """The brightness of the two pixels of a half-block, the upper first; nothing for any other text."""
    found = _PIXELS.fullmatch(style) if text.strip("▀") == "" else None
    if found is None:
        return []
    colours = (bytes.fromhex(colour) for colour in found.groups())
    return [(299 * red + 587 * green + 114 * blue) // 1000 for red, green, blue in colours]


def _plain(text: str, style: str, usual: int) -> str:
    levels = _levels(text, style)
    if not levels:
        return text
    upper, lower = (abs(level - usual) >= CONTRAST for level in levels)
    return _HALVES[upper, lower] * len(text)


@dataclass(frozen=True)
class Drawing:
    """A game's picture in character cells.

    Attributes:
        lines: top to bottom, each a sequence of (text, style).
        targets: action → boxes (x, y, width, height) in the drawing's cells; a click there stands for the action.
        keys: action → the keys that stand for it ("left", "up", "1"), in Textual's names.
        caption: one line below the picture ("orange to move").
        origins: action → where what it moves stands, in games of pieces: chosen first, then one of its targets.
    """

    lines: Sequence[Sequence[Span]]
    targets: dict[int, list[Box]] = field(default_factory=dict)
    keys: dict[int, list[str]] = field(default_factory=dict)
    caption: str = ""
    origins: dict[int, Box] = field(default_factory=dict)

    def text(self) -> str:
        """The picture without styles; of a frame in half-blocks what stands out from its commonest brightness."""
        pixels = Counter[int]()
        for line in self.lines:
            for text, style in line:
                pixels.update({level: len(text) * count for level, count in Counter(_levels(text, style)).items()})
        usual = max(pixels, key=lambda level: pixels[level], default=0)
        return "\n".join("".join(_plain(text, style, usual) for text, style in line).rstrip() for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "lines": [[list(span) for span in line] for line in self.lines],
            "targets": {str(action): [list(box) for box in boxes] for action, boxes in self.targets.items()},
            "keys": {str(action): keys for action, keys in self.keys.items()},
            "caption": self.caption,
        }
        origins = {str(action): list(box) for action, box in self.origins.items()}
        return data | ({"origins": origins} if origins else {})

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Drawing:
        return cls(
            lines=[[(text, style) for text, style in line] for line in data["lines"]],
            targets={
                int(action): [(b[0], b[1], b[2], b[3]) for b in boxes] for action, boxes in data["targets"].items()
            },
            keys={int(action): keys for action, keys in data["keys"].items()},
            caption=data["caption"],
            origins={int(action): (b[0], b[1], b[2], b[3]) for action, b in data.get("origins", {}).items()},
        )


def draw_grid(cells: Sequence[Sequence[Span]], width: int = 3) -> list[list[Span]]:
    """Rows of cells in a ruled grid, each cell's text centred in `width` columns."""
    columns = len(cells[0])

    def rule(left: str, cross: str, right: str) -> list[Span]:
        return [(left + cross.join(["─" * width] * columns) + right, "dim")]

    lines = [rule("┌", "┬", "┐")]
    for row, spans in enumerate(cells):
        if row:
            lines.append(rule("├", "┼", "┤"))
        line: list[Span] = [("│", "dim")]
        for text, style in spans:
            line += [(text.center(width), style), ("│", "dim")]
        lines.append(line)
    return [*lines, rule("└", "┴", "┘")]


def grid_box(row: int, column: int, width: int = 3) -> Box:
    """(x, y, width, height) of one cell of `draw_grid`, its top and left rules included."""
    return (column * (width + 1), row * 2, width + 1, 2)
