"""What is stored of an outside engine: its command, its protocol and its limits. No torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.configs import Config, setting
from envs.errors import ArenaError, UnknownNameError, UsageError

PROTOCOLS = ("uci", "gtp", "openspiel")
BOTS = {"random": 0, "mcts": 1_000}
"""OpenSpiel's bots, which are no programs, and how many simulations a move they have where nothing is said."""
GAMES_FOLDERS = ("/usr/games", "/usr/local/games")
"""Where Debian puts engines, which is not always on the PATH."""
MAX_TEXT = 10_000
_KINDS = {"uci": "a uci engine", "gtp": "a gtp engine", "openspiel": "a bot of OpenSpiel"}
_FOREIGN = {
    "uci": ("level",),
    "gtp": ("nodes", "depth", "skill", "elo", "options"),
    "openspiel": ("depth", "movetime", "skill", "elo", "level", "options"),
}
"""The settings that are of another protocol."""


@dataclass(frozen=True)
class EngineConfig(Config):
    """An engine and how strong it may be. The same config in the same position means the same question to it."""

    protocol: str = setting("uci", "uci (chess), gtp (go) or openspiel (its bots)", choices=PROTOCOLS)
    nodes: int = setting(
        0, "uci: positions searched a move, 0: no such limit; openspiel: simulations, 0: 1,000", min=0, max=10**12
    )
    depth: int = setting(0, "uci: plies searched a move; 0: no such limit", min=0, max=1000)
    movetime: float = setting(0.0, "seconds a move; 0: no such limit", min=0.0, max=600.0)
    skill: int = setting(-1, "uci: its Skill Level, 0 to 20 for Stockfish; -1: its own", min=-1, max=100)
    elo: int = setting(0, "uci: play at this UCI_Elo; 0: at full strength", min=0, max=10_000)
    level: int = setting(0, "gtp: its level, 1 to 10 for GNU Go; 0: its own", min=0, max=1000)
    random: float = setting(0.0, "how often any legal move is played in place of the engine's", min=0.0, max=1.0)
    timeout: float = setting(
        10.0, "seconds after which a move that has not come forfeits the game", min=0.1, max=3600.0
    )
    memory_mb: int = setting(2048, "address space that it may take", min=64, max=1_000_000)
    options: str = setting("", "uci: further options as Name=Value, separated by ;")
    command: tuple[str, ...] = dataclasses.field(
        default=(), metadata={"help": "program and arguments", "min": None, "max": None, "choices": None}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.command or not all(isinstance(word, str) and word.isprintable() for word in self.command):
            raise UsageError("an engine needs a command of printable words")
        for name in _FOREIGN[self.protocol]:
            if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise UsageError(f"{name} means nothing to {_KINDS[self.protocol]}")
        if not self.is_program:
            if self.command[0] not in BOTS or len(self.command) > 1:
                raise UnknownNameError("bot of OpenSpiel", " ".join(self.command), BOTS)
            if self.nodes and not BOTS[self.command[0]]:
                raise UsageError(f"nodes means nothing to OpenSpiel's {self.command[0]} bot")
        if self.movetime >= self.timeout:
            raise UsageError(f"timeout={self.timeout:g} leaves no time for movetime={self.movetime:g}; set it higher")
        self.uci_options()

    @property
    def is_program(self) -> bool:
        """Whether a program is run for it, and not a bot of an installed package."""
        return self.protocol != "openspiel"

    def uci_options(self) -> dict[str, str]:
        """Every option that is to be set, by name."""
        options = {}
        for pair in filter(None, (part.strip() for part in self.options.split(";"))):
            name, equals, value = (part.strip() for part in pair.partition("="))
            if not equals or not name or not pair.isprintable():
                raise UsageError(f"an engine's option is written Name=Value, not {pair!r}")
            options[name] = value
        if self.skill >= 0:
            options["Skill Level"] = str(self.skill)
        if self.elo:
            options |= {"UCI_LimitStrength": "true", "UCI_Elo": str(self.elo)}
        return options

    @property
    def digest(self) -> str:
        """What tells this config from every other."""
        return hashlib.sha256(to_text(self).encode()).hexdigest()


def to_text(config: EngineConfig) -> str:
    """The config as JSON; what is at its default is left out."""
    values = dataclasses.asdict(config)
    defaults = {f.name: f.default for f in dataclasses.fields(config)}
    kept = {name: value for name, value in values.items() if value != defaults[name] or name == "protocol"}
    return json.dumps(kept, sort_keys=True)


def from_text(text: str) -> EngineConfig:
    """What `to_text` gave; ArenaError for anything else."""
    try:
        if len(text) > MAX_TEXT:
            raise ValueError
        values = json.loads(text)
        if not isinstance(values["command"], list):
            raise ValueError
        values["command"] = tuple(values["command"])
        return EngineConfig(**values)
    except (ValueError, KeyError, TypeError, RecursionError, UsageError) as error:
        reason = f": {error}" if isinstance(error, UsageError) else ""
        raise ArenaError(f"an engine's stored settings are damaged{reason}") from None


def describe(config: EngineConfig) -> str:
    """The config in a line: protocol, command, and what is not at its default."""
    plain = EngineConfig(protocol=config.protocol, command=config.command)
    names = [f.name for f in dataclasses.fields(config) if getattr(config, f.name) != getattr(plain, f.name)]
    return ", ".join(
        [f"{config.protocol}: {shlex.join(config.command)}", *(f"{name} {getattr(config, name)}" for name in names)]
    )


def found_command(command: Sequence[str]) -> tuple[str, ...]:
    """The command with its program as it can be started from anywhere: a name on the PATH stays, a path is absolute.

    Raises UsageError where there is no such program.
    """
    program = command[0]
    located(program)
    return (program if os.sep not in program else str(Path(program).absolute()), *command[1:])


def located(program: str) -> str:
    """The program's file; UsageError where there is none."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *GAMES_FOLDERS])
    found = shutil.which(program, path=path)
    if found is None:
        raise UsageError(f"there is no program {program!r} to be run here; install it or say its path")
    return str(Path(found).absolute())
