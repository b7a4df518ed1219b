"""The list of replays: filters and search, the verify badge, export; and the decisive move of one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from arena.jobs import Jobs
from tests.tui.conftest import LocalSession, ready, sees, shown, until
from tui.app import ArenaApp
from tui.facts import ReplayFilter
from tui.screens.dialogs import ChooseScreen
from tui.screens.replay import ReplayScreen
from tui.screens.replays import ReplaysScreen

WRITES = (sys.executable, "-c", "import sys; open(sys.argv[-1], 'x').write(' '.join(sys.argv[1:-1]))")


@pytest.fixture
def app(league: Path) -> Iterator[ArenaApp]:
    made = ArenaApp(league)
    made.jobs = Jobs(league, WRITES)
    yield made
    for job in made.jobs.all():
        made.jobs.kill(job.id)


@pytest.mark.slow
async def test_episodes_are_searched(app: ArenaApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and app.screen.table.row_count == 2)
        screen = app.screen
        assert isinstance(screen, ReplaysScreen)
        for words, count in (("ann won", 1), ("first-legal lost", 1), (">3", 1), ("unrated", 1), ("#1", 1)):
            await pilot.press("slash")
            await until(pilot, lambda: app.screen.query(Input))
            app.screen.query_one(Input).value = words
            await pilot.press("enter")
            await sees(pilot, f"/{words}")
            await until(pilot, lambda count=count: screen.table.row_count == count and not app.workers._workers)
        await pilot.press("slash")
        await until(pilot, lambda: app.screen.query(Input))
        app.screen.query_one(Input).value = "won"
        await pilot.press("enter")
        await sees(pilot, "say who won")
        assert screen.wanted.search == "#1"
        await pilot.press("c")
        await until(pilot, lambda: screen.table.row_count == 2)
        assert screen.wanted == ReplayFilter()


async def test_where_no_episode_is_listed_none_is_verified_or_written(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("f6")
        await sees(pilot, "No episode here yet")
        keys = {active.binding.action: active.enabled for active in app.screen.active_bindings.values()}
        assert not keys["verify"]
        assert not keys["export"]
        assert keys["search"]


@pytest.mark.slow
async def test_an_episode_is_verified_and_written(app: ArenaApp, tmp_path: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and app.screen.table.row_count == 2)
        await pilot.press("down", "v")
        await sees(pilot, "episode 1 ✓ verified", "1 ✓")
        assert "2 ✓" not in shown(app)
        target = tmp_path / "game.txt"
        for told in ("written:", "FileExistsError"):
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
            await pilot.press("enter")
            await until(pilot, lambda: app.screen.query(Input))
            assert app.screen.query_one(Input).value.startswith("episode-1.")
            app.screen.query_one(Input).value = str(target)
            await pilot.press("enter")
            await sees(pilot, told)
        assert target.read_text().startswith("replay export 1 --format ")


@pytest.mark.slow
async def test_a_verification_that_is_left_leaves_no_process(
    app: ArenaApp, sessions: list[LocalSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalSession, "send", LocalSession.number)  # it takes requests and never answers
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and app.screen.table.row_count == 2)
        await pilot.press("v")
        await until(pilot, lambda: len(sessions) == 1 and len(sessions[0].requests) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: not sessions[0].alive)


@pytest.mark.slow
async def test_the_decisive_move_is_found(app: ArenaApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.open_replay(1)
        await until(pilot, lambda: isinstance(app.screen, ReplayScreen) and "ply 0 of 5" in shown(app))
        await pilot.press("d")
        await sees(pilot, "was decisive", "mcts-100 thinks")
        screen = app.screen
        assert isinstance(screen, ReplayScreen)
        assert screen._thoughts is not None
        await sees(pilot, f"ply {screen._thoughts.decisive} of 5")
        await pilot.press("home")
        await sees(pilot, "ply 0 of 5", "value ")
