"""Captures a newcomer's first session in tmux at 80×24: `.venv/bin/python docs/newcomer.py`.

It writes docs/images/newcomer.cast (asciicast 2; play it with `asciinema play`) and pictures of some of its screens.
Keys are sent as a person's would be, in an empty directory; waiting is cut short in the recording. It needs tmux and
takes some minutes.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).parent / "images"
BIN = Path(sys.executable).parent
WIDTH, HEIGHT = 80, 24
LIMIT = 300.0
"""Seconds to wait for a screen, on a machine that is busy."""
LONGEST = 0.4
"""Seconds that a wait takes in the recording."""
READING = 2.0
"""Seconds that a screen which says something new stays."""
FAVOURITES = "537192468"
"""Squares of tic-tac-toe, the ones to be taken first in front."""
PAIRS = (
    ("My laptop does not start.", "Please hold the power button for ten seconds.", "Laptops start."),
    ("The printer is out of paper.", "Paper goes into the tray below; then press resume.", "Buy a printer."),
    ("I forgot my password.", "Click 'forgot password' and follow the letter that comes.", "Try to remember it."),
    ("How do I save a file?", "Ctrl+S, or Save in the menu.", "Files are saved by saving them."),
    ("The screen is too dark.", "The keys with the sun make it brighter.", "Open a window."),
    ("My mouse is slow.", "Its speed is in the settings, under Mouse.", "Mice are slow in winter."),
    ("Is there wifi in the library?", "Yes: choose 'library' and log in with your card.", "Yes."),
    ("How do I print on both sides?", "Choose 'duplex' in the printing dialog.", "Print twice."),
    ("The sound is gone.", "Is it muted? The key with the crossed speaker says.", "Sound comes and goes."),
    ("Can I borrow a projector?", "Yes, at the desk, for three days at a time.", "No idea."),
)
"""Prompt, the better answer, the other one."""
_COLOUR = re.compile(r"\x1b\[([0-9;]*)m")


class Terminal:
    """A shell in tmux, and the recording of what it shows."""

    def __init__(self, folder: Path) -> None:
        self._tmux = ["tmux", "-L", f"newcomer-{os.getpid()}", "-u", "-f", "/dev/null"]
        self._lines = [""] * HEIGHT
        self._clock = 0.0
        self._last = time.monotonic()
        self.events: list[tuple[float, str, str]] = []
        settings = f"PS1='$ '; export COLORTERM=truecolor XDG_CONFIG_HOME={folder} PATH={BIN}:$PATH\n"
        (folder / "rc").write_text(settings)
        size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
        self._run("new-session", "-d", *size, "-c", str(folder), "bash --noprofile --rcfile rc")
        self._run("set", "-s", "escape-time", "0")

    def _run(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        self._run("kill-server")

    def text(self) -> str:
        """What is shown, without colours."""
        return self._run("capture-pane", "-p")

    def look(self) -> list[str]:
        """What is shown, a line each that brings its colours along; what has changed is recorded."""
        lines = (_standing_alone(self._run("capture-pane", "-peN").splitlines()) + [""] * HEIGHT)[:HEIGHT]
        changed = [n for n in range(HEIGHT) if lines[n] != self._lines[n]]
        now = time.monotonic()
        if changed:
            self.wait(min(now - self._last, LONGEST))
            self._last = now
            data = "".join(f"\x1b[{n + 1};1H{_merged(lines[n])}\x1b[0m\x1b[K" for n in changed)
            self.events.append((round(self._clock, 2), "o", data))
        self._lines = lines
        return lines

    def wait(self, seconds: float) -> None:
        """Let time pass in the recording."""
        self._clock += seconds

    def until(self, true: Callable[[str], object], what: str) -> str:
        """Look until the text shown is so; it."""
        end = time.monotonic() + LIMIT
        while not true(text := self.text()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what} was never shown; there is\n{text}")
            self.look()
            time.sleep(0.1)
        time.sleep(0.3)  # the rest of the screen
        self.look()
        return text

    def sees(self, *texts: str) -> str:
        return self.until(lambda shown: all(text in shown for text in texts), str(texts))

    def press(self, *keys: str) -> None:
        """Keys by tmux's names."""
        for key in keys:
            self._run("send-keys", key)
            self.wait(0.15)

    def type(self, text: str) -> None:
        for letter in text:
            self._run("send-keys", "-l", letter)
            self.wait(0.04)
            self.look()

    def picture(self, name: str) -> None:
        """Save the screen as it is."""
        console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor", legacy_windows=False)
        console.print(Text("\n").join(Text.from_ansi(line) for line in self.look()), no_wrap=True, end="")
        (IMAGES / f"{name}.svg").write_text(console.export_svg(title="arena", unique_id=name))


def _standing_alone(lines: list[str]) -> list[str]:
    """tmux lets colours run on from line to line; here every line says all of its own."""
    alone, active = [], ""
    for line in lines:
        alone.append(active + line)
        for found in _COLOUR.finditer(line):
            active = "" if found[1] in ("", "0") else active + found[0]
    return alone


