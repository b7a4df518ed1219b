"""Random keys over all screens of the app: nothing may crash, memory stays flat, the event loop is never held up.

python tests/soak_app.py --minutes 30

The app runs without a terminal on a made-up league in a folder that is deleted afterwards; what it would start as jobs
does nothing. A worker that fails counts as a crash, too. Held up is the loop where its thread computes for longer than
100 ms between two turns; the report says on which screen and where. Any of these ends the soak with 1. Beside that it
tells how often the loop was late because its thread waited for something (a lock, a file), and how often because other
programs had the processor; neither is the app's own doing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import textual.app
from textual.worker import Worker, WorkerCancelled

from arena.jobs import Jobs
from benchmarks.big_store import fill
from envs.errors import ArenaError
from tui.app import ArenaApp
from tui.areas import AREAS

IDLE = (sys.executable, "-c", "import time; print('job 1/10 · idle', flush=True); time.sleep(600)")
HELD_SECONDS = 0.1
SETTLED = 0.4
"""Share of the time after which memory is expected to be flat: until then caches fill and modules are loaded."""
GROWTH_MIB = 30.0
MOVES = ["up", "down", "left", "right", "enter", "escape", "tab", "shift+tab", "pageup", "pagedown", "home", "end"]
LETTERS = list("abcdefghijklmnoprstuvwxyz0123456789")  # without q, which leaves
SIGNS = ["space", "question_mark", "slash", "full_stop", "comma", "plus", "minus", "colon", "ctrl+r", "ctrl+s"]
PAUSES = [0.0, 0.0, 0.03, 0.03, 0.1, 0.3]
"""Between two keys, in seconds: a key held down, one who knows the app, one who reads."""
REST_SHARE, REST_SECONDS = 0.005, 4.0
"""How often nobody is at the keys for a while."""
SIZES = [(80, 24), (160, 50), (100, 30), (60, 15), (200, 60), (40, 10)]


@dataclass
class Turn:
    """A late turn of the loop, in seconds: from its beginning to its end, computed, and kept from the processor."""

    wall: float
    busy: float
    queued: float
    screen: str
    place: str

    @property
    def waited(self) -> float:
        """Neither computing nor ready to."""
        return self.wall - self.busy - self.queued


class Watch:
    """The loop's late turns, and where its thread was in them."""

    def __init__(self, screen: Callable[[], str]) -> None:
        self.late: list[Turn] = []
        self.collections: list[float] = []
        self._screen = screen
        self._thread = threading.get_ident()
        self._schedule = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._turn = time.monotonic()
        self._places: Counter[str] = Counter()
        self._over = threading.Event()
        self._began = 0.0

    def _queued(self) -> float:
        """How long the loop's thread has been ready while others had the processor."""
        return int(self._schedule.read_text().split()[1]) / 1e9 if self._schedule.exists() else 0.0

    def collected(self, phase: str, info: dict[str, int]) -> None:
        """Take down how long full collections of garbage take, which the app does itself; a part of its turns."""
        if info["generation"] == 2:
            self._began = time.thread_time() if phase == "start" else self._began
            if phase == "stop":
                self.collections.append(time.thread_time() - self._began)

    async def turns(self) -> None:
        while True:
            screen = self._screen()
            wall, busy, queued = time.monotonic(), time.thread_time(), self._queued()
            self._turn, self._places = wall, Counter()
            await asyncio.sleep(0.005)
            turn = Turn(time.monotonic() - wall, time.thread_time() - busy, self._queued() - queued, "", "")
            if turn.wall > HELD_SECONDS:
                turn.screen = " → ".join(dict.fromkeys([screen, self._screen()]))
                turn.place = next((place for place, _ in self._places.most_common(1)), "")
                self.late.append(turn)

    def look(self) -> None:
        """In a thread: note where the loop's thread is while a turn takes long."""
        while not self._over.wait(0.02):
            if time.monotonic() - self._turn > 0.3 * HELD_SECONDS:
                frame, calls = sys._current_frames().get(self._thread), []
                while frame is not None:
                    calls.append((frame.f_code.co_filename, f"{frame.f_code.co_name}:{frame.f_lineno}"))
                    frame = frame.f_back
                ours = [call for call in calls if "/tui/" in call[0] or "/arena/" in call[0]]
                last = [calls[0], *ours[:2]] if ours else calls[:4]
                self._places[" < ".join(f"{Path(file).stem}.{line}" for file, line in last)] += 1

    def end(self) -> None:
        self._over.set()

    @property
    def held(self) -> bool:
        """Whether the app itself has computed for too long in one turn."""
        return any(turn.busy > HELD_SECONDS for turn in self.late)

    def report(self) -> None:
        """Print what has been seen."""
        for what, share in (("computed", "busy"), ("waited", "waited"), ("had no processor", "queued")):
            found = [turn for turn in self.late if getattr(turn, share) > HELD_SECONDS]
            longest = max((getattr(turn, share) for turn in found), default=0.0)
            wall = max((turn.wall for turn in found), default=0.0)
            print(f"the loop {what} for more than {HELD_SECONDS} s {len(found)} times, longest {longest:.3f} s", end="")
            print(f" (in {wall:.3f} s by the clock)")
            if share != "queued":
                for (screen, place), count in Counter((turn.screen, turn.place) for turn in found).most_common(12):
                    print(f"  {count} × {screen}: {place}")
        longest = max(self.collections, default=0.0)
        print(f"{len(self.collections)} full collections of garbage, the longest {longest:.3f} s")


