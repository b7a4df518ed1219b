"""Behaviour cloning: a policy learns to choose what was chosen in recorded games.

Pomerleau 1991, "Efficient training of artificial neural networks for autonomous navigation"; AlphaGo's first networks
(Silver et al. 2016) learnt so. The loss is the cross-entropy of the recorded actions under the mask of legal ones, and
the squared error of a value that predicts what came of the game, so that a search can stand on the policy. A tenth of
the games is held out and only measured on. Boards may be learnt from in all their symmetries (`mirrored`).

A step is one recorded decision that is learnt from. Metrics, one report every `REPORT_BATCHES` minibatches:
    charts/accuracy                  share of held-out decisions whose action is the policy's likeliest
    charts/epoch                     passes over the lessons so far
    charts/SPS                       decisions per second
    charts/learning_rate
    losses/cross_entropy             nats, mean since the last report
    losses/value_loss                the same of the squared error
    losses/held_out_cross_entropy    nats
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from agents import losses
from agents.configs import BCConfig
from agents.descent import descend
from agents.metrics import Metrics, TrainingState
from agents.networks import ActorCritic, freeze, load_weights
from agents.resume import named_seeds, pack, pack_generator, pack_optimizer, torch_generator, unpack, unpack_optimizer
from agents.search import searchable
from agents.symmetries import Symmetries
from agents.warm_start import Start, warm_start
from envs.errors import UsageError
from envs.protocol import VecEnv

REPORT_BATCHES = 50
MEASURED = 4096
"""Held-out decisions that a report measures on."""


class Lessons(NamedTuple):
    """B recorded decisions: observation [B, *obs], legal actions [B, A] bool, action [B], what came of it for the one
    who decided [B] float32, and whether they are only measured on [B] bool."""

    observation: Tensor
    mask: Tensor
    action: Tensor
    value: Tensor
    held_out: Tensor


def train(
    config: BCConfig,
    env: VecEnv,
    *,
    seed: int,
    total_steps: int,
    lessons: Lessons | None = None,
    opponents: object = None,
    resume: TrainingState | None = None,
    checkpoint_steps: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
    reward: object = None,
    start: Start | None = None,
) -> Iterator[Metrics]:
    """Learn from `lessons` until `total_steps`; `env` says what the game is and is not played, so that `opponents` and
    `reward` mean nothing. Raises UsageError where there is nothing to learn from, or no board to turn."""
    learnt = None if lessons is None else (~lessons.held_out).nonzero().squeeze(1)
    if lessons is None or learnt is None or not len(learnt):
        raise UsageError("behaviour cloning needs recorded games to learn from: --from FILE or --from episodes")
    seeds = named_seeds(seed)
    network = ActorCritic(env.spec, config, torch_generator(seeds["init"])).to(env.device)
    if start is not None and resume is None:
        warm_start(network, config, env.spec, start)
    optimizer = torch.optim.Adam(
        network.parameters(), config.learning_rate, eps=config.adam_eps, weight_decay=config.weight_decay, fused=True
    )
    generator = torch_generator(seeds["policy"])
    symmetries = None
    if config.mirrored:
        searchable(env.spec)
        symmetries = Symmetries(env.spec)
    order, position, step = torch.empty(0, dtype=torch.int64), 0, 0
    if resume is not None:
        load_weights(network, unpack("network", resume.tensors), env.spec.game)
        unpack_optimizer("optimizer", optimizer, resume.tensors)
        generator.set_state(resume.tensors["generator"])
        order = resume.tensors["order"]
        position, step = int(resume.meta["position"]), int(resume.meta["step"])
    done = False
    while not done:
        begin, before = time.monotonic(), step
        parts = []
        for _ in range(REPORT_BATCHES):
            if position >= len(order):
                order, position = learnt[torch.randperm(len(learnt), generator=generator)], 0
            index = order[position : position + config.batch_size]
            position += len(index)
            rate = config.learning_rate * (1 - step / total_steps if config.anneal_learning_rate else 1)
            step += len(index)
            batch = Lessons(*(part.index_select(0, index) for part in lessons))
            if symmetries is not None:
                batch = _turned(symmetries, batch, generator)
            parts.append(update(config, network, optimizer, batch, max(rate, 0.0)))
            if step >= total_steps or should_stop():
                break
        values = _report(network, lessons, torch.stack(parts).mean(0), env.device)
        values |= {
            "charts/epoch": step / len(learnt),
            "charts/SPS": (step - before) / max(time.monotonic() - begin, 1e-9),
            "charts/learning_rate": optimizer.param_groups[0]["lr"],
        }
        done = step >= total_steps or should_stop()
        if done or (checkpoint_steps and step // checkpoint_steps > before // checkpoint_steps):
            tensors = pack("network", network.state_dict()) | pack_optimizer("optimizer", optimizer)
            tensors |= {"generator": pack_generator(generator), "order": order.clone()}
            state = TrainingState(tensors, {"position": position, "step": step})
            yield Metrics(step, values, freeze("bc", config, network), state)
        else:
            yield Metrics(step, values)


def update(
    config: BCConfig,
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    batch: Lessons,
    rate: float,
) -> Tensor:
    """One gradient step; [2] cross-entropy and value loss, without gradient."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    device = next(network.parameters()).device
    observation, mask, action, value, _ = (part.to(device) for part in batch)
    network.take_in(observation)
    output, predicted = network(observation)
    cross_entropy = -losses.log_prob(losses.masked_log_softmax(output, mask), action).mean()
    value_loss = losses.value_loss(predicted, value)
    descend(optimizer, cross_entropy + config.value_coef * value_loss, config.max_grad_norm)
    return torch.stack([cross_entropy.detach(), value_loss.detach()]).cpu()


def _turned(symmetries: Symmetries, batch: Lessons, generator: torch.Generator) -> Lessons:
    """The lessons, each in a random turn or mirror image."""
    which = torch.randint(symmetries.count, (len(batch.action),), generator=generator)
    chosen = one_hot(batch.action, batch.mask.shape[1])
    observation, mask, chosen = symmetries.apply(which, batch.observation, batch.mask, chosen)
    return batch._replace(observation=observation, mask=mask, action=chosen.argmax(-1))


@torch.no_grad()
def _report(network: ActorCritic, lessons: Lessons, means: Tensor, device: Any) -> dict[str, float]:
    values = {"losses/cross_entropy": float(means[0]), "losses/value_loss": float(means[1])}
    index = lessons.held_out.nonzero().squeeze(1)[:MEASURED]
    if len(index):
        observation, mask, action = (part[index].to(device) for part in lessons[:3])
        chances = losses.masked_log_softmax(network.policy(observation), mask)
        values["losses/held_out_cross_entropy"] = float(-losses.log_prob(chances, action).mean())
        values["charts/accuracy"] = float((chances.argmax(-1) == action).float().mean())
    return values
