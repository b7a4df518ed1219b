"""Games as GIF and asciicast: what is in the files."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from arena.cli.app import app
from arena.formats import Recorded, write
from arena.formats.gif import draw
from arena.realtime_game import LiveTable
from arena.records import Episode
from arena.session import Server
from arena.store import Store
from envs.errors import ArenaError, UsageError
from envs.rendering import Drawing


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episode 1: Breakout, 12 steps, given up; episode 2: tic-tac-toe."""
    path = tmp_path_factory.mktemp("films") / "league.db"
    with Store(path) as store:
        table = LiveTable(store, "ALE/Breakout-v5", [{"human": "Ann"}], 3)
        table.want(0, 1)
        for _ in range(12):
            table.step()
        table.resign(0)
    server = Server()
    seats = ["first-legal", "first-legal"]
    list(server.handle({"do": "open", "db": str(path), "game": "tic_tac_toe", "seats": seats, "seed": 1}))
    for _ in range(7):
        list(server.handle({"do": "step"}))
    server.close()
    return path


def recorded(db: Path, number: int) -> Recorded:
    with Store(db, create=False) as store:
        episode: Episode = store.episode(number)
        return Recorded(episode, [store.agent_by_id(player.agent).name for player in episode.players])


def screen(cast: bytes) -> tuple[dict[str, object], list[tuple[float, str]]]:
    head, *events = cast.decode().splitlines()
    parsed = [json.loads(event) for event in events]
    assert all(kind == "o" for _, kind, _ in parsed)
    return json.loads(head), [(at, text) for at, _, text in parsed]


def test_atari_as_a_gif_is_as_wide_as_a_television_and_as_long_as_the_game(db: Path) -> None:
    image = Image.open(io.BytesIO(write("gif", [recorded(db, 1)])))
    assert (image.format, image.size) == ("GIF", (320, 240))
    bricks = np.asarray(image.convert("RGB")).astype(int) - (200, 72, 72)
    assert int((np.abs(bricks).sum(-1) < 24).sum()) > 1000, "the red row"
    total = 0
    for frame in range(image.n_frames):
        image.seek(frame)
        total += int(image.info["duration"])
    assert total == pytest.approx(1000 * (12 / 15 + 3), abs=100)


def test_a_board_as_a_gif_has_a_frame_a_move(db: Path) -> None:
    image = Image.open(io.BytesIO(write("gif", [recorded(db, 2)])))
    assert image.n_frames == 8


def test_a_drawing_has_its_colours_and_shapes() -> None:
    image = np.asarray(draw(Drawing([[("█", "player0"), ("▄", "#ff0000 on #00ff00"), ("┼", "dim")]]), "x"))
    row = image[9:27]
    assert (row[:, 9:18] == (255, 166, 72)).all()
    assert (row[:9, 18:27] == (0, 255, 0)).all()
    assert (row[9:, 18:27] == (255, 0, 0)).all()
    assert (row[9, 27:36] == (147, 160, 173)).all()


def test_asciicast_says_its_size_and_pace_and_writes_what_changed(db: Path) -> None:
    head, events = screen(write("asciicast", [recorded(db, 1)]))
    assert (head["version"], head["width"], head["height"]) == (2, 80, 32)
    assert head["title"] == "ALE/Breakout-v5: Ann"
    assert [at for at, _ in events] == sorted(at for at, _ in events)
    assert events[-1][0] == pytest.approx(12 / 15 + 3)
    assert events[0][1].count("▀") == 80 * 30
    assert all(len(text) < len(events[0][1]) / 2 for _, text in events[1:])
    assert "step 12 of 12 · Ann 0" in events[-2][1]


def test_a_board_as_asciicast(db: Path) -> None:
    head, events = screen(write("asciicast", [recorded(db, 2)]))
    assert len(events) == 9
    assert "┌" in events[0][1]
    assert int(str(head["height"])) < 20


def test_a_film_shows_one_game(db: Path) -> None:
    for name in ("gif", "asciicast"):
        with pytest.raises(UsageError, match="one episode"):
            write(name, [recorded(db, 1)] * 2)


def test_a_record_that_cannot_be_played_is_told(db: Path) -> None:
    game = recorded(db, 2)
    actions = bytes(len(game.episode.actions))  # everybody always on the first field
    with pytest.raises(ArenaError, match=r"step 2: action \[0\] is not legal there"):
        write("gif", [Recorded(dataclasses.replace(game.episode, actions=actions), game.names)])


def test_the_command_writes_them_by_their_endings(db: Path, tmp_path: Path) -> None:
    for name, head in (("game.gif", b"GIF89a"), ("game.cast", b'{"version": 2')):
        result = CliRunner().invoke(app, ["replay", "export", "2", "--out", str(tmp_path / name), "--db", str(db)])
        assert result.exit_code == 0, result.output
        assert (tmp_path / name).read_bytes().startswith(head)
    refused = CliRunner().invoke(app, ["replay", "export", "2", "--format", "gif", "--db", str(db)])
    assert refused.exit_code == 2
