"""A little drawing of each game for the home screen, where there is room for it."""

from __future__ import annotations

from textual.content import Content

_ORANGE, _BLUE, _DIM = "bold $primary", "bold $secondary", "$text-muted"

_PICTURES: dict[str, str] = {
    "tic_tac_toe": " x │ o │   \n───┼───┼───\n   │ x │   \n───┼───┼───\n o │   │ x ",
    "connect_four": "·  ·  ·  ·  ·  ·  ·\n·  ·  o  x  ·  ·  ·\n·  x  x  o  ·  ·  ·\no  x  o  x  x  ·  o",
    "othello": "·  ·  ·  ·  ·  ·\n·  ·  o  o  ·  ·\n·  ·  x  o  x  ·\n·  ·  x  x  x  ·\n·  ·  ·  ·  ·  ·",
    "go": "┬──┬──┬──┬──┬──┬\n┼──o──o──x──┼──┼\n┼──┼──o──x──x──┼\n┼──┼──o──o──x──┼\n┼──┼──┼──┼──┼──┼",
    "cartpole": "        x\n       x\n      x\n   ┌─────┐\n───┴o───o┴──────",
    "gridworld/recycling": "+2  ·  x  +1  ·  +10",
    "gridworld/tiny": "┌──────┐\n│x · · │\n│· ▒ ★ │\n└──────┘",
    "gridworld/trap": " 0   1   1000\n   ╲ │ ╱\n     x",
    "gridworld/cliff": "· · · · · · · · · · · ·\n· · · · · · · · · · · ·\nx ▒ ▒ ▒ ▒ ▒ ▒ ▒ ▒ ▒ ▒ ★",
    "gridworld/rooms": "┌─────┬─────┐\n│ x         │\n├─ ───┼── ──┤\n│         ★ │\n└─────┴─────┘",
    "gridworld/maze": "┌───┬─────┐\n│ x │ ┌── │\n│ │ ╵ │ ★ │\n│ └───┘ ╶─┤\n└─────────┘",
    "gridworld/sumo": "  ╭───────╮\n  │ x     │\n  │   o   │\n  ╰───────╯",
    "gridworld/tron": "xxxxx ooooo\n    x o   o\n    x   ooo\n    xxx o",
}


def preview(game: str) -> Content | None:
    """The drawing of a variant's game, or None where there is none."""
    picture = _PICTURES.get(game.partition("?")[0])
    if picture is None:
        return None
    parts: list[tuple[str, str]] = []
    for character in picture:
        style = {"x": _ORANGE, "o": _BLUE, "★": "bold $warning", "▒": "$error"}.get(character, _DIM)
        parts.append(({"x": "●", "o": "○"}.get(character, character), style))
    return Content.assemble(*parts)
