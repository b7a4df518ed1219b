"""Models, prompts and completions in the Store: what goes in comes out, older leagues grow, bad names are refused."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from arena import migrations
from arena.records import Run
from arena.records_text import Completion, Example, Pair
from arena.store import Store
from arena.store_rows import CHUNK_BYTES, MAX_TEXT
from envs.errors import ArenaError, UnknownNameError, UsageError

FILES = {"config.json": b"{}", "model.safetensors": b"\1" * (CHUNK_BYTES + 1), "member-1/head.safetensors": b"{}"}


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "league.db") as store:
        yield store


def test_a_model_comes_back_as_it_was_stored(store: Store) -> None:
    base = store.add_text_model("base", "pretrained", FILES)
    sft = store.add_text_model("sft-1", "sft", {"config.json": b"{}"}, parent=base)
    assert store.text_model_files("base") == FILES
    model = store.text_model("sft-1")
    assert (model.id, model.kind, model.parent, model.run) == (sft, "sft", base, None)
    assert [m.name for m in store.text_models()] == ["base", "sft-1"]
    assert [m.name for m in store.text_models("sft")] == ["sft-1"]
    assert store.stats()["checkpoints"] == 2, "equal files are kept once"
    with pytest.raises(UsageError, match="a model 'base' already"):
        store.add_text_model("base", "sft", FILES)
    with pytest.raises(UnknownNameError, match="did you mean sft-1"):
        store.text_model("sft-2")
    assert store.check() == []


def test_models_survive_gc_and_what_nothing_names_does_not(store: Store) -> None:
    store.add_text_model("base", "pretrained", FILES)
    with sqlite3.connect(store.path) as connection:
        connection.execute("INSERT INTO checkpoints VALUES (?, 0, 'ppo', '{}', 0)", ("0" * 64,))
    connection.close()
    assert store.gc()["checkpoints"] == 1
    assert store.text_model_files("base") == FILES
    store.backup(store.path.with_name("copy.db"))
    with Store(store.path.with_name("copy.db"), create=False) as copy:
        assert copy.text_model_files("base") == FILES


def test_a_damaged_model_file_is_told(store: Store) -> None:
    store.add_text_model("base", "pretrained", FILES)
    with sqlite3.connect(store.path) as connection:
        connection.execute("DROP TRIGGER checkpoint_chunks_no_update")
        connection.execute("UPDATE checkpoint_chunks SET data = zeroblob(length(data)) WHERE length(data) > 2")
    connection.close()
    with pytest.raises(ArenaError, match="is corrupt"):
        store.text_model_files("base")
    assert any("is corrupt" in problem for problem in store.check())


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../b", "", ".", "a\\b", "a\x1b[0m", "./a", "a" * 201])
def test_a_model_file_stays_below_its_directory(store: Store, name: str) -> None:
    with pytest.raises(ArenaError, match="no name for a model's file"):
        store.add_text_model("base", "imported", {"config.json": b"{}", name: b""})
    assert store.text_models() == []
    assert store.stats()["checkpoints"] == 0


def test_prompts_are_kept_once_and_keep_their_split(store: Store) -> None:
    first = store.add_prompts(["how?", "why?"], "test", "here")
    assert store.add_prompts(["why?", "who?", "why?"]) == [first[1], first[1] + 1, first[1]]
    assert [(p.text, p.split, p.source) for p in store.prompts()] == [
        ("how?", "test", "here"),
        ("why?", "test", "here"),
        ("who?", "train", ""),
    ]
    assert [p.text for p in store.prompts("test", limit=1)] == ["how?"]
    assert store.prompt(first[0]).text == "how?"
    with pytest.raises(UsageError, match="no prompt 99"):
        store.prompt(99)


def test_demonstrations_bring_their_prompts(store: Store) -> None:
    rows = [("how?", "so."), ("how?", "thus."), ("how?", "so.")]
    assert store.add_demonstrations(rows, "me") == 2
    assert store.demonstrations() == [Example("how?", "so.", "train", "me"), Example("how?", "thus.", "train", "me")]
    assert store.demonstrations("test") == []


def test_completions_are_found_by_what_made_them(store: Store) -> None:
    how, why = store.add_prompts(["how?"]) + store.add_prompts(["why?"], "test")
    model = store.add_text_model("base", "pretrained", {"a": b""})
    run = store.create_run(Run("rlhf-1", "text", "rlhf", {}, 0, 10))
    rows = [
        Completion(how, "so.", model=model, temperature=0.7, top_k=50, top_p=0.9, seed=3),
        Completion(why, "", ended=False),
        Completion(how, "thus", run=run, step=5),
    ]
    ids = store.add_completions(rows)
    read = store.completions()
    assert [c.id for c in read] == ids[:2], "what a run samples on its way is no completion to label"
    assert (read[0].temperature, read[0].top_k, read[0].top_p, read[0].seed, read[0].ended) == (0.7, 50, 0.9, 3, True)
    assert [c.id for c in store.completions(prompt=how)] == [ids[0]]
    assert [c.id for c in store.completions(model=model)] == [ids[0]]
    assert [c.id for c in store.completions(split="test")] == [ids[1]]
    assert [(c.id, c.step) for c in store.completions(run=run)] == [(ids[2], 5)]
    with pytest.raises(ArenaError, match="FOREIGN KEY"):
        store.add_completions([Completion(how, "x"), Completion(99, "x")])
    assert len(store.completions()) == 2


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), ("a" * (MAX_TEXT + 1), "characters"), ("\ud800", "surrogate")]
)
def test_text_that_cannot_be_kept_is_refused_whole(store: Store, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        store.add_prompts(["fine", text])
    assert store.prompts() == []


def test_counts_are_those_of_the_lists(store: Store) -> None:
    model = store.add_text_model("base", "pretrained", FILES)
    asked, held_out = (store.add_prompts([f"{split}?"], split)[0] for split in ("train", "test"))
    store.add_demonstrations([("how?", "so.")])
    rows = [Completion(asked, text, model=model) for text in ("a", "b", "c")] + [Completion(held_out, "d", model=model)]
    one, two, three, _ = store.add_completions(rows)
    first = store.add_pairs([Pair(asked, one, two)])[0]
    second = store.add_pairs([Pair(asked, two, three)])[0]
    assert store.count_judgements() == 0
    for pair, choice in ((first, "a"), (first, "b"), (second, "skip")):
        store.add_label(pair, "ann", choice)
    store.add_label(second, "bob", "a")
    store.undo_label("bob")
    run = store.create_run(Run("ppo", "text", "rlhf", {}, 1, 10))
    store.add_completions([Completion(prompt, "e", run=run, step=1) for prompt in (asked, held_out)])
    store.add_pairs([Pair(asked, one, three, "rank")])
    assert store.count_texts() == {
        "demonstrations": len(store.demonstrations()),
        "train prompts": len(store.prompts("train")),
        "test prompts": len(store.prompts("test")),
        "completions": len(store.completions(split="train")),
        "pairs": len(store.pairs()),
    }
    (label,) = store.labels()
    assert (store.count_judgements(), store.count_judgements(label.label)) == (1, 0)
    assert [row.text for row in store.completions(model=model, split="train", limit=2)] == ["a", "b"]


def test_any_other_text_comes_back_as_it_was(store: Store) -> None:
    texts = ["a\0b", "\x1b[31mred", "[bold]x[/]", "\u202eabc", " \n", "名人 😀", "a\r\nb"]
    store.add_prompts(texts)
    assert [p.text for p in store.prompts()] == texts


def old_league(path: Path) -> None:
    """A league as it was before it knew text."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
        known = migrations.MIGRATIONS
        try:
            migrations.MIGRATIONS = known[:1]
            migrations.migrate(connection)
        finally:
            migrations.MIGRATIONS = known
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO settings VALUES ('name', 'Ann')")


def test_an_older_league_grows_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    old_league(path)
    with Store(path, create=False) as store:
        assert store.setting("name") == "Ann"
        assert store.add_prompts(["how?"]) == [1]
        assert store.check() == []
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert migrations.applied(connection) == migrations.LATEST


def test_an_older_league_that_cannot_grow_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "league.db"
    old_league(path)
    before = path.read_bytes()

    def refuse(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(migrations, "migrate", refuse)
    with pytest.raises(ArenaError, match="write-protected; nothing was written; an older Arena made it") as raised:
        Store(path, create=False)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == before
