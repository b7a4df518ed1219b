"""Setting games up: positions, strengths, two people at one keyboard; playing on from a replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tests.tui.conftest import LocalSession, ready, sees, shown, until
from tui.app import ArenaApp
from tui.screens.dialogs import ChooseScreen
from tui.screens.play import PlayScreen
from tui.screens.setup import GUEST, SetupScreen, WatchSetupScreen
from tui.widgets.board import BoardView
from tui.widgets.choice import Choice

SIZE = (80, 24)


async def set_up(pilot: Pilot[Any], key: str, game: str) -> SetupScreen:
    """The form, filled for a game."""
    app = await ready(pilot)
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, SetupScreen) and app.screen._facts is not None)
    screen = app.screen
    assert isinstance(screen, SetupScreen)
    screen.choose(game)
    await until(pilot, lambda: screen._facts is not None and screen._facts.game == game)
    return screen


def choose(screen: SetupScreen, name: str, value: Any) -> None:
    screen.query_one(f"#{name}", Choice).value = value


@pytest.mark.slow
async def test_a_position_and_a_strength(db: Path, sessions: list[LocalSession]) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await set_up(pilot, "f2", "tic_tac_toe")
        assert screen.query_one("#seat1", Choice).value == "rookie"  # about a newcomer's level
        choose(screen, "seat1", "expert")
        choose(screen, "search", "50")
        choose(screen, "temperature", 2.0)
        screen.query_one("#moves", Input).value = "5 x"
        await pilot.press("ctrl+s")
        await sees(pilot, "'x'")  # no move of the game
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        screen.query_one("#moves", Input).value = "5, 1"
        await pilot.press("ctrl+s")
        await sees(pilot, "expert+mcts:50", "unrated", "your move", "legal  2 3 4 6 7 8 9")
        opened = [request for request in sessions[-1].requests if request["do"] == "open"][-1]
        assert (opened["temperature"], opened["moves"]) == (2.0, ["5", "1"])
        assert opened["seats"] == [{"human": "Ann"}, "expert+mcts:50"]
        await pilot.press("f2")
        choose(screen, "search", "1s")
        assert screen._seats(["you", "expert"])[1] == "expert+mcts:1s"


@pytest.mark.slow
async def test_values_are_chosen_from_a_list(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await set_up(pilot, "f2", "tic_tac_toe")
        await sees(pilot, "Seat 1        you")
        search = screen.query_one("#search", Choice)
        search.focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        assert app.screen.query_one(OptionList).highlighted == 0
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen is screen and search.value == "50")
        await sees(pilot, "Thinking      50 simulations a move")
        await pilot.press("space")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        assert app.screen.query_one(OptionList).highlighted == 1
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert search.value == "50"
        screen.choose("connect_four")
        await until(pilot, lambda: screen._facts is not None and screen._facts.game == "connect_four")
        assert not screen.query_one("#seat2", Choice).display
        with pytest.raises(ValueError, match="not offered"):
            search.value = "51"


@pytest.mark.slow
async def test_two_people_at_one_keyboard(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await set_up(pilot, "f2", "tic_tac_toe")
        choose(screen, "seat1", GUEST)
        screen.query_one("#guest", Input).value = "--"
        await pilot.press("ctrl+s")
        await sees(pilot, "must not begin with")
        screen.query_one("#guest", Input).value = "Bob"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.position is not None)
        game = app.screen
        assert isinstance(game, PlayScreen)
        for ply, move in enumerate(("1", "4", "2", "5", "3"), start=1):
            await pilot.press(move)
            await until(pilot, lambda ply=ply: game.position is not None and game.position.ply == ply)
        await sees(pilot, "Ann wins", "Bob:")


@pytest.mark.slow
async def test_what_is_watched_is_set_up_without_people(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await set_up(pilot, "f3", "tic_tac_toe")
        assert isinstance(screen, WatchSetupScreen)
        choose(screen, "seat0", "minimax")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.current_mode == "watch")


@pytest.mark.slow
async def test_playing_on_from_a_replay(league: Path) -> None:
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.open_replay(1)
        await sees(pilot, "ply 0 of 5")
        await pilot.press("right", "right", "p")
        await sees(pilot, "Play on from ply 2: against whom?")
        assert str(app.screen.query_one(OptionList).get_option_at_index(0).prompt) == "first-legal"
        await pilot.press("enter")
        await sees(pilot, "your seat?")
        await pilot.press("enter")
        await sees(pilot, "unrated · move 2", "your move")
        await pilot.press("n")  # Ann has played nothing, so neither this nor leaving asks
        await sees(pilot, "unrated · move 3", "your move")
        await pilot.press("escape")
        await sees(pilot, "ply 2 of 5")  # back where one came from


@pytest.mark.slow
async def test_values_over_the_map(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.play_game("gridworld/cliff", [], 0, 1)
        await sees(pilot, "your move", "v Values")
        await pilot.press("v")
        await sees(pilot, "See what an agent knows of the map?")
        await pilot.press("y")
        await sees(pilot, "→ → →", "0% -112", "value-iteration", "unrated")
        await pilot.press("up")
        await sees(pilot, "move 1", "→ → →")
        await pilot.press("v")
        await until(pilot, lambda: "→ → →" not in shown(app))
        assert app.screen.query_one(BoardView).legal
