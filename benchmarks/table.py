"""Writes the README's table from benchmarks/results/*.json: `make bench-table`."""

from __future__ import annotations

import json
import sys
from typing import Any

from harness import RESULTS, ROOT, TABLE_HEAD, table_line

NAMES = ("games", "solve", "rates", "atari", "rlhf")
ALONE = ("selfplay", "selfplay_strength", "curve", "startup", "zoo", "mujoco")
"""Results that have pages of their own and no place among the ratios."""
BEGIN, END = "<!-- benchmarks: written by make bench-table -->", "<!-- end of benchmarks -->"


def table(measured: dict[str, dict[str, Any]]) -> list[str]:
    """A line per comparison of all results by name, and where they come from."""
    results = measured.values()
    lines = [*TABLE_HEAD, *(table_line(row) for result in results for row in result["results"]), ""]
    sources = ", ".join(f"[{result['title']}](benchmarks/results/{name}.md)" for name, result in measured.items())
    machines = dict.fromkeys(result["machine"] for result in results)
    commits = ", ".join(dict.fromkeys(result["commit"] for result in results))
    return [
        *lines,
        f"Medians of alternating runs, a page's on one machine ({'; '.join(machines)}); commits {commits}: {sources}.",
        *further_pages(),
    ]


def further_pages() -> list[str]:
    files = [RESULTS / f"{name}.json" for name in ALONE]
    titles = {file.stem: json.loads(file.read_text())["title"] for file in files if file.exists()}
    links = ", ".join(f"[{title}](benchmarks/results/{name}.md)" for name, title in titles.items())
    return ["", f"Further pages: {links}."] if links else []


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text()
    if BEGIN not in text or END not in text:
        sys.exit(f"README.md has no place for the table: put {BEGIN} and {END} where it belongs")
    measured = {
        name: json.loads((RESULTS / f"{name}.json").read_text())
        for name in NAMES
        if (RESULTS / f"{name}.json").exists()
    }
    before, rest = text.split(BEGIN)
    readme.write_text("\n".join([before + BEGIN, *table(measured), END + rest.split(END)[1]]))


if __name__ == "__main__":
    main()
