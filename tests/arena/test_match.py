"""Matches: pairing, seats, openings, samples, what is refused, what is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents.policy import Decision
from arena.choosing import BLOCK
from arena.match import Tally, evaluate, play_match
from arena.openings import sample, sampled_openings
from arena.records import Agent
from arena.roster import Contender, game_spec, resolve
from arena.store import Store
from envs.errors import ArenaError, IllegalActionError, UsageError
from envs.protocol import VecEnv
from envs.registry import make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


class FirstLegal:
    """Takes the legal action with the lowest number; remembers the shapes it was shown."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        self.rows.append(len(observation))
        first = legal_action_mask.int().argmax(-1)
        return Decision(torch.nn.functional.one_hot(first, legal_action_mask.shape[-1]).float())


class Leaning:
    """Prefers high or low numbers, but may play anything: its sampled games differ, its greedy ones do not."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        logits = self.slope * torch.arange(legal_action_mask.shape[-1]) + observation.float().flatten(1).sum(1, True)
        return Decision(logits.masked_fill(~legal_action_mask, -torch.inf).softmax(-1))


class Always:
    """The same distribution whatever is legal."""

    def __init__(self, *probabilities: float) -> None:
        self.probabilities = torch.tensor(probabilities)

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        return Decision(self.probabilities.expand(len(observation), -1))


class Network:
    """An untrained network."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        hidden = torch.nn.Linear(84, 256)
        self.network = torch.nn.Sequential(torch.nn.Flatten(), hidden, torch.nn.Tanh(), torch.nn.Linear(256, 7))

    @torch.no_grad()
    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        logits = self.network(observation.float())
        return Decision(logits.masked_fill(~legal_action_mask, -torch.inf).softmax(-1))


def contender(name: str, policy: object, number: int = 1, game: str = "tic_tac_toe") -> Contender:
    return Contender(Agent(game, name, "checkpoint", id=number), policy)  # type: ignore[arg-type]


def test_pairs_share_seed_and_opening_and_swap_seats() -> None:
    low, high = contender("low", Leaning(-1.0), 1), contender("high", Leaning(1.0), 2)
    result = play_match(None, "tic_tac_toe", low, high, games=40, seed=3, opening_plies=2)
    assert result.greedy
    assert result.opening_plies == 2
    pairs = [result.episodes[i : i + 2] for i in range(0, 40, 2)]
    for number, (first, second) in enumerate(pairs):
        assert (first.pair, first.leg, second.pair, second.leg) == (number, 0, number, 1)
        assert first.seed == second.seed
        assert first.actions[:2] == second.actions[:2]
        assert first.opening_plies == second.opening_plies == 2
        assert [player.agent for player in first.players] == [1, 2]
        assert [player.agent for player in second.players] == [2, 1]
    assert len({first.actions[:2] for first, _ in pairs}) == 20, "every pair has an opening of its own"
    assert len({first.seed for first, _ in pairs}) == 20


def test_counts_are_those_of_the_episodes() -> None:
    low, high = contender("low", Leaning(-1.0), 1), contender("high", Leaning(1.0), 2)
    result = play_match(None, "tic_tac_toe", low, high, games=60, seed=5, greedy=False)
    by_seat = [Counter[float](), Counter[float]()]
    for episode in result.episodes:
        seat = [player.agent for player in episode.players].index(1)
        score = episode.players[seat].score
        assert score is not None
        assert score + (episode.players[1 - seat].score or 0.0) == 1
        assert score == {1.0: 1.0, 0.0: 0.5, -1.0: 0.0}[episode.players[seat].reward]
        by_seat[seat][score] += 1
    assert result.seats == tuple(Tally(c[1.0], c[0.5], c[0.0]) for c in by_seat)
    assert result.seats[0].games == result.seats[1].games == 30
    assert result.total.games == 60
    assert result.distinct == len({episode.actions for episode in result.episodes})
    assert result.reasons == {"terminated": 60}
    assert result.elo_low is not None
    assert result.elo is not None
    assert result.elo_high is not None
    assert result.elo_low < result.elo < result.elo_high


