"""A reward model from pairwise preferences: a language model's trunk with scalar heads.

The heads are linear in the final layer norm's output: at the completion's last token, in its mean over all of them, or
in their mean and their sum. A small trunk has had little reason to gather at the end what it noticed on the way; the
mean tells what kind of tokens there are, the sum also how many.

Bradley and Terry 1952: the first of two completions is preferred with probability σ(r₁ − r₂). All pairs of a prompt
are in one batch, each completion scored once (Ouyang et al. 2022, "Training language models to follow instructions
with human feedback", arXiv 2203.02155). Labels are soft: a plain choice stands for `certainty`, "much better" for 1, a
tie or "both bad" for ½. Prompts, not pairs, are split into training and held-out ones.

The ensemble is K heads on one trunk, trained together; each weighs the training prompts differently (exponential
weights: the Bayesian bootstrap, Rubin 1981), so that where labels are few the heads disagree. The reward is their mean,
shifted and scaled so that completions of the reference have mean 0 and deviation 1.

What is kept at the end is the mean of the weights after each pass but the first (Izmailov et al. 2018, "Averaging
weights leads to wider optima and better generalization", arXiv 1803.05407): a few hundred noisy labels are soon learnt
by heart, and the mean forgets most of what the passes do not share.

Metrics: losses/preference, charts/accuracy (of this pass's batches, ties left out), charts/learning_rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agents.descent import descend
from agents.feedback_configs import RewardConfig
from agents.losses import preference_loss
from agents.metrics import Metrics, TrainingState
from agents.resume import named_seeds, pack, pack_generator, pack_optimizer, torch_generator, unpack, unpack_optimizer
from agents.scoring import load_model_state, model_state
from agents.sequences import Sequences
from agents.transformer import TextModel
from envs.errors import ArenaError

HEAD_TENSORS = {"weight", "bias", "shift", "scale"}
"""A stored reward model's heads: `weight` [K, d], or [K, 2 d] where they read mean and sum, `bias` [K], `shift` [1],
`scale` [1]; `mean` [1] says with 1 that they read the mean; where it is absent or 0, they read the last token."""

SUM_UNIT = 16
"""A sum is counted in so many tokens: then it is about as large as the mean."""


@dataclass(frozen=True)
class Comparison:
    """One judgement of two completions: how probably the first is preferred, and how much that counts.

    Attributes:
        prompt: its index; a, b: indices of two completions of it; all among those the caller numbers.
    """

    prompt: int
    a: int
    b: int
    target: float
    weight: float = 1.0


class RewardModel:
    """A trunk and K heads.

    Attributes:
        model: the trunk. `heads`: linear, d → K, or 2 d → K for mean and sum.
        shift, scale: what normalises the heads' mean.
        readout: "mean" over the completion's tokens, "mean+sum", or "last" of them.
    """

    def __init__(
        self, model: TextModel, heads: torch.nn.Linear, shift: float = 0.0, scale: float = 1.0, readout: str = "last"
    ) -> None:
        self.model, self.heads, self.shift, self.scale, self.readout = model, heads, shift, scale, readout

    @classmethod
    def fresh(cls, model: TextModel, members: int, generator: torch.Generator, readout: str = "last") -> RewardModel:
        """New heads on a trunk that is trained further in place: N(0, 1/(d+1)).

        0 for a sum: by chance weights, length alone would decide what a new model says.
        """
        size = model.d_model * (2 if readout == "mean+sum" else 1)
        heads = torch.nn.Linear(size, members)
        with torch.no_grad():
            heads.weight.normal_(0.0, 1 / math.sqrt(model.d_model + 1), generator=generator)
            heads.weight[:, model.d_model :] = 0
            heads.bias.zero_()
        return cls(model, heads.to(model.device), readout=readout)

    @classmethod
    def load(cls, model: TextModel, head: dict[str, Tensor]) -> RewardModel:
        """Put stored heads on their trunk. Raises ArenaError where they do not fit."""
        size = model.d_model
        weight = head.get("weight", torch.zeros(0))
        mean = "mean" in head and bool(head["mean"])
        known = {size: "mean", 2 * size: "mean+sum"} if mean else {size: "last"}
        if set(head) - {"mean"} != HEAD_TENSORS or weight.ndim != 2 or weight.shape[1] not in known:
            raise ArenaError("the reward model's heads do not fit its trunk")
        heads = torch.nn.Linear(weight.shape[1], weight.shape[0])
        heads.load_state_dict({"weight": weight, "bias": head["bias"]})
        readout = known[weight.shape[1]]
        return cls(model, heads.to(model.device), float(head["shift"]), float(head["scale"]), readout)

    def head(self) -> dict[str, Tensor]:
        """What `load` takes."""
        own = {"weight": self.heads.weight, "bias": self.heads.bias}
        own |= {"shift": torch.tensor([self.shift]), "scale": torch.tensor([self.scale])}
        own["mean"] = torch.tensor([float(self.readout != "last")])
        return {name: tensor.detach().cpu().clone() for name, tensor in own.items()}

    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self.model.parameters(), *self.heads.parameters()]

    def logits(self, sequences: Sequences) -> Tensor:
        """[B, K]: every head's raw score, with gradient."""
        hidden = self.model.hidden(sequences.all_tokens, sequences.attention_mask)
        last = hidden[torch.arange(sequences.size, device=hidden.device), sequences.last]
        if self.readout == "last":
            return self.heads(last)
        lengths = sequences.lengths.unsqueeze(1)
        own = hidden[:, sequences.prompt.shape[1] :] * sequences.mask.unsqueeze(2)
        mean = torch.where(lengths > 0, own.sum(1) / lengths.clamp(min=1), last)
        if self.readout == "mean":
            return self.heads(mean)
        return self.heads(torch.cat([mean, mean * (lengths / SUM_UNIT)], 1))

    def direction(self, length: int) -> Tensor:
        """[d]: the heads' mean, as one reading of the mean over a completion's `length` tokens (or of the last one)."""
        weight = self.heads.weight.mean(0)
        if self.readout != "mean+sum":
            return weight
        mean, total = weight.chunk(2)
        return mean + total * (length / SUM_UNIT)

    @torch.no_grad()
    def scores(self, sequences: Sequences, batch_size: int = 256) -> Tensor:
        """[B, K]: `logits` normalised, in batches of similar length."""
        order = (sequences.lengths + sequences.prompt_mask.sum(1)).argsort()
        found = torch.empty(sequences.size, self.heads.out_features, device=sequences.tokens.device)
        for index in order.split(batch_size):
            found[index] = self.logits(sequences.select(index))
        return (found - self.shift) / self.scale

    def reward(self, sequences: Sequences) -> Tensor:
        """[B]: the mean of the heads, normalised."""
        return self.scores(sequences).mean(1)

    def normalise(self, reference: Sequences) -> None:
        """Give the completions of the reference reward 0 on average, with deviation 1."""
        self.shift, self.scale = 0.0, 1.0
        rewards = self.reward(reference)
        self.shift, self.scale = float(rewards.mean()), max(float(rewards.std()), 1e-6)


