"""A screen is laid out at the size that the terminal has now, whatever an older message says.

Being laid out at another size tells a screen of Textual's so by a message, which lays it out again at that size: two
sizes on their way, with other messages between them, take turns without an end. A part of Textual that may change: its
version is pinned.
"""

from __future__ import annotations

from typing import Any

from textual.geometry import Size
from textual.screen import Screen


def _screen_resized(screen: Screen[Any], size: Size) -> None:
    _lay_out(screen, screen.app.size)


_lay_out = Screen._screen_resized
Screen._screen_resized = _screen_resized  # type: ignore[assignment, method-assign]
