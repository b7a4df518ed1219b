"""Connect four's strength figures: perfect play has no fault, chance is what chance is, the sample is true."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from agents.connect_four_solver import Solver, columns, has_four, winning_columns
from agents.scripted import make_scripted
from arena.cli.app import app
from arena.roster import game_spec
from arena.solved_positions import COUNT, FIRST_PLY, LAST_PLY, LOST, solved_positions
from arena.store import Store
from arena.strength_solved import solved_strength


def test_the_sample_is_what_it_says() -> None:
    cases, lost = solved_positions()
    assert (len(cases), len(lost)) == (COUNT, LOST)
    assert len({case.position for case in [*cases, *lost]}) == COUNT + LOST
    for case in [*cases, *lost]:
        assert FIRST_PLY <= len(case.moves) <= LAST_PLY
        assert not has_four(case.position[0])
        assert not has_four(case.position[1])
        assert not winning_columns(*case.position)
        assert list(case.scores) == columns(case.position[0] | case.position[1])
    assert all(len({np.sign(score) for score in case.scores.values()}) > 1 for case in cases)
    assert all(max(case.scores.values()) < 0 for case in lost)


def test_scores_of_the_sample_are_the_solvers() -> None:
    solver = Solver()
    for case in [*solved_positions()[0], *solved_positions()[1]]:
        if len(case.moves) >= 20:
            assert solver.move_scores(*case.position) == case.scores


def test_perfect_play_has_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    late = [[case for case in cases if len(case.moves) >= 20] for cases in solved_positions()]
    monkeypatch.setattr("arena.strength_solved.solved_positions", lambda: late)
    found = solved_strength("connect_four", make_scripted("perfect", game_spec("connect_four")), samples=True)
    assert found.positions >= 50
    assert (found.preserved, found.exact, found.value_loss, found.fault) == (1.0, 1.0, 0.0, "")
    assert found.survived == found.survivable
    assert found.perfect


def test_chance_keeps_what_it_keeps_by_chance() -> None:
    found = solved_strength("connect_four", make_scripted("random", game_spec("connect_four")), samples=True)
    assert found.preserved == pytest.approx(found.by_chance, abs=1e-6)
    assert 0.2 < found.by_chance < 0.6
    assert found.survived < found.survivable - 4
    assert not found.perfect
    assert found.fault.startswith("after ")


def test_a_better_player_keeps_more() -> None:
    shares = [
        solved_strength("connect_four", make_scripted(name, game_spec("connect_four")), samples=True).preserved
        for name in ("random", "tactician")
    ]
    assert shares[0] + 0.05 < shares[1] < 1


@pytest.mark.slow
def test_the_command_reports_it(tmp_path: Path) -> None:
    Store(tmp_path / "league.db").close()
    words = ["strength", "connect_four", "tactician", "--games", "50", "--db", str(tmp_path / "league.db")]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "of its moves keep the result in 50 positions" in shown.output
    found = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert found["agent"] == "tactician"
    assert found["positions"] == 50
    assert f"{found['preserved']:.1%}" in shown.output
