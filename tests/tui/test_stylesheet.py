"""Styles that are parsed once are those that are parsed anew."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.css.model import SelectorType
from textual.css.stylesheet import Stylesheet

import tui
from tui.app import STYLES, ArenaApp
from tui.stylesheet import KeptStylesheet


def test_what_is_kept_is_what_would_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, plain = KeptStylesheet(variables={"paper": "white"}), Stylesheet(variables={"paper": "white"})
    parsed: list[str] = []
    parse = KeptStylesheet._parse_rules
    monkeypatch.setattr(
        KeptStylesheet, "_parse_rules", lambda self, css, *a, **k: (parsed.append(css), parse(self, css, *a, **k))[1]
    )
    for step in (
        lambda sheet: sheet.add_source("A { color: $paper; &:focus { color: red; } }", read_from=("a", "")),
        lambda sheet: sheet.add_source("B, A.-wide { width: 3; }", read_from=("b", "")),
        lambda sheet: sheet.set_variables({"paper": "white"}),
        lambda sheet: sheet.set_variables({"paper": "black"}),
        lambda sheet: sheet.add_source("B { width: 4; }", read_from=("b", "")),
    ):
        for sheet in (kept, plain):
            step(sheet)
            sheet.reparse()
        assert kept.css == plain.css
    before = len(parsed)
    kept.set_variables({"paper": "black"})
    kept.reparse()
    assert len(parsed) == before
    assert "#000000" in kept.css
    assert kept.rules_map.keys() == plain.rules_map.keys()


async def test_another_theme_is_another_look(tmp_path) -> None:
    app = ArenaApp(tmp_path / "league.db")
    async with app.run_test() as pilot:
        await pilot.pause()
        before = app.screen.styles.background
        app.theme = "arena-light"
        await pilot.pause()
        assert app.screen.styles.background != before


def test_a_screen_styles_itself_and_no_other(tmp_path: Path) -> None:
    sheet = Stylesheet(variables=ArenaApp(tmp_path / "league.db").get_css_variables())
    files = sorted((Path(tui.__file__).parent / "screens").glob("*.tcss"))
    sheet.read_all([*files])
    assert len(files) > 10
    for rules in sheet.rules:
        for chosen in rules.selector_set:
            first = chosen.selectors[0]
            own = first.type is SelectorType.TYPE and first.name.endswith(("Screen", "Form"))
            assert own or first.name == "dialog", f"{chosen.css} holds everywhere"


def test_what_widgets_have_drawn_goes_with_them() -> None:
    drawn = StylesCache()
    red, blue = Color(255, 0, 0), Color(0, 0, 255)
    inner, outer = drawn.get_inner_outer(red, blue)
    assert (inner.background, outer.background) == (blue, red)
    kept = weakref.ref(drawn)
    del drawn
    gc.collect()
    assert kept() is None


def test_a_screens_file_is_about_no_other_screen() -> None:
    """Other screens are not styled anew when it is read."""
    assert len(STYLES) > 10
    for path in STYLES:
        for line in path.read_text().splitlines():
            if line[:1] not in ("", " ", "}", "/"):
                for part in line.partition("{")[0].split(","):
                    first = part.split()[0].partition(".")[0]
                    assert first.endswith(("Screen", "Form")) or part.strip() == ".dialog", (path.name, line)
