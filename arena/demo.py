"""The demonstration: DQN, VPG and PPO learn a gridworld and two board games, meet the scripts, are rated.

Everything it does is kept as it goes, under fixed names: called again it goes on where it was interrupted, and once it
is complete only the results are computed again. Trainings are child processes of the command line, two at a time.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import IO, TYPE_CHECKING

from arena.records import Episode, Run
from arena.standings import ScoreRow, Standing, score_table, standings
from arena.store import Store
from envs.errors import ArenaError

if TYPE_CHECKING:
    from arena.ask import PolicyTable

GRIDWORLD = "gridworld/recycling"
SCRIPTS = {"tic_tac_toe": ("minimax", "tactician", "random"), "connect_four": ("tactician", "random")}
"""The board games, and whom the learners meet there."""
EPISODES = 20
GAMES = 100
LONG_MATCH = 400
"""Games of the matches that say how good connect four's PPO is."""
CHILDREN = 2
STOPPED = (130, -signal.SIGTERM, -signal.SIGKILL)
PROGRESS_SECONDS = "1"


@dataclass(frozen=True)
class Training:
    """A run of the demonstration."""

    name: str
    game: str
    algorithm: str
    steps: int


TRAININGS = (
    Training("ppo-connect4", "connect_four", "ppo", 9_000_000),
    Training("dqn-connect4", "connect_four", "dqn", 400_000),
    Training("vpg-connect4", "connect_four", "vpg", 2_000_000),
    Training("ppo-tictactoe", "tic_tac_toe", "ppo", 1_000_000),
    Training("dqn-tictactoe", "tic_tac_toe", "dqn", 200_000),
    Training("vpg-tictactoe", "tic_tac_toe", "vpg", 1_000_000),
    Training("dqn-recycling", GRIDWORLD, "dqn", 5_000),
    Training("vpg-recycling", GRIDWORLD, "vpg", 20_000),
    Training("ppo-recycling", GRIDWORLD, "ppo", 20_000),
)
"""Longest first, so that the children finish together."""


@dataclass(frozen=True)
class DemoEvent:
    """Progress of a job.

    Attributes:
        line: what is new; of a training, a line of its own progress as it said it.
        done, total: how many matches or evaluations; 0 for trainings.
        trained: the training has just ended.
    """

    job: str
    line: str = ""
    done: int = 0
    total: int = 0
    trained: bool = False


@dataclass(frozen=True)
class DemoResults:
    """What the demonstration found.

    Attributes:
        tables: game → its rating table.
        gridworld, scores, optimum: the gridworld, its score table, and the expected return of perfect play.
        moves: what the gridworld's DQN does in every state, its values and arrows over the map.
        lost_lines: agent → (lines of tic-tac-toe that it loses playing greedily, lines there are).
        sample: a game worth looking at, and who played it by seat.
    """

    tables: dict[str, list[Standing]]
    gridworld: str
    scores: list[ScoreRow]
    optimum: float
    moves: PolicyTable
    lost_lines: dict[str, tuple[int, int]]
    sample: Episode
    players: tuple[str, ...]


def run_demo(store: Store, should_stop: Callable[[], bool]) -> Iterator[DemoEvent]:
    """Train, play and evaluate what is not done yet. Stops soon after `should_stop()`, with everything kept.

    Raises ArenaError with the last line of a training that failed.
    """
    yield from _train(store, should_stop)
    if not should_stop():
        yield from _play(store, should_stop)
    if not should_stop():
        yield from _evaluate(store, should_stop)


def is_complete(store: Store) -> bool:
    """Whether nothing is left to train or to play."""
    return not (_untrained(store) or _unplayed(store) or _unevaluated(store))


def results(store: Store) -> DemoResults:
    """What a complete demonstration found."""
    from arena.ask import policy_table
    from arena.roster import resolve
    from arena.strength import check_strength, optimum

    lost: dict[str, tuple[int, int]] = {}
    for name in _members("tic_tac_toe")[:3]:
        contender = resolve(store, "tic_tac_toe", name)
        strength = check_strength("tic_tac_toe", contender.policy)
        lost[contender.name] = (strength.cases - strength.faultless, strength.cases)
    sample = _sample(store)
    return DemoResults(
        tables={game: standings(store, game) for game in SCRIPTS},
        gridworld=GRIDWORLD,
        scores=score_table(store, GRIDWORLD),
        optimum=optimum(GRIDWORLD),
        moves=policy_table(GRIDWORLD, resolve(store, GRIDWORLD, "dqn-recycling")),
        lost_lines=lost,
        sample=sample,
        players=tuple(store.agent_by_id(player.agent).name for player in sample.players),
    )


def _members(game: str) -> list[str]:
    """Who plays a game: the learners, then the scripts."""
    learners = {training.algorithm: training.name for training in TRAININGS if training.game == game}
    return [
        *(learners[algorithm] for algorithm in ("ppo", "vpg", "dqn")),
        *SCRIPTS.get(game, ("value-iteration", "random")),
    ]


def _untrained(store: Store) -> list[Training]:
    finished = {run.name for run in store.runs() if run.state == "finished"}
    return [training for training in TRAININGS if training.name not in finished]


