"""Experience of the actor-critic learners (PPO, VPG): the games they play, the rollouts, what is learnt from them.

T steps, N games, K decision slots, P players, A actions. Everything stays on the env's device. Other
devices than the CPU are waited for once an update, when the figures of it and its rollout are read together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents import returns
from agents.configs import ActorCriticConfig
from agents.distributions import legal_actions, log_prob, sample, within_bounds
from agents.layout import room_for, rows
from agents.metrics import TrainingState
from agents.networks import ActorCritic, NetworkPolicy, load_weights, weights_stand_still
from agents.resume import (
    fresh_seeds,
    pack,
    pack_generator,
    pack_optimizer,
    pack_rng,
    torch_generator,
    unpack,
    unpack_optimizer,
    unpack_rng,
)
from agents.selfplay import Opponents, SelfPlay, in_random_opening
from agents.shaping import Shaping, one_player_only
from agents.tally import Tally
from envs.groups import join, split
from envs.native import NativeEnv
from envs.protocol import Turn, VecEnv


@dataclass
class Rollout:
    """Buffers of T steps, filled anew by every `collect_rollout`.

    Attributes:
        observation, mask, player, action: [T, N, K, …], what was decided on, and how (before any clipping to bounds).
        output, value: [T, N, K, …], [T, N, K], the learner's network on every slot, whoever decided there.
        learner: [T, N, K] bool, the slots that the learner decided.
        rewards: [T, N, P], shaped where there is shaping.
        terminated, truncated: [T, N].
        final_observation, final_player: [T, N, K, …], after each step and before any reset; the observations are None
            where games are never truncated.
        last_value, last_player: [N, K], of the turn after the last step.
    """

    observation: Tensor
    mask: Tensor
    player: Tensor
    action: Tensor
    output: Tensor
    value: Tensor
    learner: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    final_observation: Tensor | None
    final_player: Tensor
    last_value: Tensor
    last_player: Tensor


class Samples(NamedTuple):
    """The decisions to learn from: B rows, in no order that matters."""

    observation: Tensor
    mask: Tensor
    action: Tensor
    log_prob: Tensor
    value: Tensor
    advantage: Tensor
    returns: Tensor


def may_truncate(env: VecEnv) -> bool:
    """Whether a limit outside the rules may end its games: only native ones tell all their limits in the spec."""
    return env.spec.max_steps is not None or not isinstance(env, NativeEnv)


@dataclass
class Group:
    """Games that step together.

    Attributes:
        part: which of the N they are.
        turn: what is to be acted on now; while they go on, what was acted on.
        seeds: theirs, while they go on.
    """

    part: slice
    env: VecEnv
    turn: Turn
    seeds: Tensor


class Games:
    """The N games a learner plays, with the opponents in them and the generators behind them.

    Attributes:
        groups: games that step on their own.
        step: env steps so far, summed over games.
        self_play: who holds which seat.
        sparse: whether the host may look which decisions to learn from and which games were cut; else it would wait for
            the device.
        sample_size: how many decisions are learnt from where it may not: as many as the rollout before had, rounded up
            to a sixteenth of all.
        kept: [], how many there were.
    """

    def __init__(
        self,
        config: ActorCriticConfig,
        env: VecEnv,
        seeds: Mapping[str, np.random.SeedSequence],
        opponents: Opponents | None,
        shaping: Shaping | None,
    ) -> None:
        assert env.num_envs == config.num_envs, f"the env has {env.num_envs} games, the config {config.num_envs}"
        spec, device = env.spec, env.device
        one_player_only(shaping, spec)
        self.config, self.env, self.shaping = config, env, shaping
        self.sparse = device.type == "cpu"
        self.sample_size = env.num_envs * spec.num_slots * config.num_steps
        self.kept = torch.zeros((), device=device)
        self.generator = torch_generator(seeds["policy"], device)
        self.rng = np.random.default_rng(seeds["games"])
        rng = np.random.default_rng(seeds["opponents"])
        self.self_play = SelfPlay(spec, config, env.num_envs, device, NetworkPolicy, opponents, rng)
        self.tally = Tally(spec, self.self_play)
        self.step = 0
        self.previous_step = 0
        self.discounted_return = torch.zeros(env.num_envs, spec.num_players, device=device)
        self.buffers = self._allocate()
        self.started = time.perf_counter()

    def _allocate(self) -> Rollout:
        spec, env = self.env.spec, self.env
        lead = (self.config.num_steps, env.num_envs, spec.num_slots)
        actions, kind = (spec.num_actions or 0), torch.float32 if spec.num_actions is None else torch.int64
        dtype = getattr(torch, spec.observation_dtype)

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=env.device)

        return Rollout(
            observation=room_for(lead, spec.observation_shape, dtype, env.device),
            mask=zeros(*lead, actions, dtype=torch.bool),
            player=zeros(*lead, dtype=torch.int64),
            action=zeros(*lead, *spec.action_shape, dtype=kind),
            output=zeros(*lead, actions or 2 * math.prod(spec.action_shape)),
            value=zeros(*lead),
            learner=zeros(*lead, dtype=torch.bool),
            rewards=zeros(*lead[:2], spec.num_players),
            terminated=zeros(*lead[:2], dtype=torch.bool),
            truncated=zeros(*lead[:2], dtype=torch.bool),
            final_observation=zeros(*lead, *spec.observation_shape, dtype=dtype) if may_truncate(env) else None,
            final_player=zeros(*lead, dtype=torch.int64),
            last_value=zeros(*lead[1:]),
            last_player=zeros(*lead[1:], dtype=torch.int64),
        )

    @property
    def turn(self) -> Turn:
        """Of all games: what is to be acted on now."""
        return join([group.turn for group in self.groups])

    @turn.setter
    def turn(self, turn: Turn) -> None:
        self.groups = [Group(part, env, split(turn, part), env.seeds) for part, env in self.env.groups]

    def begin_rollout(self, network: ActorCritic) -> None:
        """Start the clock and, where that is due, all games with newly drawn opponents."""
        self.started = time.perf_counter()
        renews = self.self_play.renews(self.previous_step, self.step)
        if renews:
            self.self_play.renew(network)
        if renews or self.step == 0:
            self.begin_games()
        self.previous_step = self.step

    def begin_games(self) -> None:
        """Begin all games anew."""
        self.turn = self.env.reset(fresh_seeds(self.rng, self.env.num_envs).to(self.env.device))
        self.tally.restart()
        self.discounted_return.zero_()

    def finish_rollout(self, figures: Mapping[str, Tensor | float] | None = None) -> dict[str, float]:
        """The `charts/…` of the games that ended, these figures, and `charts/SPS` of the rollout that began last, its
        update included; what lies on the device is read in one copy."""
        figures = figures or {}
        there = {name: figure for name, figure in figures.items() if isinstance(figure, Tensor)}
        sums = self.tally.take()
        kept, *read = torch.cat([x.flatten() for x in (self.kept, sums, *there.values())]).tolist()
        if not self.sparse:
            part = math.ceil(self.buffers.value.numel() / 16)
            self.sample_size = part * max(1, math.ceil(kept / part))
        kinds, count = sums.shape
        charts = self.tally.charts([read[count * kind : count * (kind + 1)] for kind in range(kinds)])
        values = dict(zip(there, read[kinds * count :], strict=True))
        steps = self.step - self.previous_step
        return charts | {**figures, **values} | {"charts/SPS": steps / (time.perf_counter() - self.started)}

    def checkpoint_due(self, checkpoint_steps: int) -> bool:
        """Whether the last rollout crossed a multiple of `checkpoint_steps` (0: never)."""
        return checkpoint_steps > 0 and self.previous_step // checkpoint_steps != self.step // checkpoint_steps

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, plain values) for `load`. Games that it could not go on with begin anew, here as there."""
        if not self.env.exact:
            self.begin_games()
        pool, pool_meta = self.self_play.state()
        own = {
            "generator": pack_generator(self.generator),
            "return_so_far": self.tally.return_so_far,
            "discounted_return": self.discounted_return,
            "ply": self.tally.ply,
        }
        meta = {"step": self.step, "previous_step": self.previous_step, "rng": pack_rng(self.rng), "pool": pool_meta}
        meta["sample_size"] = self.sample_size
        return pack("games", own) | pack("env", self.env.state()) | pool, meta

    def load(self, network: ActorCritic, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        own = unpack("games", tensors)
        self.generator.set_state(own["generator"])
        self.tally.return_so_far.copy_(own["return_so_far"])
        self.discounted_return.copy_(own["discounted_return"])
        self.tally.ply.copy_(own["ply"])
        self.step, self.previous_step, self.rng = meta["step"], meta["previous_step"], unpack_rng(meta["rng"])
        self.sample_size = meta.get("sample_size", self.sample_size)
        self.self_play.load(network, tensors, meta["pool"])
        self.turn = self.env.load(unpack("env", tensors))
        if not self.env.exact:  # which began new games, as states of older versions do not say
            self.tally.restart()
            self.discounted_return.zero_()


@torch.no_grad()
def collect_rollout(games: Games, network: ActorCritic) -> Rollout:
    """Play `config.num_steps` steps of every game; returns the buffers.

    While the network decides for one group of games, those of the others go on.
    """
    rollout, num_steps = games.buffers, games.config.num_steps
    games.begin_rollout(network)
    with weights_stand_still(games.env.device):
        for t in range(num_steps):
            for group in games.groups:
                if t > 0:
                    _receive(games, group, t - 1)
                _send(games, group, network, t)
        for group in games.groups:
            _receive(games, group, num_steps - 1)
        turn = games.turn
        rollout.last_value.copy_(network.value(turn.observation.flatten(0, 1)).view_as(rollout.last_value))
    rollout.last_player.copy_(turn.player)
    games.step += num_steps * games.env.num_envs
    return rollout


def _send(games: Games, group: Group, network: ActorCritic, t: int) -> None:
    """Decide step t of a group's games, and begin it.

    The network sees every slot of every game; where an opponent or the opening's random moves decide, it is overruled.
    """
    config, self_play, rollout = games.config, games.self_play, games.buffers
    part, env, turn = group.part, group.env, group.turn
    mask = legal_actions(turn)
    rollout.observation[t, part] = turn.observation
    output, value = network(rollout.observation[t, part].flatten(0, 1))
    output = output.view(*turn.player.shape, -1)
    learner = self_play.learner_decides(turn, part)
    rollout.mask[t, part] = mask
    rollout.player[t, part] = turn.player
    rollout.output[t, part], rollout.value[t, part] = output, value.view(turn.player.shape)
    self_play.overrule(output, turn, learner)
    if config.random_plies:
        opening = in_random_opening(env.seeds, games.tally.ply[part], config.random_plies).unsqueeze(1)
        output.masked_fill_(opening.unsqueeze(2), 0.0)
        learner &= ~opening
    action = sample(output, mask, games.generator)
    rollout.action[t, part], rollout.learner[t, part] = action, learner
    group.seeds = env.seeds
    env.send(within_bounds(action, env.spec))


def _receive(games: Games, group: Group, t: int) -> None:
    """End step t of a group's games."""
    rollout, part = games.buffers, group.part
    step = group.env.receive()
    rollout.rewards[t, part] = step.rewards
    rollout.terminated[t, part], rollout.truncated[t, part] = step.terminated, step.truncated
    if games.shaping:
        before, after = group.turn.observation[:, 0], step.final.observation[:, 0]
        action = within_bounds(rollout.action[t, part, 0], games.env.spec)
        rollout.rewards[t, part, 0] = games.shaping(before, action, step.rewards[:, 0], after)
    if rollout.final_observation is not None:
        rollout.final_observation[t, part] = step.final.observation
    rollout.final_player[t, part] = step.final.player
    games.tally.count(step.rewards, group.env.seeds != group.seeds, part)
    group.turn = step.turn


@torch.no_grad()
def advantages(games: Games, network: ActorCritic, rollout: Rollout, bootstrap: bool = True) -> Samples:
    """What the rollout teaches: the learner's decisions with advantages and returns.

    Args:
        bootstrap: False takes rewards to go alone as both, of games that ended within the rollout (bare REINFORCE).
    """
    config, players = games.config, games.env.spec.num_players
    num_slots = rollout.player.shape[2]
    rewards = rollout.rewards
    if config.reward_clip > 0:
        rewards = rewards.clamp(-config.reward_clip, config.reward_clip)
    rewards = rewards / config.reward_scale
    if network.rewards is not None:
        network.rewards.update(_discounted_returns(games, rollout, rewards).flatten())
        rewards = rewards / network.rewards.deviation
    gamma, lam = config.gamma, config.gae_lambda
    if not bootstrap:
        deciding = _by_seat(torch.ones_like(rollout.value), rollout.player, players)[1]
        advantage, valid = returns.rewards_to_go(rewards, deciding, rollout.terminated, rollout.truncated, gamma)
    else:
        final_value = _final_values(games, network, rollout)
        if players == 1:
            done = (rollout.terminated, rollout.truncated)
            values = (final_value[..., 0], rollout.last_value[:, 0])
            advantage = returns.gae(rewards[..., 0], rollout.value[..., 0], *done, *values, gamma, lam).unsqueeze(-1)
            valid = torch.ones_like(advantage, dtype=torch.bool)
        else:
            spec = games.env.spec  # what the other side sees says nothing of one's own value where things are hidden
            zero_sum = spec.zero_sum and num_slots == 1 and spec.perfect_information
            value, deciding = _by_seat(rollout.value, rollout.player, players)
            final, final_known = _by_seat(final_value, rollout.final_player, players, zero_sum)
            last, last_known = _by_seat(rollout.last_value, rollout.last_player, players, zero_sum)
            if num_slots == players:  # who has no slot where all others have one is out, and nothing is left to come
                final_known, last_known = torch.ones_like(final_known), torch.ones_like(last_known)
            final_known &= rollout.final_observation is not None
            advantage, valid = returns.seat_gae(
                rewards, value, deciding, rollout.terminated, rollout.truncated,
                final, final_known, last, last_known, gamma, lam,
            )  # fmt: skip
    seat = rollout.player.clamp(min=0)
    keep = valid.gather(-1, seat) & rollout.learner
    if games.sparse:
        chosen = keep.flatten().nonzero().squeeze(1)
    else:
        games.kept = keep.sum(dtype=torch.float32)
        chosen = _evenly(keep.flatten(), games.sample_size)

    def pick(x: Tensor) -> Tensor:
        return rows(x.flatten(0, 2), chosen)

    advantage = pick(advantage.gather(-1, seat).masked_fill(~keep, 0.0))
    value, mask, action = pick(rollout.value), pick(rollout.mask), pick(rollout.action)
    return Samples(
        observation=pick(rollout.observation),
        mask=mask,
        action=action,
        log_prob=log_prob(pick(rollout.output), mask, action),
        value=value,
        advantage=advantage,
        returns=advantage + value if bootstrap else advantage,
    )


def _final_values(games: Games, network: ActorCritic, rollout: Rollout) -> Tensor:
    """[T, N, K]: values of the states in which truncated games ended; what stands elsewhere is not to be read."""
    final_value = torch.zeros_like(rollout.value)
    if rollout.final_observation is None:
        return final_value
    if not games.sparse:
        return network.value(rollout.final_observation.flatten(0, 2)).view_as(final_value)
    cut = rollout.truncated.nonzero(as_tuple=True)
    final_value[cut] = network.value(rollout.final_observation[cut].flatten(0, 1)).view(-1, rollout.player.shape[2])
    return final_value


def _evenly(keep: Tensor, size: int) -> Tensor:
    """keep [B] bool → [size] int64: the indexes of the True ones in order, evenly repeated or left out so that they are
    `size`, however many there are. Where none is, the last index."""
    rank = keep.cumsum(0)
    turn = torch.arange(size, device=keep.device) * rank[-1] // size
    return torch.searchsorted(rank, turn + 1).clamp(max=len(keep) - 1)


def _by_seat(values: Tensor, player: Tensor, players: int, zero_sum: bool = False) -> tuple[Tensor, Tensor]:
    """Slots → seats: values [..., K] of the seats player [..., K] → values [..., P], known [..., P] bool.

    In a turn-based two-player zero-sum game the side not to move has the other's value, negated.
    """
    seats = player.unsqueeze(-1) == torch.arange(players, device=player.device)  # [..., K, P]
    known = seats.any(-2)
    by_seat = (values.unsqueeze(-1) * seats).sum(-2)
    if zero_sum:
        assert players == 2
        acting = known.any(-1, keepdim=True)
        by_seat = torch.where(known, by_seat, -by_seat.flip(-1))
        known = known | acting
    return by_seat, known


def _discounted_returns(games: Games, rollout: Rollout, rewards: Tensor) -> Tensor:
    """[T, N, P]: what each game brought each seat up to each step of rewards [T, N, P], older ones discounted."""
    running, seen = games.discounted_return, torch.empty_like(rewards)
    ended = (rollout.terminated | rollout.truncated).unsqueeze(-1)
    for t in range(rewards.shape[0]):
        running.mul_(games.config.gamma).add_(rewards[t])
        seen[t] = running
        running.masked_fill_(ended[t], 0.0)
    return seen


def pack_learner(network: ActorCritic, optimizers: Mapping[str, torch.optim.Optimizer], games: Games) -> TrainingState:
    """Everything that the next rollout and update depend on."""
    tensors, meta = games.state()
    tensors |= pack("network", network.state_dict())
    for name, optimizer in optimizers.items():
        tensors |= pack_optimizer(name, optimizer)
    return TrainingState(tensors, meta)


def load_learner(
    state: TrainingState, network: ActorCritic, optimizers: Mapping[str, torch.optim.Optimizer], games: Games
) -> None:
    """Put a fresh learner back to `pack_learner`'s state. Raises ArenaError where it does not fit."""
    load_weights(network, unpack("network", state.tensors), games.env.spec.game)
    for name, optimizer in optimizers.items():
        unpack_optimizer(name, optimizer, state.tensors)
    games.load(network, state.tensors, state.meta)
