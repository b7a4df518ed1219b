"""DQN: targets by hand, transitions per seat against a slow reference, what exploration and play look like."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agents import dqn, losses
from agents.buffers import Transitions
from agents.configs import DQNConfig, default_config
from agents.dqn import Learner, QNetwork, QPolicy, act, gradient_step, load_dqn, observe, train, update
from agents.greedy import epsilon_greedy
from agents.selfplay import Opponents
from envs.errors import UsageError
from envs.protocol import Step, Turn, VecEnv
from envs.registry import make


def config(**values: Any) -> DQNConfig:
    small = {"num_envs": 4, "hidden_size": 8, "hidden_layers": 1, "learning_starts": 0, "batch_size": 8}
    return DQNConfig(**{**small, **values})


def collect(learner: Learner, epsilon: float) -> None:
    act(learner, epsilon)
    observe(learner)


def test_targets_by_hand() -> None:
    q_target = torch.tensor([[1.0, 2.0, 9.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    q_online = torch.tensor([[5.0, 4.0, 9.0], [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    mask = torch.tensor([[True, True, False], [True, True, True], [True, True, True]])
    reward, discount = torch.tensor([1.0, -1.0, 0.5]), torch.tensor([0.5, 0.0, 0.5])
    plain = losses.q_learning_target(reward, discount, q_target, q_target, mask)
    double = losses.q_learning_target(reward, discount, q_target, q_online, mask)
    assert plain.tolist() == [2.0, -1.0, 2.0]  # 1 + ½·2 (9 is illegal), the reward alone, ½ + ½·3
    assert double.tolist() == [1.5, -1.0, 1.0]  # the learning network would play action 0 in the first and in the last


def test_losses_by_hand() -> None:
    q, target = torch.tensor([1.0, 1.0]), torch.tensor([1.5, 4.0])
    weight = torch.tensor([1.0, 0.5])
    assert losses.td_loss(q, target, False, torch.ones(2)).item() == pytest.approx((0.125 + 4.5) / 2)
    assert losses.td_loss(q, target, True, torch.ones(2)).item() == pytest.approx((0.125 + 2.5) / 2)
    assert losses.td_loss(q, target, False, weight).item() == pytest.approx((0.125 + 0.5 * 4.5) / 2)
    assert losses.td_loss(q, target, True, weight).item() == pytest.approx((0.125 + 0.5 * 2.5) / 2)


def test_epsilon_greedy_by_hand() -> None:
    q_values = torch.tensor([[1.0, 3.0, 2.0, 9.0]])
    mask = torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(epsilon_greedy(q_values, mask, 0.3), torch.tensor([[0.1, 0.8, 0.1, 0.0]]))
    ties = epsilon_greedy(torch.zeros(1, 4), mask, 0.0)
    torch.testing.assert_close(ties, torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0.0]]))


class Script(VecEnv):
    """Games that follow a random script whatever is played: who decides when, what everybody gets, how it ends.

    The observation of a slot is (game, global step, seat), so that every transition says where it comes from.
    """

    def __init__(self, num_envs: int, num_players: int, num_slots: int, length: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.num_envs, self.device, self.time = num_envs, torch.device("cpu"), 0
        self.seeds = torch.zeros(num_envs, dtype=torch.int64)
        self.spec = dataclasses.replace(
            make("tic_tac_toe").spec,
            num_players=num_players, num_slots=num_slots, num_actions=3, observation_shape=(3,),
            observation_dtype="float32", zero_sum=False, max_steps=99,
        )  # fmt: skip
        shape = (length + 2, num_envs)
        if num_slots == 1:
            self.player = torch.from_numpy(rng.integers(0, num_players, (2, *shape, 1)))
        else:
            seats = np.broadcast_to(np.arange(num_players), (2, *shape, num_slots))
            self.player = torch.from_numpy(np.where(rng.random(seats.shape) < 0.2, -1, seats))
        self.mask = torch.from_numpy(rng.random((2, *shape, num_slots, 3)) < 0.5)
        self.mask[..., 0] = True
        self.rewards = torch.from_numpy(rng.integers(-9, 10, (*shape, num_players))).float()
        self.kind = torch.from_numpy(rng.choice(3, shape, p=[0.85, 0.08, 0.07]))  # goes on, terminated, truncated

    def turn(self, fresh: Tensor) -> Turn:
        """The turn at the present time; `fresh` [N] says which games have just started anew."""
        which = fresh.long()
        pick = (which, self.time, torch.arange(self.num_envs))
        player = self.player[pick]
        where = torch.stack([torch.arange(self.num_envs), self.time + 1000 * which], 1)
        observation = torch.cat([where.unsqueeze(1).expand(-1, player.shape[1], -1), player.unsqueeze(-1)], -1)
        return Turn(observation.float(), self.mask[pick], player)

    def reset(self, seeds: Tensor) -> Turn:
        return self.turn(torch.ones(self.num_envs, dtype=torch.bool))

    def step(self, action: Tensor) -> Step:
        rewards, kind = self.rewards[self.time], self.kind[self.time]
        self.time += 1
        final = self.turn(torch.zeros(self.num_envs, dtype=torch.bool))
        return Step(rewards, kind == 1, kind == 2, final, self.turn(kind > 0))

    def state(self) -> Any:
        raise NotImplementedError

    def load(self, state: Any) -> Turn:
        raise NotImplementedError

    def fingerprints(self) -> Any:
        raise NotImplementedError

    def draw(self, index: int = 0, seat: int | None = None) -> Any:
        raise NotImplementedError


def expected_transitions(env: Script, length: int, n: int, gamma: float) -> dict[tuple[Any, ...], tuple[float, float]]:
    """One game, one seat, one game's record at a time: (game, when, seat, when next, mask there) → (reward, discount).

    Every seat's decisions and rewards are written down until the game ends; then each decision's sum is taken.
    """
    found: dict[tuple[Any, ...], tuple[float, float]] = {}
    together = env.spec.num_slots == env.spec.num_players
    for game in range(env.num_envs):
        record: dict[int, list[Any]] = {seat: [] for seat in range(env.spec.num_players)}
        fresh = 1
        for time in range(length):
            for slot in range(env.spec.num_slots):
                seat = int(env.player[fresh, time, game, slot])
                if seat >= 0:
                    mask = tuple(env.mask[fresh, time, game, slot].tolist())
                    record[seat].append([time + 1000 * fresh, mask, 0.0])  # when, what was legal, reward until next
            for seat, decisions in record.items():
                if decisions:
                    decisions[-1][2] += float(env.rewards[time, game, seat])
            kind, last = int(env.kind[time, game]), time == length - 1
            for seat, decisions in record.items():
                if not kind and not last:
                    continue
                end = None
                if kind == 2:
                    for slot in range(env.spec.num_slots):
                        if int(env.player[0, time + 1, game, slot]) == seat:
                            end = (time + 1, tuple(env.mask[0, time + 1, game, slot].tolist()))
                for i, (when, _, _) in enumerate(decisions):
                    rewards = [gamma**k * decision[2] for k, decision in enumerate(decisions[i : i + n])]
                    if i + n < len(decisions):
                        found[game, when, seat, *decisions[i + n][:2]] = sum(rewards), gamma**n
                    elif kind == 1 or (kind == 2 and together and not end):  # the rules ended it, or the seat was out
                        found[game, when, seat, None, None] = sum(rewards), 0.0
                    elif end:
                        found[game, when, seat, *end] = sum(rewards), gamma ** len(rewards)
            if kind:
                record = {seat: [] for seat in range(env.spec.num_players)}
            fresh = int(kind > 0)
    return found


def stored(rows: Transitions, count: int) -> dict[tuple[Any, ...], tuple[float, float]]:
    found: dict[tuple[Any, ...], tuple[float, float]] = {}
    for i in range(count):
        game, time, seat = (int(x) for x in rows.observation[i])
        key: tuple[Any, ...] = (game, time, seat, None, None)
        if rows.discount[i] > 0:
            next_game, next_time, next_seat = (int(x) for x in rows.next_observation[i])
            assert (next_game, next_seat) == (game, seat)
            key = (game, time, seat, next_time, tuple(rows.next_mask[i].tolist()))
        assert key not in found
        found[key] = float(rows.reward[i]), float(rows.discount[i])
    return found


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize(("num_players", "num_slots"), [(1, 1), (2, 1), (3, 1), (2, 2), (3, 3)])
def test_transitions_per_seat(num_players: int, num_slots: int, n_steps: int) -> None:
    """Every seat's own decisions alone, across terminations, truncations and the games that start in the same step."""
    length, gamma = 120, 0.5
    env = Script(5, num_players, num_slots, length, seed=num_players + 10 * num_slots)
    values = config(num_envs=5, buffer_size=2000, pool_share=0.0, n_steps=n_steps, gamma=gamma)
    learner = Learner(values, env, 0, None, None)
    for _ in range(length):
        collect(learner, 1.0)
    found = stored(learner.buffer.rows, len(learner.buffer))
    expected = expected_transitions(env, length, n_steps, gamma)
    assert len(expected) > 100
    assert {discount for _, discount in expected.values()} == {0.0} | {gamma**k for k in range(1, n_steps + 1)}
    assert found == expected


