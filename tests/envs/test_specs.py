"""Game ids, options and variants."""

from __future__ import annotations

import subprocess
import sys

import pytest

from envs.errors import UnknownNameError, UsageError
from envs.registry import make
from envs.specs import GAMES, find_game, parse_variant


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("connect_four", "connect_four"),
        ("connect_four?", "connect_four"),
        ("gridworld/sumo?size=7", "gridworld/sumo"),
        ("gridworld/sumo?size=9&fog=0", "gridworld/sumo?size=9"),
        ("gridworld/sumo?size=9&fog=2", "gridworld/sumo?fog=2&size=9"),
        ("gridworld/maze?held_out=True", "gridworld/maze?held_out=true"),
        ("pettingzoo/classic/go_v5?komi=6.5&board_size=13", "pettingzoo/classic/go_v5?board_size=13&komi=6.5"),
        ("gridworld/custom?map=my%20map.txt", "gridworld/custom?map=my%20map.txt"),
    ],
)
def test_variants_are_canonical(text: str, canonical: str) -> None:
    variant = parse_variant(text)
    assert str(variant) == canonical
    assert str(parse_variant(canonical)) == canonical


def test_options_have_types() -> None:
    assert dict(parse_variant("gridworld/maze?size=9&held_out=1").options) == {"size": 9, "held_out": True}
    assert parse_variant("gridworld/maze?size=9").all_options()["level"] == -1
    given = parse_variant("gym/X-v0?a=1&b=1.5&c=true&d=word").options
    assert dict(given) == {"a": 1, "b": 1.5, "c": True, "d": "word"}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("connect_for", UnknownNameError, "did you mean connect_four"),
        ("gym/*", UnknownNameError, "unknown game"),
        ("gym/", UnknownNameError, "unknown game"),
        ("connect_four?size=3", UnknownNameError, "option of connect_four"),
        ("gridworld/sumo?sise=9", UnknownNameError, "did you mean size"),
        ("gridworld/sumo?size=nine", UsageError, "not a whole number"),
        ("go?komi=nan", UsageError, "no finite number"),
        ("ALE/Pong-v5?sticky=nan", UsageError, "no finite number"),
        ("gridworld/sumo?size=99", UsageError, "outside 5 … 15"),
        ("gridworld/sumo?size", UsageError, "name=value"),
        ("gridworld/sumo?size=9&size=7", UsageError, "given twice"),
        ("gridworld/tiny?start=here", UsageError, "none of game, any"),
        ("gridworld/maze?held_out=maybe", UsageError, "not true or false"),
    ],
)
def test_wrong_variants_are_refused_in_one_line(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        parse_variant(text)
    assert "\n" not in str(caught.value)


def test_ids_are_unique_and_families_found() -> None:
    ids = [game.id for game in GAMES]
    assert len(set(ids)) == len(ids)
    assert find_game("gym/CartPole-v1").id == "gym/*"
    assert find_game("pettingzoo/classic/chess_v6").id == "pettingzoo/*"


def test_action_names_are_read_whatever_their_case() -> None:
    env = make("gridworld/tiny")
    assert env.action(" LEFT ") == env.spec.action_names.index("left")
    with pytest.raises(UsageError, match="no move of gridworld/tiny; moves: up, down"):
        env.action("north")


def test_specs_and_rendering_load_no_torch() -> None:
    code = "import sys, envs.specs, envs.errors, envs.rendering; print('torch' in sys.modules, 'numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


def test_a_long_list_of_names_says_that_it_goes_on() -> None:
    names = [f"n{number:02}" for number in range(21)]
    assert str(UnknownNameError("name", "?", names[:20])).endswith("n18, n19")
    assert str(UnknownNameError("name", "?", names)).endswith("n18, n19 …")
