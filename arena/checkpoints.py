"""Policies and training states ↔ safetensors bytes. Nothing is ever pickled or unpickled.

The JSON that belongs to the tensors travels in the file's metadata under one key, so that equal weights and settings
give equal bytes and so one SHA-256. torch is imported inside the functions only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.records import PackedPolicy, Run, RunState
from arena.store_check import METADATA_KEY, sidecar_path
from envs.errors import ArenaError

if TYPE_CHECKING:
    from torch import Tensor

    from agents.metrics import PolicyWeights, TrainingState
    from arena.store import Store

REPLAY_PREFIX = "memory/"
"""A training state's tensors that are replay memory: they may move to a sidecar file, and be lost with it."""
SIDECAR_BYTES = 256 * 2**20
DTYPES = {
    "torch.float64": "F64",
    "torch.float32": "F32",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.int64": "I64",
    "torch.int32": "I32",
    "torch.int16": "I16",
    "torch.uint8": "U8",
    "torch.bool": "BOOL",
}
"""torch's names of types → those of safetensors files."""


def pack_policy(weights: PolicyWeights) -> PackedPolicy:
    """A policy as bytes under their hash; equal weights, algorithm and config give equal bytes."""
    data = _save(weights.tensors, {"algorithm": weights.algorithm, "config": weights.config})
    return PackedPolicy(hashlib.sha256(data).hexdigest(), weights.algorithm, weights.config, data)


def load_weights(store: Store, sha256: str) -> PolicyWeights:
    """The policy of a checkpoint; ArenaError names a checkpoint whose bytes are not what its hash says."""
    return unpack_policy(store.checkpoint_data(sha256), f"checkpoint {sha256}")


def unpack_policy(data: bytes, what: str) -> PolicyWeights:
    """What `pack_policy` made, from its bytes; `what` names it in errors."""
    from agents.metrics import PolicyWeights

    tensors, meta = _load(data, what)
    try:
        return PolicyWeights(str(meta["algorithm"]), dict(meta["config"]), tensors)
    except (KeyError, TypeError, ValueError):
        raise ArenaError(f"{what} does not say which algorithm made it") from None


def state_bytes(state: TrainingState) -> bytes:
    """A training state as bytes, all of it, however large."""
    return _save(state.tensors, {"meta": state.meta, "sidecar": False})


def state_of(data: bytes, what: str) -> TrainingState:
    """What `state_bytes` made; `what` names it in errors."""
    from agents.metrics import TrainingState

    tensors, meta = _load(data, what)
    return TrainingState(tensors, meta.get("meta", {}))


def pack_state(store: Store, run: Run, step: int, state: TrainingState) -> bytes:
    """A training state as bytes for `Store.commit_interval` of the same step.

    Where it is larger than 256 MiB its replay memory (names beginning with `memory/`) is written to a file beside the
    database, which the commit takes up and `gc` removes when the run is finished.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.tensors.values())
    replay = {name: tensor for name, tensor in state.tensors.items() if name.startswith(REPLAY_PREFIX)}
    if size <= SIDECAR_BYTES or not replay:
        return state_bytes(state)
    write_file(sidecar_path(store.path, run.id, step), *_parts(replay, {"run": run.name, "step": step}))
    rest = {name: tensor for name, tensor in state.tensors.items() if name not in replay}
    return _save(rest, {"meta": state.meta, "sidecar": True})


def unpack_state(store: Store, run: Run, row: RunState) -> TrainingState:
    """What `pack_state` made; without its replay memory, and with a warning, where the sidecar is lost."""
    from agents.metrics import TrainingState

    tensors, meta = _load(row.data, f"the resume state of run {run.name!r}")
    if meta.get("sidecar"):
        path = sidecar_path(store.path, run.id, row.step)
        try:
            replay, origin = _load_file(path)
            if origin != {"run": run.name, "step": row.step}:
                raise ArenaError(f"{path} belongs to another run or step")
            tensors |= {name: tensor for name, tensor in replay.items() if name.startswith(REPLAY_PREFIX)}
        except (OSError, ArenaError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            warnings.warn(f"run {run.name!r} goes on with an empty replay memory: {path}: {reason}", stacklevel=2)
    return TrainingState(tensors, meta.get("meta", {}))


def _save(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return save(copies, metadata={METADATA_KEY: json.dumps(meta, sort_keys=True, separators=(",", ":"))})


def _parts(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Iterator[bytes | memoryview]:
    """The safetensors file that `_save` makes, piece by piece: of a memory of gigabytes no copy is made."""
    import torch

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    plain = dict(sorted(plain.items(), key=lambda item: -item[1].element_size()))  # so that each is aligned
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: json.dumps(meta, sort_keys=True, separators=(",", ":"))}}
    end = 0
    for name, tensor in plain.items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[str(tensor.dtype)], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield struct.pack("<Q", len(text)) + text
    for tensor in plain.values():
        yield tensor.reshape(-1).view(torch.uint8).numpy().data


def _load_file(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `_parts` made, as the file lies on the disk: read where it is needed. Raises OSError where it is missing."""
    from safetensors import SafetensorError, safe_open

    path.open("rb").close()
    try:
        with safe_open(str(path), "pt") as file:
            meta = json.loads(file.metadata()[METADATA_KEY])
            if not isinstance(meta, dict):
                raise ValueError
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
        raise ArenaError(f"{path} is corrupt: it is no safetensors file of Arena's") from None


def _load(data: bytes, what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(data)
        (length,) = struct.unpack("<Q", data[:8])
        meta = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][METADATA_KEY])
        if not isinstance(meta, dict):
            raise ValueError
    except (SafetensorError, ValueError, KeyError, TypeError, struct.error, RecursionError):
        raise ArenaError(f"{what} is corrupt: it is no safetensors file of Arena's") from None
    return tensors, meta


def write_file(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file of these parts so that it is there whole or not at all, even after a power cut."""
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        with partial.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ArenaError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
