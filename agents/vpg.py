"""Vanilla policy gradient (Williams 1992, "Simple statistical gradient-following algorithms for connectionist
reinforcement learning"; Sutton et al. 2000, "Policy gradient methods … with function approximation").

`train` alternates two verbs: `collect_rollout` plays T steps of N games, `update` takes one step along
∇ log π × (rewards to go − value) over the whole rollout and then fits the value to the rewards to go. Games that the
rollout's end cuts go on with the learnt value; λ < 1 makes the advantages generalised ones (Schulman et al. 2016).

`baseline=false` is bare REINFORCE: rewards to go alone, of games that ended within the rollout. (Unfinished ones have
no return; leaving them out favours short games a little, the less the longer `num_steps` is.)

Deviations: Adam in place of plain ascent; an entropy bonus; advantages are normalised over the rollout unless told
otherwise; orthogonal initialisation; the learning rate falls linearly over the run; self-play as in `agents/ppo.py`.

Metrics are those of `agents/ppo.py` (approx_kl: from before to after the step), without clipfrac.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from agents import losses
from agents.configs import VPGConfig
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
    config: VPGConfig,
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
    policy, value = network.policy_parameters(), network.value_parameters()
    optimizers = {
        "policy": torch.optim.Adam(policy, config.learning_rate, eps=config.adam_eps, fused=True),
        "value": torch.optim.Adam(value, config.value_learning_rate, eps=config.adam_eps, fused=True),
    }
    games = Games(config, env, seeds, opponents, reward)
    if resume is not None:
        load_learner(resume, network, optimizers, games)
    done = False
    while not done:
        progress = games.step / total_steps
        rollout = collect_rollout(games, network)
        samples = advantages(games, network, rollout, bootstrap=config.baseline)
        figures = update(config, network, optimizers, samples, progress, games.generator)
        network.take_in(samples.observation)
        charts = games.finish_rollout(figures)
        done = games.step >= total_steps or should_stop()
        if done or games.checkpoint_due(checkpoint_steps):
            state = pack_learner(network, optimizers, games)
            yield Metrics(games.step, charts, freeze("vpg", config, network), state)
        else:
            yield Metrics(games.step, charts)


def update(
    config: VPGConfig,
    network: ActorCritic,
    optimizers: Mapping[str, torch.optim.Optimizer],
    samples: Samples,
    progress: float,
    generator: torch.Generator,
) -> dict[str, Tensor | float]:
    """One step of the policy over all samples, then `value_steps` of the value; returns the `losses/…`, on the samples'
    device."""
    rate = config.learning_rate * (1 - progress if config.anneal_learning_rate else 1)
    entropy_coef = linear(config.entropy_coef, config.final_entropy_coef, progress)
    for group in optimizers["policy"].param_groups:
        group["lr"] = rate
    if samples.action.shape[0] == 0:
        return {}
    loss, policy_loss, entropy = vpg_loss(config, network, samples, entropy_coef)
    descend(optimizers["policy"], loss, config.max_grad_norm)
    value_losses = _fit_value(config, network, optimizers["value"], samples, generator) if config.baseline else []
    with torch.no_grad():
        output = network.policy(samples.observation)
        log_ratio = log_prob_and_entropy(output, samples.mask, samples.action)[0] - samples.log_prob
        figures: dict[str, Tensor | float] = {
            "losses/policy_loss": policy_loss,
            "losses/entropy": entropy,
            "losses/approx_kl": losses.approx_kl(log_ratio),
        }
        if value_losses:
            figures["losses/value_loss"] = torch.stack(value_losses).mean()
            figures["losses/explained_variance"] = losses.explained_variance(samples.value, samples.returns)
    return figures | {"charts/learning_rate": rate}


def vpg_loss(
    config: VPGConfig, network: ActorCritic, samples: Samples, entropy_coef: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Policy loss − entropy_coef × entropy; then the policy loss and the entropy alone, without gradient."""
    log_prob, entropies = log_prob_and_entropy(network.policy(samples.observation), samples.mask, samples.action)
    advantage = losses.normalise(samples.advantage) if config.normalise_advantages else samples.advantage
    policy_loss = losses.policy_gradient_loss(log_prob, advantage)
    entropy = entropies.mean()
    return policy_loss - entropy_coef * entropy, policy_loss.detach(), entropy.detach()


def _fit_value(
    config: VPGConfig,
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    samples: Samples,
    generator: torch.Generator,
) -> list[Tensor]:
    """`value_steps` gradient steps on shuffled parts of the samples; returns their losses."""
    size = samples.action.shape[0]
    seen: list[Tensor] = []
    while len(seen) < config.value_steps:
        shuffled = torch.randperm(size, generator=generator, device=samples.action.device)
        for index in shuffled.tensor_split(min(config.value_minibatches, size))[: config.value_steps - len(seen)]:
            loss = losses.value_loss(network.value(rows(samples.observation, index)), samples.returns[index])
            descend(optimizer, loss, config.max_grad_norm)
            seen.append(loss.detach())
    return seen
