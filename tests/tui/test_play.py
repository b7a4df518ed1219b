"""Playing and watching, by every kind of input."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual import events
from textual.widgets import DataTable, Input, OptionList

from arena.game_client import GameSession
from arena.store import Store
from tests.tui.conftest import LocalSession, ready, sees, shown, until
from tui.app import ArenaApp
from tui.screens import session_screen
from tui.screens.home import HomeScreen
from tui.screens.play import PlayScreen
from tui.widgets.board import BoardView
from tui.widgets.key_bar import KeyBar

SIZE = (80, 24)


async def play(pilot, game: str, opponents: list[str], seat: int = 0) -> PlayScreen:
    """Ann opens a game."""
    app = await ready(pilot)
    app.play_game(game, opponents, seat, seed=1)
    await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.position is not None)
    assert isinstance(app.screen, PlayScreen)
    return app.screen


def row_of(app: ArenaApp, name: str) -> int:
    """Where an opponent stands in the lobby's table."""
    assert app.home._facts is not None
    return [agent for agent, _ in app.home._facts.opponents()].index(name)


async def press(pilot, screen: PlayScreen, *keys: str) -> None:
    """Press keys, waiting after each until the session has been asked and has answered; typed letters ask nothing."""

    def asked() -> int:
        return len(getattr(screen.session, "requests", ()))

    for key in keys:
        before = asked()
        await pilot.press(key)
        typing = screen.query_one("#typed")
        await until(pilot, lambda b=before, t=typing: (t.display or asked() > b) and screen._waiting is None)


@pytest.mark.slow
async def test_a_newcomer_in_an_empty_directory_plays_at_once(db: Path) -> None:
    app = ArenaApp(db)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        for name in ("tic_tac_toe", "connect_four", "gridworld/tron", "random", "first-legal", "tactician", "minimax"):
            await sees(pilot, name)
        assert not db.exists()
        app.home.query_one(DataTable).move_cursor(row=row_of(app, "first-legal"))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "your seat?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "What is your name?" in shown(app))
        app.screen.query_one(Input).value = "Ann"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.position is not None)
        screen = app.screen
        assert isinstance(screen, PlayScreen)
        await sees(pilot, "legal  1 2 3 4 5 6 7 8 9")
        await press(pilot, screen, "5", "3", "7")
        await until(pilot, lambda: "You win" in shown(app))
        await sees(pilot, "first rating")
        await sees(pilot, "stored as replay 1")
        await pilot.press("escape")
        await sees(pilot, "you: Elo", "1 game, 1/0/0")
        assert isinstance(app.screen, HomeScreen)
    with Store(db, create=False) as store:
        assert store.setting("name") == "Ann"
        assert [episode.rated for episode in store.episodes()] == [True]


