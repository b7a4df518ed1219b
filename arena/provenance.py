"""What a result depends on besides its settings: device, versions, commit."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path

import numpy as np
import torch

from agents.configs import Config
from envs.errors import UsageError


def resolve_device(name: str, config: Config, scale: float) -> str:
    """The device to train on; "auto" is a GPU where there is one and it pays: pixels or very many games.

    Raises UsageError for a device that is not there.
    """
    pays = scale == 255 or getattr(config, "num_envs", 1) >= 2048
    if name == "auto":
        return "cuda" if pays and torch.cuda.is_available() else "cpu"
    return there(name)


def there(name: str) -> str:
    """A device's name. Raises UsageError where there is no such device."""
    try:
        torch.zeros(1, device=torch.device(name))
    except (RuntimeError, AssertionError):
        raise UsageError(f"device {name!r} is not to be had here; use cpu, or auto") from None
    return name


def versions() -> dict[str, str]:
    """What a result may depend on besides settings and seed."""
    return {
        "arena": importlib.metadata.version("arena-league"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": str(torch.get_num_threads()),
    }


@functools.cache
def commit_hash() -> str:
    """The commit of the source tree that runs, with + where files differ from it; "" outside a checkout."""
    folder = Path(__file__).parent
    try:
        command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
