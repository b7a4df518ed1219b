"""Go games as SGF (Hollosi 2006, "SGF file format FF[4]")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from agents.gtp import NATIVE, PETTINGZOO
from arena.episodes import decode_actions
from arena.formats import Played, Recorded
from arena.records import Episode
from arena.roster import game_spec
from envs.errors import ArenaError, UsageError
from envs.specs import parse_variant

MAX_GAMES = 1000
MAX_NODES = 10_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SETUP = ("AB", "AW", "AE", "PL")


class Node(NamedTuple):
    """A node of the main line: its properties, and the line of the file where it begins."""

    properties: dict[str, list[str]]
    line: int


def write(games: Sequence[Recorded]) -> bytes:
    """A collection of the games. Raises UsageError for games that are not go."""
    return "\n".join(_game(game) for game in games).encode()


def read(data: bytes, game: str | None) -> list[Played]:
    """The games of an SGF file, their main lines; comments and marks are left out.

    Args:
        game: the variant that they are to be taken for, whose size must be theirs; None: `go` of their size and komi.

    Raises ArenaError naming the line of what is wrong, UsageError where another game than go is wanted.
    """
    if game is not None and parse_variant(game).id not in (NATIVE, PETTINGZOO):
        raise UsageError(f"SGF holds games of {NATIVE} or {PETTINGZOO}, not of {game}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return [_played(nodes, game) for nodes in _main_lines(text)]


def _game(game: Recorded) -> str:
    episode = game.episode
    variant = parse_variant(episode.game)
    if variant.id not in (NATIVE, PETTINGZOO):
        raise UsageError(f"SGF is for go; episode {episode.id} is of {episode.game}")
    spec = game_spec(episode.game)
    size = int(((spec.num_actions or 0) - 1) ** 0.5)
    komi = variant.all_options().get("komi", 7.5)
    head = {
        "GM": "1",
        "FF": "4",
        "CA": "UTF-8",
        "AP": "Arena",
        "SZ": str(size),
        "KM": f"{float(komi):g}",
        "RU": "Chinese",
        "DT": datetime.fromtimestamp(episode.created_at / 1000, UTC).strftime("%Y-%m-%d"),
        "EV": f"Arena match {episode.match}",
        "RO": f"{episode.pair + 1}.{episode.leg + 1}",
        "PB": game.names[0],
        "PW": game.names[1],
        "RE": _result(episode),
    }
    lines = ["(;" + "".join(f"{name}[{_escaped(value)}]" for name, value in head.items())]
    moves = []
    for ply, action in enumerate(decode_actions(spec, episode)[:, 0].tolist()):
        point = "" if action == size * size else _LETTERS[action % size] + _LETTERS[action // size]
        moves.append(f";{'BW'[ply % 2]}[{point}]")
    lines += ["".join(moves[start : start + 12]) for start in range(0, len(moves), 12)]
    return "\n".join(lines) + ")\n"


def _result(episode: Episode) -> str:
    black = episode.players[0].score
    if episode.reason == "truncated":
        return "Void"
    if black == 0.5:
        return "0"
    how = "" if episode.reason == "terminated" else "R"
    if episode.forfeit is not None:
        how = "T" if episode.forfeit.startswith("timeout") else "F"
    return f"{'B' if black == 1 else 'W'}+{how}"


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in "]\\:" else c if c.isprintable() else "?" for c in text)


def _played(nodes: Sequence[Node], game: str | None) -> Played:
    root = nodes[0]
    where = f"line {root.line}"
    if root.properties.get("GM", ["1"])[:1] != ["1"]:
        raise ArenaError(f"{where}: this is no game of go (GM is not 1)")
    size = _number(root, "SZ", "19")
    if game is None:
        komi = _number(root, "KM", "7.5")
        try:
            game = str(parse_variant(f"{NATIVE}?size={size:g}&komi={komi:g}"))
        except UsageError as error:
            raise ArenaError(f"{where}: {error}") from None
    lines = int(((game_spec(game).num_actions or 0) - 1) ** 0.5)
    if size != lines:
        raise ArenaError(f"{where}: a board of {size:g} lines, and {game} has {lines}")
    if root.properties.get("HA", ["0"])[:1] not in (["0"], [""]):
        raise ArenaError(f"{where}: games with a handicap cannot be taken in")
    actions: list[int] = []
    places: list[str] = []
    for node in nodes:
        setup = next((name for name in _SETUP if name in node.properties), None)
        if setup is not None:
            raise ArenaError(
                f"line {node.line}: {setup} sets up a position; only games from an empty board are taken in"
            )
        colours = [colour for colour in "BW" if colour in node.properties]
        if not colours:
            continue
        value = node.properties[colours[0]][0]
        place = f"line {node.line}, move {len(actions) + 1} {colours[0]}[{value[:10]}]"
        if colours != ["BW"[len(actions) % 2]]:
            raise ArenaError(f"{place}: black begins, and the two take turns")
        actions.append(_action(value, lines, place))
        places.append(place)
    names = (_first(root, "PB"), _first(root, "PW"))
    winner = _first(root, "RE")[:2].upper()
    scores = {"B+": (1.0, 0.0), "W+": (0.0, 1.0), "0": (0.5, 0.5), "DR": (0.5, 0.5)}.get(winner)
    return Played(game, names, actions, places, scores)


def _action(value: str, lines: int, place: str) -> int:
    if value == "" or (value == "tt" and lines <= 19):
        return lines * lines
    if len(value) == 2 and all(letter in _LETTERS[:lines] for letter in value):
        return _LETTERS.index(value[1]) * lines + _LETTERS.index(value[0])
    raise ArenaError(f"{place}: no point of a board of {lines} lines")


def _first(node: Node, name: str) -> str:
    return node.properties.get(name, [""])[0]


def _number(node: Node, name: str, default: str) -> float:
    text = node.properties.get(name, [default])[0] or default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e6:
        raise ArenaError(f"line {node.line}: {name}[{text[:20]}] is no number")
    return value


def _main_lines(text: str) -> Iterator[list[Node]]:
    """The main line of every game of a collection: of several variations always the first."""
    games = 0
    nodes: list[Node] = []
    branched: list[bool] = []  # per open (: whether a variation below it is over, so that later ones do not count
    line, at, skipped = 1, 0, 0
    while at < len(text):
        letter = text[at]
        if letter == "(":
            skipped = skipped + 1 if skipped or (branched and branched[-1]) else 0
            branched.append(False)
        elif letter == ")":
            if not branched:
                raise ArenaError(f"line {line}: a ) without its (")
            branched.pop()
            skipped = max(0, skipped - 1)
            if branched:
                branched[-1] = True
            else:
                games += 1
                if not nodes:
                    raise ArenaError(f"line {line}: a game without a node")
                if games > MAX_GAMES:
                    raise ArenaError(f"the file has more than {MAX_GAMES:,} games; split it")
                yield nodes
                nodes = []
        elif letter == ";":
            if not branched:
                raise ArenaError(f"line {line}: a node outside of a game; a game is written (;…)")
            properties, end = _properties(text, at + 1, line)
            if not skipped:
                nodes.append(Node(properties, line))
                if len(nodes) > MAX_NODES:
                    raise ArenaError(f"line {line}: a game of more than {MAX_NODES:,} nodes")
            line += text.count("\n", at, end)
            at = end
            continue
        elif not letter.isspace():
            if branched:
                raise ArenaError(f"line {line}: {letter!r} is no SGF")
            following = text.find("(;", at)  # text before a game is allowed to be anything
            line += text.count("\n", at, following if following >= 0 else len(text))
            at = following if following >= 0 else len(text)
            continue
        line += letter == "\n"
        at += 1
    if branched:
        raise ArenaError(f"line {line}: the last game is not closed by a )")


def _properties(text: str, at: int, line: int) -> tuple[dict[str, list[str]], int]:
    """The properties of the node that begins at `at` in this line, and where it ends."""
    properties: dict[str, list[str]] = {}
    name = ""
    while at < len(text):
        letter = text[at]
        if letter == "[":
            value, end = _value(text, at + 1, line)
            if not name:
                raise ArenaError(f"line {line}: a value without a property")
            properties.setdefault(name, []).append(value)
            line += text.count("\n", at, end)
            at = after = end
            while after < len(text) and text[after].isspace():
                after += 1
            if text[after : after + 1] != "[":
                name = ""
            continue
        if letter in ";()":
            break
        if letter.isalpha():
            name += letter if letter.isupper() else ""  # old files spell properties out: Black means B
        elif not letter.isspace():
            raise ArenaError(f"line {line}: {letter!r} is no SGF")
        line += letter == "\n"
        at += 1
    return properties, at


def _value(text: str, at: int, line: int) -> tuple[str, int]:
    """The text up to the ] that closes it, and where that ends."""
    value: list[str] = []
    while at < len(text):
        if text[at] == "\\":
            value.append(text[at + 1 : at + 2])
            at += 2
        elif text[at] == "]":
            return "".join(value).strip(), at + 1
        else:
            value.append(text[at])
            at += 1
    raise ArenaError(f"line {line}: a value is not closed by a ]")
