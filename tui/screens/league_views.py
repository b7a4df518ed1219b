"""How each view of a league is drawn, by the app's plot, grid, tree and tables, and what is said below it."""

from __future__ import annotations

import time

from rich.text import Text
from textual.widgets import Tree

from envs.human_scores import scale
from envs.specs import find_game
from tui.league_facts import FamilyView, HistoryView, MatchesView, MatrixView, TableView, View
from tui.text import inert, shorten, versus
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.plot import PlotPanel, Series
from tui.widgets.tables import Cells, fill


def draw_history(plot: PlotPanel, view: HistoryView) -> None:
    """Ratings over time, with their intervals."""
    series = [
        Series(name, *([getattr(p, part) for p in points] for part in ("x", "elo", "low", "high")))
        for name, points in view.curves.items()
    ]
    if view.player is None:
        title, x_title = "rating of each run's agents", "environment steps"
    else:
        title, x_title = "rating by games", "its newest rated games"
    plot.show(series, title, x_title, "Elo, 95 % interval")


def draw_matrix(grid: HeatGrid, view: MatrixView) -> None:
    """Who beats whom, and what that makes everybody worth."""
    found = view.matrix
    if found is None:
        grid.show((), ())
    else:
        more = (("Nash", found.nash), ("α-rank", found.alpha_rank))
        grid.show(found.agents, found.scores, more)


def draw_family(tree: Tree[str], view: FamilyView) -> None:
    """Leagues, their runs, and the agents that each has left."""
    tree.clear()
    branches = {}
    for run in view.runs:
        if run.league is not None and run.league not in branches:
            label = Text.assemble((f"league {inert(run.league)}", "bold"))
            branches[run.league] = tree.root.add(label, expand=True)
        branch = branches[run.league] if run.league is not None else tree.root
        words = " · ".join(filter(None, (run.algorithm, run.role, run.parents and f"against {run.parents}")))
        at = branch.add(Text.assemble((inert(run.name), "bold"), f"  {inert(words)}"), expand=len(view.runs) <= 4)
        for agent in run.agents:
            elo = "not rated" if agent.elo is None else f"{agent.elo:+.0f} ±{agent.half:.0f}"
            note = f" · {agent.note}" if agent.note else ""
            at.add_leaf(Text.assemble(inert(agent.name), (f"  {elo}{note}", "dim")), data=agent.name)


def fill_matches(table: Cells, view: MatchesView, wide: bool) -> None:
    """A line a match; `wide`: with when it was."""
    players = 56 if wide else 26
    columns = [("match", 6), ("kind", 10), ("round", 5), ("players", players), ("result", 13), ("games", 6)]
    columns += [("when", 16)] if wide else []
    rows = []
    for row in view.rows:
        points = row.points
        result = (
            f"mean {points[0] / max(row.games, 1):.4g}"
            if len(points) == 1
            else " – ".join(f"{p:g}" for p in points[:4])
        )
        cells = [str(row.match), row.kind, "" if row.round is None else str(row.round + 1)]
        cells += [versus(row.players, players), shorten(result, 13), str(row.games)]
        cells += [time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created_at / 1000))] if wide else []
        rows.append((str(row.match), [Text(cell) for cell in cells]))
    fill(table, columns, rows)


def explain(name: str, view: View | None, game: str, at: tuple[int, int]) -> str:
    """The line below the view of this name: what it shows, what Enter does there. None: it has not been read.

    `at`: row and column of the matrix's cursor.
    """
    alone = find_game(game.partition("?")[0]).num_players == 1
    if alone and name in ("history", "matrix"):
        return "Who plays alone has scores, and meets nobody."
    match view:
        case TableView(facts, _) if not facts.standings and not facts.scores:
            return f"No rated game yet. Play one, or: arena {'evaluate' if alone else 'match'} {game} …"
        case TableView(facts, _) if any(row.human is not None for row in facts.scores):
            return scale(game)
        case TableView() if alone:
            return "Mean return ± standard deviation over all rated games. , . other games · Enter: replays"
        case TableView(facts, _):
            zero = "random" if any(row.agent == "random" for row in facts.standings) else "their mean"
            return f"Elo ± half the 95 % interval, {zero} = 0 · 1st, 2nd: points by seat"
        case HistoryView(_, None):
            return "Every agent that a run has left · h in the table: a player by its games"
        case HistoryView(_, player):
            return f"{player} by its games, opponents as strong as now · 2: all runs"
        case MatrixView(None):
            return "Nobody has met anybody yet."
        case MatrixView(found) if found is not None:
            row, column = found.agents[at[0]], found.agents[at[1]]
            score, games = found.scores[at[0]][at[1]], found.games[at[0]][at[1]]
            if at[0] == at[1]:
                return "Points of the row against the column in %: orange wins, blue loses"
            told = "have not met" if score is None else f"{100 * score:.1f} % in {games:,} games"
            return f"{row} against {column}: {told} · Enter: the games"
        case FamilyView(runs):
            return "Enter opens and closes; of an agent its replays." if runs else "No run has left an agent here."
        case MatchesView(rows):
            return "Enter: the games of a match." if rows else "No match yet."
    return ""
