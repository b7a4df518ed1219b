"""Labelling, ranking and scoring in the app: one key saves and goes on, undo works across restarts, text is inert."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from arena.records_text import Completion, Pair
from arena.store import Store
from tests.tui.conftest import ready, sees, shown, until
from tests.tui.test_terminal import Terminal
from tui.app import ArenaApp
from tui.facts import read_league
from tui.screens.dialogs import MAX_WRITTEN
from tui.screens.judge_screen import GuidelinesScreen, JudgeScreen
from tui.screens.label import LabelScreen
from tui.screens.rank import RankScreen, ScoreScreen
from tui.text import MAX_SHOWN, clock, inert_block

SIZE = (80, 24)


def some_pairs(db: Path, texts: list[tuple[str, str]]) -> None:
    with Store(db) as store:
        for n, (first, second) in enumerate(texts):
            (prompt,) = store.add_prompts([f"prompt {n}?"])
            a, b = store.add_completions([Completion(prompt, first), Completion(prompt, second)])
            store.add_pairs([Pair(prompt, a, b)])


@pytest.fixture
def texts(db: Path) -> Path:
    some_pairs(db, [(f"first {n}", f"second {n}") for n in range(8)])
    return db


async def opened(pilot: Pilot[Any], mode: str = "pairs", **wanted: Any) -> JudgeScreen:
    """The screen, once its first task is shown."""
    app = await ready(pilot)
    app.open_label(mode, **wanted)
    await until(pilot, lambda: isinstance(app.screen, JudgeScreen) and not app.screen.busy)
    await until(pilot, lambda: app.screen._progress.total)
    assert isinstance(app.screen, JudgeScreen)
    return app.screen


async def press(pilot: Pilot[Any], screen: JudgeScreen, *keys: str) -> None:
    """Keys, each once the one before it has been dealt with."""
    for key in keys:
        await pilot.press(key)
        await until(pilot, lambda: not screen.busy)


def said(db: Path) -> list[tuple[int, str, int]]:
    """What was chosen, seen from the screen's sides."""
    with Store(db) as store:
        rows = store.labels("Ann", skipped=True)
    return [
        (row.pair, ("left" if row.choice == row.left else "right") if row.choice in "ab" else row.choice, row.strength)
        for row in rows
    ]


def sides(screen: JudgeScreen) -> tuple[str, str]:
    return tuple(str(screen.query_one(f"#{side}-text").render()) for side in ("left", "right"))  # type: ignore[return-value]


@pytest.mark.parametrize("size", [SIZE, (160, 50)])
@pytest.mark.slow
async def test_one_key_chooses_saves_and_goes_on(texts: Path, size: tuple[int, int]) -> None:
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, LabelScreen) and "0 of 8" in shown(app))
        screen = app.screen
        assert isinstance(screen, LabelScreen)
        await sees(pilot, "prompt 0?")
        for n, key in enumerate(["1", "right", "equals_sign", "b", "s", "shift+left"]):
            assert set(sides(screen)) == {f"first {n}", f"second {n}"}
            await press(pilot, screen, key)
            assert len(said(texts)) == n + 1, "saved before the next one is shown"
            await sees(pilot, f"prompt {n + 1}?")
        await press(pilot, screen, "m", "2")
        await sees(pilot, "7 of 8")
        await sees(pilot, "right is much better · saved")
        await press(pilot, screen, "1")
        await until(pilot, lambda: "no pair left" in shown(app))
        await press(pilot, screen, "1", "m")
    assert said(texts) == [
        (1, "left", 1),
        (2, "right", 1),
        (3, "tie", 1),
        (4, "both_bad", 1),
        (5, "skip", 1),
        (6, "left", 2),
        (7, "right", 2),
        (8, "left", 1),
    ]
    with Store(texts) as store:
        assert all(row.milliseconds is not None for row in store.labels("Ann"))


