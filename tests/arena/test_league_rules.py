"""The rules of leagues as pure functions: gates, resets, what a round's past is, what is taken over from the best."""

from __future__ import annotations

import pytest
import torch

from agents.metrics import TrainingState
from agents.resume import take_over
from arena.league_config import Gate, LeagueConfig, MemberConfig
from arena.league_past import look_back
from arena.records import Agent, LeagueFact, PairResult
from arena.roles import Met, begins_anew, hardest, judge

GAME = "tic_tac_toe"
MET = [
    Met(1, "main", True, False, 6, 10),
    Met(2, "main", False, True, 9, 10),
    Met(3, "league-exploiter", False, True, 8, 10),
]


def test_each_role_has_its_own_hardest() -> None:
    assert hardest("main", MET) == MET[2]
    assert hardest("league-exploiter", MET) == MET[2]
    assert hardest("main-exploiter", MET) == MET[0]
    assert hardest("main", MET[:1]) is None


@pytest.mark.parametrize(
    ("role", "gate", "waited", "decision", "joins"),
    [
        ("main", Gate("always"), 1, None, True),
        ("main", Gate("rule", score=0.77), 1, None, True),  # the posterior mean is 8½ of 11
        ("main", Gate("rule", score=0.78), 1, None, False),
        ("main", Gate("rule", score=0.78, patience=3), 3, None, True),
        ("main-exploiter", Gate("rule", score=0.6), 1, None, False),  # 6½ of 11
        ("main-exploiter", Gate("rule", score=0.59), 1, None, True),
        ("main", Gate("sprt"), 1, "elo1", True),
        ("main", Gate("sprt"), 1, "elo0", False),
        ("main", Gate("sprt"), 1, None, False),
        ("main", Gate("sprt", patience=2), 2, "elo0", True),
    ],
)
def test_gates(role, gate: Gate, waited: int, decision, joins: bool) -> None:
    verdict = judge(role, gate, waited, MET, decision)
    assert verdict.joins is joins
    assert verdict.against == hardest(role, MET).agent
    assert verdict.why
    assert judge(role, gate, waited, []).joins, "where there is nobody to beat it joins"


def test_exploiters_begin_anew() -> None:
    assert not begins_anew("main", True, 0.0, 1.0)
    assert begins_anew("main-exploiter", True, 0.99, 0.25)
    assert not begins_anew("main-exploiter", False, 0.0, 0.25)
    assert [begins_anew("league-exploiter", True, draw, 0.25) for draw in (0.2, 0.3)] == [True, False]


def test_the_past_is_what_was_before_the_round() -> None:
    members = tuple(MemberConfig(name, role, "ppo", 1) for name, role in (("m", "main"), ("x", "main-exploiter")))
    agents = [Agent(GAME, f"a{n}", "scripted", id=n) for n in range(1, 7)]
    facts = [
        LeagueFact(1, round, learner, kind, agent)
        for round, learner, kind, agent in (
            (0, 0, "trained", 1), (0, 1, "trained", 2), (0, 0, "snapshot", 1), (0, 1, "rejected", 2),
            (1, 0, "trained", 3), (1, 1, "trained", 4), (1, 0, "rejected", 3), (1, 1, "snapshot", 4),
            (1, 1, "reset", None), (2, 0, "trained", 5),
        )
    ]  # fmt: skip
    results = [
        PairResult(GAME, 1, 3, 1, 2, 0, 0),
        PairResult(GAME, 1, 1, 3, 0, 0, 2),
        PairResult(GAME, 1, 4, 3, 1, 1, 0),
    ]
    past = look_back(LeagueConfig(members), 2, facts, agents, results)
    assert [[agent.id for agent in frozen] for frozen in past.frozen] == [[1], [4]]
    assert [agent and agent.id for agent in past.newest] == [3, 4]
    assert past.lineage == ((3, 1), ())
    assert past.resets == (0, 1)
    assert past.waited == (1, 0)
    names, mix = past.mix(0)
    assert [agent.id for agent in names] == [1, 3, 4]
    assert mix.weights[1] == 0, "its own newest agent is itself"
    assert mix.weights[2] > mix.weights[0], "what beat it is harder than what it has beaten four times"
    _, exploiter = past.mix(1)
    assert exploiter.weights == (0, 1, 0)
    retired = look_back(LeagueConfig(members), 2, facts, agents[1:], results)
    assert retired.frozen[0] == ()
    assert look_back(LeagueConfig(members), 0, facts, agents, []).mix(0)[1].self_play == 1.0


def test_what_is_learnt_is_taken_over_and_the_rest_is_not() -> None:
    def state(value: float, width: int = 2) -> TrainingState:
        names = ("network/w", "optimizer/0.exp_avg", "target/w", "games/ply", "env/board", "pool/0/w", "memory/action")
        return TrainingState({name: torch.full((width,), value) for name in names}, {"step": int(value)})

    merged = take_over(state(1), state(2))
    assert merged is not None
    assert merged.meta == {"step": 1}
    taken = {name for name, tensor in merged.tensors.items() if tensor[0] == 2}
    assert taken == {"network/w", "optimizer/0.exp_avg", "target/w"}
    assert take_over(state(1), state(2, width=3)) is None
