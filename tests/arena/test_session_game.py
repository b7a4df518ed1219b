"""The rules of a session, in this process: who decides, what counts, what may be seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from agents.policy import Decision
from arena import session_game
from arena.records import Agent
from arena.roster import Contender
from arena.session_game import LiveGame, ReplayedGame
from arena.session_start import read_unfinished
from arena.standings import score_table
from arena.store import Store
from envs.errors import IllegalActionError, UsageError

ANN, BOB = {"human": "Ann"}, {"human": "Bob"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def drive(game: LiveGame, *moves: str, seat: int = 0) -> None:
    """Play these moves in `seat`, the agents answering."""
    for move in moves:
        game.act(seat, None, move)
        list(game.advance())


def test_a_finished_game_is_stored_and_rated_when_over_is_told(store: Store) -> None:
    game = LiveGame(store, "tic_tac_toe", [ANN, "first-legal"], seed=1)
    drive(game, "5", "3", "7")  # first-legal fills 1 and 4 meanwhile
    position = game.position()
    assert position.over
    assert position.rated
    assert position.result is not None
    assert position.result.scores == [1.0, 0.0]
    assert position.legal == {}
    episode = store.episode(position.episode or 0)
    assert episode.rated
    assert episode.reason == "terminated"
    assert [p.score for p in episode.players] == [1.0, 0.0]
    assert store.matches()[0].kind == "play"
    (pair,) = store.pair_results("tic_tac_toe")
    assert pair.wins == 1
    before, after = position.rating["Ann"]
    assert before is None
    assert after > position.rating["first-legal"][1]


def test_chess_is_typed_shown_and_replayed_as_squares(store: Store) -> None:
    game = LiveGame(store, "pettingzoo/classic/chess_v6", [ANN, BOB], seed=1)
    for ply, move in enumerate(("f2f3", "e7e5", "g2g4", "d8h4")):
        assert game.position().drawing.origins
        game.act(ply % 2, None, move)
    position = game.position()
    assert position.result is not None
    assert position.result.scores == [0.0, 1.0]
    assert position.last == {0: "g2g4", 1: "d8h4"}
    replayed = ReplayedGame(store, position.episode or 0)
    replayed.seek(2)
    assert replayed.position().last == {0: "f2f3", 1: "e7e5"}


def test_ratings_are_told_before_and_after(store: Store) -> None:
    for _ in range(2):
        game = LiveGame(store, "tic_tac_toe", [ANN, "first-legal"], seed=1)
        drive(game, "5", "3", "7")
    before, after = game.position().rating["Ann"]
    assert before is not None
    assert after > before


def test_an_unfinished_game_is_not_stored(store: Store) -> None:
    drive(LiveGame(store, "tic_tac_toe", [ANN, "random"], seed=1), "5")
    assert store.episodes() == []


def test_undo_goes_back_to_the_persons_decision_and_the_game_no_longer_counts(store: Store) -> None:
    game = LiveGame(store, "tic_tac_toe", ["first-legal", ANN], seed=1)
    list(game.advance())
    start = game.position().drawing
    drive(game, "5", seat=1)
    assert game.position().ply == 3
    game.undo(1)
    position = game.position()
    assert (position.ply, position.drawing, position.rated) == (1, start, False)
    with pytest.raises(UsageError, match="no move to take back"):
        game.undo(1)
    drive(game, "5", "9", seat=1)  # first-legal completes 1, 4, 7
    assert game.position().over
    episode = store.episodes()[0]
    assert not episode.rated
    assert store.pair_results("tic_tac_toe") == []
    assert game.position().rating == {}


def test_a_taken_back_game_replays_and_verifies(store: Store) -> None:
    game = LiveGame(store, "connect_four", [ANN, "random"], seed=5)
    drive(game, "4", "4")
    game.undo(0)
    drive(game, "1")
    game.resign(0)
    replay = ReplayedGame(store, game.position().episode or 0)
    replay.seek(replay.episode.length)
    assert replay.position().drawing.lines == game.position().drawing.lines
    assert replay.position().result == game.position().result


def test_resigning_is_a_loss_whatever_the_board_says(store: Store) -> None:
    game = LiveGame(store, "tic_tac_toe", ["minimax", ANN], seed=1)
    list(game.advance())
    game.resign(1)
    result = game.position().result
    assert result is not None
    assert (result.scores, result.reason) == ([1.0, 0.0], "resigned")
    (pair,) = store.pair_results("tic_tac_toe")
    assert pair.wins == 1
    with pytest.raises(UsageError, match="over"):
        game.act(1, 0, None)


def test_who_gives_up_alone_has_no_score(store: Store) -> None:
    game = LiveGame(store, "gridworld/tiny", [ANN], seed=1)
    drive(game, "up")
    assert game.position().rated
    game.resign(0)
    assert not game.position().rated
    assert [(e.reason, e.rated) for e in store.episodes()] == [("resigned", False)]
    assert score_table(store, "gridworld/tiny") == [], "0 would be more than those have who fell"


def test_a_game_that_is_watched_leaves_the_persons_own_alone(store: Store) -> None:
    drive(LiveGame(store, "tic_tac_toe", [ANN, "random"], seed=1), "5")
    kept = read_unfinished(store)
    assert kept is not None
    watched = LiveGame(store, "tic_tac_toe", ["random", "random"], seed=1)
    while not watched.position().over:
        watched.step()
    drive(LiveGame(store, "gridworld/tiny", [ANN], seed=1), "right")
    assert len(store.episodes()) == 2
    assert read_unfinished(store) == kept


def test_illegal_actions_are_refused_and_the_position_stands(store: Store) -> None:
    game = LiveGame(store, "tic_tac_toe", [ANN, "first-legal"], seed=1)
    drive(game, "5")
    before = game.position()
    with pytest.raises(IllegalActionError, match="5 is not allowed here"):
        game.act(0, None, "5")
    with pytest.raises(IllegalActionError):
        game.act(0, 99, None)
    with pytest.raises(UsageError, match="no move"):
        game.act(0, None, "ten")
    with pytest.raises(UsageError, match="not a person's"):
        game.act(1, 3, None)
    assert game.position() == before


def test_two_people_at_one_keyboard_move_in_turn(store: Store) -> None:
    game = LiveGame(store, "tic_tac_toe", [ANN, BOB], seed=1)
    for ply, move in enumerate(("5", "1", "3", "4", "7")):
        with pytest.raises(UsageError, match="not the turn"):
            game.act(1 - ply % 2, None, move)
        drive(game, move, seat=ply % 2)
    assert game.position().over
    assert store.episodes()[0].rated


def test_games_against_oneself_and_watched_games_do_not_count(store: Store) -> None:
    assert not LiveGame(store, "tic_tac_toe", [ANN, ANN], seed=1).position().rated
    watched = LiveGame(store, "tic_tac_toe", ["first-legal", "minimax"], seed=1)
    assert list(watched.advance()) == []
    while not watched.position().over:
        watched.step()
    assert watched.position().rating == {}
    assert not store.episodes()[0].rated


def test_the_hint_is_the_solvers_and_else_the_best_rated(store: Store) -> None:
    game = LiveGame(store, "tic_tac_toe", [ANN, "first-legal"], seed=1)
    drive(game, "5", "3")
    name, mind = game.hint(0, None)
    assert (name, mind.top[0][0]) == ("minimax", "7")
    assert mind.value == 1.0
    assert not game.position().rated
    name, _ = LiveGame(store, "othello", [ANN, "random"], seed=1).hint(0, None)
    assert name == "mcts-1000"
    with pytest.raises(UsageError, match="person"):
        game.hint(0, "Ann")


def test_unknown_names_and_wrong_seats_are_refused(store: Store) -> None:
    for game, seats, match in [
        ("tic_tac_to", [ANN, "random"], "did you mean tic_tac_toe"),
        ("tic_tac_toe", [ANN, "minimaks"], "did you mean minimax"),
        ("tic_tac_toe", [ANN], "2 seats, not 1"),
        ("tic_tac_toe", [ANN, 7], "a seat is"),
        ("tic_tac_toe", [{"human": "A\nn"}, "random"], "printable"),
    ]:
        with pytest.raises(UsageError, match=match):
            LiveGame(store, game, seats, seed=1)
    assert store.episodes() == []


def _two_minded(observation: torch.Tensor, legal_action_mask: torch.Tensor) -> Decision:
    """Column 1 with 0.6, column 7 with 0.4."""
    probabilities = torch.zeros(legal_action_mask.shape)
    probabilities[:, 0], probabilities[:, 6] = 0.6, 0.4
    return Decision(probabilities, torch.full((len(probabilities),), float("nan")))


def test_learnt_agents_sample_their_first_plies_and_are_greedy_afterwards(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Contender(Agent("connect_four", "net", "checkpoint", id=store.human("connect_four", "x").id), _two_minded)
    monkeypatch.setattr(session_game, "resolve", lambda store, game, name, join=True: agent)
    lines = set()
    for seed in range(40):
        game = LiveGame(store, "connect_four", ["net", "net"], seed=seed)
        for _ in range(5):
            game.step()
        lines.add(tuple(action for _, (action,) in game._history))
    assert {line[:2] for line in lines} == {(0, 0), (0, 6), (6, 0), (6, 6)}
    assert all(line[2:] == (0, 0, 0) for line in lines)
    assert game.position().minds[0].value is None
    assert list(game.position().minds[0].top) == [("1", pytest.approx(0.6)), ("7", pytest.approx(0.4))]


def test_in_fog_a_person_sees_no_more_than_the_seat_may(store: Store) -> None:
    game = LiveGame(store, "gridworld/tron?fog=2", [ANN, "random"], seed=1)
    assert game.position().drawing == game._env.draw(0, 0)
    assert game.position().drawing != game._env.draw(0, None)
    action = game.position().legal[0][0][0]
    game.act(0, action, None)
    assert set(game.position().last) == {0}
    assert game.position().over or set(game.position().minds) == set()


def test_a_tick_waits_for_every_person(store: Store) -> None:
    game = LiveGame(store, "gridworld/tron", [ANN, BOB], seed=1)
    game.act(0, None, game.position().legal[0][0][1])
    assert game.position().ply == 0
    game.act(1, None, game.position().legal[1][0][1])
    assert game.position().ply == 1


def test_replays_seek_both_ways_and_refuse_what_lies_outside(store: Store) -> None:
    game = LiveGame(store, "tic_tac_toe", [ANN, "first-legal"], seed=1)
    drive(game, "5", "3", "7")
    replay = ReplayedGame(store, game.position().episode or 0)
    assert (replay.position().ply, replay.position().length) == (0, 5)
    replay.seek(5)
    assert replay.position().result == game.position().result
    assert list(replay.position().returns) == [1.0, -1.0]
    replay.seek(1)
    assert (replay.position().last, replay.position().to_move) == ({0: "5"}, (1,))
    for ply in (-1, 6):
        with pytest.raises(UsageError, match="outside"):
            replay.seek(ply)
    assert replay.position().ply == 1
