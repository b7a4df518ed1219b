"""Colours: two themes of our own, and how each style of a `Drawing` looks. Orange and blue, never red against green."""

from __future__ import annotations

import functools

from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.theme import Theme

DARK = Theme(
    name="arena-dark",
    primary="#e8963c",
    secondary="#5aa9e6",
    accent="#5aa9e6",
    warning="#f0c850",
    error="#f08a7a",
    success="#5aa9e6",
    foreground="#d8dee6",
    background="#14181d",
    surface="#1a2027",
    panel="#232b34",
    dark=True,
)
LIGHT = Theme(
    name="arena-light",
    primary="#b35900",
    secondary="#0b5cad",
    accent="#0b5cad",
    warning="#8a6100",
    error="#b3261e",
    success="#0b5cad",
    foreground="#1c2126",
    background="#fbfaf7",
    surface="#f2f0ea",
    panel="#e4e1d8",
    dark=False,
)

_DARK_STYLES = {
    "plain": "#d8dee6",
    "dim": "#7f8b98",
    "player0": "bold #ffa648",
    "player1": "bold #62b4ff",
    "last": "underline",
    "win": "reverse",
    "legal": "#a9b8c7",
    "wall": "#7d8894",
    "goal": "bold #f5d14c",
    "danger": "bold #ff8f7e",
    "agent": "bold #ffa648",
    "hidden": "#3c4650",
    "cursor": "bold on #2f4459",
    "hint": "bold #14181d on #f5d14c",
}
_LIGHT_STYLES = {
    "plain": "#1c2126",
    "dim": "#736d60",
    "player0": "bold #b35900",
    "player1": "bold #0b5cad",
    "last": "underline",
    "win": "reverse",
    "legal": "#5c6670",
    "wall": "#6b665b",
    "goal": "bold #8a6100",
    "danger": "bold #b3261e",
    "agent": "bold #b35900",
    "hidden": "#c9c4b8",
    "cursor": "bold on #c8dcf0",
    "hint": "bold #fbfaf7 on #8a6100",
}


@functools.lru_cache(maxsize=4096)
def style_of(words: str, dark: bool) -> Style:
    """The look of a drawing's style (space-separated tokens, '#rrggbb', 'on #rrggbb'); unknown words look plain."""
    table = _DARK_STYLES if dark else _LIGHT_STYLES
    if "#" in words:
        try:
            return Style.parse(words)
        except StyleSyntaxError:
            return Style()
    style = Style()
    for word in words.split():
        style += Style.parse(table.get(word, ""))
    return style
