"""Simulated annotators: rubrics judge as they say, and err as often as they are told to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from arena.agreement import report
from arena.annotators import Simulation, annotate, decide, scorer
from arena.records_text import Completion, Pair, PairTask
from arena.store import Store
from envs.errors import ArenaError, UnknownNameError, UsageError
from envs.helpdesk import demonstrations, judge

PROMPT, ANSWER = next((p, a) for p, a in demonstrations(50, 0) if judge(p, a).fix_fits and not judge(p, a).rude)


def full_stops(prompts: list[str], completions: list[str]) -> list[int]:
    return [completion.count(".") for completion in completions]


def broken(prompts: list[str], completions: list[str]) -> list[str]:
    return ["many"]


def one_for_all(prompts: list[str], completions: list[str]) -> float:
    return 1.0


def test_rubrics_add_up() -> None:
    assert scorer("helpful")(PROMPT, ANSWER) == 1
    assert scorer("helpful")(PROMPT, "no idea.") == 0
    assert scorer("asks")(PROMPT, "what?") == 1
    facts = judge(PROMPT, ANSWER)
    assert scorer("2*helpful + polite+-1*brief")(PROMPT, ANSWER) == 2 + facts.polite - facts.brief
    assert scorer("helpful+helpful")(PROMPT, ANSWER) == 2


def test_a_function_is_a_rubric_too() -> None:
    assert scorer(f"{__name__}:full_stops")("p", "a. b.") == 2
    with pytest.raises(ArenaError, match="broken failed on 'x': ValueError"):
        scorer(f"{__name__}:broken")("p", "x")
    with pytest.raises(ArenaError, match="a number for each"):
        scorer(f"{__name__}:one_for_all")("p", "x")


@pytest.mark.parametrize(
    ("rubric", "words"),
    [
        ("", "no rubric"),
        ("helpful+", "no rubric"),
        ("helpful*2", "no rubric"),
        ("helpfull", "did you mean helpful"),
        ("no_such_module:f", "no_such_module"),
        ("math:flor", "did you mean floor"),
        ("math:pi", "unknown function of math"),
        (":f", "not written module:function"),
        ("math:", "not written module:function"),
    ],
)
def test_other_rubrics_are_refused(rubric: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        scorer(rubric)


@pytest.mark.parametrize("wrong", [{"noise": 1.1}, {"ties": -0.1}, {"position": 2.0}])
def test_rates_are_probabilities(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        Simulation("helpful", **wrong)


def decisions(simulation: Simulation, texts: tuple[str, str], count: int = 3000) -> Counter[str]:
    score = lambda prompt, text: {"good": 3.0, "fair": 1.0, "fine": 1.0, "bad": 0.0, "poor": 0.0}[text]  # noqa: E731
    tasks = [PairTask(n, "p", *texts, "a" if n % 2 else "b") for n in range(count)]
    found = [decide(task, score, simulation) for task in tasks]
    assert found == [decide(task, score, simulation) for task in tasks]
    return Counter(f"{label.choice}{label.strength}" for label in found)


@pytest.mark.slow
def test_rates_are_what_was_asked_for() -> None:
    assert decisions(Simulation("x"), ("bad", "fair")) == {"b1": 3000}
    assert decisions(Simulation("x"), ("good", "fair")) == {"a2": 3000}
    noisy = decisions(Simulation("x", noise=0.1), ("good", "bad"))
    assert 240 < noisy["b2"] < 360
    ties = decisions(Simulation("x", ties=0.5), ("fair", "fine"))
    assert 1400 < ties["tie1"] < 1600
    assert 650 < ties["a1"] < 850
    assert set(decisions(Simulation("x"), ("bad", "poor"))) == {"both_bad1"}
    leaning = decisions(Simulation("x", position=0.2), ("good", "bad"))
    assert 240 < leaning["b2"] < 360, "a tenth: on the left half of the time, chosen there in a fifth of the cases"
    other = decisions(Simulation("x", noise=0.1, seed=1), ("good", "bad"))
    assert other != noisy


def test_labels_stand_under_the_annotators_name(tmp_path: Path) -> None:
    with Store(tmp_path / "league.db") as store:
        (prompt,) = store.add_prompts([PROMPT])
        good, bad, worse = store.add_completions([Completion(prompt, t) for t in (ANSWER, "no idea.", "go away.")])
        pairs = store.add_pairs([Pair(prompt, bad, good), Pair(prompt, good, worse), Pair(prompt, bad, worse)])
        again = store.add_pairs([Pair(prompt, bad, good, "repeat", pairs[0])])
        store.add_label(pairs[0], "Ann", "a")
        simulation = Simulation("helpful")
        assert len(annotate(store, "robot", simulation, count=2)) == 2
        assert len(annotate(store, "robot", simulation)) == 2
        assert annotate(store, "robot", simulation) == []
        rows = store.labels("robot")
        assert [(row.pair, row.choice) for row in rows] == [
            (pairs[0], "b"),
            (pairs[1], "a"),
            (pairs[2], "both_bad"),
            (again[0], "b"),
        ]
        assert rows[0].left != rows[3].left, "a repeat is shown the other way round"
        assert store.annotator("robot").config["rubric"] == "helpful"
        with pytest.raises(UsageError, match="other settings"):
            annotate(store, "robot", Simulation("polite"))
        with pytest.raises(UsageError, match="'Ann' is a person"):
            annotate(store, "Ann", simulation)
        with pytest.raises(UnknownNameError):
            annotate(store, "other", Simulation("nice"))
        found = report(store.labels("robot"))
        assert (found.annotators[0].consistency.hits, found.annotators[0].consistency.of) == (1, 1)
