"""Lines of cells: what Textual does with them, without garbage."""

from __future__ import annotations

import gc
import inspect
import re
from collections.abc import Iterator

import pytest
import textual.strip
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui import strips


class Held(Style):
    gone = 0

    def __del__(self) -> None:
        Held.gone += 1


@pytest.fixture
def no_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    yield
    if enabled:
        gc.enable()


def line() -> Strip:
    return Strip([Segment("ab", Style(bold=True)), Segment("cde"), Segment("名f")])


def test_the_caches_are_those_of_textual() -> None:
    made = re.findall(
        r"self\.(_\w+): FIFOCache\[.*?\] = FIFOCache\((\d+)\)", inspect.getsource(textual.strip), re.DOTALL
    )
    assert {name: int(size) for name, size in made} == strips.CACHES
    assert {name for name in Strip.__slots__ if name.endswith("_cache")} == {*strips.CACHES, "_render_cache"}
    assert not hasattr(line(), "_no_cache")


@pytest.mark.usefixtures("no_collection")
def test_a_line_that_stayed_whole_goes_at_once() -> None:
    Held.gone = 0
    whole = Strip([Segment("abc", Held())], 3)
    assert whole.divide([3]) == [whole]
    assert whole.divide([3, 9]) == [whole]
    assert whole.crop_extend(0, 3, None) is whole
    assert [part.text for part in whole.divide([1, 3])] == ["a", "bc"]
    del whole
    assert Held.gone == 1


@pytest.mark.parametrize("cuts", [[8], [3, 8], [2, 5, 8], [8, 20], [3], []])
def test_a_line_is_cut_as_textual_cuts_it(cuts: list[int]) -> None:
    expected = [(part.text, part.cell_length) for part in strips._divide_parts(line(), cuts)]
    once = line()
    for _ in range(2):
        assert [(part.text, part.cell_length) for part in once.divide(cuts)] == expected


@pytest.mark.parametrize(("start", "end"), [(0, 8), (0, 5), (0, 12), (2, 8), (3, 11), (-1, 8), (8, 8)])
def test_a_line_is_cropped_as_textual_crops_it(start: int, end: int) -> None:
    expected = strips._crop_extend_line(line(), start, end, None)
    once = line()
    for _ in range(2):
        found = once.crop_extend(start, end, None)
        assert (found.text, found.cell_length) == (expected.text, expected.cell_length)
