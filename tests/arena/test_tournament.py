"""Tournaments: pairings as pure functions, tables from results, the command."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from arena import pairings
from arena.cli.app import app
from arena.store import Store
from arena.tournament import play_tournament
from envs.errors import UsageError

GAME = "tic_tac_toe"


@pytest.mark.parametrize("players", [2, 3, 4, 5, 7, 8, 11, 16])
def test_a_swiss_tournament_repeats_no_meeting_and_rests_nobody_twice(players: int) -> None:
    names = [f"p{n}" for n in range(players)]
    rng = random.Random(players)
    points = dict.fromkeys(names, 0.0)
    met: set[frozenset[str]] = set()
    rested: set[str] = set()
    for _ in range(min(pairings.swiss_rounds(players) + 1, players - 1 + players % 2)):
        ranking = sorted(names, key=lambda name: (-points[name], names.index(name)))
        drawn = pairings.swiss_round(ranking, met, rested)
        if drawn is None:
            assert players < 8, "only few players run out of opponents"
            return
        pairs, rests = drawn
        playing = [name for pair in pairs for name in pair]
        assert sorted([*playing, *([rests] if rests else [])]) == sorted(names)
        assert (rests is None) == (players % 2 == 0)
        assert not met & set(map(frozenset, pairs))
        assert rests not in rested
        met |= set(map(frozenset, pairs))
        rested |= {rests} if rests else set()
        for a, b in pairs:
            points[rng.choice((a, b))] += 1


def test_neighbours_in_the_table_meet() -> None:
    met = {frozenset("ab"), frozenset("cd")}
    assert pairings.swiss_round("abcd", met, set()) == ([("a", "c"), ("b", "d")], None)
    assert pairings.swiss_round("abcde", met, {"e"}) == ([("a", "c"), ("b", "e")], "d")
    assert pairings.swiss_round("ab", met, set()) is None
    only = {frozenset(pair) for pair in itertools.combinations("abcd", 2)} - {frozenset("ad"), frozenset("bc")}
    assert pairings.swiss_round("abcd", only, set()) == ([("a", "d"), ("b", "c")], None), "an earlier choice gives way"


def test_seeds_meet_late_and_the_first_ones_rest() -> None:
    assert pairings.bracket("abcdefgh") == list("ahdebgcf")
    places = pairings.bracket("abcde")
    assert pairings.knockout_round(places) == [("d", "e")]
    second = pairings.advance(places, {("d", "e"): "e"})
    assert second == ["a", "e", "b", "c"]
    assert pairings.knockout_round(second) == [("a", "e"), ("b", "c")]
    assert pairings.bracket("a") == ["a"]
    for size in (2, 3, 6, 9):  # the better seed always wins: the first two meet in the end
        seeds = list(range(size))
        left: list = pairings.bracket(seeds)  # type: ignore[arg-type]
        while len(left) > 2:
            left = pairings.advance(left, {pair: min(pair) for pair in pairings.knockout_round(left)})
        assert sorted(left) == [0, 1]
    assert pairings.gauntlet("abc") == [("a", "b"), ("a", "c")]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tournament") / "league.db"


def call(db: Path, *words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["tournament", GAME, *map(str, words), "--db", str(db)])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize(
    ("format", "rounds", "meetings"), [("round-robin", 1, 6), ("gauntlet", 1, 3), ("swiss", 2, 4), ("knockout", 2, 3)]
)
def test_every_format(db: Path, format: str, rounds: int, meetings: int) -> None:
    agents = ("minimax", "random", "tactician", "first-legal")
    found = json.loads(call(db, *agents, "--format", format, "--games", 6, "--json").stdout)
    assert len(found["meetings"]) >= meetings
    assert (len(found["meetings"]) == meetings) or format == "knockout", "a drawn match of a knock-out is played again"
    assert found["rounds"] >= rounds
    assert found["games"] == 6 * len(found["meetings"]) == sum(found["reasons"].values())
    assert 0 < found["distinct"] <= found["games"]
    table = {place["agent"]: place for place in found["table"]}
    assert table["minimax"]["lost"] == 0
    if format in ("round-robin", "swiss"):
        assert sum(place["points"] for place in found["table"]) == len(found["meetings"])
    if format == "gauntlet":
        assert {meeting["agents"][0] for meeting in found["meetings"]} == {"minimax"}
    if format == "knockout":
        winner = found["meetings"][-1]["winner"]
        assert found["table"][0]["agent"] == (winner or found["table"][0]["agent"])
    with Store(db) as store:
        kept = {match.id for match in store.matches(GAME)}
    assert {meeting["match"] for meeting in found["meetings"]} <= kept


def test_people_get_a_table(db: Path) -> None:
    text = call(db, "tactician", "random", "first-legal", "--format", "swiss", "--games", 4).stdout
    assert text.startswith("swiss on tic_tac_toe: 2 rounds, 2 matches")
    assert "8 games (" in text
    assert "8 terminated" in text
    refused = call(db, "random", "--format", "swis", code=2)
    assert "did you mean swiss" in refused.stderr
    assert "at least 2 agents" in call(db, "random", code=2).stderr
    assert "each named once" in call(db, "random", "random", code=2).stderr
    assert "--rounds is for" in call(db, "random", "tactician", "--rounds", 2, code=2).stderr
    assert "or a --league" in call(db, code=2).stderr


def test_a_tournament_that_is_stopped_has_a_table_so_far(db: Path) -> None:
    from arena.roster import resolve

    with Store(db) as store:
        contenders = [resolve(store, GAME, name) for name in ("tactician", "random", "first-legal", "minimax")]
        asked = iter([False, True])
        events = list(
            play_tournament(None, GAME, contenders, "knockout", games=2, should_stop=lambda: next(asked, True))
        )
    assert len(events) == 2
    assert len(events[-1].meetings) == 1  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="one-player game"):
        list(play_tournament(None, "gridworld/tiny", contenders, "swiss"))