def _merged(line: str) -> str:
    """The line with each row of colour changes as one, without those that the next ones replace."""

    def merge(found: re.Match[str]) -> str:
        now: dict[str, str] = {}
        for codes in _COLOUR.findall(found[0]):
            first = codes.partition(";")[0] or "0"
            if first == "0":
                now = {}
            number = int(first)
            text, ground = number in (*range(30, 40), *range(90, 98)), number in (*range(40, 50), *range(100, 108))
            kind = "text" if text else "ground" if ground else first
            now.pop(kind, None)
            now[kind] = codes or "0"
        return f"\x1b[{';'.join(now.values())}m"

    return re.sub(r"(?:\x1b\[[0-9;]*m)+", merge, line)


def play(terminal: Terminal, mind: bool) -> None:
    """A game of tic-tac-toe to its end, the agent's mind looked at where `mind`."""
    while True:
        text = terminal.until(lambda shown: "your move" in shown or "stored as replay" in shown, "a move")
        if "stored as replay" in text:
            terminal.wait(READING)
            return
        found = re.search(r"move (\d+)", text)
        legal = re.search(r"legal  ([\d ]+)", text)
        assert found is not None
        assert legal is not None
        ply = int(found[1])
        if mind and ply:
            terminal.press("m")
            terminal.sees("value")
            terminal.wait(READING)
            terminal.picture("newcomer-mind")
            mind = False
        move = next(square for square in FAVOURITES if square in legal[1].split())
        terminal.press(move)
        terminal.until(
            lambda shown, ply=ply: f"move {ply} " not in f"{shown.splitlines()[0]} {shown.splitlines()[1]} ", "a move"
        )


def session(terminal: Terminal) -> None:
    terminal.sees("$")
    terminal.type("arena prefs import pairs.jsonl")
    terminal.press("Enter")
    terminal.sees("10 pairs")
    terminal.type("arena")
    terminal.press("Enter")
    terminal.sees("connect_four", "rookie")
    terminal.wait(READING)
    terminal.press("p")  # against who is about your level
    terminal.sees("your seat?")
    terminal.wait(1)
    terminal.press("Enter")
    terminal.sees("What is your name?")
    terminal.type("Ada")
    terminal.press("Enter")
    play(terminal, mind=True)
    terminal.press("n")  # again, seats changed
    terminal.until(lambda shown: "stored as replay" not in shown, "a new game")
    play(terminal, mind=False)
    terminal.sees("→")
    terminal.picture("newcomer-rating")
    terminal.press("F6")
    terminal.sees("rookie", "Export")
    terminal.wait(1)
    terminal.press("Enter")
    terminal.sees("ply 0")
    for ply in (1, 2, 3):
        terminal.press("Right")
        terminal.sees(f"ply {ply} ")
    terminal.press("v")
    terminal.sees("every step is as recorded")
    terminal.wait(READING)
    terminal.press("F5")
    terminal.sees("n New", "finished")  # the run that the opponent comes from
    terminal.press("n")
    terminal.sees("algorithm", "arena train")
    terminal.wait(READING)
    terminal.press("C-s")
    terminal.sees("ppo-1", "running")
    terminal.wait(READING)
    terminal.press("F4")
    terminal.sees("rookie", "Matches")
    terminal.wait(READING)
    terminal.press("F7")
    terminal.sees("0 of 10", "1 ←")
    for number in range(1, len(PAIRS) + 1):
        left = "\n".join(line[: WIDTH // 2] for line in terminal.text().splitlines())
        terminal.press("1" if any(better[:20] in left for _, better, _ in PAIRS) else "2")
        terminal.sees(f"{number} of 10")
        terminal.wait(0.6)
        if number == 4:
            terminal.picture("newcomer-label")
    terminal.press("F5")
    terminal.until(lambda shown: re.search(r"ppo-1 .* ([2-9]\d|100)%", shown), "a training under way")
    terminal.wait(READING)
    terminal.press("m")  # against itself it wins as often as it loses: what it learns shows elsewhere
    terminal.sees("Which metric?", "losses/entropy")
    terminal.press("Down", "Down", "Down", "Enter")
    terminal.until(lambda shown: "losses/entropy" in shown and "Which metric?" not in shown, "its entropy")
    terminal.wait(READING)
    terminal.picture("newcomer-training")
    terminal.press("s")  # enough; everything is kept
    terminal.until(lambda shown: re.search(r"ppo-1 .* (stopped|finished)", shown), "the end of the training")
    terminal.wait(READING)
    terminal.press("C-q")
    terminal.sees("$ arena")
    terminal.wait(1)
    terminal.look()


def main() -> None:
    if shutil.which("tmux") is None:
        sys.exit("this needs tmux")
    with tempfile.TemporaryDirectory() as folder:
        pairs = (json.dumps({"prompt": prompt, "a": a, "b": b}) for prompt, a, b in PAIRS)
        (Path(folder) / "pairs.jsonl").write_text("\n".join(pairs) + "\n")
        terminal = Terminal(Path(folder))
        try:
            session(terminal)
        finally:
            terminal.close()
    head = {"version": 2, "width": WIDTH, "height": HEIGHT, "title": "A newcomer's first session"}
    events = [(0.0, "o", "\x1b[2J\x1b[?25l"), *terminal.events]
    lines = [json.dumps(part, ensure_ascii=False) for part in (head, *events)]
    (IMAGES / "newcomer.cast").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
