"""What the screens show of a league, read in worker threads. A file that does not exist yet is an empty league."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from envs.errors import UsageError
from envs.specs import GAMES, find_game, parse_variant
from tui.ladder import Rung, ladder

# The Store and what reads from it are imported where they are read from: the first screen is painted before.
if TYPE_CHECKING:
    from arena.records import AgentKind
    from arena.standings import ScoreRow, Standing
    from arena.store import Store

Facts = TypeVar("Facts")

_SEARCHERS = ("mcts-100", "mcts-1000", "mcts-10000")
_SCRIPTS: dict[str, tuple[str, ...]] = {
    "tic_tac_toe": ("tactician", "minimax", *_SEARCHERS),
    "connect_four": ("tactician", "perfect", *_SEARCHERS),
    "pettingzoo/classic/tictactoe_v3": ("tactician", "minimax", *_SEARCHERS),
    "pettingzoo/classic/connect_four_v3": ("tactician", "perfect", *_SEARCHERS),
    "othello": _SEARCHERS,
    "go": _SEARCHERS,
    "ALE/Pong-v5": ("ball-follower",),
    "pettingzoo/atari/pong_v3": ("ball-follower",),
    "ALE/Boxing-v5": ("infighter",),
    "pettingzoo/atari/boxing_v2": ("infighter",),
}
_UNPLANNED = ("gridworld/sumo", "gridworld/tron")


@dataclass(frozen=True)
class LeagueFacts:
    """The home screen's first read: games that the league has something about, and settings."""

    games: list[str] = field(default_factory=list)
    name: str | None = None
    theme: str | None = None
    last_game: str | None = None


@dataclass(frozen=True)
class GameFacts:
    """One game: who can play it, and its table. `others` are agents that are in no table yet: (name, kind).

    `rungs`: the opponents by strength. `unfinished`: the game that was begun and not ended, of any variant.
    """

    game: str
    players: int | None
    standings: list[Standing] = field(default_factory=list)
    scores: list[ScoreRow] = field(default_factory=list)
    others: list[tuple[str, AgentKind]] = field(default_factory=list)
    rungs: list[Rung] = field(default_factory=list)
    unfinished: Mapping[str, Any] | None = None

    @property
    def rows(self) -> Sequence[Standing | ScoreRow]:
        """Whichever table the game has."""
        return self.standings or self.scores

    def opponents(self) -> list[tuple[str, AgentKind]]:
        """Everybody that can be played against: by strength, or in the order of the table where one plays alone."""
        if self.rungs:
            return [(rung.name, rung.kind) for rung in self.rungs]
        table = [(row.agent, row.kind) for row in self.rows]
        return [(name, kind) for name, kind in (*table, *self.others) if kind != "human"]


@dataclass(frozen=True)
class ReplayFilter:
    """Which episodes are listed: of a game, a player (against another), a match, and what was typed as a search."""

    game: str | None = None
    agent: str | None = None
    other: str | None = None
    match: int | None = None
    search: str = ""

    def words(self) -> str:
        """For the line above the list."""
        who = " against ".join(name for name in (self.agent, self.other) if name) or "everybody"
        parts = [self.game or "all games", who]
        parts += [f"match {self.match}"] if self.match is not None else []
        return " · ".join([*parts, *([f"/{self.search}"] if self.search else [])])


@dataclass(frozen=True)
class ReplayRow:
    """A stored episode in a list."""

    episode: int
    game: str
    players: list[str]
    scores: list[float | None]
    returns: list[float]
    length: int
    reason: str
    rated: bool
    created_at: int


def scripts(game: str) -> list[tuple[str, AgentKind]]:
    """The players that need no training, of a variant; the same as `agents.scripted` offers, without torch."""
    game_id = game.partition("?")[0]
    names: list[tuple[str, AgentKind]] = [("random", "scripted"), ("first-legal", "scripted")]
    names += [(name, "solver" if name in ("minimax", "perfect") else "scripted") for name in _SCRIPTS.get(game_id, ())]
    mazes = game_id == "gridworld/maze" and "level=" not in game  # too many to plan for at once
    if game_id.startswith("gridworld/") and game_id not in _UNPLANNED and not mazes:
        names.append(("value-iteration", "solver"))
    return names


