"""`arena label` in plain lines: an answer is in the file before the next question; no end of the process loses it."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from arena.cli.app import app
from arena.cli.label_plain import label_plain
from arena.records_text import Completion, Pair
from arena.store import Store

LABELLER = """
import os, sys
from arena.cli.label_plain import label_plain
from arena.store import Store
path, name = sys.argv[1:]
while line := sys.stdin.readline():  # a child that labels, for every line with a number of answers
    child = os.fork()
    if child == 0:
        print("child", os.getpid(), flush=True)  # said by the child itself: nothing of its questions comes before it
        with Store(path) as store:
            label_plain(store, name, "pairs", lambda prompt: input())
        os._exit(0)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


def league(path: Path, pairs: int) -> None:
    with Store(path) as store:
        for prompt in store.add_prompts([f"prompt {n}" for n in range(pairs)]):
            a, b = store.add_completions([Completion(prompt, "first"), Completion(prompt, "second")])
            store.add_pairs([Pair(prompt, a, b)])


def run(path: Path, lines: str, *words: str) -> str:
    result = CliRunner().invoke(app, ["label", "--db", str(path), "--as", "Ann", *words], input=lines)
    assert result.exit_code == 0, result.output
    return result.output


def said(path: Path, annotator: str = "Ann") -> list[tuple[int, str, int]]:
    with Store(path) as store:
        known = any(row.name == annotator for row in store.annotators())
        rows = store.labels(annotator, skipped=True) if known else []
    assert all(row.left is not None and row.milliseconds is not None for row in rows)
    return [(row.pair, {row.left: "left"}.get(row.choice, row.choice), row.strength) for row in rows]


def test_answers_are_saved_and_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    league(path, 7)
    out = run(path, "1\n=\nb\nx\n\ns\nm1\nn odd one\nw do this\nw\nu\nu\nq\n")
    assert out.count("is no answer") == 2
    assert out.count("taken back") == 2
    assert said(path) == [(1, "left", 1), (2, "tie", 1), (3, "both_bad", 1)]
    with Store(path) as store:
        assert [(note.pair, note.text) for note in store.notes()] == [(6, "odd one")]
        written = [(row.prompt, row.response, row.source) for row in store.demonstrations()]
        assert written == [("prompt 5", "do this", "Ann")]
    assert "the response is empty" in out
    out = run(path, "u\nm2\n2\ns\n")
    assert "#4>" in out.splitlines()[7], "it goes on at the first that is not labelled"
    right = [row for row in said(path) if row[1] in ("a", "b")]
    assert right == [(3, right[0][1], 2), (4, right[1][1], 1)], "the right one, not the left"
    out = run(path, "1\n1\n1\n1\n1\n")
    assert "nothing is left to judge" in out
    assert len(said(path)) == 7


