"""Deep Q-learning (Mnih et al. 2015, "Human-level control through deep reinforcement learning"), Double by default (van
Hasselt et al. 2016, "Deep Reinforcement Learning with Double Q-learning").

`train` plays N games step by step, ε-greedily: `act` chooses and sends the actions off, `update` takes the gradient
steps that are due on batches of the replay memory (`train_ratio` of them per env step) while the games go on, where
they can (Atari's run in threads of their own), and `observe` takes in what came of the actions. So a gradient step
knows all decisions that games have gone on from, but an end only when the next step has been sent off.

A transition belongs to one seat: it runs from a decision to the same seat's n-th decision after it (`n_steps`; Sutton
and Barto, section 7.1) and sums the seat's rewards in between; γ counts own decisions (agents/pending.py). Where the
rules end the game the target is the rewards alone; where a limit cuts it, the target goes on with the value of the
final state, from however few decisions there were. The maximum is over legal actions only. Replay is uniform or by
priority (`priority_exponent`; agents/buffers.py).

Deviations from the papers: N games side by side; Adam, with a learning rate that falls linearly; Huber's loss and
clipping by norm instead of clipped errors; with n > 1 the rewards of random moves in between count as they came,
without correction, as in Hessel et al. 2018, "Rainbow"; a truncated turn-based game teaches only the seat whose turn
it was; several players are learnt by one network in self-play, where every other seat is part of the environment.

Metrics, one report per `report_steps` env steps (keys without a value in it are left out):
    charts/episodic_return     of the games that ended, without shaping; several seats of the learner: their mean
    charts/episodic_length     steps
    charts/SPS                 env steps per second
    charts/epsilon, charts/learning_rate
    charts/q_mean              of the actions in the batches, in the game's units
    charts/score_vs_pool       self-play: win 1, draw ½, loss 0 against frozen policies
    charts/score_vs_random     self-play: the same against random moves
    losses/td_loss             as minimised
    losses/bellman_residual    mean |target − q| over the memory, estimated from the batches (priorities weighted back),
                               in the game's units: 0 where the values satisfy the Bellman equation they are learnt by;
                               not with n_steps > 1, whose targets hold what exploration cost on the way
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from agents import losses
from agents.buffers import PrioritisedReplay, ReplayBuffer, Transitions
from agents.configs import DQNConfig, config_from
from agents.descent import descend
from agents.frame_store import FrameStore
from agents.greedy import epsilon_greedy
from agents.metrics import Metrics, PolicyWeights, TrainingState
from agents.networks import Normaliser, build_trunk, compile_trunks, initialise, load_weights, prepare
from agents.pending import Pending
from agents.policy import Decision
from agents.resume import (
    fresh_seeds,
    named_seeds,
    pack,
    pack_generator,
    pack_optimizer,
    pack_rng,
    torch_generator,
    unpack,
    unpack_optimizer,
    unpack_rng,
)
from agents.schedules import linear
from agents.selfplay import Opponents, SelfPlay, in_random_opening
from agents.shaping import Shaping, one_player_only
from agents.tally import Tally
from agents.warm_start import Start, warm_start
from envs.protocol import VecEnv
from envs.specs import GameSpec


class QNetwork(nn.Module):
    """Observation [B, *obs] → action values [B, A], in units of `reward_scale`."""

    def __init__(self, spec: GameSpec, config: DQNConfig, generator: torch.Generator) -> None:
        super().__init__()
        assert spec.num_actions is not None, "continuous actions have no table of values"
        self.scale = spec.scale
        self.normaliser = Normaliser(spec.observation_shape) if config.normalise_observations else None
        self.trunk, features = build_trunk(spec, config, generator)
        self.head = initialise(nn.Linear(features, spec.num_actions), 1.0, generator)

    def take_in(self, observation: Tensor) -> None:
        """Let the normaliser, where there is one, know of observations [B, *obs]."""
        if self.normaliser is not None:
            self.normaliser.update(prepare(observation, self.scale))

    def forward(self, observation: Tensor) -> Tensor:
        x = prepare(observation, self.scale)
        return self.head(self.trunk(x if self.normaliser is None else self.normaliser(x)))


class QPolicy:
    """A Q-network as a frozen policy: greedy over the legal actions but for a share ε of random moves."""

    def __init__(self, network: nn.Module, epsilon: float, reward_scale: float) -> None:
        self.network, self.epsilon, self.reward_scale = network, epsilon, reward_scale

    @torch.no_grad()
    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        q_values = self.network(observation) * self.reward_scale
        value = q_values.masked_fill(~legal_action_mask, -torch.inf).amax(-1)
        return Decision(epsilon_greedy(q_values, legal_action_mask, self.epsilon), value, q_values)


def load_dqn(spec: GameSpec, weights: PolicyWeights) -> QPolicy:
    """The policy of stored weights, on the CPU. Raises ArenaError where they do not fit the game."""
    config = cast(DQNConfig, config_from("dqn", weights.config))
    network = QNetwork(spec, config, torch.Generator())
    load_weights(network, weights.tensors, f"dqn on {spec.game}")
    return QPolicy(network.requires_grad_(False), config.play_epsilon, config.reward_scale)


def make_memory(spec: GameSpec, config: DQNConfig, num_envs: int, device: torch.device) -> ReplayBuffer:
    """The replay memory that the config asks for; of stacked pictures each is kept once, and a few more than rows."""
    frames = None
    if spec.frames > 1:
        num_streams = num_envs * spec.num_slots
        spare = num_streams * (config.n_steps + spec.frames) * spec.frames
        frames = FrameStore(spec, config.buffer_size + spare, num_streams, device)
    if config.priority_exponent > 0:
        return PrioritisedReplay(spec, config.buffer_size, device, config.priority_exponent, frames)
    return ReplayBuffer(spec, config.buffer_size, device, frames)


class Learner:
    """Everything that a run carries from step to step.

    Attributes:
        step: env steps so far, summed over games. gradient_steps: gradient steps so far.
        turn: what is to be acted on now.
        action: [N, K], what was chosen on it last. seeds: [N], of the games in which it was.
        seen: sums over the gradient steps since the last report: loss, |target − q|, q; how many there were.
    """

    def __init__(
        self, config: DQNConfig, env: VecEnv, seed: int, opponents: Opponents | None, shaping: Shaping | None
    ) -> None:
        one_player_only(shaping, env.spec)
        spec, device, seeds = env.spec, env.device, named_seeds(seed)
        self.config, self.env, self.shaping = config, env, shaping
        self.network = QNetwork(spec, config, torch_generator(seeds["init"])).to(device)
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        if config.compile:
            compile_trunks(self.network)
            compile_trunks(self.target)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), config.learning_rate, eps=config.adam_eps, fused=True
        )
        self.buffer = make_memory(spec, config, env.num_envs, device)
        self.pending = Pending(spec, env.num_envs, config.n_steps, config.gamma, self.buffer.rows.observation)
        self.generator = torch_generator(seeds["policy"], device)
        self.rng = np.random.default_rng(seeds["games"])
        opponents_rng = np.random.default_rng(seeds["opponents"])
        self.self_play = SelfPlay(spec, config, env.num_envs, device, self.as_policy, opponents, opponents_rng)
        self.tally = Tally(spec, self.self_play)
        self.action = torch.zeros(env.num_envs, spec.num_slots, dtype=torch.int64, device=device)
        self.seeds = env.seeds
        self.step = self.previous_step = self.gradient_steps = 0
        self.seen, self.num_seen = torch.zeros(3, device=device), 0

    def as_policy(self, network: nn.Module) -> QPolicy:
        """How frozen copies play as opponents: with the exploration training ends with, so that their games differ."""
        return QPolicy(network, self.config.final_epsilon, self.config.reward_scale)

    def restart_games_if_due(self) -> None:
        """At the start, and where new opponents are due, all games begin anew."""
        renews = self.self_play.renews(self.previous_step, self.step)
        if renews:
            self.self_play.renew(self.network)
        if renews or self.step == 0:
            self.begin_games()

    def begin_games(self) -> None:
        """Begin all games anew; what was pending is forgotten."""
        self.turn = self.env.reset(fresh_seeds(self.rng, self.env.num_envs).to(self.env.device))
        self.tally.restart()
        self.pending.waiting.zero_()

    def oldest_pictures(self, kept: Tensor) -> Tensor | None:
        """[N, K], their numbers among those kept [N, K, D], where a seat that is out may wait until they are lost."""
        if self.buffer.frames is None or self.env.spec.num_players == 1:
            return None
        return self.buffer.frames.oldest(kept.flatten(0, 1)).view(kept.shape[:2])

    def forget_lost_pictures(self) -> None:
        """Decisions whose pictures have been written over wait no longer: those of seats that have long been out."""
        if self.buffer.frames is not None and self.env.spec.num_players > 1:
            self.pending.forget(self.buffer.frames.lost(self.pending.oldest))

    def report(self) -> dict[str, float]:
        """The charts and losses since the last report."""
        charts = self.tally.charts()
        if self.num_seen:
            loss, residual, q_mean = (self.seen / self.num_seen).tolist()
            charts["losses/td_loss"] = loss
            charts["losses/bellman_residual"] = residual * self.config.reward_scale
            charts["charts/q_mean"] = q_mean * self.config.reward_scale
            self.seen.zero_()
            self.num_seen = 0
        return charts

    def weights(self) -> PolicyWeights:
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}
        return PolicyWeights("dqn", dataclasses.asdict(self.config), tensors)

    def pack(self) -> TrainingState:
        """Everything that the next step depends on. Taken at reports, where no sums are open.

        Games that `load` could not go on with begin anew, here as there.
        """
        if not self.env.exact:
            self.begin_games()
        pool, pool_meta = self.self_play.state()
        memory, memory_meta = self.buffer.state()
        games = {
            "generator": pack_generator(self.generator),
            "return_so_far": self.tally.return_so_far,
            "ply": self.tally.ply,
        }
        tensors = pack("network", self.network.state_dict()) | pack("target", self.target.state_dict())
        tensors |= pack_optimizer("optimizer", self.optimizer) | pack("memory", memory) | pool
        tensors |= pack("pending", self.pending.tensors()) | pack("games", games) | pack("env", self.env.state())
        meta: dict[str, Any] = {name: getattr(self, name) for name in ("step", "previous_step", "gradient_steps")}
        return TrainingState(tensors, meta | {"rng": pack_rng(self.rng), "pool": pool_meta, "memory": memory_meta})

    def load(self, state: TrainingState) -> None:
        """Go on from `pack`. Raises ArenaError where it does not fit."""
        tensors, meta = state.tensors, state.meta
        load_weights(self.network, unpack("network", tensors), self.env.spec.game)
        load_weights(self.target, unpack("target", tensors), self.env.spec.game)
        unpack_optimizer("optimizer", self.optimizer, tensors)
        if memory := unpack("memory", tensors):  # a large one can be lost; then it fills anew
            self.buffer.load(memory, meta["memory"])
        for name, kept in unpack("pending", tensors).items():
            getattr(self.pending, name).copy_(kept)
        if not memory and self.buffer.frames is not None:
            self.pending.waiting.zero_()  # what they saw is lost
        games = unpack("games", tensors)
        self.generator.set_state(games["generator"])
        self.tally.return_so_far.copy_(games["return_so_far"])
        self.tally.ply.copy_(games["ply"])
        self.step, self.previous_step, self.gradient_steps = (
            meta[name] for name in ("step", "previous_step", "gradient_steps")
        )
        self.rng = unpack_rng(meta["rng"])
        self.self_play.load(self.network, tensors, meta["pool"])
        self.turn = self.env.load(unpack("env", tensors))
        if not self.env.exact:  # which began new games, as states of older versions do not say
            self.tally.restart()
            self.pending.waiting.zero_()


def train(
    config: DQNConfig,
    env: VecEnv,
    *,
    seed: int,
    total_steps: int,
    opponents: Opponents | None = None,
    resume: TrainingState | None = None,
    checkpoint_steps: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
    reward: Shaping | None = None,
    start: Start | None = None,
) -> Iterator[Metrics]:
    """Train on `env` (made with `config.num_envs` games and automatic reset) until `total_steps`; see docs/plans."""
    learner = Learner(config, env, seed, opponents, reward)
    if resume is not None:
        learner.load(resume)
    elif start is not None:
        warm_start(learner.network, config, env.spec, start)
        learner.target.load_state_dict(learner.network.state_dict())
    started, reported = time.perf_counter(), learner.step
    done = False
    while not done:
        progress = learner.step / total_steps
        epsilon = linear(config.epsilon, config.final_epsilon, progress / max(config.exploration_share, 1e-9))
        rate = config.learning_rate * (1 - progress if config.anneal_learning_rate else 1)
        act(learner, epsilon)
        update(learner, rate, linear(config.priority_beta, 1.0, progress))
        observe(learner)
        at_report = learner.step - reported >= config.report_steps
        done = learner.step >= total_steps or (at_report and should_stop())
        due = checkpoint_steps > 0 and learner.previous_step // checkpoint_steps != learner.step // checkpoint_steps
        if done or due or at_report:
            charts = learner.report() | {"charts/epsilon": epsilon, "charts/learning_rate": rate}
            charts["charts/SPS"] = (learner.step - reported) / (time.perf_counter() - started)
            started, reported = time.perf_counter(), learner.step
            if done or due:
                yield Metrics(learner.step, charts, learner.weights(), learner.pack())
            else:
                yield Metrics(learner.step, charts)


@torch.no_grad()
def act(learner: Learner, epsilon: float) -> None:
    """Begin a step of every game; remember the transitions that these decisions complete."""
    learner.restart_games_if_due()
    config, env, turn, pending = learner.config, learner.env, learner.turn, learner.pending
    assert turn.legal_action_mask is not None
    kept = learner.buffer.keep(turn.observation)
    learner.forget_lost_pictures()
    learner.buffer.add(pending.followed_by(turn, kept))

    q_values = learner.network(turn.observation.flatten(0, 1))
    probabilities = epsilon_greedy(q_values, turn.legal_action_mask.flatten(0, 1), epsilon)
    logits = probabilities.log().view(turn.legal_action_mask.shape)
    decides = learner.self_play.learner_decides(turn)
    learner.self_play.overrule(logits, turn, decides)
    if config.random_plies:
        opening = in_random_opening(env.seeds, learner.tally.ply, config.random_plies).unsqueeze(1)
        logits.masked_fill_(opening.unsqueeze(2), 0.0)
        decides &= ~opening
    action = losses.sample_masked(logits, turn.legal_action_mask, learner.generator)
    pending.decided(turn, kept, action, decides, learner.oldest_pictures(kept))
    if config.normalise_observations:
        learner.network.take_in(turn.observation[decides])
    learner.seeds = env.seeds
    env.send(action)
    learner.action = action
    learner.previous_step, learner.step = learner.step, learner.step + env.num_envs


@torch.no_grad()
def observe(learner: Learner) -> None:
    """End the step that `act` began; remember the transitions of the games that it ended."""
    config, turn, pending = learner.config, learner.turn, learner.pending
    step = learner.env.receive()
    rewards = step.rewards
    if learner.shaping:
        seen, action = turn.observation[:, 0], learner.action[:, 0]
        shaped = learner.shaping(seen, action, rewards[:, 0], step.final.observation[:, 0])
        rewards = shaped.unsqueeze(1)
    if config.reward_clip > 0:
        rewards = rewards.clamp(-config.reward_clip, config.reward_clip)
    pending.rewarded(rewards)
    kept_final = learner.buffer.keep(step.final.observation, step.truncated)
    learner.forget_lost_pictures()
    learner.buffer.add(pending.ended(step.terminated))
    learner.buffer.add(pending.followed_by(step.final, kept_final, step.truncated))
    if learner.env.spec.num_slots == learner.env.spec.num_players:  # who has no slot where all others have one is out
        learner.buffer.add(pending.ended(step.truncated))
    ended = step.terminated | step.truncated
    pending.waiting &= ~ended.view(-1, 1, 1)
    learner.tally.count(step.rewards, learner.env.seeds != learner.seeds)
    learner.turn = step.turn


def update(learner: Learner, learning_rate: float, beta: float = 1.0) -> None:
    """Take the gradient steps that are due; after every `target_update` of them the target network follows."""
    config, network = learner.config, learner.network
    due = int(max(learner.step - config.learning_starts, 0) * config.train_ratio) - learner.gradient_steps
    if due <= 0 or len(learner.buffer) == 0:
        return
    for group in learner.optimizer.param_groups:
        group["lr"] = learning_rate
    while due > 0:
        # The target network stands still between two copies, so these gradient steps need one pass of it together;
        # priorities change with every step.
        together = config.target_update - learner.gradient_steps % config.target_update
        count = 1 if isinstance(learner.buffer, PrioritisedReplay) else min(due, together)
        drawn, place, weight = learner.buffer.sample(count * config.batch_size, learner.generator, beta)
        with torch.no_grad():
            q_t = learner.target(drawn.next_observation)
            target = drawn.reward if config.double else targets(config, drawn, q_t, q_t)
        batches = zip(*(column.split(config.batch_size) for column in (*drawn, weight, q_t, target)), strict=True)
        steps = [gradient_step(learner, Transitions(*batch[:-3]), *batch[-3:]) for batch in batches]
        loss, target, q_tm1 = (torch.cat(column) for column in zip(*steps, strict=True))
        error = (target - q_tm1).abs()
        learner.buffer.learnt(place, error)
        residual = (weight * error).sum() / weight.sum()
        learner.seen += torch.stack([loss.mean(), residual, q_tm1.mean()]) * count
        learner.num_seen += count
        learner.gradient_steps += count
        due -= count
        if learner.gradient_steps % config.target_update == 0:
            follow(learner.target, network, config.target_rate)


def targets(config: DQNConfig, rows: Transitions, q_t: Tensor, selector_t: Tensor) -> Tensor:
    """[B], what the rows' values should be, by values q_t [B, A] of what comes next, at the action selected there."""
    return losses.q_learning_target(rows.reward / config.reward_scale, rows.discount, q_t, selector_t, rows.next_mask)


def gradient_step(
    learner: Learner, rows: Transitions, weight: Tensor, q_t: Tensor, target: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One step on B rows, weight [B], towards the target [B], which Double works out anew with the target network's q_t
    [B, A].

    Returns the loss [1], the target [B], and q [B] from before the step.
    """
    config, network = learner.config, learner.network
    if config.double:  # the network that selects moves with every step
        with torch.no_grad():
            target = targets(config, rows, q_t, network(rows.next_observation))
    q_tm1 = network(rows.observation).gather(1, rows.action.unsqueeze(1)).squeeze(1)
    loss = losses.td_loss(q_tm1, target, config.huber, weight)
    descend(learner.optimizer, loss, config.max_grad_norm)
    return loss.detach().unsqueeze(0), target, q_tm1.detach()


@torch.no_grad()
def follow(target: nn.Module, network: nn.Module, rate: float) -> None:
    """Move the target's parameters this share of the way to the network's; 1, and statistics in any case: a copy."""
    if rate < 1:
        torch._foreach_lerp_(list(target.parameters()), list(network.parameters()), rate)
        for kept, new in zip(target.buffers(), network.buffers(), strict=True):
            kept.copy_(new)
    else:
        target.load_state_dict(network.state_dict())
