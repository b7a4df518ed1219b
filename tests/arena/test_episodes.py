"""Episodes: what is recorded, that it verifies, and that one changed byte anywhere is found and its step named."""

from __future__ import annotations

import dataclasses
import re
import sqlite3
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import torch

from arena.episodes import (
    DIGEST_SIZE,
    Recorder,
    Verification,
    as_text,
    decode_actions,
    frames,
    scores_of,
    verify,
    verify_batch,
)
from arena.formats import Recorded
from arena.formats.film import shots
from arena.lessons import _decisions
from arena.match import evaluate, play_match
from arena.records import Episode
from arena.roster import game_spec, resolve
from arena.store import Store
from envs.errors import ArenaError, IllegalActionError
from envs.protocol import VecEnv
from envs.registry import make

GAMES = ("tic_tac_toe", "connect_four", "gridworld/tron")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "league.db")


def play(store: Store, game: str, games: int = 6) -> list[Episode]:
    random, first = resolve(store, game, "random"), resolve(store, game, "first-legal")
    match = play_match(store, game, random, first, games=games, seed=4).match
    return sorted(store.episodes(match=match), key=lambda episode: episode.id)


def tamper(store: Store, sql: str, *values: object) -> None:
    """Change a fact behind the Store's back."""
    connection = sqlite3.connect(store.path)
    with connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql, values)
    connection.close()


def flip(data: bytes, position: int, bit: int = 1) -> bytes:
    return data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :]


def verdict(store: Store, episode: Episode) -> Verification:
    (found,) = verify(store, [episode.id])
    assert not found.ok
    assert found.episode == episode.id
    return found


def test_the_chain_is_as_documented(store: Store) -> None:
    """By hand, from the plan's formula, with the game played once more by itself."""
    episode = play(store, "tic_tac_toe")[0]
    env = make("tic_tac_toe", autoreset=False)
    env.reset(torch.tensor([episode.seed]))
    head = blake2b(f"tic_tac_toe\n1\n{episode.seed}\n".encode() + env.fingerprints()[0], digest_size=8).digest()
    chain = head
    for action in episode.actions:
        step = env.step(torch.tensor([[action]]))
        rewards = step.rewards[0].numpy().astype("<f4").tobytes()
        ended = bytes([int(step.terminated[0])])
        head = blake2b(head + bytes([action]) + rewards + ended + env.fingerprints()[0], digest_size=8).digest()
        chain += head
    assert episode.chain == chain
    assert bool(step.terminated[0])


@pytest.mark.parametrize("game", GAMES)
def test_everything_that_was_played_verifies(store: Store, game: str) -> None:
    episodes = play(store, game)
    assert len({episode.length for episode in episodes}) > 1, "games of different lengths are verified side by side"
    results = list(verify(store))
    assert [r.ok for r in results] == [True] * 6
    assert {r.episode for r in results} == {e.id for e in episodes}


def test_all_are_verified_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    episodes = play(store, "tic_tac_toe")
    monkeypatch.setattr("arena.episodes.PAGE", 4)
    assert sorted(r.episode for r in verify(store)) == sorted(e.id for e in episodes)


def test_evaluations_verify(store: Store) -> None:
    evaluate(store, "gridworld/maze", resolve(store, "gridworld/maze", "random"), episodes=5)
    assert all(r.ok for r in verify(store))


@pytest.mark.parametrize("game", GAMES)
def test_every_changed_action_is_named(store: Store, game: str) -> None:
    episode = play(store, game)[0]
    slots = game_spec(game).num_slots
    for position in range(len(episode.actions)):
        changed = dataclasses.replace(episode, actions=flip(episode.actions, position))
        (found,) = verify_batch([changed])
        assert not found.ok
        assert found.step == position // slots + 1
        assert f"step {found.step}:" in found.problem
    (sound,) = verify_batch([episode])
    assert sound.ok


