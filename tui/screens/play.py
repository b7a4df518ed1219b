"""Playing a game, or watching agents play one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from arena.session_client import Hint, Position, Seat, open_request, resume_request
from envs.boards.drawings import start_drawing
from tui.keymap import key_of, keys_of
from tui.messages import SessionLost, SessionSays
from tui.screens.dialogs import ConfirmScreen
from tui.screens.session_screen import COMMON, SessionScreen
from tui.text import inert, natural
from tui.widgets import panels
from tui.widgets.area_bar import AreaBar
from tui.widgets.board import ARROWS, EMPTY, BoardView
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note

TYPE = Binding("colon", "type", "Type", id="play.type", key_display=":")


class PlayScreen(SessionScreen):
    """One game. `seats` are agents' names or {"human": name}; without a person it is watched.

    Args:
        start: position and strength, as the session's `open` takes them; a rematch has them, too.
        resume: go on with the game that the league keeps as unfinished, which is one of these seats.
    """

    CSS_PATH = "session_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h", "hint", "Hint", id="play.hint"),
        Binding("u", "undo", "Undo", id="play.undo"),
        Binding("r", "resign", "Resign", id="play.resign"),
        TYPE,
        Binding("full_stop,right", "step", "Step", id="play.step", key_display="."),
        Binding("m", "mind", "Mind", id="play.mind"),
        Binding("v", "map", "Values", id="play.map", tooltip="values and policy over the map of a gridworld"),
        Binding("n", "new", "New", id="play.new", tooltip="again, seats changed"),
        *COMMON,
    ]

    def __init__(
        self,
        game: str,
        seats: Sequence[Seat],
        seed: int | None = None,
        start: Mapping[str, Any] | None = None,
        resume: bool = False,
    ) -> None:
        super().__init__()
        self.game = game
        self.seats = list(seats)
        self._seed = seed
        self._start = dict(start or {})
        self._resume = resume
        self._mind = not self.people
        self._hint: Content | None = None
        self._began: int | None = None  # at which ply a person was first asked

    @property
    def people(self) -> tuple[int, ...]:
        """The seats that people hold."""
        return tuple(i for i, seat in enumerate(self.seats) if not isinstance(seat, str))

    @property
    def over(self) -> bool:
        return self.position is not None and self.position.over

    @property
    def unfinished(self) -> bool:
        """Whether a person is in the middle of a game: the league keeps it, or a person has moved in it."""
        moved = self.position is not None and self._began is not None and self.position.ply != self._began
        return bool(self.people) and self._alive and (self.kept or moved)

    @property
    def kept(self) -> bool:
        """Whether the league keeps the game until it is gone on with."""
        return self.position is not None and self.position.kept

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        with Horizontal():
            with Vertical(id="left"):
                yield BoardView()
                line = Input(id="typed", placeholder="your move, then Enter (Esc closes)", max_length=40)
                line.select_on_focus = False  # what began the line stays
                yield line
                yield Static(id="status")
            with VerticalScroll(id="side", can_focus=False):
                yield Static(id="players")
                yield Static(id="outcome")
                yield Static(id="hint")
                yield Static(id="moves")
                yield Static(id="mind")
        yield KeyBar()

    def request(self) -> Mapping[str, Any]:
        if self._resume:
            self._resume = False
            return resume_request(str(self.arena.db))
        seed, self._seed = self._seed, None
        return open_request(str(self.arena.db), self.game, self.seats, seed, **self._start)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Playing and watching have their own keys; what cannot be done now is grey."""
        if action in ("hint", "undo", "resign", "type"):
            if not self.people:
                return False
            return True if self._alive else None
        if action == "map":
            return self.game.startswith("gridworld/") and len(self.seats) == 1
        if action in ("step", "toggle_clock", "faster"):
            if self.people:
                return False
            return True if self._alive else None
        return True

    @property
    def _alive(self) -> bool:
        """Whether the game goes on: it has begun, is not over, and its process lives."""
        return self.session is not None and self.position is not None and not self.over

    def show_opening(self) -> None:
        """The players and, of a game from its beginning, the board: nobody waits for the game's process to see them."""
        self._began = None
        begun = self._resume or self._start.keys() & {"moves", "episode"}
        names = [seat if isinstance(seat, str) else seat["human"] for seat in self.seats]
        position = Position(self.game, 0, (None if begun else start_drawing(self.game)) or EMPTY, names)
        self.query_one(BoardView).show(position.drawing)
        self._show_players(position, "" if begun else "move 0")
        for selector in ("#outcome", "#hint", "#moves", "#mind"):
            self._panel(selector, None)
        agents = [seat for seat in self.seats if isinstance(seat, str)]
        words = f"{', '.join(agents)} {'is' if len(agents) == 1 else 'are'}" if agents else "the game is"
        self.say(f"{words} getting ready…", "$text-muted")

    def show_position(self, position: Position) -> None:
        self._hint = None
        mine = self._mine(position)
        if self._began is None and mine is not None:
            self._began = position.ply
        self.query_one(BoardView).show(panels.drawn(position), dict(position.legal[mine]) if mine is not None else {})
        if position.over:
            self.stop_clock()
            new, leave = key_of(self, "new"), key_of(self, "leave")
            self.say(f"{panels.headline(position, self.people)} · {new} plays again, {leave} goes back", "bold")
        elif mine is not None:
            self.say(self._how(position))
        elif self.people:
            thinking = ", ".join(position.seats[seat] for seat in position.to_move)
            self.say(f"{thinking} is thinking…", "$text-muted")
        else:
            clock, step, faster, slower = (
                key_of(self, word) for word in ("toggle_clock", "step", "faster(1)", "faster(-1)")
            )
            self.say(f"{clock} plays and pauses · {step} one step · {faster} {slower} speed")
            if position.ply == 0 and position.id == self._opening:
                self.start_clock()
        self._show_side()

    def _how(self, position: Position) -> str:
        board = self.query_one(BoardView)
        who = "" if len(self.people) == 1 else f"seat {self._mine(position)} · "
        if board.uses_cursor:
            piece = "a piece, then its square · " if board.drawing.origins else ""
            passes = "p passes · " if any("p" in board.drawing.keys.get(action, ()) for action in board.legal) else ""
            return f"{who}your move · {piece}arrows Enter · mouse · {passes}: types it"
        keys = sorted({key for action in board.legal for key in board.drawing.keys.get(action, ())})
        arrows = ["arrow keys"] if ARROWS.keys() & set(keys) else []
        words = [*arrows, *(key for key in keys if key not in ARROWS)][:6]
        mouse = ["mouse"] if board.legal.keys() & board.drawing.targets.keys() else []
        return " · ".join([f"{who}your move", *[" ".join(words)] * bool(words), *mouse, ": types it"])

    def _mine(self, position: Position) -> int | None:
        """The person's seat that decides now."""
        return min(position.legal, default=None) if not position.over else None

    def _show_side(self) -> None:
        position = self.position
        if position is None:
            return
        rated = "rated" if position.rated else "unrated"
        clock = "" if self.people or position.over else f" · {self.clock_words()}"
        self._show_players(position, f"{rated} · move {position.ply}{clock}")
        self._panel("#outcome", panels.outcome(position, self.people) if position.over else None)
        self._panel("#hint", self._hint)
        mine = self._mine(position)
        legal = [] if mine is None else sorted((inert(name) for _, name in position.legal[mine]), key=natural)
        names = " ".join(legal[:40]) + (" …" if len(legal) > 40 else "")
        self._panel("#moves", Content.assemble(("legal  ", "$text-muted"), names) if legal else None)
        self._panel("#mind", panels.minds(position) if self._mind else None)

    def _show_players(self, position: Position, words: str) -> None:
        """Who plays, and above it the game and what is said of it."""
        banner = Content.assemble((f" {inert(position.game)} ", "bold"), (f" {words}", "$text-muted"))
        self.query_one("#banner", Static).update(banner)
        width = 44 if self.app.size.width >= 120 else 28
        self.query_one("#players", Static).update(panels.players(position, self.people, width))

    def _panel(self, selector: str, content: Content | None) -> None:
        panel = self.query_one(selector, Static)
        panel.display = content is not None
        panel.update(content or "")

    def show_clock(self) -> None:
        self._show_side()

    def on_session_says(self, message: SessionSays) -> None:
        super().on_session_says(message)
        event = message.event
        if isinstance(event, Hint) and self.position is not None:
            self.position = dataclasses.replace(self.position, rated=False)
            self._hint = panels.thoughts(f"hint: {event.agent}", event.mind, event.seat)
            names = {name: action for action, name in self.position.legal.get(event.seat, ())}
            if event.mind.top and event.mind.top[0][0] in names:
                self.query_one(BoardView).hint(names[event.mind.top[0][0]])
            best = event.mind.top[0][0] if event.mind.top else "nothing"
            self.say(f"{event.agent} would play {best}")
            self._show_side()

    def on_session_lost(self, message: SessionLost) -> None:
        super().on_session_lost(message)
        self.query_one(BoardView).show(self.query_one(BoardView).drawing)

    @on(BoardView.Chosen)
    def _chosen(self, message: BoardView.Chosen) -> None:
        if self.position is None or (mine := self._mine(self.position)) is None:
            return
        self.send({"do": "act", "seat": mine, "action": message.action})

    def on_key(self, event: events.Key) -> None:
        """A typed move begins at its key, or at a digit that no move has as its own.

        Keys that come faster than the focus moves from the board to the line are meant for the line.
        """
        typed = self.query_one("#typed", Input)
        if typed.display:  # the line keeps to itself what it has been given
            if event.character and event.is_printable:
                event.stop()
                typed.insert_text_at_cursor(event.character)
        elif event.key in keys_of(TYPE, self.arena.keys).split(",") and self.check_action("type", ()):
            event.stop()
            self.action_type()
        elif event.character and event.character.isdigit() and self.query_one(BoardView).legal:
            event.stop()
            self.action_type(event.character)

    def action_type(self, begin: str = "") -> None:
        typed = self.query_one("#typed", Input)
        typed.display = True
        typed.value = begin
        typed.cursor_position = len(begin)
        self.set_focus(typed)

    @on(Input.Submitted, "#typed")
    def _typed(self, event: Input.Submitted) -> None:
        move = event.value.strip()
        self._close_input()
        if move and self.position is not None and (mine := self._mine(self.position)) is not None:
            self.send({"do": "act", "seat": mine, "move": move})

    def _close_input(self) -> None:
        self.query_one("#typed", Input).display = False
        self.query_one(BoardView).focus()

    def action_hint(self) -> None:
        def ask() -> None:
            if self.position is None or (mine := self._mine(self.position)) is None:
                return
            if self.send({"do": "hint", "seat": mine}):
                self.say("asking the strongest agent…", "$text-muted")

        if self.position is not None and self._mine(self.position) is not None:
            self._give_rating_up("Ask the strongest agent?", ask)

    def action_undo(self) -> None:
        def take_back() -> None:
            if self.position is not None:
                mine = self._mine(self.position)
                self.send({"do": "undo", "seat": self.people[0] if mine is None else mine})

        self._give_rating_up("Take your last move back?", take_back)

    def _give_rating_up(self, question: str, then: Callable[[], None]) -> None:
        """Do what makes the game unrated; where it still counts, only after a yes."""
        if self.people and self.position is not None and self.position.rated:
            self.app.push_screen(
                ConfirmScreen(f"{question} The game no longer counts then."), lambda yes: then() if yes else None
            )
        else:
            then()

    def action_resign(self) -> None:
        def resign(yes: bool | None) -> None:
            if yes and self.position is not None:
                mine = self._mine(self.position)
                self.send({"do": "resign", "seat": self.people[0] if mine is None else mine})

        question = (
            "Resign? The game is stored as a loss." if len(self.seats) > 1 else "Give up? The return so far is stored."
        )
        self.app.push_screen(ConfirmScreen(question), resign)

    def action_step(self) -> None:
        self.stop_clock()
        self.tick()
        self._show_side()

    def tick(self) -> None:
        if self.position is not None and not self.position.over:
            self.send({"do": "step"})

    def action_toggle_clock(self) -> None:
        if not self.over:
            super().action_toggle_clock()

    def action_mind(self) -> None:
        self._mind = not self._mind
        self._show_side()

    def action_map(self) -> None:
        """An agent's values and policy over the map, and what it thinks of this cell, or the map alone again."""
        if self.position is None:
            return
        on = self.position.mapped is None

        def draw() -> None:
            if self.send({"do": "map", "on": on}):
                self._mind = True

        self._give_rating_up("See what an agent knows of the map?", draw) if on else draw()

    def action_new(self) -> None:
        """The same players again, everybody one seat on; as they sat where the game was lost with its process."""

        def again(yes: bool | None) -> None:
            if yes:
                self.stop_clock()
                if self.session is not None:
                    self.seats = [*self.seats[1:], self.seats[0]]
                self.open()
                self.show_opening()

        self._ask_to_abandon("Begin anew, seats changed?", again)

    def action_leave(self) -> None:
        if self.query_one("#typed", Input).display:
            self._close_input()
            return
        if self.kept:  # the lobby offers to go on with it
            super().action_leave()
            return
        self._ask_to_abandon("Leave?", lambda yes: super(PlayScreen, self).action_leave() if yes else None)

    def _ask_to_abandon(self, question: str, then: Any) -> None:
        """Ask first where a person is in the middle of a game."""
        if self.unfinished:
            self.app.push_screen(ConfirmScreen(f"{question} This game is not finished and will not be kept."), then)
        else:
            then(True)
