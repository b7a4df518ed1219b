"""`arena evaluate` and `arena match`: agents play, the games are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli.options import DEFAULT_DB, AgentName, Db, GameName, Json, Seed
from arena.cli.output import clean, number, print_json, print_table, signed
from arena.store import Store
from envs.errors import UsageError

FORFEITS_SHOWN = 5

if TYPE_CHECKING:
    from arena.match import MatchResult
    from arena.sprt_match import SprtResult


def evaluate(
    game: GameName,
    agent: AgentName,
    episodes: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many.")] = 10,
    deterministic: Annotated[
        bool,
        typer.Option("--deterministic/--sample", help="The likeliest action every time, or one drawn from the policy."),
    ] = True,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Score an agent in a one-player game. The episodes are kept; prints mean and deviation of the return.

    \b
    Example:
      arena evaluate gridworld/cliff ppo-1@latest --episodes 100 --json
    """
    from arena.match import check_player
    from arena.match import evaluate as evaluate_agent
    from arena.roster import game_spec, require_scripts, resolve
    from envs.human_scores import human_share, scale

    check_player(game_spec(game), agent)
    require_scripts(db, game, [agent])
    with Store(db) as store:
        result = evaluate_agent(
            store, game, resolve(store, game, agent), episodes=episodes, seed=seed, greedy=deterministic
        )
    if json:
        print_json(result)
        return
    steps = sum(result.lengths) / len(result.lengths)
    score = f"{number(result.mean)} ± {number(result.std)}"
    print(f"{clean(result.agent)} on {game}: {score} over {episodes} episodes of {steps:.1f} steps")
    share = human_share(game, result.mean)
    if share is not None:
        print(f"{share:.0%} of a human's score ({scale(game)})")


def match(
    game: GameName,
    agents: Annotated[
        list[str],
        typer.Argument(
            metavar="AGENT AGENT…", help="Who plays, by name: two agents, or more where the game seats more."
        ),
    ],
    games: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=1_000_000, help="How many; seats alternate. Else 100; with --sprt at most 20,000."
        ),
    ] = None,
    sprt: Annotated[
        str | None,
        typer.Option(
            metavar="ELO0,ELO1", help="Play until it is decided which the first agent is better by: 0,50 for example."
        ),
    ] = None,
    seed: Seed = 0,
    greedy: Annotated[
        bool | None,
        typer.Option(
            "--greedy/--sample", help="The likeliest move every time, or one drawn; else as the game needs it."
        ),
    ] = None,
    opening_plies: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Random moves that open each pair of games; else the game's own number."),
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Let agents play a rated match. Seats alternate; each opening is played from every seat.

    Where a game seats more than two, everybody's mean place is told; of seats that are left over the last agent takes
    all.

    \b
    Example:
      arena match connect_four ppo-1@latest tactician --games 400 --json
      arena match pettingzoo/butterfly/knights_archers_zombies_v11 ppo-1 ppo-2 first-legal random --games 40
      arena match connect_four ppo-1+mcts:200 ppo-1 --sprt 0,50
    """
    from arena.match import check_players, play_match
    from arena.roster import game_spec, require_scripts, resolve_all

    check_players(game_spec(game), agents)
    require_scripts(db, game, agents)
    if sprt is not None:
        _sprt(game, agents, sprt, games, seed, greedy, opening_plies, db, json)
        return
    with Store(db) as store:
        contenders = resolve_all(store, game, agents)
        result = play_match(
            store, game, *contenders, games=games or 100, seed=seed, greedy=greedy, opening_plies=opening_plies
        )
    print_json(match_json(result)) if json else print_match(result)


def _sprt(
    game: str,
    agents: Sequence[str],
    typed: str,
    games: int | None,
    seed: int,
    greedy: bool | None,
    opening_plies: int | None,
    db: Path,
    json: bool,
) -> None:
    """Play until a sequential test decides."""
    from arena.roster import resolve_all
    from arena.sprt import parse_sprt
    from arena.sprt_match import LIMIT, play_sprt

    test = parse_sprt(typed)
    if len(agents) != 2:
        raise UsageError(f"an SPRT compares two agents, not {len(agents)}")
    with Store(db) as store:
        first, second = resolve_all(store, game, agents)
        found = play_sprt(
            store,
            game,
            first,
            second,
            test,
            limit=games or LIMIT,
            seed=seed,
            greedy=greedy,
            opening_plies=opening_plies,
        )
    if json:
        print_json(found)
        return
    total, penta = found.total, " ".join(map(str, found.pairs))
    tally = f"{total.games} games, +{total.wins} ={total.draws} −{total.losses}"
    print(f"{clean(' – '.join(found.agents))} on {found.game}: {tally}")
    print(f"pairs by points 0 ½ 1 1½ 2: {penta}")
    print(f"Elo difference {signed(found.elo)} (95 %: {signed(found.elo_low)} … {signed(found.elo_high)})")
    print(f"log-likelihood ratio {found.ratio:.2f} between {found.low:.2f} and {found.high:.2f}: {_verdict(found)}")


def _verdict(found: SprtResult) -> str:
    if found.decision is None:
        return "undecided"
    elo = found.elo1 if found.decision == "elo1" else found.elo0
    return f"decided for {found.decision}, a difference of {elo:g} rather than {found.elo0 + found.elo1 - elo:g}"


def match_json(result: MatchResult) -> dict[str, object]:
    """A match for machines, without its episodes."""
    data = asdict(result)
    del data["episodes"]
    return data | {"score": result.total.score}


def print_match(result: MatchResult) -> None:
    """A match for people."""
    print(
        f"{clean(' – '.join(result.agents))} on {result.game}, {result.total.games} games ({result.distinct} distinct)"
    )
    if result.finishers:
        lines = [
            (
                row.agent,
                *(row.games.games, row.games.wins, row.games.draws, row.games.losses),
                *(number(row.place, 2), f"{row.score:.1%}", number(row.reward)),
            )
            for row in result.finishers
        ]
        heads = ("agent", "seats", "first", "shared first", "behind", "mean place", "score", "mean return")
        print_table(heads, lines, "")
    else:
        _print_seats(result)
    if result.reasons.keys() - {"terminated"}:
        print(f"ended: {', '.join(f'{count} {clean(how)}' for how, count in result.reasons.items())}")
    for loser, forfeit in result.forfeits[:FORFEITS_SHOWN]:
        print(f"{clean(loser)} forfeited a game: {clean(forfeit)}")


def _print_seats(result: MatchResult) -> None:
    """The first of two agents' results by seat, and the difference in Elo."""
    rows: list[Sequence[object]] = [
        (name, tally.games, tally.wins, tally.draws, tally.losses, f"{tally.score:.1%}")
        for name, tally in (
            ("all", result.total),
            *((f"in seat {seat}", tally) for seat, tally in enumerate(result.seats)),
        )
        if tally.games
    ]
    print_table((result.agents[0], "games", "wins", "draws", "losses", "score"), rows, "")
    if result.elo is not None:
        print(f"Elo difference {signed(result.elo)} (95 %: {signed(result.elo_low)} … {signed(result.elo_high)})")
