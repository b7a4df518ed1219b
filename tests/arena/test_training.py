"""Runs: what is kept, how they stop, that a resumed one equals one that never stopped."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from agents.configs import AZConfig, Config, DQNConfig, PPOConfig, QLearningConfig, VPGConfig
from agents.selfplay import SelfPlay
from arena.locks import hold
from arena.roster import known_names, resolve
from arena.run_names import step_label
from arena.starters import starters
from arena.store import Store
from arena.training import Progress, TrainRequest, train_agent
from envs.errors import ArenaError, UnknownNameError, UsageError

SMALL = {"num_envs": 8, "hidden_size": 16, "hidden_layers": 1, "snapshot_steps": 256, "pool_blocks": 2}
CONFIGS: dict[str, Config] = {
    "ppo": PPOConfig(num_steps=8, num_epochs=2, **SMALL),  # type: ignore[arg-type]
    "vpg": VPGConfig(num_steps=8, value_steps=2, **SMALL),  # type: ignore[arg-type]
    "dqn": DQNConfig(learning_starts=100, batch_size=16, report_steps=64, **SMALL),  # type: ignore[arg-type]
    "az": AZConfig(num_steps=8, simulations=4, batch_size=16, **SMALL),  # type: ignore[arg-type]
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def request(algorithm: str = "ppo", name: str | None = "x", **changes: object) -> TrainRequest:
    base = TrainRequest("tic_tac_toe", algorithm, name, CONFIGS[algorithm], steps=1024, checkpoint_steps=256, seed=7)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def train(store: Store, asked: TrainRequest, should_stop: Callable[[], bool] = lambda: False) -> Progress:
    *_, last = train_agent(store, asked, should_stop)
    return last


def stop_after(calls: int) -> Callable[[], bool]:
    counter = itertools.count()
    return lambda: next(counter) >= calls


def checkpoints(store: Store, run: str) -> dict[int | None, str | None]:
    number = store.run(run).id
    return {agent.step: agent.checkpoint for agent in store.agents("tic_tac_toe") if agent.run == number}


def test_a_run_has_the_threads_it_asks_for_and_keeps_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.training.CORES", 2)
    used = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    train(store, request())
    assert set(used) == {1}
    used.clear()
    train(store, request(name="two", threads=2), stop_after(1))
    train(store, request(name="two", resume=True))
    train(store, request(name="all", threads=0))
    assert set(used) == {2}
    with pytest.raises(UsageError, match="threads=3 must be 0 to 2, the cores of this machine"):
        train(store, request(name="three", threads=3))
    assert [run.name for run in store.runs()] == ["x", "two", "all"]


def test_a_run_is_kept_with_all_it_depends_on(store: Store) -> None:
    reports = list(train_agent(store, request()))
    run = store.run("x")
    assert (run.state, run.step, run.total_steps, run.seed, run.device) == ("finished", 1024, 1024, 7, "cpu")
    assert run.config["settings"] == dataclasses.asdict(CONFIGS["ppo"])
    assert {"arena", "torch", "python"} <= run.versions.keys()
    assert run.seconds > 0
    names = [agent.name for agent in store.agents("tic_tac_toe")]
    assert names == ["x@256", "x@512", "x@768", "x@1.0k"]
    assert [r.new_agent for r in reports if r.new_agent] == names
    assert [r.step for r in reports[:-1]] == list(range(0, 1025, 64))
    assert {r.state for r in reports[:-1]} == {"running"}
    assert (reports[-1].state, reports[-1].last_agent) == ("finished", "x@1.0k")
    series = store.metrics(run.id, "losses/entropy")
    assert series[-1][0] == 1024
    assert len(series) == 16
    assert store.check() == []


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["ppo", "vpg", "dqn", "az"])
def test_a_resumed_run_equals_one_that_never_stopped(store: Store, algorithm: str) -> None:
    train(store, request(algorithm, "whole"))
    stopped = train(store, request(algorithm, "halves"), stop_after(5))
    assert stopped.state == store.run("halves").state == "stopped"
    assert 0 < stopped.step < 1024
    finished = train(store, request(algorithm, "halves", resume=True, steps=None))
    assert finished.state == store.run("halves").state == "finished"
    whole, halves = checkpoints(store, "whole"), checkpoints(store, "halves")
    assert whole[1024] == halves[1024]
    assert len(set(whole.values())) == 4
    assert whole.items() <= halves.items()


def test_an_abandoned_run_goes_on_from_its_last_interval(store: Store) -> None:
    """What a killed process leaves: metrics, state and agent of the last interval, and nothing of what came after."""
    train(store, request(name="whole"))
    killed = train_agent(store, request(name="killed"))
    for _ in range(8):
        report = next(killed)
    assert report.step == 448
    killed.close()
    assert store.run("killed").step == 256
    store.extend_run(store.run("killed").id, 1024)  # as a killed process leaves it
    assert store.run("killed").state == "running"
    train(store, request(name="killed", resume=True, steps=None))
    assert checkpoints(store, "killed") == checkpoints(store, "whole")
    for key in ("losses/entropy", "charts/episodic_return"):
        assert store.metrics(store.run("killed").id, key) == store.metrics(store.run("whole").id, key)


@pytest.mark.slow
def test_a_run_goes_beyond_its_end_when_asked(store: Store) -> None:
    train(store, request())
    with pytest.raises(UsageError, match="has finished its 1,024 steps"):
        train(store, request(resume=True, steps=None))
    assert train(store, request(resume=True, steps=1280)).step == 1280
    assert store.run("x").total_steps == 1280
    with pytest.raises(UsageError, match="trains on tic_tac_toe"):
        train(store, request(resume=True, game="connect_four", steps=2000))


def test_what_cannot_be_searched_is_refused_before_a_run_is_made(store: Store) -> None:
    with pytest.raises(UsageError, match="gridworld/tron cannot be searched: tic_tac_toe, connect_four"):
        train(store, dataclasses.replace(request("az"), game="gridworld/tron"))
    assert store.runs() == []


def test_a_run_in_use_is_refused(store: Store) -> None:
    running = train_agent(store, request())
    next(running)
    with pytest.raises(ArenaError, match=r"run x is being worked on by process \d+"):
        train(store, request(resume=True, steps=None))
    running.close()
    assert train(store, request(resume=True, steps=None)).state == "finished"
    with hold(store.path, "thing", "it"), hold(store.path, "other", "it"):
        pass


@pytest.mark.slow
def test_minutes_end_a_run(store: Store) -> None:
    last = train(store, request(steps=10**9, minutes=0.02))
    assert last.state == "stopped"
    assert last.last_agent is not None
    short = train(store, request(name="short", steps=None, minutes=0.03))
    assert store.run("short").total_steps < 10**6
    assert short.last_agent is not None


def test_a_failed_run_says_why(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import torch\ndef wrong(o, a, r, n):\n    return r[:1]\ndef good(o, a, r, n):\n    return r * 2\n"
    (tmp_path / "league_rewards.py").write_text(code)
    asked = request(game="gridworld/cliff", reward="league_rewards:wrong")
    with pytest.raises(UsageError, match="league_rewards:wrong returned"):
        train(store, asked)
    assert store.run("x").state == "failed"
    assert "league_rewards:wrong returned" in (store.run("x").error or "")
    train(store, request(game="gridworld/cliff", name="shaped", reward="league_rewards:good"))
    again = request(game="gridworld/cliff", name="shaped", resume=True, steps=2048)
    with pytest.raises(UsageError, match="--allow-code"):
        train(store, again)
    assert store.run("shaped").state == "finished", "nothing has changed"
    assert train(store, dataclasses.replace(again, allow_code=True)).step == 2048


@pytest.mark.slow
def test_outside_opponents_are_kept_with_the_run(store: Store) -> None:
    with pytest.raises(UnknownNameError, match="did you mean minimax"):
        train(store, request(opponents=("minimx",)))
    assert store.runs() == []
    against = request(name="against", opponents=("minimax", "tactician"))
    train(store, against)
    stopped = train(store, dataclasses.replace(against, name="again"), stop_after(5))
    assert stopped.state == "stopped"
    train(store, request(name="again", resume=True, steps=None))
    assert checkpoints(store, "again")[1024] == checkpoints(store, "against")[1024]
    train(store, request(name="alone"))
    assert checkpoints(store, "alone")[1024] != checkpoints(store, "against")[1024]


@pytest.mark.slow
def test_who_of_the_pool_a_learner_meets_is_a_setting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, set[int]]] = []

    def renew(self: SelfPlay, network: torch.nn.Module) -> None:
        original(self, network)
        seen.append((len(self.snapshots), set(self.drawn)))

    original = SelfPlay.renew
    monkeypatch.setattr(SelfPlay, "renew", renew)
    for draw in ("latest", "window"):
        config = dataclasses.replace(CONFIGS["ppo"], pool_draw=draw, pool_share=0.5, snapshot_steps=128)
        train(store, request(name=f"draws-{draw}", config=config))
        assert max(snapshots for snapshots, _ in seen) > 3
        for snapshots, drawn in seen:
            assert min(drawn) >= (snapshots - 1 if draw == "latest" else snapshots // 2 - 1)
        seen.clear()


def test_bad_requests_change_nothing(store: Store) -> None:
    for changes, message in (
        ({"game": "tictactoe"}, "did you mean tic_tac_toe"),
        ({"algorithm": "pppo", "config": None}, "did you mean ppo"),
        ({"device": "cuda:77"}, "device 'cuda:77'"),
        ({"steps": 0}, "steps=0"),
        ({"minutes": -1.0}, "minutes=-1.0"),
        ({"minutes": math.nan}, "minutes=nan"),
        ({"minutes": math.inf}, "minutes=inf must be more than 0 and have an end"),
        ({"algorithm": "q_learning", "config": None}, "tables and planning need a one-player gridworld"),
        ({"algorithm": "value_iteration", "config": None, "game": "cartpole"}, "tables and planning need"),
        ({"game": "kuhn_poker", "config": dataclasses.replace(PPOConfig(), network="board")}, "needs planes"),
        ({"config": PPOConfig(env_groups=2)}, "env_groups=2 is for one-player games: tic_tac_toe has 2 players"),
        ({"reward": "agents.shaping:easy_cart"}, "one-player games only"),
        ({"name": "a@b"}, "no @"),
    ):
        with pytest.raises(UsageError, match=message):
            train(store, dataclasses.replace(request(), **changes))  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError):
        train(store, request(resume=True))
    assert store.runs() == store.agents() == []


@pytest.mark.slow
def test_names_of_agents(store: Store) -> None:
    assert [step_label(n) for n in (0, 999, 1000, 9_900, 20_480, 999_600, 2_000_000, 12_345_678)] == [
        *("0", "999", "1.0k", "9.9k", "20k", "1.0M", "2.0M", "12M"),
    ]
    config = QLearningConfig(num_envs=10, report_steps=100)
    asked = TrainRequest("gridworld/tiny", "q_learning", None, config, steps=12_060, checkpoint_steps=6_010)
    train(store, asked)
    train(store, dataclasses.replace(asked, checkpoint_steps=12_020))
    names = ["q_learning-1@6.0k", "q_learning-1@12k", "q_learning-1@12.1k", "q_learning-2@12k", "q_learning-2@12.1k"]
    assert [agent.name for agent in store.agents("gridworld/tiny")] == names


@pytest.mark.slow
def test_names_of_players(store: Store) -> None:
    game = "tic_tac_toe"
    scripts = ["random", "first-legal", "tactician", "minimax", "mcts-100", "mcts-1000", "mcts-10000"]
    before = known_names(store, game)
    assert before[:7] == scripts
    assert before[7:] == [starter.name for starter in starters(game)]
    train(store, request())
    assert known_names(store, game)[len(before) :] == ["x@256", "x@512", "x@768", "x@1.0k"]
    assert resolve(store, game, "x").name == resolve(store, game, "x@latest").name == "x@1.0k"
    assert resolve(store, game, "x@512").policy is resolve(store, game, "x@512").policy, "loaded once"
    store.retire_agent(game, "x@512")
    assert "x@512" not in known_names(store, game)
    assert resolve(store, game, "x@512").name == "x@512"
    assert resolve(store, game, "minimax").agent.kind == "solver"
    assert resolve(store, game, "random").agent.id == resolve(store, game, "random").agent.id
    store.human(game, "ada")
    with pytest.raises(UsageError, match="ada is a person"):
        resolve(store, game, "ada")
    with pytest.raises(UnknownNameError, match=r"did you mean x@1\.0k"):
        resolve(store, game, "x@1.k")
    with pytest.raises(UnknownNameError, match="unknown agent of gridworld/tiny 'minimax'"):
        resolve(store, "gridworld/tiny", "minimax")


def test_agents_play_other_variants_that_look_the_same(store: Store) -> None:
    config = QLearningConfig(num_envs=10, report_steps=100)
    asked = TrainRequest("gridworld/cliff", "q_learning", "q", config, steps=2000, checkpoint_steps=1000)
    train(store, asked)
    anywhere = "gridworld/cliff?start=any"
    assert resolve(store, anywhere, "q", join=False).agent.id == 0
    assert store.agents(anywhere) == []
    guest = resolve(store, anywhere, "q").agent
    home = resolve(store, "gridworld/cliff", "q@2.0k").agent
    assert (guest.game, guest.name, guest.checkpoint) == (anywhere, "q@2.0k", home.checkpoint)
    assert guest.id != home.id
    assert resolve(store, anywhere, "q").agent == guest
    train(store, dataclasses.replace(asked, resume=True, steps=3000))
    assert resolve(store, anywhere, "q").name == "q@3.0k", "the run's newest, wherever it is a member"
    timed = "gridworld/recycling?minutes=3"
    train(store, dataclasses.replace(asked, game="gridworld/recycling", name="r"))
    with pytest.raises(UsageError, match=r"r@2\.0k has learnt gridworld/recycling, whose observations"):
        resolve(store, timed, "r")
    with pytest.raises(UnknownNameError):
        resolve(store, "gridworld/tiny", "q")


def test_a_corrupt_state_is_told(store: Store) -> None:
    train(store, request(), stop_after(3))
    before = store.run("x")
    store.commit_interval(before.id, before.step, before.seconds, state=b"nonsense")
    with pytest.raises(ArenaError, match="resume state of run 'x' is corrupt"):
        train(store, request(resume=True, steps=None))
    assert store.run("x").state == "failed"


def test_metrics_are_written_between_checkpoints_and_not_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.training.METRICS_SECONDS", 0.0)
    whole = train(store, request(name="whole"))
    reports = train_agent(store, request())
    next(report for report in reports if report.step >= 448)  # half-way between two checkpoints
    run = store.run("x")
    assert (run.step, store.metrics(run.id, "losses/entropy")[-1][0]) == (256, 384)
    reports.close()
    assert train(store, request(resume=True, config=None, steps=None)).step == whole.step
    for key in store.metric_keys(run.id):
        if key != "charts/SPS":
            assert store.metrics(run.id, key) == store.metrics(store.run("whole").id, key)
