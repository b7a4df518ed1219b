"""What the league screen shows of a game, view by view. Read in worker threads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from arena.jobs import Job, Jobs
from arena.league_view import LeagueView, league_view
from arena.rating_history import RatingPoint, player_history, run_histories
from arena.records import Agent, Run
from arena.standings import Matrix, fitted_ratings, matrix
from arena.store import Store
from envs.specs import find_game
from tui.facts import GameFacts, read_game

FORM = 5
"""Results of a player's form."""
MATRIX_AGENTS = 40
MATCHES = 100
FAMILY_RUNS, FAMILY_AGENTS = 40, 25


@dataclass(frozen=True)
class LeagueState:
    """The leagues of a game, and the newest job of each."""

    leagues: list[LeagueView] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)


@dataclass(frozen=True)
class TableView:
    """The leaderboard; `form`: name → the newest results, the last one on the right."""

    facts: GameFacts
    form: dict[str, str]


@dataclass(frozen=True)
class HistoryView:
    """Ratings by env steps of the best runs, or (`player`) of one player by its games."""

    curves: dict[str, list[RatingPoint]]
    player: str | None = None


@dataclass(frozen=True)
class MatrixView:
    """Who beats whom; None where one plays alone, or nobody has played."""

    matrix: Matrix | None


@dataclass(frozen=True)
class FamilyAgent:
    """A checkpoint of a run; `note`: what became of it in its league. `elo` is None before it has played."""

    name: str
    elo: float | None
    half: float
    note: str = ""


@dataclass(frozen=True)
class FamilyRun:
    """A run and what it has left; `parents`: whom it trained against or went on from, in words."""

    name: str
    algorithm: str
    role: str
    league: str | None
    parents: str
    agents: list[FamilyAgent]


@dataclass(frozen=True)
class FamilyView:
    """Runs, the newest first."""

    runs: list[FamilyRun]


@dataclass(frozen=True)
class MatchRow:
    """A match: who, and what came of it. `points` are shares of games, or returns where one plays alone."""

    match: int
    kind: str
    round: int | None
    players: list[str]
    points: list[float]
    games: int
    created_at: int


@dataclass(frozen=True)
class MatchesView:
    """Matches, newest first."""

    rows: list[MatchRow]


View = TableView | HistoryView | MatrixView | FamilyView | MatchesView
VIEWS = ("table", "history", "matrix", "family", "matches")


def read_view(db: Path, game: str, view: str, player: str | None) -> View:
    """One of `VIEWS` of a game. `player`: whose history is asked for; None: the best runs'."""
    if view == "table":
        return _table(db, game)
    empty: dict[str, View] = {"history": HistoryView({}), "matrix": MatrixView(None), "family": FamilyView([])}
    if not db.exists():
        return empty.get(view, MatchesView([]))
    alone = find_game(game.partition("?")[0]).num_players == 1
    with Store(db, create=False) as store:
        if view == "matches":
            return _matches(store, game)
        if view == "family":
            return _family(store, game)
        if alone:
            return empty[view]
        if view == "matrix":
            found = matrix(store, game, most=MATRIX_AGENTS)
            return MatrixView(found if found.agents else None)
        if player is not None:
            return HistoryView({player: player_history(store, game, player)}, player)
        return HistoryView(run_histories(store, game))


def read_state(db: Path, game: str, jobs: Jobs) -> LeagueState:
    """Which leagues play a game, and who is at work on them."""
    leagues: list[LeagueView] = []
    if db.exists():
        with Store(db, create=False) as store:
            leagues = [league_view(store, league.name) for league in store.leagues(game)]
    found: dict[str, Job] = {}
    for job in jobs.all():
        if job.tag.startswith("league "):
            found.setdefault(job.tag.removeprefix("league "), job)
    return LeagueState(leagues, found)


def _table(db: Path, game: str) -> TableView:
    facts = read_game(db, game)
    form: dict[str, str] = {}
    if facts.standings:
        with Store(db, create=False) as store:
            ids = {agent.name: agent.id for agent in store.agents(game, retired=True)}
            for row in facts.standings:
                if row.agent not in ids:
                    continue  # renamed just now
                results = store.results_of(ids[row.agent], FORM)
                form[row.agent] = "".join("W" if s > 0.5 else "L" if s < 0.5 else "D" for _, s in results)
    return TableView(facts, form)


def _matches(store: Store, game: str) -> MatchesView:
    matches = store.matches(game, limit=MATCHES)
    totals = store.match_totals([match.id for match in matches])
    names = {agent.id: agent.name for agent in store.agents(game, retired=True)}
    rows = []
    for match in matches:
        players = totals.get(match.id, [])
        rows.append(
            MatchRow(
                match=match.id,
                kind=match.kind,
                round=match.round,
                players=[names.get(agent, f"agent {agent}") for agent, _, _ in players],
                points=[points for _, _, points in players],
                games=max((games for _, games, _ in players), default=0),
                created_at=match.created_at,
            )
        )
    return MatchesView(rows)


def _family(store: Store, game: str) -> FamilyView:
    ratings = {rating.agent: rating for rating in fitted_ratings(store, game)}
    agents = store.agents(game, retired=True)
    names = {agent.id: agent.name for agent in agents}
    by_run: dict[int, list[Agent]] = {}
    for agent in agents:
        if agent.run is not None:
            by_run.setdefault(agent.run, []).append(agent)
    views = {league.id: league_view(store, league.name) for league in store.leagues(game)}
    runs = []
    for run in reversed(store.runs(game, newest=FAMILY_RUNS)):
        view = views.get(run.league or 0)
        notes: dict[int, str] = {}
        role, parents = "", [str(name) for name in run.config.get("opponents", ())]
        if view is not None:
            role, copied, notes = _in_league(view, run, names)
            parents += copied
        left = [
            FamilyAgent(
                agent.name,
                ratings[agent.id].elo if agent.id in ratings else None,
                (ratings[agent.id].high - ratings[agent.id].low) / 2 if agent.id in ratings else 0.0,
                notes.get(agent.id, "retired" if agent.retired_at is not None else ""),
            )
            for agent in sorted(by_run.get(run.id, []), key=lambda agent: agent.step or 0)[-FAMILY_AGENTS:]
        ]
        league = view.league.name if view is not None else None
        runs.append(FamilyRun(run.name, run.algorithm, role, league, ", ".join(parents), left))
    return FamilyView(runs)


def _in_league(view: LeagueView, run: Run, names: dict[int, str]) -> tuple[str, list[str], dict[int, str]]:
    """(role, whom it went on from, agent → what became of it) of a league's run."""
    learner = run.config.get("learner")
    role = next((str(member.role) for n, member in enumerate(view.members) if n == learner), "")
    words = {"snapshot": "frozen", "rejected": "not frozen"}
    facts = [fact for fact in view.facts if fact.learner == learner]
    copied = [
        f"copied {names.get(fact.agent or 0, '?')} after round {fact.round + 1}"
        for fact in facts
        if fact.kind == "copied"
    ]
    notes = {fact.agent: words[fact.kind] for fact in facts if fact.kind in words and fact.agent is not None}
    return role, copied, notes
