"""A game as a moving GIF."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFont
from PIL.GifImagePlugin import getdata

from arena.formats import Recorded
from arena.formats.film import BACKGROUND, Shot, colours, only, shots
from envs.rendering import Drawing, Span

CELL = (9, 18)
"""A character cell's width and height in pixels."""
PICTURE = (320, 240)
"""A game's own picture, which is 4 to 3."""
SHORTEST, LONGEST = 0.02, 655.35
"""Seconds: browsers show quicker pictures slowly; the file's form can say no more."""
_CLEAR = 255
"""The colour that leaves what was there."""
_ARMS = {
    "─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ur", "┘": "ul",
    "├": "urd", "┤": "uld", "┬": "lrd", "┴": "ulr", "┼": "uldr",
}  # fmt: skip
_QUARTERS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
"""A block's place is the sum of what it fills: 1 upper left, 2 upper right, 4 lower left, 8 lower right."""
_SHADES = {"░": 0.25, "▒": 0.5, "▓": 0.75}
Points = Sequence[tuple[float, float]]
"""(right, down) from the middle of a cell, in halves of its width."""
_SLANTS = [(-1, -1), (1, 1)], [(-1, 1), (1, -1)]
_STROKES: dict[str, Sequence[Points]] = {
    "╱": [[(-1, 2), (1, -2)]],
    "╲": [[(-1, -2), (1, 2)]],
    "×": _SLANTS,
    "✕": _SLANTS,
}
_STAR = [(r * math.sin(k * math.pi / 5), -r * math.cos(k * math.pi / 5)) for k, r in enumerate([1.1, 0.45] * 5)]
_POLYGONS: dict[str, Points] = {"◆": [(0, -1), (1, 0), (0, 1), (-1, 0)], "★": _STAR}
_SPELT = dict(zip("♔♕♖♗♘♙♚♛♜♝♞♟–−", "KQRBNPKQRBNP--", strict=True))
"""What the font lacks and other letters can say."""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def write(games: Sequence[Recorded]) -> bytes:
    """One game's positions at its own pace.

    Pillow would hold every picture until the last is there, too much of a long game: here each is encoded as it comes.
    """
    frames = _frames(only(games))
    before, seconds = next(frames)
    target = io.BytesIO()
    before.save(target, "GIF", duration=_milliseconds(seconds), loop=0, disposal=1)
    parts = [target.getvalue().removesuffix(b";")]
    for image, seconds in frames:
        parts += _change(before, image, seconds)
        before = image
    return b"".join([*parts, b";"])


def _frames(game: Recorded) -> Iterator[tuple[Image.Image, float]]:
    """What is seen, all of one size, and for how many seconds; positions that look the same are one."""
    size = _size(game)
    seen: Image.Image | None = None
    seconds = 0.0
    for shot in shots(game):
        image = _with_palette(_image(shot, size))
        if seen is not None and _difference(seen, image).getbbox() is None:
            seconds += shot.seconds
            continue
        if seen is not None:
            yield seen, seconds
        seen, seconds = image, shot.seconds
    assert seen is not None, "a game has a first position"
    yield seen, seconds


def _size(game: Recorded) -> tuple[int, int]:
    """The largest position's: captions grow, and some drawings do."""
    sizes = []
    for shot in shots(game):
        if shot.picture is not None:
            return PICTURE
        sizes.append(_room(_lines(shot.drawing, shot.caption)))
    widths, heights = zip(*sizes, strict=True)
    return max(widths), max(heights)


def _change(before: Image.Image, image: Image.Image, seconds: float) -> list[bytes]:
    """A frame of the file: the part that differs from the picture before, clear where it does not."""
    differs = _difference(before, image)
    box = differs.getbbox()
    assert box is not None
    part = image.crop(box)
    part.paste(_CLEAR, mask=differs.crop(box).point(lambda level: 255 * (level == 0)))
    used = [colour for colour, count in enumerate(part.histogram()[:_CLEAR]) if count]
    part = part.remap_palette([*used, _CLEAR])
    duration = _milliseconds(seconds)
    return getdata(part, box[:2], duration=duration, disposal=1, transparency=len(used), include_color_table=True)


