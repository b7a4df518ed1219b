"""OpenSpiel's bots as agents: the same game on both sides, the answers that the bots give, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from agents.connect_four_solver import position_after, random_position
from agents.engine_config import EngineConfig, from_text, to_text
from agents.openspiel import OpenSpielPolicy, moves_to
from agents.policy import act
from arena.cli.app import app
from envs.errors import MissingPackageError, UsageError
from envs.registry import make

GAMES = ("tic_tac_toe", "connect_four", "pettingzoo/classic/tictactoe_v3", "pettingzoo/classic/connect_four_v3")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def bot(game: str, name: str = "mcts", **settings: object) -> OpenSpielPolicy:
    pytest.importorskip("pyspiel")
    config = EngineConfig(protocol="openspiel", command=(name,), **settings)  # type: ignore[arg-type]
    return OpenSpielPolicy(make(game).spec, config)


def test_moves_are_found_that_lead_to_a_position() -> None:
    rng = np.random.default_rng(0)
    for plies in range(0, 36, 3):
        own, other = random_position(rng, plies)
        moves = moves_to("connect_four", own, other)
        assert position_after("".join(str(move + 1) for move in moves)) == (own, other)
    assert moves_to("tic_tac_toe", 0b001, 0b110) == [1, 0, 2], "who has fewer stones is the second player"
    with pytest.raises(ValueError, match="no game of connect four"):
        moves_to("connect_four", 0b10, 0b01)


@pytest.mark.parametrize("game", GAMES)
def test_its_states_are_our_positions(game: str) -> None:
    """Games played at random end there when and as they end here, and the same moves are legal on the way."""
    pyspiel = pytest.importorskip("pyspiel")
    env = make(game, num_envs=4, autoreset=False)
    name = "tic_tac_toe" if "tic" in game else "connect_four"
    generator = torch.Generator().manual_seed(3)
    policy = bot(game, "random")
    turn = env.reset(torch.arange(4))
    states = [pyspiel.load_game(name).new_initial_state() for _ in range(4)]
    for _ in range(42):
        assert turn.legal_action_mask is not None
        expected = policy(turn.observation[:, 0], turn.legal_action_mask[:, 0]).probabilities
        for row, state in enumerate(states):
            if not state.is_terminal():
                assert expected[row].nonzero().flatten().tolist() == state.legal_actions()
        action = act(policy, turn, greedy=False, generator=generator)
        for state, move in zip(states, action[:, 0].tolist(), strict=True):
            if not state.is_terminal():
                state.apply_action(move)
        step = env.step(action)
        over = step.terminated | step.truncated
        for row in over.nonzero().flatten().tolist():
            assert states[row].is_terminal()
            assert states[row].returns() == step.rewards[row].tolist()
        if all(state.is_terminal() for state in states):
            break
        turn = step.turn
    assert all(state.is_terminal() for state in states)
    env.close()


def test_it_takes_what_wins_and_answers_alike() -> None:
    policy = bot("connect_four", nodes=200)
    env = make("connect_four", num_envs=2)
    turn = env.reset(torch.tensor([0, 1]))
    for column in (3, 0, 3, 0, 3, 0):
        turn = env.step(torch.full((2, 1), column)).turn
    assert turn.legal_action_mask is not None
    decision = policy(turn.observation[:, 0], turn.legal_action_mask[:, 0])
    assert decision.probabilities[:, 3].tolist() == [1.0, 1.0]
    again = policy(turn.observation[:, 0], turn.legal_action_mask[:, 0])
    assert torch.equal(decision.probabilities, again.probabilities)
    mixed = bot("connect_four", nodes=200, random=0.7)(turn.observation[:, 0], turn.legal_action_mask[:, 0])
    assert mixed.probabilities[0].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1])


@pytest.mark.parametrize(
    ("command", "settings", "message"),
    [
        (("mcst",), {}, "unknown bot of OpenSpiel 'mcst'; did you mean mcts?"),
        (("mcts", "-v"), {}, "unknown bot of OpenSpiel 'mcts -v'"),
        (("random",), {"nodes": 5}, "nodes means nothing to OpenSpiel's random bot"),
        (("mcts",), {"elo": 1500}, "elo means nothing to a bot of OpenSpiel"),
    ],
)
def test_what_its_bots_are_not_told(command: tuple[str, ...], settings: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        EngineConfig(protocol="openspiel", command=command, **settings)  # type: ignore[arg-type]
    assert message in str(refused.value)


def test_without_openspiel_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    config = EngineConfig(protocol="openspiel", command=("random",))
    assert from_text(to_text(config)) == config
    with pytest.raises(MissingPackageError, match="need pip install open-spiel"):
        OpenSpielPolicy(make("tic_tac_toe").spec, config)
    with pytest.raises(UsageError, match="bots play tic_tac_toe"):
        OpenSpielPolicy(make("othello").spec, config)
    db = tmp_path / "league.db"
    words = ("agents", "add", "tic_tac_toe", "spiel", "--engine", "openspiel", "--command", "random", "--db", db)
    refused = run(*words)
    assert refused.exit_code == 1
    assert refused.stderr.strip() == "Error: OpenSpiel's bots need pip install open-spiel"


def test_it_joins_and_plays_rated_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyspiel")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    db = tmp_path / "league.db"
    words = ("--engine", "openspiel", "--command", "mcts", "--set", "nodes=50", "--db", db)
    added = run("agents", "add", "tic_tac_toe", "spiel", *words)
    assert added.stdout == "spiel plays tic_tac_toe: OpenSpiel's mcts bot\n"
    assert not (tmp_path / "config").exists(), "no program is allowed anything"
    told = json.loads(run("match", "tic_tac_toe", "spiel", "random", "--games", 10, "--db", db, "--json").stdout)
    assert told["total"]["wins"] >= 7
    assert "runs no program" in run("agents", "allow", "tic_tac_toe", "spiel", "--db", db).stderr
    assert "engine (openspiel: mcts, nodes 50)" in run("agents", "show", "tic_tac_toe", "spiel", "--db", db).stdout