def test_greedy_agents_without_openings_replay_one_game() -> None:
    """The reason for sampled openings: the count of distinct games tells."""
    low, high = contender("low", Leaning(-1.0), 1), contender("high", Leaning(1.0), 2)
    result = play_match(None, "tic_tac_toe", low, high, games=40, greedy=True, opening_plies=0)
    assert result.distinct == 2
    with_openings = play_match(None, "tic_tac_toe", low, high, games=40, greedy=True, opening_plies=2)
    assert with_openings.distinct > 20
    sampled = play_match(None, "tic_tac_toe", low, high, games=40, opening_plies=0)
    assert not sampled.greedy, "without openings only sampling makes games differ"
    assert sampled.distinct > 30


def test_scripts_keep_their_distribution_in_greedy_matches(store: Store) -> None:
    random = resolve(store, "tic_tac_toe", "random")
    result = play_match(None, "tic_tac_toe", random, random, games=40, greedy=True, opening_plies=0)
    assert result.distinct == 40


@pytest.mark.parametrize("greedy", [True, False])
def test_a_game_does_not_depend_on_how_many_are_played(greedy: bool, store: Store) -> None:
    first, second = contender("network", Network(), 1, "connect_four"), resolve(store, "connect_four", "random")
    few = play_match(None, "connect_four", first, second, games=6, seed=9, greedy=greedy)
    many = play_match(None, "connect_four", first, second, games=2 * BLOCK + 8, seed=9, greedy=greedy)
    assert [e.actions for e in few.episodes] == [e.actions for e in many.episodes[:6]]
    assert [e.chain for e in few.episodes] == [e.chain for e in many.episodes[:6]]
    other = play_match(None, "connect_four", first, second, games=6, seed=10, greedy=greedy)
    assert [e.actions for e in few.episodes] != [e.actions for e in other.episodes]


def test_policies_see_blocks_of_one_size() -> None:
    policy = FirstLegal()
    play_match(None, "tic_tac_toe", contender("a", policy, 1), contender("b", Leaning(0.1), 2), games=BLOCK + 6)
    assert set(policy.rows) == {BLOCK}


def test_openings_are_legal_unfinished_and_stable_under_more_pairs() -> None:
    spec = game_spec("tic_tac_toe")
    openings = sampled_openings(spec, 1, 60, 2)[:, :, 0].T  # [60, 2]
    assert len({tuple(line) for line in openings.tolist()}) >= 58, "72 openings there are, and 60 pairs"
    assert (openings[:, 0] != openings[:, 1]).all()
    assert (openings[:20] == sampled_openings(spec, 1, 20, 2)[:, :, 0].T).all()
    one_ply = sampled_openings(spec, 1, 9, 1)[0, :, 0].tolist()
    assert len(set(one_ply)) >= 8


def test_sampling_follows_the_distribution() -> None:
    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0]).expand(20_000, -1)
    draws = torch.from_numpy(np.random.default_rng(0).integers(0, 2**63 - 1, 20_000))
    share = torch.bincount(sample(probabilities, draws), minlength=6) / 20_000
    assert share[[0, 2, 5]].sum() == 0
    assert share[[1, 3, 4]].tolist() == pytest.approx([0.5, 0.3, 0.2], abs=0.015)
    edges = torch.tensor([0, 2**63 - 1])
    assert sample(probabilities[:2], edges).tolist() == [1, 4], "the ends are possible actions, too"


def test_an_illegal_action_names_the_agent_and_keeps_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def watched(*args: Any, **options: Any) -> VecEnv:
        env = make(*args, **options)
        monkeypatch.setattr(env, "close", lambda: closed.append(env))
        return env

    monkeypatch.setattr("arena.match.make", watched)
    rogue = Contender(_stored(store, "rogue"), Always(1, 0, 0, 0, 0, 0, 0, 0, 0))
    fair = resolve(store, "tic_tac_toe", "first-legal")
    with pytest.raises(IllegalActionError, match="rogue played '1' at step"):
        play_match(store, "tic_tac_toe", rogue, fair, games=4)
    assert len(closed) == 1
    assert store.stats()["matches"] == store.stats()["episodes"] == 0
    broken = Contender(_stored(store, "broken"), Always(*[float("nan")] * 9))
    with pytest.raises(ArenaError, match="broken gave probabilities"):
        play_match(store, "tic_tac_toe", broken, fair, games=4)