def test_frozen_opponents_and_openings_are_not_learnt_from() -> None:
    """Against first-legal in every game: one seat's transitions only, and its replies in between."""
    from agents.scripted import first_legal_policy

    env = make("tic_tac_toe", 32)
    learner = Learner(
        config(num_envs=32, pool_share=1.0, pool_blocks=1, buffer_size=4000),
        env, 0, Opponents([first_legal_policy], lambda n, count, rng: [0] * count), None,
    )  # fmt: skip
    for _ in range(60):
        collect(learner, 1.0)
    rows, size = learner.buffer.rows, len(learner.buffer)
    assert size > 500
    pieces = rows.observation[:size].sum((2, 3))  # own, other's
    assert set((pieces[:, 1] - pieces[:, 0]).tolist()) == {0, 1}  # as first and as second player
    going_on = rows.discount[:size] > 0
    # Between two decisions of one seat each side has put one mark.
    grown = (rows.next_observation[:size].int() - rows.observation[:size].int()).flatten(2).sum(-1)
    assert (grown[going_on] == 1).all()
    reply = (rows.next_observation[:size].int() - rows.observation[:size].int())[going_on][:, 1]
    free = (rows.observation[:size].sum(1) == 0)[going_on].transpose(1, 2).flatten(1)
    free[torch.arange(len(free)), rows.action[:size][going_on]] = False
    assert torch.equal(reply.transpose(1, 2).flatten(1).argmax(-1), free.int().argmax(-1))

    openings = Learner(config(num_envs=32, pool_share=0.0, random_plies=1000, buffer_size=4000), env, 0, None, None)
    for _ in range(30):
        collect(openings, 0.0)
    assert len(openings.buffer) < 20  # almost every game is all opening


