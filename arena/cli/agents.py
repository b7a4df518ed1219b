"""`arena agents`: who is in the league."""

from __future__ import annotations

from typing import Annotated

import typer

from arena.cli.options import DEFAULT_DB, AgentName, Db, GameName, Json, SomeGame, group
from arena.cli.output import clean, print_json, print_table, when
from arena.records import Agent
from arena.store import Store

app = group("The league's agents: list, show, rename, retire.")


@app.command("list")
def list_agents(
    game: SomeGame = None,
    retired: Annotated[bool, typer.Option("--retired", help="Retired ones too.")] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """List the agents of a game, or of all games.

    \b
    Example:
      arena agents list connect_four
    """
    with Store(db, create=False) as store:
        agents = store.agents(game, retired=retired)
    if json:
        print_json(agents)
        return
    rows = [(agent.name, agent.game, _kind(agent), _steps(agent), when(agent.created_at)) for agent in agents]
    print_table(
        ("agent", "game", "kind", "steps", "since"), rows, "no agents yet; `arena train GAME` makes some", left=3
    )


@app.command()
def show(game: GameName, agent: AgentName, db: Db = DEFAULT_DB, json: Json = False) -> None:
    """Show one agent: where it comes from and what it plays.

    \b
    Example:
      arena agents show connect_four ppo-1@latest
    """
    with Store(db, create=False) as store:
        found = store.agent(game, agent)
        checkpoint = store.checkpoint(found.checkpoint) if found.checkpoint else None
        run = next((run for run in store.runs(found.game) if run.id == found.run), None)
    if json:
        print_json({"agent": found, "checkpoint": checkpoint, "run": run})
        return
    facts = {"agent": found.name, "game": found.game, "kind": _kind(found), "since": when(found.created_at)}
    if found.retired_at is not None:
        facts["retired"] = when(found.retired_at)
    if run is not None:
        facts["run"] = f"{run.name} ({run.algorithm}, seed {run.seed}), at step {found.step:,}"
    if checkpoint is not None:
        facts["checkpoint"] = f"{checkpoint.sha256} ({checkpoint.size:,} bytes)"
    for name, value in facts.items():
        print(f"{name:<11} {clean(value)}")


@app.command()
def rename(
    game: GameName,
    agent: AgentName,
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Give an agent another name; its games and rating stay.

    \b
    Example:
      arena agents rename connect_four ppo-1@2.0M champion
    """
    with Store(db, create=False) as store:
        found = store.agent(game, agent)
        store.rename_agent(game, found.name, new_name)
        found = store.agent_by_id(found.id)
    print_json(found) if json else print(f"{clean(agent)} is now {clean(found.name)}")


@app.command()
def retire(
    game: GameName,
    agent: AgentName,
    undo: Annotated[bool, typer.Option("--undo", help="Bring it back.")] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Take an agent out of lists and leagues; its games and rating stay.

    \b
    Example:
      arena agents retire connect_four ppo-1@200k
    """
    with Store(db, create=False) as store:
        found = store.agent(game, agent)
        store.retire_agent(game, found.name, retired=not undo)
        found = store.agent_by_id(found.id)
    print_json(found) if json else print(f"{clean(found.name)} {'plays again' if undo else 'is retired'}")


def _kind(agent: Agent) -> str:
    return agent.kind if agent.kind in ("human", "checkpoint") else f"{agent.kind} ({agent.policy})"


def _steps(agent: Agent) -> str:
    return "–" if agent.step is None else f"{agent.step:,}"
