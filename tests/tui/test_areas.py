"""The areas: by key, mouse and palette from anywhere; each as it was left; Escape closes."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.binding import Binding

from tests.tui.conftest import ready, sees, shown, until
from tui.app import ArenaApp
from tui.areas import AREAS, KEYS, bindings, load
from tui.screens.home import HomeScreen
from tui.screens.replays import ReplaysScreen
from tui.widgets.area_bar import AreaBar

SIZE = (80, 24)


def test_every_line_of_the_lists_leads_somewhere() -> None:
    assert len({area.name for area in AREAS}) == len({area.key for area in AREAS}) == len(AREAS)
    for area in AREAS:
        assert area.help
        assert any(screen == area.screen for _, screen in KEYS), f"{area.name}: its keys are not in KEYS"
        backs = [b for b in load(area.screen).BINDINGS if isinstance(b, Binding) and "escape" in b.key.split(",")]
        assert area.name == "lobby" or backs, area.name
    for _, screen in KEYS:
        assert bindings(screen)
    keys = {area.key for area in AREAS}
    for _, screen in KEYS:
        assert not keys & {key for binding in bindings(screen) for key in binding.key.split(",")}, screen


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_areas_by_key_mouse_and_palette(league: Path, size: tuple[int, int]) -> None:
    app = ArenaApp(league)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        for area in AREAS:
            assert area.title in shown(app).splitlines()[0]
        await pilot.press("f6")
        await sees(pilot, "Ann – first-legal")
        replays = app.screen
        await pilot.press("down", "enter")
        await sees(pilot, "ply 0 of 5")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("f6")
        await sees(pilot, "ply 0 of 5")  # as it was left
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is replays)
        await pilot.click(AreaBar, offset=(shown(app).splitlines()[0].index("Lobby"), 0))
        await until(pilot, lambda: app.current_mode == "lobby")
        await pilot.press("ctrl+p", *"go to: repl", "enter")
        await until(pilot, lambda: app.screen is replays)
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "lobby")
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and app.screen is not replays)
