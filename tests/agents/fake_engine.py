"""A chess engine that speaks just enough UCI, and goes wrong as its first argument says; or a go engine that passes."""

from __future__ import annotations

import os
import subprocess
import sys
import time


def main(manner: str, moves_before: int) -> None:
    if manner == "pass":
        speak_gtp()
    position: list[str] = []
    asked = 0
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ["uci"]:
            say("id name Fake", "option name Skill Level type spin", "uciok")
        elif words[:1] == ["isready"]:
            say("readyok")
        elif words[:2] == ["position", "fen"]:
            position = words[2:]
        elif words[:1] == ["go"]:
            asked += 1
            if asked > moves_before:
                go_wrong(manner)
            say("info depth 1 score cp 100", f"bestmove {first_legal(position)}")


def first_legal(position: list[str]) -> str:
    import chess

    board = chess.Board(" ".join(position[:6]))
    for word in position[7:]:
        board.push_uci(word)
    return min(move.uci() for move in board.legal_moves)


def go_wrong(manner: str) -> None:
    if manner == "crash":
        print("Segmentation fault, so to speak", file=sys.stderr, flush=True)
        os._exit(3)
    if manner == "hang":
        time.sleep(3600)
    if manner == "babble":
        while True:
            say("info string " + "x" * 1000)
    if manner == "endless":
        while True:
            sys.stdout.write("x" * 1000)
    if manner == "illegal":
        say("bestmove e2e5")
    if manner == "eat":
        say(f"info string {len(bytearray(2**33))}")
    if manner == "fork":
        # One child in the engine's group, one in a session of its own, whose parent ends at once.
        marker = sys.argv[3]
        sleeper = [sys.executable, "-c", "import time; time.sleep(3600)", marker]
        subprocess.Popen(sleeper)
        subprocess.Popen(
            [sys.executable, "-c", f"import subprocess; subprocess.Popen({sleeper!r})"], start_new_session=True
        )


def speak_gtp() -> None:
    for line in sys.stdin:
        answers = {"name": "Passer", "genmove": "pass"}
        say(f"= {answers.get(line.split()[0], '')}", "")


def say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