def memory_mib() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def record_failures(failures: list[str]) -> None:
    """Have every worker that ends by an exception which is not ours to show leave its traceback."""
    run = Worker._run

    async def recorded(self: Worker[Any], app: Any) -> None:
        await run(self, app)
        error = self.error
        if error is not None and not isinstance(error, (ArenaError, WorkerCancelled, asyncio.CancelledError)):
            failures.append("".join(traceback.format_exception(error)))

    Worker._run = recorded  # type: ignore[method-assign]


async def turn_of_the_loop(*_: Any) -> None:
    """In the place of Textual's wait for an idle process after a key, a second with the watch beside it."""
    await asyncio.sleep(0)


async def soak(db: Path, seconds: float, seed: int) -> int:
    rng = random.Random(seed)
    failures: list[str] = []
    record_failures(failures)
    textual.app.wait_for_idle = turn_of_the_loop  # type: ignore[attr-defined]
    app = ArenaApp(db, "Ann")
    app.jobs = Jobs(db, IDLE)
    watch = Watch(lambda: type(app.screen).__name__ if app.is_running else "")
    threading.Thread(target=watch.look, daemon=True).start()
    gc.callbacks.append(watch.collected)
    gc.disable()  # as the command does: the app then chooses when to collect
    seen: Counter[str] = Counter()
    memory: list[float] = []
    pressed: list[str] = []
    areas = [area.key for area in AREAS]
    start = time.monotonic()
    ended = False

    async def type_on() -> None:
        nonlocal ended
        async with app.run_test(size=(80, 24)) as pilot:
            turns = asyncio.create_task(watch.turns())
            while (passed := time.monotonic() - start) < seconds and app._exception is None and app.is_running:
                kind = rng.random()
                if kind < 0.01:
                    await pilot.resize_terminal(*rng.choice(SIZES))
                else:
                    keys = areas if kind < 0.08 else MOVES if kind < 0.6 else LETTERS if kind < 0.92 else SIGNS
                    pressed.append(rng.choice(keys))
                    await pilot.press(pressed[-1])
                await asyncio.sleep(REST_SECONDS if rng.random() < REST_SHARE else rng.choice(PAUSES))
                seen[type(app.screen).__name__] += 1
                if len(pressed) % 200 == 0:
                    memory.append(memory_mib())
                    print(f"{passed:6.0f} s {len(pressed):6} keys {memory[-1]:6.0f} MiB", file=sys.stderr, flush=True)
            ended = not app.is_running
            turns.cancel()

    try:
        await type_on()
    except Exception:
        failures.append(traceback.format_exc())
    watch.end()
    for job in app.jobs.all():
        app.jobs.kill(job.id)
    first = max(memory[: max(1, int(len(memory) * SETTLED))], default=0.0)
    growth = max(memory[int(len(memory) * SETTLED) :], default=first) - first
    print(f"{len(pressed):,} keys over {len(seen)} screens in {time.monotonic() - start:.0f} s")
    print("screens: " + ", ".join(f"{name} {count}" for name, count in seen.most_common()))
    print(
        f"memory: {growth:+.0f} MiB after {SETTLED:.0%} of the time, {memory[-1] if memory else 0:.0f} MiB at the end"
    )
    watch.report()
    for failure in failures[:5]:
        print(failure)
    if ended or failures:
        print(f"the app ended or failed after {pressed[-5:]}")
    return 1 if failures or ended or growth > GROWTH_MIB or watch.held else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # what is exported lands here
        db = Path(folder) / "league.db"
        fill(db, 0.002)
        status = asyncio.run(soak(db, 60 * options.minutes, options.seed))
    sys.exit(status)


if __name__ == "__main__":
    main()
