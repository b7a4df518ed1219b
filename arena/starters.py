"""Small trained agents that come with the package, so that an empty directory is no dead end. Imports no torch.

`arena/data/starters/` holds their checkpoints and `starters.json`: the runs they come from (recipe, seed, commit,
versions) and how strong everybody was in one measured round robin, or by scores in games of one player.
`benchmarks/starters.py` makes both. A starter joins a league when it first plays there, or by `arena starters add`,
with its run as its provenance.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs.errors import ArenaError, UnknownNameError, UsageError

# Rows and the Store are imported where they are made: the app's first screen knows the names of starters alone.
if TYPE_CHECKING:
    from arena.records import Agent, PackedPolicy, Run
    from arena.store import Store

INDEX = "starters.json"


@dataclass(frozen=True)
class Starter:
    """One of them. `strength`: what was measured, in words; `elo`, `low`, `high`: in the round robin, random = 0, and
    None in games of one player."""

    name: str
    game: str
    run: str
    step: int
    sha256: str
    size: int
    strength: str
    elo: float | None = None
    low: float | None = None
    high: float | None = None

    def agent(self) -> Agent:
        """The member of a league that it would be."""
        from arena.records import Agent

        recipe = _index()["runs"][self.run]
        return Agent(self.game, self.name, "checkpoint", recipe["algorithm"], self.sha256, step=self.step)


@functools.cache
def _index() -> dict[str, Any]:
    path = _folder() / INDEX
    index: dict[str, Any] = (
        json.loads(path.read_text()) if path.is_file() else {"runs": {}, "agents": [], "ratings": {}}
    )
    return index


def _folder() -> Path:
    return Path(__file__).parent / "data" / "starters"


def starters(game: str | None = None) -> list[Starter]:
    """The starters of a variant, or all; weakest first in each game."""
    found = [Starter(**row) for row in _index()["agents"] if game is None or row["game"] == game]
    return sorted(found, key=lambda starter: (starter.game, starter.elo or 0.0))


def find_starter(game: str, name: str) -> Starter | None:
    return next((starter for starter in starters(game) if starter.name == name), None)


def starter_of(checkpoint: str | None) -> Starter | None:
    """The starter that a checkpoint is."""
    return next((starter for starter in starters() if starter.sha256 == checkpoint), None)


def measured(game: str) -> Mapping[str, float]:
    """Name → Elo (random = 0) of starters and scripts in the round robin; empty where none was played."""
    ratings: dict[str, list[float]] = _index()["ratings"].get(game, {})
    return {name: rating[0] for name, rating in ratings.items()}


def provenance(starter: Starter) -> Run:
    """The run that it comes from, as a row: recipe, seed, commit, versions."""
    from arena.records import Run

    facts = {name: value for name, value in _index()["runs"][starter.run].items() if name != "command"}
    return Run(name=starter.run, state="finished", **facts)


def packed(starter: Starter) -> PackedPolicy:
    """Its checkpoint; ArenaError where the file is not the one that was measured."""
    from arena.records import PackedPolicy
    from arena.store_check import METADATA_KEY

    file = _folder() / f"{starter.sha256[:16]}.safetensors"
    data = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(data).hexdigest() != starter.sha256:
        raise ArenaError(f"the starter {starter.name!r} of {starter.game} is damaged; install arena-league again")
    (length,) = struct.unpack("<Q", data[:8])
    meta = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][METADATA_KEY])
    return PackedPolicy(starter.sha256, meta["algorithm"], meta["config"], data)


def join(store: Store, starter: Starter) -> Agent:
    """Make it a member, with its run; one that is a member already stays as it is."""
    known = {agent.name: agent for agent in store.agents(starter.game, retired=True)}
    if starter.name in known:
        return known[starter.name]
    policy = packed(starter)
    agent = dataclasses.replace(starter.agent(), run=_run_of(store, starter))
    with contextlib.suppress(UsageError):  # another process may have been quicker
        store.add_agent(agent, policy)
    return store.agent(starter.game, starter.name)


def _run_of(store: Store, starter: Starter) -> int | None:
    """The id of the run that it comes from, which is added where it is new; None: somebody's own has its name."""
    run = provenance(starter)
    with contextlib.suppress(UsageError):  # the name is taken, perhaps by another process just now
        return store.create_run(run)
    found = store.run(run.name)
    same = (found.game, found.seed, found.commit_hash) == (run.game, run.seed, run.commit_hash)
    return found.id if same else None


def add(store: Store, names: Iterable[str] = (), game: str | None = None) -> list[Agent]:
    """Make starters members: those of these names, of this game; else all. Raises UnknownNameError."""
    offered, names = starters(game), list(names)
    for name in names:
        if name not in {starter.name for starter in offered}:
            raise UnknownNameError("starter", name, {starter.name for starter in offered})
    return [join(store, starter) for starter in offered if not names or starter.name in names]
