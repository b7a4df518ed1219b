"""CartPole, batched: equal to Gymnasium's CartPole-v1 step for step from the same start.

Barto, Sutton and Anderson 1983, "Neuronlike adaptive elements that can solve difficult learning control problems"; the
constants, the Euler step and the reward of 1 a step, the last included, are Gymnasium's, and so are sine and cosine on
the CPU. They may differ in the last bit on other devices, so an episode verifies on the kind that recorded it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from envs import chance
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing, Span
from envs.specs import GameSpec, Variant

GRAVITY, CART_MASS, POLE_MASS, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
TOTAL_MASS, POLE_MOMENT = POLE_MASS + CART_MASS, POLE_MASS * HALF_LENGTH
MAX_X, MAX_ANGLE = 2.4, 12 * 2 * torch.pi / 360
START = 0.05
WIDTH, HEIGHT = 61, 12


class CartPole:
    """State: `physics` [N, 4] float64: the cart's place and speed, the pole's angle and angular speed."""

    def __init__(self, device: torch.device) -> None:
        self._four = torch.arange(4, device=device)
        self._legal = torch.ones(1, 1, 2, dtype=torch.bool, device=device)
        self._player = torch.zeros(1, 1, dtype=torch.int64, device=device)

    def init(self, seeds: Tensor) -> State:
        draws = chance.draw(seeds.unsqueeze(1), 0, self._four).double() / 2.0**63
        return {"physics": (2 * draws - 1) * START}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        x, speed, angle, spin = state["physics"].unbind(1)
        force = action.squeeze(1).double() * (2 * FORCE) - FORCE
        sin, cos = _sine_and_cosine(angle)
        push = (force + POLE_MOMENT * spin.square() * sin) / TOTAL_MASS
        turn = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * cos.square() / TOTAL_MASS))
        pull = push - POLE_MOMENT * turn * cos / TOTAL_MASS
        x, speed = x + SECONDS * speed, speed + SECONDS * pull
        angle, spin = angle + SECONDS * spin, spin + SECONDS * turn
        fallen = (x.abs() > MAX_X) | (angle.abs() > MAX_ANGLE)
        rewards = torch.ones(len(x), 1, device=x.device)
        return {"physics": torch.stack([x, speed, angle, spin], 1)}, rewards, fallen

    def observe(self, state: State) -> Turn:
        physics = state["physics"]
        games = len(physics)
        return Turn(physics.float().unsqueeze(1), self._legal.expand(games, 1, 2), self._player.expand(games, 1))

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        x, _, angle, _ = state["physics"][index].tolist()
        middle = (WIDTH - 1) // 2
        column = middle + round(max(min(x / MAX_X, 1.0), -1.0) * (middle - 3))
        canvas = [[" "] * WIDTH for _ in range(HEIGHT)]
        for height in range(1, HEIGHT - 2):
            # A cell is twice as high as it is wide.
            across = column + round(2 * height * torch.tan(torch.tensor(angle)).item())
            if 0 <= across < WIDTH:
                canvas[HEIGHT - 2 - height][across] = "│" if abs(angle) < 0.06 else "╱" if angle > 0 else "╲"
        canvas[HEIGHT - 2][column - 2 : column + 3] = "▟███▙"
        canvas[HEIGHT - 1] = list("─" * WIDTH)
        lines: list[list[Span]] = [
            [("".join(row), "agent" if y < HEIGHT - 1 else "dim")] for y, row in enumerate(canvas)
        ]
        ply = int(state["ply"][index])
        return Drawing(
            lines,
            targets={0: [(0, 0, middle, HEIGHT)], 1: [(middle + 1, 0, middle, HEIGHT)]},
            keys={0: ["left"], 1: ["right"]},
            caption=f"step {ply}, place {x:+.2f}, angle {angle * 180 / torch.pi:+.1f}°",
        )


def _sine_and_cosine(angle: Tensor) -> tuple[Tensor, Tensor]:
    """On the CPU NumPy's, as Gymnasium has them: torch's differ in the last bit now and then."""
    if angle.device.type != "cpu":
        return angle.sin(), angle.cos()
    radians = angle.numpy()
    return torch.from_numpy(np.sin(radians)), torch.from_numpy(np.cos(radians))


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> NativeEnv:
    spec = GameSpec(
        game=str(variant),
        version=variant.game.version,
        num_players=1,
        num_slots=1,
        num_actions=2,
        observation_shape=(4,),
        observation_dtype="float32",
        action_names=("left", "right"),
        max_steps=500,
    )
    return NativeEnv(spec, CartPole(device), num_envs, device, autoreset)
