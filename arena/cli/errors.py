"""How a command ends: exit codes, one-line errors, quiet interruptions."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from typer.core import TyperGroup

from arena.cli.output import clean, say
from envs.errors import ArenaError

INTERRUPTED = 130


class ArenaGroup(TyperGroup):
    """The root command: whatever goes wrong below it becomes one line on stderr and an exit code.

    0: done. 2: a wrong argument or name. 130: Ctrl-C. 1: everything else.
    `--debug`, anywhere on the line, or ARENA_DEBUG=1 shows the traceback.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        given = list(sys.argv[1:] if args is None else args)
        words = [word for word in given if word != "--debug"]
        try:
            result = super().main(words, prog_name or "arena", complete_var, False, windows_expand_args, **extra)
            sys.stdout.flush()
        except (KeyboardInterrupt, Exception) as error:
            end(error, debug="--debug" in given)
        sys.exit(result if isinstance(result, int) else 0)


def end(error: BaseException, debug: bool = False) -> NoReturn:
    """Leave because of `error`: its exit code, and its line, or with `debug` (or ARENA_DEBUG=1) its traceback."""
    if isinstance(error, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    if isinstance(error, BrokenPipeError):
        _forget_stdout()
        sys.exit(1)
    if debug or os.environ.get("ARENA_DEBUG", "0") not in ("", "0"):
        traceback.print_exception(error)
    elif type(error).__name__ == "NoArgsIsHelpError":  # a group without a command: its message is the help page
        say(str(error))
    else:
        say(f"Error: {describe(error)}")
    sys.exit(getattr(error, "exit_code", 1))


def describe(error: BaseException) -> str:
    """The one line for `error`: our own and the parser's messages as they are, others with their type."""
    if isinstance(error, ArenaError):
        message = str(error)
    elif hasattr(error, "format_message"):  # the parser's: unknown option, missing argument
        message = error.format_message()
        if message.startswith("No such command") and "Did you mean" not in message:
            message += _commands(error)
    elif isinstance(error, EOFError) or type(error).__name__ == "Abort":
        message = "the input ended"
    else:
        message = f"{type(error).__name__}: {error} (--debug shows where)"
    return clean(" ".join(message.split()))


def _commands(error: Any) -> str:
    """The commands that there are where `error` met one that is unknown."""
    context = getattr(error, "ctx", None)
    known = context.command.list_commands(context) if context is not None else []
    return f" Known: {', '.join(known)}." if known else ""


def _forget_stdout() -> None:
    """The reader has gone: point stdout elsewhere, so that closing it at exit does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
