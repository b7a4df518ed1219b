"""From key to paint on a large league: `.venv/bin/python benchmarks/paint.py [--trainings 2] [--db FILE]`.

The app runs in a pseudo-terminal as a person's would, on a league of 1,000,000 games, 10,000,000 metric rows and
100,000 labels (`big_store.py`), while trainings hold the cores: jobs as the app starts them, or with `--foreign`
commands of somebody else at the app's own priority. Measured from outside are the opening of each screen (from its key
to the end of the frame in which its data are) and keys on it (from the key to the end of the next frame, or where a
screen moves by itself to that of the frame with the key's own answer). A game is open when it shows who plays and, on a
board, its start; after how long its process has answered, so that a move can be made, is told beside that. The terminal
says that it knows synchronised output, so that frames have ends. What trained models of text answer is not waited for:
the screens that ask them are measured up to the question.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import random
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from big_store import fill
from harness import facts, save

from arena.curve_points import keep_point
from arena.jobs import COMMAND, NICENESS, Jobs
from arena.records import Completion, Run
from arena.store import Store

OPEN_LIMIT, KEY_LIMIT = 0.3, 0.05
FRAME_END = b"\x1b[?2026l"
KEYS = {"up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "tab": "\t", "enter": "\r", "space": " "}
KEYS |= {
    "home": "\x1b[H",
    "escape": "\x1b",
    "backspace": "\x7f",
    "bottom": "\x1b[1;5F",
    "top": "\x1b[1;5H",
    "palette": "\x10",
}
KEYS |= {f"f{n}": code for n, code in enumerate(("OP", "OQ", "OR", "OS", "[15~", "[17~", "[18~", "[19~", "[20~"), 1)}
KEYS |= {name: f"\x1b{code}" for name, code in KEYS.items() if name[0] == "f" and name[1:].isdigit()}
DOWN_AND_UP = ("down",) * 10 + ("up",) * 10
ROUND = ("right", "down", "left", "up")
LAST_OPPONENT = ("bottom", "enter", "enter")
SUMO = ("tab", "home", *("down",) * 12, "enter")
BREAKOUT = ("tab", "home", *("down",) * 14)
PAUSE_AND_GO_ON = (("space", "paused"), ("space", "· 1×"))
STEER = (("right", "●"), ("left", "●"))
TYPE = ("a", "b", "backspace", "backspace")

Key = str | tuple[str, str]
"""A key, and where the next frame may be another's a text of its answer."""


@dataclass(frozen=True)
class Place:
    """A screen: the keys that lead to it, the last of them opens it; what is on it then; keys to press; to leave it.

    Attributes:
        ready: what is on it once it is more than looked at, where that is later.
    """

    name: str
    way: Sequence[Key]
    texts: Sequence[str]
    keys: Sequence[Key] = ()
    back: Sequence[str] = ()
    ready: str = ""


