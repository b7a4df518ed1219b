"""What workers tell screens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from tui.facts import GameFacts, LeagueFacts, ReplayFilter, ReplayRow

if TYPE_CHECKING:
    from arena.session_client import Event
    from tui.run_facts import Curves, RunRow


@dataclass
class LeagueLoaded(Message):
    """The league's games, your name and the look of the app have been read."""

    facts: LeagueFacts


@dataclass
class GameLoaded(Message):
    """What the league knows about one game has been read."""

    facts: GameFacts


@dataclass
class ReplaysLoaded(Message):
    """The page of stored episodes `before` one (None: the newest) has been read; `more`: there are older ones."""

    wanted: ReplayFilter
    before: int | None
    rows: list[ReplayRow]
    more: bool


@dataclass
class RunsLoaded(Message):
    """The runs, the curves of those named, and the end of the chosen one's log have been read.

    `rows` is None where only the latter were asked for.
    """

    rows: list[RunRow] | None
    names: list[str]
    curves: Curves
    tail: list[str]


@dataclass
class ReadFailed(Message):
    """The league could not be read or written."""

    problem: str


@dataclass
class SessionSays(Message):
    """An event of the game's session."""

    event: Event


@dataclass
class SessionLost(Message):
    """The game's process has died."""

    problem: str
