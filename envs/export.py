"""Our games as environments of Gymnasium and PettingZoo: to_gymnasium, to_aec, to_parallel.

The legal actions travel as those libraries expect them: in `info["action_mask"]` of a Gymnasium environment, in
`observation["action_mask"]` of a PettingZoo one. An illegal action raises IllegalActionError. A game's seed is the one
given to `reset`; without one it is drawn from the last one given.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.utils import seeding
from numpy.typing import NDArray
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec

from envs import registry
from envs.errors import IllegalActionError, UsageError
from envs.protocol import Step, Turn, VecEnv, check_legal
from envs.specs import GameSpec

_METADATA = {"render_modes": ["ansi"], "render_fps": 4}


def to_gymnasium(game: str, render_mode: str | None = None) -> gymnasium.Env:
    """A one-player game (`id?option=value`) as a Gymnasium environment."""
    env = registry.make(game, autoreset=False)
    if env.spec.num_players != 1:
        raise UsageError(f"{game} has {env.spec.num_players} players: it leaves by to_aec or to_parallel")
    return _GymnasiumGame(env, render_mode)


def to_aec(game: str, render_mode: str | None = None) -> AECEnv:
    """A game of several players as a PettingZoo AEC environment (a simultaneous one by PettingZoo's own conversion)."""
    env = registry.make(game, autoreset=False)
    if env.spec.num_slots > 1:
        return parallel_to_aec(_ParallelGame(env, render_mode))
    if env.spec.num_players == 1:
        raise UsageError(f"{game} has one player: it leaves by to_gymnasium")
    return _AecGame(env, render_mode)


def to_parallel(game: str, render_mode: str | None = None) -> ParallelEnv:
    """A simultaneous game as a PettingZoo Parallel environment."""
    env = registry.make(game, autoreset=False)
    if env.spec.num_slots == 1:
        raise UsageError(
            f"{game} is not simultaneous: it leaves by {'to_gymnasium' if env.spec.num_players == 1 else 'to_aec'}"
        )
    return _ParallelGame(env, render_mode)


def _observation_space(spec: GameSpec) -> spaces.Box:
    if spec.observation_dtype == "uint8":
        return spaces.Box(0, int(spec.scale), spec.observation_shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, spec.observation_shape, np.float32)


def _action_space(spec: GameSpec) -> spaces.Space:
    if spec.num_actions is None:
        return spaces.Box(spec.action_low, spec.action_high, spec.action_shape, np.float32)
    return spaces.Discrete(spec.num_actions)


def _seen_space(spec: GameSpec) -> spaces.Dict:
    mask = spaces.Box(0, 1, (spec.num_actions or 0,), np.int8)
    return spaces.Dict({"observation": _observation_space(spec), "action_mask": mask})


class _Single:
    """One game of a VecEnv, its seeds and its turn; what the three kinds of environments share."""

    def __init__(self, env: VecEnv) -> None:
        self.env = env
        self.rng = seeding.np_random(None)[0]
        self.turn: Turn | None = None

    def reset(self, seed: int | None) -> None:
        if seed is not None:
            self.rng = seeding.np_random(seed)[0]
        number = int(self.rng.integers(2**63 - 1)) if seed is None else seed
        self.turn = self.env.reset(torch.tensor([number]))

    def step(self, actions: list[Any]) -> Step:
        """actions: one for every slot."""
        assert self.turn is not None, "reset comes first"
        action = torch.as_tensor(np.asarray(actions)).unsqueeze(0)
        action = action.float() if self.env.spec.num_actions is None else action.long()
        if self.turn.legal_action_mask is not None:
            for slot in (~check_legal(self.turn, action)).squeeze(0).nonzero().flatten().tolist():
                raise IllegalActionError(f"{self.env.spec.game}: action {actions[slot]} is not legal here")
        step = self.env.step(action)
        self.turn = step.final
        return step

    def observation(self, slot: int) -> NDArray[Any]:
        assert self.turn is not None
        return self.turn.observation[0, slot].cpu().numpy().copy()

    def mask(self, slot: int) -> NDArray[np.int8]:
        assert self.turn is not None
        assert self.turn.legal_action_mask is not None
        return self.turn.legal_action_mask[0, slot].cpu().numpy().astype(np.int8)

    def seen(self, slot: int) -> dict[str, NDArray[Any]]:
        return {"observation": self.observation(slot), "action_mask": self.mask(slot)}


class _GymnasiumGame(gymnasium.Env):
    metadata = _METADATA

    def __init__(self, env: VecEnv, render_mode: str | None) -> None:
        self._game = _Single(env)
        self.observation_space = _observation_space(env.spec)
        self.action_space = _action_space(env.spec)
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._game.reset(seed)
        return self._game.observation(0), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        step = self._game.step([action])
        reward = float(step.rewards[0, 0])
        return self._game.observation(0), reward, bool(step.terminated[0]), bool(step.truncated[0]), self._info()

    def render(self) -> Any:
        return self._game.env.draw().text() if self.render_mode == "ansi" else None

    def close(self) -> None:
        self._game.env.close()

    def _info(self) -> dict[str, Any]:
        return {} if self._game.env.spec.num_actions is None else {"action_mask": self._game.mask(0)}


class _AecGame(AECEnv):
    """Who is not to move sees what it saw at its own last decision, and has no legal action."""

    def __init__(self, env: VecEnv, render_mode: str | None) -> None:
        super().__init__()
        self._game = _Single(env)
        self.metadata = {**_METADATA, "name": env.spec.game, "is_parallelizable": False}
        self.render_mode = render_mode
        self.possible_agents = [f"player_{player}" for player in range(env.spec.num_players)]
        self.agents: list[str] = []
        self.observation_spaces = {agent: _seen_space(env.spec) for agent in self.possible_agents}
        self.action_spaces = {agent: _action_space(env.spec) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Space:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        self._game.reset(seed)
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        spec = self._game.env.spec
        blank = np.zeros(spec.observation_shape, spec.observation_dtype)
        self._seen = dict.fromkeys(self.possible_agents, blank)
        self._next()

    def step(self, action: Any) -> None:
        if self.terminations[self.agent_selection] or self.truncations[self.agent_selection]:
            self._was_dead_step(action)
            return
        step = self._game.step([action])
        self._cumulative_rewards[self.agent_selection] = 0.0
        self.rewards = dict(zip(self.possible_agents, step.rewards[0].tolist(), strict=True))
        self.terminations = dict.fromkeys(self.agents, bool(step.terminated[0]))
        self.truncations = dict.fromkeys(self.agents, bool(step.truncated[0]))
        self._next()
        self._accumulate_rewards()

    def observe(self, agent: str) -> dict[str, NDArray[Any]]:
        over = not self.agents or self.terminations.get(agent, True) or self.truncations.get(agent, True)
        if agent == self.agent_selection and not over:
            return self._game.seen(0)
        return {
            "observation": self._seen[agent].copy(),
            "action_mask": np.zeros(self._game.env.spec.num_actions or 0, np.int8),
        }

    def render(self) -> Any:
        return self._game.env.draw().text() if self.render_mode == "ansi" else None

    def close(self) -> None:
        self._game.env.close()

    def _next(self) -> None:
        """The turn goes to whom the game says."""
        assert self._game.turn is not None
        self.agent_selection = self.possible_agents[int(self._game.turn.player[0, 0])]
        self._seen[self.agent_selection] = self._game.observation(0)


class _ParallelGame(ParallelEnv):
    def __init__(self, env: VecEnv, render_mode: str | None) -> None:
        self._game = _Single(env)
        self.metadata = {**_METADATA, "name": env.spec.game, "is_parallelizable": True}
        self.render_mode = render_mode
        self.possible_agents = [f"player_{player}" for player in range(env.spec.num_players)]
        self.agents: list[str] = []
        self.observation_spaces = {agent: _seen_space(env.spec) for agent in self.possible_agents}
        self.action_spaces = {agent: _action_space(env.spec) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Space:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        self._game.reset(seed)
        self.agents = list(self.possible_agents)
        return self._seen(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        step = self._game.step([actions.get(agent, 0) for agent in self.possible_agents])
        living = self.agents
        rewards = {agent: float(step.rewards[0, self._slot(agent)]) for agent in living}
        truncated = dict.fromkeys(living, bool(step.truncated[0]))
        out = {agent: bool(step.final.player[0, self._slot(agent)] < 0) for agent in living}
        terminated = {agent: not truncated[agent] and (bool(step.terminated[0]) or out[agent]) for agent in living}
        seen = self._seen()
        self.agents = [agent for agent in living if not (terminated[agent] or truncated[agent])]
        return seen, rewards, terminated, truncated, {agent: {} for agent in living}

    def render(self) -> Any:
        return self._game.env.draw().text() if self.render_mode == "ansi" else None

    def close(self) -> None:
        self._game.env.close()

    def _slot(self, agent: str) -> int:
        return self.possible_agents.index(agent)

    def _seen(self) -> dict[str, Any]:
        return {agent: self._game.seen(self._slot(agent)) for agent in self.agents}
