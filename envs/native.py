"""NativeEnv: what is the same in every native game, around pure batched rules."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from envs import chance
from envs.protocol import Step, Turn, VecEnv
from envs.rendering import Drawing
from envs.specs import GameSpec

State = dict[str, Tensor]
"""A batch of positions: every tensor is [N, …]. The env adds `ply` [N] int64, the number of steps played."""


class Rules(Protocol):
    """A game as pure functions of batches: no host synchronisation, no Python loop over games, no change to arguments.

    A state of integers and booleans makes fingerprints equal on every device; one of floats need not.
    """

    def init(self, seeds: Tensor) -> State:
        """Fresh positions of the games with these seeds [N]."""

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        """Play action [N, K] → the new state, rewards [N, P] float32, terminated [N] bool.

        `state["ply"]` is the number of steps before this one. Actions of idle slots must not raise.
        """

    def observe(self, state: State) -> Turn:
        """What those who decide now may know."""

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        """Game `index` as `seat` may know it (None: everything); `state["over"]` [N] says which games have ended."""


class NativeEnv(VecEnv):
    """N games of `rules`: the ply counter, truncation at `spec.max_steps`, automatic reset, frozen ended games, state,
    fingerprints.

    On the CPU only ended games are set up anew; elsewhere all are, and the fresh ones are selected, so that a step
    never waits for the device. Both give the same games.
    """

    def __init__(
        self, spec: GameSpec, rules: Rules, num_envs: int, device: torch.device, autoreset: bool = True
    ) -> None:
        self.spec = spec
        self.rules = rules
        self.num_envs = num_envs
        self.device = device
        self.autoreset = autoreset
        self.seeds = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._sparse = device.type == "cpu"
        self._state: State = {}
        self._final: State = {}
        self._over = torch.zeros(num_envs, dtype=torch.bool, device=device)

    def reset(self, seeds: Tensor) -> Turn:
        self.seeds = seeds.to(self.device, torch.int64)
        self._over = torch.zeros_like(self._over)
        self._state = self._final = self._init(self.seeds)
        return self.rules.observe(self._state)

    def step(self, action: Tensor) -> Step:
        return self._step_learning(action) if self.autoreset else self._step_once(action)

    def state(self) -> State:
        return {**self._state, "seeds": self.seeds, "over": self._over}

    def load(self, state: State) -> Turn:
        state = {name: value.to(self.device) for name, value in state.items()}
        self.seeds = state.pop("seeds")
        self._over = state.pop("over")
        self._state = self._final = state
        return self._idle(self.rules.observe(state), self._over)

    def fingerprints(self) -> list[bytes]:
        fields = [self._final[name].reshape(self.num_envs, -1).cpu().numpy() for name in sorted(self._final)]
        return [b"".join(field[index].tobytes() for field in fields) for index in range(self.num_envs)]

    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        return self.rules.draw({**self._state, "over": self._over}, index, seat)

    def _init(self, seeds: Tensor) -> State:
        return {**self.rules.init(seeds), "ply": torch.zeros_like(seeds)}

    def _play(self, action: Tensor) -> tuple[State, Tensor, Tensor, Tensor]:
        """The state after action [N, K, …], rewards [N, P], terminated [N], truncated [N]."""
        ply = self._state["ply"] + 1
        state, rewards, terminated = self.rules.step(self._state, action, self.seeds)
        if self.spec.max_steps is None:
            truncated = torch.zeros_like(terminated)
        else:
            truncated = (ply >= self.spec.max_steps) & ~terminated
        return {**state, "ply": ply}, rewards, terminated, truncated

    def _step_learning(self, action: Tensor) -> Step:
        """SAME_STEP: ended games start anew."""
        self._final, rewards, terminated, truncated = self._play(action)
        ended = terminated if self.spec.max_steps is None else terminated | truncated
        if self._sparse:
            self._state = self._begin_anew(ended.nonzero().squeeze(1))
        else:
            self.seeds = torch.where(ended, chance.next_seed(self.seeds), self.seeds)
            self._state = _select(ended, self._init(self.seeds), self._final)
        turn = self.rules.observe(self._state)
        alike = self._state is self._final or not self.spec.shows_ends
        return Step(rewards, terminated, truncated, turn if alike else self.rules.observe(self._final), turn)

    def _begin_anew(self, index: Tensor) -> State:
        """The final state with the games at index [ended] begun anew."""
        if len(index) == 0:
            return self._final
        seeds = chance.next_seed(self.seeds[index])
        fresh = self._init(seeds)
        self.seeds = self.seeds.index_copy(0, index, seeds)
        return {name: value.index_copy(0, index, fresh[name]) for name, value in self._final.items()}

    def _step_once(self, action: Tensor) -> Step:
        """Ended games stay as they ended."""
        over = self._over
        action = torch.where(_column(over, action), torch.zeros_like(action), action)
        state, rewards, terminated, truncated = self._play(action)
        self._state = self._final = _select(over, self._state, state)
        terminated, truncated = terminated & ~over, truncated & ~over
        self._over = over | terminated | truncated
        seen = self.rules.observe(self._state)
        return Step(
            rewards.masked_fill(over.unsqueeze(1), 0.0),
            terminated,
            truncated,
            self._idle(seen, over),
            self._idle(seen, self._over),
        )

    def _idle(self, turn: Turn, over: Tensor) -> Turn:
        """`turn` with the slots of the games that are over [N] idle: zeros, all legal, player -1."""
        mask = turn.legal_action_mask
        return Turn(
            turn.observation.masked_fill(_column(over, turn.observation), 0),
            None if mask is None else mask | over.view(-1, 1, 1),
            turn.player.masked_fill(over.unsqueeze(1), -1),
        )


def _column(flags: Tensor, like: Tensor) -> Tensor:
    """flags [N] as [N, 1, …] with the rank of `like`."""
    return flags.view(-1, *[1] * (like.dim() - 1))


def _select(condition: Tensor, new: State, old: State) -> State:
    """Per game, `new` where condition [N], else `old`; what both share is passed on as it is."""
    return {
        name: value if value is new[name] else torch.where(_column(condition, value), new[name], value)
        for name, value in old.items()
    }
