"""Leagues: a population trains, is matched and rated, round after round; stopped at any moment, it goes on.

A round: every learner goes on with its run for a slice of steps, against itself, its snapshots and others' frozen
agents, and leaves an agent; then every learner's newest agent meets the scripts, the other learners' newest and a few
veterans. In one-player games it is evaluated instead. Who plays whom and with which seeds depends on the league's seed,
the round and the agents alone, never on the clock, and a match has its (round, slot) in the Store once.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from agents.configs import ActorCriticConfig, Config, config_from, default_config
from agents.scripted import THINKERS, scripted_policies
from agents.selfplay import Opponents
from arena import matchmaking
from arena.locks import hold
from arena.match import Evaluation, MatchResult, evaluate, play_match
from arena.ratings import win_matrix
from arena.records import Agent, League, Run
from arena.roster import game_spec, on_device, resolve
from arena.store import Store
from arena.training import Progress, TrainRequest, continue_run, never, start_run
from envs.errors import UsageError
from envs.specs import GameSpec, parse_variant

POPULATION = ("dqn", "vpg", "ppo")
SLICE_STEPS = {"dqn": 16_384, "vpg": 98_304, "ppo": 131_072}
"""Env steps that a learner trains in a round: some seconds each, so that a round takes less than a minute."""
GAMES = 20
VETERANS = 2
OUTSIDERS = 4
"""How many frozen agents of others a learner trains against in a slice."""
POINTLESS = ("first-legal", *THINKERS)
"""Scripts that teach nothing about who is strong, and those that would take longer than the round."""

_LEARNER, _OUTSIDERS, _VETERANS, _MATCH = range(4)  # what seeds are for


@dataclass(frozen=True)
class LeagueEvent:
    """What a league has just done.

    Attributes:
        kind: "train" (progress: after every update of a slice), "match" (result) or "evaluate" (evaluation) after each,
            "round" when a round is complete, "end" as the last event.
        done, total: of the round's matches, after "match" and "evaluate".
    """

    league: str
    round: int
    kind: Literal["train", "match", "evaluate", "round", "end"]
    progress: Progress | None = None
    result: MatchResult | None = None
    evaluation: Evaluation | None = None
    done: int = 0
    total: int = 0


def run_league(
    store: Store,
    game: str,
    name: str | None = None,
    *,
    minutes: float | None = None,
    rounds: int | None = None,
    learners: Sequence[str] | None = None,
    slice_steps: Mapping[str, int] | None = None,
    games: int = GAMES,
    seed: int = 0,
    device: str = "auto",
    should_stop: Callable[[], bool] = never,
) -> Iterator[LeagueEvent]:
    """Run a league until `should_stop()`, for so many minutes or rounds, or for ever; begin it where there is none yet.

    The clock and `should_stop` end it at the next update or match, with everything kept; closing the iterator ends it
    at once and loses the slice or the match it was in.

    Args:
        name: the league's; default: the game's. A league that exists keeps its settings: `learners`, `slice_steps`,
            `games`, `seed` and `device` are for a new one.
        learners: algorithms; one may be named several times. None: those of `POPULATION` that learn such games.
        slice_steps: by algorithm, where it shall differ from `SLICE_STEPS`.
        games: of every match; episodes of every evaluation.

    Raises UsageError for games and settings that do not exist, ArenaError where another process runs this league.
    """
    game = str(parse_variant(game))
    spec = game_spec(game)
    name = name or game
    deadline = None if minutes is None else time.monotonic() + 60 * minutes

    def stop() -> bool:
        return should_stop() or (deadline is not None and time.monotonic() >= deadline)

    if learners is None:
        learners = [name for name in POPULATION if name != "dqn" or spec.num_actions is not None]
    if not any(league.name == name for league in store.leagues()):
        _begin(store, game, name, learners, slice_steps or {}, games, seed, device)
    league = store.league(name)
    if league.game != game:
        raise UsageError(f"league {name!r} plays {league.game}, not {game}; give it another --name")
    with hold(store.path, f"league-{league.id}", f"league {name}"):
        league = store.league(name)
        first = league.round
        while not stop() and (rounds is None or league.round < first + rounds):
            yield from _round(store, league, spec, stop)
            league = store.league(name)
        yield LeagueEvent(name, league.round, "end")


def _begin(
    store: Store,
    game: str,
    name: str,
    learners: Sequence[str],
    slice_steps: Mapping[str, int],
    games: int,
    seed: int,
    device: str,
) -> None:
    """Write the league down. Another process that begins the same one first is as good."""
    if not learners:
        raise UsageError("a league needs at least one learner")
    population: list[dict[str, Any]] = []
    for algorithm in learners:
        steps = slice_steps.get(algorithm, SLICE_STEPS.get(algorithm, SLICE_STEPS["dqn"]))
        settings = dataclasses.asdict(_steady(default_config(algorithm, game)))
        population.append({"algorithm": algorithm, "slice_steps": steps, "settings": settings})
    if games < 1 or any(learner["slice_steps"] < 1 for learner in population):
        raise UsageError("games and slice steps must be at least 1")
    config = {"learners": population, "games": games, "device": device, "veterans": VETERANS, "outsiders": OUTSIDERS}
    try:
        store.create_league(League(name, game, config, seed))
    except UsageError:
        if not any(league.name == name for league in store.leagues()):
            raise


def _steady(config: Config) -> Config:
    """The config for a run without an end: what would fall over a run stays where it is, exploration ends early."""
    steady: dict[str, Any] = {"anneal_learning_rate": False, "exploration_share": 0.5}
    if isinstance(config, ActorCriticConfig):
        middle = (config.entropy_coef + config.final_entropy_coef) / 2
        steady |= {"entropy_coef": middle, "final_entropy_coef": middle}
    known = {f.name for f in dataclasses.fields(config)}
    return dataclasses.replace(config, **{key: value for key, value in steady.items() if key in known})


def _round(store: Store, league: League, spec: GameSpec, stop: Callable[[], bool]) -> Iterator[LeagueEvent]:
    """The league's round, or what is left of it."""
    for index in range(len(league.config["learners"])):
        run = _learner_run(store, league, index)
        until = (league.round + 1) * league.config["learners"][index]["slice_steps"]
        if run.step >= until:
            continue
        store.extend_run(run.id, until)
        opponents = _outsiders(store, league, run) if spec.num_players > 1 else None
        for progress in continue_run(store, run, stop, until=until, opponents=opponents):
            yield LeagueEvent(league.name, league.round, "train", progress=progress)
        if stop():
            return
    done = {match.slot for match in store.matches(league=league.id, round=league.round)}
    pairings = _pairings(store, league, spec)
    for slot, names in enumerate(pairings):
        if slot in done:
            continue
        if stop():
            return
        yield _meet(store, league, slot, names, len(pairings))
    store.advance_league(league.id, league.round + 1)
    yield LeagueEvent(league.name, league.round, "round", done=len(pairings), total=len(pairings))


