"""What a model directory must look like before any library opens it: it may come from anywhere.

Weights are safetensors files whose headers add up; pickles are refused, and so is a directory that brings its own code.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from envs.errors import ArenaError

MAX_JSON_BYTES = 64 * 2**20
MAX_WEIGHT_BYTES = 64 * 2**30
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".msgpack", ".h5")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
HUB_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "generation_config.json",
)
HUB_SECONDS = 10.0
"""How long the hub may take to say whether it has a model."""
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


class ModelError(ArenaError):
    """A model directory that cannot be loaded or written; the message names the directory and what is wrong."""


def check_directory(directory: str | Path) -> Path:
    """The directory, if everything that will be read from it is of the right form; raises ModelError otherwise.

    A name that is no directory is looked up on the Hugging Face hub.
    """
    path = Path(directory)
    if not path.is_dir():
        path = _from_hub(str(directory))
    where = str(directory)
    for file in path.iterdir():
        if file.exists() and not file.is_file() and not file.is_dir():  # a pipe or device could be read for ever
            raise ModelError(f"{where}: {file.name} is no regular file")
    config = _json(path / "config.json", where)
    if not isinstance(config, dict) or not config.get("model_type"):
        raise ModelError(f"{where}: config.json names no model_type; a Hugging Face model directory has one")
    for name in ("config.json", "tokenizer_config.json"):
        said = _json(path / name, where) if (path / name).exists() else {}
        if not isinstance(said, dict):
            raise ModelError(f"{where}: {name} is no JSON object")
        if "auto_map" in said:
            raise ModelError(
                f"{where}: {name} wants to run code of its own (auto_map); only built-in models are loaded"
            )
    if not any((path / name).exists() for name in TOKENIZER_FILES):
        raise ModelError(f"{where}: there is no tokenizer (tokenizer.json)")
    if (path / "tokenizer.json").exists():
        _json(path / "tokenizer.json", where)
    held: dict[str, int] = {}
    for shard in _weight_files(path, where):
        held |= _check_safetensors(shard, where)
    _check_size(path, config, held, where)
    return path


def check_files(files: dict[str, bytes]) -> None:
    """Raise ModelError for names that would not lie in one directory."""
    for name in files:
        if not name or name != Path(name).name or name in (".", ".."):
            raise ModelError(f"a model's file may not be called {name!r}")


def _weight_files(path: Path, where: str) -> list[Path]:
    index = path / "model.safetensors.index.json"
    if (path / "model.safetensors").exists():
        return [path / "model.safetensors"]
    if index.exists():
        try:
            names = sorted(set(_json(index, where)["weight_map"].values()))
            plain = all(isinstance(name, str) and name == Path(name).name for name in names)
        except (KeyError, TypeError, AttributeError):
            names, plain = [], False
        if not names or not plain or not all(name.endswith(".safetensors") for name in names):
            raise ModelError(f"{where}: {index.name} does not list safetensors files of this directory")
        for name in names:
            if not (path / name).exists():
                raise ModelError(f"{where}: {name} is missing, although {index.name} names it")
        return [path / name for name in names]
    pickled = sorted(file.name for file in path.iterdir() if file.suffix in PICKLES)
    if pickled:
        raise ModelError(
            f"{where}: {pickled[0]} is a pickle, which can run any code; only safetensors weights are loaded"
        )
    raise ModelError(f"{where}: model.safetensors is missing")


def _check_size(path: Path, config: dict[str, Any], held: dict[str, int], where: str) -> None:
    """The model that config.json describes has not more layers and parameters than the weights, before any is made."""
    from transformers import AutoConfig, AutoModelForCausalLM

    numbers = {name: value for name, value in config.items() if type(value) is int}
    for name, value in numbers.items():
        if "layer" in name and not 0 <= value <= len(held) and not name.endswith("_id"):
            raise ModelError(f"{where}: config.json says {name}={value}; the weights lack so many: {len(held)} tensors")
    try:
        import torch

        settings = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(settings, attn_implementation="eager")
    except Exception as error:
        text = " ".join(str(error).split())
        raise ModelError(f"{where}: config.json describes no model: {type(error).__name__}: {text[:200]}") from None
    described = sum(parameter.numel() for parameter in model.parameters())
    if described > sum(held.values()):
        raise ModelError(
            f"{where}: config.json describes {described:,} parameters; the weights lack some, they hold "
            f"{sum(held.values()):,}"
        )


def _check_safetensors(path: Path, where: str) -> dict[str, int]:
    """The header is JSON of a sane size, and the tensors it names fill the file exactly; returns their sizes."""
    corrupt = ModelError(f"{where}: {path.name} is corrupt: it is no safetensors file, or not a whole one")
    size = _size(path, where)
    if size > MAX_WEIGHT_BYTES:
        raise ModelError(f"{where}: {path.name} has {size:,} bytes; at most {MAX_WEIGHT_BYTES:,} are loaded")
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MAX_JSON_BYTES, size - 8):
                raise corrupt
            header = json.loads(file.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        spans = sorted(tuple(entry["data_offsets"]) for entry in tensors.values())
        ends = [0]
        for begin, end in spans:
            if begin != ends[-1] or end < begin:
                raise corrupt
            ends.append(end)
        if ends[-1] != size - 8 - length:
            raise corrupt
        counts = {name: math.prod(entry["shape"]) for name, entry in tensors.items()}
        for name, entry in tensors.items():
            begin, end = entry["data_offsets"]
            if counts[name] * _SIZES.get(entry["dtype"], 1) != end - begin and entry["dtype"] in _SIZES:
                raise corrupt
        return counts
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise corrupt from None
    except OSError as error:
        raise ModelError(f"{where}: {path.name} cannot be read: {error.strerror}") from error


def _json(path: Path, where: str) -> Any:
    size = _size(path, where)
    if size > MAX_JSON_BYTES:
        raise ModelError(f"{where}: {path.name} has {size:,} bytes; at most {MAX_JSON_BYTES:,} are read")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ModelError(f"{where}: {path.name} is not JSON") from None
    except OSError as error:
        raise ModelError(f"{where}: {path.name} cannot be read: {error.strerror}") from error


def _size(path: Path, where: str) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        raise ModelError(f"{where}: {path.name} is missing") from None
    except OSError as error:
        raise ModelError(f"{where}: {path.name} cannot be read: {error.strerror}") from error


def _from_hub(name: str) -> Path:
    """The directory of a name on the hub, by the loading code of `transformers`: downloaded, or what is cached."""
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name.isprintable():
        raise ModelError(f"{name!r}: there is no such directory")
    from huggingface_hub import HfApi, try_to_load_from_cache
    from transformers.utils import cached_file

    def fetch(file: str) -> str | None:
        return cached_file(name, file, _raise_exceptions_for_missing_entries=False)

    try:
        if try_to_load_from_cache(name, "config.json") is None:
            HfApi().model_info(name, timeout=HUB_SECONDS)  # asks once; who downloads asks for half a minute
        config = fetch("config.json")
        if config is None:
            raise OSError
        for file in HUB_FILES:
            fetch(file)
        if fetch("model.safetensors") is None:
            index = fetch("model.safetensors.index.json")
            for shard in sorted(set(json.loads(Path(index).read_bytes())["weight_map"].values())) if index else ():
                fetch(shard)
    except Exception as error:
        raise ModelError(
            f"{name!r} is no directory, and no model of that name is to be had from the Hugging Face hub or its cache"
        ) from error
    return Path(config).parent
