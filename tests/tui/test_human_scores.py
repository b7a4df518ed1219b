"""Score tables of Atari games: beside the mean stands what part of a person's score it is, and by what settings."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.widgets import DataTable

from arena.standings import ScoreRow
from tests.tui.conftest import shown
from tui.facts import GameFacts
from tui.league_facts import TableView
from tui.screens.league_views import explain
from tui.widgets.tables import fill_standings


class Scores(App[None]):
    def __init__(self, facts: GameFacts) -> None:
        super().__init__()
        self.facts = facts

    def compose(self) -> ComposeResult:
        yield DataTable()

    def on_mount(self) -> None:
        fill_standings(self.query_one(DataTable), self.facts, full=True)


@pytest.mark.parametrize(("game", "human"), [("ALE/Pong-v5?sticky=0", 0.5), ("gridworld/tiny", None)])
async def test_scores_of_atari_games_are_shown_as_shares_of_a_persons(game: str, human: float | None) -> None:
    row = ScoreRow(1, "expert", "checkpoint", False, -5.7, 1.0, 3.0, 20, 900.0, human)
    facts = GameFacts(game, 1, scores=[row])
    app = Scores(facts)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert ("50%" in shown(app)) == ("human" in shown(app)) == (human is not None)
    words = explain("table", TableView(facts, {}), game, (0, 0))
    assert ("no sticky actions, frame skip 4, fewer than 30 idle frames" in words) == (human is not None)
