"""Games as PGN and SGF: out and in again they are the same; what a file has wrong is named, and nothing is kept."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import chess
import pytest
import torch
from typer.testing import CliRunner, Result

from arena.cli.app import app
from arena.episodes import Recorder, verify
from arena.formats import Played, Recorded, find_format, read, write
from arena.imported import as_episode, keep_games, read_games
from arena.match import play_match
from arena.records import Episode
from arena.roster import resolve
from arena.store import Store
from envs.chess_positions import GAME, actions_of
from envs.errors import ArenaError, UnknownNameError, UsageError
from envs.registry import make

# A capture en passant, castling to both sides, two knights that can reach one square; and what a reader leaves out.
ODD = """[Event "A \\"quoted\\" name"]
[White "Ann \\\\ Bo"]
[Black "?"]
[Result "1-0"]
% a line for another program
1.e4 {the best (by test) 1. d4} Nf6 2. e5! $1 d5 3. exd6 (3. Nf3 (3. d4 Bf5) Bg4) 3... Nc6
4. dxc7 Qd5 ; to the line's end 5. h4
5. Nf3 Qa5 6. Be2 Qxc7 7. 0-0 Bd7 8. a3 O-O-O!? 9. Nc3 e5 10. Nb5 Be7 11. Nbd4 1-0
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def chess_episode(moves: str) -> Episode:
    board, actions = chess.Board(), []
    for word in moves.split():
        move = board.parse_san(word)
        actions.append(actions_of(board)[move.uci()])
        board.push(move)
    return as_episode(Played(GAME, ("a", "b"), actions, [""] * len(actions), None))


def test_pgn_says_every_move_and_reads_it_back() -> None:
    (played,) = read("pgn", ODD.encode())
    assert played.names == ("Ann \\ Bo", "?")
    assert len(played.actions) == 21
    assert played.places[4] == "line 6, move 3. exd6"
    episode = as_episode(played)
    assert (episode.reason, [player.score for player in episode.players]) == ("resigned", [1.0, 0.0])
    text = write("pgn", [Recorded(episode, played.names)]).decode()
    assert '[White "Ann \\\\ Bo"]' in text
    assert "7. O-O Bd7 8. a3 O-O-O 9. Nc3 e5 10. Nb5 Be7 11. Nbd4 1-0" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    (again,) = read("pgn", text.encode())
    assert again.actions == played.actions
    assert again.names == played.names


def test_a_promotion_is_to_the_piece_that_was_chosen() -> None:
    for piece in "QRBN":
        episode = chess_episode(f"a4 b5 axb5 a6 bxa6 Bb7 a7 Qc8 axb8={piece}")
        text = write("pgn", [Recorded(episode, ("a", "b"))])
        assert f"5. axb8={piece} *" in text.decode()
        assert as_episode(read("pgn", text)[0]).actions == episode.actions


def test_a_mate_and_an_unfinished_game_are_told_apart() -> None:
    mate = chess_episode("f3 e5 g4 Qh4#")
    assert mate.reason == "terminated"
    text = write("pgn", [Recorded(mate, ("a", "b")), Recorded(chess_episode("e4"), ("a", "b"))]).decode()
    assert '[Result "0-1"]' in text
    assert "2. g4 Qh4# 0-1" in text
    assert '[Termination "unterminated"]' in text
    first, second = read("pgn", text.encode())
    assert (first.scores, second.scores) == ((0.0, 1.0), None)


