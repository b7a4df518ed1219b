"""Trained agents as directories that travel: `model.safetensors`, `config.json`, a model card, a replay.

The directory is what a model hub takes. One that comes in may be from anywhere: its files are of limited size, nothing
is unpickled, and the agent joins whole or not at all.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agents.distributions import legal_actions
from agents.registry import load_policy
from agents.sb3 import read_zip
from agents.search import MAX_SIMULATIONS, searchable
from arena.agent_card import card
from arena.checkpoints import pack_policy, unpack_policy
from arena.formats import FORMATS, Recorded, write
from arena.match import evaluate, play_match
from arena.records import Agent, PackedPolicy, Run
from arena.roster import SEARCH, Contender, game_spec, resolve
from arena.standings import standings
from arena.store import Store
from arena.store_rows import valid_name
from envs.errors import ArenaError, UsageError
from envs.registry import make
from envs.specs import GameSpec, parse_variant

FORMAT, FORMAT_VERSION = "arena-agent", 1
CONFIG, WEIGHTS, CARD, REPLAY = "config.json", "model.safetensors", "README.md", "replay"
MAX_CONFIG_BYTES = 1_000_000
MAX_WEIGHT_BYTES = 512 * 2**20
OPPONENT = "random"
"""Whom an agent of a game of several players meets for its card."""


@dataclass(frozen=True)
class Measured:
    """What an agent's card says of it.

    Attributes:
        mean, std: of its returns (the population's deviation) over `episodes` games from `seed` on.
        opponent: who sat in the other seats, None in one-player games.
        elo, low, high: its rating with the 95 % interval, random = 0 where random has played; None without rated games.
        games: how many rated games that rests on.
    """

    mean: float
    std: float
    episodes: int
    seed: int
    opponent: str | None = None
    elo: float | None = None
    low: float | None = None
    high: float | None = None
    games: int = 0


def export_agent(
    store: Store, game: str, name: str, out: Path, *, episodes: int = 100, seed: int = 0
) -> tuple[Measured, list[str]]:
    """Write an agent to a new directory, whole or not at all; what was measured, and the names of the files.

    The replay is its newest recorded game, in every format that can say it, and left out where it has played none.

    Raises:
        UsageError: an agent without weights, a directory that exists.
        ArenaError: the directory cannot be written.
    """
    if out.exists():
        raise UsageError(f"{out} exists; name a new directory")
    contender = resolve(store, game, name, join=False)
    agent = contender.agent
    if agent.checkpoint is None:
        raise UsageError(f"{agent.name} has no weights to be exported: it is {agent.kind}")
    measured = _measure(store, contender, episodes, seed)
    weights = store.checkpoint_data(agent.checkpoint)
    checkpoint = store.checkpoint(agent.checkpoint)
    run = next((run for run in store.runs(agent.game) if run.id == agent.run), None)
    spec = game_spec(agent.game)
    config = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": agent.name,
        "game": agent.game,
        "game_version": spec.version,
        "algorithm": checkpoint.algorithm,
        "settings": checkpoint.config,
        "step": agent.step,
        "search": _simulations(agent),
        "sha256": agent.checkpoint,
        "observation_shape": spec.observation_shape,
        "num_actions": spec.num_actions,
        "measured": dataclasses.asdict(measured),
        "run": None if run is None else _origin(run),
    }
    files = {WEIGHTS: weights, CONFIG: (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()}
    files |= _replays(store, agent)
    files[CARD] = card(config, measured, sorted(files)).encode()
    _write_directory(out, files)
    return measured, sorted(files)


def read_agent(directory: Path, name: str | None = None) -> tuple[Agent, PackedPolicy]:
    """An agent that `export_agent` wrote, under its own name or another, as `Store.add_agent` takes it.

    Raises UsageError for a name that will not do, ArenaError for everything that is wrong with the directory.
    """
    config = _read_config(directory)
    packed, simulations, game = _checked(directory, config)
    chosen = valid_name(name or config["name"], "agent")
    search = f"{SEARCH}{simulations}" if simulations else ""
    return Agent(game, chosen, "checkpoint", search, step=config.get("step")), packed


def read_sb3(path: Path, game: str, name: str | None = None) -> tuple[Agent, PackedPolicy]:
    """An agent from a zip of Stable-Baselines3's, named like the file where no name is given.

    Raises UsageError for a name or a game that will not do, ArenaError where the zip does not fit the game.
    """
    packed = pack_policy(read_zip(path))
    spec = game_spec(game)
    try:
        _try_out(spec, packed)
    except UsageError:
        raise
    except ArenaError as error:
        raise ArenaError(f"{path}: {error}") from None
    return Agent(spec.game, valid_name(name or path.stem, "agent"), "checkpoint"), packed


def _measure(store: Store, contender: Contender, episodes: int, seed: int) -> Measured:
    game = contender.agent.game
    if game_spec(game).num_players == 1:
        result = evaluate(None, game, contender, episodes=episodes, seed=seed)
        return Measured(result.mean, result.std, episodes, seed)
    other = resolve(store, game, OPPONENT, join=False)
    # Agents that have not joined have no id, and both seats of a match need one.
    here = contender._replace(agent=dataclasses.replace(contender.agent, id=1))
    there = other._replace(agent=dataclasses.replace(other.agent, id=2))
    match = play_match(None, game, here, there, games=episodes, seed=seed)
    returns = torch.tensor([p.reward for e in match.episodes for p in e.players if p.agent == 1])
    found = Measured(float(returns.mean()), float(returns.std(correction=0)), episodes, seed, OPPONENT)
    for row in standings(store, game, retired=True):
        if row.agent == contender.name:
            return dataclasses.replace(found, elo=row.elo, low=row.low, high=row.high, games=row.games)
    return found


def _replays(store: Store, agent: Agent) -> dict[str, bytes]:
    """The agent's newest game, by file name, in every format that can say it."""
    newest = store.episodes(game=agent.game, agent=agent.id, limit=1) if agent.id else []
    if not newest:
        return {}
    recorded = Recorded(newest[0], [store.agent_by_id(player.agent).name for player in newest[0].players])
    files = {}
    for name, form in FORMATS.items():
        try:
            files[REPLAY + form.suffix] = write(name, [recorded])
        except ArenaError:
            continue  # a form for other games
    return files


def _origin(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "seed": run.seed,
        "seconds": run.seconds,
        "commit": run.commit_hash,
        "versions": run.versions,
    }


def _simulations(agent: Agent) -> int:
    return int(agent.policy.partition(SEARCH)[2] or 0)


def _read_config(directory: Path) -> dict[str, Any]:
    try:
        config = json.loads(_read(directory / CONFIG, MAX_CONFIG_BYTES))
    except (ValueError, RecursionError):
        raise ArenaError(f"{directory}: {CONFIG} is no JSON") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ArenaError(f"{directory}: {CONFIG} describes no agent of Arena's; `arena agents export` writes such ones")
    if config.get("format_version") != FORMAT_VERSION:
        raise ArenaError(f"{directory}: its form is {config.get('format_version')!r}, known here is {FORMAT_VERSION}")
    for name in ("name", "game", "algorithm"):
        if not isinstance(config.get(name), str):
            raise ArenaError(f"{directory}: {CONFIG} has no {name}")
    step = config.get("step")
    if step is not None and (type(step) is not int or not 0 <= step < 2**63):
        raise ArenaError(f"{directory}: {CONFIG} has a step that is none")
    return config


def _checked(directory: Path, config: dict[str, Any]) -> tuple[PackedPolicy, int, str]:
    """The weights, how many simulations they are searched with, and the canonical game, once all fit together."""
    data = _read(directory / WEIGHTS, MAX_WEIGHT_BYTES)
    weights = unpack_policy(data, f"{directory}: {WEIGHTS}")
    if weights.algorithm != config["algorithm"]:
        raise ArenaError(f"{directory}: its weights are those of {weights.algorithm!r}, not of {config['algorithm']!r}")
    packed = pack_policy(weights)
    if config.get("sha256") not in (None, packed.sha256):
        raise ArenaError(f"{directory}: {WEIGHTS} is not the file that {CONFIG} names; get the directory anew")
    simulations = config.get("search") or 0
    if type(simulations) is not int or not 0 <= simulations <= MAX_SIMULATIONS:
        raise ArenaError(f"{directory}: {CONFIG} has a search that is none")
    try:
        spec = _spec(config["game"])
        if config.get("game_version") not in (None, spec.version):
            raise ArenaError(f"it plays version {config['game_version']!r} of {spec.game}, here is {spec.version}")
        if simulations:
            searchable(spec)
        _try_out(spec, packed)
    except ArenaError as error:
        raise ArenaError(f"{directory}: {error}") from None
    except Exception as error:  # whatever hostile settings make a network's constructor raise
        raise ArenaError(f"{directory}: its weights do not play: {type(error).__name__}") from None
    return packed, simulations, spec.game


def _spec(game: str) -> GameSpec:
    if not re.fullmatch(r"[\w./*-]+(\?[\w./,%=&+-]*)?", game):
        raise ArenaError("its game's name has characters that no game's has")
    variant = parse_variant(game)
    if "map" in variant.options:
        raise ArenaError("it plays on a map of its own, which does not come with it")
    return game_spec(str(variant))


def _try_out(spec: GameSpec, packed: PackedPolicy) -> None:
    """Let the policy decide once. Raises ArenaError where it cannot."""
    policy = load_policy(spec, unpack_policy(packed.data, WEIGHTS))
    env = make(spec.game)
    turn = env.reset(torch.tensor([0]))
    decision = policy(turn.observation.flatten(0, 1), legal_actions(turn).flatten(0, 1))
    env.close()
    chosen = decision.probabilities if decision.normal is None else decision.normal.mean
    if not bool(torch.isfinite(chosen).all()):
        raise ArenaError("its weights hold numbers that are none")


def _read(path: Path, limit: int) -> bytes:
    """A regular file of at most `limit` bytes; links and what blocks are refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ArenaError(f"{path} is no regular file")
            if status.st_size > limit:
                raise ArenaError(f"{path} is too large: {status.st_size:,} bytes, at most {limit:,} are taken")
            return file.read(limit)
    except OSError as error:
        kind = UsageError if isinstance(error, FileNotFoundError) else ArenaError
        raise kind(f"{path} cannot be read: {error.strerror}") from None


def _write_directory(out: Path, files: dict[str, bytes]) -> None:
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        for name, data in files.items():
            (partial / name).write_bytes(data)
        partial.rename(out)
    except OSError as error:
        raise ArenaError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
