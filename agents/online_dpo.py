"""Online direct preference optimisation: the policy's own completions, compared by a reward model.

Guo et al. 2024, "Direct language model alignment from online AI feedback", arXiv 2402.04792: the loss of
`agents/dpo.py` on pairs that the policy has just written, so that it learns about what it writes now and not about what
the reference once wrote. The judge is a reward model, and its Bradley–Terry probability σ(r₁ − r₂) is the soft label
(Fisch et al. 2024, "Robust preference optimization through reward model distillation", arXiv 2405.19316). A few hundred
labels that are too few to write by are enough to judge by.

A round samples two completions of each of some prompts and takes a few passes over them; the reference stays the same.
A completion that does not end by itself is judged lower by a fixed penalty.

Metrics, one report per round: those of `agents/dpo.py` (losses/preference, charts/accuracy, charts/margin,
charts/learning_rate), and of the round's completions charts/reward, charts/kl (nats to the reference), charts/length,
charts/ended, charts/SPS. A step is a completion.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agents.decoder import Decoder
from agents.descent import descend
from agents.dpo import completion_log_probs, diagnostics
from agents.feedback_configs import OnlineDPOConfig
from agents.losses import preference_loss
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
from agents.rlhf import Reward
from agents.schedules import linear
from agents.scoring import Scorer, load_model_state, model_state
from agents.sequences import Sequences
from agents.transformer import TextModel


@dataclass
class Learner:
    """What is learnt and what it is held to. `step`: completions so far."""

    config: OnlineDPOConfig
    policy: TextModel
    scorer: Scorer
    reference: Scorer
    optimizer: torch.optim.Optimizer
    decoder: Decoder
    generator: torch.Generator
    rng: np.random.Generator
    step: int = 0
    done: bool = False


@dataclass(frozen=True)
class Round:
    """N pairs of completions: rows i and N + i of `sequences` answer the same prompt.

    Attributes:
        reference_log_prob: [2N] of whole completions. kl: [2N], log π − log π_ref of them.
        reward: [2N], in log-odds, penalties not included. ended: [2N] bool.
        target: [N], the probability that the first is preferred.
    """

    sequences: Sequences
    reference_log_prob: Tensor
    kl: Tensor
    reward: Tensor
    ended: Tensor
    target: Tensor


def train(
    config: OnlineDPOConfig,
    policy: TextModel,
    reference: TextModel,
    prompts: Sequence[Sequence[int]],
    reward: Reward,
    *,
    seed: int,
    total_steps: int,
    resume: TrainingState | None = None,
    checkpoint_steps: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Metrics]:
    """Train `policy` in place on completions of `prompts` (token ids) until `total_steps` of them.

    `reward` is in log-odds: a reward model's without its normalisation. Stops before the update that a round over
    `kl_budget` would have led to. The last report carries a state, and so does one whenever a multiple of
    `checkpoint_steps` is crossed.
    """
    learner = new_learner(config, policy, reference, seed)
    if resume is not None:
        load(resume, learner)
    while not learner.done:
        started, before = time.perf_counter(), learner.step
        found = collect(learner, prompts, reward)
        charts = {
            "charts/reward": float(found.reward.mean()),
            "charts/kl": float(found.kl.mean()),
            "charts/length": float(found.sequences.lengths.float().mean()),
            "charts/ended": float(found.ended.float().mean()),
        }
        over_budget = 0 < config.kl_budget <= charts["charts/kl"]
        if not over_budget:
            charts |= update(learner, found, linear(1.0, 0.0, learner.step / total_steps))
            learner.step += found.sequences.size
        charts["charts/SPS"] = found.sequences.size / (time.perf_counter() - started)
        learner.done = over_budget or learner.step >= total_steps
        stopping = learner.done or should_stop()
        crossed = checkpoint_steps > 0 and before // checkpoint_steps != learner.step // checkpoint_steps
        yield Metrics(learner.step, charts, state=state(learner) if stopping or crossed else None)
        if stopping:
            return


def new_learner(config: OnlineDPOConfig, policy: TextModel, reference: TextModel, seed: int) -> Learner:
    """A learner at its first step; the policy is trained in place from what it is."""
    seeds = named_seeds(seed)
    scorer = Scorer(policy)
    return Learner(
        config=config,
        policy=policy,
        scorer=scorer,
        reference=Scorer(reference),
        optimizer=torch.optim.AdamW(scorer.trained_parameters(), config.learning_rate, weight_decay=0.0, fused=True),
        decoder=Decoder(policy),
        generator=torch_generator(seeds["policy"], policy.device),
        rng=np.random.default_rng(seeds["games"]),
    )


@torch.no_grad()
def collect(learner: Learner, prompts: Sequence[Sequence[int]], reward: Reward) -> Round:
    """Two completions of each of `pairs_per_round` prompts, judged."""
    config = learner.config
    count = config.pairs_per_round
    chosen = learner.rng.choice(len(prompts), count, replace=count > len(prompts))
    learner.decoder.refresh()
    sample = learner.decoder.sample(
        [prompts[index] for index in [*chosen, *chosen]], config.max_new_tokens, generator=learner.generator
    )
    sequences = Sequences(sample.prompt_tokens, sample.prompt_mask, sample.tokens, sample.mask)
    ended = sequences.ended(learner.policy.tokenizer.eos_token_id)
    judged = reward(sequences).float()
    felt = judged - config.end_penalty * (~ended)
    reference = completion_log_probs(learner.reference, sequences)
    return Round(
        sequences=sequences,
        reference_log_prob=reference,
        kl=(sample.log_probs.float() * sample.mask).sum(1) - reference,
        reward=judged,
        ended=ended,
        target=torch.sigmoid(felt[:count] - felt[count:]),
    )


def update(learner: Learner, found: Round, share: float) -> dict[str, float]:
    """Several passes of DPO's loss over a round's pairs, at this share of the learning rate."""
    config = learner.config
    for group in learner.optimizer.param_groups:
        group["lr"] = config.learning_rate * share
    count = len(found.target)
    seen: list[Tensor] = []
    for _ in range(config.num_epochs):
        shuffled = torch.randperm(count, generator=learner.generator, device=found.target.device)
        for index in shuffled.split(config.batch_size):
            rows = torch.cat([index, index + count])
            log_prob = learner.scorer.log_probs(found.sequences.select(rows), 1.0).sum(1)
            first, second = (log_prob - found.reference_log_prob[rows]).chunk(2)
            difference, target = config.beta * (first - second), found.target[index]
            loss = preference_loss(difference, target, torch.ones_like(target))
            descend(learner.optimizer, loss, config.max_grad_norm)
            seen.append(diagnostics(loss, difference, target))
    names = ("losses/preference", "charts/accuracy", "charts/margin")
    charts = dict(zip(names, torch.stack(seen).nanmean(0).tolist(), strict=True))
    return charts | {"charts/learning_rate": config.learning_rate * share}


def state(learner: Learner) -> TrainingState:
    """Everything that the next round depends on."""
    tensors = pack("policy", model_state(learner.policy)) | pack_optimizer("optimizer", learner.optimizer)
    tensors["generator"] = pack_generator(learner.generator)
    return TrainingState(tensors, {"step": learner.step, "done": learner.done, "rng": pack_rng(learner.rng)})


def load(saved: TrainingState, learner: Learner) -> None:
    """Put a fresh learner back to `state`."""
    load_model_state(learner.policy, unpack("policy", saved.tensors))
    unpack_optimizer("optimizer", learner.optimizer, saved.tensors)
    learner.generator.set_state(saved.tensors["generator"])
    learner.rng = unpack_rng(saved.meta["rng"])
    learner.step, learner.done = saved.meta["step"], saved.meta["done"]
