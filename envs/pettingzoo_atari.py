"""PettingZoo's Atari games of two and more players: `pettingzoo/atari/pong_v3`, prepared as one-player Atari is.

Every action is held for 4 frames (`?frame_skip=`), the brighter of the last two becomes a grey 84×84 picture, and the
last four pictures (`?stack=`) are seen. All players share one screen: in games that look the same from both sides (or
four corners) the others see it turned, so that each finds itself in the same place (`atari_sides.py`); where several
would see the same, a plane for each of them is added, full for the one who looks. The ROMs are those that ale-py
brings.

PettingZoo makes the emulator and starts it from a seed; the frames in between are played on the emulator itself, since
PettingZoo's wrappers take longer over a frame than the emulator does.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from ctypes import c_int
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from envs.adapter import AdapterEnv, Array, WrappedGame, backend
from envs.atari import INSTALL_ROMS, SIZE, button_keys, shrink
from envs.atari_sides import SIDES, Frames, Sides, turned_actions
from envs.errors import MissingPackageError
from envs.paddles import Aim
from envs.pettingzoo_atari_learning import AtariPlayersEnv
from envs.pettingzoo_env import SEEDS, open_env
from envs.pictures import half_blocks
from envs.protocol import VecEnv
from envs.rendering import Drawing
from envs.scaling import Picture
from envs.specs import GameSpec, Variant

try:
    import ale_py
    from multi_agent_ale_py.ale_python_interface import ale_lib
except ImportError as missing:
    raise MissingPackageError(f'pettingzoo/atari/*: {missing}; pip install "pettingzoo[atari]" ale-py') from None


_COUNTERS = struct.Struct("<I?I")  # frames, whether the game is over, a bit for each seat that is not out


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> VecEnv:
    games = [AtariPlayers(variant) for _ in range(num_envs)]
    if autoreset:
        return AtariPlayersEnv(games, device)
    return AdapterEnv(games[0].spec, games, device, autoreset)


class AtariPlayers(WrappedGame):
    """One emulator with several players, who act at the same time."""

    def __init__(self, variant: Variant) -> None:
        options = variant.all_options()
        self._frame_skip, self._depth = int(options.pop("frame_skip")), int(options.pop("stack"))
        options |= {"obs_type": "grayscale_image", "auto_rom_install_path": str(Path(ale_py.__file__).parent)}
        try:
            self._env = open_env(variant, "parallel", None, options).unwrapped
        except MissingPackageError as error:
            if "rom " not in str(error):
                raise
            raise MissingPackageError(f"{variant.id}: its ROM is missing; {INSTALL_ROMS}") from None
        self._ale = self._env.ale
        self._players = players = len(self._env.possible_agents)
        sides = SIDES.get(variant.id.rpartition("/")[2], Sides((), stick=False, revision=0))
        self._views = sides.views
        self._places = 1 + len(self._views)
        self._mates = mates = players // self._places
        buttons = self._env.action_mapping
        names = tuple(ale_py.Action(int(button)).name.lower() for button in buttons)
        across = [False, *(sides.stick and 2 in view.turned for view in self._views)]
        meant = [turned_actions(names) if turned else range(len(names)) for turned in across]
        self._meant = [meant[seat % self._places] for seat in range(players)]
        self._buttons = [buttons[list(meant)] for meant in self._meant]
        self._idle = int(buttons[0])
        width, height = self._ale.getScreenDims()
        self._raw: NDArray[np.uint8] = np.zeros((2, height, width, 1), dtype=np.uint8)
        self._into = [frame.ctypes.data for frame in self._raw]
        self._pressed, self._gained = (c_int * players)(), (c_int * players)()
        self._lives = (c_int * len(self._ale.allLives()))()
        self._start()
        self.spec = GameSpec(
            game=str(variant),
            version=variant.game.version + sides.revision,
            num_players=players,
            num_slots=players,
            num_actions=len(names),
            observation_shape=(self._depth + (mates if mates > 1 else 0), SIZE, SIZE),
            observation_dtype="uint8",
            action_names=names,
            max_steps=-(-self._env.max_cycles // self._frame_skip),
            frames=1 if mates > 1 else self._depth,
            scale=255.0,
            backend=backend("multi-agent-ale-py", self._env.rom_path),
        )
        self._aim = Aim(self.spec.game, self.spec.action_names)

    def reset(self, seed: int) -> None:
        self._env.reset(seed=seed % SEEDS or 1)  # the emulator takes 0 for the time of day
        self._aim.forget()
        self._start()

    def restart(self) -> None:
        """Start the next game where the emulator stands: a twentieth of what `reset` takes, but not a seed's game."""
        self._ale.reset_game()
        self._aim.forget()
        self._start()

    def _start(self) -> None:
        self._frame = 0
        self._alive = [True] * self._players
        self._over = False
        self._stack: NDArray[np.uint8] = np.zeros((self._places, self._depth, SIZE, SIZE), dtype=np.uint8)
        self._look(0)
        self._see(self._raw[:1])
        self._shown: list[Picture] = []
        self._film()

    def step(self, action: Array) -> tuple[Sequence[float], bool, bool]:
        rewards = [0.0] * self._players
        chosen = [int(buttons[pressed]) for buttons, pressed in zip(self._buttons, action, strict=True)]
        stopped, looked = False, 0
        self._shown = []
        for left in range(self._frame_skip, 0, -1):
            playing = [seat for seat, alive in enumerate(self._alive) if alive]
            for seat, alive in enumerate(self._alive):
                self._pressed[seat] = chosen[seat] if alive else self._idle
            ale_lib.actMulti(self._ale.obj, self._pressed, self._gained)
            self._frame += 1
            for seat in playing:
                rewards[seat] += self._gained[seat]
            stopped = self._eliminate(playing)
            self._over = self._frame >= self._env.max_cycles or not any(self._alive)
            self._film()
            if self.attention != "states" and (left <= 2 or self._over):
                self._look(looked)
                looked += 1
            if self._over:
                break
        if looked:
            self._see(self._raw[:looked])
        return rewards, self._over and stopped, self._over and not stopped

    def _eliminate(self, playing: Sequence[int]) -> bool:
        """Note who of those that played this frame is out after it; whether anybody is."""
        ended = ale_lib.game_over(self._ale.obj)
        ale_lib.lives(self._ale.obj, self._lives)
        out = [seat for seat in playing if ended or self._lives[seat] < 0]
        if out:
            self._alive = [alive and seat not in out for seat, alive in enumerate(self._alive)]
        return bool(out)

    def observe(self, observation: Array, mask: Array | None, player: Array) -> None:
        for seat in range(self._players):
            if not self._alive[seat] and any(self._alive):  # out, also where a limit cuts the game
                continue
            player[seat] = seat
            observation[seat, : self._depth] = self._stack[seat % self._places]
            if self._mates > 1:
                observation[seat, self._depth + seat // self._places] = 255

    def names(self, seat: int) -> Mapping[int, str]:
        return {action: self.spec.action_names[meant] for action, meant in enumerate(self._meant[seat])}

    def pictures(self) -> Sequence[Picture]:
        return self._shown

    def aim(self, seat: int, pointer: tuple[float, float]) -> int | None:
        return self._aim(self._ale.getRAM(), seat, pointer)

    def bookmark(self) -> Any:
        system = self._ale.cloneSystemState()
        state = self._ale.encodeState(system)
        self._ale.deleteState(system)
        return state, self._frame, self._alive, self._over, self._stack

    def return_to(self, bookmark: Any) -> None:
        state, self._frame, self._alive, self._over, self._stack = bookmark
        system = self._ale.decodeState(state)
        self._ale.restoreSystemState(system)
        self._ale.deleteState(system)
        self._shown = []

    def packed(self) -> bytes:
        state, frame, alive, over, _ = self.bookmark()
        playing = sum(1 << seat for seat in range(self._players) if alive[seat])
        return _COUNTERS.pack(frame, over, playing) + bytes(state)

    def unpack(self, packed: bytes) -> None:
        frame, over, alive = _COUNTERS.unpack_from(packed)
        state = np.frombuffer(packed, np.uint8, offset=_COUNTERS.size).copy()
        playing = [bool(alive >> seat & 1) for seat in range(self._players)]
        self.return_to((state, frame, playing, over, self._stack))

    def _film(self) -> None:
        """Keep the picture for people who watch."""
        if self.attention == "pictures":
            self._shown.append(self._ale.getScreenRGB())

    def fingerprint(self) -> bytes:
        return self._ale.getRAM().tobytes()

    def draw(self, seat: int | None) -> Drawing:
        names = list(self.names(seat or 0).values())
        return Drawing(half_blocks(self._ale.getScreenRGB()), keys=button_keys(names))

    def close(self) -> None:
        self._env.close()

    def _look(self, at: int) -> None:
        """Keep the screen as one of the two frames [210, 160, 1] that are prepared."""
        ale_lib.getScreenGrayscale(self._ale.obj, self._into[at])

    def _see(self, screens: Frames) -> None:
        """Add the brightest of some screens, made smaller, to the stack of each view."""
        seen = [shrink(screens.max(0)).transpose(2, 0, 1)]
        for view in self._views:
            other = view.prepare(screens)
            small = seen[0] if other is screens else shrink(other.max(0)).transpose(2, 0, 1)
            seen.append(np.flip(small, view.turned))
        self._stack = np.concatenate([self._stack[:, 1:], seen], 1)
