"""Labels, rankings and scores in the Store: what counts, what is undone, what is asked next."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import pytest

from arena.records_text import Annotator, Completion, Label, Pair
from arena.store import Store
from envs.errors import ArenaError, UnknownNameError, UsageError


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "league.db") as store:
        yield store


def some_pairs(store: Store, count: int = 3, proposed_by: str = "random") -> list[int]:
    """Pairs of "A<n>" and "B<n>", one a prompt."""
    pairs = []
    for n in range(count):
        (prompt,) = store.add_prompts([f"{proposed_by} {n}?"])
        a, b = store.add_completions([Completion(prompt, f"A{n}"), Completion(prompt, f"B{n}")])
        pairs += store.add_pairs([Pair(prompt, a, b, proposed_by)])
    return pairs


def choices(store: Store, annotator: str | None = None) -> list[tuple[int, str]]:
    return [(row.pair, row.choice) for row in store.labels(annotator, skipped=True)]


def test_a_label_comes_back_with_its_texts(store: Store) -> None:
    first, _, _ = some_pairs(store)
    label = store.add_label(first, "Ann", "b", 2, "a", 1500)
    (row,) = store.labels()
    assert (row.prompt, row.text_a, row.text_b) == ("random 0?", "A0", "B0")
    assert (row.choice, row.strength, row.weight, row.left, row.milliseconds) == ("b", 2, 1.0, "a", 1500)
    assert (row.annotator, row.pair, row.split, row.proposed_by) == ("Ann", first, "train", "random")
    assert (row.label, row.ranking, row.repeat_of) == (label, None, None)
    assert store.labels("Ann", split="test") == []
    assert store.labels(proposed_by=["uncertainty"]) == []
    with pytest.raises(UnknownNameError, match="did you mean Ann"):
        store.labels("Anne")
    assert store.check() == []


def test_the_next_pair_is_the_first_that_this_annotator_has_not_labelled(store: Store) -> None:
    first, second, third = some_pairs(store)
    task = store.next_pair("Ann")
    assert task is not None
    assert (task.pair, task.text_a, task.text_b, task.label) == (first, "A0", "B0", None)
    store.add_label(first, "Ann", "a")
    store.add_label(third, "Ann", "skip")
    assert store.next_pair("Ann").pair == second
    assert store.next_pair("Ann", after=second) is None
    assert store.next_pair("Bob").pair == first
    assert store.next_pair("Bob", new=True).pair == second
    assert store.next_pair("Bob", proposed_by=["evaluation"]) is None
    (late,) = some_pairs(store, 1, "evaluation")
    assert store.next_pair("Bob", proposed_by=["evaluation"]).pair == late
    progress = store.label_progress("Ann")
    assert (progress.done, progress.total) == (2, 4)
    assert (store.label_progress("Bob").done, store.label_progress("Bob", new=True).done) == (0, 2)
    assert [p.id for p in store.pairs(annotator="Ann")] == [second, late]
    store.add_label(second, "Ann", "tie")
    assert store.next_pair("Ann", proposed_by=["random"]) is None


def test_undo_goes_back_as_often_as_wanted(store: Store) -> None:
    pairs = some_pairs(store)
    for pair in pairs:
        store.add_label(pair, "Ann", "a")
    store.add_label(pairs[0], "Bob", "b")
    assert [store.undo_label("Ann") for _ in range(2)] == [pairs[2], pairs[1]]
    assert choices(store) == [(pairs[0], "a"), (pairs[0], "b")]
    assert store.next_pair("Ann").pair == pairs[1]
    store.add_label(pairs[1], "Ann", "tie")
    assert choices(store, "Ann") == [(pairs[0], "a"), (pairs[1], "tie")]
    assert [store.undo_label("Ann") for _ in range(3)] == [pairs[1], pairs[0], None]
    assert choices(store, "Ann") == []
    assert store.undo_label("nobody") is None
    assert store.stats()["labels"] == 4 + 1 + 4, "undoing adds, it takes nothing away"
    assert store.check() == []


def test_a_later_label_counts_until_it_is_undone(store: Store) -> None:
    pair = some_pairs(store, 1)[0]
    store.add_label(pair, "Ann", "a")
    store.add_label(pair, "Ann", "both_bad")
    assert choices(store) == [(pair, "both_bad")]
    store.add_label(pair, "Bob", "tie")
    assert [row.annotator for row in store.labels(newest=5)] == ["Bob", "Ann"]
    assert [row.choice for row in store.labels("Ann", newest=1)] == ["both_bad"]
    store.undo_label("Bob")
    assert store.pair_task("Ann", pair).label.choice == "both_bad"
    assert store.undo_label("Ann") == pair
    assert choices(store) == [(pair, "a")]


def test_labels_are_facts(store: Store) -> None:
    pair = some_pairs(store, 1)[0]
    store.add_label(pair, "Ann", "a")
    with sqlite3.connect(store.path) as connection:
        for table in ("labels", "pairs", "completions", "prompts", "annotators"):
            for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET created_at = 0"):
                with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
                    connection.execute(statement)
    connection.close()
    for wrong in ({"choice": "c"}, {"strength": 3}, {"left": "x"}, {"milliseconds": -1}):
        with pytest.raises(ArenaError, match="refused"):
            store.add_label(**{"pair": pair, "annotator": "Ann", "choice": "a"} | wrong)
    with pytest.raises(ArenaError, match="FOREIGN KEY"):
        store.add_label(99, "Ann", "a")
    assert store.stats()["labels"] == 1


def test_many_labels_are_all_or_none(store: Store) -> None:
    pairs = some_pairs(store)
    rows = [Label(pair, 0, "a") for pair in pairs]
    with pytest.raises(ArenaError, match="FOREIGN KEY"):
        store.add_labels("rubric", [*rows, Label(99, 0, "b")], "simulated", {"noise": 0.1})
    assert store.stats()["labels"] == 0
    assert len(store.add_labels("rubric", rows, "simulated", {"noise": 0.1})) == 3
    assert store.annotator("rubric").config == {"noise": 0.1}
    with pytest.raises(UsageError, match="other settings"):
        store.add_labels("rubric", rows, "simulated", {"noise": 0.2})
    with pytest.raises(UsageError, match="'rubric' is a simulated annotator"):
        store.add_label(pairs[0], "rubric", "a")
    assert [a.name for a in store.annotators()] == ["rubric"]
    for name in ("", "a\x1b[31m", "x" * 65):
        with pytest.raises(UsageError, match="will not do"):
            store.add_label(pairs[0], name, "a")


def test_two_completions_are_one_pair_and_equal_texts_are_none(store: Store) -> None:
    how, why = store.add_prompts(["how?", "why?"])
    rows = [Completion(how, "so"), Completion(how, "thus"), Completion(how, "so"), Completion(why, "so")]
    a, b, same, other = store.add_completions(rows)
    (pair,) = store.add_pairs([Pair(how, a, b)])
    assert store.add_pairs([Pair(how, b, a), Pair(how, a, b, "uncertainty")]) == [pair, pair]
    assert store.add_pairs([Pair(how, b, a, "repeat", pair)]) == [pair + 1]
    for wrong, words in (
        (Pair(how, a, same), "same text"),
        (Pair(how, a, other), "not both of prompt"),
        (Pair(why, a, b), "not both of prompt"),
        (Pair(how, 98, 99), "not both of prompt"),
    ):
        with pytest.raises(UsageError, match=words):
            store.add_pairs([Pair(how, b, same), wrong])
    assert len(store.pairs()) == 2


def test_sides_are_fair_and_stay(store: Store) -> None:
    pairs = some_pairs(store, 400)
    tasks = store.pair_tasks("Ann", [store.pair(pair) for pair in pairs])
    assert tasks == [store.pair_task("Ann", pair) for pair in pairs]
    sides = [task.left for task in tasks]
    assert sides == [store.pair_task("Ann", pair).left for pair in pairs]
    assert 150 < sides.count("a") < 250
    assert sides != [store.pair_task("Bob", pair).left for pair in pairs]


@pytest.mark.parametrize("turned", [False, True])
def test_a_repeat_stands_the_other_way_round(store: Store, turned: bool) -> None:
    for pair in some_pairs(store, 20):
        original = store.pair(pair)
        both = (original.completion_a, original.completion_b)
        repeat = dataclasses.replace(original, proposed_by="repeat", repeat_of=pair)
        if turned:
            repeat = dataclasses.replace(repeat, completion_a=both[1], completion_b=both[0])
        (again,) = store.add_pairs([repeat])

        def left(number: int) -> str:
            task = store.pair_task("Ann", number)
            return task.text_a if task.left == "a" else task.text_b

        assert left(pair) != left(again)
        shown = store.pair_task("Ann", pair).left
        store.add_label(pair, "Ann", "a", left="b" if shown == "a" else "a")
        assert left(again) == (
            store.pair_task("Ann", pair).text_a if shown == "a" else store.pair_task("Ann", pair).text_b
        )


def test_a_ranking_becomes_labels(store: Store) -> None:
    (how,) = store.add_prompts(["how?"])
    ids = store.add_completions([Completion(how, text) for text in ("so", "thus", "so", "no", "yes", "maybe")])
    task = store.next_ranking("Ann")
    assert task is not None
    assert len(task.completions) == len(set(task.texts)) == 4
    assert store.rank_task("Ann", how).completions == task.completions
    a, b, c = ids[0], ids[1], ids[3]
    ranking = store.add_ranking(how, "Ann", [c, a, b], [3, 1, 1], 900)
    said = {(row.text_a, row.text_b): row for row in store.labels()}
    assert {texts: row.choice for texts, row in said.items()} == {
        ("no", "so"): "b",
        ("no", "thus"): "b",
        ("so", "thus"): "tie",
    }
    assert {row.weight for row in said.values()} == {2 / 3}
    assert {row.ranking for row in said.values()} == {ranking}
    assert store.next_ranking("Ann") is None
    assert store.next_pair("Bob") is None, "pairs of rankings are not asked again one by one"
    assert store.rank_task("Ann", how).ranking.ranks == [3, 1, 1]
    assert store.undo_label("Ann") is None
    assert (store.ranking_progress("Ann").done, store.ranking_progress("Ann").total) == (1, 1)
    assert store.check() == []
    store.add_ranking(how, "Bob", [b, c], [1, 2])
    bobs = store.labels("Bob")[0]
    assert (bobs.pair, bobs.choice, bobs.left, bobs.weight) == (said["no", "thus"].pair, "b", "b", 1.0)
    assert store.undo_ranking("Ann") == how
    assert store.labels("Ann") == []
    assert len(store.labels()) == 1
    assert store.undo_ranking("Ann") is None
    assert store.next_ranking("Ann") is not None
    assert store.check() == []


@pytest.mark.parametrize(("shown", "ranks"), [([1], [1]), ([1, 1], [1, 2]), ([1, 2], [1]), ([1, 2, 3, 4, 5], [1] * 5)])
def test_other_rankings_are_refused(store: Store, shown: list[int], ranks: list[int]) -> None:
    (how,) = store.add_prompts(["how?"])
    store.add_completions([Completion(how, str(n)) for n in range(5)])
    with pytest.raises(UsageError, match="two to 4 different"):
        store.add_ranking(how, "Ann", shown, ranks)
    assert store.stats()["rankings"] == 0


def test_scores_count_until_they_are_undone(store: Store) -> None:
    some_pairs(store, 1)
    task = store.next_score("Ann")
    assert task is not None
    assert (task.prompt, task.text, task.score) == ("random 0?", "A0", None)
    store.add_score(task.completion, "Ann", 7, 800)
    store.add_score(task.completion, "Ann", 2, 400)
    assert store.score_task("Ann", task.completion).score == 2
    (row,) = store.completion_scores()
    assert (row.prompt, row.text, row.score, row.annotator, row.split) == ("random 0?", "A0", 2, "Ann", "train")
    assert store.next_score("Ann").text == "B0"
    progress = store.score_progress("Ann")
    assert (progress.done, progress.total, progress.seconds) == (1, 2, pytest.approx(0.6))
    assert [store.undo_score("Ann") for _ in range(3)] == [task.completion, task.completion, None]
    assert store.completion_scores("Ann") == []
    assert store.next_score("Ann").text == "A0"
    for wrong in (0, 8):
        with pytest.raises(UsageError, match="from 1 to 7"):
            store.add_score(task.completion, "Ann", wrong)
    assert store.check() == []


def test_notes_are_kept_with_what_they_are_about(store: Store) -> None:
    pair = some_pairs(store, 1)[0]
    store.add_note("Ann", "both odd", pair=pair)
    store.add_note("Ann", "good", completion=1)
    store.add_note("Bob", "hm", prompt=1)
    assert [(n.annotator, n.text, n.pair, n.completion) for n in store.notes()] == [
        ("Ann", "both odd", pair, None),
        ("Ann", "good", None, 1),
        ("Bob", "hm", None, None),
    ]
    assert [n.prompt for n in store.notes("Ann", pair)] == ["random 0?"]
    with pytest.raises(UsageError, match="nothing to write a note about"):
        store.add_note("Ann", "x", pair=99)


def test_check_finds_judgements_that_make_no_sense(store: Store) -> None:
    pairs = some_pairs(store, 2)
    store.add_label(pairs[0], "Ann", "a")
    store.add_ranking(1, "Ann", [1, 2], [1, 2])
    with sqlite3.connect(store.path) as connection:
        connection.execute(
            "INSERT INTO labels (pair, annotator, strength, weight, undoes, created_at) VALUES (?, 1, 1, 1, 1, 0)",
            (pairs[1],),
        )
        for table in ("completions", "rankings"):
            connection.execute(f"DROP TRIGGER {table}_no_update")
        connection.execute("UPDATE completions SET text = 'same' WHERE prompt = 2")
        connection.execute("UPDATE rankings SET ranks = '[1]'")
    connection.close()
    assert store.check() == [
        "labels: row 3 undoes what it is not about",
        f"pair {pairs[1]}: its two texts are the same",
        "ranking 1: 1 labels from 2 completions with 1 ranks",
    ]


def test_an_annotator_is_added_once(store: Store) -> None:
    ann = store.add_annotator("Ann")
    assert store.add_annotator("Ann") == ann
    assert store.annotators() == [Annotator("Ann", "person", {}, ann.id, ann.created_at)]


@pytest.mark.parametrize("size", [500, 2000])
def test_what_a_screen_asks_costs_no_more_per_row_in_large_leagues(tmp_path: Path, size: int) -> None:
    with Store(tmp_path / "league.db") as store:
        pairs = some_pairs(store, size)
        store.add_labels("Ann", [Label(pair, 0, "a") for pair in pairs[:-2]])
        store.add_labels("Bob", [Label(pair, 0, "b") for pair in pairs[:-2]])
        for n in range(size // 10):
            store.add_score(n + 1, "Ann", 4)
            store.add_ranking(n + 1, "Ann", [2 * n + 1, 2 * n + 2], [1, 2])
            store.undo_label("Bob")
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 100
            return 0

        def cost(ask) -> int:
            nonlocal steps
            steps = 0
            store._file._connection.set_progress_handler(count, 100)
            assert ask() is not None
            store._file._connection.set_progress_handler(None, 100)
            return steps

        once = [
            lambda: store.next_pair("Ann", pairs[-2]),
            lambda: store.next_pair("Bob", pairs[-2], new=True),
            lambda: store.pair_task("Ann", pairs[-2]),
            lambda: store.add_label(pairs[0], "Ann", "tie"),
            lambda: store.undo_label("Ann"),
            lambda: store.add_ranking(size, "Ann", [2 * size - 1, 2 * size], [1, 2]),
            lambda: store.undo_ranking("Ann"),
            lambda: store.labels(newest=3),
            lambda: store.labels("Ann", newest=3),
            lambda: store.next_score("Ann", size // 10),
            lambda: store.next_ranking("Ann", size // 10),
        ]
        costs = [cost(ask) for ask in once]
        assert max(costs) < 2000, costs
        whole = [
            lambda: store.next_pair("Ann"),
            lambda: store.next_pair("Bob", proposed_by=["random"], new=True),
            lambda: store.label_progress("Ann"),
            lambda: store.pairs(annotator="Ann"),
            lambda: store.labels(skipped=True),
            lambda: store.completion_scores(),
            lambda: store.ranking_progress("Ann"),
            lambda: store.score_progress("Ann"),
        ]
        costs = [cost(ask) for ask in whole]
        assert max(costs) < 500 * size, costs
