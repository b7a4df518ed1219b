"""FrameView: a picture as half-blocks, two pixels a cell; only the bands of rows that changed are painted again."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from envs.rendering import CONTRAST
from envs.scaling import Packed, Picture, covering, fitting, pack, scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

Zoom = Literal["fit", "crop", "native"]
"""The whole picture as large as it goes; all of the space filled, what is too much cut evenly; pixel for pixel."""
ZOOMS: tuple[Zoom, ...] = get_args(Zoom)
GOOD_COLUMNS = 100
"""From so many columns on, Atari's smallest things have their shape."""
_BLACK = 0
_RGB = 0xFFFFFF
_UNLIT, _LIT = 1 << 24, 2 << 24
"""Pixels without a colour."""


class FrameView(Widget, can_focus=True):
    """Shows a picture [H, W, 3] in the middle of its space. Without colours pixels are lit or not."""

    def __init__(self, id: str | None = None, zoom: Zoom = "fit") -> None:
        super().__init__(id=id)
        self._zoom: Zoom = zoom
        self._picture: Picture | None = None
        self._cells: NDArray[np.uint64] = np.zeros((0, 0), dtype=np.uint64)
        self._origin = (0, 0)

    @property
    def zoom(self) -> Zoom:
        return self._zoom

    @zoom.setter
    def zoom(self, zoom: Zoom) -> None:
        self._zoom = zoom
        self._lay_out()

    @property
    def monochrome(self) -> bool:
        """Whether colours are unwanted or unknown to the terminal."""
        return self.app.no_color or self.app.console.color_system is None

    @property
    def cells(self) -> tuple[int, int]:
        """(columns, lines) of the picture as it is shown."""
        lines, columns = self._cells.shape
        return columns, lines

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """(columns, lines) of the picture itself."""
        return None if self._picture is None else (self._picture.shape[1], self._picture.shape[0])

    @property
    def small(self) -> bool:
        """Whether a larger window would show more of the picture."""
        return self._picture is not None and self.cells[0] < min(GOOD_COLUMNS, self._picture.shape[1])

    def show(self, picture: Picture | None) -> None:
        """Paint what differs from the picture before; None: nothing is shown."""
        self._picture = picture
        cells = self._scaled()
        if cells.shape != self._cells.shape:
            self._put(cells)
            self.refresh()
            return
        changed = np.flatnonzero((cells != self._cells).any(1))
        if len(changed):
            self._put(cells)
            x, y = self._origin
            self.refresh(*(Region(x, y + top, cells.shape[1], height) for top, height in _bands(changed.tolist())))

    def share(self, x: float, y: float) -> tuple[float, float]:
        """Where a cell of the widget lies in the picture, from 0 to 1 across and down."""
        lines, columns = self._cells.shape
        left, top = self._origin
        within = ((x + 0.5 - left) / max(1, columns), (y + 0.5 - top) / max(1, lines))
        return min(1.0, max(0.0, within[0])), min(1.0, max(0.0, within[1]))

    def on_resize(self) -> None:
        self._lay_out()

    def render_line(self, y: int) -> Strip:
        left, top = self._origin
        width = self.size.width
        row = y - top
        lines, columns = self._cells.shape
        if not 0 <= row < lines:
            return Strip.blank(width, self.rich_style)
        picture = _strip(self._cells[row].tobytes())
        blank = self.rich_style
        sides = (Strip.blank(left, blank), picture, Strip.blank(width - left - columns, blank))
        return Strip.join([part for part in sides if part.cell_length])

    def _lay_out(self) -> None:
        self._put(self._scaled())
        self.refresh()

    def _put(self, cells: NDArray[np.uint64]) -> None:
        self._cells = cells
        lines, columns = cells.shape
        self._origin = (max(0, (self.size.width - columns) // 2), max(0, (self.size.height - lines) // 2))

    def _scaled(self) -> NDArray[np.uint64]:
        """The picture's cells [lines, columns]: the upper pixel in the high half, the lower one in the low half."""
        columns, lines = self.size
        if self._picture is None or not columns or not lines:
            return np.zeros((0, 0), dtype=np.uint64)
        packed = pack(self._picture)
        if self._zoom == "native":
            pixels = packed
        else:
            pixels = scale(packed, *(fitting if self._zoom == "fit" else covering)(columns, lines))
        pixels = _middle(pixels, columns, 2 * lines)
        if len(pixels) % 2:
            pixels = np.concatenate([pixels, np.full_like(pixels[:1], _BLACK)])
        pixels = _lit(pixels) if self.monochrome else pixels & np.uint32(_RGB)
        return (pixels[::2].astype(np.uint64) << np.uint64(32)) | pixels[1::2]


def _middle(pixels: Packed, width: int, height: int) -> Packed:
    """At most width × height pixels from the middle."""
    top, left = max(0, len(pixels) - height) // 2, max(0, pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def _lit(pixels: Packed) -> Packed:
    """Whether a pixel stands out from the commonest brightness: `_LIT` or `_UNLIT`."""
    luminance = (pixels >> 24).astype(np.int32)
    usual = int(np.bincount(luminance.ravel(), minlength=256).argmax())
    return np.where(np.abs(luminance - usual) >= CONTRAST, np.uint32(_LIT), np.uint32(_UNLIT))


def _bands(rows: Iterable[int]) -> list[tuple[int, int]]:
    """Rising row numbers → (first, how many) of each run without a gap."""
    bands: list[tuple[int, int]] = []
    for row in rows:
        if bands and row == sum(bands[-1]):
            bands[-1] = (bands[-1][0], bands[-1][1] + 1)
        else:
            bands.append((row, 1))
    return bands


@lru_cache(maxsize=2048)
def _strip(row: bytes) -> Strip:
    """A row of cells as runs of equal ones. Most rows of a game come back again and again."""
    cells = np.frombuffer(row, dtype=np.uint64)
    edges = [0, *(np.flatnonzero(cells[1:] != cells[:-1]) + 1).tolist(), len(cells)]
    return Strip([_segment(int(cells[start]), end - start) for start, end in pairwise(edges)], len(cells))


@lru_cache(maxsize=8192)
def _segment(cell: int, width: int) -> Segment:
    upper, lower = cell >> 32, cell & 0xFFFFFFFF
    if upper >= _UNLIT:
        return Segment(" ▄▀█"[2 * (upper == _LIT) + (lower == _LIT)] * width, Style())
    if upper == lower:
        return Segment(" " * width, Style(bgcolor=f"#{lower:06x}"))
    return Segment("▀" * width, Style(color=f"#{upper:06x}", bgcolor=f"#{lower:06x}"))
