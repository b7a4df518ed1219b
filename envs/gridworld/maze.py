"""A maze grown from the seed (see `envs.gridworld.mazes`), a walker and a goal in two of its rooms.

A game is cut off after L = size² steps. Each step costs 1 / L and reaching the goal is worth 1 and ends the game: the
return is 1 − steps / L, and −1 for who never arrives. With `level` the maze and its goal are that level's in every
game, and so is the start; `start=any` starts on any open cell, by the game's seed. The observation has three planes:
walker, goal, walls."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from envs import chance
from envs.errors import UsageError
from envs.gridworld.drawing import DIRECTIONS, draw_walker
from envs.gridworld.dynamics import Dynamics
from envs.gridworld.maps import MOVES
from envs.gridworld.mazes import grow_mazes, room_cells
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing
from envs.specs import GameSpec, Variant

_GOAL_DRAW, _START_DRAW = 1, 2


class MazeRules:
    """State: `walls` [N, size²] bool, `goal` [N] and `walker` [N] as cell indexes."""

    def __init__(self, size: int, level: int | None, held_out: bool, anywhere: bool, device: torch.device) -> None:
        self.size = size
        self.level = level
        self.held_out = held_out
        self.anywhere = anywhere
        self.max_steps = size * size
        self._rooms = room_cells(size // 2, device)
        moves = [DIRECTIONS[name] for name in MOVES]
        self._offset = torch.tensor([row * size + column for row, column in moves], device=device)
        self._legal = torch.ones(1, 1, len(MOVES), dtype=torch.bool, device=device)

    def init(self, seeds: Tensor) -> State:
        maze_seeds = seeds if self.level is None else torch.full_like(seeds, self.level)
        walls = grow_mazes(maze_seeds, self.size, self.held_out)
        num_rooms = len(self._rooms)
        goal_room = chance.below(maze_seeds, 0, num_rooms, _GOAL_DRAW)
        goal = self._rooms[goal_room]
        if self.anywhere:
            free = (~walls).scatter(1, goal.unsqueeze(1), False).cumsum(1)
            chosen = chance.below(seeds, 0, free[:, -1], _START_DRAW)
            walker = (free <= chosen.unsqueeze(1)).sum(1)
        else:
            further = 1 + chance.below(maze_seeds, 0, num_rooms - 1, _START_DRAW)
            walker = self._rooms[(goal_room + further) % num_rooms]
        return {"walls": walls, "goal": goal, "walker": walker}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        walker = state["walker"]
        target = walker + self._offset[action.squeeze(1)]
        blocked = state["walls"].gather(1, target.unsqueeze(1)).squeeze(1)
        walker = torch.where(blocked, walker, target)
        arrived = walker == state["goal"]
        return {**state, "walker": walker}, (arrived.float() - 1 / self.max_steps).unsqueeze(1), arrived

    def observe(self, state: State) -> Turn:
        walls, walker = state["walls"], state["walker"]
        planes = torch.zeros(len(walker), 1, 3, self.size * self.size, dtype=torch.uint8, device=walker.device)
        planes[:, 0, 0].scatter_(1, walker.unsqueeze(1), 1)
        planes[:, 0, 1].scatter_(1, state["goal"].unsqueeze(1), 1)
        planes[:, 0, 2] = walls
        return Turn(
            planes.unflatten(-1, (self.size, self.size)),
            self._legal.expand(len(walker), 1, len(MOVES)),
            torch.zeros_like(walker).unsqueeze(1),
        )

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        picture = self.picture(state["walls"][index], int(state["goal"][index]))
        at = divmod(int(state["walker"][index]), self.size)
        return draw_walker(picture, at, MOVES, f"+1 at the ★, −1/{self.max_steps} a step")

    def picture(self, walls: Tensor, goal: int) -> tuple[str, ...]:
        """The map of one maze [size²]."""
        cells = ["#" if wall else "." for wall in walls.tolist()]
        cells[goal] = "G"
        return tuple("".join(cells[row : row + self.size]) for row in range(0, len(cells), self.size))


class MazeEnv(NativeEnv):
    """N mazes; with a level they have exact dynamics."""

    def __init__(self, rules: MazeRules, spec: GameSpec, num_envs: int, device: torch.device, autoreset: bool) -> None:
        super().__init__(spec, rules, num_envs, device, autoreset)
        self.maze = rules

    def dynamics(self) -> Dynamics:
        """One state a cell, found by stepping the rules from each; walls are terminal and never entered."""
        rules = self.maze
        if rules.level is None:
            raise UsageError(
                f"{self.spec.game} grows a new maze each game; exact dynamics need one maze, as in level=0"
            )
        num_states = rules.size * rules.size
        level = rules.init(torch.zeros(1, dtype=torch.int64, device=self.device))
        walls, goal = level["walls"][0], level["goal"][0]
        cells = torch.arange(num_states, device=self.device)
        terminal = walls | (cells == goal)
        state = {name: value.expand(num_states, *value.shape[1:]) for name, value in level.items()}
        observation = rules.observe({**state, "walker": cells}).observation.squeeze(1)
        state["walker"] = torch.where(walls, goal, cells)
        transition = np.zeros((num_states, len(MOVES), num_states))
        reward = np.zeros_like(transition)
        for action in range(len(MOVES)):
            after, rewards, _ = rules.step(state, torch.full_like(cells, action).unsqueeze(1), cells)
            target = torch.where(terminal, cells, after["walker"]).cpu().numpy()
            transition[cells.cpu(), action, target] = 1.0
            reward[cells.cpu(), action, target] = rewards.squeeze(1).masked_fill(terminal, 0.0).cpu().numpy()
        starts = ~terminal if rules.anywhere else cells == level["walker"]
        return Dynamics(
            transition=transition,
            reward=reward,
            terminal=terminal.cpu().numpy(),
            start=(starts / starts.sum()).double().cpu().numpy(),
            observation=observation.cpu().numpy(),
            legal=np.ones((num_states, len(MOVES)), dtype=bool),
            cell=np.stack(np.divmod(np.arange(num_states), rules.size), axis=1),
            picture=rules.picture(walls, int(goal)),
            action_names=MOVES,
        )


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> MazeEnv:
    options = variant.all_options()
    size, level = int(options["size"]), int(options["level"])
    if size % 2 == 0:
        raise UsageError(f"{variant}: a maze's size is odd, such as {size - 1} or {size + 1}")
    rules = MazeRules(size, None if level < 0 else level, bool(options["held_out"]), options["start"] == "any", device)
    spec = GameSpec(
        game=str(variant),
        version=variant.game.version,
        num_players=1,
        num_slots=1,
        num_actions=len(MOVES),
        observation_shape=(3, size, size),
        observation_dtype="uint8",
        action_names=MOVES,
        perfect_information=True,
        max_steps=rules.max_steps,
    )
    return MazeEnv(rules, spec, num_envs, device, autoreset)
