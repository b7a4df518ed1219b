"""`arena strength`: how far an agent is from perfect play."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli.options import DEFAULT_DB, AgentName, Db, GameName, Json, Seed
from arena.cli.output import clean, number, print_json
from arena.store import Store
from envs.errors import UsageError

if TYPE_CHECKING:
    from arena.strength_cards import CardStrength
    from arena.strength_solved import SolvedStrength


def strength(
    game: GameName,
    agent: AgentName,
    games: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="How many mazes, where each game has a new one; positions of connect four."
        ),
    ] = 500,
    average: Annotated[
        bool, typer.Option("--average", help="Poker: take all agents of AGENT's run together, as fictitious play does.")
    ] = False,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Compare an agent's likeliest moves with perfect play. Every line of tic-tac-toe, every start of a gridworld; in
    connect four 500 solved positions in which the choice matters, and 50 lost ones played on against the solver. In
    Kuhn and Leduc poker: what best responses win against it (NashConv).

    \b
    Example:
      arena strength tic_tac_toe ppo-1@latest
      arena strength kuhn_poker dqn-1@latest --average
    """
    with Store(db, create=False) as store:
        from arena.roster import resolve
        from arena.strength import CARDS, SOLVED, check_strength

        contender = resolve(store, game, agent, join=False)
        if average and (game not in CARDS or contender.agent.run is None):
            raise UsageError(f"--average is for trained agents of {' and '.join(CARDS)}")
        if game in CARDS:
            from arena.strength_cards import card_strength

            named = [contender.agent]
            if average:
                named = [each for each in store.agents(game) if each.run == contender.agent.run]
            cards = card_strength(game, [resolve(store, game, each.name).policy for each in named])
            if json:
                print_json({"agent": contender.name} | asdict(cards))
            else:
                _print_cards(contender.name, cards)
            return
        if game in SOLVED:
            from arena.strength_solved import solved_strength

            solved = solved_strength(game, contender.policy, samples=contender.samples, positions=games, seed=seed)
            if json:
                print_json({"agent": contender.name} | asdict(solved) | {"perfect": solved.perfect})
            else:
                _print_solved(contender.name, solved)
            return
        found = check_strength(game, contender.policy, games=games, seed=seed, samples=contender.samples)
    if json:
        print_json({"agent": contender.name} | asdict(found) | {"perfect": found.perfect})
        return
    wrong = found.cases - found.faultless
    verb = "loses" if found.checked == "lines" else "falls short in"
    print(f"{clean(contender.name)} on {game}: {verb} {wrong:,} of {found.cases:,} {found.checked}")
    if found.exploitability is not None:
        print(f"exploitability {max(found.exploitability, 0):.4f}: what a best response wins a game, over both seats")
    if found.mean is not None:
        print(f"mean return {number(found.mean, 3)}, perfect play {number(found.optimum, 3)}")
    if found.fault:
        print(f"for example {clean(found.fault)}")


def _print_cards(agent: str, found: CardStrength) -> None:
    who = clean(agent) if found.agents == 1 else f"the average of {found.agents:,} agents of the run of {clean(agent)}"
    print(f"{who} on {found.game}: NashConv {found.nash_conv:.4f} (0 at an equilibrium)")
    print(f"exploitability {max(found.exploitability, 0):.4f}: what a best response wins a game, over both seats")
    print(f"against itself the one who begins wins {found.first_wins:+.4f} a game")


def _print_solved(agent: str, found: SolvedStrength) -> None:
    share, chance = f"{found.preserved:.1%}", f"{found.by_chance:.1%}"
    where = f"{found.positions:,} positions where the choice matters"
    print(f"{clean(agent)} on {found.game}: {share} of its moves keep the result in {where} (by chance {chance})")
    print(f"the best score with {found.exact:.1%}; loses {found.value_loss:.2f} of the score a move")
    print(
        f"lasts {found.survived:.1f} plies in {found.lost_games} lost positions against perfect play;"
        f" perfect defence {found.survivable:.1f}"
    )
    if found.fault:
        print(f"for example {found.fault}")
