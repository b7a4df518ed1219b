"""Opponents by strength; who is about your level."""

from __future__ import annotations

from arena.records import AgentKind
from arena.standings import Standing
from tui.ladder import about_your_level, ladder


def standing(agent: str, elo: float, kind: str = "scripted", connected: bool = True) -> Standing:
    return Standing(1, agent, kind, False, elo, elo - 50, elo + 50, 0.0, 9, 3, 3, 3, 0.5, 0.5, connected)  # type: ignore[arg-type]


MEASURED = {"random": 0.0, "rookie": 300.0, "regular": 600.0}


def test_a_newcomer_meets_the_weakest_trained_agent() -> None:
    rungs = ladder([], [("random", "scripted"), ("regular", "checkpoint"), ("rookie", "checkpoint")], MEASURED)
    assert [(rung.name, rung.elo, rung.known) for rung in rungs] == [
        ("regular", 600.0, False),
        ("rookie", 300.0, False),
        ("random", 0.0, False),
    ]
    assert about_your_level(rungs, None) == "rookie"
    assert about_your_level(ladder([], [("x", "checkpoint")], {}), None) is None


def test_what_was_measured_elsewhere_is_moved_onto_the_leagues_scale() -> None:
    table = [
        standing("ann", 500, "human"),
        standing("rookie", 400, "checkpoint"),
        standing("alone", 9, connected=False),
    ]
    others: list[tuple[str, AgentKind]] = [
        ("perfect", "solver"),
        ("regular", "checkpoint"),
        ("mystery", "scripted"),
        ("random", "scripted"),
    ]
    rungs = ladder(table, others, MEASURED)
    assert [(rung.name, rung.elo) for rung in rungs] == [
        ("perfect", None),
        ("regular", 700.0),
        ("rookie", 400.0),
        ("random", 100.0),
        ("alone", None),
        ("mystery", None),
    ]
    assert about_your_level(rungs, table[0]) == "rookie"
    assert about_your_level(rungs, standing("ann", 560, "human")) == "regular"
    assert about_your_level(rungs, standing("ann", 550, "human")) == "regular"  # of two as near the stronger
    assert about_your_level(rungs, standing("ann", -900, "human")) == "rookie"
    assert about_your_level(rungs, standing("ann", 0, "human", connected=False)) == "rookie"
