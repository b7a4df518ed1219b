"""Every command over a small league: what it prints, that --json is all of stdout, that bad input changes nothing."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from arena import roster
from arena.cli import replay
from arena.cli.app import app
from arena.episodes import frames
from arena.locks import hold
from arena.migrations import APPLICATION_ID
from arena.records import Run
from arena.store import Store

TRAIN = ["train", "tic_tac_toe", "--name", "tiny", "--seed", "3", "--device", "cpu", "--set", "num_envs=16"]
SMALL = ["--set", "num_steps=4", "--set", "hidden_size=8"]

Call = Callable[..., Result]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A league with a run, and with scripts that have played."""
    path = tmp_path_factory.mktemp("cli") / "league.db"
    for words in (
        [*TRAIN, *SMALL, "--steps", "640"],
        ["match", "tic_tac_toe", "tiny", "random", "--games", "4"],
        ["match", "tic_tac_toe", "minimax", "random", "--games", "2"],
        ["evaluate", "gridworld/recycling", "value-iteration", "--episodes", "2"],
        ["evaluate", "gridworld/tiny", "random", "--episodes", "2"],
    ):
        result = CliRunner().invoke(app, [*words, "--db", str(path)])
        assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def call(db: Path) -> Call:
    def run(*words: str, code: int = 0, **options: Any) -> Result:
        result = CliRunner().invoke(app, [*words, "--db", str(db)], **options)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def ask_json(call: Call) -> Callable[..., Any]:
    return lambda *words, **options: json.loads(call(*words, "--json", **options).stdout)


def dump(path: Path) -> str:
    """Everything in a database, as SQL."""
    with sqlite3.connect(path) as connection:
        return "\n".join(connection.iterdump())


def drop_triggers(connection: sqlite3.Connection) -> None:
    """Take away what keeps facts from being changed."""
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")


JSON_COMMANDS: dict[str, tuple[str, ...]] = {
    "table": ("table", "tic_tac_toe"),
    "matrix": ("table", "tic_tac_toe", "--matrix"),
    "scores": ("table", "gridworld/recycling"),
    "strength": ("strength", "tic_tac_toe", "tiny"),
    "ask": ("ask", "tic_tac_toe", "--agent", "tiny", "--moves", "5,1"),
    "ask table": ("ask", "gridworld/recycling", "--agent", "value-iteration", "--table"),
    "agents": ("agents", "list"),
    "agent": ("agents", "show", "tic_tac_toe", "tiny@latest"),
    "runs": ("runs", "list"),
    "run": ("runs", "show", "tiny"),
    "compare": ("runs", "compare", "tiny", "tiny"),
    "metrics": ("runs", "metrics", "tiny"),
    "replays": ("replay", "list", "tic_tac_toe", "--agent", "random"),
    "replay": ("replay", "show", "1"),
    "verify": ("replay", "verify", "--all"),
    "export": ("replay", "export", "1", "2"),
    "leagues": ("league", "list"),
    "check": ("db", "check"),
    "stats": ("db", "stats"),
    "gc": ("db", "gc"),
    "match": ("match", "tic_tac_toe", "tiny", "minimax", "--games", "2"),
    "evaluate": ("evaluate", "gridworld/recycling", "random", "--episodes", "2", "--sample"),
}


@pytest.mark.parametrize("words", JSON_COMMANDS.values(), ids=JSON_COMMANDS)
def test_json_is_all_of_stdout_and_people_get_text(words: tuple[str, ...], ask_json: Any, call: Call) -> None:
    ask_json(*words)
    if words[:2] != ("runs", "metrics"):
        result = call(*words)
        assert result.stdout.strip() or "yet" in result.stderr
        assert "\x1b" not in result.output


