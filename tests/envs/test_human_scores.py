from __future__ import annotations

import pytest

from envs.atari import _names
from envs.human_scores import SCORES, human_share, scale


def test_the_scale_goes_from_random_play_to_a_human() -> None:
    assert human_share("ALE/Pong-v5", -20.7) == 0
    assert human_share("ALE/Pong-v5?sticky=0", 14.6) == pytest.approx(1)
    assert human_share("ALE/Breakout-v5", 415) == pytest.approx((415 - 1.7) / (30.5 - 1.7))
    assert human_share("ALE/Atlantis2-v5", 1000) is None
    assert human_share("connect_four", 1.0) is None


def test_scores_are_of_games_that_there_are() -> None:
    assert {f"ALE/{name}-v5" for name in SCORES} <= set(_names())
    assert all(random < human for random, human in SCORES.values())


def test_settings_are_told() -> None:
    assert "no sticky actions, frame skip 4, fewer than 30 idle frames" in scale("ALE/Pong-v5?sticky=0")
    assert "sticky actions 0.25, frame skip 2" in scale("ALE/Pong-v5?frame_skip=2")
