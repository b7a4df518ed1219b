"""Textual's style sheet, parsed once: as it comes, it reads all rules anew whenever a screen is opened.

It knows what it has parsed by its text, but in a cache that is too small for an app of many widgets, and forgets that
when variables are set, even to what they are. A part of Textual that may change: its version is pinned.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePath

from textual._styles_cache import StylesCache
from textual.cache import LRUCache
from textual.color import Color
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.style import Style

SOURCES = 1024
"""Texts whose rules are kept: a class of widgets has one, a screen one."""


# Each widget asks of each rule whether it may be its own, a fifth of all calls while a screen opens: hashes that are
# computed in Python as the object's identity are taken from the interpreter instead, where they are the same.
RuleSet.__hash__ = object.__hash__  # type: ignore[method-assign]


@lru_cache(1024)
def _inner_outer(base_background: Color, background: Color) -> tuple[Style, Style]:
    return Style(background=base_background + background), Style(background=base_background)


# Textual's own cache of these has the object in its key, and so keeps the lines of a thousand widgets that are gone.
StylesCache.get_inner_outer = staticmethod(_inner_outer)  # type: ignore[assignment]


class KeptStylesheet(Stylesheet):
    """Parses what is new, and everything only where variables have other values (another theme)."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parse_cache = LRUCache(SOURCES)

    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            super().set_variables(variables)
            self._require_parse = True

    def reparse(self) -> None:
        if self._require_parse:
            self.parse()

    def prepare(self, path: PurePath) -> None:
        """Read and parse a file, unless that has been done: what a screen needs is there before it opens."""
        if not self.has_source(str(path), ""):
            self.read(path)
            self.reparse()
