"""What a league is made of: TOML there and back, and every mistake with its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arena.league_config import LeagueConfig, default_league, from_json, load_league, to_json, to_toml
from envs.errors import ArenaError, UsageError

GAME = "tic_tac_toe"


def load(folder: Path, text: str, game: str = GAME):
    file = folder / "league.toml"
    file.write_text(text)
    return load_league(file, game)


def test_the_default_league_reads_itself_back(tmp_path: Path) -> None:
    config = default_league(GAME)
    assert [(member.role, member.algorithm) for member in config.members] == [
        ("main", "dqn"),
        ("main", "vpg"),
        ("main", "ppo"),
    ]
    assert load(tmp_path, to_toml(config, GAME)) == config
    assert from_json(to_json(config)) == config


def test_members_have_what_the_game_needs_where_nothing_is_said(tmp_path: Path) -> None:
    text = """
        strategy = "copy-best"
        draw = "pfsp"
        workers = 2
        [gate]
        kind = "sprt"
        elo1 = 30
        [[members]]
        [[members]]
        name = "hunter"
        role = "league-exploiter"
        algorithm = "vpg"
        steps = 1_000
        [members.settings]
        gamma = 0.5
        """
    config = load(tmp_path, text)
    first, second = config.members
    assert (first.name, first.role, first.algorithm, first.settings["num_envs"]) == ("ppo", "main", "ppo", 256)
    assert first.settings["anneal_learning_rate"] is False
    assert (second.name, second.steps, second.settings["gamma"]) == ("hunter", 1000, 0.5)
    assert (config.gate.kind, config.gate.elo1, config.gate.elo0) == ("sprt", 30.0, 0.0)
    assert (config.strategy, config.draw, config.workers) == ("copy-best", "pfsp", 2)
    assert from_json(to_json(config)) == config
    assert "settings = { gamma = 0.5 }" in to_toml(config, GAME)
    assert load(tmp_path, to_toml(config, GAME)) == config


def test_names_with_quotes_read_themselves_back(tmp_path: Path) -> None:
    config = load(tmp_path, """[[members]]\nname = 'the "best" \\ of all'\n""")
    assert config.members[0].name == 'the "best" \\ of all'
    assert load(tmp_path, to_toml(config, GAME)) == config


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_devices_are_known_by_their_names(tmp_path: Path, device: str) -> None:
    assert load(tmp_path, f'device = "{device}"\n[[members]]').device == device


def test_settings_that_are_none_are_left_out(tmp_path: Path) -> None:
    (member,) = default_league(GAME, ["ppo"]).members
    told = to_toml(LeagueConfig((replace(member, settings={**member.settings, "network": None}),)), GAME)
    assert load(tmp_path, told).members == (member,)


def test_leagues_from_before_there_were_roles_are_of_main_agents() -> None:
    learner = {"algorithm": "ppo", "slice_steps": 7, "settings": {"gamma": 1.0}}
    old = {"learners": [learner], "games": 6, "device": "cpu", "veterans": 1, "outsiders": 4}
    config = from_json(old)
    assert (config.games, config.veterans, config.gate.kind, config.strategy) == (6, 1, "always", "league")
    assert [(m.role, m.steps, m.settings) for m in config.members] == [("main", 7, {"gamma": 1.0})]


WRONG = {
    "no TOML": ("games = ", "is no TOML"),
    "setting": ("games = 4\ngamse = 5\n[[members]]", "line 2: gamse: unknown setting 'gamse'; did you mean games"),
    "kind of number": ("games = 1.5\n[[members]]", "line 1: games: is a whole number, not 1.5"),
    "range": ("[[members]]\nsteps = 0", "line 2: members.0.steps: 0 must be between 1 and"),
    "device": ('games = 4\ndevice = "gpu"\n[[members]]', "line 2: device: is auto, cpu, cuda, or such as cuda:1"),
    "choice": (
        '[[members]]\n[[members]]\nrole = "mian"',
        "line 3: members.1.role: unknown role 'mian'; did you mean main",
    ),
    "draw": ('draw = "psfp"\n[[members]]', "line 1: draw: unknown draw 'psfp'; did you mean pfsp"),
    "algorithm": (
        '[[members]]\nalgorithm = "pqo"',
        "line 2: members.0.algorithm: unknown algorithm 'pqo'; did you mean",
    ),
    "member's name": ('[[members]]\nname = "a@b"', "line 2: members.0.name: a run's name has no @"),
    "member's blank name": ('[[members]]\nname = " "', "line 2: members.0.name: "),
    "member's long name": (f'[[members]]\nname = "{"a" * 44}"', "members.0.name: a run's name has at most 44"),
    "member's setting": (
        "[[members]]\n\n[members.settings]\ngama = 1",
        "line 4: members.0.settings.gama: unknown setting of ppo 'gama'; did you mean gamma",
    ),
    "member's value": (
        "[[members]]\n[[members]]\nsettings = { gamma = 2 }",
        "line 3: members.1.settings.gamma: gamma=2.0 must be between",
    ),
    "together": (
        "[[members]]\nsettings = { pool_share = 0.7, random_share = 0.7 }",
        "line 1: members.0: pool_share + random_share",
    ),
    "gate": ("[gate]\nscore = 7\n[[members]]", "line 2: gate.score: 7.0 must be between 0.5 and 1"),
    "gate's order": ("[gate]\nelo0 = 60\n[[members]]", "line 1: gate.elo1: 50 must be more than elo0, 60"),
    "gate no table": ("gate = 3\n[[members]]", "line 1: gate: is a table"),
    "nobody": ("games = 4", "a league has 1 to 64 [[members]], not 0"),
    "no main": ('[[members]]\nrole = "main-exploiter"', "at least one main agent"),
    "members no tables": ("members = 3", "line 1: members: are tables"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        load(tmp_path, text)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value).partition("is no TOML")[0]


def test_who_plays_alone_exploits_nobody(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"line 4: members\.1\.role: gridworld/tiny is played alone"):
        load(tmp_path, '[[members]]\n\n[[members]]\nrole = "league-exploiter"', "gridworld/tiny")
    with pytest.raises(UsageError, match="cannot be read"):
        load_league(tmp_path / "nowhere.toml", GAME)


def test_stored_settings_that_are_not_ours_are_refused() -> None:
    whole = to_json(default_league(GAME))
    strange = [
        {},
        {"members": 3},
        whole | {"more": 1},
        whole | {"gate": None},
        whole | {"members": [whole["members"][0] | {"role": "king"}]},
        {"learners": [{"algorithm": "ppo"}]},
    ]
    for values in strange:
        with pytest.raises(ArenaError, match="not Arena's"):
            from_json(values)
