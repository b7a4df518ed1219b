"""Chess games as PGN (Edwards 1994, "Portable game notation specification and implementation guide")."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import chess

from arena.episodes import decode_actions
from arena.formats import Played, Recorded
from arena.records import Episode
from arena.roster import game_spec
from envs.chess_positions import GAME, actions_of
from envs.errors import ArenaError, UsageError

RESULTS = {"1-0": (1.0, 0.0), "0-1": (0.0, 1.0), "1/2-1/2": (0.5, 0.5), "*": None}
MAX_GAMES = 1000
_WIDTH = 80
_TOKEN = re.compile(
    r"""(?P<comment>\{[^}]*\}|;[^\n]*|^%[^\n]*)      # also lines that other programs keep for themselves
    |(?P<unclosed>\{)
    |(?P<tag>\[\s*(?P<name>\w+)\s+"(?P<value>(?:[^"\\\n]|\\.)*)"\s*\])
    |(?P<open>\()|(?P<close>\))
    |(?P<skip>\$\d+|\d+\s*\.+|\.+|[!?]+|\s+)
    |(?P<result>1-0|0-1|1/2-1/2|\*)
    |(?P<move>[A-Za-z][A-Za-z0-9+#=-]*[!?]*|0-0(?:-0)?[+#]?[!?]*)
    |(?P<other>\d+|.)""",  # digits as one: each is looked at once, however many there are
    re.VERBOSE | re.MULTILINE,
)


def write(games: Sequence[Recorded]) -> bytes:
    """The games, an empty line between two. Raises UsageError for games that are not chess."""
    return "\n".join(_game(game) for game in games).encode()


def read(data: bytes, game: str | None) -> list[Played]:
    """The games of a PGN file, their main lines; comments and variations are left out.

    Raises ArenaError naming the line of what is wrong, UsageError where another game than chess is wanted.
    """
    if game not in (None, GAME):
        raise UsageError(f"PGN holds games of {GAME}, not of {game}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    games = list(_games(text))
    if len(games) > MAX_GAMES:
        raise ArenaError(f"the file has more than {MAX_GAMES:,} games; split it")
    return games


def _game(game: Recorded) -> str:
    episode = game.episode
    if episode.game != GAME:
        raise UsageError(f"PGN is for chess; episode {episode.id} is of {episode.game}")
    board, words = chess.Board(), []
    for action in decode_actions(game_spec(GAME), episode)[:, 0].tolist():
        moves = {number: word for word, number in actions_of(board).items()}
        if action not in moves:
            raise ArenaError(f"episode {episode.id}, step {len(board.move_stack) + 1}: its action is not legal there")
        move = chess.Move.from_uci(moves[action])
        number = f"{board.fullmove_number}. " if board.turn == chess.WHITE else ""
        words.append(number + board.san(move))
        board.push(move)
    result = _result(episode)
    tags = {
        "Event": f"Arena match {episode.match}",
        "Site": "Arena",
        "Date": datetime.fromtimestamp(episode.created_at / 1000, UTC).strftime("%Y.%m.%d"),
        "Round": f"{episode.pair + 1}.{episode.leg + 1}",
        "White": game.names[0],
        "Black": game.names[1],
        "Result": result,
        "PlyCount": str(episode.length),
        "Termination": _termination(episode),
    }
    head = "".join(f'[{name} "{_quoted(value)}"]\n' for name, value in tags.items())
    # A move keeps to its number, so that no line ends between them.
    line = textwrap.fill(
        " ".join([*(word.replace(" ", "\0") for word in words), result]), _WIDTH, break_long_words=False
    )
    return f"{head}\n{line.replace(chr(0), ' ')}\n"


def _result(episode: Episode) -> str:
    if episode.reason == "truncated":
        return "*"
    scores = tuple(player.score for player in episode.players)
    return next((word for word, known in RESULTS.items() if known == scores), "*")


def _termination(episode: Episode) -> str:
    if episode.reason == "truncated":
        return "unterminated"
    if episode.forfeit is None:
        return "normal"
    kind = episode.forfeit.partition(":")[0]
    return {"timeout": "time forfeit", "illegal": "rules infraction"}.get(kind, "abandoned")


def _quoted(text: str) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')


class _Token(NamedTuple):
    kind: str
    text: str
    line: int
    name: str = ""


def _tokens(text: str) -> Iterator[_Token]:
    """What counts of the text: tags, and moves and results outside of variations."""
    line, depth = 1, 0
    for found in _TOKEN.finditer(text):
        kind, word = str(found.lastgroup), found.group()
        if found.group("tag"):
            kind, word = "tag", re.sub(r"\\(.)", r"\1", found["value"])
        if kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
            if depth < 0:
                raise ArenaError(f"line {line}: a ) without its (")
        elif kind == "unclosed":
            raise ArenaError(f"line {line}: a comment is not closed by a }}")
        elif kind == "other" and depth == 0:
            raise ArenaError(f"line {line}: {found.group()[:20]!r} is no PGN")
        elif kind in ("tag", "result", "move") and depth == 0:
            yield _Token(kind, word, line, found["name"] or "")
        line += found.group().count("\n")
    if depth:
        raise ArenaError(f"line {line}: a variation is not closed")


def _games(text: str) -> Iterator[Played]:
    tags: dict[str, str] = {}
    board: chess.Board | None = None
    actions: list[int] = []
    places: list[str] = []
    for token in _tokens(text):
        if token.kind == "tag":
            if board is not None:
                raise ArenaError(f"line {token.line}: a tag before the game's result (1-0, 0-1, 1/2-1/2 or *)")
            tags[token.name] = token.text
            if token.name in ("FEN", "SetUp", "Variant") and token.text not in ("0", "Standard", chess.STARTING_FEN):
                raise ArenaError(f"line {token.line}: only games from chess's own start can be taken in")
            continue
        board = board or chess.Board()
        if token.kind == "move":
            number = f"{board.fullmove_number}{'.' if board.turn == chess.WHITE else '…'}"
            place = f"line {token.line}, move {number} {token.text[:20]}"
            try:
                move = board.parse_san(token.text.rstrip("!?"))
            except ValueError:
                raise ArenaError(f"{place}: no legal move there") from None
            actions.append(actions_of(board)[move.uci()])
            places.append(place)
            board.push(move)
        else:
            told = tags.get("Result", token.text)
            if told not in RESULTS or (told != token.text and "*" not in (told, token.text)):
                raise ArenaError(f"line {token.line}: the result is {token.text}, but the tag says {told[:20]}")
            names = (tags.get("White", ""), tags.get("Black", ""))
            yield Played(GAME, names, actions, places, RESULTS[told if told != "*" else token.text])
            tags, board, actions, places = {}, None, [], []
    if board is not None or tags:
        raise ArenaError("the last game has no result (1-0, 0-1, 1/2-1/2 or *) at its end")