def test_train_reports_and_leaves_agents(ask_json: Any) -> None:
    runs = ask_json("runs", "list")
    assert [(run["name"], run["state"], run["step"]) for run in runs] == [("tiny", "finished", 640)]
    assert runs[0]["config"]["settings"]["num_envs"] == 16
    agents = ask_json("agents", "list", "tic_tac_toe")
    assert agents[0]["name"].startswith("tiny@")
    assert {agent["kind"] for agent in agents} >= {"checkpoint", "scripted"}


def test_a_run_at_work_is_where_its_metrics_are_and_without_its_process_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "league.db"
    with Store(path) as store:
        run = store.create_run(Run("busy", "tic_tac_toe", "ppo", {}, 0, 1_000_000))
        store.add_metrics(run, [(4_000, {"charts/SPS": 100.0}), (5_000, {"losses/entropy": 1.0})])

    def listed() -> tuple[str, int]:
        run, shown = (
            json.loads(CliRunner().invoke(app, [*words, "--db", str(path), "--json"]).stdout)
            for words in (["runs", "list"], ["runs", "show", "busy"])
        )
        assert run[0] == shown["run"]
        return run[0]["state"], run[0]["step"]

    assert listed() == ("killed", 0)
    with hold(path, f"run-{run}", "run busy"):
        assert listed() == ("running", 5_000)
        assert "5,000/1,000,000" in CliRunner().invoke(app, ["runs", "list", "--db", str(path)]).stdout


def test_train_resumes_and_shows_progress(tmp_path: Path) -> None:
    path = str(tmp_path / "league.db")
    runner = CliRunner()
    first = runner.invoke(app, [*TRAIN, *SMALL, "--steps", "64", "--db", path, "--json"])
    assert json.loads(first.stdout)["run"]["step"] == 64
    plan, start, *_, end = first.stderr.splitlines()
    assert plan == "tic_tac_toe: ppo with preset tic_tac_toe, 16 games side by side, 64 steps, on cpu"
    assert start == "tiny 0/64 · starting"
    assert "steps/s" in end
    again = runner.invoke(app, [*TRAIN, "--steps", "64", "--db", path])
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    more = runner.invoke(
        app, ["train", "tic_tac_toe", "--name", "tiny", "--resume", "--steps", "128", "--db", path, "--json"]
    )
    assert json.loads(more.stdout)["run"]["step"] == 128, more.output
    assert more.stderr.startswith("tic_tac_toe: going on with tiny, on cpu\ntiny 64/128 · starting\n")


def test_games_from_inside_training_are_kept_when_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "league.db")
    runner = CliRunner()
    assert runner.invoke(app, [*TRAIN, *SMALL, "--steps", "640", "--record", "5", "--db", path]).exit_code == 0
    listed = json.loads(runner.invoke(app, ["replay", "list", "--db", path, "--json"]).stdout)
    assert len(listed) > 3
    assert {row["rated"] for row in listed} == {False}
    verified = runner.invoke(app, ["replay", "verify", "--all", "--db", path])
    assert verified.stdout.strip() == f"{len(listed)} of {len(listed)} episodes verified"


def test_settings_can_be_shown_and_read_back(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["train", "tic_tac_toe", "--show-settings", "--set", "gamma=0.5"])
    assert "gamma = 0.5  #" in shown.stdout
    file = tmp_path / "mine.toml"
    file.write_text(shown.stdout)
    words = ["train", "tic_tac_toe", "--config", str(file), "--set", "num_envs=7", "--show-settings", "--json"]
    settings = json.loads(CliRunner().invoke(app, words).stdout)
    assert (settings["gamma"], settings["num_envs"]) == (0.5, 7)


