"""Shared memory with the newest picture in it."""

from __future__ import annotations

import numpy as np
import pytest

from arena.frames import SLOT_SIZE, SLOTS, FrameMemory, Shown
from envs.scaling import Picture


def picture(colour: int, height: int = 5, width: int = 4) -> Picture:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def test_the_newest_is_read_and_nothing_twice() -> None:
    memory = FrameMemory.create()
    assert memory.read() is None
    for number in range(1, 3 * SLOTS):
        memory.write(b"text %d" % number, [picture(number), picture(255 - number, 2, 9)])
        if number % 3 == 0:
            shown = memory.read(number - 1)
            assert shown is not None
            assert (shown.number, shown.text) == (number, b"text %d" % number)
            assert [p.shape for p in shown.pictures] == [(5, 4, 3), (2, 9, 3)]
            assert (shown.pictures[0] == number).all()
            assert (shown.pictures[1] == 255 - number).all()
            assert memory.read(number) is None
    memory.close()


def test_both_ends_see_the_same_memory() -> None:
    import os

    memory = FrameMemory.create()
    other = FrameMemory(os.dup(memory.fileno()))
    other.write(b"from the child")
    shown = memory.read()
    assert shown is not None
    assert (shown.text, shown.pictures) == (b"from the child", [])
    other.close()
    memory.close()


def test_what_is_overwritten_while_it_is_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FrameMemory.create()
    memory.write(b"old", [picture(1)])
    once = iter([True])
    frombuffer = np.frombuffer

    def slow(*args: object, **kwargs: object) -> object:
        for _ in once:
            for number in range(2, 2 + SLOTS):
                memory.write(b"new %d" % number, [picture(number)])
        return frombuffer(*args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr("arena.frames.np.frombuffer", slow)
    shown = memory.read()
    assert isinstance(shown, Shown)
    assert (shown.text, int(shown.pictures[0].max())) == (b"new 5", 5)
    memory.close()


def test_what_is_no_picture_is_not_read_for_ever() -> None:
    memory, other = FrameMemory.create(), bytearray(b"\xff" * 64)
    memory.write(b"text", [picture(1)])
    memory._memory[64 + SLOT_SIZE : 64 + SLOT_SIZE + len(other)] = other  # where number 1 stands
    assert memory.read() is None
    memory.write(b"text", [picture(2)])
    assert memory.read() is not None
    memory.close()


def test_too_much_is_refused_and_nothing_changes() -> None:
    memory = FrameMemory.create()
    memory.write(b"before")
    for text, pictures in [(b" " * SLOT_SIZE, []), (b"", [picture(0)] * 5), (b"", [picture(0, 1000, 1000)])]:
        with pytest.raises(ValueError, match="too much"):
            memory.write(text, pictures)
    assert memory.number == 1
    memory.close()
