"""Who is how strong in a game: ratings with intervals, or the scores of a one-player game."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from envs.errors import ArenaError
from tui.facts import known_games, read_game
from tui.messages import GameLoaded, ReadFailed
from tui.screens.dialogs import ChooseScreen
from tui.screens.table_screen import TableScreen
from tui.widgets.tables import fill_standings


class LeaderboardScreen(TableScreen):
    """The table of one game."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "game", "Game", id="leaderboard.game"),
        Binding("left", "next(-1)", "Game before", show=False, id="leaderboard.before", priority=True),
        Binding("right", "next(1)", "Next game", show=False, id="leaderboard.next", priority=True),
        Binding("r", "replays", "Replays of the chosen", id="leaderboard.replays"),
        Binding("ctrl+r", "load", "Refresh", id="leaderboard.refresh"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", id="leaderboard.leave"),
    ]

    def __init__(self, game: str) -> None:
        super().__init__()
        self.game = game

    def action_load(self) -> None:
        self._read(self.game)

    @work(thread=True, exclusive=True, group="game", exit_on_error=False)
    def _read(self, game: str) -> None:
        try:
            self.post_message(GameLoaded(read_game(self.arena.db, game)))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_game_loaded(self, message: GameLoaded) -> None:
        facts = message.facts
        if facts.game != self.game:
            return
        self.show_banner("Leaderboard", self.game)
        fill_standings(self.table, facts, full=True, name=40 if self.wide else 18, you=self.arena.user)
        if not facts.standings and not facts.scores:
            note = (
                f"No rated game yet. Play one, or: arena {'evaluate' if facts.players == 1 else 'match'} {self.game} …"
            )
        elif facts.players == 1:
            note = "Mean return ± standard deviation over all rated games. ← → other games · Enter: replays"
        else:
            note = (
                "Elo ± half the 95 % interval, from all rated games at once; random = 0 where it played. "
                "1st, 2nd: share of points by seat. ← → other games"
            )
        self.say(note)

    def show_game(self, game: str) -> None:
        self.game = game
        self.action_load()

    def _games(self) -> list[str]:
        games = known_games(self.arena.league.games)
        return games if self.game in games else [*games, self.game]

    def action_game(self) -> None:
        games = self._games()
        self.app.push_screen(
            ChooseScreen("Which game?", games),
            lambda index: self.show_game(games[index]) if index is not None else None,
        )

    def action_next(self, change: int) -> None:
        games = self._games()
        self.show_game(games[(games.index(self.game) + change) % len(games)])

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_replays()

    def action_replays(self) -> None:
        table, agent = self.table, None
        if table.is_valid_row_index(table.cursor_row):
            agent = str(table.coordinate_to_cell_key(Coordinate(table.cursor_row, 0)).row_key.value)
        self.arena.open_replays(self.game, agent)
