"""Random play beside Pgx and PettingZoo: `.venv/bin/python benchmarks/games.py`."""

from __future__ import annotations

from harness import OURS, Row, peer, write

GAMES = ("tic_tac_toe", "connect_four")


def main() -> None:
    rows = []
    for game in GAMES:
        ours = [*OURS, "games", "--game", game, "--games", "16384", "--json"]
        rows.append(Row(game, ours, "Pgx, 4,096 games", peer("pgx_games.py", "--game", game), target=3))
        rows.append(Row(game, ours, "PettingZoo", peer("pettingzoo_games.py", "--game", game)))
    write("games", "Random play", "python benchmarks/games.py", rows, repeats=5)


if __name__ == "__main__":
    main()
