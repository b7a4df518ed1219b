"""What is told where an Atari game's emulator or ROM is not there: one line with the command that installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from envs import atari
from envs.errors import MissingPackageError
from envs.registry import make

WITHOUT = """
import sys
from envs.errors import MissingPackageError
from envs.registry import make
sys.modules[sys.argv[2]] = None
try:
    make(sys.argv[1])
except MissingPackageError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "package", "command"),
    [
        ("ALE/Pong-v5", "ale_py", 'pip install "gymnasium[atari]"'),
        ("pettingzoo/atari/pong_v3", "multi_agent_ale_py", 'pip install "pettingzoo[atari]" ale-py'),
    ],
)
def test_a_package_that_is_missing(game: str, package: str, command: str) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, game, package], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert package in done.stdout
    assert command in done.stdout


def test_a_rom_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(atari.ale_py, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(atari.roms, "get_rom_path", lambda name: None)
    for game in ("ALE/Pong-v5", "pettingzoo/atari/pong_v3"):
        with pytest.raises(MissingPackageError) as told:
            make(game)
        assert str(told.value) == f"{game}: its ROM is missing; pip install --force-reinstall ale-py"