@pytest.mark.parametrize(
    ("pgn", "message"),
    [
        ("1. e4 e5 2. Ke3 *", r"line 1, move 2\. Ke3: no legal move there"),
        ("1. e4\n\ne5 2. d4 e6 *", r"line 3, move 2… e6: no legal move"),
        ("1. e4 e5", "no result"),
        ('[White "a"]', "no result"),
        ("1. e4 (1. d4 *", "variation is not closed"),
        ("1. e4 ) *", r"a \) without its \("),
        ("1. e4 ({ *", "a comment is not closed"),
        ("1. e4 123 *", "'123' is no PGN"),
        ("1. e4 § *", "'§' is no PGN"),
        ('[Result "1-0"]\n1. e4 0-1', "the tag says 1-0"),
        ('[FEN "8/8/8/8/8/8/8/K1k5 w - - 0 1"]\n*', "line 1: only games from chess's own start"),
        ('1. e4\n[White "a"]\n*', "line 2: a tag before"),
        ("", "there is no game"),
        ("1. f3 e5 2. g4 Qh4# 3. a3 *", r"move 3\. a3: no legal move"),
        ("1. Nf3 Nf6 2. Ng1 Ng8 3. Nf3 Nf6 4. Ng1 Ng8 5. e4 *", r"move \d.* had ended the game before"),
    ],
)
def test_a_bad_pgn_is_named(tmp_path: Path, pgn: str, message: str) -> None:
    file = tmp_path / "games.pgn"
    file.write_text(f"{'1. e4 *' if pgn else ''}\n".replace("\n", " ") + pgn)
    with pytest.raises(ArenaError, match=message) as caught:
        read_games(file)
    assert str(file) in str(caught.value)


def test_a_bad_file_makes_no_league(tmp_path: Path) -> None:
    file = tmp_path / "games.pgn"
    file.write_text("1. e4 * 1. e5 *")
    refused = run("replay", "import", file, "--db", tmp_path / "new.db")
    assert (refused.exit_code, len(refused.output.splitlines())) == (1, 1)
    assert "move 1. e5: no legal move there" in refused.output
    assert not (tmp_path / "new.db").exists()


def test_sgf_goes_out_and_comes_in(store: Store, tmp_path: Path) -> None:
    game = "go?komi=5.5&size=5"
    one, other = resolve(store, game, "random"), resolve(store, game, "first-legal")
    result = play_match(store, game, one, other, games=2, max_plies=40)
    out = tmp_path / "games.sgf"
    done = run("replay", "export", *(e.id for e in store.episodes()), "--out", out, "--db", store.path)
    assert done.exit_code == 0, done.output
    assert run("replay", "export", 1, "--out", out, "--db", store.path).exit_code == 2, "a file is not overwritten"
    elsewhere = tmp_path / "elsewhere.db"
    taken = run("replay", "import", out, "--db", elsewhere)
    assert taken.exit_code == 0, taken.output
    with Store(elsewhere) as there:
        assert sorted(e.actions for e in there.episodes()) == sorted(
            e.actions for e in store.episodes(match=result.match)
        )
        assert {e.game for e in there.episodes()} == {game}
        assert all(verdict.ok for verdict in verify(there))
        assert {agent.name: agent.kind for agent in there.agents()} == {"random": "human", "first-legal": "human"}
        assert there.pair_results(game) == [], "they are not rated"
        assert there.check() == []


def test_sgf_takes_the_main_line_and_what_programs_write() -> None:
    text = (
        "before it anything\n(;GM[1]SZ[5]KM[7.5]PB[A\\]n:n]PW[Bo\\\\]RE[W+Resign]C[a ) in a ( comment]\n"
        ";B[aa]BL[10.5];W[bb](;B[cc](;W[tt];B[])(;W[dd](;B[ee])))(;B[dd];W[cc])) (;SZ[5];B[ab])"
    )
    first, second = read("sgf", text.encode())
    assert first.names == ("A]n:n", "Bo\\")
    assert first.game == "go?size=5"
    assert first.actions == [0, 6, 12, 25, 25]
    assert first.scores == (0.0, 1.0)
    assert second.actions == [5]
    assert as_episode(second).reason == "truncated"
    resigned = as_episode(Played(first.game, first.names, [0, 6], ["", ""], first.scores))
    assert (resigned.reason, [player.score for player in resigned.players]) == ("resigned", [0.0, 1.0])
    (other,) = read("sgf", b"(;SZ[5];B[aa])", "pettingzoo/classic/go_v5?board_size=5")
    assert as_episode(other).game == "pettingzoo/classic/go_v5?board_size=5"


