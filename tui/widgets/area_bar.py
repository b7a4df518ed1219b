"""The line at the top of each area: where you are, and the key of every other place."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import events
from textual.content import Content
from textual.keys import format_key
from textual.widgets import Static

from tui.areas import AREAS

if TYPE_CHECKING:
    from tui.app import ArenaApp


class AreaBar(Static):
    """Names all areas, the present one marked; a click goes there."""

    DEFAULT_CSS = "AreaBar { dock: top; height: 1; width: 100%; background: $panel; }"

    def on_mount(self) -> None:
        self.show()

    def on_resize(self) -> None:
        self.show()

    def show(self) -> None:
        """Draw it anew: keys may have been rebound."""
        app = cast("ArenaApp", self.app)
        self._ends: list[tuple[int, str]] = []
        keys = [format_key(app.keys.get(f"area.{area.name}", area.key).partition(",")[0]) for area in AREAS]
        if self.size.width < 110 and all(key.startswith("f") and key[1:].isdigit() for key in keys):
            lead, keys = "F ", [key[1:] for key in keys]
        else:
            lead = " "
        parts: list[str | tuple[str, str]] = [(lead, "$text-muted")]
        width = len(lead)
        room = self.size.width >= 110
        for area, key in zip(AREAS, keys, strict=True):
            here = area.name == app.current_mode
            words = f"{' ' if room else ''}{area.title} "
            parts.append((key, "bold $accent"))
            parts.append((words, "bold $background on $primary" if here else ""))
            if room:
                parts.append(" ")
            width += len(key) + len(words) + room
            self._ends.append((width, area.name))
        self.update(Content.assemble(*parts), layout=False)

    def on_click(self, event: events.Click) -> None:
        cast("ArenaApp", self.app).go(next((name for end, name in self._ends if event.x < end), ""))
