"""Policies of Stable-Baselines3 (Raffin et al. 2021, "Stable-Baselines3: Reliable reinforcement learning
implementations") from its saved zips, without the library: PPO, A2C and DQN with MLP policies and discrete actions.

Of a zip only `policy.pth` is loaded, as plain tensors; nothing is unpickled. Layers tell their shapes by themselves;
which activation stands between them is a word in the zip's JSON, which is read as text.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agents.greedy import greedy
from agents.losses import masked_log_softmax
from agents.metrics import PolicyWeights
from agents.policy import Decision
from envs.errors import ArenaError, UsageError
from envs.specs import GameSpec

ALGORITHM = "sb3"
MAX_BYTES = 512 * 2**20
MAX_JSON_BYTES = 16 * 2**20
MAX_LAYERS = 64
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "leakyrelu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}
# Names in policy.pth: hidden layers of a network, then its last layer.
_NETWORKS: dict[str, dict[str, tuple[str, str | None]]] = {
    "actor_critic": {
        "policy": ("mlp_extractor.policy_net", "action_net"),
        "value": ("mlp_extractor.value_net", "value_net"),
    },
    "q": {"policy": ("q_net.q_net", None)},
}
_UNREADABLE = (
    OSError, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError,
    lzma.LZMAError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What `zipfile` raises where a member cannot be had."""
_DEFAULT_ACTIVATION = {"actor_critic": "tanh", "q": "relu"}


def read_zip(path: Path) -> PolicyWeights:
    """The policy of a zip that Stable-Baselines3 saved. Raises ArenaError for everything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            data = _member(archive, "policy.pth", MAX_BYTES)
            about = _member(archive, "data", MAX_JSON_BYTES) if "data" in archive.namelist() else b"{}"
    except _UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) else "it has no policy.pth that can be read"
        raise ArenaError(f"{path} is no zip of Stable-Baselines3's: {reason}") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # of whatever kind: the file may hold anything
        raise ArenaError(
            f"{path}: policy.pth holds more than weights ({type(error).__name__}); it is not loaded"
        ) from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise ArenaError(f"{path}: policy.pth is no list of named tensors")
    return _weights(path, state, _activation(about))


def load_sb3(spec: GameSpec, weights: PolicyWeights) -> SB3Policy:
    """The policy that `read_zip` found, for a game; ArenaError where they do not fit each other."""
    kind, activation = weights.config.get("kind"), weights.config.get("activation")
    if kind not in _NETWORKS or activation not in ACTIVATIONS:
        raise ArenaError("these weights are none of Stable-Baselines3's that are known here")
    if spec.num_actions is None:
        raise UsageError(f"{spec.game} has continuous actions; of Stable-Baselines3's policies discrete ones play here")
    if len(spec.observation_shape) != 1 and "/" in spec.game and not spec.game.startswith("gridworld/"):
        raise UsageError(f"{spec.game} shows more than a row of numbers, whose order an MLP policy cannot tell")
    inputs = torch.Size(spec.observation_shape).numel()
    outputs = {"policy": spec.num_actions, "value": 1}
    networks = {
        name: _network(weights.tensors, name, ACTIVATIONS[activation], inputs, outputs[name], spec.game)
        for name in _NETWORKS[kind]
    }
    return SB3Policy(networks["policy"], networks.get("value"))


class SB3Policy:
    """A policy (and value) network, or action values where there is no value network: the best is played."""

    def __init__(self, policy: nn.Sequential, value: nn.Sequential | None) -> None:
        self.network = nn.ModuleDict({"policy": policy} | ({} if value is None else {"value": value}))
        self.network.requires_grad_(False)

    @torch.no_grad()
    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        x = observation.float().flatten(1)
        output = self.network["policy"](x)
        if "value" in self.network:
            value = self.network["value"](x).squeeze(-1)
            return Decision(masked_log_softmax(output, legal_action_mask).exp(), value)
        return Decision(greedy(output, legal_action_mask), q_values=output)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with archive.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name} is too large")
    return data


def _activation(about: bytes) -> str | None:
    """The activation that `data` names, as a word of its text: "<class 'torch.nn.modules.activation.ReLU'>"."""
    try:
        values: Any = json.loads(about)
        named = str(values["policy_kwargs"]["activation_fn"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    found = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", named)
    return found[1].lower() if found else named[:50]


def _weights(path: Path, state: dict[str, Tensor], activation: str | None) -> PolicyWeights:
    kind = next((kind for kind, parts in _NETWORKS.items() if _present(state, parts)), None)
    if kind is None:
        raise ArenaError(
            f"{path}: no MLP policy of PPO, A2C or DQN; its weights begin with {', '.join(list(state)[:3])}"
        )
    foreign = [name for name in state if "features_extractor" in name or "shared_net" in name or "lstm" in name]
    if foreign:
        raise ArenaError(f"{path}: only plain MLP policies can be taken in, and this one has {foreign[0]}")
    activation = activation or _DEFAULT_ACTIVATION[kind]
    if activation not in ACTIVATIONS:
        raise ArenaError(f"{path}: the activation {activation!r} is none of {', '.join(ACTIVATIONS)}")
    tensors = {}
    for part, (hidden, last) in _NETWORKS[kind].items():
        numbers = sorted(
            int(found[1]) for name in state if (found := re.fullmatch(re.escape(hidden) + r"\.(\d{1,4})\.weight", name))
        )
        places = [f"{hidden}.{number}" for number in numbers] + ([last] if last else [])
        for index, place in enumerate(places):
            for of in ("weight", "bias"):
                if f"{place}.{of}" not in state:
                    raise ArenaError(f"{path}: {place}.{of} is missing")
                tensors[f"{part}.{index}.{of}"] = state[f"{place}.{of}"].float()
    return PolicyWeights(ALGORITHM, {"kind": kind, "activation": activation}, tensors)


def _present(state: dict[str, Tensor], parts: dict[str, tuple[str, str | None]]) -> bool:
    return all(f"{last or hidden + '.0'}.weight" in state for hidden, last in parts.values())


def _network(
    tensors: dict[str, Tensor], part: str, activation: type[nn.Module], inputs: int, outputs: int, game: str
) -> nn.Sequential:
    layers: list[nn.Module] = []
    width = inputs
    for index in range(MAX_LAYERS):
        weight, bias = tensors.get(f"{part}.{index}.weight"), tensors.get(f"{part}.{index}.bias")
        if weight is None or bias is None:
            break
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise ArenaError(f"these weights do not fit {game}: layer {index} takes {list(weight.shape)}, not {width}")
        width = len(weight)
        linear = nn.Linear(weight.shape[1], width, device="meta").to_empty(device="cpu")
        linear.weight.data, linear.bias.data = weight.clone(), bias.clone()
        layers += [linear, activation()]
    if not layers or width != outputs:
        raise ArenaError(f"these weights do not fit {game}: {part} has {width} outputs, not {outputs}")
    return nn.Sequential(*layers[:-1])