def test_ranks_and_scores(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    league(path, 2)
    out = run(path, "a>b>c\nb = a\na>b\nu\nb>a\n", "rank")
    assert out.count("is no answer") == 1
    assert "saved #1: b=a" in out
    with Store(path) as store:
        ann = store.labels("Ann")
        assert [row.choice for row in ann if row.prompt == "prompt 0"] == ["tie"]
        (last,) = [row for row in ann if row.prompt == "prompt 1"]
        assert last.choice != last.left, "the second letter is on the right, and the better one"
    run(path, "8\n7\nu\n6\n1\n", "score")
    with Store(path) as store:
        assert [row.score for row in store.completion_scores("Ann")] == [6, 1]


def test_stored_text_cannot_talk_to_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    with Store(path) as store:
        (prompt,) = store.add_prompts(["\x1b[2Jgone\n1:\n  mine"])
        a, b = store.add_completions([Completion(prompt, "\x1b]0;x\x07"), Completion(prompt, "\u202eabc\ttab\r")])
        store.add_pairs([Pair(prompt, a, b)])
    out = run(path, "q\n")
    assert out.replace("\n", "").isprintable()
    assert "\\x1b[2J" in out
    assert "\\u202e" in out
    assert [line for line in out.splitlines() if line in ("prompt:", "1:", "2:")] == ["prompt:", "1:", "2:"]


def test_what_cannot_be_labelled_is_told(tmp_path: Path) -> None:
    path = tmp_path / "league.db"

    def error(*words: str) -> str:
        result = CliRunner().invoke(app, ["label", "--db", str(path), *words])
        assert result.exit_code == 2, result.output
        assert len(result.output.strip().splitlines()) == 1
        return result.output

    assert "does not exist yet" in error()
    league(path, 1)
    assert "did you mean evaluation?" in error("--from", "evaluations")
    assert "will not do" in error("--as", "a\x1b[31m")
    assert "rank" in error("order")
    assert "nothing is left" in run(path, "", "--from", "evaluation")


@pytest.mark.slow
def test_a_labeller_killed_right_after_a_label_loses_none(tmp_path: Path) -> None:
    path, chance = tmp_path / "league.db", random.Random(1)
    league(path, 200)
    command = [sys.executable, "-c", LABELLER, str(path), "Ann"]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], bufsize=1
    )
    assert server.stdin is not None
    assert server.stdout is not None
    expected = 0
    for kill in range(50):
        server.stdin.write("go\n")
        child = int(server.stdout.readline().split()[1])
        for _ in range(chance.randrange(1, 4)):
            server.stdin.write(chance.choice(["1", "2", "=", "s", "m1"]) + "\n")
            while not (line := server.stdout.readline()).startswith("saved #"):
                assert line, "the labeller ended"
            expected += 1
        subprocess.run(["kill", "-9", str(child)], check=True)
        while not (line := server.stdout.readline()).endswith("gone\n"):  # the killed may have left half a line
            assert line, "the labeller's parent ended"
        labels = said(path)
        assert [pair for pair, *_ in labels] == list(range(1, expected + 1)), f"kill {kill} lost a label"
    server.stdin.close()
    server.wait(timeout=60)
    with Store(path) as store:
        assert store.check() == []


@pytest.mark.slow
def test_two_annotators_label_at_once(tmp_path: Path) -> None:
    path, pairs = tmp_path / "league.db", 150
    league(path, pairs)
    command = [sys.executable, "-m", "arena", "label", "--plain", "--db", str(path), "--as"]
    labellers = {
        name: subprocess.Popen(
            [*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        for name in ("Ann", "Bob")
    }
    for name, process in labellers.items():
        assert process.stdin is not None
        process.stdin.write(("1\n" if name == "Ann" else "2\nu\n=\n") * pairs)
        process.stdin.flush()
    for process in labellers.values():
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert "nothing is left to judge" in out
    assert [(pair, choice) for pair, choice, _ in said(path)] == [(n, "left") for n in range(1, pairs + 1)]
    assert [(pair, choice) for pair, choice, _ in said(path, "Bob")] == [(n, "tie") for n in range(1, pairs + 1)]
    with Store(path) as store:
        assert store.stats()["labels"] == 4 * pairs
        assert store.check() == []


def test_two_windows_of_one_annotator_do_not_contradict_each_other(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    league(path, 3)
    with Store(path) as one, Store(path) as other:
        answers = iter(["1"])

        def read(prompt: str) -> str:
            label = one.next_pair("Ann")
            assert label is not None
            one.add_label(label.pair, "Ann", "tie")
            return next(answers, "q")

        label_plain(other, "Ann", "pairs", read)
        assert [(row.pair, row.choice) for row in one.labels("Ann")][1:] == [(2, "tie")]
        assert one.labels("Ann")[0].choice != "tie", "the later of two answers counts"


@pytest.mark.parametrize("words", [["label", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    script = f"import sys, arena.cli.app as c\ntry: c.app({words!r})\nexcept SystemExit: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "False"