def test_every_changed_chain_byte_is_named(store: Store) -> None:
    episode = play(store, "tic_tac_toe")[0]
    for position in range(len(episode.chain)):
        (found,) = verify_batch([dataclasses.replace(episode, chain=flip(episode.chain, position, 128))])
        assert not found.ok
        assert found.step == position // DIGEST_SIZE


def test_tampering_with_the_file_is_found(store: Store) -> None:
    first, second, third, fourth, fifth, sixth = play(store, "connect_four")
    tamper(store, "UPDATE episodes SET actions = ? WHERE id = ?", flip(first.actions, 4), first.id)
    tamper(store, "UPDATE episodes SET chain = ? WHERE id = ?", flip(second.chain, 8 * 3 + 5), second.id)
    tamper(store, "UPDATE episode_players SET reward = 0.5 WHERE episode = ? AND seat = 1", third.id)
    tamper(store, "UPDATE episode_players SET score = 1 - score WHERE episode = ?", fourth.id)
    tamper(store, "UPDATE episodes SET reason = 'truncated' WHERE id = ?", fifth.id)
    tamper(store, "UPDATE episodes SET seed = seed + 1 WHERE id = ?", sixth.id)
    assert verdict(store, first).step == 5
    assert verdict(store, second).problem == "step 3: its hash was changed: the later ones agree with the re-simulation"
    assert verdict(store, third).step == third.length
    assert "seat 1's return" in verdict(store, third).problem
    assert "score" in verdict(store, fourth).problem
    assert "terminated there, not truncated" in verdict(store, fifth).problem
    assert verdict(store, sixth).step == 0
    assert [r.ok for r in verify(store)] == [False] * 6


def test_the_last_hash_is_covered_too(store: Store) -> None:
    episode = play(store, "tic_tac_toe")[0]
    (found,) = verify_batch([dataclasses.replace(episode, chain=flip(episode.chain, len(episode.chain) - 1))])
    assert found.step == episode.length


@pytest.mark.parametrize(
    ("game", "backend"),
    [
        ("gym/FrozenLake-v1", r"gymnasium \d.*"),
        ("ALE/Freeway-v5", r"ale-py \d.*, ROM md5 [0-9a-f]{32}"),
        ("gridworld/cliff", ""),
    ],
)
def test_whose_rules_were_played_is_kept_and_named(store: Store, game: str, backend: str) -> None:
    evaluate(store, game, resolve(store, game, "random"), episodes=1)
    (episode,) = store.episodes(game)
    assert episode.backend is not None
    assert re.fullmatch(backend, episode.backend)
    assert verify_batch([episode])[0].ok
    elsewhere = dataclasses.replace(episode, backend="ale-py 0.1, ROM md5 0", chain=flip(episode.chain, 9))
    assert "it was played by ale-py 0.1, ROM md5 0, here is " in verify_batch([elsewhere])[0].problem


def test_impossible_actions_are_reported(store: Store) -> None:
    episode = play(store, "tic_tac_toe")[0]
    repeated = episode.actions[:2] + episode.actions[:1] + episode.actions[3:]
    (found,) = verify_batch([dataclasses.replace(episode, actions=repeated)])
    assert found.problem == f"step 3: action {episode.actions[0]} is not legal there"
    (found,) = verify_batch([dataclasses.replace(episode, actions=episode.actions[:1] + b"\xff" + episode.actions[2:])])
    assert found.problem == "step 2: action 255 is not legal there"


def test_lengths_that_do_not_fit_are_reported(store: Store) -> None:
    episode, *others = play(store, "tic_tac_toe")
    longer = dataclasses.replace(
        episode, actions=episode.actions + b"\0", chain=episode.chain + bytes(8), length=episode.length + 1
    )
    shorter = dataclasses.replace(
        episode, actions=episode.actions[:-1], chain=episode.chain[:-8], length=episode.length - 1
    )
    torn = dataclasses.replace(episode, actions=episode.actions[:-1])
    huge = dataclasses.replace(episode, length=2**40)
    newer = dataclasses.replace(episode, version=2)
    found = [verify_batch([changed, *others])[0] for changed in (longer, shorter, torn, huge, newer)]
    assert found[0].step == episode.length + 1
    assert "had ended" in found[0].problem
    assert "not over" in found[1].problem
    assert "bytes" in found[2].problem
    assert "bytes" in found[3].problem
    assert "version 2" in found[4].problem
    unknown = dataclasses.replace(episode, game="gridworld/nowhere")
    assert "unknown game" in verify_batch([unknown])[0].problem


