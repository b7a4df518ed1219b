"""Maps of your own: what they mean, and how bad ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from envs.errors import UsageError
from envs.gridworld.maps import parse_map, read_map
from envs.registry import make


def write(path: Path, text: str) -> str:
    path.write_bytes(text.encode())
    return f"gridworld/custom?map={path}"


def play(game: str, moves: str) -> list[tuple[float, bool]]:
    env = make(game, autoreset=False)
    env.reset(torch.zeros(1, dtype=torch.int64))
    steps = [env.step(torch.tensor([["udlr".index(move)]])) for move in moves]
    return [(round(float(step.rewards), 4), bool(step.terminated)) for step in steps]


def test_what_the_characters_mean(tmp_path: Path) -> None:
    game = write(tmp_path / "m", "S.G\n#.7\nX..\n")  # 8 cells: the limit is 20 steps
    cost = -0.05
    assert play(game, "ulrr") == [(cost, False)] * 3 + [(1 + cost, True)]
    assert play(game, "drdr") == [(cost, False)] * 3 + [(7 + cost, True)]
    assert play(game, "rdddl") == [(cost, False)] * 4 + [(-1 + cost, True)]


def test_every_start_is_used(tmp_path: Path) -> None:
    env = make(write(tmp_path / "m", "S.G.S"), 200)
    started = env.reset(torch.arange(200)).observation.sum((0, 1))
    assert (started > 60).tolist() == [True, False, False, False, True]


def test_the_version_is_the_map(tmp_path: Path) -> None:
    unix = make(write(tmp_path / "unix", "S.G\n...\n")).spec.version
    dos = make(write(tmp_path / "dos", "S.G\r\n...\r\n\r\n")).spec.version
    other = make(write(tmp_path / "other", "S.G\n..#\n")).spec.version
    assert unix == dos != other
    assert 0 <= unix < 2**32


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "no first line"),
        ("\n\nS.G\n", 1, 1, "no first line"),
        ("S.G\n.?.\n", 2, 2, "'?'"),
        ("S.G\n. .\n", 2, 2, "' '"),
        ("S.G\n.\x1b[31m\n", 2, 2, r"'\\x1b'"),
        ("S.G\n..\n", 2, 3, "2 cells, the first 3"),
        ("S.G\n....\n", 2, 4, "4 cells, the first 3"),
        ("S.G\n\n...\n", 2, 1, "0 cells, the first 3"),
        ("..G\n", 1, 1, "no start"),
        ("S.X\n", 1, 1, "no goal"),
        ("S.G\n...\n###\n.S.\n", 4, 2, "no goal can be reached"),
        ("SXG\n", 1, 1, "no goal can be reached"),
        ("S" + "." * 31 + "G\n", 1, 33, "too large"),
        ("SG\n" + "..\n" * 32, 33, 1, "too large"),
    ],
)
def test_bad_maps_are_refused_where_they_are_wrong(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(UsageError, match=rf"map 'my\.map', line {line}, column {column}: .*{words}") as refused:
        parse_map(text, "my.map")
    assert "\n" not in str(refused.value)


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"S.G\n..\xff\n")
    large.write_bytes(b"." * 100_000)
    for path, words in [
        (binary, "line 2, column 3: not UTF-8"),
        (large, "100000 bytes"),
        (tmp_path, "is not a file"),
        ("/dev/zero", "is not a file"),
        (tmp_path / "missing", "No such file"),
        ("bad\0name", "cannot be read"),
        ("", "needs a map"),
    ]:
        with pytest.raises(UsageError, match=words):
            read_map(str(path))


def test_largest_map(tmp_path: Path) -> None:
    lines = ["." * 32] * 30
    env = make(write(tmp_path / "m", "\n".join(["S" + "." * 31, *lines, "." * 31 + "G"])))
    assert env.spec.observation_shape == (1024,)
