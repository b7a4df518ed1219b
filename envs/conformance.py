"""check_env: does an environment keep the Turn/Step protocol (docs/plans/turn-step-protocol.md)?"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from envs import chance, registry
from envs.errors import ArenaError
from envs.protocol import Step, Turn, VecEnv
from envs.rendering import STYLES, Drawing
from envs.specs import GameSpec, Variant, parse_variant

MAX_WIDTH, MAX_HEIGHT = 78, 20
GAMES_AT_ONCE = 4
_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
Factory = Callable[[int, bool], VecEnv]
"""(num_envs, autoreset) → env."""


def check_env(game: str, steps: int = 48) -> list[str]:
    """What `game` (`id?option=value`) does against the protocol in `steps` or more random steps; empty: it conforms.

    Raises what making the environment raises: UsageError, MissingPackageError.
    """
    variant = parse_variant(game)

    def make(num_envs: int, autoreset: bool) -> VecEnv:
        return registry.make(game, num_envs, "cpu", autoreset)

    return check_factory(make, variant, steps)


def check_factory(make: Factory, variant: Variant | None = None, steps: int = 48) -> list[str]:
    """As `check_env`, for environments from `make`; with a variant its registered description is compared too."""
    problems: dict[str, None] = {}
    env = make(GAMES_AT_ONCE, True)
    problems.update(dict.fromkeys(_spec_problems(env.spec, variant)))
    seeds = torch.tensor([11, 2**63 - 1, 0, 2**40 + 5])
    try:
        record = _play(env, seeds, steps)
        for check in (_step_problems, _again_problems, _once_problems, _alone_problems, _state_problems):
            problems.update(dict.fromkeys(check(make, record)))
        problems.update(dict.fromkeys(_drawing_problems(make, record)))
    except ArenaError:
        raise
    except Exception as exception:  # whatever a broken environment raises is its problem, told with the rest
        problems[f"raises {type(exception).__name__}: {' '.join(str(exception).split())}"] = None
    finally:
        env.close()
    return list(problems)


@dataclass
class _Record:
    """Random play from `seeds`, automatically reset: one entry per step, seeds and fingerprints after it."""

    spec: GameSpec
    exact: bool
    seeds: Tensor
    first: Turn
    actions: list[Tensor]
    steps: list[Step]
    seeds_after: list[Tensor]
    fingerprints: list[list[bytes]]


def _play(env: VecEnv, seeds: Tensor, steps: int) -> _Record:
    """`steps` steps, or more (up to ten times as many) until some game has ended."""
    generator = torch.Generator().manual_seed(7)
    turn = env.reset(seeds)
    record = _Record(env.spec, env.exact, seeds, turn, [], [], [], [])
    ended = False
    while len(record.steps) < steps or (not ended and len(record.steps) < 10 * steps):
        action = _sample(env.spec, turn, generator)
        step = env.step(action)
        ended |= bool((step.terminated | step.truncated).any())
        record.actions.append(action)
        record.steps.append(step)
        record.seeds_after.append(env.seeds.clone())
        record.fingerprints.append(list(env.fingerprints()))
        turn = step.turn
    return record


def _sample(spec: GameSpec, turn: Turn, generator: torch.Generator) -> Tensor:
    """Random legal actions [N, K] or [N, K, D]."""
    mask = turn.legal_action_mask
    if mask is None:
        shape = (*turn.player.shape, *spec.action_shape)
        return spec.action_low + (spec.action_high - spec.action_low) * torch.rand(shape, generator=generator)
    scores = torch.rand(mask.shape, generator=generator)
    return torch.where(mask.bool(), scores, -1.0).argmax(-1)


def _spec_problems(spec: GameSpec, variant: Variant | None) -> Iterator[str]:
    names = spec.action_names
    if spec.num_slots not in (1, spec.num_players):
        yield f"spec: {spec.num_slots} slots are neither 1 nor the number of players"
    if spec.observation_dtype not in ("uint8", "float32"):
        yield f"spec: observations are {spec.observation_dtype}, not uint8 or float32"
    if spec.num_actions is None and not spec.action_shape:
        yield "spec: continuous actions have no action_shape"
    if spec.num_actions is not None and len(names) != spec.num_actions:
        yield f"spec: {len(names)} action names for {spec.num_actions} actions"
    if len({name.lower() for name in names}) != len(names) or any(name != name.strip() or not name for name in names):
        yield "spec: action names are not unique words"
    if spec.zero_sum and spec.num_players != 2:
        yield "spec: zero-sum games have two players"
    if spec.perfect_information and spec.num_players > 1 and (spec.num_slots > 1 or spec.opening_plies < 1):
        yield "spec: games of perfect information are turn-based and need opening_plies"
    if variant is not None:
        yield from _listing_problems(spec, variant)


def _listing_problems(spec: GameSpec, variant: Variant) -> Iterator[str]:
    """Does `envs/specs.py` describe what was made?"""
    game = variant.game
    if spec.game != str(variant) or game.version not in (0, spec.version):
        yield f"listed as {variant} version {game.version}, but it says {spec.game} version {spec.version}"
    if game.num_players is not None and game.num_players != spec.num_players:
        yield f"listed with {game.num_players} players, but there are {spec.num_players}"
    turns = "one player" if spec.num_players == 1 else "turn-based" if spec.num_slots == 1 else "simultaneous"
    if game.turns not in (turns, "any"):
        yield f"listed as {game.turns}, but it is {turns}"
    if game.id.endswith("/*"):
        return
    words = game.observation.split()
    if "×" in words[0]:
        options = variant.all_options()
        listed = tuple(int(part) if part.isdigit() else options.get(part) for part in words[0].split("×"))
        if listed != spec.observation_shape:
            yield f"listed observation {game.observation}, but it is {list(spec.observation_shape)}"
    elif words[0].isdigit() and spec.observation_shape != (int(words[0]),):
        yield f"listed observation {game.observation}, but it is {list(spec.observation_shape)}"
    if not _lists_actions(game.actions, spec):
        yield f"listed actions {game.actions!r}, but they are {', '.join(spec.action_names[:12])}"


def _lists_actions(listed: str, spec: GameSpec) -> bool:
    """`up, down` names all actions; `64 squares, pass` counts some and names the rest, as `points, pass` does."""
    words = listed.split(", ")
    if words == list(spec.action_names):
        return True
    number, rest = words[0].split()[0], words[1:]
    if list(spec.action_names[len(spec.action_names) - len(rest) :]) != rest:
        return False
    count = int(number) if number.isdigit() else _NUMBERS.get(number)
    return spec.num_actions == count + len(rest) if count is not None else " " not in words[0] and bool(rest)


def _turn_problems(spec: GameSpec, turn: Turn, num_envs: int, where: str) -> Iterator[str]:
    slots = (num_envs, spec.num_slots)
    observation, mask, player = turn
    if tuple(observation.shape) != (*slots, *spec.observation_shape):
        yield f"{where}: observation is {list(observation.shape)}, not {[*slots, *spec.observation_shape]}"
        return
    if observation.dtype != getattr(torch, spec.observation_dtype):
        yield f"{where}: observation is {observation.dtype}, not {spec.observation_dtype}"
    if not bool(torch.isfinite(observation.float()).all()):
        yield f"{where}: observation is not finite"
    if tuple(player.shape) != slots or player.dtype != torch.int64:
        yield f"{where}: player is {player.dtype} {list(player.shape)}, not int64 {list(slots)}"
        return
    if bool(((player < -1) | (player >= spec.num_players)).any()):
        yield f"{where}: player is outside -1 … {spec.num_players - 1}"
    if spec.num_slots > 1 and bool(((player != -1) & (player != torch.arange(spec.num_slots))).any()):
        yield f"{where}: slot k of a simultaneous game is not player k"
    idle = player < 0
    if bool(observation[idle].any()):
        yield f"{where}: an idle slot's observation is not zero"
    if spec.num_actions is None:
        if mask is not None:
            yield f"{where}: continuous actions have a mask"
        return
    if mask is None or tuple(mask.shape) != (*slots, spec.num_actions) or mask.dtype != torch.bool:
        yield f"{where}: legal_action_mask is not bool {[*slots, spec.num_actions]}"
        return
    if not bool(mask[idle].all()):
        yield f"{where}: an idle slot's mask is not all True"
    if where != "final" and not bool(mask.any(-1).all()):
        yield f"{where}: a slot that decides has no legal action"


def _step_problems(make: Factory, record: _Record) -> Iterator[str]:
    """Shapes and flags, rewards, `final` against `turn`, seeds and first turns of the games that began anew."""
    spec, num_envs = record.spec, len(record.seeds)
    yield from _turn_problems(spec, record.first, num_envs, "reset")
    ply = torch.zeros(num_envs, dtype=torch.int64)
    seeds = record.seeds
    for step, seeds_after in zip(record.steps, record.seeds_after, strict=True):
        yield from _turn_problems(spec, step.final, num_envs, "final")
        yield from _turn_problems(spec, step.turn, num_envs, "turn")
        if tuple(step.rewards.shape) != (num_envs, spec.num_players) or step.rewards.dtype != torch.float32:
            yield f"rewards are {step.rewards.dtype} {list(step.rewards.shape)}"
            return
        if not bool(torch.isfinite(step.rewards).all()):
            yield "rewards are not finite"
        if spec.zero_sum and bool(step.rewards.sum(1).abs().max() > 1e-6):
            yield "zero-sum rewards do not add up to zero"
        for name in ("terminated", "truncated"):
            flags = getattr(step, name)
            if tuple(flags.shape) != (num_envs,) or flags.dtype != torch.bool:
                yield f"{name} is {flags.dtype} {list(flags.shape)}, not bool [{num_envs}]"
                return
        if bool((step.terminated & step.truncated).any()):
            yield "a game is truncated with termination"
        ply += 1
        ended = step.terminated | step.truncated
        if spec.max_steps is not None and bool((ended != (ended | (ply >= spec.max_steps))).any()):
            yield f"a game goes on after max_steps={spec.max_steps}"
        if not _equal(step.final, step.turn, ~ended):
            yield "final differs from turn in a game that goes on"
        if bool((step.final.player[ended] < 0).all(-1).any()):
            yield "final of a game that has just ended is idle"
        expected = torch.where(ended, chance.next_seed(seeds), seeds)
        if not torch.equal(seeds_after, expected):
            yield "seeds are not next_seed of the old ones where games began anew, or changed elsewhere"
        ply[ended] = 0
        seeds = expected
    ended_at = [index for index, step in enumerate(record.steps) if bool((step.terminated | step.truncated).any())]
    for index in ended_at[:3] if record.exact else ():
        env = make(num_envs, True)
        fresh = env.reset(record.seeds_after[index])
        step = record.steps[index]
        if not _equal(step.turn, fresh, step.terminated | step.truncated):
            yield "turn of a game that began anew is not the first turn of its seed"
        env.close()


def _equal(left: Turn, right: Turn, rows: Tensor) -> bool:
    """Whether two turns agree in these rows [N] bool."""
    return all(
        (a is None and b is None) or (a is not None and b is not None and torch.equal(a[rows], b[rows]))
        for a, b in zip(left, right, strict=True)
    )


def _again_problems(make: Factory, record: _Record) -> Iterator[str]:
    env = make(len(record.seeds), True)
    everything = torch.ones(len(record.seeds), dtype=torch.bool)
    same = _equal(env.reset(record.seeds), record.first, everything)
    for action, step, prints in zip(record.actions, record.steps, record.fingerprints, strict=True):
        again = env.step(action)
        same &= torch.equal(again.rewards, step.rewards) and _equal(again.turn, step.turn, everything)
        same &= list(env.fingerprints()) == prints
    if not same:
        yield "the same seeds and actions give another game"
    env.close()


def _once_problems(make: Factory, record: _Record) -> Iterator[str]:
    """autoreset=False: the first games of the record, then idle and frozen."""
    num_envs = len(record.seeds)
    env = make(num_envs, False)
    turn = env.reset(record.seeds)
    over = torch.zeros(num_envs, dtype=torch.bool)
    frozen: dict[int, bytes] = {}
    for action, step, prints in zip(record.actions, record.steps, record.fingerprints, strict=True):
        action = torch.where(over.view(-1, *[1] * (action.dim() - 1)), torch.zeros_like(action), action)
        once = env.step(action)
        turn = once.turn
        yield from _turn_problems(env.spec, turn, num_envs, "turn without autoreset")
        if bool(once.rewards[over].any()) or bool((once.terminated | once.truncated)[over].any()):
            yield "without autoreset a game that is over gives rewards or flags"
        if not torch.equal(once.rewards[~over], step.rewards[~over]) or not torch.equal(
            torch.stack([once.terminated, once.truncated])[:, ~over],
            torch.stack([step.terminated, step.truncated])[:, ~over],
        ):
            yield "rewards or ends differ without autoreset"
        shown = ~over if env.spec.shows_ends else ~(over | step.terminated)
        if not _equal(once.final, step.final, shown):
            yield "final differs without autoreset"
        seen = list(env.fingerprints())
        if record.exact and any(seen[n] != prints[n] for n in range(num_envs) if not over[n]):
            yield "fingerprints differ without autoreset (they show the state before any reset)"
        if any(seen[n] != kept for n, kept in frozen.items()):
            yield "without autoreset a game that is over changes"
        over = over | once.terminated | once.truncated
        frozen |= {n: seen[n] for n in range(num_envs) if over[n] and n not in frozen}
        if bool((turn.player[over] >= 0).any()):
            yield "without autoreset a game that is over is not idle"
    if not torch.equal(env.seeds, record.seeds):
        yield "without autoreset the seeds change"
    env.close()


def _alone_problems(make: Factory, record: _Record) -> Iterator[str]:
    """A game alone, and in another place among others, equals itself."""
    for order in ([1], [3, 0]):
        env = make(len(order), True)
        same = _equal(env.reset(record.seeds[order]), _rows(record.first, order), torch.ones(len(order)).bool())
        for action, step, prints in zip(record.actions, record.steps, record.fingerprints, strict=True):
            alone = env.step(action[order])
            same &= torch.equal(alone.rewards, step.rewards[order])
            same &= torch.equal(alone.terminated, step.terminated[order])
            same &= _equal(alone.turn, _rows(step.turn, order), torch.ones(len(order)).bool())
            same &= list(env.fingerprints()) == [prints[n] for n in order]
        if not same:
            yield "a game depends on the games beside it"
        env.close()


def _rows(turn: Turn, rows: list[int]) -> Turn:
    mask = turn.legal_action_mask
    return Turn(turn.observation[rows], None if mask is None else mask[rows], turn.player[rows])


def _state_problems(make: Factory, record: _Record) -> Iterator[str]:
    """state() in the middle, then load(): the rest of the record comes again, in both ways of ending."""
    num_envs = len(record.seeds)
    middle = len(record.steps) // 2
    everything = torch.ones(num_envs, dtype=torch.bool)
    for autoreset in (True, False) if record.exact else (False,):
        env, other = make(num_envs, autoreset), make(num_envs, autoreset)
        turn = env.reset(record.seeds)
        for action in record.actions[:middle]:
            turn = env.step(action).turn
        state = env.state()
        if not isinstance(state, dict) or any(len(value) != num_envs for value in state.values()):
            yield "state is not a dict of tensors [N, …]"
            return
        expected = [env.step(action) for action in record.actions[middle:]]
        last = list(env.fingerprints())
        for loader in (other, env):
            same = _equal(loader.load(state), turn, everything)
            same &= autoreset is False or torch.equal(loader.seeds, record.seeds_after[middle - 1])
            for action, step in zip(record.actions[middle:], expected, strict=True):
                again = loader.step(action)
                same &= _equal(again.turn, step.turn, everything) and torch.equal(again.rewards, step.rewards)
                same &= torch.equal(again.terminated, step.terminated)
            if not same or list(loader.fingerprints()) != last:
                yield "load(state()) does not put the games back"
        env.close()
        other.close()


def _drawing_problems(make: Factory, record: _Record) -> Iterator[str]:
    env = make(len(record.seeds), False)
    turn = env.reset(record.seeds)
    shown = {0, 1, 2, 5, len(record.actions) - 1}
    for ply, action in enumerate([*record.actions, None]):
        if ply in shown:
            before = list(env.fingerprints())
            for seat in (None, *range(env.spec.num_players)):
                for index in (0, len(record.seeds) - 1):
                    yield from _one_drawing_problems(env, turn, index, seat)
            if list(env.fingerprints()) != before:
                yield "drawing changes the game"
        if action is not None:
            turn = env.step(action).turn
    env.close()


def _one_drawing_problems(env: VecEnv, turn: Turn, index: int, seat: int | None) -> Iterator[str]:
    drawing = env.draw(index, seat)
    widths = [sum(len(text) for text, _ in line) for line in drawing.lines]
    width, height = max(widths, default=0), len(widths)
    if not 0 < width <= MAX_WIDTH or not 0 < height <= MAX_HEIGHT:
        yield f"a drawing of {width}×{height} cells is not within {MAX_WIDTH}×{MAX_HEIGHT}"
    if any(not text.isprintable() for line in drawing.lines for text, _ in line):
        yield "a drawing holds control characters"
    for style in {style for line in drawing.lines for _, style in line}:
        if any(
            word not in STYLES and word != "on" and not re.fullmatch(r"#[0-9a-f]{6}", word) for word in style.split()
        ):
            yield f"a drawing has the unknown style {style!r}"
    lines = [list(line) for line in drawing.lines]
    if Drawing.from_json(drawing.to_json()) != dataclasses.replace(drawing, lines=lines):
        yield "a drawing does not survive JSON"
    num_actions = env.spec.num_actions or 0
    if any(not 0 <= action < num_actions for action in (*drawing.targets, *drawing.keys)):
        yield "a drawing has targets or keys of actions that do not exist"
        return
    for x, y, wide, high in (box for boxes in drawing.targets.values() for box in boxes):
        if x < 0 or y < 0 or wide < 1 or high < 1 or x + wide > width or y + high > height:
            yield "a drawing's target lies outside it"
    keys = [key for names in drawing.keys.values() for key in names]
    if len(set(keys)) != len(keys):
        yield "a drawing gives one key to two actions"
    if turn.legal_action_mask is None or (seat is None and env.spec.num_slots > 1):
        return
    slot = 0 if env.spec.num_slots == 1 else seat or 0
    mover = int(turn.player[index, slot])
    legal = turn.legal_action_mask[index, slot]
    if mover >= 0 and seat in (None, mover) and not all(bool(legal[action]) for action in drawing.targets):
        yield "a drawing offers targets of illegal actions"