def known_games(stored: list[str]) -> list[str]:
    """Every game that can be named without an option, then those that have starters (of a variant too where the game
    itself has none), then what else the league has (and this Arena knows)."""
    from arena.starters import starters

    native = [game.id for game in GAMES if not game.id.endswith("/*") and game.id != "gridworld/custom"]
    learnt = dict.fromkeys(starter.game for starter in starters())
    others = dict.fromkeys(
        [*(game for game in learnt if game.partition("?")[0] not in learnt.keys() - {game}), *stored]
    )
    return native + [game for game in others if game not in native and is_game(game)]


def is_game(game: str) -> bool:
    """Whether this is a variant that this Arena knows."""
    try:
        return str(parse_variant(game)) == game
    except UsageError:
        return False


def read_league(db: Path) -> LeagueFacts:
    def read(store: Store) -> LeagueFacts:
        return LeagueFacts(
            store.game_names(),
            store.setting("name"),
            store.setting("theme"),
            store.setting("last_game"),
        )

    return _read(db, read, LeagueFacts())


def read_game(db: Path, game: str) -> GameFacts:
    from arena.session_start import read_unfinished
    from arena.standings import score_table, standings
    from arena.starters import measured, starters

    players = find_game(game.partition("?")[0]).num_players
    offered: list[tuple[str, AgentKind]] = [(starter.name, "checkpoint") for starter in starters(game)]
    offered += scripts(game)

    def read(store: Store) -> GameFacts:
        table = standings(store, game) if players != 1 else []
        scores = score_table(store, game) if players == 1 else []
        seen = {row.agent for row in table} | {row.agent for row in scores}
        retired = {agent.name for agent in store.agents(game, retired=True) if agent.retired_at is not None}
        stored = [(a.name, a.kind) for a in reversed(store.agents(game)) if a.kind != "human"]
        every = dict(stored) | {name: kind for name, kind in offered if name not in retired}
        others = [(name, kind) for name, kind in every.items() if name not in seen]
        rungs = ladder(table, others, measured(game)) if players != 1 else []
        return GameFacts(game, players, table, scores, others, rungs, read_unfinished(store))

    rungs = ladder([], offered, measured(game)) if players != 1 else []
    return _read(db, read, GameFacts(game, players, others=offered, rungs=rungs))


def game_of(db: Path, episode: int) -> str:
    """Which game an episode is of; raises ArenaError where there is none."""
    return _read(db, lambda store: store.episode(episode).game, "")


def read_replays(db: Path, wanted: ReplayFilter, before: int | None, limit: int) -> list[ReplayRow]:
    """Episodes, newest first."""
    from arena.replay_search import parse_search

    def read(store: Store) -> list[ReplayRow]:
        def ids(name: str | None) -> list[int | None]:
            if name is None:
                return [None]
            return [a.id for a in store.agents(wanted.game, retired=True) if a.name == name]

        search = parse_search(wanted.search)
        pairs = [(one, other) for one in ids(wanted.agent) for other in ids(wanted.other)]
        episodes = [
            episode
            for one, other in pairs
            for episode in store.episodes(
                wanted.game, one, wanted.match, limit=limit, before=before, other=other, search=search
            )
        ]
        episodes.sort(key=lambda e: -e.id)
        names = {agent.id: agent.name for agent in store.agents(retired=True)}
        return [
            ReplayRow(
                e.id,
                e.game,
                [names[p.agent] for p in e.players],
                [p.score for p in e.players],
                [p.reward for p in e.players],
                e.length,
                e.reason,
                e.rated,
                e.created_at,
            )
            for e in episodes[:limit]
        ]

    return _read(db, read, [])


def save_setting(db: Path, name: str, value: str) -> None:
    """Keep a setting; the league is created where there is none."""
    from arena.store import Store

    with Store(db) as store:
        store.set_setting(name, value)


def _read(db: Path, read: Callable[[Store], Facts], empty: Facts) -> Facts:
    if not db.exists():
        return empty
    from arena.store import Store

    with Store(db, create=False) as store:
        return read(store)
