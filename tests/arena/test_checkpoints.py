"""Policies and training states as bytes: the same in, the same out, under the same hash; corrupt bytes are named."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from agents.metrics import PolicyWeights, TrainingState
from arena import checkpoints
from arena.records import PackedPolicy, Run
from arena.store import Store
from envs.errors import ArenaError


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "league.db") as store:
        yield store


@pytest.fixture
def run(store: Store) -> Run:
    run = Run("dqn-1", "tic_tac_toe", "dqn", {}, 0, 100)
    return dataclasses.replace(run, id=store.create_run(run))


def weights() -> PolicyWeights:
    matrix = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    tensors = {
        "body.weight": matrix.t(),
        "shared": matrix,
        "count": torch.tensor(7),
        "flag": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "generator": torch.Generator().manual_seed(1).get_state(),
    }
    return PolicyWeights("ppo", {"gamma": 0.99, "hidden": [64, 64], "name": "Ö"}, tensors)


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a)


def test_a_policy_comes_back(store: Store) -> None:
    packed = checkpoints.pack_policy(weights())
    assert packed.sha256 == hashlib.sha256(packed.data).hexdigest()
    store.add_checkpoint(packed)
    loaded = checkpoints.load_weights(store, packed.sha256)
    assert (loaded.algorithm, loaded.config) == (weights().algorithm, weights().config)
    assert equal(loaded.tensors, weights().tensors)
    assert store.check() == []


def test_equal_policies_have_equal_bytes() -> None:
    one = weights()
    other = PolicyWeights("ppo", dict(reversed(one.config.items())), dict(reversed(one.tensors.items())))
    assert checkpoints.pack_policy(one) == checkpoints.pack_policy(other)
    changed = PolicyWeights("ppo", one.config | {"gamma": 0.9}, one.tensors)
    assert checkpoints.pack_policy(changed).sha256 != checkpoints.pack_policy(one).sha256


@pytest.mark.slow
def test_the_bytes_are_the_same_in_another_process() -> None:
    script = """
