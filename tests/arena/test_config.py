"""Settings: a file and what a person types come to the same dataclass, and everything wrong is one clear line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from agents.configs import Config, PPOConfig, default_config, setting
from arena import config
from envs.errors import UnknownNameError, UsageError


@dataclass(frozen=True)
class Plain:
    """A dataclass that is not one of the algorithms'."""

    size: int = 3
    share: float = 0.5
    deep: bool = False
    name: str = 'a "b" \\ \n # Ö = 1'
    limit: int | None = None
    layers: tuple[int, ...] = (64, 64)


@dataclass(frozen=True)
class Ranged(Config):
    share: float = setting(0.5, "a share", min=0.0, max=1.0)
    size: int = setting(3, "a size", min=1)
    mode: str = setting("a", "a mode", choices=("a", "b"))


@pytest.mark.parametrize(
    "value",
    [
        Plain(),
        Plain(size=-7, share=1e-300, deep=True, name="", limit=9, layers=()),
        Plain(share=0.1 + 0.2, name="\t\x00\x7f\u2028😀'''"),
        default_config("ppo", "connect_four"),
    ],
)
def test_round_trips(tmp_path: Path, value) -> None:
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml(value), encoding="utf-8")
    assert config.load_toml(type(value)(), path) == value
    assert config.replace(type(value)(), config.to_json(value)) == value


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], Plain()),
        (["size=1e3", "share=1", "deep=yes"], Plain(size=1000, share=1.0, deep=True)),
        (["size=1", "size=1_000"], Plain(size=1000)),
        (["name=a=b", "limit=4"], Plain(name="a=b", limit=4)),
        (["limit=none", "layers=128,64"], Plain(layers=(128, 64))),
        ([" layers = [] "], Plain(layers=())),
        (["size=9007199254740993"], Plain(size=9007199254740993)),
    ],
)
def test_what_a_person_types(pairs: list[str], expected: Plain) -> None:
    assert config.apply_sets(Plain(), pairs) == expected


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("size", "key=value"),
        ("size=1.5", "size is a whole number, not '1.5'"),
        ("size=1e999", "whole number"),
        ("size=", "whole number"),
        ("deep=2", "deep is true or false, not '2'"),
        ("share=much", "share is a number"),
        ("share=nan", "finite"),
        ("layers=1,b", "layers is a whole number"),
    ],
)
def test_bad_values_are_refused(pair: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        config.apply_sets(Plain(), [pair])


@pytest.mark.parametrize("pair", ["share=1.5", "share=-0.1", "size=0", "mode=c"])
def test_ranges_and_choices_hold(pair: str) -> None:
    name, _, text = pair.partition("=")
    with pytest.raises(UsageError, match=name):
        config.apply_sets(Ranged(), [pair])
    with pytest.raises(UsageError, match=name):
        config.replace(Ranged(), {name: text if name == "mode" else float(text) if name == "share" else int(text)})


def test_unknown_settings_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean gamma"):
        config.apply_sets(PPOConfig(), ["gama=0.9"])
    path = tmp_path / "config.toml"
    path.write_text("num_env = 8\n")
    with pytest.raises(UnknownNameError, match=r"config\.toml: setting 'num_env'; did you mean num_envs"):
        config.load_toml(PPOConfig(), path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("size = 1\nshare = \n", "line 2"),
        ("size = 1\nsize = 2\n", "line 2"),
        ("size = '1'\n", "size is a whole number, not '1'"),
        ("size = true\n", "size is a whole number, not True"),
        ("share = inf\n", "finite"),
        ("name = 3\n", "name is a text"),
        ("layers = 3\n", "layers is a list"),
        ("[size]\na = 1\n", "size is a whole number"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words) as raised:
        config.load_toml(Plain(), path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_file_of_text_is_refused(tmp_path: Path) -> None:
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_text("# " + "x" * config.MAX_FILE_BYTES)
    for path, words in (
        (binary, "no TOML"),
        (large, "too large"),
        (tmp_path, "cannot be read"),
        (tmp_path / "no", "cannot"),
    ):
        with pytest.raises(UsageError, match=words):
            config.load_toml(Plain(), path)
