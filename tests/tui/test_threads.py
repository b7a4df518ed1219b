"""What is closed is let go."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from textual.screen import Screen

from tests.tui.conftest import ready, until
from tui.app import ArenaApp


async def test_a_closed_screen_is_forgotten(league: Path) -> None:
    app = ArenaApp(league, "Ann")
    seen: list[weakref.ref[Screen[object]]] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        for area in ("training", "replays"):
            app.go(area)
            await until(pilot, lambda area=area: app.current_mode == area and not app.workers._workers)
            seen.append(weakref.ref(app.screen))
            app.back()
            await until(pilot, lambda: app.current_mode == "lobby" and not app.workers._workers)

        def gone() -> bool:
            gc.collect()
            return not any(screen() for screen in seen)

        await until(pilot, gone)
