"""The rows of a league as frozen dataclasses: a field per column (`TABLES` says which is which).

JSON columns are dicts here, 0/1 columns are bools. `id` and `created_at` are 0 until the Store has written the row.
Times are UTC milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Literal, TypeVar

from arena.records_text import (
    Annotator,
    Completion,
    CompletionScore,
    Demonstration,
    Label,
    Note,
    Pair,
    Prompt,
    Ranking,
    TextModel,
)

AgentKind = Literal["checkpoint", "scripted", "solver", "engine", "human"]
RunStatus = Literal["running", "finished", "stopped", "failed"]
MatchKind = Literal["match", "evaluation", "play", "league", "training"]
EndReason = Literal["terminated", "truncated", "resigned"]
LeagueFactKind = Literal["trained", "snapshot", "rejected", "reset", "copied"]


@dataclass(frozen=True)
class Checkpoint:
    """Frozen weights, content-addressed; the bytes are in `checkpoint_chunks`. `algorithm` is the registry's name."""

    sha256: str
    size: int
    algorithm: str
    config: dict[str, Any]
    created_at: int = 0


@dataclass(frozen=True)
class Run:
    """One training job. `config` holds all its settings; `step` of `total_steps` is done after `seconds`."""

    name: str
    game: str
    algorithm: str
    config: dict[str, Any]
    seed: int
    total_steps: int
    device: str = "cpu"
    versions: dict[str, str] = field(default_factory=dict)
    commit_hash: str = ""
    step: int = 0
    state: RunStatus = "running"
    error: str | None = None
    seconds: float = 0.0
    league: int | None = None
    id: int = 0
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True)
class RunState:
    """What a run resumes from: safetensors bytes taken at `step`."""

    run: int
    step: int
    data: bytes


@dataclass(frozen=True)
class Agent:
    """A named member of the league: one frozen policy (a checkpoint, or the registry's `policy`), or a person."""

    game: str
    name: str
    kind: AgentKind
    policy: str = ""
    checkpoint: str | None = None
    run: int | None = None
    step: int | None = None
    retired_at: int | None = None
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class League:
    """A population that is trained, matched and rated again and again; `round` is the one being worked on."""

    name: str
    game: str
    config: dict[str, Any]
    seed: int
    round: int = 0
    paused_at: int | None = None
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class LeagueFact:
    """What became of a league's learner in a round; each kind at most once a round.

    Attributes:
        learner: its number among the league's members, from 0.
        kind: "trained" (`agent` is what it left; detail: whom it trained against), "snapshot" or "rejected" (whether
            `agent` joined the frozen players; detail: why), "reset" (it begins anew after the round), "copied" (it goes
            on after the round with what `agent`, another learner's, has learnt).
    """

    league: int
    round: int
    learner: int
    kind: LeagueFactKind
    agent: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class Match:
    """Episodes between fixed agents under fixed rules. A league's match has a round and a slot of its own."""

    game: str
    kind: MatchKind
    rules: dict[str, Any] = field(default_factory=dict)
    league: int | None = None
    round: int | None = None
    slot: int | None = None
    id: int = 0
    created_at: int = 0


@dataclass(frozen=True)
class EpisodePlayer:
    """Who sat where and what came of it: `reward` is the return, `score` 1, ½ or 0 (None: one-player games)."""

    agent: int
    reward: float
    score: float | None = None
    seat: int = 0
    episode: int = 0


@dataclass(frozen=True)
class EpisodeState:
    """An episode's game after `ply` steps, with each seat's return so far: a replay may go on from here."""

    ply: int
    returns: list[float]
    data: bytes
    episode: int = 0


@dataclass(frozen=True)
class Episode:
    """One play-through, enough to re-simulate it exactly; `docs/2-data-model.md` lays out `actions` and `chain`.

    `players` has one entry per seat, in the order of the seats (the Store numbers them); it is a table of its own.
    `forfeit` says what a player who "resigned" did in place of a move: "timeout: …", "crash: …", "illegal: …".
    `backend` is `GameSpec.backend` where it was played (None: unknown, as in old leagues).
    `states` are stored with the episode and read by `Store.with_states` alone.
    """

    game: str
    version: int
    seed: int
    length: int
    actions: bytes
    chain: bytes
    reason: EndReason
    players: tuple[EpisodePlayer, ...]
    pair: int = 0
    leg: int = 0
    opening_plies: int = 0
    rated: bool = True
    match: int = 0
    id: int = 0
    created_at: int = 0
    forfeit: str | None = None
    backend: str | None = None
    states: tuple[EpisodeState, ...] = field(default=(), compare=False, repr=False)


