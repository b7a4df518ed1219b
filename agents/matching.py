"""Does an answer belong to its prompt? What a reward model learns from unlabelled examples before it sees a label.

Under a prompt its own answer is preferred to the answer of another prompt. Liu et al. 2024, "RRM: Robust reward model
training mitigates reward hacking", arXiv 2409.13156, add such comparisons to the labelled ones; here they come first,
from demonstrations, of which there are more than labels (a preference model's pre-training, as in Askell et al. 2021,
"A general language assistant as a laboratory for alignment", arXiv 2112.00861). A few hundred labels teach tone and
length; what fits what takes more. The trunk keeps what it has learnt; the heads begin anew with the labels.

Metrics: losses/matching, charts/matching_accuracy, charts/learning_rate. A step is a comparison seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from agents.descent import descend
from agents.feedback_configs import RewardConfig
from agents.losses import preference_loss
from agents.metrics import Metrics, TrainingState
from agents.resume import named_seeds, pack, torch_generator, unpack
from agents.reward_model import RewardModel, all_weights, put_weights
from agents.sequences import Sequences

BATCH = 16
WARMUP = 10
"""Gradient steps in which the learning rate rises."""
REPORTS = 10
TRIES = 8
"""How often another partner is drawn for an example whose partner will not do."""


def num_comparisons(config: RewardConfig, sequences: Sequences | None) -> int:
    """How many comparisons `train` sees."""
    return 0 if sequences is None or sequences.size < 2 else round(config.match_passes * sequences.size)


def partners(prompt: Tensor, answer: Tensor, generator: torch.Generator) -> Tensor:
    """[N]: for each example another one of another prompt and with another answer; −1 where none was found.

    Args:
        prompt, answer: [N] int64; equal numbers stand for equal texts.
    """
    assert prompt.ndim == 1
    assert prompt.shape == answer.shape
    count = len(prompt)
    drawn = torch.randint(count, (count,), generator=generator)
    for _ in range(TRIES):
        clash = (prompt[drawn] == prompt) | (answer[drawn] == answer)
        drawn = torch.where(clash, torch.randint(count, (count,), generator=generator), drawn)
    clash = (prompt[drawn] == prompt) | (answer[drawn] == answer)
    return torch.where(clash, -1, drawn)


def crossed(sequences: Sequences, prompt: Tensor, answer: Tensor) -> Sequences:
    """Sequences of the prompts of some rows [b] with the completions of others [b]."""
    return Sequences(
        sequences.prompt[prompt], sequences.prompt_mask[prompt], sequences.tokens[answer], sequences.mask[answer]
    ).select(torch.arange(len(prompt), device=sequences.tokens.device))


def train(
    config: RewardConfig,
    rewarder: RewardModel,
    sequences: Sequences,
    *,
    seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Metrics]:
    """Train the trunk in place; the heads are as before at the end. The last report carries a state for `load`.

    A training that is stopped has none and begins anew.
    """
    seeds = named_seeds(seed)
    generator = torch_generator(seeds["opponents"])
    before = {name: tensor.clone() for name, tensor in rewarder.heads.state_dict().items()}
    optimizer = torch.optim.AdamW(
        rewarder.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    prompt = sequences.prompt.cpu().unique(dim=0, return_inverse=True)[1]
    answer = sequences.tokens.cpu().unique(dim=0, return_inverse=True)[1]
    total, seen, reported = num_comparisons(config, sequences), 0, 0
    found: list[Tensor] = []
    own = other = torch.empty(0, dtype=torch.int64)
    while seen < total:
        if not len(own):
            own = torch.randperm(len(prompt), generator=generator)
            other = partners(prompt, answer, generator)[own]
        rows, foreign = own[: min(BATCH, total - seen)], other[: min(BATCH, total - seen)]
        own, other = own[len(rows) :], other[len(rows) :]
        rate = config.learning_rate * min(1.0, (seen / BATCH + 1) / WARMUP) * (1 - seen / total)
        for group in optimizer.param_groups:
            group["lr"] = rate
        seen += len(rows)
        rows, foreign = rows[foreign >= 0], foreign[foreign >= 0]
        if len(rows):
            found.append(_step(config, rewarder, optimizer, sequences, rows, foreign))
        if seen * REPORTS // total > reported:
            reported = seen * REPORTS // total
            means = torch.stack(found).mean(0).tolist() if found else [float("nan")] * 2
            found.clear()
            values = {"losses/matching": means[0], "charts/matching_accuracy": means[1], "charts/learning_rate": rate}
            state = None
            if seen >= total:
                rewarder.heads.load_state_dict(before)
                state = TrainingState(pack("weights", all_weights(rewarder)), {"matched": True})
            yield Metrics(seen, {name: value for name, value in values.items() if value == value}, state=state)
            if should_stop():
                return


def _step(
    config: RewardConfig,
    rewarder: RewardModel,
    optimizer: torch.optim.Optimizer,
    sequences: Sequences,
    rows: Tensor,
    foreign: Tensor,
) -> Tensor:
    """One gradient step on some rows' own answers against foreign ones; loss and accuracy [2]."""
    device = sequences.tokens.device
    both = crossed(sequences, torch.cat([rows, rows]).to(device), torch.cat([rows, foreign]).to(device))
    logits = rewarder.logits(both)
    difference = logits[: len(rows)] - logits[len(rows) :]
    flat = difference.flatten()
    loss = preference_loss(flat, torch.full_like(flat, config.certainty), torch.ones_like(flat))
    descend(optimizer, loss, config.max_grad_norm)
    return torch.stack([loss.detach(), (difference.mean(1) > 0).float().mean()])


def load(saved: TrainingState, rewarder: RewardModel) -> None:
    """Put a fresh reward model to where `train` left it."""
    put_weights(rewarder, unpack("weights", saved.tensors))
