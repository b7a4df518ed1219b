"""AlphaZero (Silver et al. 2018, "A general reinforcement learning algorithm that masters chess, shogi, and Go through
self-play") with Gumbel's search (Danihelka et al. 2022): search is the teacher, its pupil the search's next guide.

`train` alternates two verbs: `collect` plays T moves of N games, each found by `agents/gumbel.py`; `update` draws
decisions from a window of the latest ones and pulls the network's policy to the search's (cross-entropy) and its value
to what came of the position (squared error).

Deviations: what came of a position is a λ-return over the searches' values, with λ = 1 the end of the game, where that
lies in the same T moves, else what the network thinks of the position after them; an MLP shares policy and value; games
may start with random moves, which are not learnt from; positions are learnt from in all their symmetries; frozen
opponents of a pool or a league play without search, and their moves are not learnt from.

Metrics, one report per update (keys without a value in it are left out):
    charts/episodic_return     of the games that ended; several seats of the learner: their mean
    charts/episodic_length     steps
    charts/SPS                 env steps per second of this update
    charts/learning_rate
    charts/search_gain         share of the searched moves that are not the policy's likeliest
    charts/score_vs_pool       win 1, draw ½, loss 0 against frozen policies
    charts/score_vs_random     the same against random moves
    losses/policy_loss (nats), losses/value_loss, losses/entropy (nats, of the network's policy)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from agents import losses
from agents.configs import AZConfig
from agents.descent import descend
from agents.distributions import legal_actions, sample
from agents.gumbel import GumbelSearch
from agents.metrics import Metrics, TrainingState
from agents.networks import ActorCritic, compile_trunks, freeze
from agents.resume import named_seeds, pack, torch_generator, unpack
from agents.rollout import Games, load_learner, pack_learner
from agents.schedules import linear
from agents.selfplay import Opponents, in_random_opening
from agents.shaping import Shaping
from agents.symmetries import Symmetries
from agents.warm_start import Start, warm_start
from envs.protocol import VecEnv
from envs.specs import GameSpec


class Lessons(NamedTuple):
    """B decisions: what was seen [B, *obs], what was legal [B, A] bool, the search's policy [B, A], the value [B]."""

    observation: Tensor
    mask: Tensor
    policy: Tensor
    value: Tensor


