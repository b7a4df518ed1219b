"""Everything the app can do the command line can do: a list of both."""

from __future__ import annotations

import re
from typing import Any

from typer.main import get_command

from arena.cli.app import app
from tui.keymap import groups

COMMANDS = {
    "home.play": "play --vs",
    "home.continue": "play --resume",
    "home.watch": "match",
    "home.setup": "play --moves",
    "home.leaderboard": "table",
    "home.replays": "replay list",
    "home.label": "label",
    "home.name": "play --as",
    "home.variant": "games show",
    "setup.start": "play --temperature",
    "play.hint": "ask",
    "play.undo": "play --text",  # by the words undo, resign, hint, moves
    "play.resign": "play --text",
    "play.type": "play --text",
    "play.step": "match",
    "play.mind": "ask",
    "play.map": "ask --table",
    "play.new": "play --seat",
    "realtime.resign": "play --text",
    "realtime.race": "play --race",
    "realtime.new": "play --seed",
    "replay.verify": "replay verify",
    "replay.decisive": "replay annotate",
    "replay.play": "play --from",
    "replay.go": "replay show --ply",
    "moving.verify": "replay verify",
    "moving.go": "replay show --ply",
    "replays.open": "replay show",
    "replays.search": "replay list --search",
    "replays.game": "replay list",
    "replays.agent": "replay list --agent",
    "replays.verify": "replay verify",
    "replays.export": "replay export",
    "league.table": "table",
    "league.history": "table --history",
    "league.player": "table --player",
    "league.matrix": "table --matrix",
    "league.family": "league status",
    "league.matches": "replay list --match",
    "league.replays": "replay list --match",
    "league.start": "league run",
    "league.pause": "league pause",
    "training.new": "train",
    "training.stop": "train --resume",  # Ctrl-C stops it and keeps everything
    "training.kill": "train --resume",
    "training.resume": "train --resume",
    "training.details": "runs show",
    "training.mark": "runs compare",
    "training.metric": "runs metrics --key",
    "training.numbers": "runs metrics",
    "form.start": "train --set",
    "label.left": "label --plain",
    "label.right": "label --plain",
    "label.tie": "label --plain",
    "label.bad": "label --plain",
    "label.skip": "label --plain",
    "label.much": "label --plain",
    "label.much_left": "label --plain",
    "label.much_right": "label --plain",
    "label.undo": "label --plain",
    "label.note": "prefs notes",
    "label.guidelines": "prefs guidelines",
    "label.write": "prefs import",
    "label.mode": "label",
    **{f"rank.{letter}": "label --plain" for letter in "abcd"},
    "rank.tie": "label --plain",
    "rank.clear": "label --plain",
    "rank.later": "label --plain",
    **{f"score.{number}": "label --plain" for number in range(1, 8)},
    "score.later": "label --plain",
    "lab.start": "rlhf status",
    "lab.new": "rlhf ppo",
    "lab.stop": "rlhf ppo",
    "lab.resume": "rlhf ppo",
    "lab.answers": "rlhf sample",
    "lab.compare": "rlhf compare",
    "lab.lens": "rlhf lens",
    "lab.curve": "rlhf curve",
    "lab.label": "label",
    "lab.metric": "runs metrics --key",
    "lab.numbers": "runs metrics",
    "samples.lens": "rlhf lens",
    "compare.draw": "rlhf compare --seed",
    "compare.best": "rlhf compare",
    "compare.lens": "rlhf lens",
    "lens.tokens": "rlhf lens",
    "lens.layers": "rlhf lens",
    "lens.reward": "rlhf lens --reward-model",
    "curve.measure": "rlhf curve",
    "lessons.run": "train",
}
"""What the app does, by the ids of its keys, and the command (and option) that does it."""
VIEWS = re.compile(
    r"(app|area|session|pad|plot|job|details|ask)\..*|setup\.(next|leave)|home\.quit"
    r"|replay\.(back|on|start|end|again)|moving\.(back|on|far_back|far_on|start|end|play|again)"
    r"|realtime\.(mode|pause|watch|step|faster|slower|zoom|leave)|replays\.(clear|refresh|leave)"
    r"|league\.(game|before|next|view|output|refresh|leave)|training\.(before|next|output|refresh|leave)"
    r"|form\.(next|before|page_down|page_up|reset|cancel)|label\.(jump|down|up|prompt_down|prompt_up|leave)"
    r"|lab\.(output|refresh|leave)|samples\.(next|before|leave)|lens\.numbers"
    r"|curve\.(next|before|numbers|leave)|lessons\.(next|before|numbers|leave)"
)
"""Ids of keys that only change what is looked at, and how: going about, speed and size, help, logs."""
FOR_PEOPLE = {"play", "label", "prefs guidelines"}
"""Commands that are a conversation: they print no JSON."""


def command(words: list[str]) -> tuple[str, Any]:
    """The command that these words call, and its name."""
    found: Any = get_command(app)
    name = []
    for word in words:
        if word.startswith("-"):
            break
        found = found.commands[word]
        name.append(word)
    return " ".join(name), found


def test_what_the_app_can_do_the_command_line_can_do() -> None:
    ids = {binding.id for _, bindings in groups() for binding in bindings}
    does = {id for id in ids if id is not None and not VIEWS.fullmatch(id)}
    assert does == set(COMMANDS), "a key that is no view has a command, and every command here has a key"
    for id, words in COMMANDS.items():
        name, found = command(words.split())
        options = {option for parameter in found.params for option in parameter.opts}
        assert "--json" in options or name in FOR_PEOPLE, f"{id}: {name} tells nothing to programs"
        assert {word for word in words.split() if word.startswith("-")} <= options, id
