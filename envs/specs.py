"""What is known about a game before it is made: ids, options, variants, sizes. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from envs.errors import UnknownNameError, UsageError

OptionValue = int | float | bool | str
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class Option:
    """One setting of a game. Its type is its default's."""

    name: str
    default: OptionValue
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[OptionValue, ...] | None = None

    def parse(self, text: str, game: str) -> OptionValue:
        kind = type(self.default)
        try:
            value: OptionValue = _TRUTH[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            raise UsageError(f"{game}: option {self.name}={text!r} is not {_KINDS[kind]}; {self.help}") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{game}: option {self.name}={text} is no finite number; {self.help}")
        if isinstance(value, (int, float)) and (
            (self.minimum is not None and value < self.minimum) or (self.maximum is not None and value > self.maximum)
        ):
            raise UsageError(f"{game}: option {self.name}={text} is outside {self.minimum} … {self.maximum}")
        if self.choices is not None and value not in self.choices:
            raise UsageError(f"{game}: option {self.name}={text!r} is none of {', '.join(map(str, self.choices))}")
        return value


@dataclass(frozen=True)
class Game:
    """A registered game before its options are chosen.

    Attributes:
        id: `connect_four`, `gridworld/sumo`; in families (`gym/*`) the rest names an environment of another library.
        version: raised when the rules change, so that old episodes and ratings are not mixed with new ones; 0: only
            the made environment knows.
        num_players: None where only the made environment knows.
        turns: "one player", "turn-based", "simultaneous", or "any" for families.
        observation, actions: in words, for lists.
        source: "native", "ale-py", "gymnasium" or "pettingzoo".
        module: where `make(options, num_envs, device, autoreset)` lives.
    """

    id: str
    version: int
    num_players: int | None
    turns: str
    observation: str
    actions: str
    summary: str
    module: str
    source: str = "native"
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class GameSpec:
    """A made variant: everything about it that never changes.

    Attributes:
        game: the canonical variant, `id` or `id?option=value&…`: the options that differ from their defaults, sorted.
        num_players: P. num_slots: K (1 in one-player and turn-based games, P in simultaneous ones).
        num_actions: A, or None where actions are continuous (then `action_shape` (D,), `action_low`, `action_high`).
        observation_shape, observation_dtype: of one slot; "uint8" for pixels and planes, else "float32".
        action_names: what a person types for each action; names are unique.
        zero_sum: two players whose rewards always add up to zero.
        perfect_information: nothing is hidden or simultaneous, so that a match needs sampled openings to vary.
        max_steps: truncation after so many steps, None for never.
        opening_plies: how many random plies a match's sampled opening has (0: the seed alone varies the game).
        frames: how many pictures, the oldest first, an observation's channels are; each step adds one. 1: no stack.
        scale: what a uint8 observation is divided by before a network (255 for pixels, 1 for planes).
        backend: whose rules are played, "ale-py 0.11.2, ROM md5 …"; empty for Arena's own.
    """

    game: str
    version: int
    num_players: int
    num_slots: int
    num_actions: int | None
    observation_shape: tuple[int, ...]
    observation_dtype: str
    action_names: tuple[str, ...] = ()
    zero_sum: bool = False
    perfect_information: bool = False
    max_steps: int | None = None
    opening_plies: int = 0
    frames: int = 1
    scale: float = 1.0
    action_shape: tuple[int, ...] = ()
    action_low: float = -1.0
    action_high: float = 1.0
    backend: str = ""

    @property
    def shows_ends(self) -> bool:
        """Whether `Step.final` shows how games ended in training too: where a limit may cut them, or one player's
        rewards may be shaped. In other games no learner looks at it, and `final` may be the same as `turn`."""
        return self.max_steps is not None or self.num_players == 1


@dataclass(frozen=True)
class Variant:
    """A game id with the options that differ from their defaults."""

    game: Game
    id: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.options:
            return self.id
        pairs = (f"{name}={_text(value)}" for name, value in sorted(self.options.items()))
        return f"{self.id}?{'&'.join(pairs)}"

    def all_options(self) -> dict[str, OptionValue]:
        """Every option of the game, chosen or default."""
        return {option.name: option.default for option in self.game.options} | dict(self.options)


def _text(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else quote(str(value), safe="/._-:,+")


def find_game(game_id: str) -> Game:
    """The registered game of this id, or the family (`gym/*`) that it belongs to."""
    by_id = {game.id: game for game in GAMES}
    if game_id in by_id and not game_id.endswith("*"):
        return by_id[game_id]
    for game in GAMES:
        family = game.id.removesuffix("*")
        if family != game.id and game_id.startswith(family) and game_id != family and "*" not in game_id:
            return game
    raise UnknownNameError("game", game_id, by_id)


def parse_variant(text: str) -> Variant:
    """`id?option=value&…` → Variant, canonical: unknown options and bad values raise UsageError; defaults are dropped.

    In families of other libraries (`gym/*`, `pettingzoo/*`) further options are handed to that library as given.
    """
    game_id, _, query = text.strip().partition("?")
    game = find_game(game_id)
    known = {option.name: option for option in game.options}
    options: dict[str, OptionValue] = {}
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{text!r}: an option is written name=value, not {pair!r}")
        if name in options:
            raise UsageError(f"{text!r}: option {name} is given twice")
        if name in known:
            options[name] = known[name].parse(unquote(value), game_id)
        elif game.id.endswith("/*") and game.source != "ale-py":
            options[name] = _guess(unquote(value))
        else:
            raise UnknownNameError(f"option of {game_id}", name, known)
    changed = {name: value for name, value in options.items() if name not in known or value != known[name].default}
    return Variant(game, game_id, changed)


def _guess(text: str) -> OptionValue:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


_FOG = Option("fog", 0, "cells beyond this distance are hidden; 0: none are", 0, 31)

_FRAME_SKIP = Option("frame_skip", 4, "frames that an action is held", 1, 32)

_STACK = Option("stack", 4, "pictures seen at a time", 1, 16)

_START = Option("start", "game", "where a game starts: at the game's own start, or anywhere", choices=("game", "any"))

GAMES: tuple[Game, ...] = (
    Game("tic_tac_toe", 1, 2, "turn-based", "2×3×3 planes", "9 squares", "three in a row", "envs.boards.tic_tac_toe"),
    Game("connect_four", 1, 2, "turn-based", "2×6×7 planes", "7 columns", "four in a row", "envs.boards.connect_four"),
    Game("othello", 1, 2, "turn-based", "2×8×8 planes", "64 squares, pass", "flank and flip", "envs.boards.othello"),
    Game(
        "go",
        1,
        2,
        "turn-based",
        "5×size×size planes",
        "points, pass",
        "surround and capture, area scoring",
        "envs.boards.go",
        options=(
            Option("size", 9, "lines along a side", 5, 19),
            Option("komi", 7.5, "what white is given for moving second", -100, 100),
            Option("superko", False, "no position may come back, not only the one before"),
        ),
    ),
    Game("kuhn_poker", 1, 2, "turn-based", "6 bits", "pass, bet", "poker with three cards", "envs.cards.kuhn"),
    Game("cartpole", 2, 1, "one player", "4 numbers", "left, right", "keep the pole upright", "envs.cartpole"),
    Game(
        "gridworld/recycling",
        1,
        1,
        "one player",
        "one-hot cell",
        "left, right",
        "five states in a row: +2 at the left end, +1 in the fourth, +10 at the right end",
        "envs.gridworld.recycling",
        options=(Option("minutes", 0, "the time limit in moves, a rule that the state knows; 0: none", 0, 100), _START),
    ),
    Game(
        "gridworld/tiny",
        1,
        1,
        "one player",
        "one-hot cell",
        "up, down, left, right",
        "2×3 cells with a goal and a red square to be avoided",
        "envs.gridworld.maps",
        options=(_START,),
    ),
    Game(
        "gridworld/trap",
        1,
        1,
        "one player",
        "one-hot place",
        "three exits",
        "exits worth 0, 1 and 1000: who never explores never finds the third",
        "envs.gridworld.trap",
    ),
    Game(
        "gridworld/cliff",
        1,
        1,
        "one player",
        "one-hot cell",
        "up, down, left, right",
        "4×12 cells: along the cliff's edge or the safe way round",
        "envs.gridworld.maps",
        options=(_START,),
    ),
    Game(
        "gridworld/rooms",
        1,
        1,
        "one player",
        "one-hot cell",
        "up, down, left, right",
        "four rooms joined by doors, a start anywhere, one goal",
        "envs.gridworld.maps",
    ),
    Game(
        "gridworld/maze",
        1,
        1,
        "one player",
        "3×size×size planes",
        "up, down, left, right",
        "a maze grown from the seed, a new one each game",
        "envs.gridworld.maze",
        options=(
            Option("size", 7, "cells along a side, walls included (odd)", 5, 31),
            Option("level", -1, "play this one maze in every game; -1: each game's seed decides", -1, 2**31 - 1),
            Option("held_out", False, "mazes that are never met without this option: for testing what was learnt"),
            _START,
        ),
    ),
    Game(
        "gridworld/custom",
        0,
        1,
        "one player",
        "one-hot cell",
        "up, down, left, right",
        "a map of your own from a text file",
        "envs.gridworld.maps",
        options=(Option("map", "", "the map's file"), _START),
    ),
    Game(
        "gridworld/sumo",
        1,
        2,
        "simultaneous",
        "4×size×size planes",
        "stay, up, down, left, right",
        "push the other out of the ring",
        "envs.gridworld.sumo",
        options=(Option("size", 7, "cells along a side of the ring", 5, 15), _FOG),
    ),
    Game(
        "gridworld/tron",
        1,
        2,
        "simultaneous",
        "4×size×size planes",
        "up, down, left, right",
        "light cycles: who runs into a trail or a wall loses",
        "envs.gridworld.tron",
        options=(Option("size", 10, "cells along a side", 6, 18), _FOG),
    ),
    Game(
        "ALE/*",
        1,
        1,
        "one player",
        "the last pictures, 84×84",
        "the game's buttons",
        "Atari: ALE/Pong-v5, ALE/Breakout-v5 and a hundred others",
        "envs.atari",
        source="ale-py",
        options=(
            Option("sticky", 0.25, "how often the last action comes again instead of the chosen one", 0, 1),
            _FRAME_SKIP,
            _STACK,
            Option("color", False, "colours instead of greys"),
            Option("idle_frames", 30, "a game begins with fewer idle frames than this, by its seed", 0, 1000),
            Option("fire_start", True, "press FIRE at the start, where the game has it"),
            Option("all_actions", False, "all 18 actions, also those without an effect in the game"),
            Option("life_loss", False, "a lost life terminates; for learning, where the game then goes on"),
        ),
    ),
    Game(
        "gym/*",
        1,
        1,
        "one player",
        "the environment's",
        "discrete or continuous",
        "any Gymnasium environment: gym/CartPole-v1",
        "envs.gymnasium_env",
        source="gymnasium",
    ),
    Game(
        "pettingzoo/atari/*",
        1,
        None,
        "simultaneous",
        "the last pictures, 84×84",
        "the game's buttons",
        "Atari for two or more: pettingzoo/atari/pong_v3 and 23 others; PettingZoo's own options, too",
        "envs.pettingzoo_atari",
        source="pettingzoo",
        options=(_FRAME_SKIP, _STACK),
    ),
    Game(
        "pettingzoo/*",
        1,
        None,
        "any",
        "the environment's",
        "discrete",
        "any PettingZoo environment: pettingzoo/classic/go_v5?board_size=13",
        "envs.pettingzoo_env",
        source="pettingzoo",
    ),
)