def _learner_run(store: Store, league: League, index: int) -> Run:
    """The run of the league's learner `index`, begun where it does not exist yet."""
    for run in store.runs(league=league.id):
        if run.config["learner"] == index:
            return run
    learner = league.config["learners"][index]
    request = TrainRequest(
        game=league.game,
        algorithm=learner["algorithm"],
        config=config_from(learner["algorithm"], learner["settings"]),
        steps=learner["slice_steps"],
        checkpoint_steps=learner["slice_steps"],
        seed=_seed(league, _LEARNER, 0, index),
        device=league.config["device"],
        league=league.id,
        learner=index,
    )
    return start_run(store, request)


def _outsiders(store: Store, league: League, run: Run) -> Opponents:
    """Others' frozen agents to train against, the harder for this learner the likelier; its own snapshots join them."""
    agents = store.agents(league.game)
    own = [agent.id for agent in agents if agent.run == run.id]
    others = [agent for agent in _members(store, league) if agent.run != run.id]
    if not others:
        return Opponents()
    results = store.pair_results(league.game)
    points, games = win_matrix(results, [*own, *(agent.id for agent in others)])
    met = games[: len(own), len(own) :]
    won = np.where(met > 0, points[: len(own), len(own) :] * met, 0.0).sum(0)
    played = met.sum(0)
    rng = np.random.default_rng(_seed(league, _OUTSIDERS, league.round, run.id))
    drawn = sorted(
        set(matchmaking.pfsp(len(others), league.config["outsiders"], rng, points=won.tolist(), games=played.tolist()))
    )
    chosen = [others[index] for index in drawn]

    def draw(num_policies: int, count: int, rng: np.random.Generator) -> list[int]:
        """The learner's own snapshots, which come behind the outsiders, count as equals."""
        unknown = np.zeros(num_policies - len(drawn))
        points, games = (np.concatenate([known[drawn], unknown]) for known in (won, played))
        return matchmaking.pfsp(num_policies, count, rng, points=points.tolist(), games=games.tolist())

    policies = [on_device(resolve(store, league.game, agent.name).policy, run.device) for agent in chosen]
    return Opponents(policies, draw, key=" ".join(str(agent.id) for agent in chosen))