def test_update_counts_and_target_copies() -> None:
    env = make("gridworld/recycling", 4)
    learner = Learner(config(train_ratio=0.5, learning_starts=8, target_update=5), env, 0, None, None)
    same = []
    for _ in range(8):
        act(learner, 1.0)
        update(learner, 1e-2)
        observe(learner)
        pairs = zip(learner.network.parameters(), learner.target.parameters(), strict=True)
        same.append(all(torch.equal(a, b) for a, b in pairs))
    # env steps 4, 8, 12 …; gradient steps 0, 0, 2, 4, 6, 8, 10, 12: a copy at the fifth and at the tenth
    assert learner.gradient_steps == 12
    assert same == [True, True, False, False, False, False, True, False]


def test_gradient_steps_are_taken_while_the_games_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """They know the decision before, which this one completes, and the end of a game one step later."""
    env = Script(1, 1, 1, length=40, seed=3)
    order: list[str] = []
    sizes: list[int] = []

    def told(name: str) -> None:
        inner = getattr(env, name)

        def tell(*words: Tensor) -> Any:
            order.append(name)
            return inner(*words)

        monkeypatch.setattr(env, name, tell)

    def step(learner: Learner, rows: Transitions, *rest: Tensor) -> Any:
        order.append("learn")
        sizes.append(len(learner.buffer))
        return gradient_step(learner, rows, *rest)

    for name in ("send", "receive"):
        told(name)
    monkeypatch.setattr(dqn, "gradient_step", step)
    values = config(num_envs=1, train_ratio=1.0, buffer_size=100, report_steps=20)
    monkeypatch.setattr(Learner, "pack", lambda self: None)  # this game has no state
    (report,) = train(values, env, seed=0, total_steps=20)
    assert report.step == 20
    assert order[:5] == ["send", "receive", "send", "learn", "learn"]
    assert order[5:] == ["receive", *["send", "learn", "receive"] * 18]
    assert (env.kind[:19] > 0).any()  # a game that ended in the step that goes on would be one more
    assert sizes[1:] == list(range(1, 20))


