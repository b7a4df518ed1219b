"""Pictures from a child process to its front end: shared memory in which the newest one stands. No torch.

The writer never waits: it writes into the next of a few slots and then says which one is the newest. The reader takes
the newest whole one and never sees those that came and went in between. The memory has no name and is gone with the
last process that holds it, however that ends.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs.scaling import Picture

SLOTS = 4
SLOT_SIZE = 1 << 20
MAX_PICTURES = 4
READS = 100
"""How often the newest one is tried, which is written over now and then while it is read."""
_NUMBER = struct.Struct("<Q")
_HEAD = struct.Struct(f"<II{2 * MAX_PICTURES}H")  # bytes of text, pictures, height and width of each
_FIRST = 64


class Shown(NamedTuple):
    """What stood in the memory: its number, a text, and pictures [H, W, 3]."""

    number: int
    text: bytes
    pictures: list[Picture]


class FrameMemory:
    """The shared memory. `create` it in the front end, give the child `fileno`, open it there by `FrameMemory(fd)`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._memory = mmap.mmap(fd, _FIRST + SLOTS * SLOT_SIZE)

    @classmethod
    def create(cls) -> FrameMemory:
        """New memory without a name."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("frames")
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, _FIRST + SLOTS * SLOT_SIZE)
        return cls(fd)

    def fileno(self) -> int:
        return self._fd

    @property
    def number(self) -> int:
        """Of what was written last; 0: nothing was."""
        return int(_NUMBER.unpack_from(self._memory)[0])

    def write(self, text: bytes, pictures: Sequence[Picture] = ()) -> None:
        """Show this from now on. Raises ValueError for what is too large."""
        shapes = [size for picture in pictures for size in picture.shape[:2]]
        if len(pictures) > MAX_PICTURES or _HEAD.size + len(text) + sum(p.nbytes for p in pictures) > SLOT_SIZE:
            raise ValueError(f"{len(pictures)} pictures {shapes} and {len(text)} bytes are too much to show at once")
        number = self.number + 1
        at = _FIRST + number % SLOTS * SLOT_SIZE
        _HEAD.pack_into(self._memory, at, len(text), len(pictures), *shapes, *[0] * (2 * MAX_PICTURES - len(shapes)))
        at += _HEAD.size
        self._memory[at : at + len(text)] = text
        at += len(text)
        for picture in pictures:
            self._memory[at : at + picture.nbytes] = picture.tobytes()
            at += picture.nbytes
        _NUMBER.pack_into(self._memory, 0, number)

    def read(self, after: int = 0) -> Shown | None:
        """What is shown now; None where that is no newer than number `after`, or never held still to be read."""
        for _ in range(READS):
            number = self.number
            if number <= after:
                return None
            at = _FIRST + number % SLOTS * SLOT_SIZE
            length, count, *shapes = _HEAD.unpack_from(self._memory, at)
            at += _HEAD.size
            if count > MAX_PICTURES or length > SLOT_SIZE:
                continue  # overwritten while it was read
            text = self._memory[at : at + length]
            at += length
            pictures: list[Picture] = []
            for height, width in zip(shapes[: 2 * count : 2], shapes[1 : 2 * count : 2], strict=True):
                raw = np.frombuffer(self._memory[at : at + height * width * 3], dtype=np.uint8)
                at += height * width * 3
                if raw.size == height * width * 3:
                    pictures.append(raw.reshape(height, width, 3))
            if self.number <= number + SLOTS - 2 and len(pictures) == count:
                return Shown(number, text, pictures)
        return None

    def close(self) -> None:
        """Let go of it; a second call does nothing."""
        if not self._memory.closed:
            self._memory.close()
            os.close(self._fd)
