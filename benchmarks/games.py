"""Random play beside Pgx, OpenSpiel and PettingZoo: `.venv/bin/python benchmarks/games.py`.

Sampling a legal action and writing the observation are part of a move on every side. Pgx plays as many games side by
side as it is quickest with here; `--quick` measures once.
"""

from __future__ import annotations

import argparse

from harness import OURS, Row, peer, write

# Our name, games side by side; Pgx's name, games side by side.
GAMES = (
    ("tic_tac_toe", 65536, "tic_tac_toe", 4096),
    ("connect_four", 65536, "connect_four", 4096),
    ("othello", 16384, "othello", 4096),
    ("go", 4096, "go9", 512),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    repeats = 1 if parser.parse_args().quick else parser.parse_args().repeats
    rows = []
    for game, games, theirs, their_games in GAMES:
        ours = [*OURS, "games", "--game", game, "--games", str(games), "--seconds", "2", "--json"]
        pgx = peer("pgx_games.py", "--game", theirs, "--games", str(their_games), "--seconds", "2")
        note = f"{games:,} games side by side, Pgx {their_games:,}"
        rows.append(Row(f"random play, {game}", ours, "Pgx", pgx, target=3, note=note))
    for game in ("tic_tac_toe", "connect_four"):
        ours = [*OURS, "games", "--game", game, "--games", "65536", "--seconds", "2", "--json"]
        for name, script in (("OpenSpiel", "openspiel_games.py"), ("PettingZoo", "pettingzoo_games.py")):
            rows.append(Row(f"random play, {game}", ours, name, peer(script, "--game", game, "--seconds", "2")))
    write("games", "Random play", "python benchmarks/games.py", rows, repeats)


if __name__ == "__main__":
    main()
