"""Groups: games in several envs, of which some go on while another is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from envs.protocol import Step, Turn, VecEnv
from envs.rendering import Drawing


def split(turn: Turn, part: slice) -> Turn:
    """The turn of these games alone."""
    mask = turn.legal_action_mask
    return Turn(turn.observation[part], None if mask is None else mask[part], turn.player[part])


def join(turns: Sequence[Turn]) -> Turn:
    """The turn of all games, in order; of one group the turn itself."""
    if len(turns) == 1:
        return turns[0]
    masks = [turn.legal_action_mask for turn in turns if turn.legal_action_mask is not None]
    observation, player = torch.cat([turn.observation for turn in turns]), torch.cat([turn.player for turn in turns])
    return Turn(observation, torch.cat(masks) if masks else None, player)


class Groups(VecEnv):
    """The games of several envs of one variant, in order. `groups` tells them apart."""

    def __init__(self, envs: Sequence[VecEnv]) -> None:
        self.spec, self.device, self.exact = envs[0].spec, envs[0].device, envs[0].exact
        self.num_envs = sum(env.num_envs for env in envs)
        starts = [sum(env.num_envs for env in envs[:n]) for n in range(len(envs))]
        self._groups = [(slice(start, start + env.num_envs), env) for start, env in zip(starts, envs, strict=True)]

    @property
    def groups(self) -> Sequence[tuple[slice, VecEnv]]:
        return self._groups

    @property
    def seeds(self) -> Tensor:  # type: ignore[override]
        return torch.cat([env.seeds for _, env in self._groups])

    def reset(self, seeds: Tensor) -> Turn:
        return join([env.reset(seeds[part]) for part, env in self._groups])

    def step(self, action: Tensor) -> Step:
        self.send(action)
        return self.receive()

    def send(self, action: Tensor) -> None:
        for part, env in self._groups:
            env.send(action[part])

    def receive(self) -> Step:
        steps = [env.receive() for _, env in self._groups]
        return Step(
            torch.cat([step.rewards for step in steps]),
            torch.cat([step.terminated for step in steps]),
            torch.cat([step.truncated for step in steps]),
            join([step.final for step in steps]),
            join([step.turn for step in steps]),
        )

    def state(self) -> dict[str, Tensor]:
        return {f"{n}/{name}": x for n, (_, env) in enumerate(self._groups) for name, x in env.state().items()}

    def load(self, state: Mapping[str, Tensor]) -> Turn:
        own: list[dict[str, Tensor]] = [{} for _ in self._groups]
        for key, x in state.items():
            number, _, name = key.partition("/")
            own[int(number)][name] = x
        return join([env.load(one) for one, (_, env) in zip(own, self._groups, strict=True)])

    def fingerprints(self) -> list[bytes]:
        return [one for _, env in self._groups for one in env.fingerprints()]

    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        part, env = next((part, env) for part, env in self._groups if index < part.stop)
        return env.draw(index - part.start, seat)

    def close(self) -> None:
        for _, env in self._groups:
            env.close()
