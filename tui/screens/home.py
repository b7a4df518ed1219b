"""The lobby, the first screen: games, your rating in the chosen one, opponents by strength, where you stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.coordinate import Coordinate
from textual.events import DescendantFocus
from textual.keys import format_key
from textual.widgets import DataTable, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker

from envs.errors import ArenaError
from envs.specs import find_game, parse_variant
from tui.facts import GameFacts, known_games, read_game
from tui.keymap import key_of
from tui.ladder import about_your_level
from tui.messages import GameLoaded, ReadFailed
from tui.screens.area_screen import AreaScreen
from tui.screens.dialogs import AskScreen, ChooseScreen
from tui.text import inert, rating, shorten
from tui.widgets.area_bar import AreaBar
from tui.widgets.fact_table import FactTable
from tui.widgets.key_bar import KeyBar
from tui.widgets.ladder_table import LEVEL, fill_ladder
from tui.widgets.note import Note
from tui.widgets.preview import preview
from tui.widgets.tables import fill_standings

MARKS = {"one player": "1", "turn-based": "2", "simultaneous": "2∥", "any": "…"}


class HomeScreen(AreaScreen):
    """Choose a game and somebody to play. The first screen: the app loads its style sheet."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "play", "Play", id="home.play"),
        Binding("c", "continue", "Continue", id="home.continue", tooltip="go on with the game that you left"),
        Binding("w", "watch", "Watch", id="home.watch"),
        Binding("s", "set_up", "Set up", id="home.setup", tooltip="set a game up: seats, strength, first moves"),
        Binding("l", "leaderboard", "Leaderboard", id="home.leaderboard"),
        Binding("r", "replays", "Replays", id="home.replays"),
        Binding("t", "label", "Label", show=False, id="home.label", tooltip="compare texts: human feedback"),
        Binding("n", "name", "Name", show=False, id="home.name"),
        Binding("g", "variant", "Game…", id="home.variant", tooltip="type a game with options, gridworld/maze?size=9"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("q", "app.quit", "Quit", id="home.quit"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._games: list[str] = []
        self._facts: GameFacts | None = None
        self._wide = False
        self._notes = ("", "")
        self._then: tuple[str, Callable[[], None]] | None = None
        self._wanted: str | None = None
        self._reading: Worker[None] | None = None

    @property
    def game(self) -> str:
        """The chosen game."""
        index = self.query_one("#games", OptionList).highlighted
        return self._games[index or 0]

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        with Horizontal():
            yield OptionList(id="games")
            with Vertical(id="right"):
                with Horizontal(id="head"):
                    yield Static(id="about")
                    yield Static(id="picture")
                table = FactTable(id="agents", cursor_type="row", zebra_stripes=True)
                yield table
                yield Note(id="note")
        yield KeyBar()

    def on_mount(self) -> None:
        self.show_games()
        self.show_banner()
        self.query_one("#games").focus()

    def on_seen(self) -> None:
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

    def choose(self, game: str | None) -> None:
        """Highlight a game of the list; any other text does nothing."""
        if game in self._games:
            self.query_one("#games", OptionList).highlighted = self._games.index(game)

    def show_banner(self) -> None:
        name = self.arena.user
        you = f"you are {inert(name)}" if name else "n: tell your name"
        parts: list[str | tuple[str, str]] = [(" ARENA ", "bold $background on $primary")]
        parts.append(f"  {inert(str(self.arena.db.name))} · {you}")
        if self._unfinished is not None:
            key = format_key(self.arena.keys.get("home.continue", "c").partition(",")[0])
            parts += [" · ", (key, "bold $accent"), f" continues {self._unfinished_words()}"]
            if Content.assemble(*parts).cell_length > self.size.width > 0:
                parts[-1] = f" continues {self._unfinished_words().rpartition(',')[0]}"
        self.query_one("#banner", Static).update(Content.assemble(*parts), layout=False)

    @property
    def _unfinished(self) -> Mapping[str, Any] | None:
        return self._facts.unfinished if self._facts is not None else None

    def _unfinished_words(self) -> str:
        kept = self._unfinished
        assert kept is not None
        names = [seat for seat in kept["seats"] if isinstance(seat, str)] or ["one another"]
        game = shorten(kept["game"].rpartition("/")[2], 16)
        return f"{game} – {shorten(names[0], 14)}, move {len(kept['actions'])}"

    def _entry(self, game: str) -> Content:
        players = MARKS[find_game(game.partition("?")[0]).turns]
        room = 32 if self.size.width >= 120 else 19
        name = game if len(game) <= room else f"…/{game.rpartition('/')[2]}"
        return Content.assemble((f"{players:3}", "$text-muted"), shorten(name, room))

    @on(OptionList.OptionHighlighted, "#games")
    def _game_highlighted(self) -> None:
        registered = find_game(self.game.partition("?")[0])
        about = Content.assemble(
            (inert(self.game), "bold $primary"),
            f"\n{registered.summary}\n",
            (f"{registered.turns} · {registered.actions}", "$text-muted"),
        )
        self.query_one("#about", Static).update(about)
        picture = self.query_one("#picture", Static)
        drawn = preview(self.game)
        picture.display = drawn is not None
        picture.update(drawn or "")
        self.when_at_rest(self._load)

    @on(OptionList.OptionSelected, "#games")
    def _game_selected(self) -> None:
        self.query_one("#agents").focus()

    @on(DataTable.RowSelected, "#agents")
    def _agent_selected(self) -> None:
        self.action_play()

    def _load(self) -> None:
        if self._then is not None and self._then[0] != self.game:
            self._then = None
        self._wanted = self.game
        if self._reading is None or self._reading.is_finished:
            self._reading = self._read()

    def _is_loaded(self, then: Callable[[], None]) -> bool:
        """Whether the chosen game's facts are there; if not, `then` is done when they are, unless another is chosen."""
        loaded = self._facts is not None and self._facts.game == self.game
        self._then = None if loaded else (self.game, then)
        return loaded

    @work(group="game", exit_on_error=False)
    async def _read(self) -> None:
        """One reading at a time: of the games that are passed over meanwhile only the last is read."""
        while self._wanted is not None:
            game, self._wanted = self._wanted, None
            try:
                self.post_message(GameLoaded(await asyncio.to_thread(read_game, self.arena.db, game)))
            except ArenaError as error:
                self.post_message(ReadFailed(str(error)))

    def on_game_loaded(self, message: GameLoaded) -> None:
        if message.facts.game != self.game:
            return
        another = self._facts is None or self._facts.game != self.game
        self._facts = message.facts
        self._show_facts(message.facts, another)
        then, self._then = self._then, None
        if then:
            then[1]()

    def show_you(self, *, first: bool = False) -> None:
        """Whose lobby it is is known, for the `first` time or anew; facts may have been there before."""
        self.show_banner()
        if self._facts is not None and self._facts.game == self.game:
            self._show_facts(self._facts, another=first)

    def on_resize(self) -> None:
        """A terminal that has become wide has room for more columns, one that has become narrow for fewer."""
        if self._facts is not None and self._wide != (self.size.width >= 120):
            self._show_facts(self._facts, another=False)

    def _show_facts(self, facts: GameFacts, another: bool) -> None:
        """`another`: the cursor goes to the opponent of the person's level."""
        table = self.query_one("#agents", DataTable)
        self._wide, you = self.size.width >= 120, self.arena.user
        wide = self._wide
        if facts.players == 1:
            fill_standings(table, facts, full=wide, others=True, name=30 if wide else 20, you=you)
            row = next((row for row in facts.scores if row.agent == you), None)
            yours = (
                f"you: {row.mean:.4g} ± {row.std:.3g}, {row.episodes} games" if row else "you have not played it yet"
            )
            legend = f"{key_of(self, 'play')} plays alone · {key_of(self, 'watch')} watches the chosen agent"
        else:
            standing = next((row for row in facts.standings if row.agent == you), None)
            level = about_your_level(facts.rungs, standing)
            fill_ladder(table, facts.rungs, level, full=wide, name=30 if wide else 20)
            if another and level is not None:
                table.move_cursor(row=[rung.name for rung in facts.rungs].index(level))
            yours = "you have no rating here yet"
            if standing is not None:
                elo = rating(standing.elo, standing.low, standing.high)
                games = "1 game" if standing.games == 1 else f"{standing.games} games"
                yours = f"you: Elo {elo}, {games}, {standing.wins}/{standing.draws}/{standing.losses}"
            legend = f"{LEVEL if level else ' '} your level · ≈ measured elsewhere · {key_of(self, 'play')} plays"
        self._notes = (yours, legend)
        self._show_note()
        self.show_banner()
        self.refresh_bindings()

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

    @on(DataTable.RowHighlighted, "#agents")
    def _show_note(self) -> None:
        """Your rating, and of a starter how strong it was measured to be, else what the signs mean."""
        from arena.starters import find_starter

        if self._facts is None:
            return
        table = self.query_one("#agents", DataTable)
        starter = None
        if table.is_valid_row_index(table.cursor_row):
            name = str(table.coordinate_to_cell_key(Coordinate(table.cursor_row, 0)).row_key.value)
            starter = find_starter(self._facts.game, name)
        yours, legend = self._notes
        strength = f"{starter.name}: {starter.strength}" if starter is not None and table.has_focus else legend
        self.query_one("#note", Static).update(Content(f"{yours}\n{strength}"))

    @on(DescendantFocus, "#agents")
    def _opponents_focused(self) -> None:
        self._show_note()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what was begun can be gone on with."""
        return action != "continue" or self._unfinished is not None

    def action_continue(self) -> None:
        if self._unfinished is not None:
            self.arena.continue_game(self._unfinished)

    def action_set_up(self) -> None:
        self.arena.set_up(self.game)

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
        self.arena.go("replays", called=True)

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
