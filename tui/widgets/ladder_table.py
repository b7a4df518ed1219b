"""Opponents by strength, in the one table widget."""

from __future__ import annotations

from rich.text import Text

from tui.ladder import Rung
from tui.text import kind_name, rating, share, shorten
from tui.widgets.tables import Cells, fill

LEVEL = "▸"
"""Marks who is about your level."""


def fill_ladder(table: Cells, rungs: list[Rung], level: str | None, *, full: bool, name: int) -> None:
    """Show the opponents, strongest first; names get `name` columns; `full`: what they have done in this league.

    Elo with its interval is this league's; ≈ is what the starters' round robin says.
    """
    columns = [("", 1), ("opponent", name), ("kind", 7), ("Elo", 10)]
    columns += [("games", 5), ("W/D/L", 11), ("1st", 4), ("2nd", 4)] if full else []
    rows = []
    for rung in rungs:
        line = rung.standing
        elo = "–" if rung.elo is None else f"≈ {rung.elo:.0f}"
        if rung.known and line is not None:
            elo = rating(line.elo, line.low, line.high)
        cells = [LEVEL if rung.name == level else "", shorten(rung.name, name), kind_name(rung.kind), elo]
        if full and line is not None:
            cells += [str(line.games), f"{line.wins}/{line.draws}/{line.losses}"]
            cells += [share(line.first_score), share(line.second_score)]
        elif full:
            cells += ["", "", "", ""]
        rows.append((rung.name, [Text(cell, style="bold" if rung.name == level else "") for cell in cells]))
    fill(table, columns, rows)
