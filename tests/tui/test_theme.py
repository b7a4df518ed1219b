"""The themes: readable, and the two seats told apart by any eyes and on any terminal."""

from __future__ import annotations

from itertools import combinations

import pytest
from rich.color import Color, ColorSystem
from rich.style import Style

from tui.theme import THEMES, default_theme, style_of

# What people without one kind of cone see, on linear RGB (Machado, Oliveira, Fernandes 2009, severity 1).
BLIND = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
NAMES = [theme.name for theme in THEMES]


def linear(color: Color) -> list[float]:
    channels = [channel / 255 for channel in color.get_truecolor()]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def contrast(one: Color, other: Color) -> float:
    """WCAG 2's ratio, from 1 to 21."""
    low, high = sorted(
        sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(x), strict=True)) for x in (one, other)
    )
    return (high + 0.05) / (low + 0.05)


def ink(words: str, theme: str) -> Color:
    color = style_of(words, theme).color
    assert color is not None
    return color


@pytest.mark.parametrize("theme", THEMES, ids=NAMES)
def test_everything_can_be_read(theme) -> None:
    background = Color.parse(theme.background)
    least = 7 if theme.name == "arena-contrast" else 4.5
    for words in ("plain", "dim", "player0", "player1", "legal", "goal", "danger", "agent", "wall"):
        wanted = 3 if words == "wall" else least
        assert contrast(ink(words, theme.name), background) >= wanted, words
    for words in ("cursor", "hint"):
        style = Style(color=ink("plain", theme.name)) + style_of(words, theme.name)
        assert style.color is not None
        assert style.bgcolor is not None
        assert contrast(style.color, style.bgcolor) >= 4.5, words
        assert contrast(style.bgcolor, background) >= 1.3, f"{words} is not to be seen"


@pytest.mark.parametrize("theme", NAMES)
@pytest.mark.parametrize("eyes", BLIND)
def test_the_seats_are_told_apart_by_any_eyes(theme: str, eyes: str) -> None:
    seen = [
        [sum(m * c for m, c in zip(row, linear(ink(words, theme)), strict=True)) for row in BLIND[eyes]]
        for words in ("player0", "player1")
    ]
    apart = sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5
    assert apart > (0.15 if theme == "arena-light" else 0.3)


def test_the_contrast_theme_is_the_same_with_sixteen_colours() -> None:
    words = ("plain", "player0", "player1", "danger")
    numbers = [ink(word, "arena-contrast").downgrade(ColorSystem.STANDARD).number for word in words]
    assert all(a != b for a, b in combinations(numbers, 2))
    cursor = style_of("cursor", "arena-contrast").bgcolor
    assert cursor is not None
    assert cursor.downgrade(ColorSystem.STANDARD).number != 0
    assert [default_theme(system) for system in ("standard", None, "256", "truecolor")] == [
        "arena-contrast", "arena-contrast", "arena-dark", "arena-dark",
    ]  # fmt: skip


def test_a_theme_of_somebody_elses_borrows_our_styles() -> None:
    assert style_of("player0", "nord") == style_of("player0", "arena-dark")
    assert style_of("player0", "solarized-light", dark=False) == style_of("player0", "arena-light")
    assert style_of("no-such-word", "arena-dark") == Style()
    assert style_of("#nonsense", "arena-dark") == Style()
    assert style_of("on #102030", "arena-dark").bgcolor == Color.parse("#102030")
