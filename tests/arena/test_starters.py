"""The agents that come with the package: whole, small, theirs alone, joined with where they come from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from agents.policy import act
from arena import starters
from arena.cli.app import app
from arena.records import PackedPolicy
from arena.roster import known_names, resolve
from arena.store import Store
from envs.errors import ArenaError, UnknownNameError
from envs.registry import make

GAMES = ("tic_tac_toe", "connect_four", "gridworld/sumo", "gridworld/tron")
PONG = "ALE/Pong-v5?sticky=0.0"
PONG_FOR_TWO = "pettingzoo/atari/pong_v3"
ALONE = (PONG, "ALE/Pong-v5", "ALE/Breakout-v5?sticky=0.0", "ALE/Breakout-v5")


def test_every_game_of_the_first_minute_has_some_and_they_are_small() -> None:
    for game in GAMES:
        found = starters.starters(game)
        assert len(found) >= 2
        assert [s.elo for s in found] == sorted(s.elo or 0.0 for s in found)
        assert starters.measured(game)["random"] == 0
        assert all((s.low or 0.0) <= (s.elo or 0.0) <= (s.high or 0.0) for s in found)
        assert all(s.elo is not None and "against random" in s.strength for s in found)
    folder = Path(starters.__file__).parent / "data/starters"
    every = starters.starters()
    sizes = {file.stem: file.stat().st_size for file in folder.glob("*.safetensors")}
    assert set(sizes) == {starter.sha256[:16] for starter in every}
    assert sum(sizes[sha256] for sha256 in {s.sha256[:16] for s in every if s.game in GAMES}) <= 3 * 2**20
    for starter in starters.starters():
        learnt = "az" if starter.name == "master" else "bc" if starter.game.startswith("go") else "ppo"
        assert starters.packed(starter).algorithm == learnt
        run = starters.provenance(starter)
        assert len(run.commit_hash) == 40
        assert run.versions["torch"]
        assert run.state == "finished"


def test_pong_and_breakout_have_one_with_sticky_actions_or_not_and_it_is_small() -> None:
    for game in ALONE:
        (expert,) = starters.starters(game)
        assert (expert.elo, expert.size <= 2 * 2**20) == (None, True)
        assert "over 100 games" in expert.strength
        assert starters.measured(game) == {}


def test_pong_for_two_has_one_and_it_is_small() -> None:
    (expert,) = starters.starters(PONG_FOR_TWO)
    assert expert.size <= 2 * 2**20
    assert "against ball-follower" in expert.strength
    assert starters.measured(PONG_FOR_TWO)["expert"] == expert.elo


@pytest.mark.slow
def test_pongs_expert_scores(tmp_path: Path) -> None:
    env = make(PONG, 1)
    with Store(tmp_path / "league.db") as store:
        expert = resolve(store, PONG, "expert")
    turn = env.reset(torch.zeros(1, dtype=torch.int64))
    points = 0.0
    for _ in range(400):  # a game to 21 takes about 1,600
        step = env.step(act(expert.policy, turn, greedy=True))
        points += float(step.rewards)
        turn = step.turn
    assert points >= 3


def test_a_starter_plays_before_it_joins_and_joins_with_its_run(tmp_path: Path) -> None:
    with Store(tmp_path / "league.db") as store:
        assert {"rookie", "regular", "expert"} <= set(known_names(store, "tic_tac_toe"))
        guest = resolve(store, "tic_tac_toe", "expert", join=False)
        assert store.agents() == []
        assert store.runs() == []
        resolve(store, "tic_tac_toe", "rookie+mcts:4", join=True)  # its checkpoint comes with it
        expert = resolve(store, "tic_tac_toe", "expert").agent
        assert expert.checkpoint == guest.agent.checkpoint
        run = next(run for run in store.runs() if run.id == expert.run)
        assert (run.name, run.seed, run.game) == ("starter-tic-tac-toe", 1, "tic_tac_toe")
        assert store.checkpoint(expert.checkpoint or "").config
        assert resolve(store, "tic_tac_toe", "expert").agent == expert
        assert [agent.name for agent in starters.add(store, ["rookie"], "tic_tac_toe")] == ["rookie"]
        assert len(starters.add(store)) == len(starters.starters())
        starters.add(store)
        assert len(store.runs()) == len({starter.run for starter in starters.starters()})
        assert store.check() == []
        with pytest.raises(UnknownNameError, match="did you mean rookie"):
            starters.add(store, ["rooky"])


def test_ones_own_run_of_the_same_name_is_left_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "league.db") as store:
        own = starters.provenance(starters.starters("tic_tac_toe")[0])
        store.create_run(type(own)(**{**own.__dict__, "seed": 99}))
        (agent,) = starters.add(store, ["rookie"], "tic_tac_toe")
        assert agent.run is None


def test_two_that_join_at_once_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (rookie,) = (starter for starter in starters.starters("tic_tac_toe") if starter.name == "rookie")
    with Store(tmp_path / "league.db") as store, Store(tmp_path / "league.db") as other:
        joined = []
        packed = starters.packed

        def slowly(starter: starters.Starter) -> PackedPolicy:
            """Between the first one's look and its writing the second one joins."""
            monkeypatch.setattr(starters, "packed", packed)
            joined.append(starters.join(other, starter))
            return packed(starter)

        monkeypatch.setattr(starters, "packed", slowly)
        joined.append(starters.join(store, rookie))
        assert joined[0] == joined[1]
        assert [agent.run for agent in store.agents()] == [run.id for run in store.runs()]


def test_a_damaged_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter = starters.starters("tic_tac_toe")[0]
    (tmp_path / f"{starter.sha256[:16]}.safetensors").write_bytes(b"x" * starter.size)
    monkeypatch.setattr(starters, "_folder", lambda: tmp_path)
    with pytest.raises(ArenaError, match="damaged; install arena-league again"):
        starters.packed(starter)


def test_the_command(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["starters", "list", "connect_four"])
    assert "rookie" in listed.stdout
    assert "against tactician" in listed.stdout
    db = str(tmp_path / "league.db")
    added = runner.invoke(app, ["starters", "add", "gridworld/tron", "--db", db])
    assert added.stdout.splitlines() == [f"gridworld/tron: {n} is in the league" for n in ("rookie", "expert")]


def test_the_list_needs_no_torch() -> None:
    code = "import sys, arena.starters as s; s.starters(); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
