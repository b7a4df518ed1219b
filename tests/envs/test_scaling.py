"""Pictures made to fit a terminal: sizes, and that small things stay."""

from __future__ import annotations

import numpy as np
import pytest

from envs.scaling import covering, fitting, pack, scale

FIELD, BALL = (144, 72, 17), (236, 236, 236)


def field(ball: tuple[int, int, int], at: tuple[int, int], background: tuple[int, int, int] = FIELD) -> np.ndarray:
    picture = np.empty((210, 160, 3), dtype=np.uint8)
    picture[:] = background
    picture[at[0] : at[0] + 4, at[1] : at[1] + 2] = ball
    return picture


@pytest.mark.parametrize(("ball", "background"), [(BALL, FIELD), (FIELD, BALL), ((92, 186, 92), (0, 0, 0))])
def test_a_ball_of_two_by_four_pixels_survives_at_80x24_wherever_it_is(
    ball: tuple[int, int, int], background: tuple[int, int, int]
) -> None:
    width, height = fitting(56, 21)
    for row in range(0, 206, 11):
        for column in range(0, 158, 7):
            small = scale(pack(field(ball, (row, column), background)), width, height)
            colour = (ball[0] << 16) | (ball[1] << 8) | ball[2]
            where = np.argwhere((small & 0xFFFFFF) == colour)
            assert 1 <= len(where) <= 6
            assert abs(where[:, 0].mean() - (row + 1.5) * height / 210) < 1.5
            assert abs(where[:, 1].mean() - (column + 0.5) * width / 160) < 1.5


def test_no_colour_is_made_up() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (21, 16, 3), dtype=np.uint8)
    for width, height in [(5, 6), (16, 21), (40, 50), (3, 50)]:
        small = scale(pack(picture), width, height)
        assert small.shape == (height, width)
        assert set(small.ravel().tolist()) <= set(pack(picture).ravel().tolist())


def test_growing_repeats_and_the_same_size_changes_nothing() -> None:
    packed = pack(np.random.default_rng(0).integers(0, 256, (4, 3, 3), dtype=np.uint8))
    assert (scale(packed, 3, 4) == packed).all()
    assert (scale(packed, 6, 8) == packed.repeat(2, 0).repeat(2, 1)).all()


def test_packing_keeps_colours_below_their_brightness() -> None:
    assert pack(np.array([[[255, 255, 255], [1, 2, 3], [0, 0, 0]]], dtype=np.uint8)).tolist() == [
        [0xFFFFFFFF, (77 + 300 + 87 >> 8) << 24 | 0x010203, 0]
    ]


@pytest.mark.parametrize(
    ("space", "fit", "cover"),
    [((56, 21), (56, 42), (56, 42)), ((160, 60), (160, 120), (160, 120)), ((78, 20), (53, 40), (78, 58))],
)
def test_pictures_are_four_to_three(space: tuple[int, int], fit: tuple[int, int], cover: tuple[int, int]) -> None:
    assert (fitting(*space), covering(*space)) == (fit, cover)
    assert (fitting(20, 50), covering(20, 50)) == ((20, 16), (133, 100))
    assert fitting(0, 0) == (1, 2)
