"""A look inside models as text: heat lines, tables by layer, bars. Blue is more, orange is less; marks say it, too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from textual.color import Color
from textual.content import Content

from arena.records_lens import LayerTable, RewardParts, mark
from tui.text import inert

FULL = 3.0
"""The size that has the full colour, in nats."""
TOKEN = 11
GUESS = 13
"""Columns of a layer's cell that has room for the likeliest token."""
SHARE = 5
BAR = 24

Part = Content | str | tuple[str, str]


@dataclass(frozen=True)
class Colours:
    """Of more, of less, and of the ground they lie on."""

    more: Color
    less: Color
    ground: Color

    def style(self, value: float, full: float) -> str:
        """The look of a cell of this value; ±`full` and beyond have the full colour."""
        share = 0.0 if math.isnan(value) or full <= 0 else min(abs(value) / full, 1.0) * 0.75
        if share < 0.04:
            return ""
        shade = self.ground.blend(self.more if value > 0 else self.less, share)
        return f"{shade.get_contrast_text(1.0).hex6} on {shade.hex6}"


def word(token: str) -> str:
    """A token as one visible word."""
    return inert(token).strip() or "␣"


def heat_line(tokens: Sequence[tuple[str, float]], colours: Colours, full: float = FULL) -> Content:
    """The text, each token coloured by its value and marked by its size."""
    parts: list[Part] = []
    for token, value in tokens:
        parts.append((inert(token) + mark(value), colours.style(value, full)))
    return Content.assemble(*parts)


def numbers(tokens: Sequence[tuple[str, float]], width: int) -> Content:
    """The same as numbers, in columns."""
    cells = [f"{word(token)[:TOKEN]:{TOKEN}} {value:+7.2f}  " for token, value in tokens]
    across = max(1, width // (TOKEN + 10))
    rows = ["".join(cells[start : start + across]).rstrip() for start in range(0, len(cells), across)]
    return Content("\n".join(rows))


def layer_table(table: LayerTable, tokens: Sequence[str], colours: Colours, width: int) -> Content:
    """A row a token: how probable it already is after each layer, and where there is room, what would come instead."""
    layers = table.layers
    cell = GUESS if TOKEN + GUESS * len(layers) <= width else SHARE
    head = f"{'token':{TOKEN}}" + "".join(f"{number:>{cell - 1}} " for number in range(len(layers)))
    parts: list[Part] = [(head.rstrip(), "$text-muted")]
    for place, token in enumerate(tokens):
        parts.append(f"\n{word(token)[: TOKEN - 1]:{TOKEN}}")
        for layer in layers:
            share = layer.probability[place]
            guess = word(layer.likeliest[place])
            right = layer.likeliest[place] == token
            shown = f"{'✓' if right else guess[: GUESS - 6]:{GUESS - 6}}" if cell == GUESS else ""
            parts.append((f"{shown}{share:>{cell - len(shown) - 1}.0%}", colours.style(share, 1.0)))
            parts.append(" ")
    return Content.assemble(*parts)


def reward_text(parts: RewardParts, colours: Colours) -> Content:
    """The heads as bars, the tokens as a heat line, the rest in a line."""
    full = max((abs(part) for *_, part in parts.heads), default=0.0) or 1.0
    found: list[Part] = []
    for layer, head, part in parts.heads:
        bar = "█" * max(1, round(BAR * abs(part) / full))
        look = colours.more.hex6 if part > 0 else colours.less.hex6
        found += [f"layer {layer:<3}head {head:<3}{part:+7.2f} ", (bar, look), "\n"]
    most = max((abs(value) for _, value in parts.tokens), default=0.0)
    found += [("\nfrom which tokens, through all heads\n", "$text-muted"), heat_line(parts.tokens, colours, most)]
    mlps = "  ".join(f"{layer}: {part:+.2f}" for layer, part in enumerate(parts.mlps))
    found += [f"\n\nMLPs by layer  {mlps}\nembedding {parts.embedding:+.2f}, rest {parts.rest:+.2f}"]
    return Content.assemble(*found)
