"""Engines in a league: they join by a command that was typed here, play rated matches, and forfeit what they spoil."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agents.engine_config import EngineConfig, located, to_text
from arena import allowed
from arena.cli.app import app
from arena.episodes import verify
from arena.league import run_league
from arena.match import play_match
from arena.outsiders import add_engine
from arena.records import Agent
from arena.roster import known_names, resolve
from arena.session_game import LiveGame
from arena.store import Store
from envs.chess_positions import GAME
from envs.errors import ArenaError, UsageError

FAKE = Path(__file__).parents[1] / "agents" / "fake_engine.py"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def fake(*arguments: str) -> EngineConfig:
    return EngineConfig(command=(sys.executable, str(FAKE), *arguments), nodes=1, timeout=60.0)


def test_a_crash_forfeits_the_game_and_is_recorded(store: Store) -> None:
    agent, says = add_engine(store, GAME, "clumsy", fake("crash", "2"))
    assert says == "Fake"
    assert (agent.kind, agent.name in known_names(store, GAME)) == ("engine", True)
    clumsy, other = resolve(store, GAME, "clumsy"), resolve(store, GAME, "random")
    result = play_match(store, GAME, clumsy, other, games=2, seed=1, max_plies=12)
    # Its process dies at every third question; the two games ask in turn, so that both are hit, the second one later.
    assert result.total.losses == 2
    assert result.reasons == {"forfeit: crash": 2}
    assert all(loser == "clumsy" and "Segmentation fault" in why for loser, why in result.forfeits)
    for episode in store.episodes(match=result.match):
        seat = [player.agent for player in episode.players].index(agent.id)
        assert episode.reason == "resigned"
        assert episode.forfeit is not None
        assert episode.forfeit.endswith(f"(step {episode.length + 1})")
        assert [player.score for player in episode.players] == [float(s != seat) for s in range(2)]
        assert episode.rated
    assert sum(row.wins + row.losses for row in store.pair_results(GAME)) == 2
    assert all(verdict.ok for verdict in verify(store))
    assert store.check() == []


def test_a_command_that_nobody_typed_here_is_not_run(store: Store, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    config = EngineConfig(command=(sys.executable, "-c", f"open({str(touched)!r}, 'w')"), nodes=1)
    store.add_agent(Agent(GAME, "gift", "engine", policy=to_text(config)))
    refused = run("match", GAME, "gift", "random", "--games", 2, "--db", store.path)
    assert refused.exit_code == 2
    assert "arena agents allow" in refused.output
    assert len(refused.output.splitlines()) == 1
    assert not touched.exists()
    shown = run("agents", "show", GAME, "gift", "--db", store.path)
    assert "open(" in shown.output, "what it would run can be read"
    assert run("agents", "allow", GAME, "gift", "--db", store.path).exit_code == 0
    assert allowed.is_allowed(config.digest)
    result = play_match(store, GAME, resolve(store, GAME, "gift"), resolve(store, GAME, "random"), games=2)
    assert result.reasons == {"forfeit: crash": 2}
    assert touched.exists()


@pytest.mark.slow
def test_the_command_line_adds_an_engine_that_works(store: Store) -> None:
    command = f"{sys.executable} {FAKE} none 99"
    words = ("agents", "add", GAME, "fake-1", "--engine", "uci", "--command", command, "--db", store.path)
    refused = run(*words)
    assert (refused.exit_code, "how long" in refused.output) == (2, True)
    added = run(*words, "--set", "nodes=1", "--set", "random=0.25", "--json")
    assert added.exit_code == 0, added.output
    assert json.loads(added.stdout)["engine"] == "Fake"
    assert "random 0.25" in run("agents", "list", "--db", store.path).output
    assert run(*words, "--set", "nodes=1").exit_code == 2, "the name is taken"
    broken = ("agents", "add", GAME, "broken", "--engine", "uci", "--command", f"{sys.executable} {FAKE} crash")
    failed = run(*broken, "--set", "nodes=1", "--db", store.path)
    assert failed.exit_code == 1
    assert "does not play: crash: exit status 3" in failed.output
    nothing = run("agents", "add", GAME, "x", "--engine", "uci", "--command", "no-such-program", "--db", store.path)
    assert (nothing.exit_code, len(nothing.output.splitlines())) == (2, 1)
    assert [agent.name for agent in store.agents(GAME)] == ["fake-1"]


def test_an_engine_is_played_against_and_asked(store: Store) -> None:
    add_engine(store, GAME, "fake", fake("illegal", "1"))
    game = LiveGame(store, GAME, ["fake", {"human": "Ann"}], seed=3)
    positions = list(game.advance())
    assert len(positions[-1].last) == 1
    game.act(1, game.position().legal[1][0][0], None)
    over = list(game.advance())[-1]
    assert over.result is not None
    assert list(over.result.scores) == [0.0, 1.0]
    assert over.result.forfeit == "illegal: it played 'e2e5' (step 3)"
    assert store.episodes()[0].forfeit == over.result.forfeit
    shown = run("replay", "show", store.episodes()[0].id, "--ply", 2, "--db", store.path)
    assert "forfeit: illegal: it played 'e2e5' (step 3)" in shown.output


@pytest.mark.slow
def test_a_league_matches_its_engines(store: Store) -> None:
    game = "go?size=5"
    config = EngineConfig(protocol="gtp", command=(sys.executable, str(FAKE), "pass"), timeout=60.0)
    passer, says = add_engine(store, game, "passer", config)
    assert says == "Passer"
    for _ in run_league(store, game, rounds=1, learners=["vpg"], slice_steps={"vpg": 64}, games=2):
        pass
    met = {frozenset((row.agent_0, row.agent_1)) for row in store.pair_results(game)}
    learner = next(agent for agent in store.agents(game) if agent.kind == "checkpoint")
    assert frozenset((passer.id, learner.id)) in met
    assert all(episode.forfeit is None for episode in store.episodes(agent=passer.id))


def have(program: str) -> bool:
    try:
        return bool(located(program))
    except UsageError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not have("stockfish"), reason="stockfish is not installed")
def test_stockfish_plays_a_rated_match(store: Store) -> None:
    add_engine(store, GAME, "stockfish", EngineConfig(command=("stockfish",), nodes=50, timeout=60.0))
    result = play_match(store, GAME, resolve(store, GAME, "stockfish"), resolve(store, GAME, "random"), games=2)
    assert result.total.wins == 2
    assert result.reasons == {"terminated": 2}
    assert store.pair_results(GAME)


@pytest.mark.slow
@pytest.mark.skipif(not have("gnugo"), reason="gnugo is not installed")
@pytest.mark.parametrize("game", ["go?size=5", "pettingzoo/classic/go_v5?board_size=5"])
def test_gnugo_plays_a_rated_match(store: Store, game: str) -> None:
    command = ("gnugo", "--mode", "gtp", "--chinese-rules", "--capture-all-dead")
    add_engine(store, game, "gnugo", EngineConfig(protocol="gtp", command=command, level=1, timeout=60.0))
    result = play_match(store, game, resolve(store, game, "gnugo"), resolve(store, game, "random"), games=4)
    assert result.total.wins >= 2
    assert set(result.reasons) <= {"terminated", "resigned"}, result.forfeits
    assert all(verdict.ok for verdict in verify(store))


def test_a_damaged_engine_is_one_line(store: Store) -> None:
    store.add_agent(Agent(GAME, "odd", "engine", policy="not json"))
    with pytest.raises(ArenaError, match="damaged"):
        resolve(store, GAME, "odd")
    assert "engine (damaged)" in run("agents", "list", "--db", store.path).output
