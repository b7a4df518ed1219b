"""Textual's lines of cells, `Strip`, so that a line which is drawn over is gone.

As they come they make seven caches each, nearly all of which stay empty, and two of these are given the line itself
where there is nothing to cut off: such a line, and that is most of a screen, waits for a full collection of garbage.
A part of Textual that may change: its version is pinned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.cache import FIFOCache
from textual.strip import Strip

CACHES = {
    "_divide_cache": 4,
    "_crop_cache": 16,
    "_style_cache": 16,
    "_filter_cache": 4,
    "_line_length_cache": 4,
    "_crop_extend_cache": 4,
    "_offsets_cache": 4,
}
"""Those of a line, and their sizes."""


def _begin(strip: Strip, segments: Iterable[Segment], cell_length: int | None = None) -> None:
    """A new line without caches."""
    strip._segments = list(segments)
    strip._cell_length = cell_length
    strip._render_cache = strip._link_ids = strip._cell_count = None


def _cache(strip: Strip, name: str) -> FIFOCache[Any, Any]:
    """A cache that a line has not had, and has from now on."""
    if name not in CACHES:
        raise AttributeError(name, name=name, obj=strip)
    cache: FIFOCache[Any, Any] = FIFOCache(CACHES[name])
    setattr(strip, name, cache)
    return cache


def _divide(strip: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
    """Textual's `divide`; a line that stays whole does not keep itself."""
    length = strip.cell_length
    within = [cut for cut in cuts if cut <= length]
    return [strip] if within == [length] else _divide_parts(strip, within)


def _crop_extend(strip: Strip, start: int, end: int, style: Style | None) -> Strip:
    """Textual's `crop_extend`; a line that is as long as it shall be does not keep itself."""
    return strip if start <= 0 and end == strip.cell_length else _crop_extend_line(strip, start, end, style)


_divide_parts, _crop_extend_line = Strip.divide, Strip.crop_extend
Strip.__init__ = _begin  # type: ignore[assignment, method-assign]
Strip.__getattr__ = _cache  # type: ignore[attr-defined]
Strip.divide = _divide  # type: ignore[assignment, method-assign]
Strip.crop_extend = _crop_extend  # type: ignore[assignment, method-assign]
