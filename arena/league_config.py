"""What a league is made of: TOML ↔ frozen dataclasses, every mistake with its line and field. Imports no torch."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agents.configs import ActorCriticConfig, Config, config_from, default_config
from arena.config import read_toml, toml_value
from arena.matchmaking import LeagueDraw, Role
from arena.store_rows import valid_run_name
from envs.errors import ArenaError, UnknownNameError, UsageError
from envs.specs import find_game

Strategy = Literal["league", "copy-best", "independent"]
GateKind = Literal["always", "rule", "sprt"]

ANY_GAME = ("dqn", "vpg", "ppo")
"""Who is in a default league; AlphaZero learns only what can be searched."""
ALGORITHMS = (*ANY_GAME, "az")
SLICE_STEPS = {"dqn": 16_384, "vpg": 98_304, "ppo": 131_072, "az": 32_768}
"""Env steps that a member trains in a round: some seconds each, so that a round takes less than a minute."""
MAX_MEMBERS = 64
MAX_NUMBER = 10**9


@dataclass(frozen=True)
class Gate:
    """When a member's newest agent joins the frozen players.

    Attributes:
        kind: always; by `rule`: it scores at least `score` against everybody that its role must beat; by `sprt`: a
            sequential test decides for `elo1` rather than `elo0` above its last frozen copy, in at most `games` games.
        patience: after so many rounds without a copy one is taken anyhow.
        reset: how often a league exploiter begins anew after a copy.
    """

    kind: GateKind = "always"
    score: float = 0.7
    patience: int = 4
    elo0: float = 0.0
    elo1: float = 50.0
    games: int = 400
    reset: float = 0.25


@dataclass(frozen=True)
class MemberConfig:
    """One learner: `steps` are env steps a round, `settings` all of its algorithm's."""

    name: str
    role: Role
    algorithm: str
    steps: int
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LeagueConfig:
    """What a league is made of.

    Attributes:
        games: of every match, and episodes of every evaluation.
        veterans: how many frozen players a newest agent meets in a round.
        draw: whom the members train against: as their roles say, or alike for all.
        workers: processes; 0: everything is done in the one that runs the league. Records do not depend on it.
    """

    members: tuple[MemberConfig, ...]
    strategy: Strategy = "league"
    draw: LeagueDraw = "role"
    games: int = 20
    veterans: int = 2
    seed: int = 0
    device: str = "auto"
    workers: int = 0
    gate: Gate = Gate()


RANGES: dict[str, tuple[float, float]] = {
    "games": (1, 100_000),
    "veterans": (0, 1_000),
    "seed": (0, 2**62),
    "workers": (0, 256),
    "steps": (1, MAX_NUMBER),
    "score": (0.5, 1.0),
    "patience": (1, MAX_NUMBER),
    "elo0": (-1200, 1200),
    "elo1": (-1200, 1200),
    "reset": (0.0, 1.0),
}


def default_league(game: str, algorithms: Sequence[str] = ANY_GAME) -> LeagueConfig:
    """A main agent per algorithm."""
    if not algorithms:
        raise UsageError("a league needs at least one learner")
    return LeagueConfig(tuple(_member(game, {"algorithm": name}) for name in algorithms))


def load_league(path: Path, game: str) -> LeagueConfig:
    """The league of a TOML file. Raises UsageError, with the line, for what is no TOML, unknown, or out of range."""
    text, values = read_toml(path)
    return _Reader(str(path), text).league(values, game)


def to_toml(config: LeagueConfig, game: str) -> str:
    """A file that `load_league` reads back to the same league; settings that are the game's own are left out."""
    gate = config.gate
    lines = [
        f'strategy = "{config.strategy}"  # league, copy-best (all go on with the best one\'s network), independent',
        f'draw = "{config.draw}"  # role (as in AlphaStar), pfsp, uniform, latest: whom members train against',
        f"games = {config.games}  # of every match",
        f"veterans = {config.veterans}  # frozen players that each newest agent meets in a round",
        f"seed = {config.seed}",
        f"device = {toml_value(config.device)}  # auto, cpu, cuda",
        f"workers = {config.workers}  # processes; 0: none but the league's own",
        "",
        "[gate]  # when a newest agent joins the frozen players",
        f'kind = "{gate.kind}"  # always, rule (score), sprt (elo0, elo1, games)',
        f"score = {gate.score}  # rule: the least against each that its role must beat",
        f"patience = {gate.patience}  # rounds after which it joins anyhow",
        f"elo0 = {gate.elo0}",
        f"elo1 = {gate.elo1}",
        f"games = {gate.games}  # sprt: at most",
        f"reset = {gate.reset}  # how often a league exploiter begins anew after it joined",
    ]
    for member in config.members:
        lines += [
            "",
            "[[members]]",
            f"name = {toml_value(member.name)}",
            f'role = "{member.role}"  # main, main-exploiter, league-exploiter',
            f'algorithm = "{member.algorithm}"  # dqn, vpg, ppo, az',
            f"steps = {member.steps}  # env steps a round",
            _settings(member, game),
        ]
    return "\n".join(lines) + "\n"


