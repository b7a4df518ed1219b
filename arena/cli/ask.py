"""`arena ask`: what would this agent do here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli.options import DEFAULT_DB, Db, GameName, Json, Seed
from arena.cli.output import clean, drawing_text, number, print_json, print_table
from arena.store import Store
from envs.errors import UsageError

if TYPE_CHECKING:
    from arena.ask import PolicyTable


def ask(
    game: GameName,
    agent: Annotated[
        str, typer.Option(metavar="AGENT", help="Who is asked: an agent's name, or a run's for its newest.")
    ],
    moves: Annotated[
        str,
        typer.Option(help="The moves played so far, with commas or blanks between; a+b where two move at once."),
    ] = "",
    seed: Seed = 0,
    seat: Annotated[
        int, typer.Option(metavar="N", min=0, help="Whose place the agent takes where all move at once.")
    ] = 0,
    table: Annotated[
        bool, typer.Option("--table", help="Every state of a one-player gridworld: action values, values, arrows.")
    ] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Ask an agent what it would do. Its move, how likely each legal move is, the return it expects.

    \b
    Example:
      arena ask connect_four --agent tactician --moves "3,3,4" --json
      arena ask gridworld/recycling --agent value-iteration --table
    """
    if table and moves:
        raise UsageError("--table shows every state; leave out --moves")
    with Store(db, create=False) as store:
        from arena.ask import ask as ask_agent
        from arena.ask import policy_table
        from arena.roster import resolve

        contender = resolve(store, game, agent, join=False)
    if table:
        found = policy_table(game, contender)
        print_json(
            {"game": game, "agent": found.agent, "actions": found.actions, "states": found.states}
        ) if json else _print(found)
        return
    answer = ask_agent(game, contender, moves.replace(",", " ").split(), seed, seat)
    if json:
        data = {
            name: getattr(answer, name)
            for name in ("game", "agent", "ply", "seat", "action", "probabilities", "value", "q_values")
        }
        if answer.deviation is not None:
            data |= {"deviation": answer.deviation}
        if answer.visits is not None:
            data |= {"visits": answer.visits, "line": answer.line}
        print_json(data)
        return
    print(drawing_text(answer.drawing))
    scatter = "" if answer.deviation is None else f" ± {answer.deviation}"
    print(f"{clean(answer.agent)} in seat {answer.seat}: {answer.action}{scatter}, value {number(answer.value)}")
    if answer.deviation is not None:
        return
    if answer.visits is not None:
        print_table(("move", "tried"), [(name, f"{count:,}") for name, count in answer.visits.items()], "")
        print(f"then {' '.join(answer.line)}")
        return
    rows = [
        (name, f"{probability:.1%}", number(answer.q_values.get(name) if answer.q_values else None))
        for name, probability in answer.probabilities.items()
    ]
    print_table(("move", "probability", "action value"), rows, "")


def _print(table: PolicyTable) -> None:
    with_q = table.states and table.states[0].q_values is not None
    rows = []
    for state in table.states:
        shown = (state.q_values if with_q else state.probabilities) or {}
        rows.append(
            (
                f"{state.row},{state.column}",
                *(number(shown.get(name), 3) for name in table.actions),
                number(state.value, 3),
                state.action,
            )
        )
    heads = [f"{'q' if with_q else 'p'}({name})" for name in table.actions]
    print_table(("state", *heads, "value", "best"), rows, "the game has no states to decide in")
    if table.drawing is not None:
        print(drawing_text(table.drawing))