def split_prompts(prompts: Sequence[int], share: float, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """(training, held-out) of different prompts: `share` of them held out, at least one where there are two or more."""
    different = sorted(set(prompts))
    shuffled = [different[index] for index in rng.permutation(len(different))]
    count = 0 if share == 0 or len(different) < 2 else max(1, round(share * len(different)))
    return sorted(shuffled[count:]), sorted(shuffled[:count])


def train(
    config: RewardConfig,
    rewarder: RewardModel,
    sequences: Sequences,
    comparisons: Sequence[Comparison],
    *,
    seed: int,
    first_step: int = 0,
    resume: TrainingState | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Metrics]:
    """Fit the reward model in place to comparisons of the completions in `sequences`; a report per pass.

    A step is a comparison seen, counted from `first_step`. Every report carries the state to resume from.
    """
    assert comparisons
    seeds = named_seeds(seed)
    generator = torch_generator(seeds["policy"])
    optimizer = torch.optim.AdamW(
        rewarder.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    prompts = sorted({comparison.prompt for comparison in comparisons})
    by_prompt = {prompt: [c for c in comparisons if c.prompt == prompt] for prompt in prompts}
    doubt = torch.ones(len(prompts), config.members)
    if config.members > 1:
        doubt.exponential_(generator=torch_generator(seeds["games"]))
    epoch = 0
    mean: dict[str, Tensor] = {}
    if resume is not None:
        load(resume, rewarder, optimizer, generator)
        epoch, mean = resume.meta["epoch"], unpack("mean", resume.tensors)
    batches = -(-len(prompts) // config.prompts_per_batch)
    while epoch < config.num_epochs:
        seen: list[Tensor] = []
        shuffled = torch.randperm(len(prompts), generator=generator)
        for number, chosen in enumerate(shuffled.split(config.prompts_per_batch)):
            progress = (epoch + number / batches) / config.num_epochs
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * (1 - progress)
            batch = [(c, doubt[index]) for index in chosen.tolist() for c in by_prompt[prompts[index]]]
            loss, accuracy = _loss(rewarder, sequences, [c for c, _ in batch], torch.stack([d for _, d in batch]))
            descend(optimizer, loss, config.max_grad_norm)
            seen.append(torch.stack([loss.detach(), accuracy]))
        epoch += 1
        if epoch > 1:
            for name, live in all_weights(rewarder).items():
                weight = live.cpu()
                mean[name] = weight.clone() if epoch == 2 else mean[name] + (weight - mean[name]) / (epoch - 1)
        if epoch == config.num_epochs and mean:
            put_weights(rewarder, mean)
        mean_loss, mean_accuracy = torch.stack(seen).nanmean(0).tolist()
        step = first_step + epoch * len(comparisons)
        values = {"losses/preference": mean_loss, "charts/accuracy": mean_accuracy}
        values["charts/learning_rate"] = config.learning_rate * (1 - epoch / config.num_epochs)
        yield Metrics(step, values, state=state(rewarder, optimizer, generator, epoch, mean))
        if should_stop():
            return


def _loss(
    rewarder: RewardModel, sequences: Sequences, batch: Sequence[Comparison], doubt: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of some prompts' comparisons [n] under the heads' weights [n, K]; their accuracy (NaN: all ties)."""
    used = sorted({index for comparison in batch for index in (comparison.a, comparison.b)})
    row = {index: position for position, index in enumerate(used)}
    device = sequences.tokens.device
    logits = rewarder.logits(sequences.select(torch.tensor(used, device=device)))
    a = torch.tensor([row[comparison.a] for comparison in batch], device=device)
    b = torch.tensor([row[comparison.b] for comparison in batch], device=device)
    target = torch.tensor([comparison.target for comparison in batch], device=device)
    weight = torch.tensor([comparison.weight for comparison in batch], device=device).unsqueeze(1) * doubt.to(device)
    difference = logits[a] - logits[b]
    every = target.unsqueeze(1).expand_as(difference)
    loss = preference_loss(difference.flatten(), every.flatten(), weight.flatten())
    with torch.no_grad():
        decided = target != 0.5
        right = (difference.mean(1) > 0) == (target > 0.5)
        return loss, right[decided].float().mean()


def state(
    rewarder: RewardModel,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    epoch: int,
    mean: dict[str, Tensor],
) -> TrainingState:
    """Everything that the next pass depends on; `mean` is that of the weights so far."""
    tensors = pack("weights", all_weights(rewarder)) | pack("mean", mean)
    tensors |= pack_optimizer("optimizer", optimizer) | {"generator": pack_generator(generator)}
    return TrainingState(tensors, {"epoch": epoch})


def load(
    saved: TrainingState, rewarder: RewardModel, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> None:
    """Put a fresh learner back to `state`."""
    put_weights(rewarder, unpack("weights", saved.tensors))
    unpack_optimizer("optimizer", optimizer, saved.tensors)
    generator.set_state(saved.tensors["generator"])


def all_weights(rewarder: RewardModel) -> dict[str, Tensor]:
    """The live weights of trunk and heads by name."""
    heads = {f"head/{name}": tensor.detach() for name, tensor in rewarder.heads.state_dict().items()}
    return {f"model/{name}": tensor for name, tensor in model_state(rewarder.model).items()} | heads


def put_weights(rewarder: RewardModel, weights: dict[str, Tensor]) -> None:
    """Put `all_weights` back in place."""
    load_model_state(rewarder.model, unpack("model", weights))
    rewarder.heads.load_state_dict(unpack("head", weights))
