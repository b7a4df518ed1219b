"""Outside engines: positions told right, moves understood, whatever goes wrong forfeits, and no process is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chess
import numpy as np
import pytest
import torch

from agents.engine_config import EngineConfig, from_text, located, to_text
from agents.engine_process import EngineFailure, EngineProcess
from agents.engines import EnginePolicy
from agents.gtp import Position, seen, stones
from envs.chess_positions import GAME, actions_of, board_of
from envs.errors import ArenaError, UsageError
from envs.protocol import Turn
from envs.registry import make

FAKE = Path(__file__).with_name("fake_engine.py")
PATIENCE = 120.0


@pytest.fixture(scope="module")
def start() -> Turn:
    env = make(GAME, autoreset=False)
    turn = env.reset(torch.tensor([0]))
    env.close()
    return turn


@pytest.fixture(scope="module")
def spec() -> Any:
    return make(GAME).spec


@pytest.fixture
def fake(spec: Any) -> Iterator[Callable[..., EnginePolicy]]:
    """Makes a policy of the fake engine."""
    made: list[EnginePolicy] = []

    def policy(*arguments: str, **settings: Any) -> EnginePolicy:
        command = (sys.executable, str(FAKE), *arguments)
        settings = {"nodes": 1, "timeout": PATIENCE, "memory_mb": 4096} | settings
        made.append(EnginePolicy(spec, EngineConfig(command=command, **settings)))
        return made[-1]

    yield policy
    for one in made:
        one.close()


def ask(policy: EnginePolicy, turn: Turn) -> Any:
    assert turn.legal_action_mask is not None
    return policy(turn.observation[:, 0], turn.legal_action_mask[:, 0])


def processes(marker: str) -> list[int]:
    """Every process that has `marker` on its command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


@pytest.mark.slow
def test_positions_come_back_from_what_is_seen() -> None:
    env = make(GAME, autoreset=False)
    turn = env.reset(torch.tensor([0]))
    rng = random.Random(4)
    told = plies = 0
    for _ in range(50):
        if turn.player[0, 0] < 0:
            break
        real: chess.Board = env._games[0]._env.unwrapped.board  # type: ignore[attr-defined]
        board = board_of(turn.observation[0, 0].numpy())
        assert board.board_fen() == real.board_fen()
        assert board.turn == real.turn
        assert board.clean_castling_rights() == real.clean_castling_rights()
        assert board.ep_square == real.ep_square
        assert turn.legal_action_mask is not None
        legal = turn.legal_action_mask[0, 0].nonzero().flatten().tolist()
        assert sorted(actions_of(board).values()) == legal
        moves = [move.uci() for move in board.move_stack]
        assert moves == [move.uci() for move in real.move_stack][len(real.move_stack) - len(moves) :]
        told += len(moves) >= min(7, len(real.move_stack))
        plies += 1
        turn = env.step(torch.tensor([[rng.choice(legal)]])).turn
    env.close()
    assert told >= 0.9 * plies


def test_an_engine_is_asked_and_believed(fake: Callable[..., EnginePolicy], start: Turn) -> None:
    policy = fake("none", "99")
    decision = ask(policy, start)
    assert policy.name == "Fake"
    assert decision.gave_up is None
    assert actions_of(chess.Board())["a2a3"] == int(decision.probabilities[0].argmax())
    assert float(decision.probabilities[0].max()) == 1
    assert decision.value.tolist() == pytest.approx([2 / (1 + 10**-0.25) - 1])
    mixed = ask(fake("none", "99", random=0.5), start).probabilities[0]
    assert sorted(mixed[mixed > 0].tolist()) == pytest.approx([0.5 / 20] * 19 + [0.5 + 0.5 / 20])


@pytest.mark.parametrize(
    ("manner", "settings", "expected"),
    [
        ("crash", {}, "crash: exit status 3, Segmentation fault, so to speak"),
        ("hang", {"timeout": 0.3}, "timeout: no answer in time"),
        ("babble", {}, "nonsense: more than 4 MiB in answer to one question"),
        ("endless", {}, "nonsense: a line of more than 64 KiB"),
        ("illegal", {}, "illegal: it played 'e2e5'"),
        ("eat", {"memory_mb": 1024}, "crash: exit status 1, MemoryError"),
    ],
)
def test_what_goes_wrong_gives_the_game_up(
    fake: Callable[..., EnginePolicy], start: Turn, manner: str, settings: dict[str, Any], expected: str
) -> None:
    policy = fake(manner, "0", **settings)
    policy.start()
    decision = ask(policy, start)
    assert decision.gave_up == (expected,)
    assert decision.probabilities[0].sum() == pytest.approx(1), "what nobody looks at is a distribution all the same"


