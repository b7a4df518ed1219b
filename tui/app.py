"""The app: screens over one league. It shows and asks; games are played in child processes."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.app import SuspendNotSupported, SystemCommand
from textual.binding import Binding, BindingType
from textual.keys import format_key
from textual.screen import Screen

from envs.errors import ArenaError
from tui import keymap, resizing, signals, terminal_keys, turns  # noqa: F401 (turns: of Textual)
from tui.areas import AREAS, KEYS, load
from tui.children import Children
from tui.facts import LeagueFacts, read_league
from tui.garbage import LOOK_SECONDS, Garbage
from tui.messages import LeagueLoaded, ReadFailed
from tui.navigation import Navigation
from tui.screens.dialogs import ChooseScreen, KeyScreen
from tui.stylesheet import KeptStylesheet
from tui.terminal_keys import KeyboardFlags, KeyUp
from tui.theme import THEMES, default_theme
from tui.threads import Threads
from tui.widgets.area_bar import AreaBar

if TYPE_CHECKING:
    from arena.jobs import Jobs

STYLES = sorted(Path(__file__).parent.glob("screens/*.tcss"))
"""The files of the screens' styles."""
WARM_UP_SECONDS = 0.4
"""How long after the first paint the other screens are loaded and the spare child starts."""


class ArenaApp(Navigation):
    """One league's app. `user` overrides the stored name for this session."""

    TITLE = "Arena"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "screens/home.tcss"]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.EVERYWHERE]

    def __init__(self, db: Path, user: str | None = None) -> None:
        super().__init__(db, user)
        self.stylesheet: KeptStylesheet = KeptStylesheet(variables=self.get_css_variables())
        self.league = LeagueFacts()
        self.sessions = Children()
        self.keys: dict[str, str] = {}
        self.plays = True
        self._garbage: Garbage | None = None
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
            screen.update_classes(resizing.size_classes(screen, self.size), update=False)
        if screen._css_update_count < 0:
            screen._css_update_count = self._css_update_count

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

    def on_league_loaded(self, message: LeagueLoaded) -> None:
        self.league = facts = message.facts
        self.user = self.user or facts.name
        if facts.theme in self.available_themes:
            self.theme = facts.theme
        self.theme_changed_signal.subscribe(self, lambda theme: self._save("theme", theme.name))
        self.home.show_games()
        self.home.choose(facts.last_game)
        self.home.show_you(first=True)
        self._known = True
        first, self._first = self._first, None
        if first:
            first()

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

        self.push_screen(HelpScreen(self.keys, self.screen))

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