@pytest.mark.slow
async def test_the_stored_side_is_the_one_that_was_shown(texts: Path) -> None:
    app = ArenaApp(texts, "Ann")
    seen = []
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        for _ in range(8):
            seen.append(sides(screen)[0])
            await press(pilot, screen, "1")
    with Store(texts) as store:
        rows = store.labels("Ann")
    assert [row.text_a if row.choice == "a" else row.text_b for row in rows] == seen
    assert [row.text_a if row.left == "a" else row.text_b for row in rows] == seen
    assert {row.left for row in rows} == {"a", "b"}, "sides are shuffled"


@pytest.mark.slow
async def test_undo_goes_back_across_restarts(texts: Path) -> None:
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await press(pilot, screen, "1", "1", "1", "u")
        await sees(pilot, "prompt 2?")
        await sees(pilot, "2 of 8")
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await sees(pilot, "prompt 2?")
        await press(pilot, screen, "u", "u")
        await sees(pilot, "prompt 0?")
        await press(pilot, screen, "u")
        await sees(pilot, "nothing is left to undo")
        await press(pilot, screen, "2")
        await sees(pilot, "prompt 1?")
    assert said(texts) == [(1, "right", 1)]


@pytest.mark.slow
async def test_jumping_to_a_number_answers_it_anew(texts: Path) -> None:
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await press(pilot, screen, "1", "m", "1")

        async def jump(text: str) -> None:
            await pilot.press("j")
            await until(pilot, lambda: app.screen is not screen)
            app.screen.query_one(Input).value = text
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is screen and not screen.busy)

        await jump("2")
        await until(pilot, lambda: "you said: left is much better" in shown(app))
        await press(pilot, screen, "2")
        await sees(pilot, "prompt 2?")
        await sees(pilot, "2 of 8")
        await jump("99")
        await until(pilot, lambda: "there is no pair 99" in shown(app))
        await jump("[b]two")
        await until(pilot, lambda: "[b]two is no number" in shown(app))
        await jump("#7")
        await until(pilot, lambda: "prompt 6?" in shown(app))
        await press(pilot, screen, "1", "1")
        await until(pilot, lambda: "prompt 2?" in shown(app))
    assert said(texts) == [(1, "left", 1), (2, "right", 1), (7, "left", 1), (8, "left", 1)]


@pytest.mark.slow
async def test_notes_answers_and_guidelines(texts: Path) -> None:
    app = ArenaApp(texts, "Ann")
    with Store(texts) as store:
        store.set_guidelines("Be [b]fair[/b].\nAlways.")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, GuidelinesScreen) and "Be [b]fair[/b]." in shown(app))
        await pilot.press("escape", "n")
        await until(pilot, lambda: app.screen.query(Input))
        await pilot.press(*"odd", "enter")
        await until(pilot, lambda: app.screen is screen and "noted" in shown(app))
        await pilot.press("w")
        await until(pilot, lambda: app.screen.query(TextArea))
        app.screen.query_one(TextArea).text = "x" * (MAX_WRITTEN + 1)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "at most 20,000 are kept" in shown(app))
        app.screen.query_one(TextArea).text = ""
        await pilot.press(*"so", "enter", *"it is", "ctrl+s")
        await until(pilot, lambda: app.screen is screen and "kept as a demonstration" in shown(app))
        await sees(pilot, "prompt 0?")
    with Store(texts) as store:
        assert [(note.annotator, note.pair, note.text) for note in store.notes()] == [("Ann", 1, "odd")]
        assert [(row.prompt, row.response, row.source) for row in store.demonstrations()] == [
            ("prompt 0?", "so\nit is", "Ann")
        ]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "stacked"), [((60, 24), True), (SIZE, False), ((160, 50), False)])
async def test_texts_stand_side_by_side_where_there_is_room(texts: Path, size: tuple[int, int], stacked: bool) -> None:
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot)
        left, right = (screen.query_one(f"#{side}").region for side in ("left", "right"))
        assert (left.y < right.y) == stacked
        assert (left.x < right.x) == (not stacked)
        keys = shown(app).splitlines()[-1]
        assert all(key in keys for key in ("= Tie", "b Bad", "s Skip", "m Much", "u Undo")) or stacked
        assert "esc Back" in keys or stacked, keys


