"""Frames and coloured text of other libraries as drawings."""

from __future__ import annotations

import re
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from envs.rendering import Span

WIDTH, HEIGHT = 78, 20
_ESCAPE = re.compile(r"\x1b\[([0-9;]*)[A-Za-z]")


def half_blocks(frame: NDArray[np.uint8], width: int = WIDTH, height: int = HEIGHT) -> list[list[Span]]:
    """A frame [H, W, 3] as '▀' cells of two pixels each, scaled by area to fit width × height cells."""
    rows, columns, _ = frame.shape
    scale = min(width / columns, 2 * height / rows)
    size = (2 * max(1, int(rows * scale / 2)), max(1, int(columns * scale)))
    pixels = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1).unsqueeze(0).float()
    small = interpolate(pixels, size=size, mode="area")[0].permute(1, 2, 0).round().to(torch.uint8).tolist()
    lines = []
    for upper, lower in zip(small[::2], small[1::2], strict=True):
        styles = [f"{_hex(above)} on {_hex(below)}" for above, below in zip(upper, lower, strict=True)]
        lines.append([("▀" * len(list(run)), style) for style, run in groupby(styles)])
    return lines


def _hex(pixel: list[int]) -> str:
    red, green, blue = pixel
    return f"#{red:02x}{green:02x}{blue:02x}"


def text_lines(text: str, width: int = WIDTH, height: int = HEIGHT) -> list[list[Span]]:
    """Text with terminal escapes, cut to width × height: what was coloured is in style "agent", the escapes go."""
    lines: list[list[Span]] = []
    style = "plain"
    for line in text.strip("\n").split("\n")[:height]:
        spans: list[Span] = []
        room = width
        for index, part in enumerate(_ESCAPE.split(line)):
            if index % 2:
                style = "plain" if part in ("", "0") else "agent"
                continue
            shown = "".join(letter for letter in part if letter.isprintable())[:room]
            room -= len(shown)
            if shown:
                spans.append((shown, style))
        lines.append(spans)
    return lines