PLACES = (
    Place("lobby: another game's opponents", ("f1", "down"), ("agent-",), DOWN_AND_UP),
    Place("lobby: opponents", ("f1", "tab"), (), DOWN_AND_UP),
    Place("a choice", ("f1", "p"), ("your seat?",), ("down", "down", "up", "up"), ("escape",)),
    Place("a question", ("f1", "g"), ("Which game?",), TYPE, ("escape",)),
    Place("the palette", ("f1", "palette"), ("Go to",), ("g", "o", "backspace", "backspace"), ("escape",)),
    Place("play: a board", ("f1", *LAST_OPPONENT), ("(you)",), ROUND, ("escape",), "your move"),
    Place(
        "yes or no",
        ("f1", "bottom", "enter", ("enter", "your move"), "r"),
        ("stored as a loss",),
        (),
        ("escape", "escape"),
    ),
    Place("set up a game", ("f1", "f2"), ("Seat 1",), ("tab",)),
    Place("set up what to watch", ("f1", "f3"), ("Seat 1",), ("tab",)),
    Place("league: table", ("f1", "f4"), ("agent-99", "form"), DOWN_AND_UP),
    Place("league: history", ("2",), ("Elo, 95 %",), ("+", "-")),
    Place("league: matrix", ("3",), ("agent-9",), (*DOWN_AND_UP, "right", "left")),
    Place("league: family", ("4",), ("ppo-",), DOWN_AND_UP),
    Place("league: matches", ("5",), ("agent-", "players"), DOWN_AND_UP),
    Place("league: a player's history", ("1", "h"), ("by games",), ("+", "-")),
    Place("training", ("f1", "f5"), ("ppo-1666", "environment steps"), DOWN_AND_UP),
    Place("training: another metric", ("]",), (), ("]", "[")),
    Place("training: numbers", ("t",), (), ("t",)),
    Place("a run's settings", ("f1", "f5", "enter"), ("gamma",), DOWN_AND_UP, ("escape",)),
    Place("a training's log", ("f1", "f5", "o"), ("log",), (), ("escape",)),
    Place("a new training", ("f1", "f5", "n"), ("learning_rate",), DOWN_AND_UP, ("escape",)),
    Place("replays", ("f1", "f6"), ("agent-", "plies"), DOWN_AND_UP),
    Place("a replay", ("f1", "f6", "enter"), ("ply 0 of",), ("right", "right", "left", "left"), ("escape",)),
    Place(
        "a replay of pictures",
        ("f1", "f6", "down", "down", "enter"),
        (" replay ",),
        (("right", "step 1 of"), ("right", "step 2 of"), ("left", "step 1 of"), ("left", "step 0 of")),
        ("escape",),
        "step 0 of",
    ),
    Place("watch: a board", ("f1", "w", "enter", "enter"), ("plays",), (".",) * 4, ("escape",)),
    Place("label", ("f1", "f7"), ("answer 0 of prompt", "answer 1 of prompt"), ("1", "2")),
    Place("rank", ("f1", "f7", "v"), ("answer",), ("a", "b", "backspace")),
    Place("score", ("v",), ("answer",), ("1", "7")),
    Place("lab", ("f1", "f8"), ("label",), ("t",)),
    Place("lab: runs", ("f1", "f8", "top", "down"), ("tuned",), ("up", "down")),
    Place("answers of a run", ("a",), ("after 300",), ("right", "left"), ("escape",)),
    Place("models compared", ("f1", "f8", "c"), ("Enter", "tuned"), TYPE, ("escape",)),
    Place("lens", ("f1", "f8", "i"), ("tuned beside",), TYPE, ("escape",)),
    Place("curve", ("f1", "f8", "g"), ("50 labels",), ("t", "]"), ("escape",)),
    Place(
        "play: in real time",
        ("f1", *SUMO, *LAST_OPPONENT),
        ("(you)",),
        ROUND,
        ("escape", "y"),
        "a direction begins",
    ),
    Place("watch: in real time", ("f1", "w", "enter", "enter"), (" 1×",), PAUSE_AND_GO_ON, ("escape",)),
    Place("play: pictures", ("f1", *BREAKOUT, "p"), ("(you)",), STEER, ("escape", "y"), "a direction begins"),
    Place("lessons", ("f1", "f9"), ("Bellman",), ("right", "left")),
    Place("help", ("f1", "?"), ("Everywhere",), DOWN_AND_UP, ("escape",)),
)


class Cost(NamedTuple):
    """Seconds, and of these the app's of the processor."""

    wall: float
    work: float


