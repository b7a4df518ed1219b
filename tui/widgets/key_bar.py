"""The line at the bottom of each screen: its keys and what they do.

One widget that draws all of them; Textual's footer mounts a widget a key, anew whenever one of them changes.
"""

from __future__ import annotations

from textual import events
from textual.app import RenderResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

HELP = "app.help"
"""The action whose key is always shown: it tells of all others."""


class KeyBar(Widget):
    """Names the keys that do something here and now; a click on one presses it.

    Where the line is too narrow the last keys are left out, but never the one that opens the help.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; width: 100%; color: $footer-foreground; background: $footer-background; }
    """
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[tuple[Binding, bool]] = []
        self._ends: list[tuple[int, Binding]] = []
        self.left_out: list[str] = []
        """What the keys do that there was no room for."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._show)

    def _show(self, screen: Screen[object]) -> None:
        shown: dict[str, tuple[Binding, bool]] = {}
        for _, binding, enabled, _ in screen.active_bindings.values():
            if binding.show:
                shown.setdefault(binding.action, (binding, enabled))
        if self._keys != list(shown.values()):
            self._keys = list(shown.values())
            self.refresh()

    def render(self) -> RenderResult:
        keys = [(self.app.get_key_display(binding), binding, enabled) for binding, enabled in self._keys]
        widths = [len(key) + 1 + len(binding.description) + 1 for key, binding, _ in keys]
        self.left_out = []
        for last in reversed(range(len(keys))):
            if sum(widths) <= self.size.width + 1:
                break
            if keys[last][1].action != HELP:
                self.left_out.append(keys.pop(last)[1].description)
                del widths[last]
        self._ends = []
        parts: list[str | tuple[str, str]] = []
        end = 0
        for (key, binding, enabled), width in zip(keys, widths, strict=True):
            dim = "" if enabled else "dim "
            parts.append((key, f"{dim}bold $footer-key-foreground"))
            parts.append((f" {binding.description} ", f"{dim}$footer-description-foreground"))
            end += width
            self._ends.append((end, binding))
        return Content.assemble(*parts)

    def _at(self, x: int) -> Binding | None:
        return next((binding for end, binding in self._ends if x < end), None)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        found = self._at(event.x)
        self.tooltip = (found.tooltip or None) if found else None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if (found := self._at(event.x)) is not None:
            self.app.simulate_key(found.key)
