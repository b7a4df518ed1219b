"""Games in plain lines: the text front end over a scripted session, and one over a real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from arena.cli import play_text
from arena.cli.app import app
from arena.session_client import Hint, Mind, Position, Result, SessionError
from envs.errors import UsageError
from envs.rendering import Drawing

START = Position(
    game="tic_tac_toe",
    ply=0,
    drawing=Drawing([[("\x1b[2Jboard", "plain")]], caption="✕ to move"),
    seats=("Ann\x07", "bot"),
    to_move=(0,),
    legal={0: [(4, "5"), (0, "1")]},
)


class FakeSession:
    """Writes down what it is asked; a game ends with the move 5."""

    asked: Sequence[Any] = ()

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def note(self, *what: Any) -> None:
        FakeSession.asked = [*FakeSession.asked, what]

    def open(self, *what: Any, **start: Any) -> Position:
        self.note("open", *what, *([start] if start else []))
        return START

    def wait(self, position: Position) -> Position:
        return position

    def act(self, seat: int, move: str) -> Position:
        self.note("act", seat, move)
        if move != "5":
            raise SessionError(f"{move!r} is no move")
        result = Result((1, 0), (1.0, -1.0), "terminated")
        last = {0: "5", 1: "1"}
        rating: dict[str, tuple[float | None, float]] = {"Ann\x07": (None, 12.0), "bot": (3.0, -5.0)}
        end = replace(START, over=True, legal={}, last=last, result=result, episode=7, rating=rating)
        return replace(end, minds={1: Mind(-0.5, [])})

    def hint(self, seat: int) -> Hint:
        return Hint(seat, "minimax", Mind(0.25, [("5", 0.75), ("1", 0.25)]))

    def undo(self, seat: int) -> Position:
        self.note("undo", seat)
        return START

    def resign(self, seat: int) -> Position:
        self.note("resign", seat)
        result = Result((0, 1), (0.0, 0.0), "resigned")
        return replace(START, over=True, legal={}, result=result, rated=False)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Position]:
    monkeypatch.setattr(play_text, "Session", FakeSession)
    FakeSession.asked = []

    def run(*words: str) -> Position:
        lines = iter(words)

        def read(prompt: str) -> str:
            print(prompt)
            try:
                return next(lines)
            except StopIteration:
                raise EOFError from None

        return play_text.play_text("league.db", "tic_tac_toe", [{"human": "Ann"}, "bot"], 3, None, read)

    return run


def test_moves_hints_and_the_end(play: Callable[..., Position], capsys: pytest.CaptureFixture[str]) -> None:
    end = play("help", "hint", "9", "undo", "5", "never read")
    assert end.over
    assert FakeSession.asked == [
        ("open", "league.db", "tic_tac_toe", [{"human": "Ann"}, "bot"], 3, None),
        ("act", 0, "9"),
        ("undo", 0),
        ("act", 0, "5"),
    ]
    printed = capsys.readouterr().out
    assert "moves: 1 5" in printed
    assert "minimax would play 5 75%, 1 25% (value 0.25) · the game no longer counts\n" in printed
    assert "'9' is no move" in printed
    assert "bot played 1 (value -0.50)" in printed
    last = printed.splitlines()[-1]
    assert last == r"Ann\x07 wins (terminated) · Ann\x07 first rating +12 · bot +3 → -5 · arena replay show 7"
    assert not any(character in printed for character in "\x1b\x07")


def test_leaving_and_resigning(
    play: Callable[..., Position], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in ((), ("quit", "5")):
        assert not play(*words).over
        assert "not recorded" in capsys.readouterr().out
    kept = replace(START, kept=True)
    monkeypatch.setattr(FakeSession, "undo", lambda session, seat: kept)
    assert play("undo", "quit") == kept
    assert "left; arena play tic_tac_toe --resume goes on with it" in capsys.readouterr().out
    assert play("resign").over
    assert capsys.readouterr().out.splitlines()[-1] == "bot wins (resigned) · unrated"


def test_a_game_that_cannot_begin_is_a_wrong_argument(
    play: Callable[..., Position], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*what: Any, **start: Any) -> Position:
        raise SessionError("'0' is no move")

    monkeypatch.setattr(FakeSession, "open", refuse)
    with pytest.raises(UsageError, match="'0' is no move"):
        play()


def test_positions_and_strengths_are_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(play_text, "Session", FakeSession)
    words = ["play", "tic_tac_toe", "--vs", "bot", "--as", "Ann", "--db", str(tmp_path / "league.db")]
    for options, start in (
        (["--moves", "5 1", "--temperature", "0"], {"moves": ["5", "1"], "temperature": 0.0}),
        (["--from", "7", "--ply", "3"], {"episode": 7, "ply": 3}),
    ):
        FakeSession.asked = []
        played = CliRunner().invoke(app, [*words, *options], input="5\n")
        assert played.exit_code == 0, played.output
        assert FakeSession.asked[0][-1] == start


@pytest.mark.slow
def test_a_real_game_is_recorded(tmp_path: Path) -> None:
    db = ["--db", str(tmp_path / "league.db")]
    words = ["play", "gridworld/recycling", "--as", "Ann", "--text", *db]
    left = CliRunner().invoke(app, words, input="right\n")
    assert left.exit_code == 0, left.output
    played = CliRunner().invoke(app, words, input="right\nup\nright\nright\n")
    assert "return 11.00 (terminated)" in played.stdout
    assert "'up' is no move" in played.stdout
    rows = json.loads(CliRunner().invoke(app, ["table", "gridworld/recycling", "--json", *db]).stdout)["rows"]
    assert [(row["agent"], row["kind"], row["mean"], row["episodes"]) for row in rows] == [("Ann", "human", 11.0, 1)]
    begun = CliRunner().invoke(
        app, ["play", "tic_tac_toe", "--vs", "first-legal", "--as", "Ann", "--text", *db], input="5\n"
    )
    assert "left" in begun.stdout
    again = CliRunner().invoke(app, ["play", "tic_tac_toe", "--resume", "--text", *db], input="3\n7\n")
    assert "Ann wins" in again.stdout, again.output
    assert "unrated" not in again.stdout
    none = CliRunner().invoke(app, ["play", "tic_tac_toe", "--resume", "--text", *db])
    assert (none.exit_code, none.stderr) == (2, "Error: no unfinished game of tic_tac_toe\n")
    lost = CliRunner().invoke(app, ["play", "tic_tac_toe", "--vs", "nobody", "--text", *db])
    assert lost.exit_code in (1, 2)
    assert "nobody" in lost.stderr


@pytest.mark.parametrize(
    "arguments", [["tic_tac_toe", "--vs", "random"], ["gridworld/maze"], ["ALE/Pong-v5", "--text"]]
)
def test_a_race_is_an_atari_game_of_one_player_in_the_app(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["play", *arguments, "--race", "random"])
    assert (result.exit_code, result.stderr[:29]) == (2, "Error: --race is for Atari ga")


@pytest.mark.parametrize("words", [["--temperature", "0"], ["--from", "1"], ["--moves", "noop"], ["--ply", "2"]])
def test_games_by_the_clock_have_no_position_to_begin_from(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.cli.play._in_lines", lambda text: text)
    done = CliRunner().invoke(app, ["play", "gridworld/sumo", "--vs", "random", *words])
    assert done.exit_code == 2
    assert "gridworld/sumo runs by the clock; leave out --moves, --from, --ply and --temperature" in done.output
