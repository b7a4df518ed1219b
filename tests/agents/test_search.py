"""Look-ahead: positions are restored from what is seen, statistics add up, and searching makes a weak policy strong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from agents.greedy import uniform
from agents.policy import Decision
from agents.scripted import make_scripted, tic_tac_toe_losses
from agents.search import FIRST_NODES, SearchPolicy, search, searchable
from arena.cli.app import app
from arena.roster import resolve
from arena.store import Store
from envs.errors import UnknownNameError, UsageError
from envs.native import NativeEnv
from envs.protocol import Turn
from envs.registry import make

GAMES = ("tic_tac_toe", "connect_four", "othello", "go?size=5", "go?size=5&superko=true")


def no_idea(observation: Tensor, legal_action_mask: Tensor) -> Decision:
    """Every move alike, every position even."""
    return Decision(uniform(legal_action_mask), torch.zeros(len(observation)))


def turns(game: str, plies: int, games: int = 8) -> list[Turn]:
    """Turns of random games."""
    env = make(game, games)
    turn = env.reset(torch.arange(games))
    generator = torch.Generator().manual_seed(0)
    seen = []
    for _ in range(plies):
        seen.append(turn)
        assert turn.legal_action_mask is not None
        turn = env.step(torch.multinomial(turn.legal_action_mask[:, 0].float(), 1, generator=generator)).turn
    return seen


@pytest.mark.parametrize("game", GAMES)
def test_restored_positions_look_and_go_on_alike(game: str) -> None:
    """One step from the restored position is one step from the true one, rewards as the player to move sees them."""
    env = make(game, 16)
    assert isinstance(env, NativeEnv)
    rules = searchable(env.spec)
    turn = env.reset(torch.arange(16))
    generator = torch.Generator().manual_seed(1)
    for _ in range(60):
        assert turn.legal_action_mask is not None
        restored = rules.restore(turn.observation[:, 0])
        shown = rules.observe(restored)
        assert torch.equal(shown.observation, turn.observation)
        assert torch.equal(shown.legal_action_mask, turn.legal_action_mask)  # type: ignore[arg-type]
        action = torch.multinomial(turn.legal_action_mask[:, 0].float(), 1, generator=generator)
        after, rewards, terminated = rules.step(restored, action, env.seeds)
        step = env.step(action)
        assert torch.equal(terminated, step.terminated)
        seen = rules.observe({**after, "ply": restored["ply"] + 1})
        if "superko" not in game:
            going = ~terminated
            assert torch.equal(seen.observation[going], step.turn.observation[going])
        mine = rewards.gather(1, shown.player)
        assert torch.equal(mine, step.rewards.gather(1, turn.player))
        turn = step.turn


def test_every_simulation_is_counted_and_none_goes_astray() -> None:
    turn = turns("connect_four", 25)[-1]
    assert turn.legal_action_mask is not None
    rules = searchable(make("connect_four").spec)
    mask = turn.legal_action_mask[:, 0]
    found = search(rules, no_idea, rules.restore(turn.observation[:, 0]), mask, 150)
    assert found.visits.sum(-1).tolist() == [150.0] * 8
    assert not bool((found.visits > 0)[~mask].any())
    assert bool((found.value.abs() <= 1).all())
    assert torch.equal(found.line[:, 0], found.visits.argmax(-1))


def test_the_line_is_played_by_both_sides_to_the_end_of_the_game() -> None:
    """X has two in a row: 7 8 and then 9 wins, and nothing comes after that."""
    env = make("tic_tac_toe", 1)
    turn = env.reset(torch.zeros(1, dtype=torch.int64))
    for word in ("7", "1", "8", "2"):
        turn = env.step(torch.tensor([[env.action(word)]])).turn
    assert turn.legal_action_mask is not None
    rules, mask = searchable(env.spec), turn.legal_action_mask[:, 0]
    found = search(rules, no_idea, rules.restore(turn.observation[:, 0]), mask, 300)
    assert found.line[0].tolist() == [env.action("9")] + [-1] * 7


def test_seconds_end_a_search_and_the_tree_grows_as_it_needs() -> None:
    turn = turns("connect_four", 3)[-1]
    assert turn.legal_action_mask is not None
    observation, mask = turn.observation[:, 0], turn.legal_action_mask[:, 0]
    spec = make("connect_four").spec
    none = SearchPolicy(spec, no_idea, seconds=0.0)(observation, mask)
    assert none.visits is not None
    assert none.visits.sum(-1).tolist() == [1] * 8  # each position has a time of its own
    more = SearchPolicy(spec, no_idea, 700)(observation[:1], mask[:1])
    assert more.visits is not None
    assert int(more.visits.sum()) == 700 > FIRST_NODES


def test_company_changes_nothing() -> None:
    turn = turns("othello", 20)[-1]
    assert turn.legal_action_mask is not None
    policy = SearchPolicy(make("othello").spec, no_idea, 60)
    observation, mask = turn.observation[:, 0], turn.legal_action_mask[:, 0]
    together = policy(observation, mask)
    alone = [policy(observation[i : i + 1], mask[i : i + 1]).probabilities for i in range(len(mask))]
    assert torch.equal(together.probabilities, torch.cat(alone))


def test_without_an_idea_it_still_takes_wins_and_blocks_them() -> None:
    policy = SearchPolicy(make("connect_four").spec, no_idea, 200)
    for moves, expected, sign in (([0, 1, 0, 1, 0, 1], 0, 1), ([3, 1, 3, 1, 3], 3, 0), ([0, 2, 0, 3, 6, 4], None, -1)):
        env = make("connect_four", 1)
        turn = env.reset(torch.zeros(1, dtype=torch.int64))
        for move in moves:
            turn = env.step(torch.tensor([[move]])).turn
        assert turn.legal_action_mask is not None
        decision = policy(turn.observation[:, 0], turn.legal_action_mask[:, 0])
        assert expected is None or int(decision.probabilities.argmax()) == expected
        assert decision.value is not None
        assert sign == 0 or float(decision.value[0]) * sign > 0.3


@pytest.mark.slow
def test_a_search_without_an_idea_loses_few_lines_of_tic_tac_toe() -> None:
    spec = make("tic_tac_toe").spec
    searched, unsearched = (tic_tac_toe_losses(policy) for policy in (SearchPolicy(spec, no_idea, 100), no_idea))
    lost = [sum(map(len, losses.losing_lines)) for losses in (searched, unsearched)]
    assert lost[0] < lost[1] / 10


def test_who_cannot_search_says_so() -> None:
    with pytest.raises(UsageError, match="cannot be searched"):
        searchable(make("gridworld/tron").spec)
    with pytest.raises(UsageError, match="simulations"):
        SearchPolicy(make("connect_four").spec, no_idea, 0)
    turn = turns("connect_four", 1)[0]
    assert turn.legal_action_mask is not None
    mute = SearchPolicy(make("connect_four").spec, make_scripted("tactician", make("connect_four").spec), 10)
    with pytest.raises(UsageError, match="what a position is worth"):
        mute(turn.observation[:, 0], turn.legal_action_mask[:, 0])


@pytest.mark.slow
def test_a_trained_agent_searches_by_its_name(tmp_path: Path) -> None:
    db = str(tmp_path / "league.db")

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--db", db])
        assert done.exit_code == 0, done.output
        return done.stdout

    run("train", "tic_tac_toe", "--algo", "ppo", "--steps", "8000", "--name", "small")
    found = json.loads(run("match", "tic_tac_toe", "small+mcts:50", "small", "--games", "20", "--json"))
    assert found["agents"][0] == f"{found['agents'][1]}+mcts:50"
    answer = json.loads(run("ask", "tic_tac_toe", "--agent", "small@latest+mcts:50", "--moves", "5", "--json"))
    assert answer["agent"] == found["agents"][0]
    assert sum(answer["visits"].values()) == 50
    assert answer["line"][0] == next(iter(answer["visits"]))
    with Store(tmp_path / "league.db") as store:
        plain, searching = (resolve(store, "tic_tac_toe", name) for name in (found["agents"][1], found["agents"][0]))
        assert plain.agent.checkpoint == searching.agent.checkpoint
        assert plain.agent.id != searching.agent.id
        assert resolve(store, "tic_tac_toe", "small").name == plain.name
        assert isinstance(searching.policy, SearchPolicy)
        assert resolve(store, "tic_tac_toe", plain.name).policy is not searching.policy
        timed = resolve(store, "tic_tac_toe", "small+mcts:2s")
        assert (timed.name, timed.one_by_one) == (f"{plain.name}+mcts:2s", True)
        assert isinstance(timed.policy, SearchPolicy)
        assert timed.policy.seconds == 2
        assert timed.agent.id not in (plain.agent.id, searching.agent.id)
        for name in (
            "small+mcts:0",
            "small+mcts:0s",
            "small+mcts:61s",
            "small+mcts:s",
            "small+mcts:x",
            "small+mcts:",
            "minimax+mcts:10",
            f"{searching.name}+mcts:5",
        ):
            with pytest.raises(UsageError):
                resolve(store, "tic_tac_toe", name)
        with pytest.raises(UnknownNameError):
            resolve(store, "tic_tac_toe", "smoll+mcts:10")