def test_a_match_is_stored_whole(store: Store) -> None:
    low, high = Contender(_stored(store, "low"), Leaning(-1.0)), Contender(_stored(store, "high"), Leaning(1.0))
    result = play_match(store, "tic_tac_toe", low, high, games=10, seed=2)
    assert result.match is not None
    assert store.match(result.match).rules == {"greedy": True, "opening_plies": 1, "seed": 2}
    stored = store.episodes(match=result.match)
    assert {e.chain for e in stored} == {e.chain for e in result.episodes}
    assert sum(r.wins + r.draws + r.losses for r in store.pair_results("tic_tac_toe")) == 10
    assert store.check() == []
    play_match(store, "tic_tac_toe", low, low, games=2, seed=2)
    assert sum(r.wins + r.draws + r.losses for r in store.pair_results("tic_tac_toe")) == 10, "not against oneself"


def test_games_without_an_end_are_cut() -> None:
    low, high = contender("low", Leaning(-1.0), 1), contender("high", Leaning(1.0), 2)
    result = play_match(None, "tic_tac_toe", low, high, games=4, max_plies=3)
    assert result.reasons == {"truncated": 4}
    assert [e.length for e in result.episodes] == [3] * 4
    assert result.total == Tally(0, 4, 0)


def test_simultaneous_games_seat_both(store: Store) -> None:
    game = "gridworld/tron"
    a, b = resolve(store, game, "random"), resolve(store, game, "first-legal")
    result = play_match(store, game, a, b, games=8, seed=1)
    assert result.seats[0].games == result.seats[1].games == 4
    assert not result.greedy
    for episode in result.episodes:
        assert len(episode.actions) == 2 * episode.length
        legs = [player.agent for player in episode.players]
        assert legs == ([a.agent.id, b.agent.id] if episode.leg == 0 else [b.agent.id, a.agent.id])
    assert store.check() == []


def test_evaluation_keeps_its_episodes(store: Store) -> None:
    game = "gridworld/cliff"
    result = evaluate(store, game, resolve(store, game, "value-iteration"), episodes=4)
    assert (result.mean, result.std, set(result.lengths)) == (-13.0, 0.0, {13})
    random = evaluate(store, game, resolve(store, game, "random"), episodes=20, seed=1)
    assert random.mean == pytest.approx(np.mean(random.returns))
    assert random.std == pytest.approx(np.std(random.returns))
    assert random.std > 0
    assert random.match is not None
    assert store.match(random.match).kind == "evaluation"
    assert {s.agent: s.episodes for s in store.scores(game)} == {1: 4, 2: 20}


def test_what_cannot_be_played_is_refused(store: Store) -> None:
    game = "tic_tac_toe"
    a, b = resolve(store, game, "random"), resolve(store, game, "minimax")
    with pytest.raises(UsageError, match="at least one game"):
        play_match(store, game, a, b, games=0)
    with pytest.raises(UsageError, match="name 2 agents, not 3"):
        play_match(store, game, a, b, b, games=2)
    with pytest.raises(UsageError, match="arena match tic_tac_toe minimax OTHER"):
        evaluate(store, game, b)
    with pytest.raises(UsageError, match="network is an agent of connect_four, not of tic_tac_toe"):
        play_match(store, game, a, contender("network", Network(), 1, "connect_four"))
    walker = resolve(store, "gridworld/cliff", "random")
    with pytest.raises(UsageError, match="arena evaluate gridworld/cliff"):
        play_match(store, "gridworld/cliff", walker, walker)


def _stored(store: Store, name: str) -> Agent:
    number = store.add_agent(Agent("tic_tac_toe", name, "scripted", policy=name))
    agent = store.agent_by_id(number)
    return Agent(agent.game, agent.name, "checkpoint", id=agent.id)
