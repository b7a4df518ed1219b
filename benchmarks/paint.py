"""From key to paint on a large league: `.venv/bin/python benchmarks/paint.py [--trainings 2] [--db FILE]`.

The app runs in a pseudo-terminal as a person's would, on a league of 1,000,000 games, 10,000,000 metric rows and
100,000 labels (`big_store.py`), while trainings hold the cores: jobs as the app starts them, or with `--foreign`
commands of somebody else at the app's own priority. Measured from outside are the opening of each screen (from its key
to the end of the frame in which its data are) and keys on it (from the key to the end of the next frame). The terminal
says that it knows synchronised output, so that frames have ends. Not among the screens are those that need a trained
model of text: its answers, two compared, its lens.
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

from big_store import fill
from harness import facts, save

from arena.jobs import COMMAND, NICENESS, Jobs

OPEN_LIMIT, KEY_LIMIT = 0.3, 0.05
FRAME_END = b"\x1b[?2026l"
KEYS = {"up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "tab": "\t", "enter": "\r", "space": " "}
KEYS |= {"home": "\x1b[H", "escape": "\x1b", "backspace": "\x7f", "bottom": "\x1b[1;5F"}
KEYS |= {f"f{n}": code for n, code in enumerate(("OP", "OQ", "OR", "OS", "[15~", "[17~", "[18~", "[19~", "[20~"), 1)}
KEYS |= {name: f"\x1b{code}" for name, code in KEYS.items() if name[0] == "f" and name[1:].isdigit()}
DOWN_AND_UP = ("down",) * 10 + ("up",) * 10
ROUND = ("right", "down", "left", "up")
LAST_OPPONENT = ("bottom", "enter", "enter")
SUMO = ("tab", "home", *("down",) * 12, "enter")


@dataclass(frozen=True)
class Place:
    """A screen: the keys that lead to it, the last of them opens it; what is on it then; keys to press; to leave it."""

    name: str
    way: Sequence[str]
    texts: Sequence[str]
    keys: Sequence[str] = ()
    back: Sequence[str] = ()


PLACES = (
    Place("lobby: another game's opponents", ("f1", "down"), ("agent-",), DOWN_AND_UP),
    Place("lobby: opponents", ("f1", "tab"), (), DOWN_AND_UP),
    Place("play: a board", ("f1", *LAST_OPPONENT), ("your move",), ROUND, ("escape",)),
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
    Place("a replay", ("f1", "f6", "enter"), ("random",), ("right", "right", "left", "left"), ("escape",)),
    Place("watch: a board", ("f1", "w", "enter", "enter"), ("plays",), (".",) * 4, ("escape",)),
    Place("label", ("f1", "f7"), ("answer 0 of prompt", "answer 1 of prompt"), ("1", "2")),
    Place("rank", ("f1", "f7", "v"), ("answer",), ("a", "b", "backspace")),
    Place("score", ("v",), ("answer",), ("1", "7")),
    Place("lab", ("f1", "f8"), ("label",), ("t",)),
    Place("curve", ("f1", "f8", "g"), ("nothing measured",), ("t",), ("escape",)),
    Place("play: in real time", ("f1", *SUMO, *LAST_OPPONENT), ("you",), ROUND, ("escape",)),
    Place("lessons", ("f1", "f9"), ("Bellman",), ("right", "left")),
    Place("watch: in real time", ("f1", "w", "enter", "enter"), ("sumo",), ("space",) * 4, ("escape",)),
    Place("help", ("f1", "?"), ("Everywhere",), DOWN_AND_UP),
)


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

    def press(self, key: str, *texts: str, limit: float = 60.0) -> tuple[float, float] | None:
        """Seconds, and of these the app's of the processor, until the key has been answered; None: by no frame."""
        self._new = b""
        start, work = time.perf_counter(), self.work()
        os.write(self._fd, KEYS.get(key, key).encode())
        return (time.perf_counter() - start, self.work() - work) if self.until(*texts, limit=limit) else None

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


def measure(
    place: Place, terminal: Terminal, times: int, rng: random.Random
) -> tuple[tuple[float, float], list[float]]:
    """How the screen opens: seconds and the processor's; and the seconds of each key."""
    for key in place.way[:-1]:
        terminal.press(key, limit=2.0)
        terminal.rest(0.3)
    opened = terminal.press(place.way[-1], *place.texts)
    if opened is None:
        raise TimeoutError(f"{place.name}: {place.texts} never came")
    terminal.rest(0.5)
    seconds = []
    rounds = -(-times // len(place.keys)) if place.keys else 0  # whole ones, which end where they began
    for n in range(rounds * len(place.keys)):
        time.sleep(rng.uniform(0.0, 0.05))
        answer = terminal.press(place.keys[n % len(place.keys)], limit=1.0)
        seconds += [answer[0]] if answer is not None else []
        terminal.rest(0.06)
    for key in place.back:
        terminal.press(key, limit=2.0)
        terminal.rest(0.3)
    return opened, seconds


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
    """A game that can be replayed, and a run with a log, the newest of all."""
    subprocess.run(
        [*COMMAND, "match", "tic_tac_toe", "random", "first-legal", "--games", "2", "--db", str(db)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    jobs, name = Jobs(db), "logged"
    command = ["train", "gridworld/cliff", "--algo", "q_learning", "--steps", "2000", "--name", name]
    job = jobs.start(command, f"training {name}", f"run {name}").id
    while jobs.job(job).state == "running":
        time.sleep(0.1)


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
    foreign = " --foreign" if options.foreign else ""
    about = facts("From key to paint", f"python benchmarks/paint.py --trainings {options.trainings}{foreign}")
    columns, lines = map(int, options.size.split("x"))
    opened: dict[str, list[tuple[float, float]]] = {}
    keys: dict[str, list[float]] = {}
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
                        both, seconds = measure(place, terminal, -(-times // options.openings), random.Random(n))
                        opened.setdefault(place.name, []).append(both)
                        keys.setdefault(place.name, []).extend(seconds)
                        told = f"{1000 * percentile(seconds, 0.95):.0f} ms" if seconds else "–"
                        print(f"{place.name}: {both[0]:.3f} s, keys {told}", file=sys.stderr, flush=True)
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
        " own time while a screen opens.",
        "",
        "| screen | opens in | of the processor | key to paint: median | 95 of 100 | longest |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, times in opened.items():
        wall, work = (statistics.median(values) for values in zip(*times, strict=True))
        cells = [f"{wall:.3f} s{over(wall, OPEN_LIMIT)}", f"{work:.3f} s"]
        if found := keys[name]:
            high = percentile(found, 0.95)
            cells += [f"{1000 * statistics.median(found):.0f} ms", f"{1000 * high:.0f} ms{over(high, KEY_LIMIT)}"]
            cells.append(f"{1000 * max(found):.0f} ms")
        else:
            cells += ["–"] * 3
        rows.append(f"| {name} | {' | '.join(cells)} |")
    every = [second for found in keys.values() for second in found]
    if every:
        rows += ["", f"All {len(every):,} keys: 95 of 100 within {1000 * percentile(every, 0.95):.0f} ms."]
    print("\n".join(rows))
    save("paint", about | {"opened": opened, "keys": keys}, rows)


def over(value: float, limit: float) -> str:
    return " (over)" if value > limit else ""


if __name__ == "__main__":
    main()
