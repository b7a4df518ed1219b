"""Real-time play from outside: `.venv/bin/python benchmarks/play.py [--trainings 2] [--foreign]`.

The app plays Breakout in a pseudo-terminal while trainings hold the cores, at the niceness at which the app starts its
own (`--foreign`: at a normal one, as if somebody else had started them). Measured is the time from a key to the end of
the frame that marks its button as down, and to the end of the first frame with a picture in it: before the ball is
served nothing moves but the paddle. A button is held for a step of four frames, 67 ms, and counts from the next step
on: so much of the second time is the game's.

With `--record` it captures Pong instead: `docs/images/pong-80x24.cast` and `pong-160x50.cast`, asciicasts of a race
against the expert and of a game against the ball follower.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import ROOT, facts, save
from paint import KEYS, Terminal, percentile

from arena.jobs import NICENESS

IMAGES = ROOT / "docs/images"
PIXEL, DOWN = "▀", "●"
BEGINS = "a direction begins"
RACE = ("play", "ALE/Pong-v5?sticky=0", "--race", "expert", "--as", "Ann")
DUEL = ("play", "pettingzoo/atari/pong_v3", "--vs", "ball-follower", "--as", "Ann")
LIMIT = 0.05
LONGEST = 0.5
"""Seconds that a wait takes in a recording."""


class Recorder(Terminal):
    """A terminal that notes when it was told what."""

    def __init__(self, folder: Path, columns: int, lines: int, *arguments: str) -> None:
        self.events: list[tuple[float, str, str]] = []
        self._begun: float | None = None
        super().__init__(folder, columns, lines, *arguments)

    def _read(self, seconds: float) -> bool:
        before = len(self._new)
        found = super()._read(seconds)
        if found:
            now = time.perf_counter()
            self._begun = self._begun or now
            text = self._new[before:].decode(errors="replace")
            self.events.append((round(now - self._begun, 3), "o", text))
        return found


def measure(folder: Path, columns: int, lines: int, times: int) -> list[tuple[float, float]]:
    """Seconds from each key until its button is marked as down, and until there is a picture."""
    terminal = Terminal(folder, columns, lines, "play", "ALE/Breakout-v5", "--as", "Ann", "--db", str(folder / "a.db"))
    rng = random.Random(0)
    seconds: list[tuple[float, float]] = []
    try:
        terminal.until(BEGINS)
        for n in range(times + 2):
            terminal.rest(0.25)
            time.sleep(rng.uniform(0.0, 0.067))
            start = time.perf_counter()
            answer = terminal.press(("left", "right")[n % 2], DOWN, limit=2.0)
            if answer is not None and terminal.until(PIXEL, limit=2.0) and n > 1:
                seconds.append((answer[0], time.perf_counter() - start))
    finally:
        terminal.close()
    return seconds


def capture(
    folder: Path, columns: int, lines: int, game: tuple[str, ...], seconds: float
) -> list[tuple[float, str, str]]:
    """So many seconds of a game in which a person goes up and down."""
    terminal = Recorder(folder, columns, lines, *game, "--db", str(folder / "league.db"))
    rng = random.Random(0)
    try:
        terminal.until(BEGINS)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            os.write(terminal._fd, KEYS[rng.choice(("up", "down"))].encode())
            until = time.perf_counter() + rng.uniform(0.3, 1.0)
            while (left := until - time.perf_counter()) > 0:
                terminal._read(left)
        return terminal.events
    finally:
        terminal.close()


def record(folder: Path, seconds: float) -> None:
    """Write both asciicasts; no wait in them is longer than LONGEST."""
    for columns, lines in ((80, 24), (160, 50)):
        clock, shown = 0.0, []
        for game in (RACE, DUEL):
            before = 0.0
            for at, kind, text in capture(folder, columns, lines, game, seconds):
                clock += min(at - before, LONGEST)
                before = at
                shown.append((round(clock, 3), kind, text))
            clock += LONGEST
        head = {"version": 2, "width": columns, "height": lines, "title": "Pong against agents"}
        path = IMAGES / f"pong-{columns}x{lines}.cast"
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (head, *shown)))
        print(f"{path.relative_to(ROOT)}: {clock:.0f} s, {path.stat().st_size / 2**20:.1f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainings", type=int, default=2, help="trainings that hold a core each meanwhile")
    parser.add_argument("--foreign", action="store_true", help="at normal priority, not at that of the app's own")
    parser.add_argument("--times", type=int, default=100, help="keys at each size")
    parser.add_argument("--record", action="store_true", help="capture Pong in place of measuring")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each game that is captured")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.record:
            record(folder, asked.seconds)
            return
        foreign = " --foreign" if asked.foreign else ""
        command = f"python benchmarks/play.py --trainings {asked.trainings}{foreign}"
        about = facts("From key to picture in a real-time game", command)
        niceness = 0 if asked.foreign else NICENESS
        trainings = []
        try:
            for n in range(asked.trainings):
                train = ["nice", "-n", str(niceness), sys.executable, "-m", "arena", "train", "connect_four"]
                words = [*train, "--minutes", "60", "--db", str(folder / f"{n}.db")]
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                settings = os.environ | {"OMP_NUM_THREADS": "1"}
                trainings.append(subprocess.Popen(words, env=settings, **quiet))
            time.sleep(15 if trainings else 0)
            sizes = ((80, 24), (160, 50))
            found = {f"{columns}×{lines}": measure(folder, columns, lines, asked.times) for columns, lines in sizes}
        finally:
            for training in trainings:
                training.terminate()
                training.wait()
    lines = [
        f"Breakout before the serve, {asked.trainings} trainings beside it at niceness {niceness} (the app starts its "
        f"own at {NICENESS}). The button is marked as soon as the key is heard (limit: 95 of 100 within "
        f"{1000 * LIMIT:.0f} ms); it moves the paddle from the next step of four frames on, which begins up to 67 ms "
        "later.",
        "",
        "| terminal | from the key to | keys | median | 95 of 100 | longest |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for size, both in found.items():
        for what, seconds in zip(("the button's mark", "the picture"), zip(*both, strict=True), strict=True):
            figures = (statistics.median(seconds), percentile(seconds, 0.95), max(seconds))
            told = " | ".join(f"{1000 * value:.0f} ms" for value in figures)
            lines.append(f"| {size} | {what} | {len(seconds)} | {told} |")
    print("\n".join(lines))
    save("play", about | {"seconds": found}, lines)


if __name__ == "__main__":
    main()
