"""check_env passes every native game and finds every way of breaking the protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from envs import registry
from envs.conformance import check_env, check_factory
from envs.native import NativeEnv
from envs.protocol import Step, Turn
from envs.rendering import Drawing
from envs.specs import GAMES, parse_variant

VARIANTS = (
    *(game.id for game in GAMES if game.source == "native" and game.id != "gridworld/custom"),
    "go?size=5&superko=true",
    "gridworld/maze?size=9",
    "gridworld/recycling?minutes=3",
    "gridworld/sumo?fog=2",
    "gridworld/tron?fog=3",
)


@pytest.mark.parametrize("game", VARIANTS)
def test_native_games_conform(game: str) -> None:
    assert check_env(game) == []


def test_a_map_of_ones_own_conforms(tmp_path: Path) -> None:
    path = tmp_path / "corridor.txt"
    path.write_text("#####\n#S.G#\n#####\n")
    assert check_env(f"gridworld/custom?map={path}") == []


Change = Callable[[Step], Step]


class Broken(NativeEnv):
    """Tic-tac-toe with something wrong; what, is given by the attributes."""

    change: Change = staticmethod(lambda step: step)
    first: Callable[[Turn], Turn] = staticmethod(lambda turn: turn)
    drawing: Callable[[Drawing], Drawing] = staticmethod(lambda drawing: drawing)

    def reset(self, seeds: Tensor) -> Turn:
        return self.first(super().reset(seeds))

    def step(self, action: Tensor) -> Step:
        return self.change(super().step(action))

    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        return self.drawing(super().draw(index, seat))


def problems(broken: type[NativeEnv], **spec: Any) -> str:
    def make(num_envs: int, autoreset: bool) -> NativeEnv:
        env = registry.make("tic_tac_toe", num_envs, "cpu", autoreset)
        assert isinstance(env, NativeEnv)
        return broken(replace(env.spec, **spec), env.rules, num_envs, env.device, autoreset)

    return "\n".join(check_factory(make, parse_variant("tic_tac_toe"), steps=12))


def test_the_unbroken_one_passes() -> None:
    assert problems(Broken) == ""


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"num_slots": 3}, "slots are neither"),
        ({"observation_dtype": "float64"}, "not uint8 or float32"),
        ({"action_names": tuple("12345678")}, "8 action names for 9"),
        ({"action_names": tuple("123456788")}, "not unique"),
        ({"num_players": 3}, "zero-sum games have two"),
        ({"opening_plies": 0}, "need opening_plies"),
        ({"version": 2}, "but it says"),
        ({"observation_shape": (2, 3, 4)}, "listed observation"),
        ({"num_actions": 10, "action_names": tuple("123456789a")}, "listed actions"),
    ],
)
def test_a_wrong_spec_is_found(spec: dict[str, Any], complaint: str) -> None:
    assert complaint in problems(Broken, **spec)


def test_a_missed_limit_is_found() -> None:
    change = staticmethod(lambda step: step._replace(truncated=step.truncated & False))
    assert "goes on after max_steps=3" in problems(type("Wrong", (Broken,), {"change": change}), max_steps=3)


def test_final_must_show_the_end_where_learners_look_at_it() -> None:
    change = staticmethod(lambda step: step._replace(final=step.turn))
    hidden = type("Hidden", (Broken,), {"change": change})
    assert problems(hidden) == ""
    assert "final differs without autoreset" in problems(hidden, max_steps=50)


def turned(*turns: str, **fields: Callable[[Tensor], Tensor]) -> Change:
    """Steps whose turns (`turn` alone if none is named) have these fields changed."""

    def changed(turn: Turn) -> Turn:
        return turn._replace(**{name: f(getattr(turn, name)) for name, f in fields.items()})

    return lambda step: step._replace(**{name: changed(getattr(step, name)) for name in turns or ("turn",)})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (turned(observation=lambda x: x[:, 0]), "observation is [4, 2, 3, 3]"),
        (turned(observation=lambda x: x.float()), "observation is torch.float32"),
        (turned(legal_action_mask=lambda x: x.long()), "legal_action_mask is not bool"),
        (turned(legal_action_mask=lambda x: x & (torch.arange(len(x)) == 0).view(-1, 1, 1)), "no legal action"),
        (turned(player=lambda x: x + 2), "player is outside"),
        (turned(player=lambda x: x.int()), "player is torch.int32"),
        (turned(player=lambda x: x * 0 - 1), "idle slot's"),
        (turned(observation=lambda x: 1 - x), "final differs from turn"),
        (lambda step: step._replace(rewards=step.rewards.double()), "rewards are torch.float64"),
        (lambda step: step._replace(rewards=step.rewards / 0), "rewards are not finite"),
        (lambda step: step._replace(rewards=step.rewards.abs()), "do not add up to zero"),
        (lambda step: step._replace(truncated=step.terminated), "truncated with termination"),
        (lambda step: step._replace(terminated=step.terminated.long()), "terminated is torch.int64"),
        (turned("turn", "final", player=lambda x: 1 - x), "not the first turn of its seed"),
    ],
)
def test_a_wrong_step_is_found(change: Change, complaint: str) -> None:
    broken = type("Wrong", (Broken,), {"change": staticmethod(change)})
    assert complaint in problems(broken)


class ForgetsSeeds(Broken):
    def step(self, action: Tensor) -> Step:
        step = super().step(action)
        if self.autoreset:
            self.seeds = self.seeds + 1
        return step


class Neighbours(Broken):
    def step(self, action: Tensor) -> Step:
        step = super().step(action)
        return step._replace(rewards=step.rewards + torch.tensor([1.0, -1.0]) * self.num_envs)


class Random(Broken):
    def step(self, action: Tensor) -> Step:
        step = super().step(action)
        return step._replace(rewards=step.rewards + torch.randn(()) * torch.tensor([1.0, -1.0]))


class LoadsAmiss(Broken):
    def load(self, state: dict[str, Tensor]) -> Turn:
        return super().load({**state, "ply": state["ply"] + 1})


class NeverFreezes(Broken):
    def _step_once(self, action: Tensor) -> Step:
        step = super()._step_once(action)
        self._over = torch.zeros_like(self._over)
        return step


class PrintsAfterReset(Broken):
    def fingerprints(self) -> list[bytes]:
        self._final = self._state
        return super().fingerprints()


class DrawingMoves(Broken):
    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        self._final = {name: value + 1 for name, value in self._final.items()}
        return super().draw(index, seat)


class Raises(Broken):
    def fingerprints(self) -> list[bytes]:
        raise ZeroDivisionError("oh")


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (ForgetsSeeds, "seeds are not next_seed"),
        (Neighbours, "depends on the games beside it"),
        (Random, "same seeds and actions give another game"),
        (LoadsAmiss, "does not put the games back"),
        (NeverFreezes, "a game that is over"),
        (PrintsAfterReset, "fingerprints differ without autoreset"),
        (DrawingMoves, "drawing changes the game"),
        (Raises, "raises ZeroDivisionError: oh"),
    ],
)
def test_wrong_behaviour_is_found(broken: type[NativeEnv], complaint: str) -> None:
    assert complaint in problems(broken)


@pytest.mark.parametrize(
    ("drawing", "complaint"),
    [
        (lambda d: replace(d, lines=[[("x" * 79, "plain")]], targets={}), "79×1 cells"),
        (lambda d: replace(d, lines=[*d.lines, *[[("x", "plain")]] * 20]), "is not within"),
        (lambda d: replace(d, lines=[*d.lines, [("\x1b[0m", "plain")]]), "control characters"),
        (lambda d: replace(d, lines=[*d.lines, [("x", "pink")]]), "unknown style 'pink'"),
        (lambda d: replace(d, targets={9: [(0, 0, 1, 1)]}), "actions that do not exist"),
        (lambda d: replace(d, targets={8: [(0, 0, 99, 1)]}), "lies outside"),
        (lambda d: replace(d, targets={action: [(0, 0, 1, 1)] for action in range(9)}), "illegal actions"),
        (lambda d: replace(d, keys={0: ["1"], 1: ["1"]}), "one key to two actions"),
    ],
)
def test_a_wrong_drawing_is_found(drawing: Callable[[Drawing], Drawing], complaint: str) -> None:
    broken = type("Wrong", (Broken,), {"drawing": staticmethod(drawing)})
    assert complaint in problems(broken)
