"""What the main screens look like: every letter and every style, small and large, dark and light.

The pictures lie in `snapshots/`, a file a screen and size. After a change that is wanted, make them anew and look at
the difference in git:

    ARENA_SNAPSHOTS=write .venv/bin/pytest tests/tui/test_snapshots.py

A file holds the text, then for each line runs of styles ("a12 b68"), then what the letters mean: the style in the
dark theme and the one in the light. Plots are left out (their dots depend on the last bits of floats); they have tests
of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from string import ascii_letters
from typing import Any

import pytest
from rich.style import Style
from textual.pilot import Pilot
from textual.widgets import Input

from arena import store_rows
from tests.tui.conftest import ready, sees, until
from tests.tui.test_label import some_pairs
from tests.tui.test_realtime import local  # noqa: F401 – a game whose time does not go on
from tests.tui.test_training import add_run
from tui.app import ArenaApp
from tui.widgets.plot import PlotPanel

FOLDER = Path(__file__).parent / "snapshots"
WRITE = os.environ.get("ARENA_SNAPSHOTS") == "write"
DRAWN_BY = {"textual": "8.2.8", "rich": "15.0.0"}
THEMES = ("arena-dark", "arena-light")
SIZES = [(80, 24), (160, 50)]
NAMES = [*ascii_letters, *(f"{letter}'" for letter in ascii_letters)]
Scene = Callable[[Pilot[Any], ArenaApp], Awaitable[None]]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(version(name) != number for name, number in DRAWN_BY.items()), reason=f"the pictures are by {DRAWN_BY}"
    ),
]


@pytest.fixture
def furnished(db: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A league with a little of everything, all of it made at one moment; times are shown as in London in winter."""
    monkeypatch.setattr(Input, "_toggle_cursor", lambda self: None)
    monkeypatch.setattr(store_rows.time, "time_ns", lambda: 1_750_000_000 * 10**9)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    request.getfixturevalue("league")
    for name, state in (("first", "finished"), ("second", "failed")):
        add_run(db, name, state, learning_rate=0.001)
    some_pairs(db, [("Press the green button.", "I do not know.\n\nAsk [b]somebody[/b] else."), ("Yes.", "No.")])
    yield db
    monkeypatch.undo()
    time.tzset()


async def lobby(pilot: Pilot[Any], app: ArenaApp) -> None:
    await ready(pilot)
    app.home.choose("tic_tac_toe")
    await sees(pilot, "first-legal", "Ann")


async def set_up(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.set_up("tic_tac_toe")
    await sees(pilot, "Seat 2", "Start")


async def real_time(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.play_game("gridworld/sumo", ["first-legal"], 0, 1)
    await sees(pilot, "a direction begins")


async def play(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.play_game("tic_tac_toe", ["first-legal"], 0, 1)
    await sees(pilot, "your move")
    for key, text in (("5", "move 2"), ("m", "value")):
        await pilot.press(key)
        await sees(pilot, text, "your move")


async def league_area(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.open_leaderboard("tic_tac_toe")
    await sees(pilot, "W/D/L", "first-legal", "Matches")


async def training(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.go("training")
    await sees(pilot, "second", "out of luck")


async def train_form(pilot: Pilot[Any], app: ArenaApp) -> None:
    await pilot.press("n")
    await sees(pilot, "algorithm", "arena train")


async def replay(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.go("replays")
    app.open_replay(1)
    await sees(pilot, "ply 0 of 5")
    await pilot.press("right", "right")
    await sees(pilot, "ply 2 of 5")


async def replays(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.go("replays")
    await sees(pilot, "Ann – first-legal")


async def label(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.go("label")
    await sees(pilot, "prompt", "0 of 2")


async def lab(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.go("lab")
    await sees(pilot, "▸ next")


async def lessons(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.go("lessons")
    await sees(pilot, "Bellman")


async def help_screen(pilot: Pilot[Any], app: ArenaApp) -> None:
    app.action_help()
    await sees(pilot, "keys and rules")


SCENES: tuple[Scene, ...] = (
    *(lobby, set_up, real_time, play, league_area, training, train_form, replays, replay),
    *(label, lab, lessons, help_screen),
)


@pytest.mark.parametrize("size", SIZES, ids=["small", "large"])
async def test_every_screen_looks_as_it_did(
    furnished: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    different = []
    app = ArenaApp(furnished)
    async with app.run_test(size=size) as pilot:
        for scene in SCENES:
            await scene(pilot, app)
            file = FOLDER / f"{scene.__name__}-{size[0]}x{size[1]}.txt"
            picture = await draw(pilot, app)
            if WRITE:
                FOLDER.mkdir(exist_ok=True)
                file.write_text(picture, encoding="utf-8")
            elif picture != (known := file.read_text(encoding="utf-8")):
                different.append(f"{scene.__name__}:\n{difference(known, picture)}")
    assert not different, "\n".join(different)


async def test_every_screen_is_drawn_without_colours(furnished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = ArenaApp(furnished)
    async with app.run_test(size=SIZES[0]) as pilot:
        for scene in SCENES:
            await scene(pilot, app)
            styles = {style for line in app.screen._compositor.render_strips() for _, style, _ in line if style}
            colours = {colour.get_truecolor() for s in styles for colour in (s.color, s.bgcolor) if colour}
            assert colours
            assert all(red == green == blue for red, green, blue in colours), scene.__name__


def difference(old: str, new: str) -> str:
    """The lines that are not the same."""
    pairs = [*zip(old.splitlines(), new.splitlines(), strict=False)]
    return "\n".join(f"- {before}\n+ {after}" for before, after in pairs if before != after)[:4000]


async def draw(pilot: Pilot[Any], app: ArenaApp) -> str:
    """The picture of the screen in both themes, once it stands still."""
    looks = []
    for theme in THEMES:
        app.theme = theme
        last: list[list[tuple[str, str]]] = []
        now = cells(app)
        while now != last:
            await until(pilot, lambda: all(worker.group == "session" for worker in app.workers._workers))
            last, now = now, cells(app)
        looks.append(now)
    dark, light = looks
    letters: dict[tuple[str, str], str] = {}
    text, styles = [], []
    for above, below in zip(dark, light, strict=True):
        assert [cell for cell, _ in above] == [cell for cell, _ in below]
        text.append("".join(cell for cell, _ in above).rstrip())
        pairs = [(a, b) for (_, a), (_, b) in zip(above, below, strict=True)]
        named = (letters.setdefault(pair, NAMES[len(letters)]) for pair in pairs)
        styles.append(" ".join(f"{name}{len([*same])}" for name, same in groupby(named)))
    meaning = [f"{name} {a} | {b}" for (a, b), name in letters.items()]
    return "\n".join([*text, "", *styles, "", *meaning, ""])


def cells(app: ArenaApp) -> list[list[tuple[str, str]]]:
    """A line each: (letter, style) of its cells."""
    plots = [plot.region for plot in app.screen.query(PlotPanel)]
    lines = []
    for y, strip in enumerate(app.screen._compositor.render_strips()):
        line = []
        for segment in strip:
            style = words(segment.style or Style.null())
            for letter in segment.text:
                hidden = any(plot.contains(len(line), y) for plot in plots)
                line.append(("░", "") if hidden else (letter, style))
        lines.append(line)
    return lines


def words(style: Style) -> str:
    """Colours and attributes, without what is not seen."""
    colours = [colour.get_truecolor().hex if colour else "-" for colour in (style.color, style.bgcolor)]
    names = ("bold", "dim", "italic", "underline", "reverse", "strike")
    return " ".join([" on ".join(colours), *(name for name in names if getattr(style, name))])
