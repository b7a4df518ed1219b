"""Runs our side and the peers' in turn (A B A B …) on one machine and writes medians and ratios to benchmarks/results/.

A side is a command whose last line of output is a JSON object with "value" and "unit"; every side starts its own
clock after its imports.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OURS = [str(ROOT / ".venv/bin/arena"), "bench"]
PEERS_PYTHON = str(ROOT / ".venv-peers/bin/python")
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "numpy", "gymnasium", "pettingzoo")
PEER_PACKAGES = ("pgx", "jax", "stable-baselines3", "pettingzoo", "torch")


@dataclass(frozen=True)
class Row:
    """One comparison: our command beside a peer's. `higher` says whether more is better."""

    name: str
    ours: list[str]
    peer: str
    theirs: list[str]
    target: float | None = None
    higher: bool = True


def peer(script: str, *args: str) -> list[str]:
    return [PEERS_PYTHON, str(ROOT / "benchmarks/peers" / script), *args]


def measure(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"})
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(row: Row, repeats: int) -> dict[str, Any]:
    """Both sides alternately; the ratio is how far ours is ahead, whichever way is better."""
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(measure(row.ours))
        theirs.append(measure(row.theirs))
    mine, other = (statistics.median(run["value"] for run in side) for side in (ours, theirs))
    result = {
        "name": row.name,
        "peer": row.peer,
        "unit": ours[0]["unit"],
        "ours": mine,
        "theirs": other,
        "ratio": mine / other if row.higher else other / mine,
        "target": row.target,
        "runs": {"ours": ours, "theirs": theirs},
        "commands": {"ours": row.ours[1:], "theirs": row.theirs[1:]},
    }
    print(
        f"{row.name}: {mine:,.4g} against {other:,.4g} {result['unit']} ({row.peer}): ×{result['ratio']:.2f}",
        file=sys.stderr,
    )
    return result


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def peer_versions() -> dict[str, str]:
    code = f"import importlib.metadata as m, json; print(json.dumps({{p: m.version(p) for p in {PEER_PACKAGES}}}))"
    return json.loads(subprocess.run([PEERS_PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout)


def table_line(result: dict[str, Any]) -> str:
    unit, target = result["unit"], f"×{result['target']:g}" if result["target"] else "–"
    ours, theirs = f"{result['ours']:,.4g} {unit}", f"{result['theirs']:,.4g} {unit}"
    return f"| {result['name']} | {ours} | {theirs} | {result['peer']} | ×{result['ratio']:.2f} | {target} |"


def write(name: str, title: str, command: str, rows: list[Row], repeats: int) -> None:
    """Measure all rows; write results/NAME.json and results/NAME.md."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    results = [compare(row, repeats) for row in rows]
    peers = peer_versions()
    facts = {
        "title": title,
        "command": command,
        "commit": commit,
        "machine": machine(),
        "versions": {package: version(package) for package in PACKAGES},
        "peers": peers,
        "repeats": repeats,
        "results": results,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")
    lines = [
        f"# {title}",
        "",
        f"`{command}`, medians of {repeats} alternating runs, commit {commit}, {facts['machine']}.",
        "",
    ]
    lines += ["| | Arena | peer | | ratio | target |", "|---|---:|---:|---|---:|---:|"]
    lines += [table_line(result) for result in results]
    used = facts["versions"] | {f"{package} (peer)": number for package, number in peers.items()}
    lines += ["", "Versions: " + ", ".join(f"{package} {number}" for package, number in used.items()) + "."]
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")
