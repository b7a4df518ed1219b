"""A terminal of another size costs a screen one layout and one painting.

As Textual comes, a screen that is told another size is laid out and painted at once with the classes of the size
before, is told its size by its own layout, and does all that again, and again when its widgets have answered; what its
own handlers do, they do twice. Two sizes on their way even take turns without an end. Here a screen takes the size that
the terminal has now, whatever an older message says; its handlers hear of it afterwards, once, and it is painted when
they and the widgets have done their part. A part of Textual that may change: its version is pinned.
"""

from __future__ import annotations

from typing import Any

from textual import events
from textual.geometry import Size
from textual.screen import Screen


def size_classes(screen: Screen[Any], size: Size) -> dict[str, bool]:
    """The classes that say how wide and how high a screen is, and whether it has each at this size."""
    classes = {}
    for breakpoints, length in (
        (screen.HORIZONTAL_BREAKPOINTS or screen.app.HORIZONTAL_BREAKPOINTS or [], size.width),
        (screen.VERTICAL_BREAKPOINTS or screen.app.VERTICAL_BREAKPOINTS or [], size.height),
    ):
        true = screen._get_breakpoint_classes(length, breakpoints)
        classes.update({name: name in true for _, name in breakpoints})
    return classes


async def _on_event(screen: Screen[Any], event: events.Event) -> None:
    if isinstance(event, events.Resize) and (_screen_resized(screen, event.size) or event.size != screen.app.size):
        return  # it is told so by its layout
    await _take_event(screen, event)


def _screen_resized(screen: Screen[Any], size: Size) -> bool:
    """Lay a screen out at the terminal's size; whether that was necessary."""
    size = screen.app.size
    if screen._compositor.size == size:
        return False
    screen.update_classes(size_classes(screen, size), animate=False)
    screen._compositor_refresh = _paint_later  # type: ignore[method-assign]
    try:
        _lay_out(screen, size)
    finally:
        del screen._compositor_refresh
    screen._dirty_widgets.add(screen)
    screen.check_idle()
    return screen._compositor.size == size


def _paint_later() -> None:
    """In the place of painting."""


_take_event, _lay_out = Screen.on_event, Screen._screen_resized
Screen.on_event = _on_event  # type: ignore[assignment, method-assign]
Screen._screen_resized = _screen_resized  # type: ignore[assignment, method-assign]
