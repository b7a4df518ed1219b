"""Setting a game up: who sits where, how strong agents are, which moves have been played already."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

from arena.session_client import Seat
from arena.store import valid_name
from envs.errors import ArenaError
from envs.specs import find_game
from tui.facts import GameFacts, known_games, read_game
from tui.ladder import about_your_level
from tui.messages import GameLoaded, ReadFailed
from tui.screens.area_screen import AreaScreen
from tui.screens.dialogs import ChooseScreen
from tui.text import inert
from tui.widgets.area_bar import AreaBar
from tui.widgets.choice import Choice
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note

SEATS = 4
SEARCHED = ("tic_tac_toe", "connect_four", "othello", "go")
THINKING = (
    ("none", ""),
    *((f"{count:,} simulations a move", f"{count}") for count in (50, 200, 800, 3200)),
    *((f"{count} second{'s' * (count > 1)} a move", f"{count}s") for count in (1, 5, 15)),
)
"""How long trained agents search: what is shown, and what their names say of it."""
TEMPERATURES: tuple[tuple[str, float | None], ...] = (
    ("as in matches", None),
    ("the likeliest move always (0)", 0.0),
    ("drawn as likely as they think (1)", 1.0),
    ("loose (2)", 2.0),
    ("very loose (4)", 4.0),
)
YOU, GUEST = ("you",), ("guest",)
"""Values of a seat's choice that are no agent's name."""


class SetupScreen(AreaScreen):
    """A form; Ctrl+S starts the game."""

    PEOPLE: ClassVar[bool] = True
    CSS_PATH = "setup.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f10", "start", "Start", id="setup.start", key_display="^s"),
        Binding("tab", "app.focus_next", "Next line", id="setup.next"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", id="setup.leave"),
    ]

    def __init__(self, game: str | None = None) -> None:
        super().__init__()
        self._wanted = game
        self._facts: GameFacts | None = None

    @property
    def game(self) -> str:
        return str(self._choice("game").value)

    def compose(self) -> ComposeResult:
        games = known_games(self.arena.league.games)
        wanted = self._wanted or self.arena.home.game
        games = games if wanted in games else [*games, wanted]
        yield AreaBar()
        yield Note(id="banner")
        with VerticalScroll(can_focus=False):
            yield Choice("Game", [(game, game) for game in games], wanted, id="game")
            for seat in range(SEATS):
                yield Choice(f"Seat {seat + 1}", id=f"seat{seat}")
            if self.PEOPLE:
                yield from _line("Guest's name", Input(id="guest", compact=True, max_length=40))
            yield Choice("Thinking", THINKING, "", id="search")
            yield Choice("Their moves", TEMPERATURES, id="temperature")
            moves = Input(id="moves", compact=True, max_length=2000, placeholder="such as: 4 4 3, or D4 C3")
            yield from _line("Moves so far", moves)
            yield Button("Start", id="start", compact=True, variant="primary")
        yield Note(id="note")
        yield KeyBar()

    def on_mount(self) -> None:
        kind = "Play: set a game up" if self.PEOPLE else "Watch: who plays whom"
        self.query_one("#banner", Static).update(Content.styled(f" {kind} ", "bold $background on $primary"))
        self._choice("game").focus()

    def on_seen(self) -> None:
        self._read(self.game)

    def _choice(self, name: str) -> Choice:
        return self.query_one(f"#{name}", Choice)

    def choose(self, game: str) -> None:
        """Set this game up."""
        choice = self._choice("game")
        if game not in [offered for _, offered in choice.options]:
            choice.offer([*choice.options, (game, game)], choice.value)
        choice.value = game

    @on(Choice.Opened)
    def _opened(self, message: Choice.Opened) -> None:
        choice = message.choice

        def chosen(index: int | None) -> None:
            if index is not None:
                choice.value = choice.options[index][1]

        self.app.push_screen(ChooseScreen(choice.label, [words for words, _ in choice.options], choice.index), chosen)

    @on(Choice.Changed, "#game")
    def _game_changed(self) -> None:
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
        same = self._facts is not None and self._facts.game == facts.game
        self._facts = facts
        players = facts.players or 2
        people: list[tuple[str, Any]] = [("you", YOU), ("a guest at this keyboard", GUEST)] if self.PEOPLE else []
        offered = [*people, *((name, name) for name, _ in facts.opponents())]
        values = [value for _, value in offered]
        standing = next((row for row in facts.standings if row.agent == self.arena.user), None)
        level = about_your_level(facts.rungs, standing)
        for seat in range(SEATS):
            choice = self._choice(f"seat{seat}")
            choice.display = seat < players
            first = YOU if self.PEOPLE and seat == 0 else level
            wanted = (choice.value if same else None, first, *values[len(people) :], *values)
            choice.offer(offered, next((value for value in wanted if value in values), None))
        game_id = facts.game.partition("?")[0]
        for name, shown in (
            ("search", game_id in SEARCHED),
            ("temperature", players > 1),
            ("moves", find_game(game_id).turns == "turn-based"),
            ("guest", players > 1),
        ):
            for field in self.query(f"#{name}"):
                line = field if isinstance(field, Choice) else field.parent
                assert isinstance(line, Widget)
                line.display = shown
        self._say("A game from a set-up position or at a strength of your own does not count.")

    def on_read_failed(self, message: ReadFailed) -> None:
        self._say(message.problem, "$error")

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#note", Static).update(Content.styled(inert(text), style))

    @on(Button.Pressed, "#start")
    def _pressed(self) -> None:
        self.action_start()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_start()

    def action_start(self) -> None:
        facts = self._facts
        if facts is None or facts.game != self.game:
            return
        chosen = [self._choice(f"seat{seat}").value for seat in range(facts.players or 2)]
        if None in chosen:
            self._say("There is nobody yet who could play this.", "$error")
            return
        if YOU in chosen and self.arena.user is None:
            self.arena.ask_name(self.action_start)
            return
        try:
            seats = self._seats(chosen)
        except ArenaError as error:
            self._say(str(error), "$error")
            return
        shown = self.query_one("#moves").parent
        assert shown is not None
        moves = self.query_one("#moves", Input).value.replace(",", " ").split() if shown.display else []
        start: dict[str, Any] = {"moves": moves} if moves else {}
        temperature = self._choice("temperature").value
        if temperature is not None and (facts.players or 2) > 1:
            start["temperature"] = temperature
        self.arena.open_game(facts.game, seats, start)

    def _seats(self, chosen: list[Any]) -> list[Seat]:
        """Who sits where; agents that can search do as is said. Raises UsageError for names that will not do."""
        assert self._facts is not None
        thinking = self._choice("search").value if self._facts.game.partition("?")[0] in SEARCHED else ""
        trained = {name for name, kind in self._facts.opponents() if kind == "checkpoint" and "+mcts:" not in name}
        guests = [f"guest {number}" if number > 1 else "guest" for number in range(1, chosen.count(GUEST) + 1)]
        typed = self.query_one("#guest", Input).value.strip() if self.PEOPLE else ""
        if typed and guests:
            guests[0] = valid_name(typed, "guest")
        seats: list[Seat] = []
        for value in chosen:
            if value == YOU:
                seats.append({"human": self.arena.user or ""})
            elif value == GUEST:
                seats.append({"human": guests.pop(0)})
            else:
                seats.append(f"{value}+mcts:{thinking}" if thinking and value in trained else str(value))
        return seats


class WatchSetupScreen(SetupScreen):
    """Agents only."""

    PEOPLE = False


def _line(label: str, field: Input) -> ComposeResult:
    with Horizontal(classes="line"):
        yield Label(label)
        yield field