def _members(store: Store, league: League) -> list[Agent]:
    """The agents that the league's learners have left, oldest first, without the retired ones."""
    runs = {run.id for run in store.runs(league=league.id)}
    return [agent for agent in store.agents(league.game) if agent.run in runs]


def _pairings(store: Store, league: League, spec: GameSpec) -> list[tuple[str, ...]]:
    """Who meets whom in this round, by slot; a single name is to be evaluated."""
    members = _members(store, league)
    newest = list({agent.run: agent for agent in members}.values())
    retired = {agent.name for agent in store.agents(league.game, retired=True) if agent.retired_at is not None}
    scripts = [name for name in scripted_policies(spec) if name not in retired and name not in POINTLESS]
    if spec.num_players == 1:
        return [(name,) for name in (*(agent.name for agent in newest), *(scripts if league.round == 0 else ()))]
    veterans = [agent for agent in members if agent not in newest]
    pairs = matchmaking.round_robin([agent.name for agent in newest])
    for agent in newest:
        pairs += [(agent.name, script) for script in scripts]
        rng = np.random.default_rng(_seed(league, _VETERANS, league.round, agent.id))
        drawn = rng.permutation(len(veterans))[: league.config["veterans"]]
        pairs += [(agent.name, veterans[index].name) for index in drawn]
    if league.round == 0:
        pairs += matchmaking.round_robin(scripts)
    return [*pairs]


def _meet(store: Store, league: League, slot: int, names: tuple[str, ...], total: int) -> LeagueEvent:
    """One match or evaluation of the round."""
    contenders = [resolve(store, league.game, name) for name in names]
    games, seed = league.config["games"], _seed(league, _MATCH, league.round, slot)
    where: dict[str, Any] = {"league": league.id, "round": league.round, "slot": slot}
    event = LeagueEvent(league.name, league.round, "match", done=slot + 1, total=total)
    if len(contenders) == 1:
        score = evaluate(store, league.game, contenders[0], episodes=games, seed=seed, **where)
        return dataclasses.replace(event, kind="evaluate", evaluation=score)
    result = play_match(store, league.game, *contenders, games=games, seed=seed, kind="league", **where)
    return dataclasses.replace(event, result=result)


def _seed(league: League, purpose: int, number: int, which: int) -> int:
    """[0, 2**63): independent for all purposes, numbers (a round's) and what they are for."""
    return int(np.random.SeedSequence([league.seed, purpose, number, which]).generate_state(1, np.uint64)[0]) >> 1
