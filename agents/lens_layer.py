"""What a logit lens says of one layer, apart from the lens itself: those who only show it load no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LensLayer:
    """What the stream after a layer would say: for every completion token the likeliest one there, and how probable the
    token that really comes is."""

    likeliest: tuple[str, ...]
    probability: tuple[float, ...]
