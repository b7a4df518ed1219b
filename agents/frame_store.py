"""Pictures kept once: observations that are the last few pictures of a game share all but the newest."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from envs.specs import GameSpec


class FrameStore:
    """The latest `capacity` pictures of S streams, each picture once (Mnih et al. 2015 keep them so).

    An observation is `spec.frames` = D pictures, oldest first, and is kept as their places [D]. A stream is what one
    slot of one game sees, step by step: mostly the pictures of the step before but the oldest, and a new one. Where
    that is not so (a game has begun) all its pictures are kept. Place 0 is the empty picture.

    Attributes:
        frames: [capacity + 1, C / D, H, W] in the game's dtype.
        latest: [S, D] int64, the places of each stream's last observation.
        written: pictures so far; the one before the last has the number `written − 2`.
    """

    def __init__(self, spec: GameSpec, capacity: int, num_streams: int, device: torch.device) -> None:
        channels, *size = spec.observation_shape
        assert channels % spec.frames == 0
        self.depth, self.capacity = spec.frames, capacity
        dtype = getattr(torch, spec.observation_dtype)
        self.frames = torch.zeros(capacity + 1, channels // self.depth, *size, dtype=dtype, device=device)
        self.latest = torch.zeros(num_streams, self.depth, dtype=torch.int64, device=device)
        self.written = 0

    def keep(self, observation: Tensor, stream: Tensor) -> Tensor:
        """Observations [B, C, H, W] of the streams [B], all different → their places [B, D] int64."""
        pictures = observation.unflatten(1, (self.depth, -1))
        before = self.latest[stream]
        follows = (self._at(before[:, 1:]) == pictures[:, :-1]).flatten(1).all(1)
        places = before.roll(-1, 1)
        new = torch.zeros_like(places, dtype=torch.bool)
        new[:, -1] = True
        if not bool(follows.all()):
            begun = ~follows
            places[begun] = 0
            new[begun] = pictures[begun].flatten(2).ne(0).any(2)
        row, at = new.nonzero(as_tuple=True)
        place = (self.written + torch.arange(len(row), device=places.device)) % self.capacity + 1
        self.frames[place] = pictures[row, at]
        places[row, at] = place
        self.written += len(row)
        self.latest[stream] = places
        return places

    def observations(self, places: Tensor) -> Tensor:
        """Places [B, D] → observations [B, C, H, W]."""
        return self._at(places).flatten(1, 2)

    def _at(self, places: Tensor) -> Tensor:
        """Places [B, D] → pictures [B, D, C / D, H, W]; whole ones are copied, which `frames[places]` does not."""
        return self.frames.index_select(0, places.flatten()).unflatten(0, places.shape)

    def oldest(self, places: Tensor) -> Tensor:
        """The number [B] of the oldest picture at places [B, D]; `written` where all are empty."""
        places = places.long()
        age = torch.where(places > 0, (self.written - places) % self.capacity, -1)
        return self.written - 1 - age.amax(1)

    def lost(self, number: Tensor) -> Tensor:
        """Whether pictures of these numbers have been written over."""
        return number < self.written - self.capacity

    def state(self) -> dict[str, Tensor]:
        """Everything, for `load` of a store of the same size."""
        in_use = min(self.written, self.capacity) + 1
        return {"frames": self.frames[:in_use], "latest": self.latest, "written": torch.tensor(self.written)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state`."""
        self.written = int(state["written"])
        self.latest.copy_(state["latest"])
        self.frames[: len(state["frames"])] = state["frames"].to(self.frames.device)
