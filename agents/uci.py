"""Chess engines that speak UCI (Kahlen and Meyer-Kahlen 2000, "Description of the universal chess interface")."""

from __future__ import annotations

from agents.engine_config import EngineConfig
from agents.engine_process import EngineFailure, EngineProcess
from agents.engine_talk import Choice, Legal, Talk
from envs.chess_positions import GAME, Planes, actions_of, board_of
from envs.errors import UsageError
from envs.specs import GameSpec

CENTIPAWNS_TO_SCORE = 400.0
"""A pawn's worth as if it were rating points: the expected score is 1 / (1 + 10^(−cp / 400))."""


class Uci(Talk):
    """Every move is asked for afresh (`ucinewgame`), so that it depends on the position alone."""

    def __init__(self, spec: GameSpec, config: EngineConfig) -> None:
        if spec.game.partition("?")[0] != GAME:
            raise UsageError(f"a UCI engine plays chess, {GAME}, not {spec.game}")
        if not (config.nodes or config.depth or config.movetime):
            raise UsageError(
                "say how long the engine may think: --set nodes=N, --set depth=N or --set movetime=SECONDS"
            )
        self._options = config.uci_options()
        limits = {"nodes": config.nodes, "depth": config.depth, "movetime": round(1000 * config.movetime)}
        self._go = " ".join(["go", *(f"{name} {value}" for name, value in limits.items() if value)])

    def prepare(self, process: EngineProcess, deadline: float) -> str:
        process.ask(["uci"], deadline)
        name, known = "", set()
        while (line := process.line(deadline)) != "uciok":
            if line.startswith("id name "):
                name = line.removeprefix("id name ")[:100]
            elif line.startswith("option name "):
                known.add(line.removeprefix("option name ").partition(" type ")[0].lower())
        for option in self._options:
            if option.lower() not in known:
                raise UsageError(f"{name or 'the engine'} has no option {option!r}")
        self._ready(
            process, [f"setoption name {name} value {value}" for name, value in self._options.items()], deadline
        )
        return name

    def choose(self, process: EngineProcess, observation: Planes, legal: Legal, deadline: float) -> Choice:
        board = board_of(observation)
        root = board.root()
        moves = " ".join(move.uci() for move in board.move_stack)
        position = f"position fen {root.fen()}" + (f" moves {moves}" if moves else "")
        self._ready(process, ["ucinewgame", position], deadline)
        process.ask([self._go], deadline)
        value: float | None = None
        while not (line := process.line(deadline)).startswith("bestmove"):
            value = _value(line.split(), value)
        word = [*line.split(), "", ""][1]
        action = actions_of(board).get(word)
        if action is None:
            raise EngineFailure("illegal", f"it played {word[:20] or 'nothing'!r}")
        return Choice(action, value)

    def _ready(self, process: EngineProcess, lines: list[str], deadline: float) -> None:
        process.ask([*lines, "isready"], deadline)
        while process.line(deadline) != "readyok":
            pass


def _value(words: list[str], before: float | None) -> float | None:
    """The expected return (−1 … 1) that an `info` line tells for the one to move; else what was known `before`."""
    if words[:1] != ["info"] or "score" not in words or {"lowerbound", "upperbound"} & set(words):
        return before
    kind, number, *_ = [*words[words.index("score") + 1 :], "", ""]
    try:
        score = float(int(number[:9]))
    except ValueError:
        return before
    if kind == "mate":
        return 1.0 if score > 0 else -1.0
    return 2 / (1 + 10 ** (-max(-4000.0, min(4000.0, score)) / CENTIPAWNS_TO_SCORE)) - 1 if kind == "cp" else before
