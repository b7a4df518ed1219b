"""Stored states of Atari episodes: kept while a game is recorded, a replay goes on from them, wrong ones are found."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch

from arena.allowed import own_key
from arena.episode_states import STATE_STEPS, Place, complete, keep, usable
from arena.episodes import Recorder, Verification, verify
from arena.realtime_game import ReplayTable, _Emulator
from arena.records import Agent, Episode, Match
from arena.store import Store
from envs.registry import make

ALONE, TWO = "ALE/Pong-v5", "pettingzoo/atari/pong_v3"
LENGTH, PLACES = 430, (429, 201, 400, 405)


class Recorded:
    """A league with one episode of random moves, and what was seen when it was played."""

    def __init__(self, path: Path, game: str) -> None:
        self.store = Store(path)
        env = make(game, autoreset=False)
        env.attend("pictures")
        env.reset(torch.tensor([11]))
        recorder = Recorder(env)
        generator = torch.Generator().manual_seed(5)
        assert env.spec.num_actions is not None
        self.seen: dict[int, tuple[bytes, bytes, list[float]]] = {}
        for ply in range(1, LENGTH + 1):
            action = torch.randint(env.spec.num_actions, (1, env.spec.num_slots), generator=generator)
            recorder.record(action, env.step(action))
            if ply in PLACES:
                picture = env.pictures()[-1].tobytes()
                self.seen[ply] = env.fingerprints()[0], picture, recorder.returns[0].tolist()
        env.close()
        agents = [
            self.store.add_agent(Agent(game, f"random {seat}", "scripted", "random"))
            for seat in range(env.spec.num_players)
        ]
        self.episode = recorder.episode(0, agents, reason="truncated", rated=False)
        self.store.add_match(Match(game, "match", {}), [self.episode])

    def verdict(self) -> Verification:
        (verdict,) = verify(self.store)
        return verdict

    def change(self, sql: str, *values: object) -> None:
        with self.store._file.write() as connection:
            for table in ("episodes", "episode_states"):
                connection.execute(f"DROP TRIGGER IF EXISTS {table}_no_update")
            connection.execute(sql, values)

    def scrub(self) -> list[int]:
        """Go to places of the replay, which are as they were; how many steps were emulated for each."""
        table = ReplayTable(self.store, 1)
        taken = []
        for ply in PLACES:
            with mock.patch.object(_Emulator, "step", autospec=True, side_effect=_Emulator.step) as step:
                table.seek(ply)
            taken.append(step.call_count)
            fingerprint, picture, returns = self.seen[ply]
            assert table._shown.env.fingerprints()[0] == fingerprint
            assert table.films()[0][-1].tobytes() == picture
            assert table.positions()[0].returns == returns
        return taken


@pytest.fixture(params=[ALONE, TWO])
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recorded]:
    one = Recorded(tmp_path / "league.db", request.param)
    yield one
    one.store.close()


def test_only_states_that_this_user_has_signed_are_gone_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make("tic_tac_toe").spec
    episode = Episode("tic_tac_toe", 1, 0, 300, b"", b"", "terminated", (), backend=spec.backend)
    packed, beginning = b"at step 200: " + bytes(range(256)), bytes(range(256))
    state = keep(200, [0.0, 1.0], packed, beginning)
    assert state is not None
    assert len(state.data) < 80
    assert usable(spec, episode, [state], beginning) == {200: Place([0.0, 1.0], packed)}
    assert complete(episode, usable(spec, episode, [state], beginning))
    changed = state.data[:-1] + bytes([state.data[-1] ^ 1])
    for wrong in ({"data": changed}, {"data": b""}, {"ply": 300}, {"returns": [0.0]}):
        assert usable(spec, episode, [dataclasses.replace(state, **wrong)], beginning) == {}
    assert usable(spec, episode, [state], beginning + b"x") == {}
    assert usable(spec, dataclasses.replace(episode, backend="elsewhere"), [state], beginning) == {}
    for key in (b"another user's key", None):
        monkeypatch.setattr("arena.episode_states.own_key", lambda key=key: key)
        assert usable(spec, episode, [state], beginning) == {}
    assert keep(200, [0.0, 1.0], packed, beginning) is None


def test_a_users_key_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    first, again = own_key.__wrapped__(), own_key.__wrapped__()
    assert first == again
    assert [path.name for path in (tmp_path / "arena").iterdir()] == ["key"]
    assert (tmp_path / "arena" / "key").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "arena" / "key"))
    assert own_key.__wrapped__() is None


def test_a_replay_goes_on_from_the_nearest_stored_state(recorded: Recorded) -> None:
    states = recorded.store.with_states(recorded.store.episode(1)).states
    assert [state.ply for state in states] == [STATE_STEPS, 2 * STATE_STEPS]
    assert all(len(state.data) < 8000 for state in states)
    assert ReplayTable(recorded.store, 1).ready == LENGTH
    assert recorded.scrub() == [29, 1, 199, 5]
    assert recorded.verdict().ok


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["junk", "another", "elsewhere"])
def test_states_that_are_wrong_are_found_and_not_gone_on_from(recorded: Recorded, harm: str) -> None:
    if harm == "junk":
        recorded.change("UPDATE episode_states SET data = x'00' WHERE ply = 400")
    elif harm == "another":
        recorded.change("UPDATE episode_states SET data = (SELECT data FROM episode_states WHERE ply = 200)")
    elif harm == "elsewhere":
        recorded.change("UPDATE episodes SET backend = 'another emulator 1.0'")
    assert recorded.scrub()[0] in {"junk": (438,), "another": (230,), "elsewhere": (438,)}[harm]
    verdict = recorded.verdict()
    if harm == "another":
        assert not verdict.ok
        assert verdict.step == 400
        assert "stored state" in verdict.problem
    else:
        assert verdict.ok
    assert recorded.store.check() == []


def test_check_names_states_that_no_episode_can_have(recorded: Recorded) -> None:
    recorded.change("UPDATE episode_states SET ply = 999, returns = '[]' WHERE ply = 400")
    (problem,) = recorded.store.check()
    assert "state at step 999 of 430 has 0 returns" in problem
    assert ReplayTable(recorded.store, 1).ready == 0
