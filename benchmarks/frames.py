"""What a paint of a game's picture costs: `.venv/bin/python benchmarks/frames.py`.

The app's FrameView in a pseudo-terminal of true colour whose other end reads all that is written, fed pictures that
real games showed, one every 60th of a second. The time is the app's own of the processor, the terminal's not counted.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import resource
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import facts, save

GAMES = ("ALE/Pong-v5", "ALE/Breakout-v5", "ALE/SpaceInvaders-v5", "ALE/Seaquest-v5", "noise")
SIZES = ((80, 24), (160, 60))
RATE = 60
TARGET_MS = 4.2


def pictures(game: str, count: int) -> np.ndarray[Any, Any]:
    """[count, H, W, 3] that follow each other in a game played at random; noise: nothing stays as it was."""
    rng = np.random.default_rng(0)
    if game == "noise":
        return rng.integers(0, 256, (count, 210, 160, 3), dtype=np.uint8)
    import ale_py
    from ale_py import roms

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setInt("random_seed", 1)
    ale.loadROM(roms.get_rom_path("".join(f"_{c.lower()}" if c.isupper() else c for c in game[4:-3]).strip("_")))
    actions, shown = ale.getMinimalActionSet(), []
    for frame in range(120 + count):
        if frame % 8 == 0:
            action = actions[rng.integers(len(actions))]
        ale.act(action)
        if ale.game_over():
            ale.reset_game()
        shown.append(ale.getScreenRGB())
    return np.stack(shown[120:])


def paint(file: str, seconds: float) -> None:
    """The app in the terminal: paints for so long, then writes what it measured to FILE.json."""
    from textual.app import App, ComposeResult

    from tui.widgets.frame import FrameView

    frames = np.load(file)

    class Painter(App[None]):
        CSS = "FrameView { height: 1fr; }"

        def compose(self) -> ComposeResult:
            yield FrameView()

        def on_mount(self) -> None:
            self.shown = self.painted = 0
            self.set_timer(1.0, self.begin)

        def begin(self) -> None:
            self.start, self.processor = time.perf_counter(), time.process_time()
            self.timer = self.set_interval(1 / RATE, self.tick)

        def tick(self) -> None:
            if time.perf_counter() - self.start >= seconds:
                self.exit()
                return
            self.query_one(FrameView).show(frames[self.shown % len(frames)])
            self.shown += 1

        def on_unmount(self) -> None:
            wall, processor = time.perf_counter() - self.start, time.process_time() - self.processor
            usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            result = {"shown": self.shown, "wall": wall, "processor": processor, "mib": usage}
            Path(f"{file}.json").write_text(json.dumps(result))

    Painter().run()


def measure(file: str, size: tuple[int, int], seconds: float) -> dict[str, float]:
    """One run in a terminal of this size that reads everything."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    command = [sys.executable, __file__, "--paint", file, "--seconds", str(seconds)]
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}
    environment |= {"OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=environment)
    os.close(other)
    written = 0
    while child.poll() is None:
        if select.select([main], [], [], 0.05)[0]:
            try:
                written += len(os.read(main, 1 << 16))
            except OSError:
                break
    child.wait()
    result = json.loads(Path(f"{file}.json").read_text())
    os.close(main)
    paints = result["shown"]
    return {
        "ms": 1000 * result["processor"] / paints,
        "paints/s": paints / result["wall"],
        "core": result["processor"] / result["wall"],
        "KiB/paint": written / 1024 / paints,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--paint", metavar="FILE")
    options = parser.parse_args()
    if options.paint:
        paint(options.paint, options.seconds)
        return
    about = facts("Frames", "python benchmarks/frames.py")
    runs: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for game in GAMES:
            file = str(Path(folder) / "frames.npy")
            np.save(file, pictures(game, 8 * RATE))
            for columns, lines in SIZES:
                name = f"{game}, {columns}×{lines}"
                runs[name] = [measure(file, (columns, lines), options.seconds) for _ in range(options.repeats)]
                print(name, runs[name][-1], file=sys.stderr)
    lines_out = [
        f"Medians of {options.repeats} runs of {options.seconds:g} s. The target is {TARGET_MS} ms of the processor a",
        "picture in a game at 160×60, Textual and the timer included: 60 a second in a quarter of a core. Noise, in",
        "which every pixel changes in every picture, says what the worst would cost.",
        "",
        "| | ms a picture | pictures/s | share of a core | KiB written a picture |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, found in runs.items():
        ms, rate, core, size = (
            statistics.median(run[key] for run in found) for key in ("ms", "paints/s", "core", "KiB/paint")
        )
        lines_out.append(f"| {name} | {ms:.2f} | {rate:.1f} | {100 * core:.0f} % | {size:.1f} |")
    save("frames", about | {"runs": runs}, lines_out)


if __name__ == "__main__":
    main()
