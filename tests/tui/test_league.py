"""The league screen: its views of one game, and a league that is started, watched and paused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import DataTable, TabbedContent

from arena.jobs import Jobs
from arena.match import play_match
from arena.records import Agent, PackedPolicy, Run
from arena.roster import resolve
from arena.store import Store
from tests.tui.conftest import ready, sees, shown, until
from tui.app import ArenaApp
from tui.screens.job_log import JobLogScreen
from tui.screens.league import LeagueScreen
from tui.screens.replays import ReplaysScreen
from tui.widgets.heat_grid import HeatGrid

PROGRAM = (
    sys.executable,
    "-c",
    "import sys, time; print('round 1: matches 2/10 ·', *sys.argv[1:], flush=True); time.sleep(600)",
)


@pytest.fixture
def table(db: Path) -> Path:
    """A league in which three scripts have met at tic-tac-toe, and a run that left an agent."""
    with Store(db) as store:
        names = ("minimax", "tactician", "random")
        minimax, tactician, random = (resolve(store, "tic_tac_toe", name) for name in names)
        play_match(store, "tic_tac_toe", tactician, random, games=10)
        play_match(store, "tic_tac_toe", minimax, tactician, games=6)
        run = store.create_run(Run("ppo-1", "tic_tac_toe", "ppo", {"opponents": ["tactician"]}, 1, 100))
        policy = PackedPolicy("a" * 64, "ppo", {}, b"weights")
        store.add_agent(Agent("tic_tac_toe", "ppo-1@100", "checkpoint", run=run, step=100), policy)
    return db


@pytest.fixture
def app(table: Path) -> Iterator[ArenaApp]:
    made = ArenaApp(table, "Ann")
    made.jobs = Jobs(table, PROGRAM)
    yield made
    for job in made.jobs.all():
        made.jobs.kill(job.id)


@pytest.mark.slow
async def test_tables_fit_a_terminal_that_becomes_narrow(app: ArenaApp) -> None:
    def fits(columns: int) -> bool:
        table = app.screen.query(DataTable).last()
        return app.size.width == columns and table.virtual_size.width <= table.size.width <= columns

    async with app.run_test(size=(160, 50)) as pilot:
        await ready(pilot)
        app.home.choose("tic_tac_toe")
        for key, seen in (("f1", "W/D/L"), ("f4", "form")):
            await pilot.press(key)
            await sees(pilot, seen, "tactician")
            for size in ((80, 24), (160, 50)):
                await pilot.resize_terminal(*size)
                await until(pilot, partial(fits, size[0]))


@pytest.mark.slow
async def test_every_view_of_a_game(app: ArenaApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("f4")
        await sees(pilot, "minimax", "tactician", "random", "form", "no league yet")
        assert isinstance(app.screen, LeagueScreen)
        table = app.screen
        row = next(line for line in shown(app).splitlines() if "random" in line and "L" in line)
        assert set(row.split()[-1]) <= set("WDL")
        await pilot.press("down", "h")
        await sees(pilot, "rating by games", "tactician by its games")
        await pilot.press("2")
        await sees(pilot, "no run has left a rated agent here")  # no run's agent has played
        await pilot.press("3")
        await sees(pilot, "Nash", "α-rank", " · ")
        grid = app.screen.query_one(HeatGrid)
        await pilot.press("down", "right", "right")
        await until(pilot, lambda: (grid.row, grid.column) == (1, 2))
        await sees(pilot, "tactician against random", "in 10 games")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and app.screen.table.row_count == 10)
        await pilot.press("escape", "4")
        await sees(pilot, "ppo-1", "against tactician", "ppo-1@100", "not rated")
        await pilot.press("5")
        await sees(pilot, "minimax – tactician", "tactician – random")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and app.screen.table.row_count == 6)
        await pilot.press("enter")
        await sees(pilot, "ply 0 of")
        await pilot.press("escape", "escape", "v")
        await until(pilot, lambda: app.screen is table and table.query_one(TabbedContent).active == "table")
        await pilot.press("full_stop")
        await sees(pilot, "connect_four", "No rated game yet")
        table.show_game("gridworld/cliff")
        await sees(pilot, "arena evaluate gridworld/cliff")
        await pilot.press("3")
        await sees(pilot, "meets nobody")


@pytest.mark.slow
async def test_a_league_is_started_watched_and_paused(app: ArenaApp) -> None:
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await ready(pilot)
        await pilot.press("f4")
        await sees(pilot, "minimax")
        await pilot.press("p")
        await sees(pilot, "No league of this game")
        await pilot.press("s")
        await sees(pilot, "for how long?")
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: app.jobs.all() and app.jobs.all()[0].progress is not None)
        (job,) = app.jobs.all()
        assert job.command == ("league", "run", "tic_tac_toe")
        assert job.resume == ("league", "resume", "tic_tac_toe")
        from arena.league import begin_league
        from arena.league_config import default_league

        with Store(app.db) as store:  # what the command does
            begin_league(store, "tic_tac_toe", "tic_tac_toe", default_league("tic_tac_toe"))
        await pilot.press("ctrl+r")
        await sees(pilot, "tic_tac_toe … starting, round 1")
        await pilot.press("s")
        await sees(pilot, "A league of this game is at work")
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, JobLogScreen))
        await sees(pilot, "matches 2/10 · league run tic_tac_toe")
        await pilot.press("escape", "p")
        await sees(pilot, "❚❚ paused")
        with Store(app.db) as store:
            assert store.league("tic_tac_toe").paused_at is not None
        app.jobs.kill(job.id)
        await until(pilot, lambda: app.jobs.job(job.id).state == "failed")
        await pilot.press("ctrl+r")
        await sees(pilot, "✗ killed")
        await pilot.press("s")
        await sees(pilot, "for how long?")
        await pilot.press("enter")
        await until(pilot, lambda: len(app.jobs.all()) == 2)
        assert app.jobs.all()[0].command == ("league", "resume", "tic_tac_toe", "--minutes", "10")
