"""What an episode shows, one shot after another: for the forms that move."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from arena.episodes import decode_actions, malformed
from arena.formats import Recorded
from arena.realtime_client import in_real_time, steps_a_second
from envs.errors import ArenaError, UsageError
from envs.protocol import check_legal
from envs.registry import make
from envs.rendering import Drawing
from envs.scaling import Picture

SECONDS_A_MOVE = 0.8
"""Where the game itself has no pace."""
SECONDS_AT_THE_END = 3.0

COLOURS = {
    "plain": "#d8dee6",
    "dim": "#93a0ad",
    "player0": "#ffa648",
    "player1": "#62b4ff",
    "last": "#f5d14c",
    "win": "#f5d14c",
    "legal": "#93a0ad",
    "wall": "#7d8894",
    "goal": "#f5d14c",
    "danger": "#ff8f7e",
    "agent": "#ffa648",
    "hidden": "#3c4650",
}
BACKGROUND = "#14181d"


class Shot(NamedTuple):
    """One position.

    Attributes:
        seconds: how long it is seen.
        picture: [H, W, 3]; None where the game is drawn in cells.
        caption: who has what, in a line.
    """

    seconds: float
    picture: Picture | None
    drawing: Drawing
    caption: str


def only(games: Sequence[Recorded]) -> Recorded:
    """The one game; raises UsageError for several: a film shows one."""
    if len(games) != 1:
        raise UsageError("a film shows one episode: name one")
    return games[0]


def shots(game: Recorded) -> Iterator[Shot]:
    """The episode's positions, from the start to the end. Raises ArenaError where the record cannot be played."""
    episode, names = game
    with contextlib.closing(make(episode.game, autoreset=False)) as env:
        problem = malformed(env.spec, episode)
        if problem:
            raise ArenaError(f"episode {episode.id}: {problem}")
        pace = 1 / steps_a_second(episode.game) if in_real_time(episode.game) else SECONDS_A_MOVE
        env.attend("pictures")
        turn = env.reset(torch.tensor([episode.seed]))
        returns = np.zeros(env.spec.num_players)
        actions = decode_actions(env.spec, episode)
        for ply in range(episode.length + 1):
            if ply:
                action = actions[ply - 1].unsqueeze(0)
                if turn.legal_action_mask is not None and not bool(check_legal(turn, action).all()):
                    raise ArenaError(
                        f"episode {episode.id}, step {ply}: action {action[0].tolist()} is not legal there"
                    )
                step = env.step(action)
                returns += step.rewards[0].numpy()
                turn = step.turn
            film = env.pictures()
            # Some things are drawn in every second frame only: the brighter of two shows all of them.
            picture = np.maximum(film[-1], film[max(0, len(film) - 2)]) if film else None
            score = " – ".join(f"{name} {value:g}" for name, value in zip(names, returns, strict=True))
            caption = f"{episode.game} · step {ply} of {episode.length} · {score}"
            drawing = Drawing([]) if film else env.draw()
            yield Shot(SECONDS_AT_THE_END if ply == episode.length else pace, picture, drawing, caption)


def colours(style: str) -> tuple[str, str]:
    """A drawing's style → (foreground, background) as #rrggbb; of several words the last that says something."""
    front, back, words = COLOURS["plain"], BACKGROUND, style.split()
    for index, word in enumerate(words):
        colour = word if word.startswith("#") and len(word) == 7 else COLOURS.get(word)
        if colour is None:
            continue
        if index and words[index - 1] == "on":
            back = colour
        else:
            front = colour
    return front, back
