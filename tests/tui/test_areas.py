"""The areas: by key, mouse and palette from anywhere; each as it was left; Escape closes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from textual.binding import Binding

from envs.errors import UsageError
from tests.tui.conftest import ready, sees, shown, until
from tui.app import ArenaApp
from tui.areas import AREAS, KEYS, bindings, load
from tui.keymap import bind, read_keymap, template
from tui.screens.home import HomeScreen
from tui.screens.replays import ReplaysScreen
from tui.widgets.area_bar import AreaBar
from tui.widgets.key_bar import KeyBar

SIZE = (80, 24)


def test_every_line_of_the_lists_leads_somewhere() -> None:
    assert len({area.name for area in AREAS}) == len({area.key for area in AREAS}) == len(AREAS)
    for area in AREAS:
        assert area.help
        assert any(screen == area.screen for _, screen in KEYS), f"{area.name}: its keys are not in KEYS"
        backs = [b for b in load(area.screen).BINDINGS if isinstance(b, Binding) and "escape" in b.key.split(",")]
        assert area.name == "lobby" or backs, area.name
    for _, screen in KEYS:
        assert bindings(screen)
    keys = {area.key for area in AREAS}
    for _, screen in KEYS:
        assert not keys & {key for binding in bindings(screen) for key in binding.key.split(",")}, screen


@pytest.mark.slow
async def test_areas_by_key_mouse_and_palette(league: Path) -> None:
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        for area in AREAS:
            assert area.title in shown(app).splitlines()[0]
        await pilot.press("f6")
        await sees(pilot, "Ann – first-legal")
        replays = app.screen
        await pilot.press("down", "enter")
        await sees(pilot, "ply 0 of 5")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.press("f6")
        await sees(pilot, "ply 0 of 5")  # as it was left
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is replays)
        await pilot.click(AreaBar, offset=(shown(app).splitlines()[0].index("Lobby"), 0))
        await until(pilot, lambda: app.current_mode == "lobby")
        await pilot.press("ctrl+p", *"go to: repl", "enter")
        await until(pilot, lambda: app.screen is replays)
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "lobby")
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(app.screen, ReplaysScreen) and app.screen is not replays)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", ("p plays", "No run yet: n starts one")),
        ('home.play = ["x", "ctrl+y"]\ntraining.new = "full_stop"\n', ("x plays", "No run yet: . starts one")),
    ],
)
async def test_texts_name_the_keys_as_they_are_bound(
    tmp_path: Path, configuration: Path, written: str, said: tuple[str, str]
) -> None:
    configuration.parent.mkdir(parents=True)
    configuration.write_text(written)
    async with ArenaApp(tmp_path / "new.db", "Ann").run_test(size=SIZE) as pilot:
        await sees(pilot, said[0])
        await pilot.press("f5")
        await sees(pilot, said[1])


async def test_keys_of_ones_own(league: Path, configuration: Path) -> None:
    configuration.parent.mkdir(parents=True)
    configuration.write_text('# mine\n[area]\nreplays = ["f12", "ctrl+l"]\n')
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f6")
        assert app.current_mode == "lobby"
        await pilot.press("f12")
        await until(pilot, lambda: app.current_mode == "replays")
        assert "12Replays" in shown(app)
    assert bind(configuration, "home.play", "x") == {"area.replays": "f12,ctrl+l", "home.play": "x"}
    assert read_keymap(configuration) == {"area.replays": "f12,ctrl+l", "home.play": "x"}
    text = configuration.read_text()
    with pytest.raises(UsageError, match=r"w would be both home.play and home.watch \(Lobby\)"):
        bind(configuration, "home.play", "w")
    assert configuration.read_text() == text
    configuration.write_text('# mine\nhome.play = "x"\n')
    bind(configuration, "home.play", "y")
    bind(configuration, "home.name", "z")
    assert configuration.read_text() == '# mine\nhome.play = "y"\nhome.name = "z"\n'
    assert tomllib.loads(template(read_keymap(configuration))) == {"home": {"play": "y", "name": "z"}}
    everything = template({}).replace("\n# app", "\napp").replace("\n# home", "\nhome")
    assert tomllib.loads(everything)["home"]["play"] == "p"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("home.play =", "cannot be read"),
        ('home.plai = "x"', "unknown binding 'home.plai'; did you mean home.play"),
        ("home.play = 3", "write a key such as"),
        ('home.play = "f6"', "f6 would be both home.play and area.replays"),
        ("\xff" * 200_000, "larger than"),
    ],
)
def test_a_bad_keymap_is_told(configuration: Path, text: str, told: str) -> None:
    configuration.parent.mkdir(parents=True)
    configuration.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_keymap(configuration)


async def test_the_app_starts_with_a_bad_keymap(db: Path, configuration: Path) -> None:
    configuration.parent.mkdir(parents=True)
    configuration.write_text("home.play = 3")
    app = ArenaApp(db)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await sees(pilot, "the usual keys are bound", "connect_four")
        assert app.keys == {}


@pytest.mark.slow
async def test_every_area_opens_and_its_footer_fits(league: Path) -> None:
    app = ArenaApp(league)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        for area in AREAS[1:]:
            app.go(area.name)
            await until(pilot, lambda area=area: app.current_mode == area.name and app.screen.query(KeyBar))
            await sees(pilot, "? Help")
            assert not app.screen.query_one(KeyBar).left_out, area.name
            assert app.screen.query(AreaBar)
            assert area.title in shown(app).splitlines()[0]
            await pilot.press("escape")
            await until(pilot, lambda: app.current_mode == "lobby")
