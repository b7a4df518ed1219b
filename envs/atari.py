"""Atari games through ale-py: `ALE/Pong-v5`, seen as 84×84 grey pictures, the last four of them at a time.

Learning (`autoreset=True`) runs on ale-py's own vectorised environment, which emulates and prepares pictures in native
threads. Matches, play and replays run single emulators (`AtariGame`), which start from their seed alone, show colours
and have a memory to be hashed; both see the same pictures. The preparation is that of Machado et al. 2018, "Revisiting
the Arcade Learning Environment": up to 30 idle frames at the start, every action held for 4 frames, the brighter of the
last two frames, 84×84 by area; sticky actions (the last action comes again with probability 0.25) as in every
`…-v5` game. CleanRL and the RL Zoo publish scores without them: that is the variant `?sticky=0`.

With `life_loss=true` a lost life terminates for the learner, while the game goes on (Mnih et al. 2015).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs import chance
from envs.adapter import AdapterEnv, Array, WrappedGame, backend
from envs.errors import MissingPackageError, UnknownNameError
from envs.paddles import Aim
from envs.pictures import half_blocks
from envs.protocol import Step, Turn, VecEnv
from envs.rendering import Drawing
from envs.scaling import Picture
from envs.specs import GameSpec, Variant

try:
    import ale_py
    import gymnasium
    from ale_py import roms
    from ale_py.vector_env import AtariVectorEnv
except ImportError as missing:  # pragma: no cover - a plain dependency, but without wheels on some machines
    raise MissingPackageError(f'ALE/*: {missing}; pip install "gymnasium[atari]"') from None

SIZE = 84
INSTALL_ROMS = "pip install --force-reinstall ale-py"
MAX_FRAMES = 108_000
"""Half an hour of play at 60 frames a second; then a game is truncated."""
_SEEDS = 2**31 - 1
_ARROWS = ("up", "down", "left", "right")


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> VecEnv:
    rom = _rom(variant)
    options = variant.all_options()
    spec = _spec(variant, options, rom)
    if autoreset:
        return AtariEnv(spec, rom, options, num_envs, device)
    return AdapterEnv(spec, [AtariGame(spec, rom, options) for _ in range(num_envs)], device, autoreset)


@cache
def _names() -> dict[str, str]:
    """ALE/…-v5 → the ROM's name."""
    gymnasium.register_envs(ale_py)
    return {
        name: entry.kwargs["game"]
        for name, entry in gymnasium.registry.items()
        if name.startswith("ALE/") and name.endswith("-v5")
    }


def _rom(variant: Variant) -> Path:
    if variant.id not in _names():
        raise UnknownNameError("Atari game", variant.id, _names())
    path = roms.get_rom_path(_names()[variant.id])
    if path is None or not path.exists():
        raise MissingPackageError(f"{variant.id}: its ROM is missing; {INSTALL_ROMS}")
    return path


def _emulator(rom: Path, options: dict[str, Any], seed: int) -> ale_py.ALEInterface:
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", options["sticky"])
    ale.setInt("random_seed", seed)
    ale.loadROM(rom)
    return ale


def _actions(ale: ale_py.ALEInterface, options: dict[str, Any]) -> list[ale_py.Action]:
    return ale.getLegalActionSet() if options["all_actions"] else ale.getMinimalActionSet()


