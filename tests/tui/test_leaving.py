"""A widget that is being removed may miss its parts; one that stays may not."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Static

import tui.leaving  # noqa: F401


class Hasty(Widget):
    """Looks for its part when it is mounted, and may be removed before."""

    def __init__(self, *, leaves: bool) -> None:
        super().__init__()
        self.leaves, self.looked = leaves, False

    def compose(self) -> ComposeResult:
        if self.leaves:
            self.remove()
            yield Static(id="part")

    def on_mount(self) -> None:
        self.looked = True
        self.query_one("#part")


@pytest.mark.parametrize("leaves", [True, False])
async def test_who_leaves_misses_nothing(leaves: bool) -> None:
    app: App[None] = App()
    hasty = Hasty(leaves=leaves)

    async def run() -> None:
        async with app.run_test() as pilot:
            app.screen.mount(hasty)
            await pilot.pause()

    if leaves:
        await run()
    else:
        with pytest.raises(NoMatches):
            await run()
    assert hasty.looked