def _train(store: Store, should_stop: Callable[[], bool]) -> Iterator[DemoEvent]:
    waiting = _untrained(store)
    begun = {run.name: run for run in store.runs()}
    children: dict[str, _Child] = {}
    said: queue.Queue[tuple[str, str]] = queue.Queue()
    try:
        while (waiting or children) and not should_stop():
            while waiting and len(children) < CHILDREN:
                training = waiting.pop(0)
                children[training.name] = _Child(store.path, training, begun.get(training.name), said)
            try:
                name, line = said.get(timeout=0.2)
                yield DemoEvent(name, line)
            except queue.Empty:
                pass
            for name in [name for name, child in children.items() if child.has_finished()]:
                del children[name]
                yield DemoEvent(name, trained=True)
    finally:
        for child in children.values():
            child.process.terminate()
        for child in children.values():
            child.process.wait()


class _Child:
    """A training as a child process. Its progress goes to `said` by lines; it ends when nobody reads them any more."""

    def __init__(self, db: Path, training: Training, begun: Run | None, said: queue.Queue[tuple[str, str]]) -> None:
        words = ["train", training.game, "--name", training.name, "--db", str(db), "--device", "cpu"]
        words += ["--resume"] if begun else ["--algo", training.algorithm, "--steps", str(training.steps)]
        self.name = training.name
        self.last = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "arena", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "ARENA_PROGRESS_SECONDS": PROGRESS_SECONDS},
            start_new_session=True,  # a Ctrl-C at the terminal is ours to pass on, once
        )
        assert self.process.stderr is not None
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr, said), daemon=True)
        self.reader.start()

    def has_finished(self) -> bool:
        """Whether it is done. Raises ArenaError where it failed."""
        code = self.process.poll()
        if code:
            self.reader.join()
            why = "was stopped from outside" if code in STOPPED else f"failed: {self.last.removeprefix('Error: ')}"
            raise ArenaError(f"training {self.name} {why}; `arena demo` goes on where it was")
        return code == 0

    def _read(self, stream: IO[str], said: queue.Queue[tuple[str, str]]) -> None:
        for line in stream:
            self.last = line.strip() or self.last
            said.put((self.name, line.strip()))


def _unplayed(store: Store) -> list[tuple[str, str, str, int]]:
    """Matches that are left: (game, agent, agent, games)."""
    left = []
    for game in SCRIPTS:
        played: dict[frozenset[str], int] = {}
        results = store.pair_results(game)
        names = {agent.id: agent.name for agent in store.agents(game, retired=True)}
        for pair in results:
            key = frozenset(names[agent].partition("@")[0] for agent in (pair.agent_0, pair.agent_1))
            played[key] = played.get(key, 0) + pair.wins + pair.draws + pair.losses
        for first, second in combinations(_members(game), 2):
            games = LONG_MATCH if first == "ppo-connect4" and second in SCRIPTS[game] else GAMES
            if played.get(frozenset((first, second)), 0) < games:
                left.append((game, first, second, games))
    return left


def _play(store: Store, should_stop: Callable[[], bool]) -> Iterator[DemoEvent]:
    left = _unplayed(store)
    if left:
        from arena.match import play_match
        from arena.roster import resolve
    for index, (game, first, second, games) in enumerate(left):
        if should_stop():
            return
        contenders = [resolve(store, game, name) for name in (first, second)]
        total = play_match(store, game, *contenders, games=games, seed=index).total
        score = f"{game}: {first} {total.wins} – {total.losses} {second}, {total.draws} drawn"
        yield DemoEvent("matches", score, index + 1, len(left))


def _unevaluated(store: Store) -> list[str]:
    scores = store.scores(GRIDWORLD)
    names = {agent.id: agent.name.partition("@")[0] for agent in store.agents(GRIDWORLD, retired=True)}
    scored = {names[score.agent] for score in scores}
    return [name for name in _members(GRIDWORLD) if name not in scored]


def _evaluate(store: Store, should_stop: Callable[[], bool]) -> Iterator[DemoEvent]:
    left = _unevaluated(store)
    if left:
        from arena.match import evaluate
        from arena.roster import resolve
    for index, name in enumerate(left):
        if should_stop():
            return
        score = evaluate(store, GRIDWORLD, resolve(store, GRIDWORLD, name), episodes=EPISODES)
        line = f"{GRIDWORLD}: {name} {score.mean:g} ± {score.std:.2g}"
        yield DemoEvent("evaluations", line, index + 1, len(left))


def _sample(store: Store) -> Episode:
    """The longest game that connect four's PPO won against the tactician, else its newest game."""
    from arena.roster import resolve

    game = "connect_four"
    ppo, tactician = (resolve(store, game, name).agent.id for name in ("ppo-connect4", "tactician"))
    episodes = store.episodes(game=game, agent=ppo)
    scores = [{player.agent: player.score for player in episode.players} for episode in episodes]
    won = [e for e, score in zip(episodes, scores, strict=True) if tactician in score and score[ppo] == 1]
    return max(won, key=lambda episode: episode.length, default=episodes[0])