@pytest.mark.slow
async def test_players_and_board_are_shown_before_the_games_process_is_there(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, start = asyncio.Event(), GameSession.start

    async def start_late() -> GameSession:
        await there.wait()
        return await start()

    monkeypatch.setattr(GameSession, "start", start_late)
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.play_game("connect_four", ["first-legal"], 1, moves=["4"])
        await sees(pilot, "first-legal is getting ready", "Ann (you)")
        assert "to move" not in shown(app)  # after the fourth column has been played it is not as at the start
        await pilot.press("escape")
        app.play_game("connect_four", ["first-legal"], 1)
        await sees(pilot, "first-legal is getting ready", "Ann (you)", "● to move", "1   2   3   4   5   6   7")
        screen = app.screen
        assert isinstance(screen, PlayScreen)
        await pilot.press("4", "enter")
        assert screen.position is None
        there.set()
        await sees(pilot, "your move", "○ to move", "legal  1 2 3 4 5 6 7")


@pytest.mark.slow
async def test_arrows_and_enter(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "tic_tac_toe", ["first-legal"])
        board = screen.query_one(BoardView)
        assert board.legal[board.cursor or 0] == "5"
        await pilot.press("up", "right", "right")
        assert board.cursor is not None
        assert board.legal[board.cursor] == "3"
        await press(pilot, screen, "enter")
        assert screen.position is not None
        assert screen.position.last == {0: "3", 1: "1"}
        await pilot.press("down")
        await press(pilot, screen, "space")
        assert screen.position.last[0] == "9"  # the cursor had stayed near, on 6


@pytest.mark.slow
async def test_the_mouse_plays_where_it_is_clicked(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "tic_tac_toe", ["first-legal"])
        board = screen.query_one(BoardView)
        row, line = next((y, text) for y, text in enumerate(shown(app).splitlines()) if "│  4  │" in text)
        await pilot.click(offset=(line.index("6  │"), row))
        await until(pilot, lambda: screen.position is not None and screen.position.last.get(0) == "6")
        assert "6" not in board.legal.values()
        await pilot.click(offset=(line.index("6  │"), row))  # taken: nothing is sent
        await pilot.click(offset=(1, 1))
        assert screen._waiting is None
        assert screen.position is not None
        assert screen.position.ply == 2


@pytest.mark.slow
async def test_typed_moves_and_what_is_no_move(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "othello", ["first-legal"])
        assert screen.position is not None
        move = screen.position.legal[0][0][1]
        await pilot.press("colon", "z", "9", "enter")
        await until(pilot, lambda: "is no move of" in shown(app))
        assert screen.position.ply == 0
        assert screen.query_one(BoardView).has_focus
        await pilot.press("colon")
        await press(pilot, screen, *move, "enter")
        assert screen.position.last[0] == move
        await pilot.press("4")  # a digit begins a typed move where it is no key of the game
        await pilot.press("2")
        assert screen.query_one(Input).value == "42"
        await pilot.press("escape")
        assert not screen.query_one(Input).display
        assert app.screen is screen


@pytest.mark.slow
async def test_undo_asks_and_makes_the_game_unrated(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "tic_tac_toe", ["first-legal"])
        await press(pilot, screen, "5")
        await pilot.press("u")
        await until(pilot, lambda: "no longer counts" in shown(app))
        await pilot.press("n")
        assert screen.position is not None
        assert screen.position.ply == 2
        await pilot.press("u", "y")
        await until(pilot, lambda: screen.position is not None and screen.position.ply == 0)
        await sees(pilot, " unrated ")
        await press(pilot, screen, "5", "3", "7")
        await until(pilot, lambda: "You win" in shown(app) and "unrated" in shown(app))
    with Store(db, create=False) as store:
        assert [episode.rated for episode in store.episodes()] == [False]


@pytest.mark.slow
async def test_resigning_asks_and_a_rematch_changes_seats(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "tic_tac_toe", ["first-legal"])
        await pilot.press("r", "y")
        await until(pilot, lambda: "you resigned" in shown(app))
        await until(pilot, lambda: "to move" not in shown(app))
        await press(pilot, screen, "n")
        await until(pilot, lambda: screen.position is not None and screen.position.ply == 1)
        assert screen.position is not None
        assert list(screen.position.seats) == ["first-legal", "Ann"]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await sees(pilot, "c continues tic_tac_toe – first-legal, move 1")
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.unfinished)
        assert app.screen is not screen
        app.play_game("connect_four", ["random"], 0)
        await sees(pilot, "Give it up for the new one?")
        await pilot.press("y")
        await sees(pilot, "connect_four", "your move")
        app.open_replay(1)
        await sees(pilot, "first-legal wins – Ann", "stored as replay 1")
        assert "to move" not in shown(app), "it is over"
    with Store(db, create=False) as store:
        assert [episode.reason for episode in store.episodes()] == ["resigned"]


@pytest.mark.slow
async def test_hint_and_mind(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "tic_tac_toe", ["minimax"])
        await press(pilot, screen, "1")
        await pilot.press("h")
        await sees(pilot, "Ask the strongest agent? The game no longer counts then.")
        await pilot.press("y")
        await until(pilot, lambda: "minimax would play" in shown(app))
        await sees(pilot, "tic_tac_toe  unrated")
        board = screen.query_one(BoardView)
        assert board.hinted in board.legal
        assert board.cursor == board.hinted
        await sees(pilot, "hint: minimax")
        before = shown(app).count("minimax")
        await pilot.press("m")
        await until(pilot, lambda: shown(app).count("minimax") == before + 1)
        await sees(pilot, "value +0.00")
        await sees(pilot, "5 ████████ 100%")


@pytest.mark.slow
async def test_gridworlds_are_walked_by_arrow_keys(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "gridworld/recycling", [])
        await press(pilot, screen, "right")
        await until(pilot, lambda: "return 0" in shown(app) or "return" not in shown(app))
        await press(pilot, screen, "right", "right")
        await until(pilot, lambda: "Finished: return 11" in shown(app))
    with Store(db, create=False) as store:
        (score,) = store.scores("gridworld/recycling")
        assert (score.mean, score.episodes) == (11.0, 1)


@pytest.mark.slow
async def test_watching_two_agents(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_screen, "PERIODS", (3600.0, 3600.0, 3600.0, 3600.0, 3600.0, 0.04))
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("w")
        await until(pilot, lambda: "who has seat 1?" in shown(app))
        app.screen.query_one(OptionList).highlighted = row_of(app, "first-legal")
        await pilot.press("enter")
        await until(pilot, lambda: "who has seat 2? (first-legal)" in shown(app))
        app.screen.query_one(OptionList).highlighted = row_of(app, "minimax")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PlayScreen) and app.screen.position is not None)
        screen = app.screen
        assert isinstance(screen, PlayScreen)
        assert screen.running
        await pilot.press("space")
        assert not screen.running
        await sees(pilot, "❚❚")
        ply = screen.position.ply if screen.position else 0
        await press(pilot, screen, "full_stop")
        assert screen.position is not None
        assert screen.position.ply == ply + 1
        await pilot.press("plus", "plus", "plus", "plus", "space")
        await until(pilot, lambda: screen.over)
        await sees(pilot, "minimax wins")
        assert not screen.running


