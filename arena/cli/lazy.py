"""Commands that are imported when they are called: `arena --help` and the app's first screen wait for none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from arena.cli.errors import ArenaGroup

COMMANDS = {
    "demo": "Show everything once, in some minutes.",
    "play": "Play a game.",
    "train": "Train an agent.",
    "evaluate": "Score an agent in a one-player game.",
    "evaluate:match": "Let agents play a rated match.",
    "tournament": "Let agents play a tournament of rated matches.",
    "table": "Show who is how strong.",
    "strength": "Compare an agent's likeliest moves with perfect play.",
    "ask": "Ask an agent what it would do.",
    "serve": "Show the app in a browser.",
    "label": "Label text: which of two answers is better? Every answer is saved before the next question is asked.",
    "keys": "Print every key of the app as a keymap file; what stands there without # is your own choice.",
    "terminal:reset_terminal": "Put the terminal right again: screen, cursor, mouse, keys, echo.",
    "league:app": "Leagues: a population trains, is matched and rated, round after round.",
    "games:app": "The games: list, show, check.",
    "agents:app": "The league's agents: list, show, rename, retire; engines join, agents come and go as directories.",
    "starters:app": "Trained agents that come with Arena, for who has none yet: list, add.",
    "runs:app": "Training runs: list, show, compare, export their metrics.",
    "replay:app": "The games that were played: list, step through, verify, export.",
    "prefs:app": "Preferences: propose pairs, report, list, import, export, simulate annotators.",
    "db:app": "Look after the league's file: check, count, copy, tidy.",
    "bench:app": "Measure this machine: random play, time to solve a game, training rates.",
    "rlhf_lens:app": "Human feedback: pre-train, fine-tune, label, reward model, PPO and DPO, evaluate, look inside.",
}
"""Where every command is, as module or module:name in `arena.cli` (app: a group), and how its help begins."""
NAMES = {"rlhf_lens": "rlhf"}
"""Groups that are not called as the module is that adds to them last."""


class LazyCommands(Mapping[str, Any]):
    """Name → command, imported when it is asked for."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[str, str]] = {}
        self.helps: dict[str, str] = {}
        for place, help in COMMANDS.items():
            module, _, name = place.partition(":")
            word = NAMES.get(module, module) if name in ("", "app") else name.replace("_", "-")
            self._places[word] = module, name or module
            self.helps[word] = help
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, word: str) -> Any:
        if word not in self._loaded:
            module, name = self._places[word]
            found = getattr(import_module(f"arena.cli.{module}"), name)
            if not isinstance(found, typer.Typer):
                alone = typer.Typer(rich_markup_mode=None, add_completion=False)
                alone.command(word)(found)
                found = alone
            self._loaded[word] = get_command(found)
            self._loaded[word].name = word
        return self._loaded[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class LazyGroup(ArenaGroup):
    """The root command; its own help needs no command's module."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._lazy = LazyCommands()
        self.commands: Any = self._lazy

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self._lazy)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        helps = self._lazy.helps
        self.commands = {word: TyperCommand(name=word, help=help) for word, help in helps.items()}
        super().format_commands(ctx, formatter)
        self.commands = self._lazy
