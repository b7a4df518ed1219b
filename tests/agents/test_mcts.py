"""Monte-Carlo tree search: its compiled rules are the games', it counts right, and more simulations play better."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents import fast_boards
from agents.fast_boards import CODES, GOES_ON
from agents.mcts import MctsPolicy, search
from agents.scripted import make_scripted, tic_tac_toe_losses
from arena.match import play_match
from arena.records import Agent
from arena.roster import Contender
from envs.registry import make

GAMES = ("tic_tac_toe", "connect_four", "othello", "go?size=5", "go?komi=0.5&size=7")


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.slow
def test_the_rules_are_the_games(game: str) -> None:
    env = make(game, 1, autoreset=False)
    code, size = CODES[game.partition("?")[0]], int("size=" in game and game[-1])
    komi = 0.5 if "komi" in game else 7.5
    num_actions = env.spec.num_actions
    assert num_actions is not None
    rng = np.random.default_rng(0)
    for seed in range(12):
        turn = env.reset(torch.tensor([seed]))
        state = fast_boards.positions(code, turn.observation[:, 0])[0]
        for _ in range(250):
            assert turn.legal_action_mask is not None
            expected = turn.legal_action_mask[0, 0].nonzero().flatten().tolist()
            out = np.empty(num_actions, np.int64)
            assert out[: fast_boards.legal(code, size, state, out)].tolist() == expected
            seen = fast_boards.positions(code, turn.observation[:, 0])[0]
            if code == CODES["go"]:
                seen[-2] = state[-2]  # ko is not seen but in the mask
            assert seen.tolist() == state.tolist()
            action = int(rng.choice(expected))
            seat = int(turn.player[0, 0])
            result = fast_boards.play(code, size, komi, state, action)
            step = env.step(torch.tensor([[action]]))
            turn = step.turn
            assert bool(step.terminated[0]) == (result != GOES_ON)
            if bool(step.terminated[0]):
                assert float(step.rewards[0, seat]) == result
                break


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.slow
def test_play_outs_end_and_neither_side_always_wins(game: str) -> None:
    env = make(game, 1)
    code, size = CODES[game.partition("?")[0]], int("size=" in game and game[-1])
    start = fast_boards.positions(code, env.reset(torch.zeros(1, dtype=torch.int64)).observation[:, 0])[0]
    random, scratch = np.array([1], np.uint64), np.empty(env.spec.num_actions or 0, np.int64)
    results = [fast_boards.play_out(code, size, 0.5, start.copy(), random, scratch) for _ in range(300)]
    assert set(results) <= {-1, 0, 1}
    assert 0.2 < np.mean(np.array(results) == 1) < 0.8
    # Twice the same seed, twice the same games.
    random = np.array([1], np.uint64)
    assert results == [fast_boards.play_out(code, size, 0.5, start.copy(), random, scratch) for _ in range(300)]


def test_every_simulation_is_counted_once() -> None:
    root, allowed = np.zeros(2, np.int64), np.ones(9, np.bool_)
    visits, totals, line = search(CODES["tic_tac_toe"], 0, 0.0, root, allowed, 2000, np.uint64(3))
    assert visits.sum() == 2000
    assert (np.abs(totals) <= visits).all()
    assert visits.argmax() == line[0] == 4
    moves = [move for move in line.tolist() if move >= 0]
    assert len({*moves}) == len(moves) >= 3, "different squares, one after the other"
    assert line.tolist() == moves + [-1] * (len(line) - len(moves)), "and nothing after them"
    # UCT tries every action again and again, the less promising ones less.
    assert 5 < visits.min() < visits.max() / 3


def test_it_takes_wins_and_blocks_them() -> None:
    env = make("connect_four", 1, autoreset=False)
    policy = MctsPolicy(env.spec, 100, "connect_four")
    for moves, expected, sign in (([0, 1, 0, 1, 0, 1], 0, 1), ([3, 1, 3, 1, 3], 3, 0), ([6, 2, 0, 3, 6, 4], None, -1)):
        turn = env.reset(torch.zeros(1, dtype=torch.int64))
        for move in moves:
            turn = env.step(torch.tensor([[move]])).turn
        assert turn.legal_action_mask is not None
        decision = policy(turn.observation[:, 0], turn.legal_action_mask[:, 0])
        assert expected is None or decision.probabilities[0].argmax() == expected
        assert decision.value is not None
        assert sign == 0 or float(decision.value[0]) * sign > 0.5


def test_the_same_position_gets_the_same_answer_in_any_company() -> None:
    env = make("othello", 6)
    turn = env.reset(torch.arange(6))
    generator = torch.Generator().manual_seed(0)
    for _ in range(9):
        assert turn.legal_action_mask is not None
        turn = env.step(torch.multinomial(turn.legal_action_mask[:, 0].float(), 1, generator=generator)).turn
    assert turn.legal_action_mask is not None
    observation, mask = turn.observation[:, 0], turn.legal_action_mask[:, 0]
    together = make_scripted("mcts-100", env.spec)(observation, mask)
    alone = [make_scripted("mcts-100", env.spec)(observation[i : i + 1], mask[i : i + 1]) for i in range(6)]
    assert torch.equal(together.probabilities, torch.cat([decision.probabilities for decision in alone]))
    assert bool((together.probabilities.bool() & ~mask).any()) is False


def test_ten_thousand_simulations_lose_no_line_of_tic_tac_toe() -> None:
    losses = tic_tac_toe_losses(make_scripted("mcts-10000", make("tic_tac_toe").spec))
    assert losses.losing_lines == ([], [])


@pytest.mark.slow
def test_more_simulations_play_better() -> None:
    spec = make("connect_four").spec
    strong, weak = (
        Contender(Agent(game=spec.game, name=name, kind="scripted", policy=name), make_scripted(name, spec))
        for name in ("mcts-1000", "mcts-100")
    )
    assert play_match(None, spec.game, strong, weak, games=60).total.score > 0.6
