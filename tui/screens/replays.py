"""The stored episodes, newest first."""

from __future__ import annotations

import time
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from envs.errors import ArenaError
from tui.facts import ReplayRow, known_games, read_replays
from tui.messages import ReadFailed, ReplaysLoaded
from tui.screens.dialogs import AskScreen, ChooseScreen
from tui.screens.table_screen import TableScreen
from tui.text import shorten, versus
from tui.widgets.tables import outcome

PAGE = 100
"""Episodes that are read at a time."""


class ReplaysScreen(TableScreen):
    """Choose an episode to look at; older ones are read when the cursor comes to the end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="replays.open"),
        Binding("g", "game", "Game", id="replays.game"),
        Binding("a", "agent", "Player", id="replays.agent"),
        Binding("ctrl+r", "load", "Refresh", id="replays.refresh"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", id="replays.leave"),
    ]

    def __init__(self, game: str | None = None, agent: str | None = None) -> None:
        super().__init__()
        self.game = game
        self.agent = agent
        self._oldest: int | None = None
        self._more = False

    def action_load(self) -> None:
        self.show_banner("Replays", f"{self.game or 'all games'} · {self.agent or 'everybody'}")
        self._oldest = None
        self._read(self.game, self.agent, None)

    @work(thread=True, exclusive=True, group="replays", exit_on_error=False)
    def _read(self, game: str | None, agent: str | None, before: int | None) -> None:
        try:
            rows = read_replays(self.arena.db, game, agent, before, PAGE)
            self.post_message(ReplaysLoaded(rows, len(rows) == PAGE, before is None))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_replays_loaded(self, message: ReplaysLoaded) -> None:
        table, wide = self.table, self.wide
        players = 56 if wide else 24
        if message.first:
            table.clear(columns=True)
            columns = [("id", 5), ("game", 40 if wide else 13), ("players", players), ("outcome", 24 if wide else 18)]
            for label, width in [*columns, ("plies", 5)] + ([("when", 16)] if wide else []):
                table.add_column(Text(label), width=width)
        for row in message.rows:
            table.add_row(*(Text(cell) for cell in self._cells(row, players, wide)), key=str(row.episode))
        self._more = message.more
        self._oldest = message.rows[-1].episode if message.rows else self._oldest
        empty = "No episode here yet: every finished game is kept." if not table.row_count else ""
        self.say(empty or "Enter opens · g chooses a game · a a player")

    @staticmethod
    def _cells(row: ReplayRow, players: int, wide: bool) -> list[str]:
        game = row.game if wide else row.game.removeprefix("gridworld/")
        result = outcome(row.players, row.scores, row.returns, row.reason)
        cells = [str(row.episode), shorten(game, 40 if wide else 13), versus(row.players, players)]
        cells += [shorten(result, 24 if wide else 18), str(row.length)]
        return [*cells, time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created_at / 1000))] if wide else cells

    @on(DataTable.RowHighlighted)
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        if self._more and event.cursor_row >= event.data_table.row_count - 1:
            self._more = False
            self._read(self.game, self.agent, self._oldest)

    @on(DataTable.RowSelected)
    def _selected(self, event: DataTable.RowSelected) -> None:
        self.arena.open_replay(int(str(event.row_key.value)))

    def action_open(self) -> None:
        """Enter opens from the table itself; this stands in the footer."""

    def action_game(self) -> None:
        games = known_games(self.arena.league.games)

        def choose(index: int | None) -> None:
            if index is not None:
                self.game = games[index - 1] if index else None
                self.action_load()

        self.app.push_screen(ChooseScreen("Whose replays: which game?", ["all games", *games]), choose)

    def action_agent(self) -> None:
        def choose(name: str | None) -> None:
            self.agent = name
            self.action_load()

        explanation = "An agent or a person; Esc shows everybody's"
        self.app.push_screen(AskScreen("Replays of which player?", self.agent or "", explanation), choose)
