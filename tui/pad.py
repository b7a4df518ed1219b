"""A person's buttons in a game that goes on by itself: which are down, and which of the game's actions that is.

Where the terminal tells when a key is let go, a button is down as long as its key (`release`). Where it does not, it
stays down until another one comes (`latch`) or for a moment (`tap`). `mouse` is following the pointer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

Mode = Literal["release", "latch", "tap", "mouse"]
DIRECTIONS = ("up", "down", "left", "right")
STOP = "stop"
_WORDS = re.compile("(?:up|down|left|right|fire)+")
_WORD = re.compile("up|down|left|right|fire")
_KNOB = {"up": "right", "down": "left"}
"""A paddle that goes up and down is moved by a knob, which turns right and left."""


def buttons_of(name: str) -> frozenset[str] | None:
    """An action's name as buttons: "uprightfire"; nothing for "noop"; None where it is not about buttons."""
    if name in ("noop", "stay"):
        return frozenset()
    return frozenset(_WORD.findall(name)) if _WORDS.fullmatch(name) else None


def action_of(down: Sequence[str], names: Mapping[int, str], knob: bool = False) -> int | None:
    """The action for the buttons that are down, the last pressed one last; None where none are.

    knob: up and down mean right and left.

    Of the actions that ask for no other buttons the one with the newest button wins, then the one with the most.
    """
    known = {action: buttons for action, name in names.items() if (buttons := buttons_of(name)) is not None}
    used = frozenset().union(*known.values())
    pressed = [_KNOB.get(button, button) if knob else button for button in down]
    pressed = [button for button in pressed if button in used]
    if not pressed:
        return None
    able = {action: buttons for action, buttons in known.items() if buttons and buttons <= set(pressed)}
    if not able:
        return None
    return max(able, key=lambda action: (max(pressed.index(b) for b in able[action]), len(able[action]), -action))


class Pad:
    """The buttons of one seat. `ply` is the game's step at that moment: what comes and goes within one still counts."""

    def __init__(self, mode: Mode, tap_steps: int = 1) -> None:
        self._mode: Mode = mode
        self._tap_steps = tap_steps
        self._down: dict[str, int] = {}
        self._leaving: set[str] = set()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self.clear()

    @property
    def down(self) -> list[str]:
        """The buttons that are down, the last pressed one last."""
        return list(self._down)

    def press(self, button: str, ply: int) -> None:
        """A key for a button was pressed, or repeats itself."""
        if button == STOP:
            self.clear()
            return
        if self._mode == "release":
            self._leaving.discard(button)
            if button in self._down:
                return
        elif self._mode == "latch" and button in DIRECTIONS:
            for other in DIRECTIONS:
                self._down.pop(other, None)
        elif self._mode == "tap":
            self._down.clear()
        self._down.pop(button, None)
        self._down[button] = ply

    def release(self, button: str, ply: int) -> None:
        """The key was let go."""
        if self._mode != "release" or button not in self._down:
            return
        if self._down[button] >= ply:
            self._leaving.add(button)
        else:
            del self._down[button]

    def stepped(self, ply: int) -> None:
        """The game has come to this step: what was pressed for a moment is over."""
        for button, since in list(self._down.items()):
            if self._mode == "release":
                gone = button in self._leaving and since < ply
            elif self._mode == "latch" and button in DIRECTIONS:
                gone = False
            else:
                gone = since + self._tap_steps <= ply
            if gone:
                del self._down[button]
                self._leaving.discard(button)

    def clear(self) -> None:
        """Let go of everything."""
        self._down.clear()
        self._leaving.clear()
