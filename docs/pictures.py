"""Makes the pictures of the README and the docs: `.venv/bin/python docs/pictures.py league.db` (the demo's league).

The real app is driven by keys without a terminal; its screens are saved as docs/images/*.svg.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from tui.app import ArenaApp

IMAGES = Path(__file__).parent / "images"
SMALL, LARGE = (80, 24), (160, 50)


async def wait_for(pilot: Pilot[None], text: str) -> None:
    """Until `text` is on the screen."""
    for _ in range(600):
        await pilot.pause(0.05)
        if any(
            text in "".join(segment.text for segment in line) for line in pilot.app.screen._compositor.render_strips()
        ):
            return
    raise TimeoutError(text)


async def take(db: Path, opponent: str, size: tuple[int, int], suffix: str) -> None:
    app = ArenaApp(db, "ada")
    async with app.run_test(size=size) as pilot:
        app.theme = "arena-dark"

        async def save(name: str) -> None:
            await pilot.pause(0.3)
            (IMAGES / f"{name}{suffix}.svg").write_text(app.export_screenshot())

        await wait_for(pilot, "connect_four")
        await save("home")
        app.play_game("connect_four", [opponent], 0, 3)
        await wait_for(pilot, "legal")
        for move, key in enumerate(("4", "3", "4", "5")):
            await wait_for(pilot, f"move {2 * move}")
            await pilot.press(key)
        await wait_for(pilot, "move 8")
        await pilot.press("m")
        await save("play")
        app.open_leaderboard("connect_four")
        await wait_for(pilot, "tactician")
        await save("league")
        app.go("training")
        await wait_for(pilot, "vpg-connect4")
        await save("training")
        app.go("lessons")
        await wait_for(pilot, "Bellman")
        await save("learn")
        app.go("lobby")
        app.open_replay(1)
        await wait_for(pilot, "ply 0")
        await pilot.press("right", "right", "right", "right")
        await wait_for(pilot, "ply 4")
        await save("replay")


def main() -> None:
    league, opponent = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "ppo-connect4"
    IMAGES.mkdir(exist_ok=True)
    for size, suffix in ((SMALL, ""), (LARGE, "-large")):
        with tempfile.TemporaryDirectory() as folder:
            db = Path(folder) / "league.db"
            shutil.copy(league, db)
            asyncio.run(take(db, opponent, size, suffix))


if __name__ == "__main__":
    main()
