"""What the first screens of the areas share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from textual import events
from textual.screen import Screen
from textual.timer import Timer

if TYPE_CHECKING:
    from tui.app import ArenaApp


REST_SECONDS = 0.2
"""How long a cursor rests before what it stands on is read and drawn: what it passes over is not.

Longer than between two presses of somebody in haste, or each press would wait for the drawing of the one before.
"""


class AreaScreen(Screen[None]):
    """A screen that comes to be seen and to be hidden again. Subclasses say in `on_seen` what they read then."""

    _seen = False
    _rest: Timer | None = None

    @property
    def arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)

    @property
    def wide(self) -> bool:
        """Whether there is room for more than the necessary columns."""
        return self.size.width >= 120

    def on_seen(self) -> None:
        """The screen is in front from now on."""

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        if self._seen:  # Textual says so twice where an area opens: nothing is read, styled and drawn a second time
            event.prevent_default()
            return
        self._seen = True
        self.on_seen()

    def on_screen_suspend(self) -> None:
        self._seen = False

    def when_at_rest(self, then: Callable[[], object] | None) -> None:
        """Do this in a moment, if nothing else is asked for until then; None: nothing at all."""
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(REST_SECONDS, then) if then is not None else None