@pytest.mark.slow
async def test_the_death_of_the_games_process_is_told_and_survived(db: Path, sessions: list[LocalSession]) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "tic_tac_toe", ["first-legal"])
        await press(pilot, screen, "5")
        sessions[-1].die()
        await until(pilot, lambda: "killed by signal 9" in shown(app))
        assert not any(screen.check_action(action, ()) for action in ("hint", "undo", "resign", "type"))
        await pilot.press("7", "h", "n")
        await until(
            pilot, lambda: screen.position is not None and screen.position.ply <= 1 and screen.session is not None
        )
        assert len(sessions) == 2
        assert screen.position is not None
        assert screen.position.seats == ["Ann", "first-legal"], "nobody changes seats for a game that was lost"
        assert screen.check_action("resign", ())
        await press(pilot, screen, "5")


@pytest.mark.slow
async def test_what_cannot_be_opened_is_said(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.play_game("tic_tac_toe", ["minimaks"], 0)
        await until(pilot, lambda: "you mean minimax?" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


@pytest.mark.slow
async def test_a_session_that_is_used_again_does_not_show_its_last_game(
    db: Path, sessions: list[LocalSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    games: list[str] = []
    show = PlayScreen.show_position
    monkeypatch.setattr(PlayScreen, "show_position", lambda self, p: (games.append(p.game), show(self, p)))
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await play(pilot, "tic_tac_toe", ["first-legal"])
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        sessions[0].send({"do": "act", "seat": 0, "action": 4})
        games.clear()
        await play(pilot, "connect_four", ["random"])
        assert len(sessions) == 1
        assert set(games) == {"connect_four"}


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.slow
async def test_every_key_of_the_footer_fits(db: Path, size: tuple[int, int]) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=size) as pilot:
        await ready(pilot)

        await sees(pilot, "? Help")
        assert not app.screen.query_one(KeyBar).left_out
        await play(pilot, "connect_four", ["random"])
        await sees(pilot, "h Hint", "? Help")
        assert not app.screen.query_one(KeyBar).left_out


@pytest.mark.slow
async def test_chess_by_typed_squares_and_by_pieces(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "pettingzoo/classic/chess_v6", ["first-legal"])
        await sees(pilot, "a piece, then its square", "white to move")
        await pilot.press("colon")
        await press(pilot, screen, *"e2e5", "enter")
        await sees(pilot, "'e2e5' is no legal move here")
        for key, character in (("colon", ":"), *((letter, letter) for letter in "e2e4")):
            app.post_message(events.Key(key, character))  # faster than the focus moves
        typed = screen.query_one("#typed", Input)
        await until(pilot, lambda: typed.value == "e2e4" and typed.has_focus)
        await press(pilot, screen, "enter")
        await until(pilot, lambda: screen.position is not None and screen.position.ply == 2)
        assert screen.position is not None
        assert screen.position.last[0] == "e2e4"
        board = screen.query_one(BoardView)
        queen, h5 = (next(a for a in board.legal if board.legal[a] == word) for word in ("d1e2", "d1h5"))
        left, top = board._origin()
        for x, y, *_ in (board.drawing.origins[queen], board.drawing.targets[h5][0]):
            await pilot.click(BoardView, offset=(left + x + 2, top + y + 1))
        await until(pilot, lambda: screen.position is not None and screen.position.last.get(0) == "d1h5")


@pytest.mark.slow
async def test_the_score_of_go_is_shown_while_it_lasts_and_at_the_end(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "go?komi=0.5&size=5", ["first-legal"])
        await sees(pilot, "area ● 0, ○ 0 + 0.5", "p passes")
        for ply, word in enumerate(("C3", "pass")):
            await pilot.press("colon")
            await press(pilot, screen, *word, "enter")
            await until(pilot, lambda p=ply: screen.position is not None and screen.position.ply == 2 * p + 2)
        await sees(pilot, "● to move · area ● 1, ○ 2 + 0.5")


@pytest.mark.slow
async def test_the_mind_of_a_search(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await play(pilot, "tic_tac_toe", ["mcts-1000"])
        await press(pilot, screen, "1")
        await pilot.press("m")
        await sees(pilot, "· 1,000 tries", "5 ██████████", "then 5")
        assert screen.position is not None
        mind = screen.position.minds[1]
        assert sum(count for _, count in mind.visits) <= mind.simulations == 1000
        assert mind.line[0] == mind.visits[0][0] == screen.position.last[1]