def test_match_counts_every_game(ask_json: Any) -> None:
    result = ask_json("match", "tic_tac_toe", "minimax", "random", "--games", "6", "--seed", "5")
    total = result["total"]
    assert result["agents"] == ["minimax", "random"]
    assert total["wins"] + total["draws"] + total["losses"] == 6
    assert sum(seat["wins"] + seat["draws"] + seat["losses"] for seat in result["seats"]) == 6
    table = ask_json("table", "tic_tac_toe", "--matrix")
    assert set(table["pairs"][0]) == {"agent", "other", "games", "score", "expected", "superiority", "surprise"}
    assert set(table["fit"]) == {"deviance", "freedom", "p"}
    assert table["matrix"]["agents"] == [row["agent"] for row in table["rows"]]
    assert sum(table["matrix"]["nash"]) == pytest.approx(1)
    assert table["kind"] == "ratings"
    elo = {row["agent"]: row["elo"] for row in table["rows"]}
    assert elo["random"] == 0
    assert elo["minimax"] > 0


def test_evaluate_prints_the_optimum(ask_json: Any, call: Call) -> None:
    result = ask_json("evaluate", "gridworld/recycling", "value-iteration", "--episodes", "3")
    assert (result["mean"], result["std"], len(result["returns"])) == (11.0, 0.0, 3)
    rows = ask_json("table", "gridworld/recycling")["rows"]
    assert rows[0]["agent"] == "value-iteration"
    assert "11.00" in call("table", "gridworld/recycling").stdout


def test_ask_gives_a_distribution_over_legal_moves(ask_json: Any, call: Call) -> None:
    answer = ask_json("ask", "tic_tac_toe", "--agent", "minimax", "--moves", "1,5")
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert set(answer["probabilities"]) == set("2346789")
    assert (answer["ply"], answer["seat"], answer["value"]) == (2, 0, 0)
    taken = call("ask", "tic_tac_toe", "--agent", "minimax", "--moves", "1 5 5", code=2)
    assert taken.stderr.startswith("Error: move 3 ('5') is not legal there; legal: ")
    assert "move 2" in call("ask", "tic_tac_toe", "--agent", "minimax", "--moves", "1,x", code=2).stderr
    assert "over" in call("ask", "tic_tac_toe", "--agent", "minimax", "--moves", "1,4,2,5,3,6", code=2).stderr


def test_ask_table_is_the_lectures(ask_json: Any, call: Call) -> None:
    table = ask_json("ask", "gridworld/recycling", "--agent", "value-iteration", "--table")
    q = [[state["q_values"][name] for name in ("left", "right")] for state in table["states"]]
    assert [value for row in q for value in row] == pytest.approx([2, 9, 8.1, 10, 9, 10], rel=1e-5)
    assert "→" in call("ask", "gridworld/recycling", "--agent", "value-iteration", "--table").stdout


def test_replay_shows_every_position(call: Call, ask_json: Any) -> None:
    episode = ask_json("replay", "show", "1")
    assert len(episode["positions"]) == episode["length"] + 1
    text = call("replay", "show", "1").stdout
    assert text.count("episode 1 · step") == episode["length"] + 1
    one = call("replay", "show", "1", "--ply", "2").stdout
    assert one.count("episode 1 · step 2 of") == 1
    assert one in text
    (alone,) = ask_json("replay", "show", "1", "--ply", "2")["positions"]
    assert alone == episode["positions"][2]
    assert "at most" in call("replay", "show", "1", "--ply", "99", code=2).stderr


