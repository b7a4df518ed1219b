"""Gymnasium environments as games of one player: `gym/CartPole-v1`, options after `?` handed to `gymnasium.make`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import error

from envs.adapter import AdapterEnv, Array, WrappedGame, backend
from envs.errors import MissingPackageError, UnknownNameError, UsageError
from envs.pictures import half_blocks, text_lines
from envs.rendering import Drawing
from envs.spaces import ActionForm, ObservationForm
from envs.specs import GameSpec, Variant

_ARROWS = ("left", "right", "up", "down")
_ACTION_NAMES = {
    "Acrobot": ("left", "none", "right"),
    "CartPole": ("left", "right"),
    "CliffWalking": ("up", "right", "down", "left"),
    "FrozenLake": ("left", "down", "right", "up"),
    "FrozenLake8x8": ("left", "down", "right", "up"),
    "LunarLander": ("none", "left", "main", "right"),
    "MountainCar": ("left", "none", "right"),
    "Taxi": ("down", "up", "right", "left", "pickup", "dropoff"),
}


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> AdapterEnv:
    games = [GymnasiumGame(variant)]
    games += [GymnasiumGame(variant) for _ in range(num_envs - 1)]
    return AdapterEnv(games[0].spec, games, device, autoreset)


class GymnasiumGame(WrappedGame):
    """One Gymnasium environment."""

    def __init__(self, variant: Variant) -> None:
        self._env = _make(variant)
        self._form = ObservationForm(self._env.observation_space, str(variant))
        self._seen: Any = None
        self._info: dict[str, Any] = {}
        self._action = ActionForm(self._env.action_space, str(variant))
        name = variant.id.split("/")[-1].rpartition("-")[0]
        limit = self._env.spec.max_episode_steps if self._env.spec else None
        self.spec = GameSpec(
            game=str(variant),
            version=variant.game.version,
            num_players=1,
            num_slots=1,
            num_actions=self._action.count,
            observation_shape=self._form.shape,
            observation_dtype=self._form.dtype,
            action_names=_names(name, self._action.count, self._env),
            max_steps=limit,
            scale=self._form.scale,
            action_shape=self._action.shape,
            action_low=self._action.low,
            action_high=self._action.high,
            backend=backend("gymnasium"),
        )

    def reset(self, seed: int) -> None:
        env: Any = self._env.unwrapped
        if type(env).__name__ == "BipedalWalker":  # keeps a world in which the game before leaves traces
            env._destroy()
            env.world = type(env.world)()
        self._seen, self._info = self._env.reset(seed=seed)

    def step(self, action: Array) -> tuple[Sequence[float], bool, bool]:
        self._seen, reward, terminated, truncated, self._info = self._env.step(self._action(action[0]))
        return (float(reward),), terminated, truncated

    def observe(self, observation: Array, mask: Array | None, player: Array) -> None:
        self._form.write(self._seen, observation[0])
        player[0] = 0
        if mask is not None and "action_mask" in self._info:
            legal = np.asarray(self._info["action_mask"], dtype=bool)
            mask[0] = legal if legal.any() else True

    def fingerprint(self) -> bytes:
        ale = getattr(self._env.unwrapped, "ale", None)
        if ale is not None:
            return ale.getRAM().tobytes()
        flat = np.zeros(self._form.shape, self._form.dtype)
        self._form.write(self._seen, flat)
        return flat.tobytes()

    def draw(self, seat: int | None) -> Drawing:
        picture: Any = self._env.render() if self._env.render_mode else None
        if isinstance(picture, np.ndarray):
            lines = half_blocks(picture)
        else:
            lines = text_lines(picture if isinstance(picture, str) else str(self._seen))
        names = self.spec.action_names
        keys = {index: [name] if name in _ARROWS else [] for index, name in enumerate(names)}
        for index in range(min(len(names), 10)):
            keys[index].append(str(index))
        return Drawing(lines, keys=keys)

    def close(self) -> None:
        self._env.close()


def _make(variant: Variant) -> gymnasium.Env:
    name = variant.id.removeprefix("gym/")
    if ":" in name:
        raise UsageError(f"{variant.id!r}: an environment that Gymnasium knows is wanted, not module:name")
    try:
        if name.startswith("ALE/"):
            importlib.import_module("ale_py")  # registers its games
        options: dict[str, Any] = dict(variant.options)
        env = gymnasium.make(name, disable_env_checker=True, **options)
        modes = env.metadata.get("render_modes") or ()
        mode = next((mode for mode in ("ansi", "rgb_array") if mode in modes), None)
        if mode is None:
            return env
        env.close()
        return gymnasium.make(name, disable_env_checker=True, render_mode=mode, **options)
    except error.UnregisteredEnv:
        raise UnknownNameError("Gymnasium environment", name, gymnasium.registry) from None
    except (error.DependencyNotInstalled, ImportError) as exception:
        raise _missing_package(name, exception) from None
    except (error.Error, TypeError, ValueError, KeyError, AssertionError) as exception:
        raise UsageError(f"{variant}: {' '.join(str(exception).split())}") from None


def _missing_package(name: str, exception: Exception) -> MissingPackageError:
    source = str(gymnasium.registry[name].entry_point) if name in gymnasium.registry else name
    for extra in ("box2d", "mujoco"):
        if extra in source:
            return MissingPackageError(f'gym/{name} needs {extra}: pip install "arena-league[{extra}]"')
    return MissingPackageError(f"gym/{name}: {' '.join(str(exception).split())}")


def _names(name: str, count: int | None, env: gymnasium.Env) -> tuple[str, ...]:
    """Words where the environment's actions have known ones, else their numbers; none for continuous actions."""
    if count is None:
        return ()
    names = _ACTION_NAMES.get(name, ())
    if hasattr(env.unwrapped, "get_action_meanings"):
        names = tuple(word.lower() for word in env.unwrapped.get_action_meanings())
    return names if len(set(names)) == count else tuple(str(index) for index in range(count))
