"""`arena league` by name: new, several in one file, paused and resumed, strategies, status."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from arena.cli.app import app
from arena.league import run_league
from arena.store import Store

GAME = "tic_tac_toe"
TINY = """
strategy = "{strategy}"
games = 2
veterans = 1
seed = 1
members = [
    {{ algorithm = "ppo", steps = 512, settings = {{ num_envs = 32, num_steps = 8, hidden_size = 8 }} }},
    {{ algorithm = "ppo", steps = 512, settings = {{ num_envs = 32, num_steps = 8, hidden_size = 8 }} }},
]
"""


def call(db: Path, *words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["league", *map(str, words), "--db", str(db)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with two leagues, of two strategies, that have played two rounds each."""
    tmp_path = tmp_path_factory.mktemp("leagues")
    path = tmp_path / "league.db"
    for strategy in ("copy-best", "independent"):
        file = tmp_path / f"{strategy}.toml"
        file.write_text(TINY.format(strategy=strategy))
        made = call(path, "new", strategy, GAME, "--config", file)
        assert made.stdout == f"{strategy} plays {GAME}: ppo (main, ppo), ppo (main, ppo)\n"
        call(path, "run", strategy, "--rounds", 2)
    return path


@pytest.mark.slow
def test_strategies_and_several_leagues_in_one_file(db: Path) -> None:
    assert [league["round"] for league in json.loads(call(db, "list", "--json").stdout)] == [2, 2]
    with Store(db) as store:
        copying, alone = (store.league_facts(store.league(name).id) for name in ("copy-best", "independent"))
        agents = {agent.id: agent for agent in store.agents(GAME)}
        assert store.check() == []
        matches = store.matches(league=1, round=0)
    assert {fact.kind for fact in alone} == {"trained", "snapshot"}
    assert all(fact.detail["opponents"] == [] for fact in alone if fact.kind == "trained")
    copied = [fact for fact in copying if fact.kind == "copied"]
    assert [fact.round for fact in copied] == [0, 1]
    best = [agents[fact.agent or 0] for fact in copied]
    trained = {(fact.round, fact.agent): fact.learner for fact in copying if fact.kind == "trained"}
    assert all(trained[fact.round, agent.id] != fact.learner for fact, agent in zip(copied, best, strict=True))
    assert len(matches) > 3
    met = [name for fact in copying if fact.kind == "trained" and fact.round for name in fact.detail["opponents"]]
    assert met
    assert set(met) <= {agent.name for agent in agents.values()}
    status = json.loads(call(db, "status", "copy-best", "--json").stdout)
    assert status["state"] == "idle"
    assert [member["copies"] for member in status["members"]] == [
        sum(fact.learner == learner for fact in copied) for learner in (0, 1)
    ]
    assert "trains against" in call(db, "status", "copy-best").stdout


@pytest.mark.slow
def test_a_paused_league_stops_and_waits(db: Path) -> None:
    with Store(db) as store:
        events = run_league(store, GAME, "independent")
        next(events)
        assert json.loads(call(db, "status", "independent", "--json").stdout)["state"] == "running"
        assert "stops at its next update or match" in call(db, "pause", "independent").stdout
        assert [event.kind for event in events][-1] == "end"
        assert store.league("independent").round == 2
    assert "paused" in call(db, "list").stdout
    refused = call(db, "run", "independent", code=2)
    assert "arena league resume independent" in refused.stderr
    assert call(db, "resume", "independent", "--rounds", 1).stdout.startswith("independent: 3 rounds played")
    assert call(db, "run", "independent", "--rounds", 1).stdout.startswith("independent: 4 rounds played")


@pytest.mark.slow
def test_a_configuration_is_shown_and_read_back(tmp_path: Path) -> None:
    db, file = tmp_path / "new.db", tmp_path / "league.toml"
    file.write_text(call(db, "new", "x", GAME, "--show-config").stdout)
    assert not db.exists()
    shown = call(db, "new", "x", GAME, "--config", file, "--show-config")
    assert shown.stdout == file.read_text()
    call(db, "new", "x", GAME, "--config", file)
    assert "already" in call(db, "new", "x", GAME, code=2).stderr
    file.write_text("gamse = 3")
    wrong = call(db, "new", "y", GAME, "--config", file, code=2)
    assert f"{file}, line 1: gamse: unknown setting 'gamse'; did you mean games" in wrong.stderr
    assert "did you mean x" in call(db, "status", "xx", code=2).stderr
    assert "unknown league 'xx'" in call(db, "run", "xx", code=2).stderr
    assert [league["name"] for league in json.loads(call(db, "list", "--json").stdout)] == ["x"]


@pytest.mark.slow
def test_a_report_is_a_page_and_a_drawing(db: Path, tmp_path: Path) -> None:
    page, drawing = map(Path, call(db, "report", "copy-best", "--out", tmp_path / "new", "--games", 2).stdout.split())
    text = page.read_text()
    for head in ("## Members", "## Growth", "## Ratings", "## Who beats whom", "## What was decided"):
        assert head in text
    with Store(db) as store:
        facts = store.league_facts(store.league("copy-best").id)
        names = {agent.id: agent.name for agent in store.agents(GAME)}
    frozen = [names[fact.agent or 0] for fact in facts if fact.kind == "snapshot"]
    payoffs = text.partition("## Who beats whom")[2].partition("```\n")[2].partition("```")[0]
    assert all(f" {name} " in payoffs for name in frozen)
    rows = {line.split()[1]: line for line in payoffs.splitlines()[1:] if line.strip()}
    assert not any("–" in rows[name] for name in frozen), "all frozen players have met"
    assert text.count("takes over") == sum(fact.kind == "copied" for fact in facts)
    growth = text.partition("## Growth")[2].partition("## Ratings")[0]
    assert growth.count(" ± ") == sum(fact.kind == "trained" for fact in facts)
    root = ElementTree.parse(drawing).getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == growth.count(" ± ")
    assert f"![Elo by round]({drawing.name})" in text
    call(db, "new", "unplayed", GAME)
    assert "has played no round yet" in call(db, "report", "unplayed", "--out", tmp_path, code=2).stderr
