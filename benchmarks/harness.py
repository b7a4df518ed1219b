"""Runs our side and the peers' in turn (A B A B …) on one machine and writes medians and ratios to benchmarks/results/.

A side is a command that prints a JSON object with "value" and "unit" last; every side starts its own clock after its
imports. `{run}` in a command becomes 0, 1, …: the seed of the repetition.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
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
# Peers on the CPU; what Jax compiles is kept, so that a repetition does not compile again.
PEER_SETTINGS = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".venv-peers/jax-cache")}
PACKAGES = ("torch", "numpy", "gymnasium", "pettingzoo")
PEER_PACKAGES = ("pgx", "jax", "open-spiel", "stable-baselines3", "pettingzoo", "ale-py", "torch", "trl")


@dataclass(frozen=True)
class Row:
    """One comparison: our command beside a peer's. `higher` says whether more is better; `note` says what is measured
    where the name does not."""

    name: str
    ours: list[str]
    peer: str
    theirs: list[str]
    target: float | None = None
    higher: bool = True
    note: str = ""


def peer(script: str, *args: str) -> list[str]:
    return [PEERS_PYTHON, str(ROOT / "benchmarks/peers" / script), *args]


def measure(command: list[str], opening: str = "{", run: int = 0) -> Any:
    """What the command prints last: JSON that begins with `opening`."""
    words = [word.replace("{run}", str(run)) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=os.environ | PEER_SETTINGS)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout[done.stdout.index(opening) :])


def compare(row: Row, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians of both sides' runs; the ratio is how far ours is ahead, whichever way is better: the median of the
    pairs' ratios, since a machine's load changes from pair to pair."""
    mine, other = (statistics.median(run["value"] for run in side) for side in (ours, theirs))
    ahead = statistics.median(a["value"] / b["value"] for a, b in zip(ours, theirs, strict=True))
    return {
        "name": row.name,
        "note": row.note,
        "peer": row.peer,
        "unit": ours[0]["unit"],
        "ours": mine,
        "theirs": other,
        "ratio": ahead if row.higher else 1 / ahead,
        "target": row.target,
        "runs": {"ours": ours, "theirs": theirs},
        "commands": {"ours": shown(row.ours), "theirs": shown(row.theirs)},
    }


def shown(command: list[str]) -> str:
    """A command as a person in the repository's root types it."""
    return shlex.join(word.removeprefix(f"{ROOT}/") for word in command)


INSTRUCTIONS = {"avx512_bf16": "AVX-512 with bfloat16", "avx512f": "AVX-512", "avx2": "AVX2"}
"""What a processor's flags say about its widest products, the widest first."""


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    about = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = about.get("flags", "").split()
    widest = [name for flag, name in INSTRUCTIONS.items() if flag in flags][:1]
    processor = ", ".join([about.get("model name", platform.processor()), *widest])
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def peer_versions() -> dict[str, str]:
    code = f"import importlib.metadata as m, json; print(json.dumps({{p: m.version(p) for p in {PEER_PACKAGES}}}))"
    return json.loads(subprocess.run([PEERS_PYTHON, "-c", code], capture_output=True, text=True, check=True).stdout)


def table_line(result: dict[str, Any]) -> str:
    target = f"×{result['target']:g}" if result["target"] else "–"
    ours, theirs = (figure(result[side], result["unit"]) for side in ("ours", "theirs"))
    return f"| {result['name']} | {ours} | {theirs} | {result['peer']} | ×{result['ratio']:.2f} | {target} |"


TABLE_HEAD = ["| | Arena | peer | | ratio | target |", "|---|---:|---:|---|---:|---:|"]


def figure(value: float, unit: str) -> str:
    """Three digits that matter: 18.2 M moves/s, 0.61 s."""
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{letter} {unit}"
    return f"{value:.3g} {unit}"


def facts(title: str, command: str) -> dict[str, Any]:
    """What every result says of where it comes from."""
    describe = ["git", "describe", "--always", "--dirty"]
    return {
        "title": title,
        "command": command,
        "commit": subprocess.run(describe, capture_output=True, text=True, cwd=ROOT).stdout.strip(),
        "machine": machine(),
        "load": os.getloadavg()[0],
        "versions": {package: version(package) for package in PACKAGES},
    }


def write(name: str, title: str, command: str, rows: list[Row], repeats: int) -> None:
    """Measure all rows, side by side, `repeats` times; results/NAME.json and .md are written after each time, so that
    an interruption keeps what was measured."""
    about = facts(title, command) | {"peers": peer_versions()}  # the commit that is measured, not one made meanwhile
    runs: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = [([], []) for _ in rows]
    for run in range(repeats):
        for row, (ours, theirs) in zip(rows, runs, strict=True):
            ours.append(measure(row.ours, run=run))
            theirs.append(measure(row.theirs, run=run))
            print(f"{run + 1}: {table_line(compare(row, ours, theirs))}", file=sys.stderr, flush=True)
        results = [compare(row, *sides) for row, sides in zip(rows, runs, strict=True)]
        save(name, about | {"repeats": run + 1, "results": results}, page(about["peers"], run + 1, results))


def page(peers: dict[str, str], repeats: int, results: list[dict[str, Any]]) -> list[str]:
    lines = [
        f"Medians of alternating runs, {repeats} a side; a ratio is the median of the pairs'.",
        "",
        *TABLE_HEAD,
        *map(table_line, results),
        "",
    ]
    lines += [f"- {result['name']}: {result['note']}" for result in results if result["note"]]
    lines += [f"- {result['name']}: peak of memory {peaks}" for result in results if (peaks := memory(result["runs"]))]
    lines += [
        f"- {result['name']}: ours does {share:.0%} of the floating-point operations that large products reach here"
        for result in results
        if (share := peak_share(result["runs"]))
    ]
    lines += ["", "Commands:", ""]
    for result in results:
        lines += [f"- {result['name']}: `{result['commands']['ours']}` · `{result['commands']['theirs']}`"]
    used = ", ".join(f"{package} {number}" for package, number in peers.items())
    return [*lines, "", f"Versions of the peers: {used}."]


def memory(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Both sides' peaks of memory, where the runs tell them."""
    sides = [[run["memory_mib"] for run in runs[side] if "memory_mib" in run] for side in ("ours", "theirs")]
    if not all(sides):
        return ""
    ours, theirs = map(statistics.median, sides)
    return f"{ours:,.0f} MiB beside {theirs:,.0f} MiB"


def peak_share(runs: dict[str, list[dict[str, Any]]]) -> float:
    """Our share of the peak that the processor's products reach, where the runs tell it."""
    shares = [run["peak_share"] for run in runs["ours"] if "peak_share" in run]
    return statistics.median(shares) if shares else 0.0


def save(name: str, about: dict[str, Any], lines: list[str]) -> None:
    """results/NAME.json, and results/NAME.md with these lines under a head that says where they come from."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(about, indent=1) + "\n")
    used = ", ".join(f"{package} {number}" for package, number in about["versions"].items())
    head = [
        f"# {about['title']}",
        "",
        f"`{about['command']}`, commit {about['commit']}, {about['machine']}, {used}.",
        f"Processes that wanted a core when it began (load average): {about['load']:.1f}.",
        "",
    ]
    (RESULTS / f"{name}.md").write_text("\n".join([*head, *lines]) + "\n")
