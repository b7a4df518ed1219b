"""Behaviour cloning: it learns what it is shown, is measured on what it is not, and goes on as if never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from agents.bc import Lessons, train
from agents.configs import BCConfig
from agents.policy import RESIGNED
from agents.registry import load_policy
from arena.cli.app import app
from arena.episodes import Recorder
from arena.lessons import _batches, digest, read_lessons
from arena.match import play_match
from arena.records import Match
from arena.roster import resolve
from arena.store import Store
from arena.training import TrainRequest, train_agent
from envs.errors import ArenaError, UsageError
from envs.registry import make

GAME = "tic_tac_toe"
SMALL: dict[str, Any] = {"hidden_size": 32, "hidden_layers": 1, "batch_size": 32}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A league in which first-legal has played ten pairs against random."""
    store = Store(tmp_path / "league.db")
    one, other = (resolve(store, GAME, name) for name in ("first-legal", "random"))
    play_match(store, GAME, one, other, games=20, opening_plies=2)
    return store


def test_lessons_are_what_was_seen_and_chosen(store: Store) -> None:
    lessons = read_lessons(store, GAME, "episodes:first-legal")
    assert bool(lessons.mask.gather(1, lessons.action.unsqueeze(1)).all())
    assert torch.equal(lessons.action, lessons.mask.int().argmax(1)), "these are first-legal's own decisions"
    episodes = store.episodes()
    own = store.agent(GAME, "first-legal").id
    seats = [[player.agent for player in episode.players].index(own) for episode in episodes]
    plies = [sum(ply % 2 == seat for ply in range(2, e.length)) for e, seat in zip(episodes, seats, strict=True)]
    assert len(lessons.action) == sum(plies), "random openings are not learnt from"
    scores = sum(
        count * (2 * (e.players[s].score or 0) - 1) for e, s, count in zip(episodes, seats, plies, strict=True)
    )
    assert float(lessons.value.sum()) == scores
    assert 0 < int(lessons.held_out.sum()) < len(lessons.action) / 4
    both = read_lessons(store, GAME, "episodes")
    assert len(both.action) == sum(episode.length - 2 for episode in episodes)
    with pytest.raises(UsageError, match="no games of connect_four"):
        read_lessons(store, "connect_four", "episodes")


def test_too_many_games_are_refused_before_all_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arena.lessons.MAX_BYTES", 100)
    with pytest.raises(ArenaError, match=r": the decisions of 1 of its 20 games .* \(--db\)"):
        read_lessons(store, GAME, "episodes")