@pytest.mark.parametrize(
    ("sgf", "message"),
    [
        ("(;SZ[5];B[aa]\n;W[aa])", r"line 2, move 2 W\[aa\]: not legal there"),
        ("(;SZ[5];B[ff])", r"move 1 B\[ff\]: no point"),
        ("(;SZ[5];B[aa];B[bb])", r"move 2 B\[bb\]: black begins"),
        ("(;SZ[5];W[aa])", "black begins"),
        ("(;SZ[5]HA[2])", "handicap"),
        ("(;SZ[5]\nAB[aa])", "line 1: AB sets up"),
        ("(;SZ[5];AE[aa])", "AE sets up"),
        ("(;GM[2])", "no game of go"),
        ("(;SZ[x])", "is no number"),
        ("(;SZ[nan])", "is no number"),
        ("(;SZ[50])", "size"),
        ("(;KM[375])", "komi"),
        ("(;SZ[5];B[aa]", "not closed"),
        ("(;SZ[5;B", "a value is not closed"),
        ("(;[5])", "a value without a property"),
        ("(;SZ[5]))", r"a \) without"),
        ("(;SZ[5] 7)", "'7' is no SGF"),
        ("(;SZ[5]C[a\nb]\nX[c\nd]\n7)", "line 5: '7' is no SGF"),
        ("()", "without a node"),
        ("", "there is no game"),
        ("(;SZ[5];B[];W[];B[aa])", "had ended the game before"),
    ],
)
def test_a_bad_sgf_is_named(tmp_path: Path, sgf: str, message: str) -> None:
    file = tmp_path / "games.sgf"
    file.write_text(f"(;SZ[5];B[aa]){sgf}" if sgf else "")
    with pytest.raises(ArenaError, match=message):
        read_games(file)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("pgn", "(" + "{" * 400_000),
        ("pgn", "(" + "1" * 400_000 + ") 1. e4 *"),
        ("sgf", "(;SZ[5]C" + "[a]" * 400_000 + ")"),
        ("sgf", "(;SZ[5]" + "\n" * 400_000 + "C" * 400_000 + "[a])"),
    ],
)
def test_a_hostile_file_takes_no_longer_than_its_length(name: str, data: str) -> None:
    began = time.process_time()
    with contextlib.suppress(ArenaError):
        read(name, data.encode())
    assert time.process_time() - began < 20  # CPU seconds, of less than one; by the square of its length: minutes


def test_players_keep_their_names_and_odd_ones_are_made_harmless(store: Store, tmp_path: Path) -> None:
    resolve(store, GAME, "random")
    file = tmp_path / "games.pgn"
    names = [("random", "-x\t"), ("?", "a" * 500), ("run@latest", "Zoë")]
    file.write_text("".join(f'[White "{white}"]\n[Black "{black}"]\n1. e4 *\n' for white, black in names))
    numbers = keep_games(store, read_games(file), file.name)
    players = [[store.agent_by_id(p.agent).name for p in store.episode(n).players] for n in numbers]
    assert players == [["random", "x"], ["First player", "a" * 64], ["First player", "Zoë"]]
    assert store.agent(GAME, "random").kind == "scripted"


def test_formats_are_found_by_name_and_by_ending() -> None:
    assert find_format(None, Path("x.SGF")) == "sgf"
    assert find_format(None) == find_format(None, Path("x.log")) == "text"
    with pytest.raises(UnknownNameError, match="did you mean pgn"):
        find_format("pgm")
    with pytest.raises(UsageError, match="files that can be taken in: pgn, sgf"):
        read("text", b"")
    env = make("tic_tac_toe", autoreset=False)
    env.reset(torch.tensor([0]))
    other = Recorded(Recorder(env).episode(0, [1, 2], reason="truncated"), ("a", "b"))
    for form in ("pgn", "sgf"):
        with pytest.raises(UsageError, match="tic_tac_toe"):
            write(form, [other])
    with pytest.raises(UsageError, match="PGN holds games of"):
        read("pgn", b"1. e4 *", "go")
    with pytest.raises(UsageError, match="SGF holds games of"):
        read("sgf", b"(;)", GAME)