def train(
    config: AZConfig,
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
    """Train on `env` (made with `config.num_envs` games and automatic reset) until `total_steps`; see docs/plans.

    Raises UsageError for games that cannot be searched.
    """
    search = GumbelSearch(
        env.spec, config.simulations, config.considered, config.value_scale, config.gamma, config.search_threads
    )
    seeds = named_seeds(seed)
    network = ActorCritic(env.spec, config, torch_generator(seeds["init"])).to(env.device)
    if start is not None and resume is None:
        warm_start(network, config, env.spec, start)
    if config.compile:
        compile_trunks(network)
    optimizer = torch.optim.AdamW(
        network.parameters(), config.learning_rate, eps=config.adam_eps, weight_decay=config.weight_decay, fused=True
    )
    games = Games(config, env, seeds, opponents, reward)
    window = Window(env.spec, config.window)
    if resume is not None:
        load_learner(resume, network, {"optimizer": optimizer}, games)
        window.load(unpack("memory", resume.tensors))
    symmetries = Symmetries(env.spec) if config.mirrored else None
    done = False
    while not done:
        progress = games.step / total_steps
        lessons, charts = collect(games, network, search)
        window.add(lessons)
        network.take_in(lessons.observation.to(env.device))
        charts |= update(config, network, optimizer, window, len(lessons.value), progress, games.generator, symmetries)
        charts |= games.finish_rollout()
        done = games.step >= total_steps or should_stop()
        if done or games.checkpoint_due(checkpoint_steps):
            state = pack_learner(network, {"optimizer": optimizer}, games)
            state.tensors.update(pack("memory", window.tensors()))
            yield Metrics(games.step, charts, freeze("az", config, network), state)
        else:
            yield Metrics(games.step, charts)


@torch.no_grad()
def collect(games: Games, network: ActorCritic, search: GumbelSearch) -> tuple[Lessons, dict[str, float]]:
    """Play `config.num_steps` moves of every game, the learner's found by search; what they teach, and a chart."""
    config, env, self_play, rollout = games.config, games.env, games.self_play, games.buffers
    assert isinstance(config, AZConfig)
    changed = searched = 0

    def evaluate(observation: Tensor) -> tuple[Tensor, Tensor]:
        logits, value = network(observation.to(env.device))
        return logits.cpu(), (value * network.reward_scale).clamp(-1, 1).cpu()

    games.begin_rollout(network)
    for t in range(config.num_steps):
        turn = games.turn
        observation, mask = turn.observation.flatten(0, 1), legal_actions(turn).flatten(0, 1)
        logits, value = evaluate(observation)
        learner = self_play.learner_decides(turn)
        output = logits.to(env.device).unsqueeze(1)
        self_play.overrule(output, turn, learner)
        if config.random_plies:
            opening = in_random_opening(env.seeds, games.tally.ply, config.random_plies).unsqueeze(1)
            output.masked_fill_(opening.unsqueeze(2), 0.0)
            learner &= ~opening
        action = sample(output, mask.unsqueeze(1), games.generator)
        noise = torch.empty_like(output).exponential_(generator=games.generator).log_().neg_()
        noise = noise.masked_fill_((games.tally.ply >= config.noise_plies).view(-1, 1, 1), 0.0).squeeze(1).cpu()
        rows = learner.squeeze(1).nonzero().squeeze(1)
        if len(rows):
            here = rows.cpu()
            seen, allowed = observation[rows].cpu(), mask[rows].cpu()
            found = search(evaluate, seen, allowed, logits[here], value[here], noise[here])
            action[rows, 0] = found.action.to(env.device)
            value[here] = found.value
            rollout.output[t, rows, 0] = found.policy.to(env.device)
            likeliest = logits[here].masked_fill(~allowed, -torch.inf).argmax(-1)
            changed += int((found.policy.argmax(-1) != likeliest).sum())
            searched += len(rows)
        rollout.observation[t], rollout.mask[t, :, 0] = turn.observation, mask
        rollout.value[t, :, 0], rollout.learner[t] = value.to(env.device), learner
        rollout.player[t] = turn.player
        step = env.step(action)
        rollout.rewards[t], rollout.terminated[t], rollout.truncated[t] = step.rewards, step.terminated, step.truncated
        if rollout.final_observation is not None:
            rollout.final_observation[t] = step.final.observation
        games.tally.count(step.rewards, step.terminated | step.truncated)
        games.turn = step.turn
    games.step += config.num_steps * env.num_envs

    reward = rollout.rewards.gather(2, rollout.player).squeeze(2).cpu()
    after = torch.cat([rollout.value[1:, :, 0].cpu(), evaluate(games.turn.observation.flatten(0, 1))[1].unsqueeze(0)])
    if rollout.final_observation is not None:
        cut = rollout.truncated.nonzero(as_tuple=True)
        after[cut] = evaluate(rollout.final_observation[cut].flatten(0, 1))[1]
    over = (rollout.terminated.cpu(), rollout.truncated.cpu())
    value = lambda_returns(reward, after, *over, config.gamma, config.gae_lambda)
    keep = rollout.learner.flatten().nonzero().squeeze(1)
    columns = (rollout.observation, rollout.mask, rollout.output, value.view_as(rollout.value))
    lessons = Lessons(*(column.flatten(0, 2)[keep].cpu() for column in columns))
    return lessons, {"charts/search_gain": changed / searched} if searched else {}


def lambda_returns(
    reward: Tensor, after: Tensor, terminated: Tensor, truncated: Tensor, gamma: float, lam: float
) -> Tensor:
    """What came of each position for the player to move, where two players move in turn and one wins what the other
    loses: with probability λ the next position's return counts, else its value.

    Args:
        reward: [T, N], of the one who moved.
        after: [T, N], value of the position after the move for the one who moves then (before any reset).
        terminated, truncated: [T, N] bool; the recursion ends at both, and a position cut off counts as its value.
    """
    assert reward.ndim == 2
    assert reward.shape == after.shape == terminated.shape == truncated.shape
    returns = torch.empty_like(reward)
    following = after[-1]
    for t in range(len(reward) - 1, -1, -1):
        mixed = torch.where(truncated[t], after[t], (1 - lam) * after[t] + lam * following)
        following = returns[t] = reward[t] - gamma * torch.where(terminated[t], 0.0, mixed)
    return returns


class Window:
    """The latest decisions, at most so many, on the CPU; the oldest make place for new ones."""

    def __init__(self, spec: GameSpec, size: int) -> None:
        assert spec.num_actions is not None
        self.rows = Lessons(
            torch.zeros(size, *spec.observation_shape, dtype=getattr(torch, spec.observation_dtype)),
            torch.zeros(size, spec.num_actions, dtype=torch.bool),
            torch.zeros(size, spec.num_actions),
            torch.zeros(size),
        )
        self.size, self.next, self.count = size, 0, 0

    def add(self, lessons: Lessons) -> None:
        """Take in these decisions."""
        lessons = Lessons(*(column[-self.size :] for column in lessons))
        place = (self.next + torch.arange(len(lessons.value))) % self.size
        for kept, column in zip(self.rows, lessons, strict=True):
            kept[place] = column
        self.next = (self.next + len(place)) % self.size
        self.count = min(self.size, self.count + len(place))

    def draw(self, count: int, generator: torch.Generator) -> Lessons:
        """So many decisions, each as likely as any other."""
        index = torch.randint(self.count, (count,), generator=generator, device=generator.device).cpu()
        return Lessons(*(column[index] for column in self.rows))

    def tensors(self) -> dict[str, Tensor]:
        """What is kept, oldest first, for `load`."""
        order = (torch.arange(self.count) + (self.next if self.count == self.size else 0)) % self.size
        return {name: column[order] for name, column in self.rows._asdict().items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from `tensors`; none: they are lost, and it fills anew."""
        if tensors:
            self.add(Lessons(**tensors))


def update(
    config: AZConfig,
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    window: Window,
    new: int,
    progress: float,
    generator: torch.Generator,
    symmetries: Symmetries | None,
) -> dict[str, float]:
    """As many gradient steps as `new` decisions call for, on decisions of the window; the means of the losses."""
    rate = config.learning_rate * (1 - progress if config.anneal_learning_rate else 1)
    entropy_coef = linear(config.entropy_coef, config.final_entropy_coef, progress)
    for group in optimizer.param_groups:
        group["lr"] = rate
    device = next(network.parameters()).device
    seen: list[Tensor] = []
    for _ in range(round(max(1.0, config.passes * new / config.batch_size)) if new else 0):
        lessons = window.draw(config.batch_size, generator)
        if symmetries is not None:
            which = torch.randint(symmetries.count, (config.batch_size,), generator=generator, device=device).cpu()
            observation, mask, policy = symmetries.apply(which, *lessons[:3])
            lessons = Lessons(observation, mask, policy, lessons.value)
        loss, parts = az_loss(config, network, Lessons(*(column.to(device) for column in lessons)), entropy_coef)
        descend(optimizer, loss, config.max_grad_norm)
        seen.append(parts)
    charts = {"charts/learning_rate": rate}
    if seen:
        means = torch.stack(seen).mean(0).tolist()
        charts |= zip(("losses/policy_loss", "losses/value_loss", "losses/entropy"), means, strict=True)
    return charts


def az_loss(config: AZConfig, network: ActorCritic, batch: Lessons, entropy_coef: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy to the search + value_coef × value loss − entropy_coef × entropy; the three [3], no gradient."""
    logits, values = network(batch.observation)
    log_policy = losses.masked_log_softmax(logits, batch.mask)
    cross_entropy = -(batch.policy * log_policy).sum(-1).mean()
    value_loss = losses.value_loss(values, batch.value / config.reward_scale)
    entropy = losses.entropy(log_policy).mean()
    loss = cross_entropy + config.value_coef * value_loss - entropy_coef * entropy
    return loss, torch.stack([cross_entropy, value_loss, entropy]).detach()