@pytest.mark.slow
async def test_hostile_text_is_shown_and_does_nothing(db: Path) -> None:
    hostile = "\x1b[31mred\x1b]0;title\x07 [bold]x[/] [link=y]z[/]\u202egnp.exe\u200b\ttab\nnext\r"
    some_pairs(db, [(hostile, "word " * 10_000), ("", "e" + "\u0301" * 1000)])
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        assert all(character.isprintable() for character in shown(app).replace("\n", ""))
        texts = " ".join(sides(screen))
        for visible in ("\\x1b[31mred\\x1b]0;title\\x07", "[bold]x[/]", "\\u202egnp.exe\\u200b", "→   tab", "next\\r"):
            assert visible in texts
        assert "30,000 characters more" in texts
        long = screen.query_one("#left" if "word" in sides(screen)[0] else "#right", VerticalScroll)
        await press(pilot, screen, "down")
        await until(pilot, lambda: long.scroll_y == 3)
        await press(pilot, screen, "1")
        await until(pilot, lambda: "(empty)" in shown(app))
        assert max(text.count("\u0301") for text in sides(screen)) == 4


def test_a_text_is_cut_where_nobody_would_read_on() -> None:
    assert str(inert_block("x" * (MAX_SHOWN + 7))).endswith("x\n… and 7 characters more")
    assert str(inert_block("a\r\nb\rc\0")) == "a\nb\\rc\\x00"
    assert str(inert_block("名人 é")) == "名人 é"


def test_times_to_come() -> None:
    assert [clock(seconds) for seconds in (12, 60, 3540, 3700, 36_000)] == [
        "12 s",
        "1 min",
        "59 min",
        "1 h 02",
        "10 h 00",
    ]


async def test_keys_that_come_too_early_answer_nothing(texts: Path) -> None:
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        screen.action_choose("left")  # type: ignore[attr-defined]
        screen.action_choose("left")  # type: ignore[attr-defined]
        screen.action_undo()
        await until(pilot, lambda: not screen.busy and "prompt 1?" in shown(app))
    with Store(texts) as store:
        assert [row.pair for row in store.labels("Ann")] == [1]
        assert store.stats()["labels"] == 1, "the second key and the undo were dropped"


@pytest.mark.slow
async def test_nothing_to_label_says_where_pairs_come_from(db: Path) -> None:
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("t")
        await sees(pilot, "arena prefs pairs", "F8, the lab", "u Undo g Guide j Jump ? Help esc Back")
        assert "1 ←" not in shown(app), "there is nothing to choose between"
        await pilot.press("1", "u", "n", "g")
        await until(pilot, lambda: isinstance(app.screen, LabelScreen) and not app.screen.busy)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LabelScreen))
    assert not db.exists(), "looking makes no league"


async def test_a_failure_is_told_and_saves_nothing(texts: Path) -> None:
    app = ArenaApp(texts, "Ann")
    with Store(texts) as store:
        store.add_annotator("robot", "simulated")
    app.user = "robot"
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot)
        await press(pilot, screen, "1")
        await until(pilot, lambda: "is a simulated annotator" in shown(app))
        await sees(pilot, "prompt 0?")


@pytest.mark.slow
async def test_the_name_is_asked_for_first(texts: Path) -> None:
    app = ArenaApp(texts)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("t")
        await until(pilot, lambda: "What is your name?" in shown(app))
        app.screen.query_one(Input).value = "Ann"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LabelScreen) and "Ann" in shown(app))


