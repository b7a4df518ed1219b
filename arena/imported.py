"""Games that were played elsewhere: checked move by move by the game itself, then kept, all of a file or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from agents.policy import RESIGNED
from arena.episodes import Recorder
from arena.formats import Played, find_format, read
from arena.records import Episode, Match
from arena.store import Store
from arena.store_rows import MAX_NAME
from envs.errors import ArenaError, UsageError
from envs.protocol import check_legal
from envs.registry import make

MAX_FILE_BYTES = 16 * 2**20
SEATS = ("First player", "Second player")


def read_games(path: Path, form: str | None = None, game: str | None = None) -> list[tuple[Played, Episode]]:
    """The games of a file with what they came to, as unrated episodes whose seats are held by agent 0.

    Args:
        form: the file's format; None: by its ending.
        game: the variant to take them for; None: as the file says.

    Raises ArenaError naming the line and the move of what is wrong.
    """
    name = find_format(form, path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ArenaError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB; split it")
    try:
        found = read(name, data, game)
        return [(played, as_episode(played, number)) for number, played in enumerate(found)]
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    except ArenaError as error:
        raise ArenaError(f"{path}, {error}") from None


def keep_games(store: Store, games: Sequence[tuple[Played, Episode]], source: str) -> list[int]:
    """Store the games in one transaction, as unrated matches, one a variant; their episodes' numbers.

    Players are agents of their names; who is none yet becomes a person of the league.
    """
    variants = list(dict.fromkeys(played.game for played, _ in games))
    matches = []
    for game in variants:
        chosen = [(played, episode) for played, episode in games if played.game == game]
        rules = {"imported": source[:200]}
        names = [[_name(name, seat) for seat, name in enumerate(played.names)] for played, _ in chosen]
        matches.append((Match(game, "play", rules), [episode for _, episode in chosen], names))
    return store.add_played(matches)


def as_episode(played: Played, number: int = 0) -> Episode:
    """The game re-played by its own rules. Raises ArenaError for the first move that they do not allow."""
    env = make(played.game, autoreset=False)
    turn = env.reset(torch.tensor([0]))
    recorder = Recorder(env)
    try:
        for action, place in zip(played.actions, played.places, strict=True):
            if recorder.over:
                raise ArenaError(f"{place}: the rules of {env.spec.game} had ended the game before")
            chosen = torch.tensor([[action]])
            if not bool(check_legal(turn, chosen).all()):
                raise ArenaError(f"{place}: not legal there")
            step = env.step(chosen)
            recorder.record(chosen, step)
            turn = step.turn
    finally:
        env.close()
    if not recorder.over and played.scores is not None and 0.0 in played.scores:
        recorder.give_up(0, played.scores.index(0.0), RESIGNED)
    reason = recorder.reasons[0] or "truncated"
    return recorder.episode(0, [0] * env.spec.num_players, reason=reason, pair=number, rated=False)


def _name(text: str, seat: int) -> str:
    """A name as agents have them: printable, not too long, and never one that means something else."""
    name = "".join(c for c in text if c.isprintable()).strip().lstrip("-").strip()[:MAX_NAME].strip()
    if name in ("", "?", "latest") or name.endswith("@latest"):
        return SEATS[seat]
    return name
