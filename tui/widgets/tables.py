"""Tables of facts: the rows of a leaderboard in the one table widget."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from tui.facts import GameFacts
from tui.text import kind_name, rating, share, shorten, winner_name

Cells = DataTable[Text]


def _cells(*values: str, you: bool = False) -> list[Text]:
    return [Text(value, style="bold" if you else "") for value in values]


def fill(table: Cells, columns: list[tuple[str, int]], rows: list[tuple[str, list[Text]]]) -> None:
    """Show these rows (key, cells); the cursor stays where it was, and of the same rows only what is new is drawn."""
    shape = [(str(column.label), column.width) for column in table.ordered_columns]
    if shape == columns and [row.key.value for row in table.ordered_rows] == [key for key, _ in rows]:
        for y, (_, cells) in enumerate(rows):
            for x, (old, new) in enumerate(zip(table.get_row_at(y), cells, strict=True)):
                if (old.plain, old.style) != (new.plain, new.style):
                    table.update_cell_at(Coordinate(y, x), new)
        return
    cursor = table.cursor_row
    table.clear(columns=True)
    for label, width in columns:
        table.add_column(Text(label), width=width)
    for key, cells in rows:
        table.add_row(*cells, key=key)
    if rows:
        table.move_cursor(row=min(cursor, len(rows) - 1))


def fill_standings(
    table: Cells,
    facts: GameFacts,
    *,
    full: bool,
    others: bool = False,
    name: int = 16,
    you: str | None = None,
    form: Mapping[str, str] | None = None,
    kinds: bool = True,
) -> None:
    """The game's leaderboard (`full`: all columns), then `others`: agents without games. Names get `name` columns.

    `human` are means as shares of the way from random play to a person's score, in Atari games where that is known.
    With `form` (name → newest results) its column is there, too; without `kinds` that of the kinds is not.
    """
    rows: list[tuple[str, list[Text]]] = []
    columns: list[tuple[str, int]] = [("#", 2), ("player", name), *([("kind", 7)] if kinds else [])]
    if facts.players == 1:
        human = any(row.human is not None for row in facts.scores)
        columns += [("mean ± sd", 14), *([("human", 6)] if human else [])]
        columns += [("games", 5), ("best", 8), ("length", 6)] if full else []
        for row in facts.scores:
            cells = [str(row.rank or "–"), shorten(row.agent, name), *([kind_name(row.kind)] if kinds else [])]
            cells.append(f"{row.mean:.4g} ± {row.std:.3g}")
            cells += ["–" if row.human is None else f"{row.human:.0%}"] if human else []
            cells += [str(row.episodes), f"{row.best:.5g}", f"{row.mean_length:.1f}"] if full else []
            rows.append((row.agent, _cells(*cells, you=row.agent == you)))
    else:
        columns += [("Elo", 10)]
        columns += [("games", 5), ("W/D/L", 11), ("1st", 4), ("2nd", 4)] if full else []
        columns += [("form", 5)] if form is not None else []
        for line in facts.standings:
            cells = [str(line.rank or "–"), shorten(line.agent, name), *([kind_name(line.kind)] if kinds else [])]
            cells.append(rating(line.elo, line.low, line.high))
            if full:
                cells += [str(line.games), f"{line.wins}/{line.draws}/{line.losses}"]
                cells += [share(line.first_score), share(line.second_score)]
            cells += [form.get(line.agent, "")] if form is not None else []
            rows.append((line.agent, _cells(*cells, you=line.agent == you)))
    if others:
        for agent, kind in facts.others:
            cells = ["", shorten(agent, name), *([kind_name(kind)] if kinds else []), "–"]
            rows.append((agent, _cells(*cells, *[""] * (len(columns) - len(cells)))))
    fill(table, columns, rows)


def outcome(players: list[str], scores: list[float | None], returns: list[float], reason: str) -> str:
    """How an episode ended, in a few words."""
    resigned = " (resigned)" if reason == "resigned" else " (cut)" if reason == "truncated" else ""
    if len(players) == 1:
        return f"return {returns[0]:g}{resigned}"
    best = max((score for score in scores if score is not None), default=0.0)
    winners = [seat for seat, score in enumerate(scores) if score == best]
    return f"{winner_name(players, winners[0])} won{resigned}" if len(winners) == 1 else f"draw{resigned}"


def chosen(table: Cells) -> str | None:
    """The key of the row under the cursor, or None where there is no row."""
    if not table.is_valid_row_index(table.cursor_row):
        return None
    return str(table.coordinate_to_cell_key(Coordinate(table.cursor_row, 0)).row_key.value)
