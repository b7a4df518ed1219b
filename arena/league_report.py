"""A league as a page: Markdown with its tables, its payoff matrix, true strength, and a drawing of its growth."""

from __future__ import annotations

import itertools
import os
import platform
import shlex
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from arena.league_config import from_json, to_toml
from arena.league_past import MATCH, league_seed, scores
from arena.league_view import LeagueView, league_view
from arena.match import play_match
from arena.provenance import commit_hash, versions
from arena.records import ending
from arena.roster import resolve
from arena.standings import Standing, matrix, pair_rows, standings
from arena.strength import SOLVED
from envs.errors import ArenaError, UsageError
from envs.specs import find_game

if TYPE_CHECKING:
    from arena.store import Store

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442")
"""Okabe and Ito's, which everybody can tell apart."""
MATRIX_LIMIT = 60


def write_report(store: Store, name: str, folder: Path, positions: int = 500, games: int = 0) -> list[Path]:
    """Write NAME.md and NAME-elo.svg into `folder` and return their paths; files of these names are replaced.

    Args:
        positions: of the sample of solved positions, where the game has one.
        games: every two frozen players that have met in fewer play a match of so many first; 0: nobody does.

    Raises UsageError for a league that has not played, or plays a game for one.
    """
    view = league_view(store, name)
    game = view.league.game
    if find_game(game.partition("?")[0]).num_players == 1:
        raise UsageError(f"league {name!r} plays {game} alone: `arena table {game}` says all there is to say")
    if not view.league.round:
        raise UsageError(f"league {name!r} has played no round yet: `arena league run {name}`")
    if games:
        _complete(store, view, games)
    rows = {row.agent: row for row in standings(store, game, retired=True)}
    slug = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
    drawing = folder / f"{slug}-elo.svg"
    parts = [
        _head(store, view, positions, games),
        _members(view),
        f"## Growth\n\n![Elo by round]({drawing.name})\n\n{_growth(store, view, rows)}",
        _ratings(store, view, list(rows.values())),
        _payoffs(store, view, rows),
        _strengths(store, view, rows, positions),
        _decisions(store, view),
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / f"{slug}.md"
        page.write_text("\n\n".join(part.strip() for part in parts if part) + "\n", encoding="utf-8")
        drawing.write_text(_drawing(store, view, rows), encoding="utf-8")
    except OSError as error:
        raise ArenaError(f"{folder} cannot be written: {error.strerror}") from error
    return [page, drawing]


def _complete(store: Store, view: LeagueView, games: int) -> None:
    """Let frozen players meet that have hardly met; each match is kept as it ends."""
    game = view.league.game
    frozen = sorted({fact.agent for fact in view.facts if fact.kind == "snapshot" and fact.agent is not None})
    met = scores(store.pair_results(game))
    for a, b in itertools.combinations(frozen, 2):
        if met.get((a, b), (0.0, 0))[1] < games:
            pair = [resolve(store, game, store.agent_by_id(agent).name) for agent in (a, b)]
            play_match(store, game, *pair, games=games, seed=league_seed(view.league, MATCH, a, b))


def _head(store: Store, view: LeagueView, positions: int, games: int) -> str:
    league = view.league
    runs = store.runs(league=league.id)
    matches = store.matches(league.game)
    kinds = Counter[str](match.kind for match in matches)
    own = sum(match.league == league.id for match in matches)
    frozen = sum(member.frozen for member in view.members)
    trained = sum(fact.kind == "trained" for fact in view.facts)
    lines = [
        f"# League {_md(league.name)}: {league.game}",
        f"{league.round} rounds, {len(view.members)} members, {trained} agents, {frozen} of them frozen players; "
        f"{own} matches of the league{_others(kinds)}, "
        f"{sum(run.seconds for run in runs) / 60:.1f} minutes of training in {len(runs)} runs. "
        f"{platform.machine()}, {os.cpu_count()} cores, "
        + ", ".join(f"{key} {value}" for key, value in versions().items())
        + f", commit {commit_hash()[:7] or 'unknown'}.",
        "```\n"
        f"arena league new {shlex.quote(league.name)} {shlex.quote(league.game)} --config league.toml\n"
        f"arena league run {shlex.quote(league.name)} --rounds {league.round}\n"
        f"arena league report {shlex.quote(league.name)} --out DIR --positions {positions} --games {games}\n"
        "```",
        "`league.toml`:",
        f"```toml\n{to_toml(from_json(league.config), league.game).strip()}\n```",
    ]
    return "\n\n".join(lines)


def _others(kinds: Counter[str]) -> str:
    others = {kind: count for kind, count in kinds.items() if kind in ("match", "play")}
    return f" and {sum(others.values())} others" if others else ""


def _members(view: LeagueView) -> str:
    rows = [
        (m.name, m.role, m.algorithm, m.newest or "–", m.frozen, m.resets, m.copies, f"{m.self_play:.0%}")
        for m in view.members
    ]
    heads = (
        "member",
        "role",
        "algorithm",
        "newest agent",
        "frozen",
        "begun anew",
        "copied",
        "self-play in the last round",
    )
    return f"## Members\n\n{_table(heads, rows, left=4)}"


def _curve(store: Store, view: LeagueView, rows: dict[str, Standing]) -> dict[int, list[tuple[int, Standing]]]:
    """Learner → (round, rating) of the agents that it left."""
    names = {agent.id: agent.name for agent in store.agents(view.league.game, retired=True)}
    found: dict[int, list[tuple[int, Standing]]] = {learner: [] for learner in range(len(view.members))}
    for fact in view.facts:
        if fact.kind == "trained" and fact.agent in names and names[fact.agent] in rows:
            found[fact.learner].append((fact.round, rows[names[fact.agent]]))
    return found


def _growth(store: Store, view: LeagueView, rows: dict[str, Standing]) -> str:
    curve = _curve(store, view, rows)
    by_round: dict[int, dict[int, Standing]] = {}
    for learner, points in curve.items():
        for number, row in points:
            by_round.setdefault(number, {})[learner] = row
    lines = [(number + 1, *(_elo(by_round[number].get(learner)) for learner in curve)) for number in sorted(by_round)]
    text = "Elo with its 95 % interval of the agent that each member left in a round; all games are fitted at once."
    return f"{text}\n\n{_table(('round', *(_md(m.name) for m in view.members)), lines, left=0)}"


def _ratings(store: Store, view: LeagueView, rows: Sequence[Standing]) -> str:
    _, fit = pair_rows(store, view.league.game)
    lines = [
        (
            "–" if row.rank is None else row.rank,
            row.agent,
            row.kind,
            _elo(row),
            row.games,
            f"{row.wins}/{row.draws}/{row.losses}",
            _share(row.first_score),
            _share(row.second_score),
        )
        for row in rows
    ]
    heads = ("", "agent", "kind", "Elo ± 95 %", "games", "W/D/L", "1st", "2nd")
    told = f"Deviance {fit.deviance:.0f} over {fit.freedom} degrees of freedom: one number an agent, a term for the "
    told += f"first player and one for draws explain the results with p = {fit.p:.2g}."
    return f"## Ratings\n\n{_table(heads, lines, left=3)}\n\n{told}\n\n{_endings(store, view)}"


def _endings(store: Store, view: LeagueView) -> str:
    """How the league's games ended, and how many of each match's differ."""
    reasons: Counter[str] = Counter()
    games = distinct = 0
    for match in store.matches(league=view.league.id):
        episodes = store.episodes(match=match.id)
        reasons.update(ending(episode) for episode in episodes)
        distinct += len({episode.actions for episode in episodes})
        games += len(episodes)
    ended = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
    share = distinct / max(games, 1)
    return f"The league's {games:,} games ended: {ended}. {share:.1%} of the games of a match are distinct."


def _payoffs(store: Store, view: LeagueView, rows: dict[str, Standing]) -> str:
    names = {agent.id: agent.name for agent in store.agents(view.league.game, retired=True)}
    frozen = {names[f.agent] for f in view.facts if f.kind == "snapshot" and f.agent in names}
    others = {row.agent for row in rows.values() if row.kind in ("scripted", "solver")}
    chosen = [name for name in rows if name in frozen | others][:MATRIX_LIMIT]
    found = matrix(store, view.league.game, retired=True, agents=chosen)
    width = max((len(agent) for agent in found.agents), default=0)
    lines = [f"{'':>3} {'':{width}} {' '.join(f'{n + 1:>3}' for n in range(len(found.agents)))}  Nash α-rank"]
    for n, agent in enumerate(found.agents):
        cells = [
            "  ·" if m == n else "  –" if score is None else f"{100 * score:>3.0f}"
            for m, score in enumerate(found.scores[n])
        ]
        lines.append(f"{n + 1:>3} {agent:{width}} {' '.join(cells)}  {found.nash[n]:>4.0%} {found.alpha_rank[n]:>6.0%}")
    met = sum(score is not None for row in found.scores for score in row) // 2
    text = (
        f"Scores in per cent of the row against the column, frozen players and scripts, {met} pairs have met (–: not). "
    )
    text += "Nash: its share in the mixture that nobody beats; α-rank: the share of time that an evolving population "
    text += "spends with it; pairs that have not met count with the score that their ratings make them expect."
    return f"## Who beats whom\n\n{text}\n\n```\n" + "\n".join(lines) + "\n```"


def _strengths(store: Store, view: LeagueView, rows: dict[str, Standing], positions: int) -> str:
    """Exact strength where the game is solved: the best agents of all, every member's newest, the scripts."""
    if view.league.game not in SOLVED:
        return ""
    from arena.strength_solved import solved_strength

    best = [row.agent for row in rows.values() if row.kind == "checkpoint"][:3]
    newest = [member.newest for member in view.members if member.newest]
    scripts = [row.agent for row in rows.values() if row.kind == "scripted" and not row.agent.startswith("mcts")]
    lines = []
    for name in dict.fromkeys([*best, *newest, *scripts]):
        contender = resolve(store, view.league.game, name, join=False)
        found = solved_strength(view.league.game, contender.policy, samples=contender.samples, positions=positions)
        lines.append(
            (
                name,
                _elo(rows.get(name)),
                f"{found.preserved:.1%}",
                f"{found.exact:.1%}",
                f"{found.value_loss:.2f}",
                f"{found.survived:.1f} of {found.survivable:.1f}",
            )
        )
    text = f"Against perfect play, without search: of {positions} solved positions in which the choice matters "
    text += f"(by chance {found.by_chance:.1%} of the moves keep the result), and plies that it lasts in lost ones."
    heads = (
        "agent",
        "Elo ± 95 %",
        "keeps the result",
        "keeps the score",
        "score lost a move",
        "plies in lost positions",
    )
    return f"## True strength\n\n{text}\n\n{_table(heads, lines, left=1)}"


def _decisions(store: Store, view: LeagueView) -> str:
    names = {agent.id: agent.name for agent in store.agents(view.league.game, retired=True)}
    words = {"snapshot": "joins", "rejected": "does not join", "reset": "begins anew", "copied": "takes over"}
    lines = []
    for fact in view.facts:
        if fact.kind == "trained":
            continue
        agent = names.get(fact.agent or 0, "")
        score, against = fact.detail.get("score"), names.get(fact.detail.get("against") or 0, "")
        worst = f"{score:.0%} against {against}" if score is not None and against else ""
        why = fact.detail.get("why", "")
        lines.append((fact.round + 1, view.members[fact.learner].name, agent, words[fact.kind], why, worst))
    heads = ("round", "member", "agent", "", "why", "worst, by its likely score")
    return f"## What was decided\n\n{_table(heads, lines, left=6)}"


def _drawing(store: Store, view: LeagueView, rows: dict[str, Standing]) -> str:
    """Elo by round, a line and bars of intervals a member, as SVG."""
    curve = _curve(store, view, rows)
    points = [row for line in curve.values() for _, row in line if row.connected]
    low = min((row.low for row in points), default=0.0)
    high = max((row.high for row in points), default=1.0)
    last = max((number for line in curve.values() for number, _ in line), default=0)
    wide, tall, left, top = 720, 400, 60, 20

    def x(number: float) -> float:
        return left + (wide - left - 150) * (number / max(last, 1))

    def y(elo: float) -> float:
        return top + (tall - top - 40) * (high - elo) / max(high - low, 1.0)

    step = next(s for s in (25, 50, 100, 200, 500, 1000, 10_000) if (high - low) / s <= 12)
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(view.league.name)}: Elo by round</title>",
        f'<rect width="{wide}" height="{tall}" fill="#ffffff"/>',
    ]
    for line in range(int(low // step), int(high // step) + 2):
        if low <= line * step <= high:
            height = y(line * step)
            svg.append(f'<line x1="{left}" x2="{x(last):.1f}" y1="{height:.1f}" y2="{height:.1f}" stroke="#dddddd"/>')
            svg.append(f'<text x="{left - 8}" y="{height + 4:.1f}" text-anchor="end">{line * step:+d}</text>')
    every = max(1, -(-(last + 1) // 12))
    for tick in range(0, last + 1, every):
        svg.append(f'<text x="{x(tick):.1f}" y="{tall - 18}" text-anchor="middle">{tick + 1}</text>')
    svg.append(f'<text x="{x(last / 2):.1f}" y="{tall - 3}" text-anchor="middle">round</text>')
    for learner, found in curve.items():
        shown = [(number + 0.06 * (learner - len(curve) / 2), row) for number, row in found if row.connected]
        colour, dash = COLOURS[learner % len(COLOURS)], ("", "6 3", "2 3", "8 3 2 3")[learner % 4]
        path = " ".join(f"{x(number):.1f},{y(row.elo):.1f}" for number, row in shown)
        svg.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        for number, row in shown:
            bar = f'y1="{y(row.low):.1f}" y2="{y(row.high):.1f}" stroke="{colour}" stroke-opacity="0.45"'
            svg.append(f'<line x1="{x(number):.1f}" x2="{x(number):.1f}" {bar}/>')
            svg.append(f'<circle cx="{x(number):.1f}" cy="{y(row.elo):.1f}" r="3" fill="{colour}"/>')
        place = top + 20 * learner + 10
        svg.append(
            f'<line x1="{wide - 140}" x2="{wide - 112}" y1="{place}" y2="{place}" stroke="{colour}" '
            f'stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        svg.append(f'<text x="{wide - 106}" y="{place + 4}">{escape(view.members[learner].name)}</text>')
    return "\n".join([*svg, "</svg>"]) + "\n"


def _elo(row: Standing | None) -> str:
    if row is None:
        return ""
    return f"{row.elo:+.0f} ± {(row.high - row.low) / 2:.0f}" if row.connected else "not joined"


def _share(score: float | None) -> str:
    return "–" if score is None else f"{score:.0%}"


def _md(text: object) -> str:
    """Text that Markdown takes for nothing but text."""
    return "".join(f"\\{c}" if c in "\\|`*_{}[]<>#" else c for c in str(text) if c.isprintable())


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]], left: int) -> str:
    rule = [":--" if n < left else "--:" for n in range(len(heads))]
    lines = [heads, rule, *([_md(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
