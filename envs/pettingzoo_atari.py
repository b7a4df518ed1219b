"""PettingZoo's Atari games of two and more players: `pettingzoo/atari/pong_v3`, prepared as one-player Atari is.

Every action is held for 4 frames (`?frame_skip=`), the brighter of the last two becomes a grey 84×84 picture, and the
last four pictures (`?stack=`) are seen. All players share one screen: in games that look the same from both sides the
second player sees it mirrored, so that each finds itself in the same place; in all others a plane for each player is
added, full for the one who looks. The ROMs are those that ale-py brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ale_py
import numpy as np
from numpy.typing import NDArray

from envs.adapter import Array, WrappedGame
from envs.atari import SIZE, button_keys, shrink
from envs.errors import UsageError
from envs.paddles import Aim
from envs.pettingzoo_env import SEEDS, open_env
from envs.pictures import half_blocks
from envs.rendering import Drawing
from envs.scaling import Picture
from envs.specs import GameSpec, Variant

MIRRORED = ("pong_v3", "volleyball_pong_v3", "foozpong_v3", "ice_hockey_v2", "double_dunk_v3")
"""Two players face each other from the left and the right of the screen."""


class AtariPlayers(WrappedGame):
    """One emulator with several players, who act at the same time."""

    def __init__(self, variant: Variant) -> None:
        options = dict(variant.options)
        self._frame_skip = _count(variant, options.pop("frame_skip", 4))
        self._depth = _count(variant, options.pop("stack", 4))
        options |= {"obs_type": "grayscale_image", "auto_rom_install_path": str(Path(ale_py.__file__).parent)}
        self._env = open_env(variant, "parallel", None, options)
        self._agents = list(self._env.possible_agents)
        players = len(self._agents)
        self._mirrored = variant.id.rpartition("/")[2] in MIRRORED
        self._channels = self._depth + (0 if self._mirrored else players)
        actions = self._env.unwrapped.action_mapping
        self._stack: NDArray[np.uint8] = np.zeros((self._depth, SIZE, SIZE), dtype=np.uint8)
        self._shown: list[Picture] = []
        self.spec = GameSpec(
            game=str(variant),
            version=variant.game.version,
            num_players=players,
            num_slots=players,
            num_actions=len(actions),
            observation_shape=(self._channels, SIZE, SIZE),
            observation_dtype="uint8",
            action_names=tuple(ale_py.Action(int(action)).name.lower() for action in actions),
            max_steps=-(-self._env.unwrapped.max_cycles // self._frame_skip),
            frames=self._depth if self._mirrored else 1,
            scale=255.0,
        )
        self._aim = Aim(self.spec.game, self.spec.action_names)

    def reset(self, seed: int) -> None:
        seen, _ = self._env.reset(seed=seed % SEEDS)
        self._stack = np.zeros((self._depth, SIZE, SIZE), dtype=np.uint8)
        self._see(*seen.values())
        self._shown = []
        self._film()

    def step(self, action: Array) -> tuple[Sequence[float], bool, bool]:
        rewards = np.zeros(len(self._agents))
        frames: list[NDArray[np.uint8]] = []
        stopped = False
        self._shown = []
        for _ in range(self._frame_skip):
            chosen = {agent: int(action[self._agents.index(agent)]) for agent in self._env.agents}
            seen, gained, terminated, _, _ = self._env.step(chosen)
            for agent, reward in gained.items():
                rewards[self._agents.index(agent)] += float(reward)
            frames = [*frames[-1:], next(iter(seen.values()))]
            self._film()
            if not self._env.agents:
                stopped = any(terminated.values())
                break
        self._see(*frames)
        over = not self._env.agents
        return rewards.tolist(), over and stopped, over and not stopped

    def observe(self, observation: Array, mask: Array | None, player: Array) -> None:
        over = not self._env.agents
        for seat, agent in enumerate(self._agents):
            if not over and agent not in self._env.agents:
                continue
            player[seat] = seat
            turned = self._mirrored and seat % 2 == 1
            observation[seat, : self._depth] = self._stack[:, :, ::-1] if turned else self._stack
            if not self._mirrored:
                observation[seat, self._depth + seat] = 255

    def pictures(self) -> Sequence[Picture]:
        return self._shown

    def aim(self, seat: int, pointer: tuple[float, float]) -> int | None:
        return self._aim(self._ale.getRAM(), seat, pointer)

    def bookmark(self) -> Any:
        if len(self._env.agents) < len(self._agents):
            return None  # who is out is known to PettingZoo's wrappers, layer by layer
        system = self._ale.cloneSystemState()
        state = self._ale.encodeState(system)
        self._ale.deleteState(system)
        return state, self._env.unwrapped.frame, self._stack

    def return_to(self, bookmark: Any) -> None:
        if len(self._env.agents) < len(self._agents):
            self._env.reset(seed=0)
        state, self._env.unwrapped.frame, self._stack = bookmark
        system = self._ale.decodeState(state)
        self._ale.restoreSystemState(system)
        self._ale.deleteState(system)
        self._shown = []

    @property
    def _ale(self) -> Any:
        return self._env.unwrapped.ale

    def _film(self) -> None:
        """Keep the picture for people who watch."""
        if self.attention == "pictures":
            self._shown.append(self._ale.getScreenRGB())

    def fingerprint(self) -> bytes:
        return self._env.unwrapped.ale.getRAM().tobytes()

    def draw(self, seat: int | None) -> Drawing:
        return Drawing(half_blocks(self._env.unwrapped.ale.getScreenRGB()), keys=button_keys(self.spec.action_names))

    def close(self) -> None:
        self._env.close()

    def _see(self, *frames: NDArray[np.uint8]) -> None:
        """Add the brighter of the last two frames [210, 160, 1], made smaller, to the stack."""
        frame = np.maximum(frames[0], frames[-1])
        self._stack = np.concatenate([self._stack[1:], shrink(frame).transpose(2, 0, 1)])


def _count(variant: Variant, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 32:
        raise UsageError(f"{variant}: frame_skip and stack are whole numbers from 1 to 32")
    return value
