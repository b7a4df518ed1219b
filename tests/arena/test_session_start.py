"""Games that begin elsewhere: typed openings, stored positions, other strengths, what was left unfinished."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from agents.policy import Decision
from arena.records import Agent, PackedPolicy, Run
from arena.roster import Contender
from arena.session import Server
from arena.session_client import Position
from arena.session_game import LiveGame
from arena.session_map import newest_of_run
from arena.session_start import UNFINISHED, Start, forget_unfinished, read_unfinished
from arena.store import Store
from envs.errors import UsageError

ANN = {"human": "Ann"}


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "league.db"


def ask(server: Server, db: Path, do: str, **fields: Any) -> Position:
    """The last position that a request leads to."""
    *_, position = server.handle(
        {"do": do, "db": str(db), "game": "tic_tac_toe", "seats": [ANN, "first-legal"], **fields}
    )
    assert isinstance(position, Position)
    return position


def test_a_game_from_typed_moves_is_practice_and_undo_stays_in_it(db: Path) -> None:
    server = Server()
    position = ask(server, db, "open", moves=["5", "1"], seed=3)
    assert (position.ply, position.rated, position.to_move) == (2, False, (0,))
    with pytest.raises(UsageError, match="no move to take back"):
        ask(server, db, "undo", seat=0)
    ask(server, db, "act", seat=0, move="9")  # first-legal takes 2
    assert ask(server, db, "undo", seat=0).ply == 2
    ask(server, db, "act", seat=0, move="3")
    position = ask(server, db, "act", seat=0, move="7")
    assert position.over
    with Store(db) as store:
        episode = store.episode(position.episode or 0)
        assert not episode.rated
        assert store.match(episode.match).rules["opening_plies"] == 2
        assert store.setting(UNFINISHED) == ""
    for moves, told in (
        (["5", "5"], "not allowed as move 2"),
        (["10"], "10"),
        (["1", "4", "2", "5", "3"], "over before it begins"),
        ([5], "must be words"),
    ):
        with pytest.raises(Exception, match=told):
            ask(server, db, "open", moves=moves, seats=[{"human": "Zoe"}, "random"])
    with Store(db) as store:
        assert not {"Zoe", "random"} & {agent.name for agent in store.agents()}, "nobody joins a game that cannot be"


def test_playing_on_from_a_stored_position(db: Path) -> None:
    server = Server()
    ask(server, db, "open", seed=3)
    for move in ("5", "3", "7"):
        position = ask(server, db, "act", seat=0, move=move)
    assert position.over
    assert position.rated
    position = ask(server, db, "open", episode=position.episode, ply=3, seats=["first-legal", ANN])
    assert (position.ply, position.to_move, position.rated) == (3, (1,), False)
    for fields, told in (
        ({"episode": 1, "ply": 5}, "outside 0"),
        ({"episode": 1, "game": "connect_four"}, "is of tic_tac_toe"),
        ({"episode": 1, "moves": ["1"]}, "not both"),
    ):
        with pytest.raises(UsageError, match=told):
            ask(server, db, "open", **fields)


def test_a_game_says_whether_it_is_kept(db: Path) -> None:
    with Store(db) as store:
        for game, start, kept in (
            ("tic_tac_toe", Start(), True),
            ("tic_tac_toe", Start(temperature=2.0), False),
            ("gridworld/tron", Start(), False),
        ):
            live = LiveGame(store, game, [ANN, "first-legal"], seed=1, start=start)
            assert not live.position().kept, "nothing is lost yet"
            live.act(0, live.position().legal[0][0][0], None)
            assert live.position().kept is kept
            assert (read_unfinished(store) is not None) is kept
            forget_unfinished(store)


def test_an_unfinished_game_goes_on_after_its_process_died(db: Path) -> None:
    server = Server()
    ask(server, db, "open", seed=3)
    ask(server, db, "act", seat=0, move="5")
    position = ask(Server(), db, "resume")
    assert (position.ply, position.rated, list(position.seats)) == (2, True, ["Ann", "first-legal"])
    server = Server()
    assert ask(server, db, "resume").ply == 2
    assert ask(server, db, "undo", seat=0).ply == 0
    assert not ask(Server(), db, "resume").rated
    server = Server()
    ask(server, db, "resume")
    ask(server, db, "resign", seat=0)
    with pytest.raises(UsageError, match="no unfinished game"):
        ask(server, db, "resume")
    kept = {"game": "tic_tac_toe", "seats": [ANN, "random"], "seed": 1, "rated": True}
    for actions, told in (([[0], [0]], "none that can be played"), ([[0, 1]], "none that"), ([["x"]], "no unfinished")):
        with Store(db) as store:
            store.set_setting(UNFINISHED, json.dumps({**kept, "actions": actions}))
        with pytest.raises(UsageError, match=told):
            ask(server, db, "resume")


def test_a_temperature_makes_a_game_practice_and_is_bounded(db: Path) -> None:
    position = ask(Server(), db, "open", temperature=2, seats=["first-legal", ANN])
    assert not position.rated
    with pytest.raises(UsageError, match="outside 0"):
        Start(temperature=11.0)
    with pytest.raises(UsageError, match="must be a number"):
        ask(Server(), db, "open", temperature="hot")


def test_a_map_shows_what_an_agent_thinks_of_every_cell(db: Path) -> None:
    server = Server()
    ask(server, db, "open", game="gridworld/cliff", seats=[ANN], seed=1)
    position = ask(server, db, "map")
    assert position.mapped == "value-iteration"
    assert not position.rated
    text = position.drawing.text()
    assert text.count("→") == 11  # along the edge, as value iteration walks
    assert "↑" in text
    assert "◆" in text
    styles = {style for line in position.drawing.lines for _, style in line}
    assert len([style for style in styles if " on #" in style]) > 10
    mind = position.minds[0]
    assert dict(mind.q)["up"] == pytest.approx(-sum(0.99**step for step in range(13)))
    assert mind.value == dict(mind.q)["up"]
    assert position.drawing.targets  # and it is played on it
    position = ask(server, db, "act", seat=0, move="up")
    assert dict(position.minds[0].q)["right"] == pytest.approx(-sum(0.99**step for step in range(12)))
    assert "→" not in ask(server, db, "map", on=False).drawing.text()
    ask(server, db, "open", game="gridworld/maze", seats=[ANN], seed=1)
    with pytest.raises(UsageError, match="grows a new maze each game"):
        ask(server, db, "map")
    assert ask(server, db, "act", seat=0, move="up").ply == 1


def test_a_map_is_drawn_by_the_newest_agent_of_a_run(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So one watches it as it is learnt."""
    game = "gridworld/cliff"
    monkeypatch.setattr("arena.session_map.resolve", lambda store, game, name: name)
    with Store(db) as store:
        runs = [store.create_run(Run(name, game, "q_learning", {}, 1, 100)) for name in ("walker", "other")]
        for run, name, step in ((runs[0], "walker", 9), (runs[0], "walker", 10), (runs[1], "other", 11)):
            policy = PackedPolicy(f"{step:064}", "q_learning", {}, b"weights")
            store.add_agent(Agent(game, f"{name}@{step}", "checkpoint", run=run, step=step), policy)
        first = Contender(store.agent(game, "walker@9"), uniform)
        assert newest_of_run(store, game, first) == "walker@10"
        script = Contender(store.human(game, "Ann"), uniform)
        assert newest_of_run(store, game, script) is script


def uniform(observation: Tensor, legal_action_mask: Tensor) -> Decision:
    """A policy that nobody asks."""
    raise AssertionError
