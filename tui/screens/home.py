"""The first screen: games, who plays the chosen one and how well, your name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.coordinate import Coordinate
from textual.screen import Screen
from textual.widgets import DataTable, Footer, OptionList, Static
from textual.widgets.option_list import Option

from envs.errors import ArenaError
from envs.specs import find_game, parse_variant
from tui.facts import GameFacts, known_games, read_game
from tui.messages import GameLoaded, ReadFailed
from tui.screens.dialogs import AskScreen, ChooseScreen
from tui.text import inert
from tui.widgets.area_bar import AreaBar
from tui.widgets.preview import preview
from tui.widgets.tables import fill_standings

if TYPE_CHECKING:
    from tui.app import ArenaApp

MARKS = {"one player": "1", "turn-based": "2", "simultaneous": "2∥", "any": "…"}


class HomeScreen(Screen[None]):
    """Choose a game and somebody to play. The first screen: the app loads its style sheet."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "play", "Play", id="home.play"),
        Binding("w", "watch", "Watch", id="home.watch"),
        Binding("l", "leaderboard", "Leaderboard", id="home.leaderboard"),
        Binding("r", "replays", "Replays", id="home.replays"),
        Binding("t", "label", "Label", id="home.label", tooltip="compare texts: human feedback"),
        Binding("n", "name", "Name", id="home.name"),
        Binding("g", "variant", "Game…", id="home.variant", tooltip="type a game with options, gridworld/maze?size=9"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("q", "app.quit", "Quit", id="home.quit"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._games: list[str] = []
        self._facts: GameFacts | None = None
        self._then: tuple[str, Callable[[], None]] | None = None

    @property
    def arena(self) -> ArenaApp:
        return cast("ArenaApp", self.app)

    @property
    def game(self) -> str:
        """The chosen game."""
        index = self.query_one("#games", OptionList).highlighted
        return self._games[index or 0]

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Static(id="banner")
        with Horizontal():
            yield OptionList(id="games")
            with Vertical(id="right"):
                yield Static(id="about")
                table: DataTable[Text] = DataTable(id="agents", cursor_type="row", zebra_stripes=True)
                yield table
                yield Static(id="note")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.show_games()
        self.show_banner()
        self.query_one("#games").focus()

    def on_screen_resume(self) -> None:
        if self._games:
            self._load()

    def show_games(self) -> None:
        """List the games; the chosen one stays chosen."""
        chosen = self.game if self._games else None
        self._games = known_games(self.arena.league.games)
        games = self.query_one("#games", OptionList)
        games.clear_options()
        games.add_options([Option(self._entry(game)) for game in self._games])
        games.highlighted = self._games.index(chosen) if chosen in self._games else 0

    def show_banner(self) -> None:
        name = self.arena.user
        you = f"you are {inert(name)}" if name else "n: tell your name"
        self.query_one("#banner", Static).update(
            Content.assemble((" ARENA ", "bold $background on $primary"), f"  {inert(str(self.arena.db.name))} · {you}")
        )

    def _entry(self, game: str) -> Content:
        players = MARKS[find_game(game.partition("?")[0]).turns]
        return Content.assemble((f"{players:3}", "$text-muted"), inert(game))

    @on(OptionList.OptionHighlighted, "#games")
    def _game_highlighted(self) -> None:
        registered = find_game(self.game.partition("?")[0])
        about = Content.assemble(
            (inert(self.game), "bold $primary"),
            f"\n{registered.summary}\n",
            (f"{registered.turns} · {registered.actions}", "$text-muted"),
        )
        picture = preview(self.game)
        if picture and self.size.height >= 36:
            about = Content("\n\n").join([about, picture])
        self.query_one("#about", Static).update(about)
        self._load()

    @on(OptionList.OptionSelected, "#games")
    def _game_selected(self) -> None:
        self.query_one("#agents").focus()

    @on(DataTable.RowSelected, "#agents")
    def _agent_selected(self) -> None:
        self.action_play()

    def _load(self) -> None:
        if self._then is not None and self._then[0] != self.game:
            self._then = None
        self._read(self.game)

    def _is_loaded(self, then: Callable[[], None]) -> bool:
        """Whether the chosen game's facts are there; if not, `then` is done when they are, unless another is chosen."""
        loaded = self._facts is not None and self._facts.game == self.game
        self._then = None if loaded else (self.game, then)
        return loaded

    @work(thread=True, exclusive=True, group="game", exit_on_error=False)
    def _read(self, game: str) -> None:
        try:
            self.post_message(GameLoaded(read_game(self.arena.db, game)))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_game_loaded(self, message: GameLoaded) -> None:
        if message.facts.game != self.game:
            return
        self._facts = message.facts
        table = self.query_one("#agents", DataTable)
        wide = self.size.width >= 120
        you = self.arena.user
        fill_standings(table, message.facts, full=wide, others=True, name=30 if wide else 20, you=you)
        if message.facts.players == 1:
            note = "p plays alone · w watches the chosen agent"
        else:
            note = "Enter or p plays the chosen agent · w watches two"
        self.query_one("#note", Static).update(Content(note))
        then, self._then = self._then, None
        if then:
            then[1]()

    def on_read_failed(self, message: ReadFailed) -> None:
        self.query_one("#note", Static).update(Content.styled(inert(message.problem), "$error"))

    def _chosen_agent(self) -> str | None:
        """The agent under the cursor, or the first in the table that is no person."""
        assert self._facts is not None
        table = self.query_one("#agents", DataTable)
        able = [name for name, _ in self._facts.opponents()]
        if table.is_valid_row_index(table.cursor_row):
            name = str(table.coordinate_to_cell_key(Coordinate(table.cursor_row, 0)).row_key.value)
            if name in able:
                return name
            if table.has_focus:
                self.notify(f"{inert(name)} is a person; choose an agent", severity="warning", markup=False)
                return None
        return able[0] if able else None

    def action_play(self) -> None:
        if not self._is_loaded(self.action_play):
            return
        game = self.game
        players = find_game(game.partition("?")[0]).num_players or 2
        if players == 1:
            self.arena.play_game(game, [], 0)
            return
        opponent = self._chosen_agent()
        if opponent is None:
            return
        seats = ["first", "second", "third"]
        options = [seats[i] if i < len(seats) else f"seat {i + 1}" for i in range(players)]

        def start(index: int | None) -> None:
            if index is not None:
                seat = index if index < players else self.arena.random_seat(players)
                self.arena.play_game(game, [opponent] * (players - 1), seat)

        title = f"{game} against {opponent}: your seat?"
        self.app.push_screen(ChooseScreen(title, [*options, "by chance"]), start)

    def action_watch(self) -> None:
        if not self._is_loaded(self.action_watch):
            return
        assert self._facts is not None
        game, players = self.game, self._facts.players or 2
        able = [name for name, _ in self._facts.opponents()]
        if players == 1:
            agent = self._chosen_agent()
            if agent:
                self.arena.watch_game(game, [agent])
            return
        chosen: list[str] = []

        def choose(index: int | None) -> None:
            if index is None:
                return
            chosen.append(able[index])
            if len(chosen) == players:
                self.arena.watch_game(game, chosen)
            else:
                ask()

        def ask() -> None:
            so_far = f" ({' – '.join(chosen)})" if chosen else ""
            self.app.push_screen(ChooseScreen(f"Watch {game}: who has seat {len(chosen) + 1}?{so_far}", able), choose)

        ask()

    def action_leaderboard(self) -> None:
        self.arena.open_leaderboard(self.game)

    def action_replays(self) -> None:
        self.arena.open_replays(None)

    def action_label(self) -> None:
        self.arena.open_label()

    def action_name(self) -> None:
        self.arena.ask_name()

    def action_variant(self) -> None:
        def chosen(text: str | None) -> None:
            if text is None:
                return
            try:
                game = str(parse_variant(text))
            except ArenaError as error:
                self.notify(inert(str(error)), severity="error", markup=False)
                return
            self.arena.add_game(game)
            games = self.query_one("#games", OptionList)
            games.highlighted = self._games.index(game)
            games.focus()

        explanation = "Its id and options, such as gridworld/maze?size=9 or pettingzoo/classic/chess_v6"
        self.app.push_screen(AskScreen("Which game?", self.game, explanation), chosen)
