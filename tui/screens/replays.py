"""The stored episodes, newest first: filtered, searched, verified, exported."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable

from arena.formats import FORMATS
from arena.jobs import Job
from arena.replay_search import HELP, parse_search
from arena.session_client import Refusal, SessionDied, Verified, replay_request
from envs.errors import ArenaError
from tui.facts import ReplayFilter, ReplayRow, known_games, read_replays
from tui.keymap import key_of
from tui.messages import ReadFailed, ReplaysLoaded
from tui.screens.dialogs import AskScreen, ChooseScreen
from tui.screens.table_screen import TableScreen
from tui.text import shorten, versus
from tui.widgets.tables import chosen, outcome

PAGE = 100
"""Episodes that are read at a time."""


@dataclass
class EpisodeVerified(Message):
    """An episode has been played again."""

    episode: int
    ok: bool
    words: str


@dataclass
class JobEnded(Message):
    """An export is over."""

    job: Job
    path: str


class ReplaysScreen(TableScreen):
    """Choose an episode to look at; older ones are read when the cursor comes to the end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="replays.open"),
        Binding("slash", "search", "Search", id="replays.search", key_display="/", tooltip=HELP),
        Binding("g", "game", "Game", id="replays.game"),
        Binding("a", "agent", "Player", id="replays.agent"),
        Binding("v", "verify", "Verify", id="replays.verify", tooltip="play it again and compare every step"),
        Binding("x", "export", "Export", id="replays.export", tooltip="write the chosen episode into a file"),
        Binding("c", "clear", "Clear", id="replays.clear", tooltip="no filter: all episodes"),
        Binding("ctrl+r", "load", "Refresh", show=False, id="replays.refresh"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", id="replays.leave"),
    ]

    def __init__(
        self, game: str | None = None, agent: str | None = None, other: str | None = None, match: int | None = None
    ) -> None:
        super().__init__()
        self.wanted = ReplayFilter(game, agent, other, match)
        self._oldest: int | None = None
        self._more = False
        self._wide = False
        self._listed = False
        self._verified: dict[int, bool] = {}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What needs an episode is grey where none is listed."""
        return None if action in ("verify", "export") and not self._listed else True

    def on_resize(self) -> None:
        if self.table.row_count and self.wide != self._wide:  # other columns
            self.action_load()

    def action_load(self) -> None:
        self.show_banner("Replays", self.wanted.words())
        self._oldest = None
        self._read(self.wanted, None)

    @work(thread=True, exclusive=True, group="replays", exit_on_error=False)
    def _read(self, wanted: ReplayFilter, before: int | None) -> None:
        try:
            rows = read_replays(self.arena.db, wanted, before, PAGE)
            self.post_message(ReplaysLoaded(wanted, before, rows, len(rows) == PAGE))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_replays_loaded(self, message: ReplaysLoaded) -> None:
        """Add a page; what was read for a list that is not shown any more is dropped."""
        if message.wanted != self.wanted or message.before not in (None, self._oldest):
            return
        if message.before is None:
            self._wide = self.wide
        table, wide = self.table, self._wide
        players = 56 if wide else 22
        if message.before is None:
            table.clear(columns=True)
            columns = [("id", 7), ("game", 34 if wide else 13), ("players", players), ("outcome", 24 if wide else 21)]
            for label, width in [*columns, ("plies", 5)] + ([("when", 16)] if wide else []):
                table.add_column(Text(label), width=width)
        for row in message.rows:
            table.add_row(*(Text(cell) for cell in self._cells(row, players, wide)), key=str(row.episode))
        self._more = message.more
        self._listed = bool(table.row_count)
        self.refresh_bindings()
        self._oldest = message.rows[-1].episode if message.rows else self._oldest
        empty = "No episode here yet: every finished game is kept." if self.wanted == ReplayFilter() else "None fits."
        opens, search, game, player = (key_of(self, word) for word in ("open", "search", "game", "agent"))
        keys = f"{opens} opens · {search} searches · {game} a game · {player} a player"
        self.say(keys if table.row_count else empty)

    def _cells(self, row: ReplayRow, players: int, wide: bool) -> list[str]:
        game = row.game if wide else row.game.removeprefix("gridworld/")
        result = outcome(row.players, row.scores, row.returns, row.reason)
        cells = [self._badge(row.episode), shorten(game, 34 if wide else 13), versus(row.players, players)]
        cells += [shorten(result, 24 if wide else 21), str(row.length)]
        return [*cells, time.strftime("%Y-%m-%d %H:%M", time.localtime(row.created_at / 1000))] if wide else cells

    def _badge(self, episode: int) -> str:
        """The number, and whether it has been verified since the app was opened."""
        verdict = self._verified.get(episode)
        return f"{episode}{'' if verdict is None else ' ✓' if verdict else ' ✗'}"

    @on(DataTable.RowHighlighted)
    def _highlighted(self, event: DataTable.RowHighlighted) -> None:
        if self._more and event.cursor_row >= event.data_table.row_count - 1:
            self._more = False
            self._read(self.wanted, self._oldest)

    @on(DataTable.RowSelected)
    def _selected(self, event: DataTable.RowSelected) -> None:
        self.arena.open_replay(int(str(event.row_key.value)))

    def action_open(self) -> None:
        """Enter opens from the table itself; this stands in the footer."""

    @property
    def _episode(self) -> int | None:
        key = chosen(self.table)
        return None if key is None else int(key)

    def filter(self, wanted: ReplayFilter) -> None:
        """Show other episodes; raises UsageError for a search that cannot be."""
        parse_search(wanted.search)
        self.wanted = wanted
        self.action_load()

    def action_search(self) -> None:
        def search(text: str | None) -> None:
            try:
                self.filter(replace(self.wanted, search=text or ""))
            except ArenaError as error:
                self.say(str(error), "$error")

        self.app.push_screen(AskScreen("Search", self.wanted.search, f"{HELP}; together: ann won >20"), search)

    def action_game(self) -> None:
        games = known_games(self.arena.league.games)

        def choose(index: int | None) -> None:
            if index is not None:
                self.filter(replace(self.wanted, game=games[index - 1] if index else None))

        self.app.push_screen(ChooseScreen("Whose replays: which game?", ["all games", *games]), choose)

    def action_agent(self) -> None:
        explanation = "An agent or a person; Esc shows everybody's"
        self.app.push_screen(
            AskScreen("Replays of which player?", self.wanted.agent or "", explanation),
            lambda name: self.filter(replace(self.wanted, agent=name, other=None)),
        )

    def action_clear(self) -> None:
        self.wanted = ReplayFilter()
        self.action_load()

    def action_verify(self) -> None:
        if self._episode is not None:
            self.say(f"episode {self._episode} is played again…")
            self._verify(self._episode)

    @work(group="verify", exit_on_error=False)
    async def _verify(self, episode: int) -> None:
        """Have a game's process play it again. One that is still at it when the screen closes is ended."""
        sessions, idle = self.arena.sessions, False
        try:
            session = await sessions.take("turns")
            try:
                session.send(replay_request(str(self.arena.db), episode))
                asked = session.send({"do": "verify"})
                async for event in session:
                    if isinstance(event, Verified) and event.id == asked:
                        self.post_message(EpisodeVerified(episode, event.ok, event.message))
                        break
                    if isinstance(event, Refusal):
                        self.post_message(EpisodeVerified(episode, False, event.message))
                        break
                idle = True
            finally:
                await (sessions.give_back(session) if idle else sessions.end(session))
        except (SessionDied, ArenaError, OSError) as error:
            self.post_message(ReadFailed(str(error)))

    def on_episode_verified(self, message: EpisodeVerified) -> None:
        self._verified[message.episode] = message.ok
        key = str(message.episode)
        for row in range(self.table.row_count):
            if self.table.ordered_rows[row].key.value == key:
                cell = Text(self._badge(message.episode), style="" if message.ok else "bold reverse")
                self.table.update_cell(key, self.table.ordered_columns[0].key, cell)
        words = "✓ verified: " if message.ok else "✗ NOT as recorded: "
        self.say(f"episode {message.episode} {words}{message.words}", "" if message.ok else "$error")

    def action_export(self) -> None:
        if (episode := self._episode) is not None:
            ask_export(self, episode, self._export)

    @work(thread=True, group="export", exit_on_error=False)
    def _export(self, episode: int, form: str, path: str) -> None:
        jobs = self.arena.jobs
        try:
            job = jobs.start(
                ["replay", "export", str(episode), "--format", form, "--out", str(Path(path).expanduser())],
                f"export of episode {episode}",
            )
            while job.state == "running":
                time.sleep(0.1)
                job = jobs.job(job.id)
            self.post_message(JobEnded(job, path))
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_job_ended(self, message: JobEnded) -> None:
        if message.job.state == "done":
            self.say(f"written: {message.path}")
        else:
            self.say(message.job.why or message.job.state, "$error")


def ask_export(screen: TableScreen, episode: int, then: Callable[[int, str, str], object]) -> None:
    """Ask for a format and a file's name, then go on with (episode, format, path)."""
    names = list(FORMATS)

    def named(index: int | None) -> None:
        if index is None:
            return
        form = FORMATS[names[index]]

        def write(path: str | None) -> None:
            if path:
                then(episode, names[index], path)

        title = f"Write episode {episode} to which file?"
        screen.app.push_screen(AskScreen(title, f"episode-{episode}{form.suffix}"), write)

    options = [f"{name}: {FORMATS[name].summary}" for name in names]
    screen.app.push_screen(ChooseScreen("In which form?", options), named)