def test_one_game_given_up_leaves_the_next_its_engine(fake: Callable[..., EnginePolicy], start: Turn) -> None:
    policy = fake("crash", "1")
    assert ask(policy, start).gave_up is None
    assert ask(policy, start).gave_up is not None
    assert ask(policy, start).gave_up is None, "a new process answers"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has foster parents of processes")
def test_whatever_an_engine_forks_goes_with_it(fake: Callable[..., EnginePolicy], start: Turn, tmp_path: Path) -> None:
    marker = f"marker-{tmp_path}"
    policy = fake("fork", "0", marker)
    assert ask(policy, start).gave_up is None
    wait_until(lambda: len(processes(marker)) >= 3)
    assert policy._process is not None
    directory = policy._process.directory
    assert directory.exists()
    policy.close()
    assert processes(marker) == []
    assert not directory.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_engine_does_not_outlive_arena(number: int, tmp_path: Path) -> None:
    """A process that holds an engine is killed: the guard sees its pipe close, ends the engine and cleans up."""
    marker = f"marker-{tmp_path}"
    script = (
        "import sys, time\n"
        "from agents.engine_process import EngineProcess\n"
        "process = EngineProcess(sys.argv[1:], 2**32)\n"
        "process.ask(['uci'], time.monotonic() + 60)\n"
        "while process.line(time.monotonic() + 60) != 'uciok': pass\n"
        "print(process.directory, flush=True)\n"
        "time.sleep(3600)\n"
    )
    engine = [sys.executable, str(FAKE), "none", "0", marker]
    with subprocess.Popen([sys.executable, "-c", script, *engine], stdout=subprocess.PIPE, text=True) as arena:
        assert arena.stdout is not None
        directory = Path(arena.stdout.readline().strip())
        assert directory.is_dir()
        assert processes(marker)
        arena.send_signal(number)
        arena.wait(PATIENCE)
    wait_until(lambda: not processes(marker) and not directory.exists())


def test_an_engine_has_a_place_and_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "42")
    told = "import os, resource; print(os.getcwd(), 'SECRET' in os.environ, resource.getrlimit(resource.RLIMIT_NOFILE))"
    process = EngineProcess([sys.executable, "-c", told], 2**32)
    try:
        words = process.line(time.monotonic() + PATIENCE).split(maxsplit=2)
        assert os.path.realpath(words[0]) == os.path.realpath(process.directory)
        assert words[1:] == ["False", "(64, 64)"]
        with pytest.raises(EngineFailure, match="crash: exit status 0"):
            process.line(time.monotonic() + PATIENCE)
    finally:
        process.close()
    assert not process.directory.exists()


def test_settings_are_kept_and_checked(spec: Any) -> None:
    config = EngineConfig(command=("stockfish", "--x"), nodes=100, skill=3, options="Hash=4; Threads=1")
    assert from_text(to_text(config)) == config
    assert config.uci_options() == {"Hash": "4", "Threads": "1", "Skill Level": "3"}
    for text in ("", "{}", '{"command": "sh"}', '{"command": [1]}', '{"command": ["a"], "nodes": "x"}', "[" * 99999):
        with pytest.raises(ArenaError, match="damaged"):
            from_text(text)
    with pytest.raises(UsageError, match="how long"):
        EnginePolicy(spec, EngineConfig(command=("a",)))
    with pytest.raises(UsageError, match="level means nothing to a uci engine"):
        EngineConfig(command=("a",), level=3)
    with pytest.raises(UsageError, match="Name=Value"):
        EngineConfig(command=("a",), options="Hash")
    with pytest.raises(UsageError, match="plays go"):
        EnginePolicy(spec, EngineConfig(command=("a",), protocol="gtp"))
    with pytest.raises(UsageError, match="superko"):
        EnginePolicy(make("go?superko=true").spec, EngineConfig(command=("a",), protocol="gtp"))


