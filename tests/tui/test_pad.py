"""Buttons: what a terminal's bytes say, which are down in each mode, which action they are."""

from __future__ import annotations

import pytest
from textual import events
from textual.message import Message

from tui.pad import Mode, Pad, action_of, buttons_of
from tui.terminal_keys import KeyboardFlags, KeyUp, ReleaseParser

ALL = ["noop", "fire", "up", "right", "left", "down", "upright", "upfire", "uprightfire", "downleft"]
PONG = ["noop", "fire", "right", "left", "rightfire", "leftfire"]


def named(names: list[str]) -> dict[int, str]:
    return dict(enumerate(names))


def parsed(text: str) -> list[Message]:
    parser = ReleaseParser()
    return [*parser.feed(text), *parser.feed("")]


def test_a_terminal_says_what_is_pressed_repeated_and_let_go() -> None:
    sent = ["119;1:1;119u", "119;1:2;119u", "119;1:3u", "1;1:1A", "1;1:3A", "119;2:1;87u", "119;2:3u", "57441;1:3u"]
    heard = parsed("".join(f"\x1b[{keys}" for keys in sent))
    found = [(type(event).__name__, getattr(event, "key", "")) for event in heard]
    assert found == [
        ("Key", "w"),
        ("Key", "w"),
        ("KeyUp", "w"),
        ("Key", "up"),
        ("KeyUp", "up"),
        ("Key", "W"),
        ("KeyUp", "w"),
        ("KeyUp", "left_shift"),
    ]


def test_what_the_terminal_answers_about_its_keyboard_is_no_key() -> None:
    (flags,) = parsed("\x1b[?27u")
    assert isinstance(flags, KeyboardFlags)
    assert flags.flags == 27


def test_other_input_is_as_ever() -> None:
    found = parsed("a\x1b[A\x1b[119;5u\x1b[<0;3;4M\x1b[I")
    assert [type(event) for event in found] == [
        events.Key,
        events.Key,
        events.Key,
        events.MouseDown,
        events.AppFocus,
    ]
    assert not any(isinstance(event, KeyUp) for event in found)


@pytest.mark.parametrize(
    ("down", "names", "action"),
    [
        (["up"], ALL, "up"),
        (["up", "right"], ALL, "upright"),
        (["up", "right", "fire"], ALL, "uprightfire"),
        (["down", "fire"], ALL, "fire"),
        (["fire", "down"], ALL, "down"),
        (["up"], PONG, "right"),
        (["down", "fire"], PONG, "leftfire"),
        (["left"], ["up", "down", "left", "right"], "left"),
        (["up"], ["noop", "fire", "right", "left"], None),
        (["fire"], ["stay", "up", "down"], None),
        ([], ALL, None),
        (["up"], ["pass", "bet"], None),
    ],
)
def test_buttons_are_actions(down: list[str], names: list[str], action: str | None) -> None:
    assert action_of(down, named(names), names is PONG) == (None if action is None else names.index(action))


def test_names_of_actions() -> None:
    assert buttons_of("uprightfire") == {"up", "right", "fire"}
    assert buttons_of("noop") == frozenset()
    assert buttons_of("bet") is None


def down(mode: Mode, *events: tuple[str, str, int], steps: int = 1) -> list[str]:
    pad = Pad(mode, steps)
    for what, button, ply in events:
        if what == "step":
            pad.stepped(ply)
        else:
            getattr(pad, what)(button, ply)
    return pad.down


def test_release_holds_a_button_as_long_as_its_key() -> None:
    up, right = ("press", "up", 0), ("press", "right", 3)
    assert down("release", up, ("step", "", 5), right, up) == ["up", "right"]
    assert down("release", up, ("step", "", 2), ("release", "up", 2)) == []
    assert down("release", up, ("release", "up", 0)) == ["up"], "pressed and let go within one step: it still counts"
    assert down("release", up, ("release", "up", 0), ("step", "", 1)) == []
    assert down("release", up, ("release", "up", 0), up, ("step", "", 1)) == ["up"]


def test_latch_keeps_the_direction_and_fires_for_a_moment() -> None:
    up, fire = ("press", "up", 0), ("press", "fire", 0)
    assert down("latch", up, ("step", "", 99)) == ["up"]
    assert down("latch", up, ("press", "down", 1)) == ["down"]
    assert down("latch", up, fire) == ["up", "fire"]
    assert down("latch", up, fire, ("step", "", 1)) == ["up"]
    assert down("latch", up, ("press", "stop", 1)) == []
    assert down("latch", up, ("release", "up", 1)) == ["up"]


def test_tap_lasts_for_its_steps() -> None:
    up = ("press", "up", 4)
    assert down("tap", up, ("step", "", 5), steps=2) == ["up"]
    assert down("tap", up, ("step", "", 6), steps=2) == []
    assert down("tap", up, ("press", "left", 4)) == ["left"]


def test_another_mode_begins_with_nothing_down() -> None:
    pad = Pad("latch")
    pad.press("up", 0)
    pad.mode = "tap"
    assert pad.down == []
