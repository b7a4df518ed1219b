"""PettingZoo environments: `pettingzoo/classic/connect_four_v3`, options after `?` handed to `pettingzoo.make`.

PettingZoo's agents become players here and nowhere else: player p is `possible_agents[p]`. Environments that exist in
its Parallel form are simultaneous; those that exist as AEC only are turn-based.
"""

from __future__ import annotations

import gc
import re
import weakref
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pettingzoo
import torch
from pettingzoo.env_registry.exceptions import FailedToImport

from envs.adapter import AdapterEnv, Array, WrappedGame, backend
from envs.errors import MissingPackageError, UnknownNameError, UsageError
from envs.pettingzoo_drawings import DRAWERS, draw_any
from envs.protocol import VecEnv
from envs.rendering import Drawing
from envs.spaces import ActionForm, ObservationForm
from envs.specs import GameSpec, OptionValue, Variant


@dataclass(frozen=True)
class _Facts:
    """What PettingZoo's spaces do not tell about a game."""

    zero_sum: bool = False
    perfect_information: bool = False
    opening_plies: int = 0
    action_names: tuple[str, ...] = ()


_FACTS = {
    "classic/tictactoe_v3": _Facts(True, True, 2, tuple("147258369")),
    "classic/connect_four_v3": _Facts(True, True, 4, tuple("1234567")),
    "classic/chess_v6": _Facts(True, True, 4),
    "classic/go_v5": _Facts(True, True, 4),
    "classic/leduc_holdem_v4": _Facts(True, action_names=("call", "raise", "fold", "check")),
    "classic/texas_holdem_v4": _Facts(True, action_names=("call", "raise", "fold", "check")),
    "classic/texas_holdem_no_limit_v6": _Facts(True),
    "classic/rps_v2": _Facts(True, action_names=("rock", "paper", "scissors")),
    "butterfly/cooperative_pong_v6": _Facts(action_names=("stay", "up", "down")),
}
SEEDS = 2**31  # some of these games take no larger seeds
_GO_LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"
_go_games: weakref.WeakSet[AecGame] = weakref.WeakSet()


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> VecEnv:
    kind: Callable[[Variant], WrappedGame]
    kind = ParallelGame if _library_id(variant) in pettingzoo.parallel_registry else AecGame
    games = [kind(variant) for _ in range(num_envs)]
    return AdapterEnv(games[0].spec, games, device, autoreset)


class _PettingZooGame(WrappedGame):
    """What AEC and Parallel games share."""

    def __init__(self, variant: Variant, api: str) -> None:
        self.name = variant.id.removeprefix("pettingzoo/")
        self._env = open_env(variant, api, None if self.name in DRAWERS else "rgb_array", dict(variant.options))
        agents = list(self._env.possible_agents)
        self._players = {agent: player for player, agent in enumerate(agents)}
        observed = [self._env.observation_space(agent) for agent in agents]
        spaces = [getattr(space, "spaces", {}).get("observation", space) for space in observed]
        if any(space != spaces[0] for space in spaces):
            raise UsageError(f"{variant}: its players see arrays of different shapes, which no policy here can take")
        self._form = ObservationForm(spaces[0], str(variant))
        self._actions = [ActionForm(self._env.action_space(agent), str(variant)) for agent in agents]
        counts = {action.count for action in self._actions}
        if (len(counts) > 1 and None in counts) or len({action.shape for action in self._actions}) > 1:
            raise UsageError(f"{variant}: its players act in different ways, which no policy here can")
        count = None if None in counts else max(action.count or 0 for action in self._actions)
        facts = _FACTS.get(self.name, _Facts())
        self.spec = GameSpec(
            game=str(variant),
            version=variant.game.version,
            num_players=len(agents),
            num_slots=len(agents) if api == "parallel" else 1,
            num_actions=count,
            observation_shape=self._form.shape,
            observation_dtype=self._form.dtype,
            action_names=_action_names(self.name, facts, count),
            zero_sum=facts.zero_sum,
            perfect_information=facts.perfect_information,
            opening_plies=facts.opening_plies,
            scale=self._form.scale,
            action_shape=self._actions[0].shape,
            action_low=self._actions[0].low,
            action_high=self._actions[0].high,
            backend=backend("pettingzoo"),
        )

    def _write(self, seen: Any, info: Mapping[str, Any], player: int, observation: Array, mask: Array | None) -> None:
        """One player's part, into observation [*obs] and mask [A]; the mask comes with what is seen or in the info."""
        legal = info.get("action_mask")
        if isinstance(seen, Mapping) and "observation" in seen:
            legal = seen.get("action_mask", legal)
            seen = seen["observation"]
        self._form.write(seen, observation)
        if mask is None:
            return
        mask[self._actions[player].count :] = False
        if legal is not None and np.any(legal):
            mask[: len(legal)] = np.asarray(legal, dtype=bool)

    @abstractmethod
    def _views(self) -> dict[int, Any]:
        """What each player sees now."""

    def fingerprint(self) -> bytes:
        return b"".join(_bytes(view) for _, view in sorted(self._views().items()))

    def draw(self, seat: int | None) -> Drawing:
        views = {player: view for player, view in self._views().items() if seat is None or player == seat}
        return DRAWERS.get(self.name, draw_any)(self._env, views, self.spec.action_names)

    def close(self) -> None:
        self._env.close()