@pytest.mark.slow
def test_a_run_on_emulators_that_go_on_meanwhile_comes_out_the_same_again() -> None:
    values = dataclasses.replace(
        config(num_envs=2, train_ratio=0.5, learning_starts=20, buffer_size=100, network="dqn2013"), report_steps=60
    )

    def run() -> dict[str, Tensor]:
        env = make("ALE/Breakout-v5", 2)
        *_, last = train(values, env, seed=1, total_steps=80)
        env.close()
        assert last.policy is not None
        return last.policy.tensors

    first, again = run(), run()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_play_is_greedy_with_a_share_of_random_moves() -> None:
    spec = make("tic_tac_toe").spec
    network = QNetwork(spec, config(), torch.Generator().manual_seed(0))
    observation = torch.eye(3, dtype=torch.uint8).expand(1, 2, 3, 3)
    mask = torch.ones(1, 9, dtype=torch.bool)
    mask[0, network(observation).argmax()] = False
    decision = QPolicy(network, 0.1, 10.0)(observation, mask)
    assert decision.value is not None
    assert decision.q_values is not None
    torch.testing.assert_close(decision.q_values, network(observation).detach() * 10)
    best = int(decision.q_values.masked_fill(~mask, -torch.inf).argmax())
    assert decision.value.item() == decision.q_values[0, best].item()
    assert decision.probabilities[0, best].item() == pytest.approx(0.9 + 0.1 / 8)
    assert decision.probabilities[0, ~mask[0]].item() == 0.0
    assert decision.probabilities.sum().item() == pytest.approx(1.0)


def test_shaping_changes_what_is_learnt_but_not_what_is_reported() -> None:
    env = make("gridworld/recycling", 4)
    *_, last = train(
        config(report_steps=400), env, seed=0, total_steps=400, reward=lambda o, a, r, n: torch.full_like(r, -5.0)
    )
    assert last.state is not None
    assert set(last.state.tensors["memory/reward"].tolist()) == {-5.0}
    assert last.values["charts/episodic_return"] > 0
    with pytest.raises(UsageError, match="one-player"):
        next(train(config(), make("tic_tac_toe", 4), seed=0, total_steps=10, reward=lambda o, a, r, n: r))


def test_rewards_are_held_within_a_range_but_reported_as_they_are() -> None:
    env = make("gridworld/recycling", 4)
    *_, last = train(config(report_steps=400, reward_clip=1.0), env, seed=0, total_steps=400)
    assert last.state is not None
    assert set(last.state.tensors["memory/reward"].tolist()) == {0.0, 1.0}
    assert last.values["charts/episodic_return"] > 1


@pytest.mark.parametrize("values", [{}, {"reward_scale": 5.0}, {"priority_exponent": 0.4}, {"n_steps": 3}])
def test_the_residual_is_the_mean_over_the_memory_in_the_games_units(values: dict[str, Any]) -> None:
    env = make("gridworld/recycling", 4)
    settings = config(batch_size=2000, train_ratio=0.05, double=False, **values)
    learner = Learner(settings, env, 0, None, None)
    for _ in range(100):
        collect(learner, 1.0)
    for _ in range(2):  # at a learning rate of 0 the first only sets the priorities
        update(learner, 0.0)
        residual = learner.report()["losses/bellman_residual"]
        learner.gradient_steps = 0
    rows = Transitions(*(column[: len(learner.buffer)] for column in learner.buffer.rows))
    with torch.no_grad():
        q = learner.network(rows.observation).gather(1, rows.action.unsqueeze(1)).squeeze(1) * settings.reward_scale
        best = learner.network(rows.next_observation).amax(1) * settings.reward_scale
    assert residual == pytest.approx((rows.reward + rows.discount * best - q).abs().mean().item(), rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("game", ["gridworld/recycling", "gridworld/tiny"])
def test_learns_the_optimum(game: str) -> None:
    """Greedy play, the values, and that in the end nothing is left of the Bellman equation's residual."""
    from agents import planning
    from envs.gridworld.dynamics import exact_dynamics

    settings = default_config("dqn", game)
    assert isinstance(settings, DQNConfig)
    first, *_, last = train(
        dataclasses.replace(settings, report_steps=500), make(game, settings.num_envs), seed=1, total_steps=3000
    )
    assert last.policy is not None
    dynamics = exact_dynamics(make(game))
    best = planning.value_iteration(dynamics, settings.gamma)
    decision = load_dqn(make(game).spec, last.policy)(
        torch.from_numpy(dynamics.observation).float(), torch.from_numpy(dynamics.legal)
    )
    assert decision.q_values is not None
    chosen = np.eye(len(dynamics.action_names))[decision.q_values.argmax(-1).numpy()]
    values = planning.solve_policy(dynamics, chosen, settings.gamma)
    start = dynamics.start > 0
    np.testing.assert_allclose(values[start], best.values[start], atol=1e-9)
    np.testing.assert_allclose(decision.q_values.max(-1).values.numpy()[start], best.values[start], rtol=0.02)
    assert first.values["losses/bellman_residual"] > 0.05
    assert last.values["losses/bellman_residual"] < 0.003
