"""Episodes from inside a training run: the games that its learner plays alone or with itself, every so many of them.

A learner's env is wrapped in a `RecordingEnv`, which notes seeds and actions and changes nothing. What it noted is
re-simulated game by game, as `arena replay verify` does it later, and must come out as the learner saw it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arena.episodes import VERIFY_BATCH, Recorder
from arena.records import EndReason, Episode
from envs import chance
from envs.errors import ArenaError, UsageError
from envs.protocol import Step, Turn, VecEnv
from envs.registry import make
from envs.rendering import Drawing

PREFIX = "recording/"
"""What an env's state has of ours."""


@dataclass
class PlayedGame:
    """A game as a learner played it.

    Attributes:
        actions: T of [K]; returns: [P] float64, unshaped.
        reason: None while it is being played.
    """

    seed: int
    returns: np.ndarray[Any, Any]
    actions: list[Tensor] = field(default_factory=list)
    reason: EndReason | None = None


class RecordingEnv(VecEnv):
    """The same games, of which every `every`-th of the first `watched` slots is noted from its beginning to its end.

    Attributes:
        finished: what `take` will give.
    """

    def __init__(self, env: VecEnv, every: int, watched: int) -> None:
        if not env.exact:
            raise UsageError(f"{env.spec.game}: training games cannot be re-simulated there, so none can be recorded")
        self.env, self.every, self.watched = env, every, watched
        self.spec, self.num_envs, self.device, self.seeds = env.spec, env.num_envs, env.device, env.seeds
        self.finished: list[PlayedGame] = []
        self._begun = 0
        self._open: dict[int, PlayedGame] = {}

    def __getattr__(self, name: str) -> Any:
        """What an env has beyond the contract, such as a gridworld's dynamics."""
        return getattr(self.__dict__["env"], name)

    def take(self) -> list[PlayedGame]:
        """The games that have been finished since the last call."""
        games, self.finished = self.finished, []
        return games

    def reset(self, seeds: Tensor) -> Turn:
        turn = self.env.reset(seeds)
        self.seeds = self.env.seeds
        self._open = {}
        self._begin(range(self.watched))
        return turn

    def step(self, action: Tensor) -> Step:
        step = self.env.step(action)
        self.seeds = self.env.seeds
        if self._open:
            slots = list(self._open)
            actions = action[slots].cpu()
            rewards = step.rewards[slots].cpu().numpy()
            for game, chosen, reward in zip(self._open.values(), actions, rewards, strict=True):
                game.actions.append(chosen)
                game.returns += reward
        ended = (step.terminated | step.truncated)[: self.watched].nonzero().squeeze(1).tolist()
        for slot in ended:
            if slot in self._open:
                game = self._open.pop(slot)
                game.reason = "terminated" if bool(step.terminated[slot]) else "truncated"
                self.finished.append(game)
        self._begin(ended)
        return step

    def _begin(self, slots: Sequence[int]) -> None:
        """Games begin in these slots; note those whose turn it is."""
        for slot in slots:
            self._begun += 1
            if self._begun % self.every == 0:
                self._open[slot] = PlayedGame(int(self.seeds[slot]), np.zeros(self.spec.num_players))

    def state(self) -> dict[str, Tensor]:
        """The env's, and the games that are being noted; those in `finished` are to be taken before it is used."""
        own = {"begun": torch.tensor(self._begun)}
        for slot, game in self._open.items():
            own[f"{slot}/seed"] = torch.tensor(game.seed)
            own[f"{slot}/returns"] = torch.from_numpy(game.returns.copy())
            if game.actions:
                own[f"{slot}/actions"] = torch.stack(game.actions)
        return {**self.env.state(), **{PREFIX + name: tensor for name, tensor in own.items()}}

    def load(self, state: Mapping[str, Tensor]) -> Turn:
        turn = self.env.load({name: tensor for name, tensor in state.items() if not name.startswith(PREFIX)})
        self.seeds = self.env.seeds
        own = {name.removeprefix(PREFIX): tensor for name, tensor in state.items() if name.startswith(PREFIX)}
        self._begun = int(own.pop("begun", 0))
        self._open = {}
        for slot in sorted({int(name.partition("/")[0]) for name in own}):
            actions = own.get(f"{slot}/actions")
            self._open[slot] = PlayedGame(
                int(own[f"{slot}/seed"]),
                own[f"{slot}/returns"].cpu().numpy().copy(),
                [] if actions is None else list(actions.cpu()),
            )
        return turn

    def fingerprints(self) -> Sequence[bytes]:
        return self.env.fingerprints()

    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        return self.env.draw(index, seat)

    def close(self) -> None:
        self.env.close()


def as_episodes(game: str, played: Sequence[PlayedGame], random_plies: int) -> list[Episode]:
    """The games re-simulated, as unrated episodes whose seats are all held by the agent 0, which has no id yet.

    `random_plies` is the learner's setting: how many random moves games begin with at most.

    Raises ArenaError where a game does not come out as the learner saw it.
    """
    episodes: list[Episode] = []
    for start in range(0, len(played), VERIFY_BATCH):
        episodes += _resimulated(game, played[start : start + VERIFY_BATCH], random_plies)
    return [dataclasses.replace(episode, pair=number) for number, episode in enumerate(episodes)]


def _resimulated(game: str, played: Sequence[PlayedGame], random_plies: int) -> list[Episode]:
    env = make(game, len(played), autoreset=False)
    seeds = torch.tensor([one.seed for one in played])
    openings = chance.below(seeds, -1, random_plies + 1).tolist()  # as `agents.selfplay.in_random_opening` has it
    env.attend("states")
    env.reset(seeds)
    recorder = Recorder(env)
    actions = torch.nn.utils.rnn.pad_sequence([torch.stack(one.actions) for one in played])
    for ply, action in enumerate(actions):
        recorder.record(action, env.step(action), [n for n, one in enumerate(played) if ply < len(one.actions)])
    env.close()
    for index, one in enumerate(played):
        if recorder.reasons[index] != one.reason or (recorder.returns[index] != one.returns).any():
            raise ArenaError(f"the training game of {game} with seed {one.seed} does not come out the same again")
    agents = [0] * env.spec.num_players
    return [
        recorder.episode(n, agents, opening_plies=min(openings[n], recorder.lengths[n]), rated=False)
        for n in range(len(played))
    ]
