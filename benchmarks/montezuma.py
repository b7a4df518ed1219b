"""Montezuma's Revenge from demonstrations: an agent cloned from recorded games takes the first key.

`.venv/bin/python benchmarks/montezuma.py` finds action lists that fetch the key, records them as episodes, clones them
(`arena train --algo bc`), counts how often the clone and an untrained agent take the key, and writes
benchmarks/results/montezuma.md. The lists stand in for a person.

The lists are searched for as Go-Explore does it (Ecoffet et al. 2021, "First return, then explore"): random buttons,
held for a while, from places reached before, rarely visited ones first. Without sticky actions a game is decided by its
idle frames at the start, here 0 to 10, and its actions; every fifth start (4 and 9) is never demonstrated. After more
idle frames the skull is so far on that the list no longer avoids it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import OURS, facts, save, shown

from arena.episodes import Recorder
from arena.match import evaluate
from arena.records import Match
from arena.roster import Contender, resolve
from arena.store import Store
from envs.atari import AtariGame, _idle_frames
from envs.registry import make
from envs.specs import parse_variant

STARTS = 11
GAME = str(parse_variant(f"ALE/MontezumaRevenge-v5?sticky=0&idle_frames={STARTS}"))
ARENA = OURS[0]
BUTTONS = ("noop", "up", "right", "left", "down", "fire", "rightfire", "leftfire")
X, Y, ROOM = 42, 43, 3
"""Cells of the memory: where the man is, and in which room."""
CELL = 6
"""Pixels across a place that the search tells from others."""
LIMIT = 150
"""Steps of a game that is measured; the lists take about 100."""
SETTINGS = {
    "network": "dqn2013",
    "hidden_size": 256,
    "hidden_layers": 1,
    "bfloat16": "true",
    "learning_rate": 1e-3,
    "batch_size": 32,
    "value_coef": 0.0,
    "weight_decay": 0.0,
}


def seeds_by_start() -> dict[int, int]:
    """Idle frames → the least seed whose game begins with so many."""
    found: dict[int, int] = {}
    for seed in range(10_000):
        found.setdefault(_idle_frames(seed, STARTS), seed)
    return dict(sorted(found.items()))


class Climber:
    """One emulator of which only the memory is looked at."""

    def __init__(self) -> None:
        self.env = make(GAME, 1, autoreset=False)
        self.game: AtariGame = self.env._games[0]  # type: ignore[attr-defined]
        self.game.attention = "states"

    def step(self, action: int) -> float:
        """The reward; −1 where a life is lost or the first room left."""
        rewards, terminated, _ = self.game.step(np.array([action]))
        lost = terminated or self.game._ale.lives() < self.lives or self.memory()[ROOM] != 1
        return -1.0 if lost else rewards[0]

    def begin(self, seed: int) -> None:
        self.game.reset(seed)
        self.lives = self.game._ale.lives()

    def memory(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return self.game._ale.getRAM()

    def place(self) -> tuple[int, int]:
        memory = self.memory()
        return int(memory[X]) // CELL, int(memory[Y]) // CELL

    def fetches(self, actions: Iterable[int], seed: int) -> bool:
        """Whether these actions, to the first that brings anything, bring the key from this start."""
        self.begin(seed)
        return next((reward for action in actions if (reward := self.step(action))), 0.0) > 0

    def search(self, seed: int, rng: random.Random) -> list[int]:
        """A list of actions that fetches the key from this start."""
        buttons = [self.env.spec.action_names.index(name) for name in BUTTONS]
        self.begin(seed)
        reached: dict[tuple[int, int], tuple[Any, list[int]]] = {self.place(): (self.game.bookmark(), [])}
        visits = dict.fromkeys(reached, 0)
        while True:
            places = list(reached)
            (place,) = rng.choices(places, [(1 + visits[place]) ** -0.5 for place in places])
            visits[place] += 1
            bookmark, actions = reached[place]
            self.game.return_to(bookmark)
            path = list(actions)
            for button in rng.choices(buttons, k=6):
                for _ in range(rng.choice((1, 2, 4, 8))):
                    path.append(button)
                    reward = self.step(button)
                    if reward:
                        break
                    place = self.place()
                    if place not in reached or len(path) < len(reached[place][1]):
                        reached[place] = self.game.bookmark(), list(path)
                        visits.setdefault(place, 0)
                if reward:
                    break
            if reward > 0:
                return path


def find_lists(progress: bool = True) -> dict[int, list[int]]:
    """Seed → actions that fetch the key, for every start. The first action is the game's `noop`."""
    climber = Climber()
    assert climber.env.spec.action_names[0] == "noop"
    found: dict[int, list[int]] = {}
    for start, seed in seeds_by_start().items():
        known = (actions for actions in found.values() if climber.fetches(actions, seed))
        found[seed] = next(known, None) or climber.search(seed, random.Random(start))
        if progress:
            print(f"{start} idle frames (seed {seed}): {len(found[seed])} steps", file=sys.stderr, flush=True)
    return found


