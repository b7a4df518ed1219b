"""Keys that say when they are let go, where the terminal can tell (kitty's keyboard protocol, "event types").

Textual reads presses only, and its parser fails on what a terminal says about releases. `install` puts a parser in
its place that knows them; a screen that wants them sends `QUERY`, and `REPORT` where the terminal answers; only when
the answer then has the bit `EVENT_TYPES` are releases believed in. tmux, GNOME Terminal, xterm and browsers have none.
The parser is a part of Textual that may change: its version is pinned, and a test feeds bytes.

Source: https://sw.kovidgoyal.net/kitty/keyboard-protocol/
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from textual import events
from textual._xterm_parser import XTermParser
from textual.message import Message

EVENT_TYPES = 2
QUERY = "\x1b[?u"
REPORT = f"\x1b[={EVENT_TYPES};2u"
STOP_REPORTING = f"\x1b[={EVENT_TYPES};3u"
_FLAGS = re.compile(r"\x1b\[\?(\d{1,4})u")
_EVENT = re.compile(r"\x1b\[([\d:]*);(\d+):([123])((?:;[\d:]*)?)([u~ABCDEFHPQRS])")
_RELEASE = "3"


class KeyUp(Message):
    """A key was let go."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


class KeyboardFlags(Message):
    """What the terminal says about its keyboard's reports: a sum of bits."""

    key = ""

    def __init__(self, flags: int) -> None:
        super().__init__()
        self.flags = flags


class ReleaseParser(XTermParser):
    """Textual's parser of terminal input, with releases."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        flags = _FLAGS.fullmatch(sequence)
        if flags:
            yield KeyboardFlags(int(flags[1]))  # type: ignore[misc]
            return
        event = _EVENT.fullmatch(sequence)
        if event is None:
            yield from super()._sequence_to_key_events(sequence, alt)
            return
        code, modifiers, kind, text, end = event.groups()
        for key in super()._sequence_to_key_events(f"\x1b[{code};{modifiers}{text}{end}", alt):
            if kind == _RELEASE:
                yield KeyUp(key.key.rpartition("+")[2].lower())  # type: ignore[misc]
            else:
                yield key


def install() -> None:
    """Have Textual read the terminal by this parser; before the app runs."""
    try:
        from textual.drivers import linux_driver
    except ImportError:  # another system, which has another driver
        return
    linux_driver.XTermParser = ReleaseParser  # type: ignore[misc]
