"""`arena agents`: who is in the league."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from agents.engine_config import PROTOCOLS, EngineConfig, describe, found_command, from_text
from arena.allowed import allow as allow_digest
from arena.cli.options import DEFAULT_DB, AgentName, Db, GameName, Json, Seed, SomeGame, canonical, group
from arena.cli.output import clean, print_json, print_table, when
from arena.config import apply_sets
from arena.records import Agent
from arena.store import Store
from envs.errors import ArenaError, UnknownNameError, UsageError

app = group("The league's agents: list, show, rename, retire; engines join, agents come and go as directories.")


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


@app.command()
def add(
    game: GameName,
    agent: Annotated[str, typer.Argument(metavar="NAME", help="What it shall be called here.")],
    engine: Annotated[
        str, typer.Option(metavar="|".join(PROTOCOLS), help="UCI plays chess, GTP go; OpenSpiel has bots.")
    ],
    command: Annotated[
        str, typer.Option(metavar="COMMAND", help="The program and its arguments, as in a shell; or a bot.")
    ],
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A limit or an option; see below.")
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Let an outside engine join as an agent: any UCI engine for chess, any GTP engine for go, OpenSpiel's bots.

    It is started once to see that it works. It plays in a process group of its own, in a temporary directory, with
    limits on memory, files and time; where it crashes, is late or plays what is illegal, it forfeits the game.

    Settings: nodes, depth, movetime (seconds), skill, elo, options=Name=Value;Name=Value for UCI; level, movetime for
    GTP; timeout, memory_mb, and random: how often any legal move is played in place of its own. OpenSpiel's bots are
    random and mcts (nodes: simulations a move); they play tic-tac-toe and connect four, and need open-spiel installed.

    \b
    Example:
      arena agents add pettingzoo/classic/chess_v6 stockfish-1 --engine uci --command stockfish --set nodes=100
      arena agents add go gnugo-1 --engine gtp --command "gnugo --mode gtp --chinese-rules" --set level=1
      arena agents add connect_four spiel --engine openspiel --command mcts --set nodes=1000
    """
    from arena.outsiders import add_engine

    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--command {command!r}: {str(error).lower()}") from None
    if engine not in PROTOCOLS:
        raise UnknownNameError("engine protocol", engine, PROTOCOLS)
    found_words = tuple(words) if engine == "openspiel" else found_command(words)
    config = apply_sets(EngineConfig(protocol=engine, command=found_words), set or [])
    with Store(db) as store:
        found, says = add_engine(store, game, agent, config)
    print_json({"agent": found, "engine": says}) if json else print(f"{clean(found.name)} plays {game}: {clean(says)}")


@app.command()
def allow(game: GameName, agent: AgentName, db: Db = DEFAULT_DB) -> None:
    """Let an engine that came with a league's file run its program on this machine.

    \b
    Example:
      arena agents allow pettingzoo/classic/chess_v6 stockfish-1
    """
    with Store(db, create=False) as store:
        found = store.agent(game, agent)
    config = from_text(found.policy) if found.kind == "engine" else None
    if config is None or not config.is_program:
        raise UsageError(f"{found.name} runs no program; it needs no leave")
    allow_digest(config.digest)
    print(f"{clean(found.name)} may run {clean(describe(config))}")


@app.command()
def export(
    game: GameName,
    agent: AgentName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new directory.")],
    episodes: Annotated[int, typer.Option(metavar="N", min=1, help="Games played for the card.")] = 100,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Write a trained agent to a directory: weights, settings, a model card with its score and rating, a replay.

    \b
    Example:
      arena agents export connect_four ppo-1@latest --out ppo-1
    """
    from arena.agent_files import export_agent

    with Store(db, create=False) as store:
        measured, files = export_agent(store, game, agent, out, episodes=episodes, seed=seed)
    if json:
        print_json({"directory": str(out), "files": files, "measured": measured})
        return
    against = f" against {measured.opponent}" if measured.opponent else ""
    print(f"mean return {measured.mean:.2f} +/- {measured.std:.2f} over {measured.episodes} episodes{against}")
    print(f"{clean(str(out))}: {', '.join(files)}")


@app.command("import")
def import_(
    path: Annotated[
        Path, typer.Argument(metavar="DIR", help="What `arena agents export` wrote, or a zip of Stable-Baselines3's.")
    ],
    game: Annotated[
        str | None, typer.Option(metavar="GAME", help="A zip's game, which it does not say itself.", parser=canonical)
    ] = None,
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Another name than its own.")] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Let an exported agent join the league, or one that Stable-Baselines3 has saved. Nothing in it is run.

    \b
    Example:
      arena agents import ppo-1 --as visitor
      arena agents import cartpole.zip --game gym/CartPole-v1
    """
    from arena.agent_files import read_agent, read_sb3

    if path.suffix == ".zip":
        if game is None:
            raise UsageError("a zip does not say which game it plays: --game GAME does")
        read, packed = read_sb3(path, game, name)
    elif game is not None:
        raise UsageError("the directory says which game its agent plays; --game is for zips")
    else:
        read, packed = read_agent(path, name)
    with Store(db) as store:
        found = store.agent_by_id(store.add_agent(read, packed))
    print_json(found) if json else print(f"{clean(found.name)} plays {found.game}")


def _kind(agent: Agent) -> str:
    if agent.kind == "engine":
        try:
            return f"engine ({describe(from_text(agent.policy))})"
        except ArenaError:
            return "engine (damaged)"
    return agent.kind if agent.kind in ("human", "checkpoint") else f"{agent.kind} ({agent.policy})"


def _steps(agent: Agent) -> str:
    return "–" if agent.step is None else f"{agent.step:,}"