def test_an_option_that_an_engine_lacks_is_named(fake: Callable[..., EnginePolicy]) -> None:
    with pytest.raises(UsageError, match="Fake has no option 'UCI_LimitStrength'"):
        fake("none", elo=1500).start()
    with pytest.raises(UsageError, match="no program"):
        located("no-such-program-anywhere")


@pytest.mark.parametrize(("game", "size"), [("go?size=5", 5), ("pettingzoo/classic/go_v5?board_size=5", 5)])
def test_go_positions_are_told_stone_by_stone(game: str, size: int) -> None:
    env = make(game, autoreset=False)
    turn = env.reset(torch.tensor([0]))
    native = game.startswith("go")
    names = env.spec.action_names
    assert seen(turn.observation[0, 0].numpy(), native).last is None
    line = ["B3", "C3", "C2", "D2", "C4", "D4", "pass", "E3", "D3"]  # black's D3 takes the white stone at C3: a ko
    for word in line:
        turn = env.step(torch.tensor([[env.action(word)]])).turn
        position = seen(turn.observation[0, 0].numpy(), native)
        if word == "pass":
            assert position.last == "pass"
        else:
            assert position.last is not None
            row, column = position.last
            assert names[int(row) * size + int(column)] == word  # type: ignore[arg-type]
    assert position.player == 1
    assert turn.legal_action_mask is not None
    legal = turn.legal_action_mask[0, 0].numpy()
    told = [(("white", "black")[of], names[point]) for of, point in stones(position, legal)]
    assert told[-2:] == [("white", "C3"), ("black", "D3")], "the ko is played out, so that the engine knows it"
    assert {name for _, name in told} == {"B3", "C2", "D2", "C4", "D4", "E3", "C3", "D3"}
    env.close()


def test_no_ko_where_the_last_stone_can_be_taken() -> None:
    own, other, legal = np.zeros((5, 5), bool), np.zeros((5, 5), bool), np.ones(26, bool)
    other[0, 1] = other[1, 0] = True
    own[0, 2] = own[1, 1] = True
    position = Position(own, other, 0, (0, 1))
    assert stones(position, legal)[-1] == (1, 1)
    assert (0, 0) not in stones(position, legal)
    legal[0] = False
    assert stones(position, legal)[-2:] == [(0, 0), (1, 1)]


def have(program: str) -> bool:
    try:
        return bool(located(program))
    except UsageError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not have("stockfish"), reason="stockfish is not installed")
def test_stockfish_finds_a_mate(spec: Any) -> None:
    env = make(GAME, autoreset=False)
    turn = env.reset(torch.tensor([0]))
    for word in ["f2f3", "e7e5", "g2g4"]:
        board = board_of(turn.observation[0, 0].numpy())
        turn = env.step(torch.tensor([[actions_of(board)[word]]])).turn
    policy = EnginePolicy(spec, EngineConfig(command=("stockfish",), nodes=2000))
    decision = ask(policy, turn)
    policy.close()
    board = board_of(turn.observation[0, 0].numpy())
    assert int(decision.probabilities[0].argmax()) == actions_of(board)["d8h4"]
    assert decision.value.tolist() == [1.0]
    again = EnginePolicy(spec, EngineConfig(command=("stockfish",), nodes=2000))
    assert torch.equal(ask(again, turn).probabilities, decision.probabilities)
    again.close()


@pytest.mark.skipif(not have("gnugo"), reason="gnugo is not installed")
def test_gnugo_knows_a_ko() -> None:
    env = make("go?size=5", autoreset=False)
    turn = env.reset(torch.tensor([0]))
    for word in ["B3", "C3", "C2", "D2", "C4", "D4", "pass", "E3", "D3"]:
        turn = env.step(torch.tensor([[env.action(word)]])).turn
    config = EngineConfig(protocol="gtp", command=("gnugo", "--mode", "gtp", "--chinese-rules"), level=1)
    policy = EnginePolicy(env.spec, config)
    decision = ask(policy, turn)
    policy.close()
    env.close()
    assert decision.gave_up in (None, ("resigned",)), "C3 is forbidden, and it does not play there"