def test_games_are_read_a_few_at_a_time_whatever_they_show(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = read_lessons(store, GAME, "episodes")
    spec, episodes = make(GAME).spec, store.episodes()
    shown = torch.empty(spec.observation_shape, dtype=getattr(torch, spec.observation_dtype)).nbytes
    monkeypatch.setattr("arena.lessons.MAX_BYTES", 4 * shown * 20)
    batches = list(_batches(spec, episodes))
    assert [end for _, end in batches[:-1]] == [start for start, _ in batches[1:]]
    assert all(sum(e.length for e in episodes[a:b]) <= 20 for a, b in batches)
    assert 2 <= len(batches) < 20
    monkeypatch.undo()
    monkeypatch.setattr("arena.lessons._batches", lambda spec, episodes: batches)
    found = read_lessons(store, GAME, "episodes")
    for mine, whole in zip(found, at_once, strict=True):  # the same decisions in another order
        assert mine.shape == whole.shape
        assert mine.float().sum() == whole.float().sum()


def test_a_game_without_a_move_teaches_nothing(store: Store) -> None:
    before = read_lessons(store, GAME, "episodes")
    played = store.episodes()[0]
    env = make(GAME)
    env.reset(torch.tensor([1]))
    recorder = Recorder(env)
    recorder.give_up(0, 0, RESIGNED)
    given_up = recorder.episode(0, [player.agent for player in played.players])
    store.add_match(Match(GAME, "play", {}), [given_up])
    assert all(map(torch.equal, read_lessons(store, GAME, "episodes"), before))


@pytest.mark.slow
def test_it_chooses_as_it_was_shown(store: Store) -> None:
    lessons = read_lessons(store, GAME, "episodes:first-legal")
    env = make(GAME, 1)
    config = BCConfig(**SMALL, learning_rate=0.01)
    *_, last = train(config, env, seed=1, total_steps=12_000, lessons=lessons)
    assert last.policy is not None
    decision = load_policy(env.spec, last.policy)(lessons.observation, lessons.mask)
    shown = ~lessons.held_out
    assert float((decision.probabilities.argmax(-1) == lessons.action)[shown].float().mean()) > 0.97
    assert last.values["charts/accuracy"] > 0.75
    assert last.values["losses/cross_entropy"] < 0.2
    assert decision.value is not None
    errors = (decision.value - lessons.value)[shown].square().mean()
    assert float(errors) < 0.5 * float(lessons.value.var()), "its value knows something of how games end"


@pytest.mark.slow
def test_it_goes_on_as_if_never_stopped(store: Store) -> None:
    lessons = read_lessons(store, GAME, "episodes")
    config, env = BCConfig(**SMALL), make(GAME, 1)

    def run(**more: Any) -> list[Any]:
        return list(train(config, env, seed=3, total_steps=4000, lessons=lessons, checkpoint_steps=1000, **more))

    whole = run()
    first = next(report for report in whole if report.state is not None)
    rest = run(resume=first.state)
    assert rest[-1].step == whole[-1].step
    for name, tensor in whole[-1].policy.tensors.items():
        assert torch.equal(tensor, rest[-1].policy.tensors[name]), name
    with pytest.raises(UsageError, match="needs recorded games"):
        next(train(config, env, seed=0, total_steps=1))
    nothing = Lessons(*(part[:0] for part in lessons))
    with pytest.raises(UsageError, match="needs recorded games"):
        next(train(config, env, seed=0, total_steps=1, lessons=nothing))


@pytest.mark.slow
def test_the_command_line_learns_from_a_file(store: Store, tmp_path: Path) -> None:
    game, file = "go?size=5", tmp_path / "games.sgf"
    file.write_text("(;SZ[5];B[cc];W[bb];B[dd])" * 12)

    def run(*words: object) -> Any:
        return CliRunner().invoke(app, [str(word) for word in (*words, "--db", store.path)])

    done = run(
        "train", game, "--algo", "bc", "--from", file, "--steps", 300, "--name", "pupil", "--set", "hidden_size=16"
    )
    assert done.exit_code == 0, done.output
    assert "pupil@" in done.output
    asked = run("ask", game, "--agent", "pupil", "--json")
    assert asked.exit_code == 0, asked.output
    refused = run("train", game, "--algo", "ppo", "--from", file)
    assert (refused.exit_code, "--from is for bc" in refused.output) == (2, True)
    refused = run("train", game, "--algo", "bc")
    assert (refused.exit_code, "needs recorded games" in refused.output) == (2, True)
    file.write_text("(;SZ[5];B[cc];W[cc])")
    refused = run("train", game, "--algo", "bc", "--from", file)
    assert (refused.exit_code, "line 1, move 2 W[cc]: not legal there" in refused.output) == (1, True)
    changed = run("train", game, "--name", "pupil", "--resume", "--steps", 600)
    assert changed.exit_code == 1
    file.write_text("(;SZ[5];B[dd])" * 12)
    changed = run("train", game, "--name", "pupil", "--resume", "--steps", 600)
    assert (changed.exit_code, "no longer what run pupil began to learn from" in changed.output) == (1, True)


def test_a_run_needs_no_number_of_steps(store: Store) -> None:
    lessons = read_lessons(store, GAME, "episodes")
    request = TrainRequest(GAME, "bc", config=BCConfig(**SMALL), lessons="episodes")
    *_, last = train_agent(store, request)
    assert last.state == "finished"
    assert last.step >= 10 * len(lessons.action)
    assert digest(lessons) == store.run(last.run).config["lessons_digest"]
    with pytest.raises(ArenaError, match="continuous"):
        next(train_agent(store, TrainRequest("gym/Pendulum-v1", "bc", lessons="episodes")))