@pytest.mark.slow
async def test_a_known_name_is_waited_for_and_not_asked(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(texts) as store:
        store.set_setting("name", "Ann")
    read = threading.Event()
    monkeypatch.setattr("tui.app.read_league", lambda db: read_league(db) if read.wait(60) else None)
    app = ArenaApp(texts)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f7")
        await pilot.pause()
        assert "What is your name?" not in shown(app)
        read.set()
        await until(pilot, lambda: isinstance(app.screen, LabelScreen) and "Ann" in shown(app))


@pytest.mark.slow
async def test_completions_are_ranked_with_ties(db: Path) -> None:
    with Store(db) as store:
        for prompt in store.add_prompts(["how?", "why?"]):
            store.add_completions([Completion(prompt, text) for text in ("one", "two", "three", "four")])
    app = ArenaApp(db, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, "rank")
        assert isinstance(screen, RankScreen)
        shown_ids = screen.asked.completions
        await press(pilot, screen, "c", "equals_sign", "a", "a", "b")
        await sees(pilot, "C = A > B > …")
        assert said_nothing(db)
        await press(pilot, screen, "d")
        await sees(pilot, "C = A > B > D · saved")
        await sees(pilot, "1 of 2")
        with Store(db) as store:
            (ranking,) = [store.rank_task("Ann", prompt).ranking for prompt in (1,)]
            assert ranking is not None
            assert (tuple(ranking.shown), ranking.ranks) == (shown_ids, [1, 2, 1, 3])
            assert len(store.labels("Ann")) == 6
        await press(pilot, screen, "b", "backspace", "a", "u")
        await sees(pilot, "how?")
        assert said_nothing(db)
        await press(pilot, screen, "s")
        await until(pilot, lambda: "why?" in shown(app))


@pytest.mark.slow
async def test_only_what_is_there_can_be_ranked(texts: Path) -> None:
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, "rank")
        await sees(pilot, "a A b B = Tie")
        await press(pilot, screen, "d", "c")
        await sees(pilot, "the letters from best to worst")
        await press(pilot, screen, "b")
        await sees(pilot, "B > …")


def said_nothing(db: Path) -> bool:
    with Store(db) as store:
        return not [row for row in store.labels() if row.annotator == "Ann"]


@pytest.mark.slow
async def test_completions_are_scored(texts: Path) -> None:
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        screen = await opened(pilot, "score")
        assert isinstance(screen, ScoreScreen)
        await sees(pilot, "first 0")
        await press(pilot, screen, "7", "u", "2", "s", "5")
        await sees(pilot, "2 of 16")
    with Store(texts) as store:
        assert [(row.text, row.score) for row in store.completion_scores("Ann")] == [("first 0", 2), ("first 1", 5)]


@pytest.mark.slow
async def test_the_modes_follow_each_other(texts: Path) -> None:
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot)
        for kind in (RankScreen, ScoreScreen, LabelScreen):
            await pilot.press("v")
            await until(pilot, lambda kind=kind: isinstance(app.screen, kind) and not app.screen.busy)
        assert len(app.screen_stack) == 2


@pytest.mark.slow
async def test_only_the_wanted_pairs_are_asked(texts: Path) -> None:
    with Store(texts) as store:
        store.add_label(1, "Bob", "a")
        a, b = store.add_completions([Completion(1, "blind one"), Completion(1, "blind two")])
        store.add_pairs([Pair(1, a, b, "evaluation")])
    app = ArenaApp(texts, "Ann")
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, proposed_by=["evaluation"])
        await sees(pilot, "0 of 1")
        await sees(pilot, "blind one")
        await pilot.press("escape")
        await opened(pilot, new=True)
        await sees(pilot, "1 of 9")
        await sees(pilot, "prompt 1?")


@pytest.mark.slow
def test_the_command_opens_the_screen_in_a_terminal(texts: Path) -> None:
    terminal = Terminal(texts.parent, "label", "--as", "Ann", "--db", str(texts))
    terminal.wait_for(b"prompt 0?")
    terminal.press(b"1")
    terminal.wait_for(b"prompt 1?")
    terminal.press(b"\x1b[1;2C")  # shift and the right arrow
    terminal.wait_for(b"prompt 2?")
    terminal.press(b"\x11")
    assert terminal.end() == 0
    terminal.close()
    assert said(texts) == [(1, "left", 1), (2, "right", 2)]
