"""A game in plain lines, through the same session as the app's: print the board, read a move."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from arena.cli.output import clean, drawing_text, number, signed
from arena.session_client import Mind, Position, Seat, Session, SessionError
from envs.errors import UsageError

HELP = "type a move, or: hint, undo, resign, moves, quit"


def play_text(
    db: str,
    game: str,
    seats: Sequence[Seat],
    seed: int | None,
    greedy: bool | None,
    read: Callable[[str], str],
    *,
    resume: bool = False,
    start: Mapping[str, Any] | None = None,
) -> Position:
    """Play one game; `read(prompt)` gives the next typed line (EOFError: none is left). Returns the last position.

    Raises UsageError for a game that cannot be begun.

    `start`: its position and the agents' temperature; `resume`: go on with the unfinished game in its place.
    """
    with Session() as session:
        try:
            opened = session.resume(db) if resume else session.open(db, game, seats, seed, greedy, **(start or {}))
        except SessionError as error:
            raise UsageError(str(error)) from None
        position = session.wait(opened)
        print(HELP)
        show(position)
        while not position.over:
            try:
                word = read(f"{_prompt(position)}> ").strip()
            except EOFError:
                word = "quit"
            if word.lower() in ("quit", "q", "exit"):
                again = f"arena play {shlex.quote(position.game)} --resume"
                print(f"left; {again} goes on with it" if position.kept else "left; an unfinished game is not recorded")
                break
            try:
                position = _obey(session, position, word)
            except SessionError as error:
                print(clean(str(error)))
    return position


def _obey(session: Session, position: Position, word: str) -> Position:
    """What the person typed, done; the position in which somebody is asked again."""
    seat = min(position.legal)
    match word.lower():
        case "hint":
            hint = session.hint(seat)
            print(
                f"{clean(hint.agent)} would play {thought(hint.mind)}" + " · the game no longer counts" * position.rated
            )
            return replace(position, rated=False)
        case "moves" | "help" | "?" | "":
            print(f"{HELP}\nmoves: {' '.join(_moves(position, seat))}")
            return position
        case "undo":
            position = session.wait(session.undo(seat))
        case "resign":
            position = session.resign(seat)
        case _:
            position = session.wait(session.act(seat, move=word))
    show(position)
    return position


def _prompt(position: Position) -> str:
    seat = min(position.legal)
    names = _moves(position, seat)
    return f"{clean(position.seats[seat])} ({' '.join(names) if len(names) <= 12 else f'{len(names)} moves'})"


def _moves(position: Position, seat: int) -> list[str]:
    return sorted(clean(name) for _, name in position.legal[seat])


def show(position: Position) -> None:
    """The board, what was played, what agents thought, and the end."""
    print()
    for seat, name in sorted(position.last.items()):
        mind = position.minds.get(seat)
        opinion = f" (value {number(mind.value)})" if mind and mind.value is not None else ""
        print(f"{clean(position.seats[seat])} played {clean(name)}{opinion}")
    print(drawing_text(position.drawing))
    if position.over:
        print(ending(position))


def ending(position: Position) -> str:
    """How the game ended, where it is kept and what it did to the ratings."""
    result = position.result
    assert result is not None
    if len(position.seats) == 1:
        parts = [f"return {number(result.returns[0])} ({result.reason})"]
    else:
        scores = [result.returns[seat] if score is None else score for seat, score in enumerate(result.scores)]
        winners = [clean(position.seats[seat]) for seat, score in enumerate(scores) if score == 1]
        how = result.reason if result.forfeit is None else f"forfeit: {clean(result.forfeit)}"
        parts = [f"{winners[0]} wins ({how})" if winners else f"a draw ({result.reason})"]
    for name, (before, after) in position.rating.items():
        parts.append(f"{clean(name)} {'first rating' if before is None else signed(before) + ' →'} {signed(after)}")
    if not position.rated:
        parts.append("unrated")
    if position.episode is not None:
        parts.append(f"arena replay show {position.episode}")
    return " · ".join(parts)


def thought(mind: Mind) -> str:
    """An agent's likeliest moves."""
    moves = ", ".join(f"{clean(name)} {probability:.0%}" for name, probability in mind.top[:3])
    return f"{moves} (value {number(mind.value)})" if mind.value is not None else moves