def _settings(member: MemberConfig, game: str) -> str:
    """The settings that are not the game's own, as a line."""
    usual = _member(game, {"algorithm": member.algorithm}).settings
    told = {key: value for key, value in member.settings.items() if value is not None}  # TOML has no null
    changed = [f"{key} = {toml_value(value)}" for key, value in told.items() if value != usual.get(key)]
    if changed:
        return f"settings = {{ {', '.join(changed)} }}"
    return "# settings = { hidden_size = 256 }  # as `arena train GAME --algo NAME --show-settings` lists them"


def to_json(config: LeagueConfig) -> dict[str, Any]:
    """The league as plain JSON values; `from_json` reads them back."""
    values = dataclasses.asdict(config)
    return values | {"members": list(values["members"])}


def from_json(values: Mapping[str, Any]) -> LeagueConfig:
    """What a stored league's `config` says; those from before there were roles are of main agents.

    Raises ArenaError for what `to_json` does not write.
    """
    try:
        return _from_json(values)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ArenaError(f"the league's settings are not Arena's ({type(error).__name__}: {error})") from None


def _from_json(values: Mapping[str, Any]) -> LeagueConfig:
    if "learners" in values:
        members = tuple(
            MemberConfig(
                learner["algorithm"], "main", learner["algorithm"], learner["slice_steps"], learner["settings"]
            )
            for learner in values["learners"]
        )
        kept = {name: values[name] for name in ("games", "device", "veterans")}
        return LeagueConfig(members, **kept)
    members = tuple(MemberConfig(**member) for member in values["members"])
    if not all(member.role in typing.get_args(Role) and isinstance(member.settings, dict) for member in members):
        raise ValueError("a member has no known role")
    return LeagueConfig(**{**values, "gate": Gate(**values["gate"]), "members": members})


def steady(config: Config) -> Config:
    """The config for a run without an end: what would fall over a run stays where it is, exploration ends early."""
    changes: dict[str, Any] = {"anneal_learning_rate": False, "exploration_share": 0.5}
    if isinstance(config, ActorCriticConfig):
        middle = (config.entropy_coef + config.final_entropy_coef) / 2
        changes |= {"entropy_coef": middle, "final_entropy_coef": middle}
    known = {f.name for f in dataclasses.fields(config)}
    return dataclasses.replace(config, **{key: value for key, value in changes.items() if key in known})


def _id(game: str) -> str:
    return game.partition("?")[0]


def _member(game: str, values: Mapping[str, Any]) -> MemberConfig:
    """A member with what the game needs where nothing is said."""
    algorithm = values.get("algorithm", "ppo")
    role = values.get("role", "main")
    settings = dataclasses.asdict(steady(default_config(algorithm, game))) | values.get("settings", {})
    config = config_from(algorithm, settings)
    name = values.get("name") or (algorithm if role == "main" else f"{role}-{algorithm}")
    steps = values.get("steps", SLICE_STEPS.get(algorithm, SLICE_STEPS["dqn"]))
    return MemberConfig(name, role, algorithm, steps, dataclasses.asdict(config))


