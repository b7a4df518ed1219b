"""Go beside PettingZoo's go_v5, and superko beside a slow reference."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from envs import registry


def compare(size: int, num_games: int, seed: int) -> None:
    """Random games on both sides: masks, boards, ends and results; in a process of its own for every size, since
    PettingZoo keeps the size in module globals."""
    from pettingzoo import make

    env = registry.make(f"go?size={size}", num_games, autoreset=False)
    turn = env.reset(torch.arange(num_games))
    peers = [make("aec", "classic/go-v5", board_size=size) for _ in range(num_games)]
    for peer in peers:
        peer.reset()
    rng = random.Random(seed)
    over, captures = [False] * num_games, 0
    for ply in range(8 * size * size):
        action = torch.zeros(num_games, 1, dtype=torch.int64)
        masks, players = turn.legal_action_mask[:, 0], turn.player[:, 0]
        for game, peer in enumerate(peers):
            if over[game]:
                assert players[game] == -1
                continue
            theirs = torch.from_numpy(peer.observe(peer.agent_selection)["action_mask"]).bool()
            assert torch.equal(masks[game], theirs), (game, ply)
            legal = theirs.nonzero().flatten().tolist()
            # Passes often enough for games to end at every stage.
            action[game, 0] = legal[-1] if rng.random() < 0.01 + ply / (8 * size * size) else rng.choice(legal)
            peer.step(int(action[game, 0]))
        step = env.step(action)
        board = env.state()["board"]
        for game, peer in enumerate(peers):
            if over[game]:
                continue
            theirs = torch.from_numpy(peer.unwrapped._go.board).flatten()
            assert torch.equal(board[game], theirs), (game, ply)
            over[game] = all(peer.terminations.values())
            captures += sum(peer.unwrapped._go.caps) if over[game] else 0
            assert bool(step.terminated[game]) == over[game]
            if over[game]:
                assert step.rewards[game].tolist() == [peer.rewards["black_0"], peer.rewards["white_0"]]
        turn = step.turn
        if all(over):
            break
    assert all(over)
    assert captures > num_games


@pytest.mark.slow
@pytest.mark.parametrize(("size", "num_games"), [(5, 60), (9, 300), (13, 300)])
def test_equals_pettingzoo(size: int, num_games: int):
    code = f"import test_go; test_go.compare({size}, {num_games}, seed={size})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr[-2000:]


def play(env, moves: str) -> torch.Tensor:
    """Plays typed moves in game 0 and returns the legal mask of the last turn."""
    turn = env.reset(torch.tensor([0]))
    for move in moves.split():
        action = env.action(move)
        assert turn.legal_action_mask[0, 0, action], move
        turn = env.step(torch.tensor([[action]])).turn
    return turn.legal_action_mask[0, 0]


def test_ko_may_not_be_retaken_at_once():
    env = registry.make("go?size=5", autoreset=False)
    mask = play(env, "B3 C3 C4 D4 C2 D2 A1 E3 D3")
    assert not mask[env.action("C3")]
    mask = play(env, "B3 C3 C4 D4 C2 D2 A1 E3 D3 A5 A4")
    assert mask[env.action("C3")]


def test_suicide_is_illegal_and_capture_is_not():
    env = registry.make("go?size=5", autoreset=False)
    mask = play(env, "A2 E5 B1 E4")
    assert mask[env.action("A1")]
    mask = play(env, "A2 E5 B1")
    assert not mask[env.action("A1")]
    mask = play(env, "A2 A3 B1 B2 E5 C1")
    assert not mask[env.action("A1")], "the joined stones would have no liberty"
    mask = play(env, "A2 A3 B1 B2 E5 C1 E4")
    assert mask[env.action("A1")], "white captures both stones"


def test_area_counts_territory_and_not_what_both_reach():
    env = registry.make("go?size=5&komi=0.5", autoreset=False)
    play(env, "B1 D1 B2 D2 B3 D3 B4 D4 B5 D5")
    assert env.rules.area(env.state()["board"]).tolist() == [0.0]
    play(env, "B1 D1 B2 D2 B3 D3 B4 D4 B5 D5 C1")
    assert env.rules.area(env.state()["board"]).tolist() == [1.0]
    turn = env.step(torch.tensor([[25]]))
    assert not turn.terminated[0]
    assert env.draw().caption == "● to move, ○ passed · area ● 11, ○ 10 + 0.5"
    assert env.step(torch.tensor([[25]])).rewards.tolist() == [[1.0, -1.0]]
    assert env.draw().caption == "area ● 11, ○ 10 + 0.5: ● ahead by 0.5"


@pytest.mark.slow
def test_superko_forbids_every_position_that_was():
    """Against a reference that plays each candidate move and looks the position up."""
    size, num_games = 5, 24
    env = registry.make(f"go?size={size}&superko=true", num_games, autoreset=False)
    plain = registry.make(f"go?size={size}", num_games, autoreset=False)
    turn = env.reset(torch.arange(num_games))
    rng = random.Random(0)
    seen = [{bytes(size * size)} for _ in range(num_games)]
    forbidden = 0
    for ply in range(180):
        state = env.state()
        bare = {name: value for name, value in state.items() if name not in ("seen", "hash")}
        _, ordinary = plain.rules.liberties(
            state["board"], state["chain"], torch.full((num_games, 1), 1 - 2 * (ply % 2), dtype=torch.int8), state["ko"]
        )
        expected = ordinary.clone()
        for point in range(size * size):
            plain.load({**bare, "legal": ordinary})
            plain.step(torch.full((num_games, 1), point))
            after = plain.state()["board"]
            for game in range(num_games):
                if ordinary[game, point] and after[game].numpy().tobytes() in seen[game]:
                    expected[game, point] = False
        mask = turn.legal_action_mask[:, 0, :-1]
        playing = turn.player[:, 0] >= 0
        assert torch.equal(mask[playing], expected[playing]), ply
        forbidden += int((ordinary & ~expected)[playing].sum())
        action = torch.zeros(num_games, 1, dtype=torch.int64)
        for game in range(num_games):
            legal = mask[game].nonzero().flatten().tolist()
            action[game, 0] = rng.choice(legal) if legal and playing[game] else size * size
        turn = env.step(action).turn
        for game, board in enumerate(env.state()["board"]):
            seen[game].add(board.numpy().tobytes())
        if not (turn.player >= 0).any():
            break
    assert forbidden > 0
