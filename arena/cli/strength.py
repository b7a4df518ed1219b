"""`arena strength`: how far an agent is from perfect play."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from arena.cli.options import DEFAULT_DB, AgentName, Db, GameName, Json, Seed
from arena.cli.output import clean, number, print_json
from arena.store import Store


def strength(
    game: GameName,
    agent: AgentName,
    games: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many mazes, where each game has a new one.")
    ] = 500,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Compare an agent's likeliest moves with perfect play. Every line of tic-tac-toe, every start of a gridworld.

    \b
    Example:
      arena strength tic_tac_toe ppo-1@latest
    """
    with Store(db, create=False) as store:
        from arena.roster import resolve
        from arena.strength import check_strength

        contender = resolve(store, game, agent, join=False)
        found = check_strength(game, contender.policy, games=games, seed=seed)
    if json:
        print_json({"agent": contender.name} | asdict(found) | {"perfect": found.perfect})
        return
    wrong = found.cases - found.faultless
    verb = "loses" if found.checked == "lines" else "falls short in"
    print(f"{clean(contender.name)} on {game}: {verb} {wrong:,} of {found.cases:,} {found.checked}")
    if found.mean is not None:
        print(f"mean return {number(found.mean, 3)}, perfect play {number(found.optimum, 3)}")
    if found.fault:
        print(f"for example {clean(found.fault)}")
