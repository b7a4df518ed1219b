"""Random play beside Pgx, OpenSpiel and PettingZoo: `.venv/bin/python benchmarks/games.py`.

Sampling a legal action and writing the observation are part of a move on every side. GAMES says how many games each
side plays at a time.
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
    parser.add_argument("--repeats", type=int, default=5)
    rows = []
    for game, games, theirs, their_games in GAMES:
        ours = [*OURS, "games", "--game", game, "--games", str(games), "--seconds", "1.5", "--json"]
        pgx = peer("pgx_games.py", "--game", theirs, "--games", str(their_games), "--seconds", "1.5")
        note = f"{games:,} games side by side, Pgx {their_games:,}"
        rows.append(Row(f"random play, {game}", ours, "Pgx", pgx, target=3, note=note))
    ours = [*OURS, "games", "--game", "connect_four", "--games", "65536", "--seconds", "1.5", "--json"]
    for name, script in (("OpenSpiel, in Python", "openspiel_games.py"), ("PettingZoo", "pettingzoo_games.py")):
        one_by_one = peer(script, "--game", "connect_four", "--seconds", "1.5")
        rows.append(Row("random play, connect_four", ours, name, one_by_one))
    write("games", "Random play", "python benchmarks/games.py", rows, parser.parse_args().repeats)


if __name__ == "__main__":
    main()