def ending(episode: Episode) -> str:
    """How a game ended, in a word or two: its reason, or "forfeit: timeout" where that is more than a resignation."""
    return episode.reason if episode.forfeit is None else f"forfeit: {episode.forfeit.partition(':')[0]}"


@dataclass(frozen=True)
class PairResult:
    """What the rated games with `agent_0` in the earlier seat and `agent_1` in the later one came to for `agent_0`."""

    game: str
    version: int
    agent_0: int
    agent_1: int
    wins: int
    draws: int
    losses: int


@dataclass(frozen=True)
class Finish:
    """Who sat in a rated game and how it ended for each, by seats (not a table: read from episodes)."""

    agents: tuple[int, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class OnlineRating:
    """The running Elo of an agent in a game, kept beside the fit over all games."""

    game: str
    version: int
    agent: int
    rating: float
    games: int


@dataclass(frozen=True)
class Rating:
    """An agent's rating in a fit to all results (`arena.ratings`).

    Attributes:
        elo, low, high: with its 95 % interval, relative to the anchor.
        wins, draws, losses: over all seats.
        first_score, second_score: the share of points in the earlier and the later seat; None where it never sat there.
        connected: whether a chain of games leads to the anchor; if not, the number is the priors' word alone.
    """

    agent: int
    elo: float
    low: float
    high: float
    wins: int
    draws: int
    losses: int
    first_score: float | None
    second_score: float | None
    connected: bool

    @property
    def games(self) -> int:
        return self.wins + self.draws + self.losses


@dataclass(frozen=True)
class FittedRating(Rating):
    """A rating as it is kept, so that tables need no fit."""

    game: str
    version: int


@dataclass(frozen=True)
class Score:
    """An agent's returns over its rated episodes of a game (not a table: computed). `std` is the population's."""

    agent: int
    episodes: int
    mean: float
    std: float
    best: float
    mean_length: float


@dataclass(frozen=True)
class GameCount:
    """How much a league knows about a game (not a table: computed)."""

    game: str
    agents: int
    episodes: int


@dataclass(frozen=True)
class PackedPolicy:
    """A policy as bytes, ready to be stored with the agent that names it (not a table: a checkpoint and its chunks)."""

    sha256: str
    algorithm: str
    config: dict[str, Any]
    data: bytes


TABLES: dict[str, type] = {
    "checkpoints": Checkpoint,
    "runs": Run,
    "agents": Agent,
    "leagues": League,
    "league_facts": LeagueFact,
    "matches": Match,
    "episodes": Episode,
    "episode_players": EpisodePlayer,
    "episode_states": EpisodeState,
    "pair_results": PairResult,
    "online_ratings": OnlineRating,
    "fitted_ratings": FittedRating,
    "text_models": TextModel,
    "prompts": Prompt,
    "demonstrations": Demonstration,
    "completions": Completion,
    "annotators": Annotator,
    "pairs": Pair,
    "labels": Label,
    "rankings": Ranking,
    "scores": CompletionScore,
    "notes": Note,
}

_JSON = frozenset({"config", "versions", "rules", "shown", "ranks", "detail", "returns"})
_BOOL = frozenset({"rated", "ended", "connected"})
_NO_COLUMN = frozenset({"players", "states"})
_COLUMNS: dict[type, tuple[str, ...]] = {}

Record = TypeVar("Record")


def columns(kind: type) -> tuple[str, ...]:
    """The columns of a record's table."""
    if kind not in _COLUMNS:
        _COLUMNS[kind] = tuple(f.name for f in fields(kind) if f.name not in _NO_COLUMN)
    return _COLUMNS[kind]


def to_row(record: Any) -> dict[str, Any]:
    """A record as column → SQLite value."""
    row = {name: getattr(record, name) for name in columns(type(record))}
    for name in _JSON & row.keys():
        row[name] = json.dumps(row[name], sort_keys=True, allow_nan=False)
    return row


@cache
def has_json(kind: type) -> bool:
    """Whether a record has values that SQLite does not take as they are."""
    return not _JSON.isdisjoint(columns(kind))


def from_row(kind: type[Record], row: Any, **others: Any) -> Record:
    """The record of a `sqlite3.Row` that has at least the record's columns; `others` are fields that are no columns."""
    values = {name: row[name] for name in columns(kind)}
    for name in _JSON & values.keys():
        values[name] = json.loads(values[name])
    for name in _BOOL & values.keys():
        values[name] = bool(values[name])
    return kind(**values, **others)
