"""A game's league: who is how strong, since when, against whom, from whom; starts and pauses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import DataTable, Static, TabbedContent, TabPane, Tree

from arena.store import Store
from envs.errors import ArenaError
from tui.facts import known_games
from tui.keymap import key_of
from tui.league_facts import (
    VIEWS,
    FamilyView,
    HistoryView,
    LeagueState,
    MatchesView,
    MatrixView,
    TableView,
    View,
    read_state,
    read_view,
)
from tui.messages import ReadFailed
from tui.screens.dialogs import ChooseScreen
from tui.screens.league_views import draw_family, draw_history, draw_matrix, explain, fill_matches
from tui.screens.live_screen import LiveScreen
from tui.text import inert
from tui.widgets.area_bar import AreaBar
from tui.widgets.fact_table import FactTable
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.key_bar import KeyBar
from tui.widgets.note import Note
from tui.widgets.plot import PlotPanel
from tui.widgets.tables import chosen, fill_standings

REFRESH_SECONDS = 5.0
PARTS = {"table": "standings", "history": "ratings", "matrix": "grid", "family": "tree", "matches": "list"}
"""The widget in each view."""
TITLES = {"table": "Table", "history": "History", "matrix": "Matrix", "family": "Family", "matches": "Matches"}
LENGTHS: tuple[tuple[str, list[str]], ...] = (
    ("10 minutes", ["--minutes", "10"]),
    ("one hour", ["--minutes", "60"]),
    ("until it is paused", []),
)


@dataclass
class ViewLoaded(Message):
    """A view of a game, and how its leagues stand, have been read."""

    game: str
    view: View
    state: LeagueState


class LeagueScreen(LiveScreen):
    """The leaderboard and what is behind it, of one game."""

    CSS_PATH = "league.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "game", "Game", id="league.game"),
        Binding("comma", "next_game(-1)", "Game before", show=False, id="league.before", key_display=","),
        Binding("full_stop", "next_game(1)", "Next game", show=False, id="league.next", key_display="."),
        Binding("v", "view", "View", id="league.view", tooltip="table, history, matrix, family, matches"),
        Binding("1", "show('table')", "Table", show=False, id="league.table"),
        Binding("2", "show('history')", "History", show=False, id="league.history"),
        Binding("3", "show('matrix')", "Matrix", show=False, id="league.matrix"),
        Binding("4", "show('family')", "Family", show=False, id="league.family"),
        Binding("5", "show('matches')", "Matches", show=False, id="league.matches"),
        Binding("h", "history", "History of…", id="league.player", tooltip="the chosen player's rating by its games"),
        Binding("r", "replays", "Replays", id="league.replays", tooltip="replays of the chosen player or match"),
        Binding("s", "start", "Start", id="league.start", tooltip="start a league of this game, or go on with one"),
        Binding("p", "pause", "Pause", id="league.pause", tooltip="pause the league; everything is kept"),
        Binding("o", "output", "Log", id="league.output", tooltip="what the league prints"),
        Binding("ctrl+r", "load", "Refresh", show=False, id="league.refresh"),
        Binding("question_mark", "app.help", "Help", id="app.help", key_display="?"),
        Binding("escape", "app.back", "Back", show=False, id="league.leave"),
    ]

    def __init__(self, game: str | None = None) -> None:
        super().__init__()
        self._wanted = game
        self._state = LeagueState()
        self._player: str | None = None
        self._asked: tuple[str, str, str | None] | None = None
        self.shown: dict[str, View] = {}
        self._wide = False

    @property
    def game(self) -> str:
        """The game that is shown."""
        return self._wanted or self.arena.home.game

    @property
    def view(self) -> str:
        """The view that is shown, one of `VIEWS`."""
        return self.query_one(TabbedContent).active

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one("#standings", DataTable)

    def compose(self) -> ComposeResult:
        yield AreaBar()
        yield Note(id="banner")
        with TabbedContent(initial="table"):
            for number, view in enumerate(VIEWS):
                with TabPane(f"{number + 1} {TITLES[view]}", id=view):
                    if view == "table":
                        yield _part(view)
        yield Note(id="note")
        yield KeyBar()

    def on_mount(self) -> None:
        self._wanted = self._wanted or self.arena.home.game
        self.refresh_every(REFRESH_SECONDS, self._refresh)
        self.table.focus()

    def _refresh(self) -> None:
        """While a league is at work its facts change."""
        if any(job.state == "running" for job in self._state.jobs.values()) or self._at_work:
            self.action_load()

    @property
    def _at_work(self) -> bool:
        return any(view.process is not None for view in self._state.leagues)

    def action_load(self) -> None:
        self._asked = (self.game, self.view, self._player)
        self._read(*self._asked)

    @work(thread=True, exclusive=True, group="league", exit_on_error=False)
    def _read(self, game: str, view: str, player: str | None) -> None:
        arena = self.arena
        try:
            self.post_message(
                ViewLoaded(game, read_view(arena.db, game, view, player), read_state(arena.db, game, arena.jobs))
            )
        except ArenaError as error:
            self.post_message(ReadFailed(str(error)))

    def on_resize(self) -> None:
        if self.shown and self._wide != self.wide:  # other columns
            self.action_load()

    def on_view_loaded(self, message: ViewLoaded) -> None:
        if message.game != self.game:
            return
        self._state = message.state
        view = message.view
        name = {
            TableView: "table",
            HistoryView: "history",
            MatrixView: "matrix",
            FamilyView: "family",
            MatchesView: "matches",
        }[type(view)]
        if isinstance(view, FamilyView) and self.shown.get("family") == view:
            self._tell()
            return  # a tree that is built anew would close what was opened
        self.shown[name], self._wide = view, self.wide
        if isinstance(view, TableView):
            width = 34 if self.wide else 18
            fill_standings(
                self.table, view.facts, full=True, name=width, you=self.arena.user, form=view.form, kinds=self.wide
            )
        elif isinstance(view, HistoryView):
            draw_history(self.query_one(PlotPanel), view)
        elif isinstance(view, MatrixView):
            draw_matrix(self.query_one(HeatGrid), view)
        elif isinstance(view, FamilyView):
            draw_family(cast("Tree[str]", self.query_one("#tree", Tree)), view)
        else:
            fill_matches(self.query_one("#list", DataTable), view, self.wide)
        self._tell()

    def on_read_failed(self, message: ReadFailed) -> None:
        self._say(message.problem, "$error")

    def _tell(self) -> None:
        """The lines above and below: which league, how it stands, what can be done here."""
        states = []
        for view in self._state.leagues:
            job = self._state.jobs.get(view.league.name)
            how = {"running": "▶ running", "paused": "❚❚ paused", "idle": "■ idle"}[view.state]
            if job is not None and job.state == "running" and view.state == "idle":
                how = "… starting"
            states.append(f"{inert(view.league.name)} {how}, round {view.league.round + 1}")
            if job is not None and job.state == "failed":
                states.append(f"✗ {inert(job.why)}")
        told = " · ".join(states) or f"no league yet: {key_of(self, 'start')} starts one"
        banner = Content.assemble((f" {inert(self.game)} ", "bold $background on $primary"), f"  {told}")
        self.query_one("#banner", Static).update(banner)
        at = next(((grid.row, grid.column) for grid in self.query(HeatGrid)), (0, 0))
        self._say(explain(self.view, self.shown.get(self.view), self.game, at))

    def _warn(self, text: str) -> None:
        self.notify(inert(text), severity="warning", markup=False)

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#note", Static).update(Content.styled(inert(text), style))

    def show_game(self, game: str) -> None:
        """Another game, in the same view."""
        self._wanted = game
        self._player = None
        self.shown.clear()
        if self.is_mounted:
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

    def action_next_game(self, change: int) -> None:
        games = self._games()
        self.show_game(games[(games.index(self.game) + change) % len(games)])

    async def action_view(self) -> None:
        await self.action_show(VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)])

    async def action_show(self, view: str, player: str | None = None) -> None:
        """Another view; the history of one player, if it is told."""
        self._player = player if view == "history" else self._player
        self.query_one(TabbedContent).active = view
        await self._furnish(view)
        self.query_one("#plot-area" if view == "history" else f"#{PARTS[view]}").focus()
        self.action_load()

    async def _furnish(self, view: str) -> None:
        """A view's widgets are mounted when it is first looked at."""
        if not self.query(f"#{PARTS[view]}"):
            await self.query_one(f"#{view}", TabPane).mount(_part(view))

    @on(TabbedContent.TabActivated)
    async def _turned(self) -> None:
        await self._furnish(self.view)
        if self._asked != (self.game, self.view, self._player):
            self.action_load()

    async def action_history(self) -> None:
        player = chosen(self.table)
        if player is not None:
            await self.action_show("history", player)

    @on(HeatGrid.Moved)
    def _moved(self) -> None:
        self._tell()

    @on(HeatGrid.Chosen)
    def _pair(self, event: HeatGrid.Chosen) -> None:
        view = self.shown.get("matrix")
        if isinstance(view, MatrixView) and view.matrix is not None:
            agents = view.matrix.agents
            other = agents[event.column] if event.column != event.row else None
            self.arena.open_replays(self.game, agents[event.row], other=other)

    @on(Tree.NodeSelected)
    def _agent_chosen(self, event: Tree.NodeSelected[str]) -> None:
        if event.node.data is not None:
            self.arena.open_replays(self.game, event.node.data)

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_replays()

    def action_replays(self) -> None:
        if self.view == "matches":
            match = chosen(self.query_one("#list", DataTable))
            if match is not None:
                self.arena.open_replays(self.game, match=int(match))
            return
        self.arena.open_replays(self.game, chosen(self.table) if self.view == "table" else None)

    def action_start(self) -> None:
        """Go on with a league of this game, or begin its default one."""
        leagues = [view.league.name for view in self._state.leagues]
        if self._at_work or any(job.state == "running" for job in self._state.jobs.values()):
            self._warn(f"A league of this game is at work: {key_of(self, 'pause')} pauses it.")
            return

        def start(which: int) -> Callable[[int | None], None]:
            def begin(length: int | None) -> None:
                if length is None:
                    return
                words = LENGTHS[length][1]
                name = leagues[which] if which < len(leagues) else self.game
                verb = ["resume", name] if which < len(leagues) else ["run", self.game]
                self.do(
                    lambda: self.arena.jobs.start(
                        ["league", *verb, *words], f"league {name}", f"league {name}", ["league", "resume", name]
                    )
                )

            return begin

        def ask(which: int | None) -> None:
            if which is not None:
                title = f"{leagues[which] if which < len(leagues) else self.game}: for how long?"
                self.app.push_screen(ChooseScreen(title, [length for length, _ in LENGTHS]), start(which))

        if len(leagues) > 1:
            self.app.push_screen(ChooseScreen("Which league?", leagues), ask)
        else:
            ask(0)

    def action_pause(self) -> None:
        names = [view.league.name for view in self._state.leagues if view.state != "paused"]
        if not names:
            self._warn("No league of this game that could be paused.")
            return

        def pause(which: int | None) -> None:
            if which is not None:
                db, name = self.arena.db, names[which]
                self.do(lambda: _pause(db, name))

        if len(names) > 1:
            self.app.push_screen(ChooseScreen("Pause which league?", names), pause)
        else:
            pause(0)

    def action_output(self) -> None:
        from tui.screens.job_log import JobLogScreen

        jobs = [job for view in self._state.leagues if (job := self._state.jobs.get(view.league.name)) is not None]
        jobs = jobs or [job for name, job in self._state.jobs.items() if name == self.game]
        if jobs:
            self.app.push_screen(JobLogScreen(jobs[0].id, jobs[0].title))
        else:
            self._warn("No log: no league of this game was started from the app.")


def _part(view: str) -> Widget:
    """What is in a view."""
    if view == "history":
        return PlotPanel(id=PARTS[view], empty="no run has left a rated agent here")
    if view == "matrix":
        return HeatGrid(id=PARTS[view])
    if view == "family":
        tree: Tree[str] = Tree("runs", id=PARTS[view])
        tree.show_root = False
        return tree
    return FactTable(id=PARTS[view], cursor_type="row", zebra_stripes=True)


def _pause(db: Path, name: str) -> None:
    with Store(db, create=False) as store:
        store.pause_league(name)