class _Reader:
    """A TOML file's values as a league; whatever is wrong is told with its line."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.lines = path, text.splitlines()

    def league(self, values: Mapping[str, Any], game: str) -> LeagueConfig:
        plain = {key: value for key, value in values.items() if key not in ("members", "gate")}
        own = self._fields(LeagueConfig, plain, "")
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", own.get("device", "auto")):
            raise self._error("device", f"is auto, cpu, cuda, or such as cuda:1, not {own['device']!r}")
        gate = values.get("gate", {})
        if not isinstance(gate, dict):
            raise self._error("gate", "is a table: [gate]")
        chosen = Gate(**self._fields(Gate, gate, "gate"))
        if chosen.elo0 >= chosen.elo1:
            raise self._error("gate.elo1", f"{chosen.elo1:g} must be more than elo0, {chosen.elo0:g}")
        listed = values.get("members", [])
        if not isinstance(listed, list) or not all(isinstance(member, dict) for member in listed):
            raise self._error("members", "are tables: [[members]]")
        if not 1 <= len(listed) <= MAX_MEMBERS:
            raise self._error("members", f"a league has 1 to {MAX_MEMBERS} [[members]], not {len(listed)}")
        members = tuple(self._one(member, game, index) for index, member in enumerate(listed))
        alone = find_game(_id(game)).num_players == 1
        for index, member in enumerate(members):
            if alone and member.role != "main":
                raise self._error(f"members.{index}.role", f"{game} is played alone: every member is a main agent")
        if not any(member.role == "main" for member in members):
            raise self._error("members", "a league needs at least one main agent")
        return LeagueConfig(members, gate=chosen, **own)

    def _one(self, values: Mapping[str, Any], game: str, index: int) -> MemberConfig:
        where = f"members.{index}"
        checked = self._fields(MemberConfig, values, where)
        algorithm = checked.get("algorithm", "ppo")
        if algorithm not in ALGORITHMS:
            raise self._unknown(f"{where}.algorithm", "algorithm", algorithm, ALGORITHMS)
        if checked.get("name"):
            try:
                valid_run_name(f"{checked['name']}-1")  # as its first run is named
            except UsageError as error:
                raise self._error(f"{where}.name", str(error)) from None
        for key, value in checked.get("settings", {}).items():
            try:
                config_from(algorithm, {key: value})
            except UsageError as error:
                raise self._error(f"{where}.settings.{key}", str(error)) from None
        try:
            return _member(game, checked)
        except UsageError as error:
            raise self._error(where, str(error)) from None

    def _fields(self, kind: type, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The values of a table, each of its field's type and in its range."""
        hints = {f.name: typing.get_type_hints(kind)[f.name] for f in dataclasses.fields(kind)}
        checked: dict[str, Any] = {}
        for name, value in values.items():
            at = f"{where}.{name}" if where else name
            if name not in hints:
                raise self._unknown(at, "setting", name, [*hints])
            checked[name] = self._value(hints[name], value, name, at)
        return checked

    def _value(self, hint: Any, value: Any, name: str, at: str) -> Any:
        if typing.get_origin(hint) is Literal:
            choices = typing.get_args(hint)
            if not isinstance(value, str) or value not in choices:
                raise self._unknown(at, name, str(value), choices)
            return value
        kind = typing.get_origin(hint) or hint
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            words = {int: "a whole number", float: "a number", str: "a text", dict: "a table"}
            raise self._error(at, f"is {words.get(kind, 'something else')}, not {value!r}")
        low, high = RANGES.get(name, (None, None))
        if low is not None and high is not None and not low <= value <= high:
            raise self._error(at, f"{value} must be between {low:g} and {high:g}")
        return value

    def _unknown(self, at: str, kind: str, name: str, known: Sequence[str]) -> UsageError:
        return self._error(at, str(UnknownNameError(kind, name, known)))

    def _error(self, at: str, problem: str) -> UsageError:
        line = line_of(self.lines, at.split("."))
        return UsageError(f"{self.path}{f', line {line}' if line else ''}: {at}: {problem}")


def line_of(lines: Sequence[str], at: Sequence[str]) -> int | None:
    """The line, from 1, of a field of a TOML file, or of the nearest table around it; a number picks an array's table.

    Good for what people write: a table a header, a key a line; a key in an inline table is found by its table's line.
    """
    table: list[str] = []
    counts: dict[str, int] = {}
    best: tuple[int, int | None] = (0, None)
    for number, line in enumerate(lines, 1):
        array = re.match(r"\s*\[\[\s*([\w.-]+)\s*\]\]", line)
        header = re.match(r"\s*\[\s*([\w.-]+)\s*\]", line)
        key = re.match(r"\s*([\w.-]+)\s*=", line)
        if array:
            counts[array[1]] = counts.get(array[1], -1) + 1
            table = [array[1], str(counts[array[1]])]
        elif header:
            head, *rest = header[1].split(".")
            table = [head, *([str(counts[head])] if head in counts else []), *rest]
        place = [*table, *key[1].split(".")] if key and not (array or header) else table
        depth = len(place)
        if (key or array or header) and place == list(at[:depth]) and depth > best[0]:
            best = (depth, number)
    return best[1]