def _spec(variant: Variant, options: dict[str, Any], rom: Path) -> GameSpec:
    names = tuple(action.name.lower() for action in _actions(_emulator(rom, options, 0), options))
    return GameSpec(
        game=str(variant),
        version=variant.game.version,
        num_players=1,
        num_slots=1,
        num_actions=len(names),
        observation_shape=(options["stack"] * (3 if options["color"] else 1), SIZE, SIZE),
        observation_dtype="uint8",
        action_names=names,
        max_steps=-(-MAX_FRAMES // options["frame_skip"]),
        frames=options["stack"],
        scale=255.0,
        backend=backend("ale-py", rom),
    )


_COUNTERS = struct.Struct("<IiI")  # frames, lives, the button held
_PRESSES = 12


class AtariEnv(VecEnv):
    """N games on ale-py's vectorised emulators, for learning.

    Starting an emulator from a seed takes a tenth of a second, so an ended game is followed by another start of the
    same emulator: games after the first in a slot are not a function of `seeds` alone (`exact` is False), though the
    same seeds and actions give the same games again. `state` holds seeds only, and `load` starts the games anew.
    """

    exact = False

    def __init__(self, spec: GameSpec, rom: Path, options: dict[str, Any], num_envs: int, device: torch.device) -> None:
        self.spec = spec
        self.num_envs = num_envs
        self.device = device
        self.seeds = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._games = AtariVectorEnv(
            rom.stem,
            num_envs,
            max_num_frames_per_episode=MAX_FRAMES,
            repeat_action_probability=options["sticky"],
            full_action_space=options["all_actions"],
            autoreset_mode="SameStep",
            img_height=SIZE,
            img_width=SIZE,
            grayscale=not options["color"],
            stack_num=options["stack"],
            frameskip=options["frame_skip"],
            noop_max=options["idle_frames"],
            life_loss_info=options["life_loss"],
            reward_clipping=False,
            use_fire_reset=options["fire_start"],
        )
        slots = (num_envs, 1)
        self._mask = torch.ones(*slots, len(spec.action_names), dtype=torch.bool, device=device)
        self._player = torch.zeros(slots, dtype=torch.int64, device=device)
        self._frame = np.zeros(num_envs, dtype=np.int64)
        self._final: NDArray[np.uint8] = np.zeros((num_envs, *spec.observation_shape), dtype=np.uint8)
        self._lives_end, self._frame_skip = options["life_loss"], options["frame_skip"]

    def reset(self, seeds: Tensor) -> Turn:
        self.seeds = seeds.to(self.device, torch.int64)
        seen, info = self._games.reset(seed=(seeds.cpu() % _SEEDS).numpy())
        self._frame = info["episode_frame_number"]
        self._final = self._channels(seen)
        return self._turn(self._final)

    def step(self, action: Tensor) -> Step:
        self.send(action)
        return self.receive()

    def send(self, action: Tensor) -> None:
        self._games.send(action.squeeze(1).cpu().numpy())

    def receive(self) -> Step:
        seen, rewards, terminated, truncated, info = self._games.recv()
        seen, frame = self._channels(seen), info["episode_frame_number"]
        began = terminated | truncated
        if self._lives_end:  # a game that goes on after a lost life counts its frames on
            began &= (frame <= self._frame) | (frame > self._frame + self._frame_skip)
        self._frame = frame
        self._final = final = seen
        turn = self._turn(seen)
        if began.any():
            self._final = final = self._channels(info["final_obs"])
            final[~began] = seen[~began]
            ended = self._tensor(began)
            self.seeds = torch.where(ended, chance.next_seed(self.seeds), self.seeds)
        last = self._turn(final) if began.any() else turn
        flags = self._tensor(terminated), self._tensor(truncated & ~terminated)
        return Step(self._tensor(rewards.astype(np.float32)).unsqueeze(1), *flags, last, turn)

    def state(self) -> dict[str, Tensor]:
        return {"seeds": self.seeds.cpu()}

    def load(self, state: dict[str, Tensor]) -> Turn:
        return self.reset(state["seeds"])

    def fingerprints(self) -> list[bytes]:
        """The pictures' hashes: the emulators' memory is out of reach here."""
        return [blake2b(row.tobytes(), digest_size=16).digest() for row in self._final]

    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        newest = self._final[index][-(self.spec.observation_shape[0] // self.spec.frames) :]
        return Drawing(half_blocks(np.broadcast_to(newest, (3, SIZE, SIZE)).transpose(1, 2, 0)))

    def close(self) -> None:
        self._games.close()

    def _channels(self, seen: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """[N, stack, H, W] or [N, stack, H, W, 3] → [N, C, H, W]."""
        if seen.ndim == 5:
            seen = seen.transpose(0, 1, 4, 2, 3)
        return np.ascontiguousarray(seen).reshape(self.num_envs, *self.spec.observation_shape)

    def _turn(self, seen: NDArray[np.uint8]) -> Turn:
        return Turn(self._tensor(seen).unsqueeze(1), self._mask, self._player)

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self.device)


class AtariGame(WrappedGame):
    """One emulator, seen as `AtariEnv` shows it, with colours for people and its memory for the hash chain."""

    def __init__(self, spec: GameSpec, rom: Path, options: dict[str, Any]) -> None:
        self.spec = spec
        self._options = options
        self._rom = rom
        self._lives = 0
        self._frames = 0
        self._held = 0
        self._shown: list[Picture] = []
        self._aim = Aim(spec.game, spec.action_names)
        self._raw: list[NDArray[np.uint8]] = []
        self._stack: NDArray[np.uint8] = np.zeros((options["stack"], 1, SIZE, SIZE), dtype=np.uint8)
        self._start(0)

    def _start(self, seed: int) -> None:
        self._ale = _emulator(self._rom, self._options, seed)
        self._action_set = _actions(self._ale, self._options)

    def reset(self, seed: int) -> None:
        self._start(seed % _SEEDS)
        self._aim.forget()
        self._ale.reset_game()
        fire = self._options["fire_start"] and ale_py.Action.FIRE in self._action_set
        if fire:
            self._ale.act(ale_py.Action.FIRE)
        for _ in range(_idle_frames(seed % _SEEDS, self._options["idle_frames"]) - fire):
            self._ale.act(ale_py.Action.NOOP)
            if self._ale.game_over():
                self._ale.reset_game()
        first = self._screen()
        self._raw = [first, np.zeros_like(first)]
        self._stack = np.zeros((self._options["stack"], first.shape[-1], SIZE, SIZE), dtype=np.uint8)
        self._see()
        self._frames, self._lives, self._held = 0, self._ale.lives(), 0
        self._shown = []
        self._film()

    def step(self, action: Array) -> tuple[Sequence[float], bool, bool]:
        reward, life_lost = 0, False
        self._shown, self._held = [], int(action[0])
        for left in range(self._options["frame_skip"], 0, -1):
            reward += self._ale.act(self._action_set[self._held])
            self._frames += 1
            self._film()
            life_lost = 0 < self._ale.lives() < self._lives
            if self._ale.game_over() or self._frames >= MAX_FRAMES:
                break
            if left <= 2 and self.attention != "states":
                self._raw[left - 1] = self._screen()
        if self.attention != "states":
            self._see()
        self._lives = self._ale.lives()
        terminated = self._ale.game_over() or (self._options["life_loss"] and life_lost)
        return (float(reward),), terminated, self._frames >= MAX_FRAMES and not terminated

    def observe(self, observation: Array, mask: Array | None, player: Array) -> None:
        observation[0] = self._stack.reshape(self.spec.observation_shape)
        player[0] = 0

    def pictures(self) -> Sequence[Picture]:
        return self._shown

    def aim(self, seat: int, pointer: tuple[float, float]) -> int | None:
        return self._aim(self._ale.getRAM(), seat, pointer)

    def bookmark(self) -> Any:
        state = self._ale.cloneState(include_rng=True)
        return state, tuple(self._raw), self._stack, self._frames, self._lives, self._held

    def return_to(self, bookmark: Any) -> None:
        state, raw, self._stack, self._frames, self._lives, self._held = bookmark
        self._raw = list(raw)
        self._restore(state)

    def _restore(self, state: Any) -> None:
        """Put the emulator back. The button that sticks is no part of its state: it is pressed until it has surely been
        taken. (Where all frames of the step before stuck, it was the one before; that is not to be known.)"""
        self._ale.restoreState(state)
        if self._options["sticky"]:
            for _ in range(_PRESSES):
                self._ale.act(self._action_set[self._held])
            self._ale.restoreState(state)
        self._shown = []

    def packed(self) -> bytes:
        state: bytes = self._ale.cloneState(include_rng=True).serialize()
        return _COUNTERS.pack(self._frames, self._lives, self._held) + state

    def unpack(self, packed: bytes) -> None:
        self._frames, self._lives, self._held = _COUNTERS.unpack_from(packed)
        self._restore(ale_py.ALEState(packed[_COUNTERS.size :]))

    def _film(self) -> None:
        """Keep the picture for people who watch."""
        if self.attention == "pictures":
            self._shown.append(self._ale.getScreenRGB())

    def fingerprint(self) -> bytes:
        return self._ale.getRAM().tobytes() + self._frames.to_bytes(4, "little")

    def draw(self, seat: int | None) -> Drawing:
        caption = f"lives {self._lives}" if self._lives else ""
        return Drawing(half_blocks(self._ale.getScreenRGB()), keys=button_keys(self.spec.action_names), caption=caption)

    def close(self) -> None:
        del self._ale

    def _screen(self) -> NDArray[np.uint8]:
        """[H, W, 1] or [H, W, 3]."""
        if self._options["color"]:
            return self._ale.getScreenRGB()
        return self._ale.getScreenGrayscale()[..., None]

    def _see(self) -> None:
        """Add the brighter of the last two frames, made smaller, to the stack."""
        self._raw[0] = np.maximum(*self._raw)
        small = shrink(self._raw[0]).transpose(2, 0, 1)
        self._stack = np.concatenate([self._stack[1:], small[None]])


def button_keys(names: Sequence[str]) -> dict[int, list[str]]:
    """Action → keys: arrows for directions, space for FIRE, and the first ten by number."""
    keys = {index: [name] if name in _ARROWS else [] for index, name in enumerate(names)}
    if "fire" in names:
        keys[names.index("fire")].append("space")
    for index in range(min(len(names), 10)):
        keys[index].append(str(index))
    return keys


def _idle_frames(seed: int, limit: int) -> int:
    """How many idle frames ale-py's vectorised environment begins with after this seed.

    The first of std::mt19937's outputs that is not rejected, scaled to [0, limit) (Lemire 2019, "Fast random integer
    generation in an interval"), as GNU's library does it.
    """
    if limit <= 1:
        return 0
    generator: Any = np.random.RandomState(seed)._bit_generator
    while True:
        product = int(generator.random_raw()) * limit
        if product % 2**32 >= (2**32 - limit) % limit:
            return product >> 32


@cache
def _taps(old: int, new: int) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """(old pixels [new], weights [new]) whose weighted sum gives `new` pixels that cover the `old` ones evenly."""
    edges = np.arange(new + 1) * (old / new)
    first = np.floor(edges[:-1] + 1e-9).astype(np.intp)
    taps = []
    for pixel in (first + tap for tap in range(int(np.ceil(old / new)) + 1)):
        covered = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
        covered = np.where(covered > 1e-3, covered, 0.0)
        if covered.any():
            taps.append((np.minimum(pixel, old - 1), (covered / (old / new)).astype(np.float32)))
    return taps


def _fewer(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """[old, M, C] → [84, M, C]."""
    total = np.zeros((SIZE, *lines.shape[1:]), dtype=np.float32)
    for at, weight in _taps(len(lines), SIZE):
        part = lines.take(at, 0)
        part *= weight[:, None, None]
        total += part
    return total


def shrink(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame [H, W, C] scaled to [84, 84, C] by area, summed left to right and down, which decides some roundings."""
    narrow = _fewer(frame.transpose(1, 0, 2).astype(np.float32, order="C"))
    small = _fewer(narrow.transpose(1, 0, 2).copy())
    return np.rint(small, out=small).astype(np.uint8)
