"""Proximal policy optimisation on text, against a reward and a frozen reference (RLHF).

Ziegler et al. 2019, "Fine-tuning language models from human preferences", arXiv 1909.08593; Ouyang et al. 2022, arXiv
2203.02155; Huang et al. 2024, "The N implementation details of RLHF with PPO". An episode is one prompt, an action one
token (`envs/text.py` is the game). `train` alternates a rollout phase (`collect_rollout`: the decoder samples a batch
of completions and hands over their log-probabilities and values) and a learning phase (`update`). Losses and
advantages are those of the games (`agents/losses.py`, `agents/returns.py`).

The reward of a token is −c (log π − log π_ref), and of the last one the completion's reward on top, less a fixed
penalty if it does not end by itself. Sampling and scoring use one temperature, and no dropout. The value is linear in
the last layer norm's output and begins at zero.

Where the reference is a model made sharper (`reference_temperature`, applied by `agents/scoring.sharpen` before it
comes here), the penalty pulls towards what that model finds likeliest, and the optimum is π_ref^(1/τ) exp(r / c) up to
a factor. Huang et al. 2024, "Self-improvement in language models: the sharpening mechanism", arXiv 2412.01951.

Deviations: gradients are clipped by norm; advantages are whitened per rollout, not per minibatch; rewards may be
whitened without moving their mean; trunk and value head have learning rates of their own.

Metrics, one report per rollout:
    charts/reward              of the completions, by the reward function, before penalties
    charts/kl                  nats per completion: mean of Σ (log π − log π_ref) over its tokens
    charts/kl_coef             the penalty's weight
    charts/length              tokens per completion, EOS included
    charts/ended               share of completions that end by themselves
    charts/SPS                 completions per second
    charts/learning_rate
    losses/policy_loss, losses/value_loss, losses/entropy (nats per token), losses/approx_kl, losses/clipfrac,
    losses/explained_variance
A step is a completion.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents import losses, returns
from agents.decoder import Decoder
from agents.descent import descend
from agents.feedback_configs import RLHFConfig
from agents.metrics import Metrics, TrainingState
from agents.resume import (
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
from agents.scoring import Scorer, load_model_state, model_state, shared_columns
from agents.sequences import Sequences
from agents.transformer import TextModel

Reward = Callable[[Sequences], Tensor]
"""Completions → reward [B], one each."""
SCORING_BATCH = 64
"""Completions that the reference looks at at a time."""


class TextRollout(NamedTuple):
    """Completions with what the learning phase needs. B completions, T tokens; 0 beyond a completion's end.

    Attributes:
        sequences: prompts and completions.
        log_prob, reference_log_prob, value: [B, T].
        reward: [B], by the reward function.
        ended: [B] bool.
        trunk: [B, P + T − 1, d], what the frozen layers made of them; None where nothing is frozen.
    """

    sequences: Sequences
    log_prob: Tensor
    reference_log_prob: Tensor
    value: Tensor
    reward: Tensor
    ended: Tensor
    trunk: Tensor | None

    @property
    def kl(self) -> Tensor:
        """[B]: nats of each completion, estimated from its own tokens."""
        return (self.log_prob - self.reference_log_prob).sum(1)


@dataclass
class Learner:
    """What is learnt and what it is learnt against.

    Attributes:
        step: completions so far. kl_coef: the KL penalty's weight now.
        done: nothing is left to do: all completions are made, or the KL budget is spent.
    """

    config: RLHFConfig
    policy: TextModel
    scorer: Scorer
    reference: Scorer
    value_head: torch.nn.Linear
    optimizer: torch.optim.Optimizer
    decoder: Decoder
    generator: torch.Generator
    rng: np.random.Generator
    kl_coef: float
    step: int = 0
    done: bool = False


def train(
    config: RLHFConfig,
    policy: TextModel,
    reference: TextModel,
    prompts: Sequence[Sequence[int]],
    reward: Reward,
    *,
    seed: int,
    total_steps: int,
    resume: TrainingState | None = None,
    checkpoint_steps: int = 0,
    observe: Callable[[Sequences], dict[str, float]] = lambda sequences: {},
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Metrics]:
    """Train `policy` in place on completions of `prompts` (token ids) until `total_steps` of them.

    Stops before the update that a rollout over `kl_budget` would have led to. The last report carries a state, and so
    does one whenever a multiple of `checkpoint_steps` is crossed. What `observe` says of each rollout is reported too.
    """
    learner = new_learner(config, policy, reference, seed)
    if resume is not None:
        load(resume, learner)
    while not learner.done:
        started = time.perf_counter()
        before = learner.step
        rollout = collect_rollout(learner, prompts, reward)
        charts = rollout_charts(rollout) | {"charts/kl_coef": learner.kl_coef} | observe(rollout.sequences)
        over_budget = 0 < config.kl_budget <= charts["charts/kl"]
        if not over_budget:
            charts |= update(learner, rollout, learner.step / total_steps)
            learner.step += rollout.sequences.size
            if config.adaptive_kl:
                learner.kl_coef = adapted_kl_coef(config, learner.kl_coef, charts["charts/kl"], rollout.sequences.size)
        charts["charts/SPS"] = rollout.sequences.size / (time.perf_counter() - started)
        learner.done = over_budget or learner.step >= total_steps
        stopping = learner.done or should_stop()
        crossed = checkpoint_steps > 0 and before // checkpoint_steps != learner.step // checkpoint_steps
        yield Metrics(learner.step, charts, state=state(learner) if stopping or crossed else None)
        if stopping:
            return


def new_learner(config: RLHFConfig, policy: TextModel, reference: TextModel, seed: int) -> Learner:
    """A learner at its first step; the policy is trained in place from what it is."""
    seeds = named_seeds(seed)
    value_head = torch.nn.Linear(policy.d_model, 1).to(policy.device)
    torch.nn.init.zeros_(value_head.weight)
    torch.nn.init.zeros_(value_head.bias)
    scorer = Scorer(policy, config.frozen_layers, config.bfloat16)
    groups = [
        {"params": scorer.trained_parameters(), "lr": config.learning_rate},
        {"params": list(value_head.parameters()), "lr": config.value_learning_rate},
    ]
    return Learner(
        config=config,
        policy=policy,
        scorer=scorer,
        reference=Scorer(reference, config.frozen_layers, config.bfloat16),
        value_head=value_head,
        optimizer=torch.optim.Adam(groups, eps=config.adam_eps, fused=True),
        decoder=Decoder(policy, torch.bfloat16 if scorer.bfloat16 else torch.float32),
        generator=torch_generator(seeds["policy"], policy.device),
        rng=np.random.default_rng(seeds["games"]),
        kl_coef=config.kl_coef,
    )


@torch.no_grad()
def collect_rollout(learner: Learner, prompts: Sequence[Sequence[int]], reward: Reward) -> TextRollout:
    """The rollout phase: `rollout_size` completions, their rewards, and what the reference thinks of their tokens."""
    config = learner.config
    size = config.rollout_size
    chosen = learner.rng.choice(len(prompts), size, replace=size > len(prompts))
    learner.decoder.refresh()
    sample = learner.decoder.sample(
        [prompts[index] for index in chosen],
        config.max_new_tokens,
        temperature=config.temperature,
        generator=learner.generator,
        value_head=lambda hidden: learner.value_head(hidden.float()).squeeze(-1),
    )
    assert sample.values is not None
    sequences = Sequences(sample.prompt_tokens, sample.prompt_mask, sample.tokens, sample.mask)
    trunk = learner.scorer.trunk(sequences)
    # In parts: a whole rollout's hidden states are more than the processor's caches hold.
    parts = [
        learner.reference.log_probs(_rows(sequences, part), config.temperature, None if trunk is None else trunk[part])
        for part in (slice(start, start + SCORING_BATCH) for start in range(0, size, SCORING_BATCH))
    ]
    outside = ~sequences.mask
    return TextRollout(
        sequences=sequences,
        log_prob=sample.log_probs.float().masked_fill(outside, 0.0),
        reference_log_prob=torch.cat(parts),
        value=sample.values.float().masked_fill(outside, 0.0),
        reward=reward(sequences).float(),
        ended=sequences.ended(learner.policy.tokenizer.eos_token_id),
        trunk=trunk,
    )


def _rows(sequences: Sequences, part: slice) -> Sequences:
    """Some rows, with all columns."""
    return Sequences(sequences.prompt[part], sequences.prompt_mask[part], sequences.tokens[part], sequences.mask[part])


def rollout_charts(rollout: TextRollout) -> dict[str, float]:
    """What a rollout says about the policy that made it."""
    return {
        "charts/reward": float(rollout.reward.mean()),
        "charts/kl": float(rollout.kl.mean()),
        "charts/length": float(rollout.sequences.lengths.float().mean()),
        "charts/ended": float(rollout.ended.float().mean()),
    }


def token_rewards(log_prob: Tensor, reference_log_prob: Tensor, reward: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """−c (log π − log π_ref) per token, and the completion's reward on its last one: [B, T]; 0 outside the mask.

    Args:
        log_prob, reference_log_prob, mask: [B, T]; reward: [B], penalties included.
    """
    assert log_prob.shape == reference_log_prob.shape == mask.shape
    assert reward.shape == mask.shape[:1]
    rewards = -kl_coef * (log_prob - reference_log_prob) * mask
    last = (mask.sum(1) - 1).clamp(min=0).unsqueeze(1)
    return rewards.scatter_add(1, last, reward.unsqueeze(1))


def token_advantages(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Tensor:
    """Generalised advantage estimates [B, T] of completions [B, T], which terminate at their last token."""
    terminated = torch.zeros_like(mask).scatter(1, (mask.sum(1) - 1).clamp(min=0).unsqueeze(1), True)
    never, zero = torch.zeros_like(terminated), torch.zeros_like(values)
    advantages = returns.gae(
        rewards.T, values.T, terminated.T, never.T, zero.T, torch.zeros_like(values[:, 0]), gamma, lam
    )
    return advantages.T * mask


def update(learner: Learner, rollout: TextRollout, progress: float) -> dict[str, float]:
    """The learning phase: several passes over the rollout in shuffled minibatches of completions; the `losses/…`."""
    config, mask = learner.config, rollout.sequences.mask
    share = linear(1.0, 0.0, progress) if config.anneal_learning_rate else 1.0
    for group, rate in zip(
        learner.optimizer.param_groups, (config.learning_rate, config.value_learning_rate), strict=True
    ):
        group["lr"] = rate * share
    scores = rollout.reward - config.end_penalty * (~rollout.ended)
    rewards = token_rewards(rollout.log_prob, rollout.reference_log_prob, scores, mask, learner.kl_coef)
    if config.whiten_rewards:
        rewards = rewards / (rewards[mask].std() + 1e-8)
    advantage = token_advantages(rewards, rollout.value, mask, config.gamma, config.gae_lambda)
    target = advantage + rollout.value
    if config.whiten_advantages:
        advantage = torch.zeros_like(advantage).masked_scatter(mask, losses.normalise(advantage[mask]))
    seen: list[Tensor] = []
    size = rollout.sequences.size
    for _ in range(config.num_epochs):
        shuffled = torch.randperm(size, generator=learner.generator, device=mask.device)
        for index in shuffled.tensor_split(min(config.num_minibatches, size)):
            loss, parts = _loss(learner, rollout, index, advantage, target)
            descend(learner.optimizer, loss, config.max_grad_norm)
            seen.append(parts)
    names = ("policy_loss", "value_loss", "entropy", "approx_kl", "clipfrac")
    found = dict(zip((f"losses/{name}" for name in names), torch.stack(seen).mean(0).tolist(), strict=True))
    found["losses/explained_variance"] = float(losses.explained_variance(rollout.value[mask], target[mask]))
    found["charts/learning_rate"] = config.learning_rate * share
    return found


def _loss(
    learner: Learner, rollout: TextRollout, index: Tensor, advantage: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """PPO's loss over the tokens of some completions, and its parts [5] without gradient."""
    config = learner.config
    batch = rollout.sequences.select(index)
    width = batch.tokens.shape[1]

    def pick(x: Tensor) -> Tensor:
        return x[index, :width][batch.mask]

    trunk = None if rollout.trunk is None else shared_columns(rollout.trunk, rollout.sequences, index, batch)
    hidden = learner.scorer.hidden(batch, trunk)
    logits, taken = learner.scorer.logits(hidden, config.temperature), batch.tokens[batch.mask]
    if config.entropy_coef > 0:
        log_probabilities = torch.log_softmax(logits, -1)
        log_prob, entropies = losses.log_prob(log_probabilities, taken), losses.entropy(log_probabilities)
    else:
        log_prob, entropies = losses.log_prob_and_entropy(logits, taken)
    entropy = entropies.mean()
    value = learner.value_head(hidden).squeeze(-1)
    policy = losses.clipped_policy_loss(log_prob, pick(rollout.log_prob), pick(advantage), config.clip_range)
    if config.value_clip_range > 0:
        value_loss = losses.clipped_value_loss(value, pick(rollout.value), pick(target), config.value_clip_range)
    else:
        value_loss = losses.value_loss(value, pick(target))
    loss = policy.loss + config.value_coef * value_loss - config.entropy_coef * entropy
    parts = torch.stack([policy.loss, value_loss, entropy, policy.approx_kl, policy.clip_fraction]).detach()
    return loss, parts


