"""The app: screens over one league. It shows and asks; games are played in child processes."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.app import App, SuspendNotSupported, SystemCommand
from textual.binding import Binding, BindingType
from textual.keys import format_key
from textual.screen import Screen

from envs.errors import ArenaError
from tui import keymap, signals, terminal_keys
from tui.areas import AREAS, KEYS, find_area, load
from tui.children import Children
from tui.facts import LeagueFacts, game_of, read_league, save_setting
from tui.garbage import LOOK_SECONDS, Garbage
from tui.messages import LeagueLoaded, ReadFailed
from tui.screens.dialogs import AskScreen, ChooseScreen, ConfirmScreen, KeyScreen
from tui.screens.home import HomeScreen
from tui.stylesheet import KeptStylesheet
from tui.terminal_keys import KeyboardFlags, KeyUp
from tui.text import inert
from tui.theme import THEMES, default_theme
from tui.threads import Threads
from tui.widgets.area_bar import AreaBar

if TYPE_CHECKING:
    from arena.jobs import Jobs
    from arena.session_client import Seat

STYLES = sorted(Path(__file__).parent.glob("screens/*.tcss"))
"""The files of the screens' styles."""
WARM_UP_SECONDS = 0.4
"""How long after the first paint the other screens are loaded and the spare child starts."""


