"""`arena prefs`: proposing, simulating, reporting, files, each as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from arena.cli.app import app
from arena.records_text import Completion
from arena.store import Store
from envs.helpdesk import demonstrations


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "league.db"
    examples = demonstrations(60, 0)
    with Store(path) as store:
        for (text, answer), (_, other) in zip(examples[:30], examples[30:], strict=True):
            (prompt,) = store.add_prompts([text])
            store.add_completions(
                [Completion(prompt, answer), Completion(prompt, other), Completion(prompt, "no idea.")]
            )
    return path


def run(db: Path, *words: str, code: int = 0, stdin: bytes | None = None) -> Any:
    result = CliRunner().invoke(app, ["prefs", *words, "--db", str(db)], input=stdin)
    assert result.exit_code == code, result.output
    if code:
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
        return result.stderr
    return json.loads(result.stdout) if "--json" in words else result.stdout


def test_from_completions_to_a_report(db: Path) -> None:
    assert run(db, "pairs", "50", "--repeats", "0.4", "--json") == {"random": 30, "uncertainty": 0, "repeats": 20}
    said = run(db, "annotate", "helpful", "--as", "robot", "--noise", "0.2", "--json")
    assert (said["labels"], said["settings"]["noise"]) == (50, 0.2)
    other = run(db, "annotate", "helpful", "--as", "other", "--noise", "0.2", "--json")
    with Store(db) as store:
        choices = [{row.pair: row.choice for row in store.labels(name)} for name in ("robot", "other")]
    assert choices[0] != choices[1], f"errors of their own: {other}"
    run(db, "annotate", "helpful", "--as", "third", "--noise", "0.2", "--seed", str(other["settings"]["seed"]))
    with Store(db) as store:
        assert {row.pair: row.choice for row in store.labels("third")} == choices[1]
    assert run(db, "annotate", "helpful+polite").strip() == "sim:helpful+polite: 50 labels"
    found = run(db, "report", "--json")["report"]
    assert (found["labels"], found["pairs"], len(found["annotators"])) == (200, 30, 4)
    assert found["annotators"][0]["consistency"]["of"] == 20
    assert ["robot", "sim:helpful+polite"] in [each["annotators"] for each in found["between"]]
    assert 0.5 <= found["ceiling"] <= 1
    assert "30 pairs by 1 annotator; " in run(db, "report", "--as", "robot")
    table = run(db, "report")
    assert "by 4 annotators; " in table
    assert "Cohen's κ" in table
    assert "Krippendorff's α" in table
    assert run(db, "report", "--as", "robot", "--split", "test", "--json")["report"]["labels"] == 0
    rows = run(db, "list", "--as", "robot", "--limit", "3", "--json")
    assert [row["pair"] for row in rows] == [50, 49, 48]
    assert len(run(db, "list").splitlines()) == 22


def test_an_empty_report(db: Path) -> None:
    assert run(db, "report", "--json")["report"]["ceiling"] is None
    assert "0 labels" in run(db, "report")
    assert run(db, "list") == run(db, "notes") == ""


def test_out_to_a_file_and_in_again(db: Path, tmp_path: Path) -> None:
    run(db, "pairs", "20")
    run(db, "annotate", "brief", "--as", "robot")
    file, other = tmp_path / "labels.jsonl", tmp_path / "other.db"
    run(db, "export", str(file))
    assert "exists; --force" in run(db, "export", str(file), code=2)
    run(db, "export", str(file), "--force")
    assert run(other, "import", str(file), "--json")["labels"] == 20
    assert "20 known" in run(other, "import", str(file))
    with Store(db) as one, Store(other) as two:
        assert [(r.prompt, r.choice) for r in one.labels()] == [(r.prompt, r.choice) for r in two.labels()]
        decisive = sum(row.choice in ("a", "b") for row in one.labels() if row.repeat_of is None)
    assert len(run(db, "export", "--format", "trl").splitlines()) == decisive
    assert list(tmp_path.glob("*.partial*")) == []


def test_labelled_elsewhere(db: Path) -> None:
    run(db, "pairs", "10")
    rows = [json.loads(line) for line in run(db, "export", "--unlabelled", "--as", "Eve").splitlines()]
    assert len(rows) == 10
    for row in rows:
        row["choice"] = "tie"
    data = "\n".join(map(json.dumps, rows)).encode()
    assert run(db, "import", "-", "--json", stdin=data)["labels"] == 10
    assert run(db, "export", "--unlabelled", "--as", "Eve") == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pairs", "--model", "sft"], "unknown model 'sft'"),
        (["pairs", "--split", "tset"], "did you mean test?"),
        (["pairs", "--repeats", "2"], "from 0 to 1"),
        (["annotate", "helpfull"], "did you mean helpful?"),
        (["annotate", "helpful", "--noise", "2"], "from 0 to 1"),
        (["export", "--format", "trll"], "did you mean trl?"),
        (["export", "--unlabelled", "--format", "hh"], "leave out --format"),
        (["export", "--from", "randon"], "did you mean random or rank?"),
        (["report", "--as", "Ann"], "unknown annotator 'Ann'"),
        (["import", "missing.jsonl"], "missing.jsonl: No such file"),
        (["guidelines", "missing.txt"], "missing.txt: No such file"),
    ],
)
def test_mistakes_are_told_in_one_line(db: Path, words: list[str], message: str) -> None:
    assert message in run(db, *words, code=2)


def test_a_bad_file_makes_no_league(tmp_path: Path) -> None:
    db = tmp_path / "new.db"
    assert "line 1: is no JSON" in run(db, "import", "-", code=1, stdin=b"\x1b[31m{")
    assert not db.exists()


def test_guidelines_are_shown_and_replaced(db: Path, tmp_path: Path) -> None:
    assert "both bad" in run(db, "guidelines")
    (tmp_path / "ours.txt").write_text("Be \x1b[31mfair.\n")
    assert run(db, "guidelines", str(tmp_path / "ours.txt")) == "Be \\x1b[31mfair.\n"
    (tmp_path / "ours.txt").write_bytes(b"\xff")
    assert "is not UTF-8" in run(db, "guidelines", str(tmp_path / "ours.txt"), code=2)
    assert run(db, "guidelines") == "Be \\x1b[31mfair.\n"