def adapted_kl_coef(config: RLHFConfig, kl_coef: float, kl: float, completions: int) -> float:
    """The penalty's weight after `completions` with this mean KL (Ziegler et al. 2019, section 2.2)."""
    error = min(max(kl / config.kl_target - 1, -0.2), 0.2)
    return kl_coef * (1 + error * completions / config.kl_horizon)


def state(learner: Learner) -> TrainingState:
    """Everything that the next rollout and update depend on."""
    tensors = pack("policy", model_state(learner.policy)) | pack("value", learner.value_head.state_dict())
    tensors |= pack_optimizer("optimizer", learner.optimizer) | {"generator": pack_generator(learner.generator)}
    meta = {"step": learner.step, "kl_coef": learner.kl_coef, "done": learner.done, "rng": pack_rng(learner.rng)}
    return TrainingState(tensors, meta)


def load(saved: TrainingState, learner: Learner) -> None:
    """Put a fresh learner back to `state`."""
    load_model_state(learner.policy, unpack("policy", saved.tensors))
    learner.value_head.load_state_dict(unpack("value", saved.tensors))
    unpack_optimizer("optimizer", learner.optimizer, saved.tensors)
    learner.generator.set_state(saved.tensors["generator"])
    learner.step, learner.kl_coef = saved.meta["step"], saved.meta["kl_coef"]
    learner.done = saved.meta["done"]
    learner.rng = unpack_rng(saved.meta["rng"])