def _difference(one: Image.Image, other: Image.Image) -> Image.Image:
    """In grey; black where they look the same, whatever their palettes."""
    red, green, blue = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _milliseconds(seconds: float) -> int:
    return 10 * round(100 * min(max(SHORTEST, seconds), LONGEST))


def _with_palette(image: Image.Image) -> Image.Image:
    return image.quantize(_CLEAR, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _image(shot: Shot, size: tuple[int, int]) -> Image.Image:
    if shot.picture is not None:
        return Image.fromarray(np.ascontiguousarray(shot.picture)).resize(size, Image.Resampling.NEAREST)
    image = Image.new("RGB", size, BACKGROUND)
    image.paste(draw(shot.drawing, shot.caption))
    return image


def _lines(drawing: Drawing, caption: str) -> list[Sequence[Span]]:
    return [*drawing.lines, [], [(caption, "dim")]]


def _room(lines: Sequence[Sequence[Span]]) -> tuple[int, int]:
    """The width and height of lines and a margin."""
    columns = max(sum(len(text) for text, _ in line) for line in lines)
    return (columns + 2) * CELL[0], (len(lines) + 1) * CELL[1]


def draw(drawing: Drawing, caption: str) -> Image.Image:
    """A drawing and a line below it as a picture."""
    lines = _lines(drawing, caption)
    width, height = CELL
    image = Image.new("RGB", _room(lines), BACKGROUND)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    for row, line in enumerate(lines):
        x, y = width, row * height + height // 2
        for text, style in line:
            front, back = colours(style)
            if back != BACKGROUND:
                pen.rectangle((x, y, x + len(text) * width - 1, y + height - 1), fill=back)
            for letter in text:
                _letter(pen, letter, (x, y), (front, back), font)
                x += width
    return image


def _letter(pen: ImageDraw.ImageDraw, letter: str, at: tuple[int, int], style: tuple[str, str], font: Font) -> None:
    """One character in its cell: as a shape where fonts lack it, else as the font has it."""
    (x, y), (width, height) = at, CELL
    half = width // 2
    middle, centre = x + half, y + height // 2
    colour, back = style

    def place(points: Points) -> list[tuple[float, float]]:
        return [(middle + half * right, centre + half * down) for right, down in points]

    if letter in _ARMS:
        ends = {"l": (x, centre), "r": (x + width, centre), "u": (middle, y), "d": (middle, y + height)}
        for arm in _ARMS[letter]:
            pen.line((middle, centre, *ends[arm]), fill=colour)
    elif letter in _QUARTERS:
        columns, rows = ((x, middle - 1), (middle, x + width - 1)), ((y, centre - 1), (centre, y + height - 1))
        for quarter in range(4):
            if _QUARTERS.index(letter) >> quarter & 1:
                (left, right), (top, bottom) = columns[quarter % 2], rows[quarter // 2]
                pen.rectangle((left, top, right, bottom), fill=colour)
    elif letter in _SHADES:
        levels = zip(bytes.fromhex(back[1:]), bytes.fromhex(colour[1:]), strict=True)
        mixed = tuple(round(low + _SHADES[letter] * (high - low)) for low, high in levels)
        pen.rectangle((x, y, x + width - 1, y + height - 1), fill=mixed)
    elif letter in _STROKES:
        for points in _STROKES[letter]:
            pen.line(place(points), fill=colour)
    elif letter in _POLYGONS:
        pen.polygon(place(_POLYGONS[letter]), fill=colour)
    elif letter in "●○":
        box = (x, centre - half, x + width - 1, centre - half + width - 1)
        pen.ellipse(box, fill=ImageColor.getrgb(colour) if letter == "●" else None, outline=colour)
    elif letter.isprintable():
        pen.text((middle, centre), _SPELT.get(letter, letter), fill=colour, font=font, anchor="mm")
