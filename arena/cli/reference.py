"""The reference of all commands, from their own help: `python -m arena.cli.reference > docs/3-cli.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from arena.cli.app import app

WIDTH = 100
HEAD = """# Commands

Generated from the commands' own help by `python -m arena.cli.reference > docs/3-cli.md`; a test holds them together.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 2 a wrong argument or name, 130 stopped by
Ctrl-C, 1 everything else. `--debug`, anywhere on the line, or `ARENA_DEBUG=1` shows where an error comes from.
`ARENA_DB` names the league's file; `NO_COLOR` is respected. Commands that only read never create a file.
"""


def commands() -> Iterator[tuple[str, Any, str]]:
    """Every command and group: (its words, the command, its help page)."""
    yield from _walk(get_command(app), None, "arena")


def _walk(command: Any, parent: Any, words: str) -> Iterator[tuple[str, Any, str]]:
    context = typer.Context(command, parent=parent, info_name=words.split()[-1], terminal_width=WIDTH)
    yield words, command, command.get_help(context)
    for name in getattr(command, "commands", {}):
        yield from _walk(command.commands[name], context, f"{words} {name}")


def reference() -> str:
    """The page."""
    parts = [HEAD]
    for words, _, help in commands():
        lines = "\n".join(line.rstrip() for line in help.splitlines())
        parts.append(f"## `{words}`\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(reference(), end="")