def record(store: Store, lists: dict[int, list[int]]) -> None:
    """The demonstrations as episodes of the player `demonstrator`, each ended where the key is taken."""
    with contextlib.closing(make(GAME, len(lists), autoreset=False)) as env:
        env.reset(torch.tensor(list(lists)))
        recorder = Recorder(env)
        lengths = [len(actions) for actions in lists.values()]
        played = torch.zeros(max(lengths), len(lists), dtype=torch.int64)
        for game, actions in enumerate(lists.values()):
            played[: len(actions), game] = torch.tensor(actions)
        for ply, actions in enumerate(played):
            chosen = actions.unsqueeze(1)
            recorder.record(chosen, env.step(chosen), [n for n, length in enumerate(lengths) if ply < length])
        episodes = [recorder.episode(n, [0], reason="truncated", pair=n) for n in range(len(lists))]
    assert all(episode.players[0].reward == 100 for episode in episodes)
    store.add_played([(Match(GAME, "play"), episodes, [["demonstrator"]] * len(episodes))])


def share(contender: Contender, seed: int, episodes: int) -> float:
    """How many of so many greedy games bring the key within LIMIT steps."""
    measured = evaluate(None, GAME, contender, episodes=episodes, seed=seed, max_plies=LIMIT)
    return float(np.mean([brought >= 100 for brought in measured.returns]))


def by_start(contender: Contender) -> dict[int, bool]:
    """Idle frames → whether the greedy agent takes the key."""
    seeds = seeds_by_start()
    with contextlib.closing(make(GAME, len(seeds), autoreset=False)) as env:
        turn = env.reset(torch.tensor(list(seeds.values())))
        brought = torch.zeros(len(seeds))
        for _ in range(LIMIT):
            assert turn.legal_action_mask is not None
            decision = contender.policy(turn.observation.flatten(0, 1), turn.legal_action_mask.flatten(0, 1))
            step = env.step(decision.probabilities.argmax(-1, keepdim=True))
            brought, turn = brought + step.rewards[:, 0], step.turn
    return {start: bool(reward >= 100) for start, reward in zip(seeds, brought, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--decisions", type=int, default=45_000, help="how many the clone learns from")
    parser.add_argument("--episodes", type=int, default=44)
    parser.add_argument("--db", type=Path, help="keep the league here")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    about = facts("Montezuma's Revenge from demonstrations", "python benchmarks/montezuma.py")
    with tempfile.TemporaryDirectory() as folder:
        path = asked.db or Path(folder) / "league.db"
        begun = time.process_time()
        lists = find_lists()
        searching = time.process_time() - begun
        shown_starts = {seed: actions for start, (seed, actions) in enumerate(lists.items()) if start % 5 != 4}
        store = Store(path)
        record(store, shown_starts)
        sets = [f"--set={key}={value}" for key, value in SETTINGS.items()]
        command = [
            ARENA, "train", GAME, "--algo", "bc", "--from", "episodes:demonstrator", "--name", "clone",
            "--steps", str(asked.decisions), "--device", "cpu", *sets, "--db", str(path),
        ]  # fmt: skip
        subprocess.run(command, check=True)
        clone = resolve(store, GAME, "clone")
        taken = by_start(clone)
        result = {
            "clone": share(clone, 1, asked.episodes),
            "random": share(resolve(store, GAME, "random"), 1, asked.episodes),
            "starts": taken,
            "steps": {start: len(actions) for start, actions in enumerate(lists.values())},
            "search_cpu_s": searching,
        }
    unseen = [taken[start] for start in range(STARTS) if start % 5 == 4]
    seen = [taken[start] for start in range(STARTS) if start % 5 != 4]
    lines = [
        f"First key taken within {LIMIT} steps of `{GAME}` (no sticky actions; 0 to 10 idle frames), {asked.episodes} "
        "games each:",
        "",
        "| agent | share of games |",
        "|---|---:|",
        f"| cloned from {len(shown_starts)} demonstrations | **{result['clone']:.0%}** |",
        f"| random moves | {result['random']:.0%} |",
        "",
        f"By start: {sum(seen)} of the {len(seen)} demonstrated, {sum(unseen)} of the {len(unseen)} never shown.",
        f"Action lists: {min(result['steps'].values())} to {max(result['steps'].values())} steps, found in "
        f"{searching:.0f} seconds of processor time.",
        "",
        f"`{shown(command[:-2])}`",
    ]
    save("montezuma", about | {"result": result}, lines)
    print("\n".join(lines))
    print(json.dumps(result), file=sys.stderr)


if __name__ == "__main__":
    main()
