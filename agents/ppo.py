"""Proximal policy optimisation (Schulman et al. 2017, "Proximal Policy Optimization Algorithms", arXiv 1707.06347).

`train` alternates two verbs: `collect_rollout` plays T steps of N games, `update` passes over them several times in
minibatches, with the clipped surrogate objective. Advantages are generalised, and per seat (`agents/returns.py`).

Deviations from the paper: advantages are normalised per minibatch; gradients are clipped by norm; orthogonal
initialisation; the learning rate and the entropy bonus change linearly over the run; in games of several players one
network learns all seats in self-play, each from its own decisions; rewards and observations may be normalised.

A2C (Mnih et al. 2016) is the special case `num_epochs=1, num_minibatches=1, normalise_advantages=false`: at its only
step the ratio is 1, so the gradient is the plain policy gradient's (Huang et al. 2022, "A2C is a special case of PPO").

Metrics, one report per update (means over the update; keys without a value in it are left out):
    charts/episodic_return     of the games that ended, without shaping; several seats of the learner: their mean
    charts/episodic_length     steps
    charts/SPS                 env steps per second of this update
    charts/learning_rate
    charts/score_vs_pool       self-play: win 1, draw ½, loss 0 against frozen policies
    charts/score_vs_random     self-play: the same against random moves
    losses/policy_loss, losses/value_loss, losses/entropy (nats), losses/approx_kl, losses/clipfrac,
    losses/explained_variance
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from agents import losses
from agents.configs import PPOConfig
from agents.descent import descend
from agents.distributions import log_prob_and_entropy
from agents.layout import rows
from agents.metrics import Metrics, TrainingState
from agents.networks import ActorCritic, compile_trunks, freeze
from agents.resume import named_seeds, torch_generator
from agents.rollout import Games, Samples, advantages, collect_rollout, load_learner, pack_learner
from agents.schedules import linear
from agents.selfplay import Opponents
from agents.shaping import Shaping
from agents.warm_start import Start, warm_start
from envs.protocol import VecEnv


def train(
    config: PPOConfig,
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
    seeds = named_seeds(seed)
    network = ActorCritic(env.spec, config, torch_generator(seeds["init"])).to(env.device)
    if start is not None and resume is None:
        warm_start(network, config, env.spec, start)
    if config.compile:
        compile_trunks(network)
    optimizer = torch.optim.Adam(network.parameters(), config.learning_rate, eps=config.adam_eps, fused=True)
    games = Games(config, env, seeds, opponents, reward)
    if resume is not None:
        load_learner(resume, network, {"optimizer": optimizer}, games)
    done = False
    while not done:
        progress = games.step / total_steps
        rollout = collect_rollout(games, network)
        samples = advantages(games, network, rollout)
        figures = update(config, network, optimizer, samples, progress, games.generator)
        network.take_in(samples.observation)
        charts = games.finish_rollout(figures)
        done = games.step >= total_steps or should_stop()
        if done or games.checkpoint_due(checkpoint_steps):
            state = pack_learner(network, {"optimizer": optimizer}, games)
            yield Metrics(games.step, charts, freeze("ppo", config, network), state)
        else:
            yield Metrics(games.step, charts)


def update(
    config: PPOConfig,
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    samples: Samples,
    progress: float,
    generator: torch.Generator,
) -> dict[str, Tensor | float]:
    """Several passes over the samples in shuffled minibatches; returns the `losses/…`, means over all minibatches, on
    the samples' device."""
    rate = config.learning_rate * (1 - progress if config.anneal_learning_rate else 1)
    entropy_coef = linear(config.entropy_coef, config.final_entropy_coef, progress)
    for group in optimizer.param_groups:
        group["lr"] = rate
    size = samples.action.shape[0]
    if size == 0:
        return {}
    seen: list[Tensor] = []
    for _ in range(config.num_epochs):
        order = torch.randperm(size, generator=generator, device=samples.action.device)
        parts_of_each = (rows(x, order).tensor_split(min(config.num_minibatches, size)) for x in samples)
        for batch in map(Samples, *parts_of_each):
            loss, parts = ppo_loss(config, network, batch, entropy_coef)
            descend(optimizer, loss, config.max_grad_norm)
            seen.append(parts)
    explained = losses.explained_variance(samples.value, samples.returns)
    policy_loss, value_loss, entropy, kl, clipped = torch.stack(seen).mean(0)
    return {
        "losses/policy_loss": policy_loss,
        "losses/value_loss": value_loss,
        "losses/entropy": entropy,
        "losses/approx_kl": kl,
        "losses/clipfrac": clipped,
        "losses/explained_variance": explained,
        "charts/learning_rate": rate,
    }


def ppo_loss(config: PPOConfig, network: ActorCritic, batch: Samples, entropy_coef: float) -> tuple[Tensor, Tensor]:
    """Policy loss + value_coef × value loss − entropy_coef × entropy, and its parts [5] without gradient."""
    output, values = network(batch.observation)
    log_prob, entropies = log_prob_and_entropy(output, batch.mask, batch.action)
    advantage = losses.normalise(batch.advantage) if config.normalise_advantages else batch.advantage
    policy = losses.clipped_policy_loss(log_prob, batch.log_prob, advantage, config.clip_range)
    if config.value_clip_range > 0:
        value_loss = losses.clipped_value_loss(values, batch.value, batch.returns, config.value_clip_range)
    else:
        value_loss = losses.value_loss(values, batch.returns)
    entropy = entropies.mean()
    loss = policy.loss + config.value_coef * value_loss
    if entropy_coef:
        loss = loss - entropy_coef * entropy
    parts = torch.stack([policy.loss, value_loss, entropy, policy.approx_kl, policy.clip_fraction]).detach()
    return loss, parts
