"""A game as a moving GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from arena.formats import Recorded
from arena.formats.film import BACKGROUND, Shot, colours, only, shots
from envs.rendering import Drawing

CELL = (9, 18)
"""A character cell's width and height in pixels."""
HEIGHT = 240
"""Of a game's own picture, which is 4 to 3."""
SHORTEST = 0.02
"""Seconds: browsers show quicker pictures slowly."""
_ARMS = {
    "─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ur", "┘": "ul",
    "├": "urd", "┤": "uld", "┬": "lrd", "┴": "ulr", "┼": "uldr",
}  # fmt: skip
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_BLOCKS = {"▀": (0.0, 0.5), "▄": (0.5, 1.0), "█": (0.0, 1.0)}


def write(games: Sequence[Recorded]) -> bytes:
    """One game's positions at its own pace."""
    kept: list[tuple[Image.Image, float]] = []
    before: bytes | None = None
    for shot in shots(only(games)):
        image = _image(shot)
        pixels = image.tobytes()
        if pixels == before:
            kept[-1] = (kept[-1][0], kept[-1][1] + shot.seconds)
        else:
            kept.append((_with_palette(image), shot.seconds))
        before = pixels
    target = io.BytesIO()
    durations = [10 * round(100 * max(SHORTEST, seconds)) for _, seconds in kept]
    images = [image for image, _ in kept]
    images[0].save(target, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0, disposal=1)
    return target.getvalue()


def _with_palette(image: Image.Image) -> Image.Image:
    return image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _image(shot: Shot) -> Image.Image:
    if shot.picture is not None:
        size = (HEIGHT * 4 // 3, HEIGHT)
        return Image.fromarray(np.ascontiguousarray(shot.picture)).resize(size, Image.Resampling.NEAREST)
    return draw(shot.drawing, shot.caption)


def draw(drawing: Drawing, caption: str) -> Image.Image:
    """A drawing and a line below it as a picture."""
    lines = [*drawing.lines, [], [(caption, "dim")]]
    columns = max(sum(len(text) for text, _ in line) for line in lines)
    width, height = CELL
    image = Image.new("RGB", ((columns + 2) * width, (len(lines) + 1) * height), BACKGROUND)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    for row, line in enumerate(lines):
        x, y = width, row * height + height // 2
        for text, style in line:
            front, back = colours(style)
            if back != BACKGROUND:
                pen.rectangle((x, y, x + len(text) * width - 1, y + height - 1), fill=back)
            for letter in text:
                _letter(pen, letter, (x, y), front, font)
                x += width
    return image


def _letter(pen: ImageDraw.ImageDraw, letter: str, at: tuple[int, int], colour: str, font: Font) -> None:
    """One character in its cell: rules, blocks and stones as shapes, since fonts lack them; else as the font has it."""
    (x, y), (width, height) = at, CELL
    middle, centre = x + width // 2, y + height // 2
    if letter in _ARMS:
        ends = {"l": (x, centre), "r": (x + width, centre), "u": (middle, y), "d": (middle, y + height)}
        for arm in _ARMS[letter]:
            pen.line((middle, centre, *ends[arm]), fill=colour)
    elif letter in _BLOCKS:
        top, bottom = _BLOCKS[letter]
        pen.rectangle((x, y + round(top * height), x + width - 1, y + round(bottom * height) - 1), fill=colour)
    elif letter in "●○":
        box = (x, centre - width // 2, x + width - 1, centre - width // 2 + width - 1)
        pen.ellipse(box, fill=ImageColor.getrgb(colour) if letter == "●" else None, outline=colour)
    elif letter.isprintable() and letter != " ":
        pen.text((middle, centre), letter, fill=colour, font=font, anchor="mm")