class Terminal:
    """The app in a pseudo-terminal that asks nothing back and is read at once."""

    def __init__(self, folder: Path, columns: int, lines: int, *arguments: str) -> None:
        self._new = b""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", XDG_CONFIG_HOME=str(folder))
            os.execv(sys.executable, [sys.executable, "-m", "arena", *arguments])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self, seconds: float) -> bool:
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        chunk = os.read(self._fd, 1 << 16)
        self._new += chunk
        if b"\x1b[?2026$p" in chunk:
            os.write(self._fd, b"\x1b[?2026;2$y")
        return True

    def rest(self, seconds: float) -> None:
        """Read until nothing has come for so long (or much has, from a screen that moves by itself)."""
        end = time.perf_counter() + 10 * seconds
        while self._read(seconds) and time.perf_counter() < end:
            pass

    def until(self, *texts: str, limit: float = 60.0) -> bool:
        """Read to the end of the frame after which all texts have been painted; whether that came."""
        end = time.perf_counter() + limit
        wanted = [text.encode() for text in texts]
        while FRAME_END not in self._new or not all(text in self._new for text in wanted):
            if not self._read(max(0.0, end - time.perf_counter())):
                return False
        return self._new.rindex(FRAME_END) >= 0

    def press(self, key: Key, *texts: str, limit: float = 60.0) -> Cost | None:
        """What it costs until the key has been answered; None: by no frame."""
        self._new = b""
        key, texts = (key, texts) if isinstance(key, str) else (key[0], (*texts, key[1]))
        start, work = time.perf_counter(), self.work()
        os.write(self._fd, KEYS.get(key, key).encode())
        return Cost(time.perf_counter() - start, self.work() - work) if self.until(*texts, limit=limit) else None

    def work(self) -> float:
        """Seconds of the processor that the app has used."""
        tasks = Path(f"/proc/{self.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9

    def close(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        end = time.perf_counter() + 30
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.perf_counter() > end:
                os.kill(self.pid, signal.SIGKILL)
            try:
                self._read(0.1)
            except OSError:
                time.sleep(0.1)
        os.close(self._fd)


class Measured(NamedTuple):
    """How a screen opens, after how many seconds it is ready, and what its keys cost."""

    opened: Cost
    ready: float | None
    keys: list[Cost]


def measure(place: Place, terminal: Terminal, times: int, rng: random.Random) -> Measured:
    """Go there, press keys there, and leave it."""
    for key in place.way[:-1]:
        terminal.press(key, limit=2.0 if isinstance(key, str) else 60.0)
        terminal.rest(0.3)
    start = time.perf_counter()
    opened = terminal.press(place.way[-1], *place.texts)
    ready = terminal.until(place.ready)
    seconds = time.perf_counter() - start
    if opened is None or not ready:
        raise TimeoutError(f"{place.name}: {place.texts} {place.ready} never came")
    terminal.rest(0.5)
    costs = []
    rounds = -(-times // len(place.keys)) if place.keys else 0  # whole ones, which end where they began
    for n in range(rounds * len(place.keys)):
        time.sleep(rng.uniform(0.0, 0.05))
        cost = terminal.press(place.keys[n % len(place.keys)], limit=1.0)
        costs += [cost] if cost is not None else []
        terminal.rest(0.06)
    for key in place.back:
        terminal.press(key, limit=2.0)
        terminal.rest(0.3)
    return Measured(opened, seconds if place.ready else None, costs)


class Training:
    """A training without end: a job as the app starts them, or (`foreign`) a command of the same priority."""

    def __init__(self, db: Path, foreign: bool) -> None:
        command = ["train", "connect_four", "--minutes", "60"]
        self._jobs = Jobs(db)
        self._process: subprocess.Popen[bytes] | None = None
        if foreign:
            words = [*COMMAND, *command, "--db", str(db)]
            self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        else:
            self._job = self._jobs.start(command, "training").id

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        else:
            self._jobs.kill(self._job)


def add_what_can_be_opened(db: Path) -> None:
    """Games that can be replayed, a run with a log, models of text (nobody asks them), what was measured of some."""
    for command in (
        ["evaluate", "ALE/Breakout-v5", "random", "--episodes", "1"],
        ["match", "tic_tac_toe", "random", "first-legal", "--games", "2"],
    ):
        words = [*COMMAND, *command, "--db", str(db)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with Store(db) as store:
        parent = store.add_text_model("small", "sft", {"config.json": b"{}"})
        tuned = _text_run(store, "tuned", "rlhf")
        store.add_text_model("tuned", "rlhf", {"config.json": b"{}"}, parent, tuned)
        prompts = store.add_prompts([f"what is the matter with lamp {n}?" for n in range(3)], "test")
        answers = [(prompt, step) for prompt in prompts for step in (100, 200, 300)]
        store.add_completions([Completion(at, f"answer of step {n}", run=tuned, step=n) for at, n in answers])
        for labels in (50, 200):
            run = _text_run(store, f"curve-ppo-{labels}-0", "rlhf", gold="helpful")
            store.add_metrics(run, [(step, {"charts/gold": step / 400}) for step in (100, 200, 300)])
            for name, steps in ((f"curve-dpo-{labels}-0.1-0", (0,)), (f"curve-reward-{labels}-0", (1, 2, 4, 8))):
                _text_run(store, name, "dpo")
                for step in steps:
                    keep_point(store, name, step, float(step), 0.1 * step, 0.2 * step)
    jobs, name = Jobs(db), "logged"
    command = ["train", "gridworld/cliff", "--algo", "q_learning", "--steps", "2000", "--name", name]
    job = jobs.start(command, f"training {name}", f"run {name}").id
    while jobs.job(job).state == "running":
        time.sleep(0.1)


def _text_run(store: Store, name: str, algorithm: str, **config: str) -> int:
    run = store.create_run(Run(name, "text", algorithm, {"parent": "small", **config}, 1, 400))
    keys = ("charts/reward", "charts/kl", "losses/entropy", "losses/policy_loss", "charts/accuracy", "charts/length")
    metrics = [(step, {key: step / (n + 1) for n, key in enumerate(keys)}) for step in range(1, 401)]
    store.commit_interval(run, 400, 1.0, metrics)
    store.finish_run(run, "finished")
    return run


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--db", type=Path, help="a league that `big_store.py` has written; without it one is written")
    parser.add_argument("--trainings", type=int, default=2, help="trainings that hold a core each meanwhile")
    parser.add_argument("--foreign", action="store_true", help="trainings at the app's own priority, not as its jobs")
    parser.add_argument("--times", type=int, default=60, help="keys on each screen")
    parser.add_argument("--openings", type=int, default=3, help="openings of each screen, by an app each")
    parser.add_argument("--size", default="160x50", help="of the terminal")
    parser.add_argument("--only", help="screens whose name has this in it (the ways to them are gone all the same)")
    options = parser.parse_args()
    words = f"--trainings {options.trainings}{' --foreign' * options.foreign}"
    words += f" --openings {options.openings} --times {options.times}"
    about = facts("From key to paint", f"python benchmarks/paint.py {words}")
    columns, lines = map(int, options.size.split("x"))
    measured: dict[str, list[Measured]] = {}
    trainings: list[Training] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        db, kept = folder / "league.db", folder / "kept.db"
        shutil.copy(options.db, db) if options.db else fill(db, 1.0)
        add_what_can_be_opened(db)
        db.rename(kept)
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            trainings += [Training(folder / f"training-{n}.db", options.foreign) for n in range(options.trainings)]
            time.sleep(15 if trainings else 0)
            for n in range(options.openings):
                shutil.copy(kept, db)  # the last opening has left its last game, and what it has played
                terminal = Terminal(folder, columns, lines, "--db", str(db), "--as", "Ann")
                terminal.until("agent-")
                terminal.rest(2.0)
                try:
                    for place in PLACES:
                        times = 0 if options.only and options.only not in place.name else options.times
                        one = measure(place, terminal, -(-times // options.openings), random.Random(n))
                        measured.setdefault(place.name, []).append(one)
                        print(f"{place.name}: {' | '.join(cells_of([one]))}", file=sys.stderr, flush=True)
                finally:
                    terminal.close()
        finally:
            for training in trainings:
                training.end()
    whose = "commands of the same priority" if options.foreign else f"jobs of the app (niceness {NICENESS})"
    rows = [
        f"A terminal of {columns} columns and {lines} lines; {options.trainings} trainings beside it, {whose};"
        f" {options.openings} openings of each screen, {options.times} keys on it. Limits: opened within"
        f" {OPEN_LIMIT:g} s, 95 of 100 keys painted within {1000 * KEY_LIMIT:.0f} ms. “Of the processor” is the app's"
        " own time while a screen opens, or until 95 of 100 keys are painted. A game is open when it shows who plays"
        " and, on a board, its start; a key of a screen that moves by itself is painted when its own answer is.",
        "",
        "| screen | opens in | of the processor | key to paint: median | 95 of 100 | longest | of the processor |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(f"| {name} | {' | '.join(cells_of(found))} |" for name, found in measured.items()),
    ]
    every = [cost.wall for found in measured.values() for one in found for cost in one.keys]
    if every:
        rows += ["", f"All {len(every):,} keys: 95 of 100 within {1000 * percentile(every, 0.95):.0f} ms."]
    for name, found in measured.items():
        if times := [one.ready for one in found if one.ready is not None]:
            rows += ["", f"{name}: the game's process has answered after {statistics.median(times):.3f} s."]
    print("\n".join(rows))
    if not options.only:
        save("paint_foreign" if options.foreign else "paint", about | {"measured": measured}, rows)


def cells_of(found: Sequence[Measured]) -> list[str]:
    """A screen's part of the table."""
    wall, work = (statistics.median(values) for values in zip(*(one.opened for one in found), strict=True))
    cells = [f"{wall:.3f} s{over(wall, OPEN_LIMIT)}", f"{work:.3f} s"]
    costs = [cost for one in found for cost in one.keys]
    if not costs:
        return [*cells, *["–"] * 4]
    walls, works = zip(*costs, strict=True)
    high = percentile(walls, 0.95)
    cells += [f"{1000 * statistics.median(walls):.0f} ms", f"{1000 * high:.0f} ms{over(high, KEY_LIMIT)}"]
    return [*cells, f"{1000 * max(walls):.0f} ms", f"{1000 * percentile(works, 0.95):.0f} ms"]


def over(value: float, limit: float) -> str:
    return " (over)" if value > limit else ""


if __name__ == "__main__":
    main()
