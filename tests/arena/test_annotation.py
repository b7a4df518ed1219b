"""What an agent thinks of a stored game, and the move that decided it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from arena.annotation import annotate, decisive
from arena.cli.app import app
from arena.session import Server, _line
from arena.session_client import Annotated, decode_event
from arena.store import Store
from envs.errors import UsageError


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A game of tic-tac-toe that X (Ann) wins with 5 3 7 after O's moves 1 and 2, which let her."""
    path, server = tmp_path / "league.db", Server()
    seats = [{"human": "Ann"}, "first-legal"]
    list(server.handle({"do": "open", "db": str(path), "game": "tic_tac_toe", "seats": seats, "seed": 1}))
    for move in ("5", "3", "7"):
        list(server.handle({"do": "act", "seat": 0, "move": move}))
    server.close()
    return path


def test_the_largest_swing_decides() -> None:
    assert decisive([0.0, 0.1, -0.8, -0.7, -1.0]) == 2
    assert decisive([0.0, None, 0.1, None, 1.0]) == 4
    assert decisive([0.5, 0.5]) is decisive([None]) is decisive([]) is None


def test_a_solver_sees_where_the_game_was_lost(db: Path) -> None:
    with Store(db) as store:
        thoughts = annotate(store, store.episode(1), "minimax")
        assert [mind.value for mind in thoughts.minds] == [0.0, 0.0, 0.0, 0.0, 1.0]
        assert thoughts.decisive == 4  # O's second move, which did not stop 7-5-3
        assert dict(thoughts.minds[4].top) == {"7": 1.0}
        assert annotate(store, store.episode(1)).by == "mcts-100"
        with pytest.raises(UsageError):
            annotate(store, store.episode(1), "nobody")


def test_the_session_and_the_command_tell_the_same(db: Path) -> None:
    server = Server()
    list(server.handle({"do": "replay", "db": str(db), "episode": 1}))
    (event,) = server.handle({"do": "annotate", "db": str(db), "agent": "minimax"})
    server.close()
    heard = decode_event(_line(event, 7))
    assert isinstance(heard, Annotated)
    assert (heard.id, heard.by, heard.decisive) == (7, "minimax", 4)
    told = CliRunner().invoke(app, ["replay", "annotate", "1", "--by", "minimax", "--db", str(db), "--json"])
    assert [mind["value"] for mind in json.loads(told.stdout)["minds"]] == [mind.value for mind in heard.minds]
    table = CliRunner().invoke(app, ["replay", "annotate", "1", "--by", "minimax", "--db", str(db)])
    assert "▸ 3" in table.stdout
