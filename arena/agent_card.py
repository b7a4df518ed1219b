"""The model card of an exported agent: Markdown under the YAML header that model hubs read. No torch."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arena.agent_files import Measured


def card(config: dict[str, Any], measured: Measured, files: Sequence[str]) -> str:
    """The text of README.md; `config` is what stands in config.json, `files` lie beside it."""
    game, name = config["game"], config["name"]
    score = f"{measured.mean:.2f} +/- {measured.std:.2f}"
    against = f" against {measured.opponent}" if measured.opponent else ""
    tags = ["reinforcement-learning", "deep-reinforcement-learning", config["algorithm"], re.sub(r"\W+", "-", game)]
    header = {
        "library_name": "arena-league",
        "tags": tags,
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
                        "dataset": {"name": game, "type": game},
                        "metrics": [{"type": "mean_reward", "value": score, "name": "mean_reward", "verified": False}],
                    }
                ],
            }
        ],
    }
    lines = [
        "---",
        *(f"{key}: {json.dumps(value)}" for key, value in header.items()),  # JSON is YAML
        "---",
        "",
        f"# {_plain(name)}",
        "",
        f"An agent that plays {_code(game)}, trained with {config['algorithm']}"
        + (f" for {config['step']:,} steps" if config["step"] is not None else "")
        + (f", searching {config['search']:,} simulations a move" if config["search"] else "")
        + ".",
        "",
        "| | |",
        "|---|---|",
        f"| mean return{against}, {measured.episodes} episodes from seed {measured.seed} | **{score}** |",
    ]
    if measured.elo is not None:
        lines.append(
            f"| Elo on its league's scale (95 % interval, {measured.games:,} rated games) | {measured.elo:+.0f} "
            f"({measured.low:+.0f} … {measured.high:+.0f}) |"
        )
    if config["run"] is not None:
        lines.append(f"| run | {_code(config['run']['name'])}, seed {config['run']['seed']} |")
    lines += ["", "It plays again after", "", "```", "arena agents import DIRECTORY", "```", ""]
    replays = [file for file in files if file.startswith("replay")]
    if "replay.gif" in replays:
        lines += ["![A game of it](replay.gif)", ""]
    if replays:
        lines += [f"Its last recorded game: {', '.join(f'[{file}]({file})' for file in replays)}.", ""]
    settings = [f"| `{key}` | {_plain(str(value))} |" for key, value in sorted(config["settings"].items())]
    lines += ["| setting | value |", "|---|---|", *settings, ""]
    return "\n".join(lines)


def _code(text: str) -> str:
    """`text` as code, in a cell of a table too."""
    return f"`{text.replace('`', chr(39)).replace('|', '/')}`"


def _plain(text: str) -> str:
    """`text` with nothing in it that Markdown would obey."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text) if not text.isascii() or not text.isalnum() else text
