"""The torch-free end of a real-time session: what the app asks of `arena.realtime`, and what it sees.

The protocol is part of `docs/plans/session-protocol.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from arena.child import SessionDied
from arena.frames import FrameMemory
from arena.session_client import PROTOCOL, Event, Position, Seat, decode_event
from envs.scaling import Picture
from envs.specs import parse_variant

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Times the game's own pace."""
_TICKING = ("gridworld/sumo", "gridworld/tron")
_FRAMES = ("ALE/", "pettingzoo/atari/")


def in_real_time(game: str) -> bool:
    """Whether a game goes on by itself: its pictures move, or its players act at the same time against the clock."""
    return game.startswith(_FRAMES) or game.partition("?")[0] in _TICKING


def has_pictures(game: str) -> bool:
    """Whether a real-time game shows pictures, not character cells."""
    return game.startswith(_FRAMES)


@dataclass(frozen=True)
class Scene:
    """What a real-time session shows at an instant.

    Attributes:
        positions: the game as it stands; in a race yours first, then the agent's. Drawings of games with pictures are
            without lines.
        running: whether the clock moves it on. speed: of `SPEEDS`. rate: steps a second at speed 1.
        waiting: the clock starts with the first button.
        late: steps that began later than they should have.
        pointer: whether a pointer moves something in this game.
        ready: replays: up to which ply any place is reached at once.
        pictures: one [H, W, 3] a position, where the game has any.
        number: rises with every change.
    """

    positions: Sequence[Position]
    running: bool
    speed: float
    rate: float
    waiting: bool = False
    late: int = 0
    pointer: bool = False
    ready: int | None = None
    pictures: Sequence[Picture] = field(default_factory=list)
    number: int = 0

    @property
    def over(self) -> bool:
        return all(position.over for position in self.positions)

    def to_json(self) -> bytes:
        """All but the pictures and the number."""
        data = {name: value for name, value in self.__dict__.items() if name not in ("pictures", "number")}
        data["positions"] = [position.to_json() for position in self.positions]
        return json.dumps(data, separators=(",", ":")).encode()


class SceneReader:
    """Takes scenes out of shared memory; raises SessionDied for what is none."""

    def __init__(self, memory: FrameMemory) -> None:
        self._memory = memory
        self._text = b""
        self._scene: dict[str, Any] = {}
        self._number = 0

    def newest(self) -> Scene | None:
        """What is shown now; None where nothing has changed since the last call."""
        shown = self._memory.read(self._number)
        if shown is None:
            return None
        self._number = shown.number
        try:
            if shown.text != self._text:
                scene = json.loads(shown.text)
                scene["positions"] = [Position.from_json(position) for position in scene["positions"]]
                self._text, self._scene = shown.text, scene
            return Scene(**self._scene, pictures=shown.pictures, number=shown.number)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SessionDied(
                f"the game's process showed something else than a game ({type(error).__name__})"
            ) from error


def open_request(
    db: str, game: str, seats: Sequence[Seat], seed: int | None = None, race: str | None = None
) -> dict[str, Any]:
    """The fields of an `open`. race: the agent that plays the same one-player game from the same seed beside you."""
    request = {"do": "open", "protocol": PROTOCOL, "db": db, "game": game, "seats": list(seats)}
    return request | {name: value for name, value in (("seed", seed), ("race", race)) if value is not None}


def replay_request(db: str, episode: int) -> dict[str, Any]:
    """The fields of a `replay`."""
    return {"do": "replay", "protocol": PROTOCOL, "db": db, "episode": episode}


@dataclass(frozen=True)
class Done:
    """A request was carried out; what came of it is in the scene."""

    id: int | None = None


def decode_answer(line: bytes) -> Event | Done:
    """A line from the child → an event or an answer. Raises SessionDied for anything else."""
    try:
        data: Mapping[str, Any] = json.loads(line)
        if data["event"] == "done":
            return Done(data.get("id"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SessionDied(f"the game's process sent a line that is no answer ({type(error).__name__})") from error
    return decode_event(line)


def steps_a_second(game: str) -> float:
    """The pace of a game at speed 1: 60 frames a second, or 4 moves."""
    if not has_pictures(game):
        return 4.0
    variant = parse_variant(game)
    return 60.0 / int(dict(variant.options).get("frame_skip", 4))
