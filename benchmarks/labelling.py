"""The human-feedback half at 100,000 pairs: `.venv/bin/python benchmarks/labelling.py`.

Builds a league of 100,000 completions, pairs and labels (and 50,000 labels of the person who goes on), opens
`arena label` in an 80×24 pseudo-terminal and presses keys: what counts is the time from a key to the byte that
completes the next pair's text on the terminal. Then it times the commands that read everything.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from harness import ROOT, facts, save

from arena.asking import ask_for
from arena.records_text import Completion, Label
from arena.store import Store

EACH = 4
ANSWERS = (b"1", b"2", b"=", b"b", b"s")
SECONDS = 15


def build(path: Path, size: int) -> dict[str, float]:
    """A league of `size` completions and pairs, all labelled by two, half by Ann; seconds each step took."""
    times = {}
    began = time.perf_counter()

    def step(name: str) -> None:
        nonlocal began
        times[name] = time.perf_counter() - began
        began = time.perf_counter()

    with Store(path) as store:
        prompts = store.add_prompts(
            [f"my device number {n} does not start, what should I do?" for n in range(size // EACH)]
        )
        texts = ("please restart device", "you could buy another device than", "no idea about", "ask the maker of")
        rows = [Completion(prompt, f"{text} {n}.") for n, prompt in enumerate(prompts) for text in texts]
        store.add_completions(rows)
        step("store completions")
        ask_for(store, size, repeat_share=0.02)
        step("propose pairs")
        pairs = store.pairs()
        for name, share in (("robot", 0.5), ("Bob", 0.5), ("Ann", 0.5)):
            part = pairs[: round(share * len(pairs))] if name != "Bob" else pairs[len(pairs) // 4 : 3 * len(pairs) // 4]
            labels = [Label(pair.id, 0, ("a", "b", "tie")[pair.id * len(name) % 3], left="a") for pair in part]
            store.add_labels(name, labels)
        step("store labels")
    return times


class Keys:
    """`arena label` in a pseudo-terminal."""

    def __init__(self, db: Path) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", TEXTUAL_ANIMATIONS="none")
            os.execv(sys.executable, [sys.executable, "-m", "arena", "label", "--db", str(db), "--as", "Ann"])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._output = b""

    def press(self, key: bytes, shown: bytes) -> float:
        """Seconds from the key until `shown` has come out."""
        self._output = b""
        began = time.perf_counter()
        if key:
            os.write(self._fd, key)
        while shown not in self._output:
            if time.perf_counter() - began > SECONDS:
                raise TimeoutError(f"{shown!r} did not come:\n{self._output[-2000:]!r}")
            if select.select([self._fd], [], [], 1)[0]:
                self._output += os.read(self._fd, 1 << 16)
        return time.perf_counter() - began

    def leave(self) -> None:
        os.write(self._fd, b"\x11")
        try:
            while os.read(self._fd, 1 << 16):
                pass
        except OSError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self._fd)


def key_times(db: Path, count: int) -> list[float]:
    """Seconds from each of `count` keys to the next pair; every tenth is taken back and given again."""
    times = []
    with Store(db) as store:
        task = store.next_pair("Ann")
        assert task is not None
        terminal = Keys(db)
        terminal.press(b"", marker(task.prompt))
        for n in range(count):
            after = store.next_pair("Ann", task.pair)
            assert after is not None
            times.append(terminal.press(ANSWERS[n % len(ANSWERS)], marker(after.prompt)))
            if n % 10 == 9:
                times.append(terminal.press(b"u", marker(task.prompt)))
                times.append(terminal.press(b"1", marker(after.prompt)))
            time.sleep(0.02)
            task = after
        terminal.leave()
    return times


def marker(prompt: str) -> bytes:
    """The part of a prompt that no other has."""
    return prompt.split(",")[0].encode()


def command(*words: str) -> float:
    """Seconds that a command takes, start included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "arena", *words], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--db", type=Path, help="build the league here, or use the one that a run before built")
    options = parser.parse_args()
    about = facts("Labelling at 100,000 pairs", "python benchmarks/labelling.py")
    with tempfile.TemporaryDirectory() as folder:
        db, file, other = (Path(folder) / name for name in ("league.db", "labels.jsonl", "other.db"))
        db = options.db or db
        built = {} if db.exists() else build(db, options.size)
        with Store(db) as store:
            began = time.perf_counter()
            store.label_progress("Ann")
            progress = time.perf_counter() - began
            counts = store.stats()
        load = os.getloadavg()[0]
        keys = key_times(db, options.keys)
        where = ("--db", str(db))
        commands = {
            "`arena prefs report --json`": command("prefs", "report", "--json", *where),
            "`arena prefs list`": command("prefs", "list", *where),
            "`arena prefs export`": command("prefs", "export", str(file), *where),
            "`arena prefs import` of that file into a new league": command(
                "prefs", "import", str(file), "--db", str(other)
            ),
            "`arena db check`": command("db", "check", *where),
        }
    percentiles = statistics.quantiles(keys, n=20)
    about |= {
        "load": load,
        "counts": counts,
        "keys": [round(1000 * value, 2) for value in keys],
        "commands": commands,
        "build": built,
    }
    lines = [
        f"{counts['completions']:,} completions, {counts['pairs']:,} pairs, {counts['labels']:,} labels, "
        f"{counts['bytes'] / 2**20:,.0f} MiB. Load average of the machine: {load:.1f}.",
        "",
        f"| from a key to the next pair ({len(keys)} keys, undo among them) | ms |",
        "|---|---:|",
        f"| median | {1000 * statistics.median(keys):.1f} |",
        f"| 95th percentile (target: 50) | {1000 * percentiles[-1]:.1f} |",
        f"| worst | {1000 * max(keys):.1f} |",
        "",
        "| | s |",
        "|---|---:|",
        *(f"| {name} | {seconds:.1f} |" for name, seconds in (commands | built).items()),
        f"| count how far an annotator is | {progress:.2f} |",
    ]
    save("labelling", about, lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
