"""Policies from Stable-Baselines3's zips: the same numbers as the layers say, and nothing of a zip is run."""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from agents.sb3 import load_sb3, read_zip
from arena.cli.app import app
from arena.match import evaluate
from arena.roster import game_spec, resolve
from arena.store import Store
from envs.errors import ArenaError, UsageError

RELU = {"policy_kwargs": {":serialized:": "gAV9lC4=", "activation_fn": "<class 'torch.nn.modules.activation.ReLU'>"}}


def layers(prefix: str, *sizes: int) -> dict[str, Tensor]:
    """Linear layers as a Sequential with activations between them names them."""
    found = {}
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layer = nn.Linear(inputs, outputs)
        found[f"{prefix}.{2 * index}.weight"], found[f"{prefix}.{2 * index}.bias"] = layer.weight.data, layer.bias.data
    return found


def renamed(tensors: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    return {name.replace(old, new): tensor for name, tensor in tensors.items()}


def ppo(actions: int = 2) -> dict[str, Tensor]:
    return {
        **layers("mlp_extractor.policy_net", 4, 64, 32),
        **layers("mlp_extractor.value_net", 4, 16),
        **renamed(layers("action_net", 32, actions), ".0", ""),
        **renamed(layers("value_net", 16, 1), ".0", ""),
    }


def dqn() -> dict[str, Tensor]:
    return {**layers("q_net.q_net", 4, 24, 2), **layers("q_net_target.q_net", 4, 24, 2)}


def zipped(path: Path, state: Any, data: Any = None, raw: bytes | None = None) -> Path:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", json.dumps(data or {}))
        archive.writestr("policy.pth", buffer.getvalue() if raw is None else raw)
        archive.writestr("pytorch_variables.pth", b"never read")
    return path


def test_an_actor_critic_says_what_its_layers_say(tmp_path: Path) -> None:
    state = ppo()
    policy = load_sb3(game_spec("gym/CartPole-v1"), read_zip(zipped(tmp_path / "ppo.zip", state, RELU)))
    x, mask = torch.randn(5, 4), torch.ones(5, 2, dtype=torch.bool)
    hidden, seen = x, x
    for index in (0, 2):
        place = f"mlp_extractor.policy_net.{index}"
        hidden = (hidden @ state[f"{place}.weight"].T + state[f"{place}.bias"]).relu()
    seen = (seen @ state["mlp_extractor.value_net.0.weight"].T + state["mlp_extractor.value_net.0.bias"]).relu()
    decision = policy(x, mask)
    expected = (hidden @ state["action_net.weight"].T + state["action_net.bias"]).softmax(-1)
    assert torch.allclose(decision.probabilities, expected, atol=1e-6)
    assert decision.value is not None
    value = (seen @ state["value_net.weight"].T + state["value_net.bias"]).squeeze(-1)
    assert torch.allclose(decision.value, value, atol=1e-6)
    tanh = load_sb3(game_spec("gym/CartPole-v1"), read_zip(zipped(tmp_path / "a2c.zip", state)))
    assert not torch.allclose(tanh(x, mask).probabilities, expected, atol=1e-4), "PPO's own activation is tanh"


def test_a_dqn_joins_and_plays(tmp_path: Path) -> None:
    path, db = zipped(tmp_path / "dqn.zip", dqn()), tmp_path / "league.db"
    runner = CliRunner()
    assert runner.invoke(app, ["agents", "import", str(path), "--db", str(db)]).exit_code == 2, "which game?"
    wrong = runner.invoke(app, ["agents", "import", str(path), "--game", "tic_tac_toe", "--db", str(db)])
    assert (wrong.exit_code, "do not fit tic_tac_toe" in wrong.output) == (1, True)
    assert not db.exists()
    added = runner.invoke(app, ["agents", "import", str(path), "--game", "gym/CartPole-v1", "--db", str(db)])
    assert added.exit_code == 0, added.output
    with Store(db) as store:
        contender = resolve(store, "gym/CartPole-v1", "dqn")
        assert evaluate(store, "gym/CartPole-v1", contender, episodes=2).mean > 0
        x = torch.randn(3, 4)
        decision = contender.policy(x, torch.ones(3, 2, dtype=torch.bool))
        assert decision.q_values is not None
        assert torch.equal(decision.probabilities.argmax(-1), decision.q_values.argmax(-1))


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_nothing_in_a_zip_is_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for raw in (pickle.dumps(Bomb(touched)), None):
        path = zipped(tmp_path / "bomb.zip", ppo() | {"bomb": Bomb(touched)}, raw=raw)
        with pytest.raises(ArenaError, match="more than weights"):
            read_zip(path)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("state", "data", "message"),
    [
        ([1, 2], None, "no list of named tensors"),
        ({"a": 1}, None, "no list of named tensors"),
        ({}, None, "no MLP policy"),
        ({"conv.weight": torch.zeros(1)}, None, "no MLP policy.*conv.weight"),
        (ppo() | {"features_extractor.cnn.0.weight": torch.zeros(1)}, None, "only plain MLP"),
        ({k: v for k, v in ppo().items() if k != "action_net.bias"}, None, "action_net.bias is missing"),
        (ppo(), {"policy_kwargs": {"activation_fn": "evil"}}, "activation 'evil'"),
    ],
)
def test_what_is_no_mlp_policy_is_one_line(tmp_path: Path, state: Any, data: Any, message: str) -> None:
    with pytest.raises(ArenaError, match=message) as caught:
        read_zip(zipped(tmp_path / "x.zip", state, data))
    assert "\n" not in str(caught.value)


def test_what_is_no_zip_or_does_not_fit_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"PK nonsense")
    (tmp_path / "empty.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    for name in ("no.zip", "empty.zip", "missing.zip"):
        with pytest.raises(ArenaError, match=r"is no zip of Stable-Baselines3's"):
            read_zip(tmp_path / name)
    packed = bytearray(zipped(tmp_path / "bad.zip", ppo()).read_bytes())
    with zipfile.ZipFile(tmp_path / "bad.zip") as archive:
        begin = archive.getinfo("policy.pth").header_offset
    packed[begin + 60 : begin + 100] = b"\xff" * 40  # no deflated data
    (tmp_path / "bad.zip").write_bytes(packed)
    with pytest.raises(ArenaError, match=r"no policy\.pth that can be read"):
        read_zip(tmp_path / "bad.zip")
    weights = read_zip(zipped(tmp_path / "ppo.zip", ppo(3)))
    with pytest.raises(ArenaError, match="policy has 3 outputs, not 2"):
        load_sb3(game_spec("gym/CartPole-v1"), weights)
    with pytest.raises(UsageError, match="continuous actions"):
        load_sb3(game_spec("gym/Pendulum-v1"), weights)
    with pytest.raises(UsageError, match="whose order"):
        load_sb3(game_spec("pettingzoo/classic/connect_four_v3"), weights)
