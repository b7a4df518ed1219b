"""Learning from samples with a table (Sutton & Barto, 2nd ed., chapters 5 and 6): TD(0) prediction, Monte-Carlo
control, SARSA, Q-learning.

For one-player games whose observation shows the state's index (gridworlds). N games are played side by side and every
step is one batched update. S states, A actions. `train` is the contract of all learners; which of the four runs
follows from the config.

Deviations from the book: games in which a state-action pair occurs c times at once move it by 1 − (1 − α)^c towards
the mean of their targets, which is what c updates towards that mean would do; one game at a time is the book's rule.
Monte-Carlo control uses a constant step size, and the return of a truncated game goes on with the table's value of the
state where it was cut.

Metrics, one report per `report_steps` env steps:
    charts/episodic_return, charts/episodic_length     of the games that ended since the last report, without shaping
    charts/epsilon, charts/SPS
    losses/td_error                                    mean |target − old value|
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from agents.configs import MonteCarloConfig, SarsaConfig, TabularConfig, TD0Config
from agents.greedy import epsilon_greedy, greedy, uniform
from agents.metrics import Metrics, PolicyWeights, TrainingState
from agents.policy import Decision, Policy
from agents.resume import fresh_seeds, named_seeds, pack, pack_generator, torch_generator, unpack
from agents.schedules import linear
from agents.shaping import Shaping, one_player_only
from envs.errors import ArenaError, UsageError
from envs.gridworld.dynamics import exact_dynamics, state_index
from envs.protocol import Step, Turn, VecEnv
from envs.specs import GameSpec


class TabularPolicy:
    """Greedy for a table q_values [S, A] (uniform over equally good actions)."""

    def __init__(self, q_values: Tensor) -> None:
        self.q_values = q_values.float()

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        q_values = self.q_values.to(observation.device)[state_index(observation, len(self.q_values))]
        value = q_values.masked_fill(~legal_action_mask, -torch.inf).amax(-1)
        return Decision(greedy(q_values, legal_action_mask), value, q_values)


class PredictedPolicy:
    """The policy whose values [S] were predicted: uniform over the legal actions."""

    def __init__(self, values: Tensor) -> None:
        self.values = values.float()

    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        values = self.values.to(observation.device)[state_index(observation, len(self.values))]
        return Decision(uniform(legal_action_mask), values)


def load_table(spec: GameSpec, weights: PolicyWeights) -> Policy:
    """The policy of a stored table. Raises ArenaError where it does not fit the game."""
    name = "values" if weights.algorithm == "td0" else "q_values"
    table = weights.tensors.get(name, torch.empty(0))
    shape = spec.observation_shape
    states = shape[0] if len(shape) == 1 else int(np.prod(shape[1:]))
    expected = (states,) if name == "values" else (states, spec.num_actions)
    if tuple(table.shape) != expected:
        raise ArenaError(f"this table of {list(table.shape)} does not fit {spec.game}, whose table is {list(expected)}")
    return PredictedPolicy(table) if name == "values" else TabularPolicy(table)


def move_towards(table: Tensor, index: Tensor, target: Tensor, learning_rate: float) -> Tensor:
    """table[index] += (1 − (1 − α)^c) · mean(target − table[index]), in place; returns the errors target − old value.

    Args:
        table: [...], flat cells that `index` [B] names, c times each; target: [B].
    """
    assert index.ndim == 1
    assert index.shape == target.shape
    cells = table.view(-1)
    error = target - cells[index]
    count = torch.zeros_like(cells).index_add_(0, index, torch.ones_like(error))
    total = torch.zeros_like(cells).index_add_(0, index, error)
    cells += (1 - (1 - learning_rate) ** count) * total / count.clamp(min=1)
    return error


class Learner:
    """The table, the games, and everything else that a run carries from step to step.

    Attributes:
        table: [S, A] action values, or [S] values for prediction; float64.
        state, mask: [N] int64, [N, A]: what is to be acted on now.
        action: [N] int64, chosen already (SARSA), or -1.
        reports: sums since the last report: |error|, updates, ended games, their returns, their lengths.
    """

    def __init__(self, config: TabularConfig, env: VecEnv, seed: int) -> None:
        self.config, self.env = config, env
        dynamics = exact_dynamics(env)
        assert env.spec.num_actions is not None
        self.num_states, self.num_actions = dynamics.num_states, env.spec.num_actions
        seeds = named_seeds(seed)
        self.generator = torch_generator(seeds["policy"], env.device)
        shape = (self.num_states, self.num_actions)
        self.table = torch.empty(shape, dtype=torch.float64, device=env.device)
        self.table[:] = torch.tensor(initial_values(config, self.num_actions), dtype=torch.float64)
        self.table[torch.from_numpy(dynamics.terminal).to(env.device)] = 0.0
        if isinstance(config, TD0Config):
            self.table = self.table.mean(-1)
        self.step = 0
        self.action = torch.full((env.num_envs,), -1, device=env.device)
        self.running = torch.zeros(2, env.num_envs, device=env.device)  # return and length of the game so far
        self.reports = torch.zeros(5, dtype=torch.float64, device=env.device)
        self.trajectory = Trajectory(env.num_envs, self.table.numel(), env.device)
        self.see(env.reset(fresh_seeds(np.random.default_rng(seeds["games"]), env.num_envs).to(env.device)))

    def see(self, turn: Turn) -> None:
        assert turn.legal_action_mask is not None
        self.observation = turn.observation[:, 0]
        self.state = state_index(self.observation, self.num_states)
        self.mask = turn.legal_action_mask[:, 0]

    def choose(self, state: Tensor, mask: Tensor, epsilon: float | Tensor) -> Tensor:
        """ε-greedy actions [N] (uniform ones for prediction); ε may differ by game: [N, 1]."""
        predicting = self.table.ndim == 1
        probabilities = uniform(mask) if predicting else epsilon_greedy(self.table[state], mask, epsilon)
        return torch.multinomial(probabilities, 1, generator=self.generator).squeeze(1)

    def learn(self, index: Tensor, target: Tensor) -> None:
        error = move_towards(self.table, index, target, self.config.learning_rate)
        self.reports[0] += error.abs().sum()
        self.reports[1] += len(error)

    def count(self, step: Step) -> None:
        self.step += self.env.num_envs
        ended = (step.terminated | step.truncated).double()
        self.running += torch.stack([step.rewards[:, 0], torch.ones_like(step.rewards[:, 0])])
        self.reports[2:] += torch.stack([ended.sum(), *(self.running * ended).sum(1)])
        self.running *= 1 - ended.float()

    def report(self) -> dict[str, float]:
        """The charts since the last report."""
        error, updates, ended, total, length = self.reports.tolist()
        self.reports.zero_()
        charts = {"losses/td_error": error / updates} if updates else {}
        if ended:
            charts |= {"charts/episodic_return": total / ended, "charts/episodic_length": length / ended}
        return charts

    def weights(self) -> PolicyWeights:
        name = "values" if self.table.ndim == 1 else "q_values"
        return PolicyWeights(
            self.config.algorithm, dataclasses.asdict(self.config), {name: self.table.cpu().float().clone()}
        )

    def pack(self) -> TrainingState:
        tensors = {"table": self.table, "action": self.action, "running": self.running, "reports": self.reports}
        tensors |= {"generator": pack_generator(self.generator)} | self.trajectory.tensors()
        return TrainingState(pack("learner", tensors) | pack("env", self.env.state()), {"step": self.step})

    def load(self, state: TrainingState) -> None:
        own = unpack("learner", state.tensors)
        for name in ("table", "action", "running", "reports"):
            getattr(self, name).copy_(own[name])
        self.generator.set_state(own["generator"])
        self.trajectory.load(own)
        self.step = state.meta["step"]
        self.see(self.env.load(unpack("env", state.tensors)))


class Trajectory:
    """The unfinished games' steps, for Monte-Carlo control.

    Attributes:
        index, reward: [N, L], of the pair and what it brought; length: [N]; since: [N], the first step that teaches.
        settled: [N] bool, whether the game goes on without random moves.
    """

    NAMES = ("index", "reward", "length", "since", "settled")

    def __init__(self, num_envs: int, num_cells: int, device: torch.device) -> None:
        self.num_cells = num_cells
        self.index = torch.zeros(num_envs, 16, dtype=torch.int64, device=device)
        self.reward = torch.zeros(num_envs, 16, dtype=torch.float64, device=device)
        self.length = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self.since = torch.zeros_like(self.length)
        self.settled = torch.zeros_like(self.length, dtype=torch.bool)

    def append(self, index: Tensor, reward: Tensor, forget: Tensor) -> None:
        """One step [N] each; what came before it teaches nothing where `forget` [N]."""
        if int(self.length.max()) == self.index.shape[1]:
            self.index = torch.cat([self.index, torch.zeros_like(self.index)], 1)
            self.reward = torch.cat([self.reward, torch.zeros_like(self.reward)], 1)
        self.since = torch.where(forget, self.length, self.since)
        at = self.length.unsqueeze(1)
        self.index.scatter_(1, at, index.unsqueeze(1))
        self.reward.scatter_(1, at, reward.double().unsqueeze(1))
        self.length += 1

    def take(self, ended: Tensor, bootstrap: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
        """First visits in the games that ended [N], which are forgotten: pairs and returns. bootstrap [N] follows."""
        rows = ended.nonzero().squeeze(1)
        steps = (self.index[rows], self.reward[rows], self.since[rows], self.length[rows])
        self.length[rows] = self.since[rows] = 0
        self.settled[rows] = False
        return first_visits(*steps, bootstrap[rows], gamma, self.num_cells)

    def tensors(self) -> dict[str, Tensor]:
        return {f"trajectory.{name}": getattr(self, name) for name in self.NAMES}

    def load(self, tensors: dict[str, Tensor]) -> None:
        for name in self.NAMES:
            setattr(self, name, tensors[f"trajectory.{name}"].to(self.length.device).clone())


def first_visits(
    index: Tensor, reward: Tensor, since: Tensor, length: Tensor, bootstrap: Tensor, gamma: float, num_cells: int
) -> tuple[Tensor, Tensor]:
    """Each game's pairs at their first visit, and the discounted returns from there (section 5.1): flat [B], [B].

    Args:
        index, reward: [E, L], of which the steps from since [E] to below length [E] count; index is below `num_cells`.
        bootstrap: [E], the value after the last step.
    """
    assert index.shape == reward.shape
    games, longest = index.shape[0], int(length.max())
    steps = torch.arange(longest, device=index.device)
    index, valid = index[:, :longest], (steps >= since.unsqueeze(1)) & (steps < length.unsqueeze(1))
    returns = torch.empty(games, longest, dtype=reward.dtype, device=reward.device)
    later = bootstrap.to(reward.dtype)
    for t in range(longest - 1, -1, -1):
        later = torch.where(valid[:, t], reward[:, t] + gamma * later, later)
        returns[:, t] = later
    cells = torch.full((games, num_cells), longest, device=index.device)
    earliest = cells.scatter_reduce(1, index, torch.where(valid, steps, longest), "amin")
    first = valid & (earliest.gather(1, index) == steps)
    return index[first], returns[first]


def train(
    config: TabularConfig,
    env: VecEnv,
    *,
    seed: int,
    total_steps: int,
    opponents: Any = None,
    resume: TrainingState | None = None,
    checkpoint_steps: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
    reward: Shaping | None = None,
) -> Iterator[Metrics]:
    """Train on `env` until `total_steps`; see docs/plans. Raises UsageError where the game has no table of states."""
    one_player_only(reward, env.spec)
    learner = Learner(config, env, seed)
    if resume is not None:
        learner.load(resume)
    if isinstance(config, TD0Config):
        play = play_td0
    elif isinstance(config, MonteCarloConfig):
        play = play_monte_carlo
    else:
        play = play_sarsa if isinstance(config, SarsaConfig) else play_q_learning
    started, reported = time.perf_counter(), learner.step
    done = False
    while not done:
        before = learner.step
        epsilon = linear(config.epsilon, config.final_epsilon, before / max(config.exploration_share * total_steps, 1))
        step = play(learner, epsilon, reward)
        learner.count(step)
        learner.see(step.turn)
        due = checkpoint_steps > 0 and before // checkpoint_steps != learner.step // checkpoint_steps
        at_report = learner.step - reported >= config.report_steps
        done = learner.step >= total_steps or (at_report and should_stop())
        if done or due or at_report:
            charts = learner.report() | {"charts/epsilon": epsilon}
            charts["charts/SPS"] = (learner.step - reported) / (time.perf_counter() - started)
            started, reported = time.perf_counter(), learner.step
            if done or due:
                yield Metrics(learner.step, charts, learner.weights(), learner.pack())
            else:
                yield Metrics(learner.step, charts)


def _step(learner: Learner, action: Tensor, shaping: Shaping | None) -> tuple[Step, Tensor, Tensor, Tensor]:
    """Play action [N] → (step, rewards [N] to learn from, the state it led to [N], its mask [N, A])."""
    step = learner.env.step(action.unsqueeze(1))
    assert step.final.legal_action_mask is not None
    rewards = step.rewards[:, 0]
    if shaping is not None:
        rewards = shaping(learner.observation, action, rewards, step.final.observation[:, 0])
    following = state_index(step.final.observation[:, 0], learner.num_states)
    return step, rewards.double(), following, step.final.legal_action_mask[:, 0]


def play_q_learning(learner: Learner, epsilon: float, shaping: Shaping | None) -> Step:
    """Q(s, a) → r + γ max_a′ Q(s′, a′), off-policy (section 6.5; Watkins 1989)."""
    action = learner.choose(learner.state, learner.mask, epsilon)
    step, rewards, following, mask = _step(learner, action, shaping)
    best = learner.table[following].masked_fill(~mask, -torch.inf).amax(-1).masked_fill(step.terminated, 0.0)
    learner.learn(learner.state * learner.num_actions + action, rewards + learner.config.gamma * best)
    return step


def play_sarsa(learner: Learner, epsilon: float, shaping: Shaping | None) -> Step:
    """Q(s, a) → r + γ Q(s′, a′) for the next action a′, on-policy (section 6.4; Rummery & Niranjan 1994)."""
    chosen_now = learner.choose(learner.state, learner.mask, epsilon)
    action = torch.where(learner.action < 0, chosen_now, learner.action)
    step, rewards, following, mask = _step(learner, action, shaping)
    next_action = learner.choose(following, mask, epsilon)
    follow_up = learner.table[following, next_action].masked_fill(step.terminated, 0.0)
    learner.learn(learner.state * learner.num_actions + action, rewards + learner.config.gamma * follow_up)
    learner.action = torch.where(step.terminated | step.truncated, -1, next_action)
    return step


def play_monte_carlo(learner: Learner, epsilon: float, shaping: Shaping | None) -> Step:
    """Q(s, a) → the return that followed the pair's first visit in a game, on-policy, ε-soft (section 5.4).

    Off-policy only what follows a game's last random move teaches, that move included (section 5.7, without weights).
    A game may settle after a random move, that is, play on greedily to its end: else the last one is mostly so near the
    end that what lies far from it is never learnt.
    """
    config, trajectory = cast(MonteCarloConfig, learner.config), learner.trajectory
    action = learner.choose(learner.state, learner.mask, epsilon * (~trajectory.settled).float().unsqueeze(1))
    best = greedy(learner.table[learner.state], learner.mask)
    strayed = best.gather(1, action.unsqueeze(1)).squeeze(1) == 0
    step, rewards, following, mask = _step(learner, action, shaping)
    trajectory.append(learner.state * learner.num_actions + action, rewards, strayed & config.off_policy)
    if config.settle_share > 0:
        coin = torch.rand(len(strayed), generator=learner.generator, device=strayed.device)
        trajectory.settled |= strayed & (coin < config.settle_share)
    ended = step.terminated | step.truncated
    if bool(ended.any()):
        value = learner.table[following].masked_fill(~mask, -torch.inf).amax(-1).masked_fill(step.terminated, 0.0)
        learner.learn(*trajectory.take(ended, value, config.gamma))
    return step


def play_td0(learner: Learner, epsilon: float, shaping: Shaping | None) -> Step:
    """V(s) → r + γ V(s′) under the uniform random policy (section 6.1)."""
    action = learner.choose(learner.state, learner.mask, epsilon)
    step, rewards, following, _ = _step(learner, action, shaping)
    future = learner.table[following].masked_fill(step.terminated, 0.0)
    learner.learn(learner.state, rewards + learner.config.gamma * future)
    return step


def initial_values(config: TabularConfig, num_actions: int) -> list[float]:
    """`config.initial_values` as one number per action. Raises UsageError where they are not 1 or A numbers."""
    try:
        values = [float(word) for word in config.initial_values.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, num_actions):
        raise UsageError(
            f"initial_values={config.initial_values!r} must be one number or {num_actions} with commas: 0.5,0.4,0.3"
        )
    return values * (num_actions if len(values) == 1 else 1)
