"""Agents as directories: there and back they choose the same; what is wrong with a directory changes nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from agents.configs import default_config
from agents.networks import ActorCritic, freeze
from arena.agent_files import CARD, CONFIG, WEIGHTS, export_agent, read_agent
from arena.checkpoints import pack_policy
from arena.cli.app import app
from arena.match import play_match
from arena.records import Agent
from arena.roster import game_spec, resolve
from arena.store import Store
from envs.errors import ArenaError, UsageError
from envs.registry import make


def new_league(path: Path) -> Store:
    """A league with an untrained agent in two games."""
    store = Store(path)
    for game in ("tic_tac_toe", "gridworld/cliff"):
        config: Any = default_config("vpg", game)
        network = ActorCritic(game_spec(game), config, torch.Generator().manual_seed(1))
        store.add_agent(Agent(game, "novice", "checkpoint", step=12), pack_policy(freeze("vpg", config, network)))
    return store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_league(tmp_path / "league.db")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export_agent(new_league(folder / "league.db"), "tic_tac_toe", "novice", folder / "novice", episodes=4)
    return folder / "novice"


@pytest.fixture
def directory(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "novice"))


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_there_and_back_it_chooses_the_same(store: Store, tmp_path: Path) -> None:
    first, other = (resolve(store, "tic_tac_toe", name) for name in ("novice", "random"))
    play_match(store, "tic_tac_toe", first, other, games=4)
    out = tmp_path / "out"
    done = run("agents", "export", "tic_tac_toe", "novice", "--out", out, "--episodes", 6, "--db", store.path)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == sorted(
        done.stdout.splitlines()[1].partition(": ")[2].split(", ")
    )
    assert {WEIGHTS, CONFIG, CARD, "replay.txt"} <= {path.name for path in out.iterdir()}
    text = (out / CARD).read_text()
    score = done.stdout.removeprefix("mean return ").partition(" over")[0]
    assert f"**{score}**" in text
    assert "(95 % interval, 4 rated games)" in text
    assert "plays `tic_tac_toe`" in text
    elsewhere = tmp_path / "elsewhere.db"
    added = run("agents", "import", out, "--as", "visitor", "--db", elsewhere)
    assert added.exit_code == 0, added.output
    with Store(elsewhere) as there:
        visitor = resolve(there, "tic_tac_toe", "visitor")
        assert visitor.agent.checkpoint == first.agent.checkpoint
        assert visitor.agent.step == 12
        turn = make("tic_tac_toe", 1).reset(torch.tensor([0]))
        assert turn.legal_action_mask is not None
        ours, theirs = (p(turn.observation[:, 0], turn.legal_action_mask[:, 0]) for p in (first.policy, visitor.policy))
        assert torch.equal(ours.probabilities, theirs.probabilities)
    assert run("agents", "import", out, "--as", "visitor", "--db", elsewhere).exit_code == 2, "the name is taken"


def test_one_player_games_and_searching_agents_travel_too(store: Store, tmp_path: Path) -> None:
    measured, files = export_agent(store, "gridworld/cliff", "novice", tmp_path / "cliff", episodes=2)
    assert measured.opponent is None
    assert "replay.txt" not in files, "it has never played"
    assert read_agent(tmp_path / "cliff", "walker")[0].name == "walker"
    export_agent(store, "tic_tac_toe", "novice+mcts:5", tmp_path / "search", episodes=2)
    assert read_agent(tmp_path / "search")[0].policy == "+mcts:5"
    with pytest.raises(UsageError, match="has no weights"):
        export_agent(store, "tic_tac_toe", "random", tmp_path / "none")
    with pytest.raises(UsageError, match="exists"):
        export_agent(store, "tic_tac_toe", "novice", tmp_path / "cliff")


def change(**values: Any) -> Callable[[Path], None]:
    def apply(directory: Path) -> None:
        config = json.loads((directory / CONFIG).read_text()) | values
        (directory / CONFIG).write_text(json.dumps(config))

    return apply


def text(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda directory: (directory / name).write_bytes(data) and None


def pipe(directory: Path) -> None:
    (directory / CONFIG).unlink()
    os.mkfifo(directory / CONFIG)


def link(directory: Path) -> None:
    (directory / WEIGHTS).rename(directory / "elsewhere")
    (directory / WEIGHTS).symlink_to(directory / "elsewhere")


def poison(directory: Path) -> None:
    """Weights that are no numbers, under a hash that is right."""
    _, packed = read_agent(directory)
    from arena.checkpoints import unpack_policy

    weights = unpack_policy(packed.data, "")
    tensors = {name: torch.full_like(tensor, torch.nan) for name, tensor in weights.tensors.items()}
    packed = pack_policy(type(weights)(weights.algorithm, weights.config, tensors))
    (directory / WEIGHTS).write_bytes(packed.data)
    change(sha256=packed.sha256)(directory)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: shutil.rmtree(d), "cannot be read"),
        (text(CONFIG, b"{"), "no JSON"),
        (text(CONFIG, b"[" * 100_000), "no JSON"),
        (text(CONFIG, b"[]"), "describes no agent"),
        (text(CONFIG, b" " * 1_000_001), "too large"),
        (pipe, "no regular file"),
        (link, "cannot be read"),
        (text(WEIGHTS, b"\x80\x04pickle"), "no safetensors"),
        (text(WEIGHTS, b""), "no safetensors"),
        (change(format_version=2), "its form is 2"),
        (change(name=5), "has no name"),
        (change(name="\x1b[2J"), "will not do"),
        (change(step=-1), "a step that is none"),
        (change(step=True), "a step that is none"),
        (change(sha256="0" * 64), "not the file"),
        (change(algorithm="ppo"), "weights are those of 'vpg'"),
        (change(game="connect_four"), "do not fit|weights"),
        (change(game="no_such_game"), "unknown game"),
        (change(game="gym/os:x"), "characters that no game's has"),
        (change(game="gridworld/custom?map=/etc/passwd"), "map of its own"),
        (change(game_version=7), "version 7"),
        (change(search="many"), "a search that is none"),
        (change(search=10**9), "a search that is none"),
        (poison, "numbers that are none"),
    ],
)
def test_a_hostile_directory_is_one_line(
    directory: Path, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(directory)
    with pytest.raises(ArenaError, match=message) as caught:
        read_agent(directory)
    assert "\n" not in str(caught.value)
    refused = run("agents", "import", directory, "--db", tmp_path / "new.db")
    assert refused.exit_code in (1, 2)
    assert len(refused.output.splitlines()) == 1
    assert "\x1b" not in refused.output
    assert not (tmp_path / "new.db").exists()


def test_the_card_keeps_names_inert(store: Store, tmp_path: Path) -> None:
    store.rename_agent("tic_tac_toe", "novice", "<b>|[x](y)")
    export_agent(store, "tic_tac_toe", "<b>|[x](y)", tmp_path / "odd", episodes=2)
    body = (tmp_path / "odd" / CARD).read_text().split("---\n", 2)[2]
    assert "\\<b\\>\\|\\[x\\](y)" in body
    assert "<b>" not in body
