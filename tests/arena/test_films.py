"""Games as GIF and asciicast: what is in the files."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont, ImageSequence
from typer.testing import CliRunner

from arena.cli.app import app
from arena.formats import Recorded, write
from arena.formats.film import Shot
from arena.formats.gif import CELL, LONGEST, draw
from arena.realtime_game import LiveTable
from arena.records import Episode
from arena.session import Server
from arena.store import Store
from envs.errors import ArenaError, UsageError
from envs.registry import make
from envs.rendering import Drawing
from envs.scaling import Picture
from envs.specs import GAMES


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


def cell(letter: str) -> bytes:
    width, height = CELL
    image = draw(Drawing([[(letter, "plain")]]), "a caption")
    return image.crop((width, height // 2, 2 * width, height // 2 + height)).tobytes()


DRAWN = [game.id for game in GAMES if game.source == "native" and game.id != "gridworld/custom"]


@pytest.mark.parametrize("game", [*DRAWN, "gridworld/sumo?fog=2", "pettingzoo/classic/chess_v6"])
def test_every_letter_of_a_drawing_is_seen_for_what_it_is(game: str) -> None:
    missing = "\N{SNOWMAN}"
    font = ImageFont.load_default(13)
    assert bytes(font.getmask(missing)) == bytes(font.getmask("\ue000")), "the font has no snowman"
    env = make(game, autoreset=False)
    turn = env.reset(torch.tensor([3]))
    letters = set(" –·")  # of captions
    for _ in range(12):
        letters |= set(env.draw().text())
        assert turn.legal_action_mask is not None
        step = env.step(turn.legal_action_mask.long().argmax(-1))
        if bool((step.terminated | step.truncated).any()):
            break
        turn = step.turn
    env.close()
    unseen = {cell(missing), cell(" ")}
    assert [letter for letter in sorted(letters - set(" \n")) if cell(letter) in unseen] == []


def test_blocks_fill_their_quarters() -> None:
    for letter, quarters in {"▟": "0111", "▙": "1011", "▞": "0110", "▘": "1000", "▐": "0101", "▄": "0011"}.items():
        image = np.asarray(draw(Drawing([[(letter, "#ff0000 on #00ff00")]]), "x"))[9:27, 9:18, 0] == 255
        parts = image[:9, :4], image[:9, 4:], image[9:, :4], image[9:, 4:]
        assert [part.all() for part in parts] == [part.any() for part in parts] == [q == "1" for q in quarters], letter


def film(shown: Iterable[Shot], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The file of a game that has these positions."""
    monkeypatch.setattr("arena.formats.gif.shots", lambda game: iter(shown))
    return write("gif", [Recorded(None, [])])


def frames(data: bytes) -> list[tuple[Image.Image, int]]:
    """Pictures and milliseconds."""
    file = Image.open(io.BytesIO(data))
    return [(frame.convert("RGB"), int(frame.info["duration"])) for frame in ImageSequence.Iterator(file)]


def assert_alike(image: Image.Image, expected: Image.Image) -> None:
    """But for what 256 colours cannot say."""
    difference = np.asarray(image).astype(int) - np.asarray(expected)
    assert image.size == expected.size
    assert np.abs(difference).max() < 32


def test_frames_are_as_large_as_the_largest_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawings = [Drawing([[("one", "plain")]] * lines) for lines in (1, 3, 2)]
    captions = ["step 9", "step 10", "step 11 and more"]
    largest = (len(captions[-1]) + 2) * CELL[0], (3 + 2 + 1) * CELL[1]
    shown = [Shot(0.8, None, drawing, caption) for drawing, caption in zip(drawings, captions, strict=True)]
    seen = frames(film(shown, monkeypatch))
    assert [image.size for image, _ in seen] == [largest] * 3
    for (image, _), drawing, caption in zip(seen, drawings, captions, strict=True):
        expected = Image.new("RGB", largest, "#14181d")
        expected.paste(draw(drawing, caption))
        assert_alike(image, expected)


@pytest.mark.parametrize("game", ["gridworld/cliff", "gym/FrozenLake-v1"])
def test_a_game_whose_drawing_grows_is_whole(game: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "league.db"
    server = Server()
    list(server.handle({"do": "open", "db": str(path), "game": game, "seats": ["random"], "seed": 1}))
    with contextlib.suppress(UsageError):  # until the game is over
        while True:
            list(server.handle({"do": "step"}))
    server.close()
    sizes, last = set(), Image.new("RGB", (1, 1))

    def drawn(drawing: Drawing, caption: str) -> Image.Image:
        nonlocal last
        last = draw(drawing, caption)
        sizes.add(last.size)
        return last

    monkeypatch.setattr("arena.formats.gif.draw", drawn)
    seen = frames(write("gif", [recorded(path, 1)]))
    assert len(sizes) > 1
    assert {image.size for image, _ in seen} == {tuple(map(max, zip(*sizes, strict=True)))}
    assert_alike(seen[-1][0].crop((0, 0, *last.size)), last)


def pictured(pixels: Picture, seconds: float = 0.1) -> Shot:
    return Shot(seconds, pixels, Drawing([]), "")


def test_pictures_come_back_as_they_were_and_equal_ones_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = np.zeros((60, 80, 3), np.uint8)
    dot, other = plain.copy(), plain.copy()
    dot[30, 40] = (200, 72, 72)
    other[:] = (60, 200, 60)
    shown = [pictured(pixels) for pixels in (plain, dot, dot, plain, other)] + [pictured(other, 1000.0)]
    seen = frames(film(shown, monkeypatch))
    assert [duration for _, duration in seen] == [100, 200, 100, 1000 * LONGEST]
    for (image, _), pixels in zip(seen, (plain, dot, plain, other), strict=True):
        assert (np.asarray(image)[::4, ::4] == pixels).all()


def test_a_long_game_is_written_without_holding_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []

    class Shown:
        def __iter__(self) -> Iterator[Shot]:
            for number in range(40):
                pixels = np.zeros((60, 80, 3), np.uint8)
                pixels[number] = 255
                if number in (5, 39):
                    alive.append(sum(type(thing) is Image.Image for thing in gc.get_objects()))
                yield pictured(pixels)

    film(Shown(), monkeypatch)
    before, after = alive
    assert after - before < 5


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
