"""Who meets whom in a tournament, as pure functions of names and results. Round robins are in `matchmaking.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

Pairing = tuple[str, str]


def gauntlet(names: Sequence[str]) -> list[Pairing]:
    """The first one against each of the others."""
    first, *others = names
    return [(first, other) for other in others]


def swiss_rounds(players: int) -> int:
    """Rounds after which a Swiss tournament has one winner at most: as many as a knock-out has."""
    return max(1, (players - 1).bit_length())


def swiss_round(
    ranking: Sequence[str], met: Set[frozenset[str]], rested: Set[str]
) -> tuple[list[Pairing], str | None] | None:
    """A round in which neighbours in the table meet who have not met before; of an odd number one rests.

    The best takes the next below whom it has not met, then the best of the others, and so on; where that leaves two who
    have met, the last choice that has an alternative is changed (Monrad's system). The lowest rests who has not yet.

    Args:
        ranking: the table so far, the best first.
        met: who has played whom. rested: who has rested.

    Returns:
        Pairings and who rests; None: nobody is left for somebody.
    """
    if len(ranking) % 2 == 0:
        pairs = _matched(list(ranking), met)
        return None if pairs is None else (pairs, None)
    for rests in (name for name in reversed(ranking) if name not in rested):
        pairs = _matched([name for name in ranking if name != rests], met)
        if pairs is not None:
            return pairs, rests
    return None


def _matched(names: list[str], met: Set[frozenset[str]]) -> list[Pairing] | None:
    if not names:
        return []
    first, *rest = names
    for index, other in enumerate(rest):
        if frozenset((first, other)) not in met:
            others = _matched(rest[:index] + rest[index + 1 :], met)
            if others is not None:
                return [(first, other), *others]
    return None


def bracket(seeds: Sequence[str]) -> list[str | None]:
    """The places of a knock-out, from top to bottom: neighbours meet, then the winners of neighbouring games.

    Seeded as usual: the first two can meet in the final alone, the first four not before the semi-finals. Where names
    are no power of two the first seeds have nobody (None) to beat in the first round.
    """
    places = [0]
    while len(places) < len(seeds):
        size = 2 * len(places)
        places = [place for own in places for place in (own, size - 1 - own)]
    return [seeds[place] if place < len(seeds) else None for place in places]


def knockout_round(places: Sequence[str | None]) -> list[Pairing]:
    """The games of a round: neighbouring places in which there is somebody."""
    pairs = zip(places[::2], places[1::2], strict=True)
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def advance(places: Sequence[str | None], winners: Mapping[Pairing, str]) -> list[str | None]:
    """The places of the next round: whoever has won, and whoever had nobody to beat."""
    pairs = zip(places[::2], places[1::2], strict=True)
    return [winners[a, b] if a is not None and b is not None else a if b is None else b for a, b in pairs]
