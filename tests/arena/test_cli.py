"""The command line itself: help, reference, imports, exit codes, what is printed where."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from arena.cli import progress
from arena.cli.errors import ArenaGroup
from arena.cli.interrupts import stoppable
from arena.cli.lazy import LazyCommands
from arena.cli.metrics_export import write_csv
from arena.cli.output import clean, duration, print_json, print_table
from arena.cli.reference import commands, reference
from arena.cli.rlhf_text import print_reward
from arena.jobs import parse_line
from arena.store import Store
from envs.errors import ArenaError, UnknownNameError

DOCS = Path(__file__).parents[2] / "docs" / "3-cli.md"
HEAVY = ("torch", "pandas", "textual", "sqlite_utils")


def test_every_command_has_help_with_an_example() -> None:
    pages = {words: (command, page) for words, command, page in commands()}
    assert {"arena train", "arena replay verify", "arena db check", "arena league run"} <= set(pages)
    for words, (command, page) in pages.items():
        assert command.help, f"{words} has no help"
        if not getattr(command, "commands", {}) or words == "arena":
            assert f"  {words}" in page.partition("Example:")[2], f"{words} has no example"


def test_what_help_lists_is_what_the_commands_say_of_themselves() -> None:
    commands = LazyCommands()
    assert {word: command.get_short_help_str(1000) for word, command in commands.items()} == commands.helps


def test_help_loads_no_commands() -> None:
    script = (
        "import sys, arena.cli.app as cli\n"
        "try: cli.app(['--help'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print([name for name in ('arena.store', 'arena.cli.train', 'agents.configs') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_arena_alone_waits_for_no_parser(tmp_path: Path) -> None:
    script = (
        "import sys, arena.cli.app as cli\n"
        "def opened(db):\n"
        "    print(db, [name for name in ('typer', 'arena.records', 'textual') if name in sys.modules])\n"
        "    raise cli_error('this is\\nno league')\n"
        "from envs.errors import UsageError as cli_error\n"
        "cli.open_app, sys.argv = opened, ['arena']\n"
        "cli.main()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ARENA_DB"}
    for db in ("league.db", str(tmp_path / "other.db")):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=300
        )
        assert done.stdout.splitlines() == [f"{db} []"]
        assert (done.returncode, done.stderr) == (2, "Error: this is no league\n")
        environment["ARENA_DB"] = str(tmp_path / "other.db")


def test_reference_is_up_to_date() -> None:
    assert DOCS.read_text(encoding="utf-8") == reference(), "run: python -m arena.cli.reference > docs/3-cli.md"


@pytest.mark.parametrize(
    "words", [["--help"], ["table", "tic_tac_toe"], ["games"], ["agents", "list"], ["db", "stats"], ["runs", "list"]]
)
def test_reading_commands_load_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    db = tmp_path / "league.db"
    with Store(db) as store:
        store.human("tic_tac_toe", "Ann")
    script = (
        "import sys, arena.cli.app as cli\n"
        f"try: cli.app({words!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = {**os.environ, "ARENA_DB": str(db)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def failing(error: BaseException) -> typer.Typer:
    wrong = typer.Typer(cls=ArenaGroup, rich_markup_mode=None)

    @wrong.callback()
    def root() -> None:
        """Fails."""

    @wrong.command()
    def fail() -> None:
        """Fail."""
        raise error

    return wrong


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ArenaError("it\x1b[31m broke\nbadly"), 1, r"Error: it\x1b[31m broke badly"),
        (UnknownNameError("game", "conect_four", ["connect_four"]), 2, "did you mean connect_four?"),
        (ZeroDivisionError("by zero"), 1, "ZeroDivisionError: by zero"),
        (EOFError(), 1, "the input ended"),
    ],
)
def test_errors_are_one_line(error: Exception, code: int, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(failing(error), ["fail"])
    assert result.exit_code == code
    assert result.stdout == ""
    assert line in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    for words, environment in ((["fail", "--debug"], "0"), (["fail"], "1")):
        monkeypatch.setenv("ARENA_DEBUG", environment)
        result = CliRunner().invoke(failing(error), words)
        assert "Traceback" in result.stderr
        assert result.exit_code == code


def test_ctrl_c_is_quiet() -> None:
    result = CliRunner().invoke(failing(KeyboardInterrupt()), ["fail"])
    assert (result.exit_code, result.output) == (130, "")


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m arena games | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_signals_ask_to_stop_and_then_insist() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stoppable() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_text_is_inert(capsys: pytest.CaptureFixture[str]) -> None:
    nasty = "[bold]x[/] \x1b]0;title\x07\u202e\n"
    print_table(("[red]name", "n"), [(nasty, 1)], "")
    printed = capsys.readouterr().out
    assert r"[bold]x[/] \x1b]0;title\x07\u202e\n" in printed
    assert "[red]name" in printed
    assert "\x1b" not in printed
    assert clean("Ünal ○") == "Ünal ○"
    write_csv({nasty: [(1, 0.5)]})
    figures = {"labels": 1, "held_out": 0, "ceiling": None, "ceiling_basis": nasty, "length_correlation": None}
    print_reward(nasty, {**figures, "warnings": [nasty]})
    printed = "".join(capsys.readouterr())
    assert printed.count(r"\x1b]0;title") == 4
    assert "\x1b" not in printed


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": (1, b"\x01"), "c": float("inf")})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1, "01"], "c": None}
    for text, printed in (("Ünal ○", '"Ünal ○"'), ("\x9b2J\u202e", r'"\u009b2J\u202e"')):
        print_json(text)
        assert capsys.readouterr().out.strip() == printed


def test_durations() -> None:
    assert [duration(s) for s in (4.4, 65, 3725, float("inf"))] == ["4 s", "1:05", "1:02:05", "–"]


def test_progress_lines_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Meter() as meter:
        meter.update("ppo 1", 0, 2000, "")
        meter.update("ppo 1", 500, 2000, "within five seconds: not said")
        meter.update("ppo 1", 2000, 2000, "9 steps/s · 0 s left")
        meter.update("ppo 1", 2000, 2000, "said once")
    lines = capsys.readouterr().err.splitlines()
    assert [parse_line(line) for line in lines] == [
        ("ppo 1", 0, 2000, ""),
        ("ppo 1", 2000, 2000, "9 steps/s · 0 s left"),
    ]
    assert parse_line("go on with: arena train") is None
