"""Games from inside training: what is kept, that it is what was played, that keeping it changes nothing."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.configs import Config, DQNConfig, MonteCarloConfig, PPOConfig, QLearningConfig, VPGConfig
from arena import recording
from arena.episodes import verify
from arena.recording import PlayedGame, RecordingEnv, as_episodes
from arena.standings import score_table, standings
from arena.store import Store
from arena.training import TrainRequest, train_agent
from envs.errors import ArenaError, UsageError
from envs.registry import make

SMALL = {"num_envs": 8, "hidden_size": 8, "hidden_layers": 1, "snapshot_steps": 256, "pool_blocks": 2}
CASES: dict[str, tuple[str, str, Config]] = {
    "ppo": ("tic_tac_toe", "ppo", PPOConfig(num_steps=8, random_plies=3, **SMALL)),  # type: ignore[arg-type]
    "vpg": ("gridworld/maze", "vpg", VPGConfig(num_steps=8, value_steps=2, **SMALL)),  # type: ignore[arg-type]
    "dqn": ("gridworld/sumo", "dqn", DQNConfig(batch_size=16, report_steps=64, **SMALL)),  # type: ignore[arg-type]
    "tabular": ("gridworld/rooms", "q_learning", QLearningConfig(num_envs=8, report_steps=64)),
    "monte carlo": ("gridworld/tiny", "monte_carlo", MonteCarloConfig(num_envs=8, report_steps=64)),
    "adapter": ("gym/CartPole-v1", "ppo", PPOConfig(num_steps=8, **SMALL)),  # type: ignore[arg-type]
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def request(case: str, name: str, **changes: object) -> TrainRequest:
    game, algorithm, config = CASES[case]
    base = TrainRequest(game, algorithm, name, config, steps=512, checkpoint_steps=128, seed=7, record=2)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def games_of(store: Store, run: str) -> list[tuple[object, ...]]:
    names = {agent.id: agent.name for agent in store.agents(store.run(run).game)}
    return [
        (e.seed, e.actions, e.chain, e.opening_plies, e.reason, [names[p.agent].partition("@")[2] for p in e.players])
        for match in reversed(store.matches(kind="training"))
        if match.rules["run"] == run
        for e in reversed(store.episodes(match=match.id))
    ]


@pytest.mark.parametrize(
    "case", ["ppo", *(pytest.param(case, marks=pytest.mark.slow) for case in CASES if case != "ppo")]
)
def test_training_games_are_kept_and_nothing_else_changes(store: Store, case: str) -> None:
    for name, record in (("kept", 2), ("not", 0)):
        *_, last = train_agent(store, request(case, name, record=record))
        assert last.state == "finished"
    kept = games_of(store, "kept")
    assert len(kept) > 2
    assert games_of(store, "not") == []
    assert {agent.run: agent.checkpoint for agent in store.agents(request(case, "").game) if agent.step == 512} == {
        1: last_checkpoint(store, "kept"),
        2: last_checkpoint(store, "kept"),
    }, "what is learnt is the same"
    assert [verdict for verdict in verify(store) if not verdict.ok] == []
    assert store.check() == []
    assert not any(episode.rated for episode in store.episodes())
    assert standings(store, request(case, "").game) == score_table(store, request(case, "").game) == []

    # The second half of a run that was stopped keeps the games that the whole one kept.
    calls = itertools.count()
    list(train_agent(store, request(case, "halves"), lambda: next(calls) >= 5))
    assert 0 < store.run("halves").step < 512
    list(train_agent(store, request(case, "halves", resume=True, steps=None)))
    assert [game[:-1] for game in games_of(store, "halves")] == [game[:-1] for game in kept]
    assert [verdict for verdict in verify(store) if not verdict.ok] == []


def last_checkpoint(store: Store, run: str) -> str | None:
    return store.agent(store.run(run).game, f"{run}@512").checkpoint


def test_every_so_manieth_game_from_its_beginning_to_its_end() -> None:
    env = RecordingEnv(make("tic_tac_toe", 5), every=3, watched=4)
    generator = torch.Generator().manual_seed(0)
    turn = env.reset(torch.arange(5))
    begun = [(slot, slot) for slot in range(4)]  # (slot, seed) in the order in which games begin
    playing: dict[int, list[int]] = {slot: [] for slot in range(5)}
    ended: dict[tuple[int, int], list[int]] = {}
    for _ in range(60):
        assert turn.legal_action_mask is not None
        action = torch.multinomial(turn.legal_action_mask[:, 0].float(), 1, generator=generator)
        seeds = env.seeds.tolist()
        step = env.step(action)
        turn = step.turn
        for slot in range(5):
            playing[slot].append(int(action[slot]))
            if bool(step.terminated[slot]):
                ended[slot, seeds[slot]] = playing[slot]
                playing[slot] = []
                if slot < 4:
                    begun.append((slot, int(env.seeds[slot])))
    expected = {key: ended[key] for key in begun[2::3] if key in ended}
    taken = env.take()
    assert len(taken) > 5
    assert {game.seed: [int(a) for a in game.actions] for game in taken} == {
        seed: actions for (_, seed), actions in expected.items()
    }
    assert env.take() == []
    episodes = as_episodes("tic_tac_toe", taken, 0)
    assert [episode.pair for episode in episodes] == list(range(len(taken)))
    assert [[p.reward for p in e.players] for e in episodes] == [list(game.returns) for game in taken]


def test_a_game_that_comes_out_differently_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "VERIFY_BATCH", 1)
    actions = [torch.tensor([action]) for action in (0, 3, 1, 4, 2)]
    won = PlayedGame(5, np.array([1.0, -1.0]), actions, "terminated")
    assert as_episodes("tic_tac_toe", [won, won], 0)[1].reason == "terminated"
    for change in ({"returns": np.array([-1.0, 1.0])}, {"actions": actions[:-1]}, {"reason": "truncated"}):
        with pytest.raises(ArenaError, match="seed 5 does not come out the same"):
            as_episodes("tic_tac_toe", [won, dataclasses.replace(won, **change)], 0)


def test_what_cannot_be_recorded_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = dataclasses.replace(CASES["ppo"][2], pool_share=1.0)
    with pytest.raises(UsageError, match="no games of self-play"):
        list(train_agent(store, request("ppo", "x", config=pool)))
    inexact = make("tic_tac_toe", 1)
    inexact.exact = False
    monkeypatch.setattr("arena.training.make", lambda *args, **options: inexact)
    with pytest.raises(UsageError, match="none can be recorded"):
        list(train_agent(store, request("ppo", "x")))
    assert store.runs() == []


def test_games_of_other_options_than_the_runs_are_not_recorded(store: Store) -> None:
    config = PPOConfig(num_steps=8, training_options="held_out=true", **SMALL)  # type: ignore[arg-type]
    asked = TrainRequest(game="gridworld/maze", algorithm="ppo", config=config, steps=256, record=2, device="cpu")
    with pytest.raises(UsageError, match="training_options"):
        list(train_agent(store, asked))
    assert store.runs() == []
