"""AlphaZero: targets by hand, symmetries that are the games' own, a window that forgets the oldest, and tic-tac-toe."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from agents import az
from agents.az import Lessons, Window, lambda_returns
from agents.configs import AZConfig, default_config
from agents.gumbel import GumbelSearch
from agents.networks import ActorCritic
from agents.registry import load_policy
from agents.resume import named_seeds
from agents.rollout import Games
from agents.symmetries import Symmetries
from arena.strength import check_strength
from envs.errors import UsageError
from envs.registry import make
from envs.specs import GameSpec


def test_returns_by_hand() -> None:
    reward = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    after = torch.tensor([[0.2, 0.4], [9.0, -0.6], [0.5, 0.8]])
    terminated = torch.tensor([[False, False], [True, False], [False, False]])
    truncated = torch.tensor([[False, False], [False, True], [False, False]])
    found = lambda_returns(reward, after, terminated, truncated, gamma=1.0, lam=0.5)
    # Game 1: the second move wins, so the first loses half, the next position's 0.2 being the other half.
    # Game 2: cut off after the second move, where what follows counts as −0.6 for the other side.
    expected = [[-(0.5 * 0.2 + 0.5 * 1.0), -(0.5 * 0.4 + 0.5 * 0.6)], [1.0, 0.6], [-0.5, -0.8]]
    assert found.tolist() == [pytest.approx(row) for row in expected]
    to_the_end = lambda_returns(reward, after, terminated, truncated, gamma=0.9, lam=1.0)
    assert to_the_end[0].tolist() == pytest.approx([-0.9, 0.9 * -0.9 * 0.6])


@pytest.mark.parametrize("game", ["tic_tac_toe", "connect_four", "othello", "go?size=5"])
def test_a_mirrored_game_is_the_mirror_image_of_the_game(game: str) -> None:
    """Playing the images of the moves leads to the images of the positions, in the same legal moves and rewards."""
    env = make(game, 1)
    symmetries = Symmetries(env.spec)
    assert symmetries.count == (2 if game == "connect_four" else 8)
    which = torch.arange(symmetries.count)
    images = make(game, symmetries.count)
    turn, image = env.reset(torch.zeros(1, dtype=torch.int64)), images.reset(torch.zeros_like(which))
    if game == "othello":  # its opening has only half of the symmetries: those that keep the colours' places
        alike = [i for i in which.tolist() if torch.equal(symmetries.apply(which[i : i + 1], turn.observation[:, 0])[0],
                                                          turn.observation[:, 0])]  # fmt: skip
        assert len(alike) == 4
    else:
        alike = which.tolist()
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        assert turn.legal_action_mask is not None
        assert image.legal_action_mask is not None
        seen_here, legal_here = turn.observation[:, 0], turn.legal_action_mask[:, 0]
        observation = seen_here.expand(symmetries.count, *seen_here.shape[1:])
        mask = legal_here.expand(symmetries.count, -1)
        seen, allowed = symmetries.apply(which, observation, mask)
        assert torch.equal(seen[alike], image.observation[alike, 0])
        assert torch.equal(allowed[alike], image.legal_action_mask[alike, 0])
        action = torch.multinomial(turn.legal_action_mask[:, 0].float(), 1, generator=generator)
        chosen = torch.nn.functional.one_hot(action[0, 0], mask.shape[1]).expand(symmetries.count, -1)
        moves = symmetries.apply(which, observation, chosen)[1].argmax(-1, keepdim=True)
        if game == "othello":  # the others stand still where they stood: their moves mean nothing
            legal = image.legal_action_mask[:, 0].float().argmax(-1, keepdim=True)
            moves = torch.where(torch.isin(which, torch.tensor(alike)).unsqueeze(1), moves, legal)
        step, theirs = env.step(action), images.step(moves)
        assert torch.equal(step.rewards.expand(len(alike), -1), theirs.rewards[alike])
        turn, image = step.turn, theirs.turn


def decisions(spec: GameSpec, values: list[float]) -> Lessons:
    size = len(values)
    return Lessons(
        torch.zeros(size, *spec.observation_shape, dtype=torch.uint8),
        torch.ones(size, spec.num_actions or 0, dtype=torch.bool),
        torch.zeros(size, spec.num_actions or 0),
        torch.tensor(values),
    )


def test_the_window_keeps_the_latest() -> None:
    spec = make("tic_tac_toe").spec
    window = Window(spec, 5)
    window.add(decisions(spec, [1.0, 2.0, 3.0]))
    assert set(window.draw(200, torch.Generator().manual_seed(0)).value.tolist()) == {1.0, 2.0, 3.0}
    window.add(decisions(spec, [4.0, 5.0, 6.0]))
    assert window.tensors()["value"].tolist() == [2.0, 3.0, 4.0, 5.0, 6.0]
    assert set(window.draw(200, torch.Generator().manual_seed(0)).value.tolist()) == {2.0, 3.0, 4.0, 5.0, 6.0}
    window.add(decisions(spec, [float(i) for i in range(10, 20)]))
    assert window.tensors()["value"].tolist() == [15.0, 16.0, 17.0, 18.0, 19.0]
    again = Window(spec, 5)
    again.load(window.tensors())
    assert again.tensors()["value"].tolist() == window.tensors()["value"].tolist()


def small(**values: object) -> AZConfig:
    config = replace(AZConfig(), num_envs=12, num_steps=12, hidden_size=16, simulations=8, batch_size=32, window=500)
    return replace(config, **values)  # type: ignore[arg-type]


def test_what_is_learnt_from_is_what_the_learner_searched() -> None:
    """Random openings and opponents' moves are left out; policies are the search's, returns lie within ±1."""
    config = small(random_plies=3, random_share=0.5)
    env = make("tic_tac_toe", config.num_envs)
    seeds = named_seeds(0)
    network = ActorCritic(env.spec, config, torch.Generator().manual_seed(0))
    games = Games(config, env, seeds, None, None)
    lessons, charts = az.collect(games, network, GumbelSearch(env.spec, config.simulations))
    rollout = games.buffers
    learnt = rollout.learner.squeeze(2)
    assert len(lessons.value) == int(learnt.sum()) < learnt.numel() * 0.7
    held = games.self_play.learner_seat
    assert bool(((held < 0) | (rollout.player.squeeze(2) == held) | ~learnt).all())
    assert torch.allclose(lessons.policy.sum(-1), torch.ones(len(lessons.value)))
    assert bool((lessons.policy[~lessons.mask] == 0).all())
    assert bool((lessons.value.abs() <= 1).all())
    assert 0 < charts["charts/search_gain"] < 1
    # A move that wins is what the game was worth, and the search sees it.
    won = (rollout.terminated & (rollout.rewards.abs().sum(-1) > 0) & learnt).flatten()
    assert bool(won.any())
    assert bool((lessons.value[won[learnt.flatten()]] == 1).all())


def test_the_network_goes_where_the_search_points() -> None:
    config = small(learning_rate=1e-2, anneal_learning_rate=False)
    env = make("tic_tac_toe", config.num_envs)
    reports = list(itertools.islice(az.train(config, env, seed=0, total_steps=10**6), 12))
    first, last = reports[1].values, reports[-1].values
    assert last["losses/policy_loss"] < 0.9 * first["losses/policy_loss"]
    assert last["losses/entropy"] < 0.9 * first["losses/entropy"]


def test_games_that_cannot_be_searched_are_refused() -> None:
    env = make("gridworld/sumo", 12)
    with pytest.raises(UsageError, match="cannot be searched"):
        next(az.train(small(network="mlp"), env, seed=0, total_steps=100))


@pytest.mark.slow
def test_a_short_run_loses_hardly_a_line_of_tic_tac_toe() -> None:
    config = default_config("az", "tic_tac_toe")
    assert isinstance(config, AZConfig)
    env = make("tic_tac_toe", config.num_envs)
    *_, last = az.train(config, env, seed=0, total_steps=120_000)
    assert last.policy is not None
    strength = check_strength("tic_tac_toe", load_policy(env.spec, last.policy))
    assert strength.cases - strength.faultless <= 5, strength
