"""`arena rlhf` as a person types it: the whole way on a tiny model, one-line errors, a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.transformer import TextModel, save_model
from arena.cli.app import app
from arena.locks import hold
from arena.records import Run
from arena.store import Store

Tiny = Callable[[int], TextModel]


def run(db: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["rlhf", *words, "--db", str(db)])
    assert result.exit_code == code, result.output
    return result.stdout if "--json" in words else result.output


@pytest.mark.slow
def test_the_whole_way(tmp_path: Path) -> None:
    db = tmp_path / "league.db"
    small = ["--layers", "2", "--heads", "2", "--width", "32", "--device", "cpu"]
    assert "pretrain-1" in run(db, "pretrain", "--posts", "60", *small)
    demonstrations = tmp_path / "demonstrations.jsonl"
    prompts = [f"my phone number {n} rings, what now?" for n in range(6)]
    rows = [{"prompt": prompt, "response": "please let it ring."} for prompt in prompts]
    demonstrations.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(db, "sft", "--demonstrations", str(demonstrations), "--set", "epochs=1")
    assert "12 completions" in run(db, "sample", "--each", "2", "--tokens", "6")
    assert json.loads(run(db, "pairs", "--json"))["random"] == 6
    assert "next: arena label" in run(db, "status")
    with Store(db) as store:
        for pair in store.pairs():
            store.add_label(pair.id, "anna", "a")
    report = json.loads(run(db, "reward", "--tokens", "6", "--set", "num_epochs=1", "--json"))
    assert 6 <= report["labels"] + report["held_out"] <= 12
    assert report["warnings"]
    few = ["--set", "rollout_size=4", "--set", "max_new_tokens=6", "--completions", "8"]
    assert "ppo-1: step 8 of 8" in run(db, "ppo", *few)
    run(db, "ppo", *few, "--reward", "agents.rewards:full_stops", "--name", "stops")
    online = ["--online", "--completions", "8", "--set", "pairs_per_round=4", "--set", "max_new_tokens=6"]
    assert "dpo-1: step 8 of 8" in run(db, "dpo", *online)
    run(db, "dpo", "--set", "num_epochs=1")
    assert [model["kind"] for model in json.loads(run(db, "models", "--json"))] == [
        "pretrained", "sft", "reward", "rlhf", "rlhf", "dpo", "dpo",
    ]  # fmt: skip
    (tmp_path / "questions.txt").write_text("my lamp hums, what now?\n")
    assert "1 new prompts" in run(db, "prompts", str(tmp_path / "questions.txt"), "--split", "test")
    assert json.loads(run(db, "prompts", "--json"))["test"] == 1
    found = json.loads(run(db, "eval", "--rubric", "polite", "--tokens", "6", "--json"))
    assert [each["model"] for each in found["models"]] == ["sft-1", "stops", "dpo-2", "best of 4"]
    run(db, "eval", "stops", "--person", "--tokens", "6")
    assert "stops" in run(db, "compare", "my lamp hums", "--tokens", "6")
    look = json.loads(run(db, "lens", "my lamp hums", "--model", "stops", "--tokens", "6", "--json"))
    assert len(look["tables"]) == 2
    assert look["reward"]["model"] == "reward-1"
    text = run(db, "lens", "my lamp hums", "--model", "stops", "--tokens", "6")
    assert "log-ratio of stops to sft-1" in text
    assert "layer" in text
    out = tmp_path / "out"
    run(db, "export", "stops", str(out))
    run(db, "import", str(out), "--name", "again")


@pytest.mark.slow
def test_errors_are_one_line_and_change_nothing(tmp_path: Path, tiny_model: Tiny) -> None:
    db = tmp_path / "league.db"
    assert "arena rlhf pretrain" in run(db, "status", code=2) or not db.exists()
    save_model(tiny_model(0), tmp_path / "model")
    run(db, "import", str(tmp_path / "model"))
    bad = tmp_path / "bad.jsonl"
    cases = {
        b'{"prompt": "a", "response": "b"}\n{"prompt": 5}\n': "line 2",
        b'{"prompt": "a", "response": "b"}\n\xff\xfe\n': "line 2: no UTF-8",
        b"not json\n": "line 1: no JSON",
        b'{"prompt": "' + b"x" * 2**20 + b'"}\n': "line 1: longer than",
    }
    for data, message in cases.items():
        bad.write_bytes(data)
        output = run(db, "sft", "--demonstrations", str(bad), code=1)
        assert message in output
        assert len(output.strip().splitlines()) == 1
    assert "did you mean learning_rate" in run(db, "dpo", "--set", "lerning_rate=1", code=2)
    assert "are for --online" in run(db, "dpo", "--completions", "8", code=2)
    assert "--by chooses labels" in run(db, "dpo", "--online", "--by", "anna", code=2)
    assert "no model to begin with" not in run(db, "dpo", code=2)
    assert "did you mean model" in run(db, "sample", "--model", "modle", code=2)
    assert "--resume needs" in run(db, "ppo", "--resume", code=2)
    more = ["--name", "x", "--resume", "--completions", "8", "--set", "kl_coef=1"]
    assert "leave out --completions, --set" in run(db, "ppo", *more, code=2)
    (tmp_path / "model" / "model.safetensors").unlink()
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert "pickle" in run(db, "import", str(tmp_path / "model"), "--name", "other", code=1)
    (tmp_path / "model").rename(tmp_path / "pickled")
    assert "pickle" in run(db, "sft", "--model", str(tmp_path / "pickled"), code=1)
    assert "banana" in run(db, "sft", "--device", "banana", code=2)
    with Store(db) as store:
        assert [model.name for model in store.text_models()] == ["model"]
        assert store.runs() == []
        assert store.demonstrations() == []


@pytest.mark.slow
def test_a_killed_training_goes_on(tmp_path: Path, tiny_model: Tiny) -> None:
    db = tmp_path / "league.db"
    save_model(tiny_model(0), tmp_path / "model")
    run(db, "import", str(tmp_path / "model"), "--name", "sft")
    with Store(db) as store:
        store.add_prompts(["one two", "three four"], "train")
    words = ["ppo", "--model", "sft", "--reward", "agents.rewards:full_stops", "--completions", "400"]
    words += ["--set", "rollout_size=4", "--set", "max_new_tokens=8", "--device", "cpu", "--name"]
    child = subprocess.Popen(
        [sys.executable, "-m", "arena", "rlhf", *words, "cut", "--db", str(db)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 240
    step = 0
    with Store(db) as store:
        while step < 80 and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
            step = next((one.step for one in store.runs()), 0)
    child.send_signal(signal.SIGKILL)
    child.wait()
    with Store(db) as store:
        assert 80 <= store.run("cut").step < 400
        assert store.check() == []
    run(db, "ppo", "--name", "cut", "--resume")
    run(db, *words, "whole")
    with Store(db) as store:
        cut, whole = (store.text_model_files(name)["model.safetensors"] for name in ("cut", "whole"))
    assert cut == whole


def test_a_training_at_work_is_not_one_to_resume(tmp_path: Path) -> None:
    db = tmp_path / "league.db"
    with Store(db) as store:
        number = store.create_run(Run("ppo-9", "text", "rlhf", {}, 1, 400))
    with hold(db, f"run-{number}", "ppo-9"):
        printed = run(db, "status")
        assert "at work: ppo-9" in printed
        assert "next: arena runs show ppo-9" in printed
        assert "--resume" not in printed
        assert json.loads(run(db, "status", "--json"))["at_work"] == ["ppo-9"]
    assert "next: arena rlhf ppo --name ppo-9 --resume" in run(db, "status")