class AecGame(_PettingZooGame):
    """One turn-based game."""

    board_size: OptionValue

    def __init__(self, variant: Variant) -> None:
        if variant.id == "pettingzoo/classic/go_v5":
            self._claim_go(variant.options.get("board_size", 19))
        super().__init__(variant, "aec")

    def _claim_go(self, size: OptionValue) -> None:
        """go_v5 keeps its board size in module globals, so that all games alive in a process must share one."""
        if any(game.board_size != size for game in _go_games):
            gc.collect()
        others = {game.board_size for game in _go_games} - {size}
        if others:
            raise UsageError(f"go_v5 has one board size per process, now {others.pop()}: close those games first")
        self.board_size = size
        _go_games.add(self)

    def reset(self, seed: int) -> None:
        self._env.reset(seed=seed % SEEDS)

    def step(self, action: Array) -> tuple[Sequence[float], bool, bool]:
        env = self._env
        rewards = [0.0] * self.spec.num_players
        env.step(self._actions[self._players[env.agent_selection]](action[0]))
        while True:
            for agent, reward in env.rewards.items():
                rewards[self._players[agent]] += float(reward)
            ended = all(env.terminations[agent] or env.truncations[agent] for agent in env.agents)
            if ended or not (env.terminations[env.agent_selection] or env.truncations[env.agent_selection]):
                break
            env.step(None)  # a player that is out leaves the table
        terminated = ended and (not env.agents or any(env.terminations.values()))
        return rewards, terminated, ended and not terminated

    def observe(self, observation: Array, mask: Array | None, player: Array) -> None:
        agent = self._env.agent_selection
        player[0] = self._players[agent]
        info = self._env.infos.get(agent, {})
        self._write(self._env.observe(agent), info, player[0], observation[0], None if mask is None else mask[0])

    def names(self, seat: int) -> Mapping[int, str] | None:
        if self.name != "classic/chess_v6":
            return None
        from envs.chess_positions import actions_of

        return {action: word for word, action in actions_of(self._env.unwrapped.board).items()}

    def _views(self) -> dict[int, Any]:
        return {player: self._env.observe(agent) for agent, player in self._players.items()}

    def close(self) -> None:
        super().close()
        _go_games.discard(self)


class ParallelGame(_PettingZooGame):
    """One simultaneous game."""

    def __init__(self, variant: Variant) -> None:
        super().__init__(variant, "parallel")
        self._seen: dict[str, Any] = {}
        self._infos: dict[str, Any] = {}

    def reset(self, seed: int) -> None:
        self._seen, self._infos = self._env.reset(seed=seed % SEEDS)

    def step(self, action: Array) -> tuple[Sequence[float], bool, bool]:
        chosen = {
            agent: self._actions[self._players[agent]](action[self._players[agent]]) for agent in self._env.agents
        }
        seen, gained, terminated, _, self._infos = self._env.step(chosen)
        rewards = [0.0] * self.spec.num_players
        for agent, reward in gained.items():
            rewards[self._players[agent]] = float(reward)
        ended = not self._env.agents
        # after the end every player that was in the last step keeps what it saw; before, only those who go on decide
        self._seen = {agent: seen[agent] for agent in seen if ended or agent in self._env.agents}
        stopped = ended and any(terminated.values())
        return rewards, stopped, ended and not stopped

    def observe(self, observation: Array, mask: Array | None, player: Array) -> None:
        for agent, seen in self._seen.items():
            slot = self._players[agent]
            player[slot] = slot
            info = self._infos.get(agent, {})
            self._write(seen, info, slot, observation[slot], None if mask is None else mask[slot])

    def _views(self) -> dict[int, Any]:
        return {self._players[agent]: seen for agent, seen in self._seen.items()}


def _library_id(variant: Variant) -> str:
    """`classic/go_v5` → PettingZoo's own `classic/go-v5`."""
    return re.sub(r"_(v\d+)$", r"-\1", variant.id.removeprefix("pettingzoo/"))


def open_env(variant: Variant, api: str, render_mode: str | None, options: dict[str, Any]) -> Any:
    """PettingZoo's own environment. Raises UsageError for unknown names and options, MissingPackageError."""
    name = _library_id(variant)
    registry = pettingzoo.aec_registry if api == "aec" else pettingzoo.parallel_registry
    if name not in registry:
        known = {**pettingzoo.aec_registry, **pettingzoo.parallel_registry}
        ours = [re.sub(r"-(v\d+)$", r"_\1", f"pettingzoo/{key}") for key in known]
        raise UnknownNameError("PettingZoo environment", variant.id, ours)
    try:
        return pettingzoo.make(api, name, render_mode=render_mode, **options)
    except OSError as exception:
        raise MissingPackageError(f"{variant.id}: {' '.join(str(exception).split())}") from None
    except FailedToImport:
        family = name.partition("/")[0]
        raise MissingPackageError(f'{variant.id} needs pip install "pettingzoo[{family}]"') from None
    except (TypeError, ValueError, AssertionError) as exception:
        raise UsageError(f"{variant}: {' '.join(str(exception).split())}") from None


def _action_names(name: str, facts: _Facts, count: int | None) -> tuple[str, ...]:
    """Words or coordinates where the game has known ones, else the actions' numbers; none for continuous actions."""
    if count is None:
        return ()
    if name == "classic/go_v5":
        size = int((count - 1) ** 0.5)
        points = (divmod(point, size) for point in range(size * size))
        return (*(f"{_GO_LETTERS[column]}{size - row}" for row, column in points), "pass")
    return facts.action_names if len(facts.action_names) == count else tuple(str(index) for index in range(count))


def _bytes(view: Any) -> bytes:
    if isinstance(view, Mapping):
        return b"".join(_bytes(view[key]) for key in sorted(view))
    return np.ascontiguousarray(view).tobytes()