class ArenaApp(App[None]):
    """One league's app. `user` overrides the stored name for this session."""

    TITLE = "Arena"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "screens/home.tcss"]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.EVERYWHERE]
    DEFAULT_MODE = "lobby"

    def __init__(self, db: Path, user: str | None = None) -> None:
        super().__init__()
        self.stylesheet: KeptStylesheet = KeptStylesheet(variables=self.get_css_variables())
        self.db = db
        self.user = user
        self.league = LeagueFacts()
        self.sessions = Children()
        self.keys: dict[str, str] = {}
        self.plays = True
        self.home = HomeScreen()
        self._first: Callable[[], None] | None = None
        self._from: dict[str, str] = {}
        self._garbage: Garbage | None = None
        for area in AREAS:
            self.add_mode(area.name, self._lobby if area.name == self.DEFAULT_MODE else area.open)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = default_theme(self.console.color_system)
        if "TEXTUAL_ANIMATIONS" not in os.environ:
            self.animation_level = "none"  # a sliding line is drawn twenty times, and sent over ssh as often

    @cached_property
    def jobs(self) -> Jobs:
        """The league's long jobs."""
        from arena.jobs import Jobs

        return Jobs(self.db)

    def _load_screen_css(self, screen: Screen[Any]) -> None:
        """A new screen's widgets take their styles when they are mounted: those of all others need no second look.

        Its file has rules for the screen itself alone, so Textual, which would look at all others because of them, is
        not told of a new one. Nor do its own widgets when it learns how wide and how high it is, since its classes say
        so from the beginning.
        """
        for path in screen.css_path:
            self.stylesheet.prepare(path)
        super()._load_screen_css(screen)
        if not screen.is_running:
            wide = screen._get_breakpoint_classes(self.size.width, self.HORIZONTAL_BREAKPOINTS)
            high = screen._get_breakpoint_classes(self.size.height, self.VERTICAL_BREAKPOINTS)
            screen.add_class(*wide, *high, update=False)
        if screen._css_update_count < 0:
            screen._css_update_count = self._css_update_count

    def _lobby(self) -> HomeScreen:
        return self.home

    def go(self, name: str, called: bool = False) -> None:
        """Go to an area, which is as it was left; where it is `called`, its end leads back here."""
        area = next((area for area in AREAS if area.name == name), None)
        if area is None or name == self.current_mode:
            return
        if area.named and self.user is None:
            self.ask_name(lambda: self.go(name, called))
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

    def start_with(self, first: Callable[[], None]) -> None:
        """Do this as soon as the league's settings are known."""
        self._first = first

    def on_mount(self) -> None:
        asyncio.get_running_loop().set_default_executor(Threads())
        if not self.is_headless:
            signals.listen(self)
        self.call_after_refresh(self._after_first_paint)

    def action_suspend_process(self) -> None:
        """Leave the terminal to the shell until it says `fg`; finished games and jobs are kept, the rest waits."""
        try:
            with self.suspend():
                signals.step_aside()
        except SuspendNotSupported:
            self.notify("There is no shell behind this page to step aside for.", severity="warning")

    async def on_unmount(self) -> None:
        await self.sessions.close()

    def _after_first_paint(self) -> None:
        if not gc.isenabled():  # since the program began
            self._garbage = Garbage()
            self._garbage.begin()
            self.set_interval(LOOK_SECONDS, self._garbage.look)
        self._read_league()
        self.set_timer(WARM_UP_SECONDS, self._warm_up)

    @work(group="warm", exit_on_error=False)
    async def _warm_up(self) -> None:
        if self.plays:
            await asyncio.to_thread(load, "arena.game_client:GameSession")
            await self.sessions.warm()  # it loads its libraries beside what is loaded here
        for _, screen in KEYS:
            await asyncio.to_thread(load, screen)  # the first who goes there waits for no module
        for path in STYLES:
            self.stylesheet.prepare(path)
            await asyncio.sleep(0)  # keys go first
        if self._garbage is not None:
            self._garbage.begin()

    @work(thread=True, group="league", exit_on_error=False)
    def _read_league(self) -> None:
        try:
            self.call_from_thread(self._use_keys, keymap.read_keymap(keymap.keymap_path()))
        except ArenaError as error:
            self.post_message(ReadFailed(f"the usual keys are bound: {error}"))
        try:
            self.post_message(LeagueLoaded(read_league(self.db)))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    @work(thread=True, group="settings", exit_on_error=False)
    def _save(self, name: str, value: str) -> None:
        try:
            save_setting(self.db, name, value)
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_league_loaded(self, message: LeagueLoaded) -> None:
        self.league = facts = message.facts
        self.user = self.user or facts.name
        if facts.theme in self.available_themes:
            self.theme = facts.theme
        self.theme_changed_signal.subscribe(self, lambda theme: self._save("theme", theme.name))
        self.home.show_games()
        self.home.choose(facts.last_game)
        self.home.show_you(first=True)
        first, self._first = self._first, None
        if first:
            first()

    def on_read_failed(self, message: ReadFailed) -> None:
        self.notify(inert(message.problem), severity="error", timeout=10, markup=False)

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        for binding in type(screen).BINDINGS:
            if isinstance(binding, Binding) and screen.check_action(binding.action.partition("(")[0], ()):
                words = binding.tooltip or f"Also the key {format_key(self.keys.get(binding.id or '', binding.key))}"
                yield SystemCommand(binding.description, words, partial(self.run_action, binding.action, screen))
        for area in AREAS:
            yield SystemCommand(f"Go to: {area.title}", area.help, partial(self.go, area.name))
        yield from super().get_system_commands(screen)
        yield SystemCommand("Rebind a key", "Choose what to do and press the key for it", self.action_rebind)
        yield SystemCommand("Your name", "Change the name that your games are kept under", lambda: self.ask_name())

    def add_game(self, game: str) -> None:
        """List a variant on the home screen."""
        if game not in self.league.games:
            self.league.games.append(game)
            self.home.show_games()

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

    async def on_event(self, event: events.Event) -> None:
        if self._garbage is not None and isinstance(event, events.InputEvent):
            self._garbage.touch()
        await super().on_event(event)

    def on_key_up(self, message: KeyUp) -> None:
        self.screen.post_message(message)

    def on_keyboard_flags(self, message: KeyboardFlags) -> None:
        self.screen.post_message(message)

    def action_help(self) -> None:
        from tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.keys))

    def action_rebind(self) -> None:
        """Choose a binding, press its new key; kept in the keymap file."""
        from tui.screens.help import key_rows

        rows = [(f"{group}: {words} ({keys})", id) for group, found in key_rows(self.keys) for keys, words, id in found]

        def choose(index: int | None) -> None:
            if index is not None:
                self.push_screen(KeyScreen(rows[index][0]), lambda key: self._bind(rows[index][1], key))

        self.push_screen(ChooseScreen("Rebind which key?", [words for words, _ in rows]), choose)

    def _use_keys(self, keys: dict[str, str]) -> None:
        self.keys = keys
        self.set_keymap(keys)
        for bar in self.screen.query(AreaBar):
            bar.show()

    def _bind(self, binding: str, key: str | None) -> None:
        if key is not None:
            try:
                self._use_keys(keymap.bind(keymap.keymap_path(), binding, key))
            except ArenaError as error:
                self.on_read_failed(ReadFailed(str(error)))


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


def run(
    db: Path | str,
    user: str | None = None,
    *,
    game: str | None = None,
    opponents: Sequence[str] = (),
    seat: int = 0,
    seed: int | None = None,
    start: Mapping[str, Any] | None = None,
    resume: Mapping[str, Any] | None = None,
    label: Mapping[str, Any] | None = None,
) -> None:
    """Open the app on a league, at home, straight in a game or labelling; returns when it is closed.

    Raises UsageError where the name will not do, SystemExit where the app crashed or was told to end by a signal.
    """
    if user is not None:
        from arena.store import valid_name

        user = valid_name(user, "player")
    app = ArenaApp(Path(db), user)
    if game is not None:
        app.start_with(lambda: app.play_game(game, opponents, seat, seed, **(start or {})))
    if resume is not None:
        app.start_with(lambda: app.continue_game(resume))
    if label is not None:
        app.plays = False  # who came to label needs no session in waiting
        app.start_with(lambda: app.open_label(**label))
    terminal_keys.install()
    try:
        app.run()
    finally:
        app.sessions.kill()
    if app.return_code:
        raise SystemExit(app.return_code)