def test_keys_step_through_a_replay(
    db: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(replay, "DRAWN_AROUND", 1)
    keys = iter(["\x1b[C", " ", "G", "p", "g", "q"])
    monkeypatch.setattr("typer.getchar", lambda: next(keys))
    with Store(db, create=False) as store:
        episode = store.episode(1)
    replay._step_through(episode, ["Ann", "Bob"])
    shown = capsys.readouterr().out
    at = [int(line.split("step ")[1].split()[0]) for line in shown.splitlines() if "· step" in line]
    assert at == [0, 1, 2, episode.length, episode.length - 1, 0]
    assert all(replay.picture(episode, ["Ann", "Bob"], frame) in shown for frame in list(frames(episode))[:3])


def test_verify_names_the_step_that_differs(db: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    runner = CliRunner()
    assert runner.invoke(app, ["db", "backup", str(copy), "--db", str(db)]).exit_code == 0
    assert runner.invoke(app, ["replay", "verify", "--all", "--db", str(copy)]).exit_code == 0
    with sqlite3.connect(copy) as connection:
        drop_triggers(connection)
        chain = bytearray(connection.execute("SELECT chain FROM episodes WHERE id = 2").fetchone()[0])
        chain[8 * 3] ^= 1
        connection.execute("UPDATE episodes SET chain = ? WHERE id = 2", (bytes(chain),))
    wrong = runner.invoke(app, ["replay", "verify", "--all", "--db", str(copy)])
    assert wrong.exit_code == 1
    assert "episode 2, step 3: " in wrong.stdout
    assert "differ" in runner.invoke(app, ["replay", "verify", "2", "--json", "--db", str(copy)]).stdout


def test_metrics_as_csv_and_events(call: Call, ask_json: Any, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(call("runs", "metrics", "tiny", "--csv").stdout)))
    series = ask_json("runs", "metrics", "tiny")
    assert [int(row["step"]) for row in rows] == sorted({step for values in series.values() for step, _ in values})
    assert float(rows[-1]["losses/entropy"]) == series["losses/entropy"][-1][1]
    pytest.importorskip("tensorboard")
    call("runs", "metrics", "tiny", "--tensorboard", str(tmp_path / "events"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "events" / "tiny"))
    events.Reload()
    assert [event.step for event in events.Scalars("losses/entropy")] == [step for step, _ in series["losses/entropy"]]


def test_events_are_written_below_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []
    monkeypatch.setattr("arena.cli.metrics_export.write_tensorboard", lambda _, folder: folders.append(folder))
    with Store(tmp_path / "league.db") as store:
        for name in ("..", "../a", "b/c.d"):
            store.create_run(Run(name, "tic_tac_toe", "ppo", {}, 0, 10))
            words = ["runs", "metrics", name, "--tensorboard", str(tmp_path), "--db", str(store.path)]
            assert CliRunner().invoke(app, words).exit_code == 0
    assert folders == [tmp_path / "-", tmp_path / "--a", tmp_path / "b-c.d"]


def test_agents_are_renamed_and_retired(db: Path, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.db")
    runner = CliRunner()
    runner.invoke(app, ["db", "backup", copy, "--db", str(db)])
    words = ["--db", copy, "--json"]
    renamed = runner.invoke(app, ["agents", "rename", "tic_tac_toe", "tiny@latest", "Champion", *words])
    assert json.loads(renamed.stdout)["name"] == "Champion"
    retired = runner.invoke(app, ["agents", "retire", "tic_tac_toe", "Champion", *words])
    assert json.loads(retired.stdout)["retired_at"]
    names = [agent["name"] for agent in json.loads(runner.invoke(app, ["agents", "list", *words]).stdout)]
    assert "Champion" not in names
    runner.invoke(app, ["agents", "retire", "tic_tac_toe", "Champion", "--undo", *words])
    assert "Champion" in runner.invoke(app, ["agents", "list", "tic_tac_toe", "--db", copy]).stdout


def test_games_are_listed_and_shown() -> None:
    listed = json.loads(CliRunner().invoke(app, ["games", "--json"]).stdout)
    assert {"tic_tac_toe", "connect_four", "gridworld/sumo", "gym/*"} <= {game["id"] for game in listed}
    shown = CliRunner().invoke(app, ["games", "show", "gridworld/maze?size=9"]).stdout
    assert "size" in shown


BAD_INPUT: dict[str, tuple[tuple[str, ...], int, str]] = {
    "game": (("table", "tic_tac_to"), 2, "did you mean tic_tac_toe"),
    "game's option": (("table", "gridworld/maze?sise=9"), 2, "did you mean size"),
    "option's value": (("table", "gridworld/maze?size=big"), 2, "is not a whole number"),
    "command": (("tabel", "tic_tac_toe"), 2, "Did you mean"),
    "no game": (("table",), 2, "GAME"),
    "nobody to beat": (("table", "gridworld/tiny", "--matrix"), 2, "played alone"),
    "option": (("table", "tic_tac_toe", "--jason"), 2, "--jason"),
    "agent": (("match", "tic_tac_toe", "randon", "minimax"), 2, "did you mean random"),
    "one agent": (("match", "tic_tac_toe", "random"), 2, "players"),
    "one-player match": (("match", "gridworld/tiny", "random", "random"), 2, "one-player"),
    "evaluate a board game": (("evaluate", "tic_tac_toe", "random"), 2, "arena match"),
    "algorithm": (("train", "tic_tac_toe", "--algo", "pppo"), 2, "did you mean ppo"),
    "setting": (("train", "tic_tac_toe", "--set", "gama=1"), 2, "did you mean gamma"),
    "setting's value": (("train", "tic_tac_toe", "--set", "gamma=2"), 2, "gamma"),
    "setting's form": (("train", "tic_tac_toe", "--set", "gamma"), 2, "key=value"),
    "no config": (("train", "tic_tac_toe", "--config", "nowhere.toml"), 2, "nowhere.toml"),
    "no steps": (("train", "tic_tac_toe", "--steps", "0"), 2, "--steps"),
    "reward": (("train", "tic_tac_toe", "--reward", "math:cos"), 2, "one-player"),
    "resume nothing": (("train", "tic_tac_toe", "--resume", "--name", "tinny"), 2, "did you mean tiny"),
    "resume unnamed": (("train", "tic_tac_toe", "--resume"), 2, "--name"),
    "resume anew": (
        ("train", "tic_tac_toe", "--resume", "--name", "tiny", "--set", "gamma=1"),
        2,
        "keeps its settings",
    ),
    "resume and record": (
        ("train", "tic_tac_toe", "--resume", "--name", "tiny", "--record", "2"),
        2,
        "keeps its settings",
    ),
    "run": (("runs", "show", "tinny"), 2, "did you mean tiny"),
    "run to compare": (("runs", "compare", "tiny"), 2, "two runs"),
    "no format": (("runs", "metrics", "tiny"), 2, "--csv"),
    "episode": (("replay", "show", "9999"), 2, "9999"),
    "nothing to verify": (("replay", "verify"), 2, "--all"),
    "agent without game": (("replay", "list", "--agent", "random"), 2, "GAME"),
    "new name": (("agents", "rename", "tic_tac_toe", "random", "a\nb"), 2, "printable"),
    "name taken": (("agents", "rename", "tic_tac_toe", "random", "minimax"), 2, "already"),
    "person as agent": (("match", "tic_tac_toe", "random", "--games", "-1"), 2, "--games"),
    "play alone": (("play", "tic_tac_toe", "--text"), 2, "--vs"),
    "play with whom": (("play", "gridworld/tiny", "--vs", "random", "--text"), 2, "alone"),
    "games": (("match", "tic_tac_toe", "random", "random", "--games", str(10**20)), 2, "--games"),
    "minutes of a league": (("league", "run", "tic_tac_toe", "--minutes", "nan"), 2, "minutes=nan"),
    "command of a group": (("runs", "export", "tiny"), 2, "Known: list, show, compare, metrics"),
    "text named json": (("replay", "export", "1", "--out", "x.json"), 2, "--json > x.json"),
    "seat": (("play", "tic_tac_toe", "--vs", "random", "--seat", "2", "--text"), 2, "--seat"),
    "league": (("league", "status", "nothing"), 2, "league"),
    "strength": (("strength", "othello", "random"), 2, "perfect play"),
    "table of moves": (("ask", "gridworld/tiny", "--agent", "random", "--table", "--moves", "up"), 2, "--moves"),
    "no dynamics": (("ask", "tic_tac_toe", "--agent", "random", "--table"), 2, "dynamics"),
    "seed": (("match", "tic_tac_toe", "random", "random", "--seed", str(2**63)), 2, "--seed"),
    "backup over a file": (("db", "backup", "tests"), 2, "tests"),
}


@pytest.mark.parametrize(("words", "code", "line"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_one_line_and_changes_nothing(
    words: tuple[str, ...], code: int, line: str, call: Call, db: Path
) -> None:
    before = dump(db)
    result = call(*words, code=code)
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    assert line in result.stderr
    assert dump(db) == before


READING = [words for words in JSON_COMMANDS.values() if words[0] not in ("match", "evaluate")]


@pytest.mark.parametrize("words", READING, ids=map(" ".join, READING))
def test_reading_never_makes_a_file(words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "nothing.db"
    result = CliRunner().invoke(app, [*words, "--json", "--db", str(path)])
    assert result.exit_code == 2
    assert "does not exist yet" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["match", "tic_tac_toe", "randon", "minimax"],
        ["evaluate", "gridworld/tiny", "nobody"],
        ["train", "tic_tac_toe", "--algo", "pppo"],
        ["train", "tic_tac_toe", "--name", "tiny", "--resume"],
    ],
)
def test_unknown_names_make_no_file(words: list[str], tmp_path: Path) -> None:
    assert CliRunner().invoke(app, [*words, "--db", str(tmp_path / "new.db")]).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_league_are_refused_unchanged(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be looked at twice. " * 10)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    newer = tmp_path / "newer.db"
    CliRunner().invoke(app, ["match", "tic_tac_toe", "random", "minimax", "--games", "2", "--db", str(newer)])
    with sqlite3.connect(newer) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('arena', 'm999_future', '')"
        )
    for path, words in ((text, "no league"), (other, "no league"), (newer, "newer")):
        before = path.read_bytes()
        for command in (["table", "tic_tac_toe"], ["match", "tic_tac_toe", "random", "minimax"], ["db", "check"]):
            result = CliRunner().invoke(app, [*command, "--db", str(path)])
            assert result.exit_code in (1, 2)
            assert words in result.stderr
            assert len(result.stderr.splitlines()) == 1
        assert path.read_bytes() == before


def test_a_corrupt_checkpoint_is_named(db: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    CliRunner().invoke(app, ["db", "backup", str(copy), "--db", str(db)])
    with sqlite3.connect(copy) as connection:
        drop_triggers(connection)
        connection.execute("UPDATE checkpoint_chunks SET data = zeroblob(length(data))")
    before = dump(copy)
    roster._policies.clear()  # as in a process of its own
    for words in (["match", "tic_tac_toe", "tiny", "random"], ["ask", "tic_tac_toe", "--agent", "tiny"]):
        result = CliRunner().invoke(app, [*words, "--db", str(copy)])
        assert result.exit_code == 1
        assert "corrupt" in result.stderr
    assert CliRunner().invoke(app, ["db", "check", "--db", str(copy)]).exit_code == 1
    assert dump(copy) == before


@pytest.mark.parametrize(
    "words",
    [
        ("match", "tic_tac_toe", "random"),
        ("match", "tic_tac_toe", "random", "nobody"),
        ("match", "gridworld/tiny", "random", "random"),
        ("evaluate", "tic_tac_toe", "random"),
        ("play", "tic_tac_toe", "--vs", "nobody", "--text"),
    ],
)
@pytest.mark.slow
def test_who_cannot_play_joins_nothing(words: tuple[str, ...], tmp_path: Path) -> None:
    league, fresh = tmp_path / "league.db", tmp_path / "fresh.db"
    with Store(league):
        pass
    for db in (league, fresh):
        result = CliRunner().invoke(app, [*words, "--db", str(db)])
        assert result.exit_code in (1, 2)
    assert not fresh.exists()
    with Store(league) as store:
        assert store.stats()["agents"] == 0
