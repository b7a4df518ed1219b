"""Agents that other packages bring by the entry point `arena.agents`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from agents.plugins import load_plugin, plugin_names
from arena.match import play_match
from arena.roster import known_names, resolve
from arena.store import Store
from envs.errors import ArenaError, UnknownNameError, UsageError
from envs.registry import make

CODE = """
import torch
from agents.policy import Decision

def last_legal(spec):
    if spec.game != "tic_tac_toe":
        return None
    def policy(observation, mask):
        number = torch.arange(mask.shape[-1]).masked_fill(~mask, -1).argmax(-1)
        return Decision(torch.nn.functional.one_hot(number, mask.shape[-1]).float())
    return policy

def broken(spec):
    raise RuntimeError("no\\nlicence")

def failing(spec):
    return lambda observation, mask: 1 / 0

def mute(spec):
    return lambda observation, mask: None

def wrong(spec):
    return lambda observation, mask: Decision(torch.ones(1, 2))

def number(spec):
    return 5
"""
NAMES = ("last_legal", "broken", "failing", "mute", "wrong", "number", "missing")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Installs the package above under a name of the test's own; its agents are named with that name before them."""

    def install(name: str) -> str:
        place = tmp_path / "site"
        info = place / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (place / f"{name}_agents.py").write_text(CODE)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = "\n".join(f"{name}-{agent} = {name}_agents:{agent}" for agent in NAMES)
        (info / "entry_points.txt").write_text(f"[arena.agents]\n{points}\n")
        monkeypatch.syspath_prepend(str(place))
        return name

    return install


def test_an_agent_of_another_package_plays_and_joins(package: Callable[[str], str], tmp_path: Path) -> None:
    package("guests")
    store = Store(tmp_path / "league.db")
    assert "guests-last_legal" in plugin_names()
    assert "guests-last_legal" in known_names(store, "tic_tac_toe")
    guest, other = resolve(store, "tic_tac_toe", "guests-last_legal"), resolve(store, "tic_tac_toe", "first-legal")
    result = play_match(store, "tic_tac_toe", guest, other, games=2, opening_plies=0)
    assert result.episodes[0].actions[:2] == bytes([8, 0])
    assert guest.agent.kind == "scripted"
    assert store.agent("tic_tac_toe", "guests-last_legal").policy == "arena.agents:guests-last_legal"
    with pytest.raises(UnknownNameError, match="did you mean guests-last_legal"):
        resolve(store, "tic_tac_toe", "guests-last_lega")
    with pytest.raises(UsageError, match="does not play connect_four"):
        resolve(store, "connect_four", "guests-last_legal")
    assert store.agents("connect_four") == [], "what cannot play joins nothing"


def test_whatever_is_wrong_with_it_is_one_line(package: Callable[[str], str]) -> None:
    package("rascals")
    spec = make("tic_tac_toe").spec
    observation, mask = torch.zeros(3, 2, 3, 3), torch.ones(3, 9, dtype=torch.bool)
    with pytest.raises(
        ArenaError, match=r"'rascals-broken' of rascals \(.*\) cannot be made: RuntimeError: no licence"
    ):
        load_plugin("rascals-broken", spec)
    with pytest.raises(ArenaError, match="cannot be made: AttributeError"):
        load_plugin("rascals-missing", spec)
    with pytest.raises(ArenaError, match="is no policy but int"):
        load_plugin("rascals-number", spec)
    with pytest.raises(ArenaError, match="failed: ZeroDivisionError"):
        load_plugin("rascals-failing", spec)(observation, mask)
    with pytest.raises(ArenaError, match="gave no Decision but NoneType"):
        load_plugin("rascals-mute", spec)(observation, mask)
    with pytest.raises(ArenaError, match=r"of shape \[1, 2\], not \[3, 9\]"):
        load_plugin("rascals-wrong", spec)(observation, mask)
    with pytest.raises(UsageError, match="install its package"):
        load_plugin("gone", spec)