def test_resignations_and_cuts_verify(store: Store) -> None:
    env = make("tic_tac_toe", 2, autoreset=False)
    env.reset(torch.tensor([5, 6]))
    recorder = Recorder(env)
    for action in (4, 0, 8):
        both = torch.full((2, 1), action)
        recorder.record(both, env.step(both))
    assert not recorder.over
    resigned = recorder.episode(0, [1, 2], reason="resigned", scores=[1.0, 0.0])
    cut = recorder.episode(1, [1, 2], reason="truncated")
    assert [player.score for player in cut.players] == [0.5, 0.5]
    assert [r.ok for r in verify_batch([resigned, cut])] == [True, True]
    at_once = Recorder(make_started()).episode(0, [1, 2], reason="resigned", scores=[0.0, 1.0])
    assert at_once.length == 0
    assert verify_batch([at_once])[0].ok


def make_started():  # type: ignore[no-untyped-def]
    env = make("tic_tac_toe", autoreset=False)
    env.reset(torch.tensor([1]))
    return env


def test_scores() -> None:
    assert scores_of([3.0]) == [None]
    assert scores_of([1.0, -1.0]) == [1.0, 0.0]
    assert scores_of([2.0, 2.0]) == [0.5, 0.5]
    assert scores_of([3.0, 1.0, 1.0]) == [1.0, 0.25, 0.25]


def test_frames_step_through_an_episode(store: Store) -> None:
    episode = play(store, "tic_tac_toe")[0]
    shown = list(frames(episode))
    names = game_spec("tic_tac_toe").action_names
    assert [frame.ply for frame in shown] == list(range(episode.length + 1))
    assert [frame.last for frame in shown[1:]] == [{i % 2: names[a]} for i, a in enumerate(episode.actions)]
    assert [frame.to_move for frame in shown[:2]] == [(0,), (1,)]
    assert shown[-1].to_move == ()
    assert sum(frame.rewards[0] for frame in shown) == episode.players[0].reward
    assert len({frame.drawing.text() for frame in shown}) == episode.length + 1
    text = as_text(episode, ["random", "first-legal"])
    assert text.splitlines()[0].endswith("random – first-legal")
    assert shown[-1].drawing.text() in text
    scores = [f"{player.score:g}" for player in episode.players]
    assert text.endswith(f" · score: random {scores[0]}, first-legal {scores[1]}")
    illegal = dataclasses.replace(episode, actions=episode.actions[:1] * episode.length)
    with pytest.raises(IllegalActionError, match="step 2"):
        list(frames(illegal))
    with pytest.raises(ArenaError, match="bytes"):
        decode_actions(game_spec("tic_tac_toe"), dataclasses.replace(episode, length=3))


@pytest.mark.parametrize(
    ("module", "play_on"),
    [
        ("arena.episodes", lambda episode: list(frames(episode))),
        ("arena.formats.film", lambda episode: list(shots(Recorded(episode, ["Ann", "Bob"])))),
        ("arena.lessons", lambda episode: _decisions(episode.game, [episode], 0, None)),
    ],
)
def test_games_are_closed_where_a_record_cannot_be_played(
    module: str, play_on: Callable[[Episode], object], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    episode = play(store, "tic_tac_toe")[0]
    closed: list[str] = []

    def watched(*args: Any, **options: Any) -> VecEnv:
        env = make(*args, **options)
        monkeypatch.setattr(env, "close", lambda: closed.append(module))
        return env

    monkeypatch.setattr(f"{module}.make", watched)
    with pytest.raises(ArenaError, match="legal"):
        play_on(dataclasses.replace(episode, actions=episode.actions[:1] * episode.length))
    assert closed == [module]
