"""Colours: four themes of our own, and how each style of a `Drawing` looks. Orange and blue, never red against green.

`arena-safe` takes the eight colours of Okabe and Ito (2008, "Color Universal Design"), which people with any colour
vision tell apart. `arena-contrast` takes pure colours, which are the same on terminals with sixteen colours.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.theme import Theme


@dataclass(frozen=True)
class _Palette:
    """A theme's colours; `first` and `second` are the two seats."""

    text: str
    dim: str
    first: str
    second: str
    notice: str
    danger: str
    background: str
    surface: str
    panel: str
    wall: str
    hidden: str
    cursor: str

    def theme(self, name: str, dark: bool) -> Theme:
        return Theme(
            name=name,
            primary=self.first,
            secondary=self.second,
            accent=self.second,
            warning=self.notice,
            error=self.danger,
            success=self.second,
            foreground=self.text,
            background=self.background,
            surface=self.surface,
            panel=self.panel,
            dark=dark,
        )

    def styles(self) -> dict[str, str]:
        return {
            "plain": self.text,
            "dim": self.dim,
            "player0": f"bold {self.first}",
            "player1": f"bold {self.second}",
            "last": "underline",
            "win": "reverse",
            "legal": self.dim,
            "wall": self.wall,
            "goal": f"bold {self.notice}",
            "danger": f"bold {self.danger}",
            "agent": f"bold {self.first}",
            "hidden": self.hidden,
            "cursor": f"bold on {self.cursor}",
            "hint": f"bold {self.background} on {self.notice}",
        }


_PALETTES = {
    "arena-dark": (
        _Palette(
            text="#d8dee6",
            dim="#93a0ad",
            first="#ffa648",
            second="#62b4ff",
            notice="#f5d14c",
            danger="#ff8f7e",
            background="#14181d",
            surface="#1a2027",
            panel="#232b34",
            wall="#7d8894",
            hidden="#3c4650",
            cursor="#2f4459",
        ),
        True,
    ),
    "arena-light": (
        _Palette(
            text="#1c2126",
            dim="#5f5a50",
            first="#b35900",
            second="#0b5cad",
            notice="#8a6100",
            danger="#b3261e",
            background="#fbfaf7",
            surface="#f2f0ea",
            panel="#e4e1d8",
            wall="#6b665b",
            hidden="#c9c4b8",
            cursor="#c8dcf0",
        ),
        False,
    ),
    "arena-safe": (
        _Palette(
            text="#e8e8e8",
            dim="#9a9a9a",
            first="#e69f00",
            second="#56b4e9",
            notice="#f0e442",
            danger="#cc79a7",
            background="#101010",
            surface="#1a1a1a",
            panel="#262626",
            wall="#8a8a8a",
            hidden="#444444",
            cursor="#0b4a70",
        ),
        True,
    ),
    "arena-contrast": (
        _Palette(
            text="#ffffff",
            dim="#c0c0c0",
            first="#ffff00",
            second="#00ffff",
            notice="#ffffff",
            danger="#ff60ff",
            background="#000000",
            surface="#000000",
            panel="#000080",
            wall="#c0c0c0",
            hidden="#808080",
            cursor="#0000ff",
        ),
        True,
    ),
}
THEMES = tuple(palette.theme(name, dark) for name, (palette, dark) in _PALETTES.items())
_STYLES = {name: palette.styles() for name, (palette, _) in _PALETTES.items()}


def default_theme(color_system: str | None) -> str:
    """What suits a terminal with so many colours, where the person has not chosen."""
    return "arena-dark" if color_system in ("256", "truecolor") else "arena-contrast"


@functools.lru_cache(maxsize=4096)
def style_of(words: str, theme: str, dark: bool = True) -> Style:
    """The look of a drawing's style (space-separated tokens, '#rrggbb', 'on #rrggbb'); unknown words look plain.

    A theme that is not ours borrows the styles of our dark or light one.
    """
    table = _STYLES.get(theme) or _STYLES["arena-dark" if dark else "arena-light"]
    if "#" in words:
        try:
            return Style.parse(words)
        except StyleSyntaxError:
            return Style()
    style = Style()
    for word in words.split():
        style += Style.parse(table.get(word, ""))
    return style
