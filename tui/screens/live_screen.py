"""What the screens that follow work share: they read anew at a steady pace while seen, and do things with jobs."""

from __future__ import annotations

from collections.abc import Callable

from textual import work
from textual.timer import Timer

from envs.errors import ArenaError
from tui.messages import ReadFailed
from tui.screens.area_screen import AreaScreen


class LiveScreen(AreaScreen):
    """A screen of facts that change while it is looked at. Subclasses read them in `action_load`."""

    _timer: Timer | None = None

    def action_load(self) -> None:
        """Read everything anew."""
        raise NotImplementedError

    def refresh_every(self, seconds: float, refresh: Callable[[], None]) -> None:
        """Call this at a steady pace while the screen is seen."""
        self._timer = self.set_interval(seconds, refresh)

    def on_seen(self) -> None:
        if self._timer is not None:
            self._timer.resume()
        self.action_load()

    def on_screen_suspend(self) -> None:
        super().on_screen_suspend()
        if self._timer is not None:
            self._timer.pause()

    @work(thread=True, group="job", exit_on_error=False)
    def do(self, what: Callable[[], object]) -> None:
        """Something with a job or a league, in a thread; then everything is read anew."""
        try:
            what()
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))
            return
        self.app.call_from_thread(self.action_load)
