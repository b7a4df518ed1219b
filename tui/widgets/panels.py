"""What stands beside a board: who plays, the last moves, the result, what an agent thinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from textual.content import Content

from arena.session_client import Mind, Position
from envs.rendering import Drawing
from tui.text import inert, shorten, winner_name

SEAT_STYLES = ("bold $primary", "bold $secondary", "bold $warning", "bold $error")
BAR = 10
MAX_MOVES = 5


def seat_style(seat: int) -> str:
    return SEAT_STYLES[seat % len(SEAT_STYLES)]


def players(position: Position, people: tuple[int, ...], width: int) -> Content:
    """One line a seat: ▸ who is to move, the seat's number and colour, the name, the last move."""
    lines = []
    for seat, name in enumerate(position.seats):
        mark = "▸ " if seat in position.to_move else "  "
        move = inert(position.last.get(seat, ""))
        you = " (you)" if seat in people else ""
        room = width - len(mark) - 3 - len(you) - (len(move) + 2 if move else 0)
        parts: list[str | tuple[str, str]] = [mark, (f"{seat + 1} {shorten(name, max(6, room))}", seat_style(seat))]
        parts.append((you, "$text-muted"))
        if move:
            parts.append(f"  {shorten(move, 12)}")
        if any(position.returns) and not position.over:
            parts.append((f"  return {position.returns[seat]:g}", "$text-muted"))
        lines.append(Content.assemble(*parts))
    return Content("\n").join(lines)


def drawn(position: Position) -> Drawing:
    """The board. Where somebody has resigned nobody is to move, whatever the rules say of the position."""
    resigned = position.result is not None and position.result.reason == "resigned"
    return replace(position.drawing, caption="") if resigned else position.drawing


def headline(position: Position, people: tuple[int, ...]) -> str:
    """The result in a sentence."""
    result = position.result
    assert result is not None
    names = [inert(name) for name in position.seats]
    cut = " – the game was cut" if result.reason == "truncated" else ""
    if len(names) == 1:
        end = "Given up" if result.reason == "resigned" else "Finished"
        return f"{end}: return {result.returns[0]:g}{cut}"
    best = max(score for score in result.scores if score is not None)
    winners = [seat for seat, score in enumerate(result.scores) if score == best]
    if len(winners) != 1:
        return f"A draw{cut}"
    (winner,) = winners
    if result.reason == "resigned":
        loser = next((n for s, n in enumerate(names) if result.scores[s] == 0), "")
        cut = f" – {'you' if people and winner not in people else loser} resigned"
        if result.forfeit is not None:
            cut = f" – {loser} forfeits ({inert(result.forfeit)})"
    if len(people) == 1:
        return f"{'You win' if winner in people else 'You lose'}{cut}"
    return f"{winner_name(position.seats, winner)} wins{cut}"


def outcome(position: Position, people: tuple[int, ...]) -> Content:
    """The result, the ratings before and after, where the game is kept."""
    parts: list[str | tuple[str, str]] = [(headline(position, people), "bold $warning")]
    for name, (before, after) in position.rating.items():
        change = f"{before:.0f} → {after:.0f}" if before is not None else f"first rating {after:.0f}"
        parts.append(f"\n{shorten(name, 14)}: {change}")
    kept = f"stored as replay {position.episode}" if position.episode is not None else ""
    parts.append((f"\n{kept}{'' if position.rated else ' · unrated'}", "$text-muted"))
    return Content.assemble(*parts)


def thoughts(title: str, mind: Mind, seat: int) -> Content:
    """An agent's mind: the value it expects, and its likeliest moves as bars, with what it expects of each where it
    says so; of an agent that searches, how often it tried the moves, and how it thinks the game goes on."""
    value = "no opinion" if mind.value is None else f"{mind.value:+.2f}"
    searched = f" · {mind.simulations:,} tries" if mind.simulations else ""
    parts: list[str | tuple[str, str]] = [(shorten(title, 26), seat_style(seat)), f"\nvalue {value}{searched}"]
    if mind.visits:
        most = max(count for _, count in mind.visits)
        rows = [(name, count / most, f"{count:,}") for name, count in mind.visits]
    else:
        rows = [(name, probability, f"{100 * probability:3.0f}%") for name, probability in mind.top]
    q_values = dict(mind.q)
    if len(q_values) <= MAX_MOVES:  # few enough for all of them
        rows += [(name, 0.0, "  0%") for name in q_values if name not in {row[0] for row in rows}]
    wide = min(max((len(name) for name, _, _ in rows), default=1), 8)
    bars = BAR - 2 * bool(q_values)
    for name, share, words in rows:
        bar = "█" * round(bars * share) or "▏"
        parts.append(f"\n{shorten(name, wide):>{wide}} ")
        parts.append((f"{bar:{bars}}", seat_style(seat)))
        parts.append(f" {words}")
        if name in q_values:
            parts.append(f" {q_values[name] + 0.0:+.3g}")  # never −0
    if mind.line:
        parts += [("\nthen ", "$text-muted"), " ".join(inert(name) for name in mind.line)]
    return Content.assemble(*parts)


def minds(position: Position) -> Content:
    """All agents' last thoughts."""
    shown: Mapping[int, Mind] = position.minds
    if not shown:
        return Content.styled("no agent has thought yet", "$text-muted")
    parts = [thoughts(position.mapped or position.seats[seat], mind, seat) for seat, mind in sorted(shown.items())]
    return Content("\n\n").join(parts)