import torch
from agents.metrics import PolicyWeights
from arena.checkpoints import pack_policy
tensors = {name: torch.arange(4.0) for name in {"a", "b", "c", "d", "e"}}
print(pack_policy(PolicyWeights("ppo", {"x": 1, "y": 2, "z": 3}, tensors)).sha256)
"""
    root = Path(__file__).parents[2]
    other = subprocess.run([sys.executable, "-c", script], cwd=root, text=True, capture_output=True, check=True).stdout
    tensors = {name: torch.arange(4.0) for name in "abcde"}
    here = checkpoints.pack_policy(PolicyWeights("ppo", {"x": 1, "y": 2, "z": 3}, tensors))
    assert other.strip() == here.sha256


def test_packing_copies(store: Store) -> None:
    policy = weights()
    packed = checkpoints.pack_policy(policy)
    store.add_checkpoint(packed)
    policy.tensors["shared"].zero_()
    assert checkpoints.load_weights(store, packed.sha256).tensors["shared"][2, 3] == 11


@pytest.mark.parametrize("data", [pickle.dumps({"a": 1}), b"", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}"])
def test_what_is_no_safetensors_of_ours_is_refused(store: Store, data: bytes) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    store.add_checkpoint(PackedPolicy(sha256, "ppo", {}, data))
    with pytest.raises(ArenaError, match=f"checkpoint {sha256} is corrupt"):
        checkpoints.load_weights(store, sha256)


def test_one_changed_byte_is_found(store: Store) -> None:
    packed = checkpoints.pack_policy(weights())
    store.add_checkpoint(packed)
    data = bytearray(packed.data)
    data[-1] ^= 1
    with sqlite3.connect(store.path) as connection:
        connection.execute("DROP TRIGGER checkpoint_chunks_no_update")
        connection.execute("UPDATE checkpoint_chunks SET data = ?", (bytes(data),))
    connection.close()
    with pytest.raises(ArenaError, match=f"checkpoint {packed.sha256} is corrupt"):
        checkpoints.load_weights(store, packed.sha256)


def test_a_training_state_comes_back(store: Store, run: Run) -> None:
    state = TrainingState(
        weights().tensors | {"memory/reward": torch.ones(5)}, {"rng": 2**100, "lr": 0.1, "steps": [1]}
    )
    data = checkpoints.pack_state(store, run, 10, state)
    store.commit_interval(run.id, 10, 1.0, state=data)
    row = store.run_state(run.id)
    assert row is not None
    loaded = checkpoints.unpack_state(store, run, row)
    assert loaded.meta == state.meta
    assert equal(loaded.tensors, state.tensors)
    assert not checkpoints.sidecar_path(store.path, run.id, 10).exists()
    with pytest.raises(ArenaError, match="the resume state of run 'dqn-1' is corrupt"):
        checkpoints.unpack_state(store, run, dataclasses.replace(row, data=row.data[:-1]))


def test_a_large_replay_memory_lies_beside_the_file(store: Store, run: Run, monkeypatch) -> None:
    monkeypatch.setattr(checkpoints, "SIDECAR_BYTES", 1000)
    folder = checkpoints.sidecar_path(store.path, run.id, 0).parent

    def state(step: int) -> TrainingState:
        return TrainingState({"memory/reward": torch.full((1000,), step), "weight": torch.ones(3)}, {"step": step})

    for step in (10, 20):
        store.commit_interval(run.id, step, 1.0, state=checkpoints.pack_state(store, run, step, state(step)))
        assert [path.name for path in folder.iterdir()] == [f"run-{run.id}-{step}.safetensors"]
    checkpoints.pack_state(store, run, 30, state(30))  # killed here, before the commit: step 20 is still whole
    row = store.run_state(run.id)
    assert row is not None
    assert equal(checkpoints.unpack_state(store, run, row).tensors, state(20).tensors)

    newest = checkpoints.sidecar_path(store.path, run.id, 30)
    newest.rename(checkpoints.sidecar_path(store.path, run.id, 20))
    with pytest.warns(UserWarning, match="empty replay memory.*another run or step"):
        assert equal(checkpoints.unpack_state(store, run, row).tensors, {"weight": torch.ones(3)})
    checkpoints.sidecar_path(store.path, run.id, 20).unlink()
    with pytest.warns(UserWarning, match="'dqn-1' goes on with an empty replay memory"):
        lost = checkpoints.unpack_state(store, run, row)
    assert (list(lost.tensors), lost.meta) == (["weight"], {"step": 20})


def test_a_file_written_in_parts_is_read_by_safetensors_and_copies_nothing(tmp_path: Path) -> None:
    kinds = (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.int16, torch.uint8, torch.bool)
    tensors = {f"memory/{kind}": torch.arange(7).to(kind) for kind in kinds}
    tensors |= {"memory/number": torch.tensor(3.5), "memory/none": torch.zeros(0, 4), "memory/view": torch.ones(9)[2:5]}
    head, *parts = checkpoints._parts(tensors, {"run": "dqn-1", "step": 3})
    assert sum(map(len, parts)) == sum(tensor.nbytes for tensor in tensors.values())
    tensors["memory/view"][0] = 7.0
    checkpoints.write_file(tmp_path / "file", head, *parts)
    found, meta = checkpoints._load_file(tmp_path / "file")
    assert meta == {"run": "dqn-1", "step": 3}
    assert equal(found, tensors)
    assert equal(checkpoints._load((tmp_path / "file").read_bytes(), "it")[0], tensors)
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:-1])
    with pytest.raises(ArenaError, match="is corrupt"):
        checkpoints._load_file(tmp_path / "file")


def test_a_sidecar_that_cannot_be_written_leaves_nothing(store: Store, run: Run, monkeypatch) -> None:
    monkeypatch.setattr(checkpoints, "SIDECAR_BYTES", 0)
    store.path.with_name("league.db.runs").touch()
    with pytest.raises(ArenaError, match="cannot be written"):
        checkpoints.pack_state(store, run, 10, TrainingState({"memory/a": torch.ones(3)}, {}))
    assert store.check() == []
