"""How one gets about in the app: its areas, and the screens that a game, a replay or a label opens in them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import work
from textual.app import App
from textual.screen import Screen

from envs.errors import ArenaError
from tui.areas import AREAS, find_area
from tui.facts import game_of, save_setting
from tui.messages import ReadFailed
from tui.screens.dialogs import AskScreen, ConfirmScreen
from tui.screens.home import HomeScreen
from tui.text import inert

if TYPE_CHECKING:
    from arena.session_client import Seat


class Navigation(App[None]):
    """Where a key, a click or a command leads. `user` is the name that the person's games are kept under."""

    DEFAULT_MODE = "lobby"

    def __init__(self, db: Path, user: str | None = None) -> None:
        super().__init__()
        self.db = db
        self.user = user
        self.home = HomeScreen()
        self._from: dict[str, str] = {}
        self._known = False  # whether the league's settings have been read
        self._first: Callable[[], None] | None = None
        for area in AREAS:
            self.add_mode(area.name, self._lobby if area.name == self.DEFAULT_MODE else area.open)

    def _lobby(self) -> HomeScreen:
        return self.home

    def start_with(self, first: Callable[[], None]) -> None:
        """Do this as soon as the league's settings are known."""
        self._first = first

    def go(self, name: str, called: bool = False) -> None:
        """Go to an area, which is as it was left; where it is `called`, its end leads back here."""
        area = next((area for area in AREAS if area.name == name), None)
        if area is None or name == self.current_mode:
            return
        if area.named and self.user is None:
            (self.ask_name if self._known else self.start_with)(lambda: self.go(name, called))
            return
        if called:
            self._from[name] = self.current_mode
        self.switch_mode(name)

    def back(self) -> None:
        """Close the screen; of an area's first screen the area: then the lobby, or the area that had called for it."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self.current_mode != self.DEFAULT_MODE:
            left = self.current_mode
            self.switch_mode(self._from.pop(left, self.DEFAULT_MODE))
            self.remove_mode(left)
            self.add_mode(left, find_area(left).open)

    def leave(self) -> None:
        """Close a game or a replay; of an area that was called for it, the area with it."""
        self.pop_screen()
        if len(self.screen_stack) == 1 and self.current_mode in self._from:
            self.back()

    def action_go(self, name: str) -> None:
        self.go(name)

    async def action_back(self) -> None:
        self.back()

    def on_read_failed(self, message: ReadFailed) -> None:
        self._known = True  # as far as they ever will be
        self.notify(inert(message.problem), severity="error", timeout=10, markup=False)

    @work(thread=True, group="settings", exit_on_error=False)
    def _save(self, name: str, value: str) -> None:
        try:
            save_setting(self.db, name, value)
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def random_seat(self, players: int) -> int:
        return random.randrange(players)

    def ask_name(self, then: Callable[[], None] | None = None) -> None:
        """Ask for the person's name, keep it, then go on."""
        from arena.store import valid_name

        def answered(name: str | None) -> None:
            if name is None:
                return
            try:
                self.user = valid_name(name, "player")
            except ArenaError as error:
                self.notify(inert(str(error)), severity="error", markup=False)
                self.ask_name(then)
                return
            self._save("name", self.user)
            self.home.show_you()
            if then:
                then()

        explanation = "Your games are kept and rated under it."
        self.push_screen(AskScreen("What is your name?", self.user or _login(), explanation), answered)

    def play_game(self, game: str, opponents: Sequence[str], seat: int, seed: int | None = None, **start: Any) -> None:
        """A game of the person at the keyboard against agents; asks for the name first where it is not known."""
        if self.user is None:
            self.ask_name(lambda: self.play_game(game, opponents, seat, seed, **start))
            return
        seats: list[Seat] = [*opponents]
        seats.insert(seat, {"human": self.user})
        self.open_game(game, seats, start, seed)

    def watch_game(self, game: str, agents: Sequence[str]) -> None:
        """A game between agents."""
        self.open_game(game, list(agents))

    def continue_game(self, kept: Mapping[str, Any]) -> None:
        """Go on with the unfinished game: on its screen where that is open, else from the league."""
        from tui.screens.play import PlayScreen

        screen = self._screens_of("play")[-1:]
        if screen and isinstance(screen[0], PlayScreen) and screen[0].unfinished:
            self.go("play")
        else:
            self._show_game("play", PlayScreen(kept["game"], kept["seats"], resume=True))

    def set_up(self, game: str) -> None:
        """The form for a game of this kind."""
        from tui.screens.setup import SetupScreen

        self.go("play")
        if isinstance(self.screen, SetupScreen) and self.screen.is_running and self.screen.query("#game"):
            self.screen.choose(game)

    def open_game(
        self, game: str, seats: Sequence[Seat], start: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> None:
        """A game between these; `start` says of its position and strength what the session's `open` takes."""
        from arena.realtime_client import in_real_time
        from tui.screens.play import PlayScreen
        from tui.screens.realtime import RealtimePlayScreen

        area = "watch" if all(isinstance(seat, str) for seat in seats) else "play"
        if area == "play":
            self._save("last_game", game)
        if in_real_time(game):
            self._show_game(area, RealtimePlayScreen(game, seats, seed, (start or {}).get("race")))
        else:
            self._show_game(area, PlayScreen(game, seats, seed, start))

    def _show_game(self, area: str, screen: Screen[None]) -> None:
        """Show a game in its area, in place of the one there; asks first where that one would be lost."""

        def show(yes: bool | None) -> None:
            if not yes:
                return
            for _ in self._screens_of(area)[1:]:
                self.pop_screen()
            self.push_screen(screen)

        self.go(area, called=True)
        there = self._screens_of(area)[-1]
        if getattr(there, "unfinished", False):
            self.push_screen(ConfirmScreen("A game is not finished here. Give it up for the new one?"), show)
        else:
            show(True)

    def _screens_of(self, area: str) -> list[Screen[Any]]:
        """The screens of an area, the top one last; none where it is closed."""
        try:
            return self.get_screen_stack(area)
        except KeyError:
            return []

    def open_label(self, mode: str = "pairs", **wanted: Any) -> None:
        """Text to judge: pairs, rank or score; asks for the name first where it is not known."""
        if self.user is None:
            self.ask_name(lambda: self.open_label(mode, **wanted))
            return
        self.push_screen(_label_screen(mode, wanted))

    def change_label_mode(self, mode: str) -> None:
        """Judge in another way, on the same spot; the label area itself begins with pairs."""
        at_the_bottom = len(self.screen_stack) == 1
        if mode == "pairs" and self.current_mode == "label" and not at_the_bottom:
            self.pop_screen()
        elif at_the_bottom:
            self.push_screen(_label_screen(mode, {}))
        else:
            self.switch_screen(_label_screen(mode, {}))

    def open_leaderboard(self, game: str) -> None:
        """The league of a game, in its area."""
        from tui.screens.league import LeagueScreen

        self.go("league", called=True)
        screen = self._screens_of("league")[0]
        if isinstance(screen, LeagueScreen):
            screen.show_game(game)

    def open_replays(
        self, game: str | None, agent: str | None = None, other: str | None = None, match: int | None = None
    ) -> None:
        """The replays of a game, of a player (against another), of a match."""
        from tui.screens.replays import ReplaysScreen

        self.push_screen(ReplaysScreen(game, agent, other, match))

    @work(exclusive=True, group="replay", exit_on_error=False)
    async def open_replay(self, episode: int) -> None:
        """A stored episode, on the screen that suits its game."""
        from arena.realtime_client import has_pictures
        from tui.screens.realtime_replay import RealtimeReplayScreen
        from tui.screens.replay import ReplayScreen

        try:
            game = await asyncio.to_thread(game_of, self.db, episode)
        except ArenaError as error:
            self.on_read_failed(ReadFailed(str(error)))
            return
        self.push_screen(RealtimeReplayScreen(episode) if has_pictures(game) else ReplayScreen(episode))


def _label_screen(mode: str, wanted: Mapping[str, Any]) -> Screen[None]:
    from tui.screens.label import LabelScreen
    from tui.screens.rank import RankScreen, ScoreScreen

    screens: dict[str, Callable[[], Screen[None]]] = {"rank": RankScreen, "score": ScoreScreen}
    return screens[mode]() if mode in screens else LabelScreen(**wanted)


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
