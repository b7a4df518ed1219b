"""Leaderboard, replays, help, settings; stored text is inert; a broken file is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.widgets import DataTable, Input, OptionList, Static

from agents.scripted import scripted_policies
from arena.records import Agent
from arena.roster import game_spec
from arena.session import Server
from arena.store import Store
from tests.tui.conftest import ready, sees, shown, until
from tui.app import ArenaApp, run
from tui.facts import known_games, read_replays, scripts
from tui.messages import ReplaysLoaded
from tui.screens.help import HelpScreen, key_rows
from tui.screens.home import HomeScreen
from tui.screens.league import LeagueScreen
from tui.screens.replay import ReplayScreen
from tui.screens.replays import ReplaysScreen
from tui.text import shorten, versus
from tui.widgets.tables import outcome

SIZE = (80, 24)
TINY = "gridworld/tiny"


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.slow
async def test_the_leaderboard_shows_the_table(league: Path, size: tuple[int, int]) -> None:
    server = Server()
    list(server.handle({"do": "open", "db": str(league), "game": TINY, "seats": [{"human": "Ann"}], "seed": 2}))
    list(server.handle({"do": "act", "seat": 0, "move": "right"}))
    server.close()
    app = ArenaApp(league)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LeagueScreen) and "Ann" in shown(app))
        row = next(line for line in shown(app).splitlines() if "Ann" in line)
        assert ("person" in row) == (size[0] > 80)
        assert "1/0/0" in row
        assert "100%" in row
        app.screen.show_game(TINY)  # type: ignore[attr-defined]
        await until(pilot, lambda: "mean ± sd" in shown(app) and "Ann" in shown(app))
        await pilot.press("full_stop")
        await until(pilot, lambda: "gridworld/trap" in shown(app) and "No rated game yet" in shown(app))
        await pilot.press("comma")
        await sees(pilot, "mean ± sd", "Ann")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and "gave" not in shown(app))


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.slow
async def test_replays_are_listed_and_walked_through(league: Path, size: tuple[int, int]) -> None:
    app = ArenaApp(league)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and "Ann – first-legal" in shown(app))
        table = app.screen.query_one(DataTable)
        assert [str(row.value) for row in table.rows] == ["2", "1"]
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, ReplayScreen) and "ply 0 of 5" in shown(app))
        screen = app.screen
        assert isinstance(screen, ReplayScreen)
        await pilot.press("right", "right", "right")
        await until(pilot, lambda: "ply 3 of 5" in shown(app))
        assert screen.position is not None
        assert screen.position.last == {0: "3", 1: "1"}
        await pilot.press("left")
        await until(pilot, lambda: "ply 2 of 5" in shown(app))
        await pilot.press("end")
        await until(pilot, lambda: "Ann wins" in shown(app))
        await pilot.press("g", "1", "enter")
        await until(pilot, lambda: "ply 1 of 5" in shown(app))
        await pilot.press("g", "6", "enter")
        await until(pilot, lambda: "no ply from 0 to 5" in shown(app))
        await pilot.press("v")
        await until(pilot, lambda: "verified" in shown(app))
        await pilot.press("plus", "plus", "plus", "space")
        await until(pilot, lambda: "ply 5 of 5" in shown(app) and not screen.running)
        await pilot.press("home")
        await until(pilot, lambda: "ply 0 of 5" in shown(app))


@pytest.mark.slow
async def test_replays_of_one_game_and_one_player(league: Path) -> None:
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.open_replays("gridworld/tiny", "Ann")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and app.screen.query_one(DataTable).row_count)
        assert app.screen.query_one(DataTable).row_count == 1
        await pilot.press("a")
        await until(pilot, lambda: app.screen.query(Input))
        app.screen.query_one(Input).value = "first-legal"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and "None fits" in shown(app))


@pytest.mark.slow
async def test_a_long_list_is_read_page_by_page(league: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(league) as store:
        episode, match = store.episode(1), store.match(1)
        for _ in range(7):
            store.add_match(match, [episode])
    monkeypatch.setattr("tui.screens.replays.PAGE", 4)
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.open_replays("tic_tac_toe")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen))
        table = app.screen.query_one(DataTable)
        await until(pilot, lambda: table.row_count == 4)
        await pilot.press(*["down"] * 3)
        await until(pilot, lambda: table.row_count == 8)
        assert len({row.value for row in table.rows}) == 8
        screen = app.screen
        assert isinstance(screen, ReplaysScreen)
        page = ReplaysLoaded(screen.wanted, 99, read_replays(league, screen.wanted, None, 4), True)
        for stale in (page, replace(page, wanted=replace(screen.wanted, agent="Ann"), before=None)):
            screen.on_replays_loaded(stale)
            assert table.row_count == 8, "a page of another list"
        await pilot.resize_terminal(160, 50)
        await until(pilot, lambda: len(table.columns) == 6 and table.row_count == 4)


@pytest.mark.slow
async def test_stored_text_is_shown_as_it_is(db: Path) -> None:
    with Store(db) as store:
        store.add_agent(Agent("tic_tac_toe", "[red]x[/]", "scripted", policy="random"))
        store.add_agent(Agent("no_such_game", "x", "scripted", policy="random"))
        store.set_setting("name", "a\x1b[31m[b]")
        store.set_setting("theme", "no such theme")
    app = ArenaApp(db)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "you are" in shown(app))
        await sees(pilot, "[red]x[/]")
        await until(pilot, lambda: "no_such_game" not in shown(app))
        await sees(pilot, "you are a\\x1b[31m[b]")
        app.on_read_failed(type("Failed", (), {"problem": "[bold]no\x07"})())
        await until(pilot, lambda: "[bold]no\\x07" in shown(app))


async def test_what_is_no_league_is_told_and_left_alone(db: Path) -> None:
    db.write_text("my diary")
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.home.is_mounted and "is no league" in shown(app).replace("\n", " "))
        assert isinstance(app.screen, HomeScreen)
    assert db.read_text() == "my diary"


@pytest.mark.slow
async def test_the_name_is_asked_kept_and_changed(db: Path) -> None:
    app = ArenaApp(db)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        for name, keeps in (("Ann", True), ("-x", False), ("Bob", True)):
            await pilot.press("n")
            await until(pilot, lambda: app.screen.query(Input))
            app.screen.query_one(Input).value = name
            await pilot.press("enter")
            if keeps:
                await until(pilot, lambda name=name: f"you are {name}" in shown(app) and not app.workers._workers)
            else:
                await until(pilot, lambda: "must not begin" in shown(app))
                await pilot.press("escape")
                await until(pilot, lambda: isinstance(app.screen, HomeScreen))
    with Store(db, create=False) as store:
        assert store.setting("name") == "Bob"


async def test_a_name_given_on_the_command_line_is_not_kept(league: Path) -> None:
    app = ArenaApp(league, "Zoe")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await sees(pilot, "you are Zoe")
    with Store(league, create=False) as store:
        assert store.setting("name") == "Ann"
    with pytest.raises(Exception, match="must not begin with -"):
        run(league, "-x")


@pytest.mark.slow
async def test_a_key_is_rebound_and_stays_so(league: Path) -> None:
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.action_rebind()
        await until(pilot, lambda: "Rebind which key?" in shown(app))
        rows = [id for _, found in key_rows({}) for _, _, id in found]
        app.screen.query_one(OptionList).highlighted = rows.index("home.leaderboard")
        await pilot.press("enter")
        await until(pilot, lambda: "press the new key" in shown(app))
        await pilot.press("f12")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and not app.workers._workers)
        assert app.keys == {"home.leaderboard": "f12"}
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("l")
        assert isinstance(app.screen, HomeScreen)
        await pilot.press("f12")
        await until(pilot, lambda: isinstance(app.screen, LeagueScreen))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        text = str(app.screen.query(Static).first().content)
        assert "f12           Leaderboard" in text


@pytest.mark.slow
async def test_help_names_every_key_and_every_key_has_an_id(league: Path) -> None:
    for title, rows in key_rows({}):
        assert all(keys and words and name for keys, words, name in rows), title
        assert len({name for _, _, name in rows}) == len(rows)
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        for start in ("home", "leaderboard", "replays"):
            if start == "leaderboard":
                app.open_leaderboard("tic_tac_toe")
            elif start == "replays":
                app.open_replays(None)
            await pilot.pause()
            screen = app.screen
            ids = {name for _, rows in key_rows({}) for _, _, name in rows}
            own = [b for b in type(screen).BINDINGS if isinstance(b, Binding)]
            assert {b.id for b in own} <= ids
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen))
            titles = {"home": "Lobby", "leaderboard": "League", "replays": "List of replays"}
            first = str(app.screen.query(Static).first().content).splitlines()[:3]
            assert first == ["Arena: keys and rules", "", titles[start]]
            await pilot.press("escape")
            await until(pilot, lambda screen=screen: app.screen is screen)


@pytest.mark.slow
async def test_quitting(db: Path) -> None:
    for key in ("q", "ctrl+q"):
        app = ArenaApp(db, "Ann")
        async with app.run_test(size=SIZE) as pilot:
            await ready(pilot)
            await pilot.press(key)
            await until(pilot, lambda app=app: not app.is_running or app._exit)
        assert app.return_code == 0


@pytest.mark.slow
async def test_a_variant_is_typed(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await ready(pilot)
        for text, told in (("gridworld/mase", "unknown game"), ("gridworld/maze?size=9", "gridworld/maze?size=9")):
            await pilot.press("g")
            await until(pilot, lambda: app.screen.query(Input))
            app.screen.query_one(Input).value = text
            await pilot.press("enter")
            await until(pilot, lambda told=told: isinstance(app.screen, HomeScreen) and told in shown(app))
        assert app.home.game == "gridworld/maze?size=9"


def test_the_home_screen_offers_the_scripts_that_there_are() -> None:
    for game in [
        *known_games([]),
        "gridworld/maze?level=3",
        "pettingzoo/classic/tictactoe_v3",
        "pettingzoo/classic/connect_four_v3",
        "pettingzoo/atari/pong_v3",
    ]:
        assert [name for name, _ in scripts(game)] == list(scripted_policies(game_spec(game))), game


@pytest.mark.slow
async def test_the_palette_has_the_screens_commands_and_the_theme_is_kept(league: Path) -> None:
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Play", "Watch", "Leaderboard", "Replays", "Rebind a key", "Your name"} <= titles
        await pilot.press("ctrl+p", *"leaderboard", "enter")
        await until(pilot, lambda: isinstance(app.screen, LeagueScreen))
        app.theme = "arena-light"
        await until(pilot, lambda: not app.workers._workers)
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert app.theme == "arena-light"


def test_who_has_won_where_one_agent_holds_several_seats() -> None:
    assert outcome(["a", "b"], [0.0, 1.0], [-1, 1], "terminated") == "b won"
    assert outcome(["a", "a"], [0.0, 1.0], [-1, 1], "resigned") == "seat 2 won (resigned)"
    assert outcome(["a", "a"], [0.5, 0.5], [0, 0], "terminated") == "draw"


def test_long_names_keep_what_tells_them_apart() -> None:
    assert shorten("ppo-tictactoe@1.0M", 18) == "ppo-tictactoe@1.0M"
    assert shorten("ppo-tictactoe@1.0M", 12) == "ppo-ti…@1.0M"
    assert shorten("a very long name", 8) == "a very …"
    assert shorten("x@" + "9" * 20, 8) == "x@99999…"
    assert versus(["ann", "bob"], 24) == "ann – bob"
    for names in (["ppo-tictactoe@1.0M", "vpg-tictactoe@1.0M"], ["ppo-connect4@9.0M", "random"], ["a" * 40] * 3):
        assert len(versus(names, 24)) <= 24
    assert versus(["ppo-tictactoe@1.0M", "vpg-tictactoe@1.0M"], 24) == "ppo-…@1.0M – vpg-t…@1.0M"
    assert versus(["ppo-connect4@9.0M", "random"], 24) == "ppo-conne…@9.0M – random"


@pytest.mark.slow
async def test_a_key_that_comes_before_the_games_facts_is_not_lost(league: Path) -> None:
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.home.query_one("#games", OptionList).highlighted = app.home._games.index("connect_four")
        app.home.action_play()  # what the highlighted game brings about has not been handled yet
        await until(pilot, lambda: "connect_four against" in shown(app))


@pytest.mark.slow
async def test_a_long_game_takes_one_line_of_the_lobby(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.add_game("pettingzoo/classic/chess_v6")
        app.add_game("gridworld/maze?level=1&size=11")
        prompts = [str(option.prompt) for option in app.screen.query_one("#games", OptionList).options]
        assert prompts[-2:] == ["…  …/chess_v6", "1  …/maze?level=1&siz…"]
        assert max(map(len, prompts)) <= 22, "the list has 23 columns, one of them the scroll bar's"
