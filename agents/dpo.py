"""Direct preference optimisation (Rafailov et al. 2023, "Direct preference optimization", arXiv 2305.18290).

The policy learns from the labels themselves: β (log π(y) − log π_ref(y)) plays the reward in the Bradley–Terry loss of
reward models (`agents/losses.preference_loss`), with the same soft labels: ties pull two completions together. The
reference's log-probabilities are computed once.

The loss falls as well if the preferred completion becomes less likely and the other one less likely still. Against that
`sft_coef` adds the preferred completions' own loss (Pang et al. 2024, "Iterative reasoning preference optimization",
arXiv 2404.19733).

Metrics, one report per pass: losses/preference, losses/preferred (nats per token of preferred completions),
charts/accuracy (ties left out), charts/margin (β-scaled log-ratio of the preferred minus the other, decided labels
only), charts/log_ratio (mean of labelled completions to the reference, nats), charts/learning_rate. A step is a
comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from agents.descent import descend
from agents.feedback_configs import DPOConfig
from agents.losses import preference_loss
from agents.metrics import Metrics, TrainingState
from agents.resume import named_seeds, pack, pack_generator, pack_optimizer, torch_generator, unpack, unpack_optimizer
from agents.reward_model import Comparison
from agents.scoring import Scorer, load_model_state, model_state
from agents.sequences import Sequences
from agents.transformer import TextModel

SCORING_BATCH = 256


def train(
    config: DPOConfig,
    policy: TextModel,
    reference: TextModel,
    sequences: Sequences,
    comparisons: Sequence[Comparison],
    *,
    seed: int,
    resume: TrainingState | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Metrics]:
    """Train `policy` in place on comparisons of the completions in `sequences`; a report with a state per pass."""
    assert comparisons
    device = sequences.tokens.device
    scorer = Scorer(policy, config.frozen_layers)
    optimizer = torch.optim.AdamW(scorer.trained_parameters(), config.learning_rate, weight_decay=0.0, fused=True)
    generator = torch_generator(named_seeds(seed)["policy"])
    reference_log_prob = completion_log_probs(Scorer(reference), sequences)
    sides = torch.tensor([[comparison.a, comparison.b] for comparison in comparisons], device=device)
    target = torch.tensor([comparison.target for comparison in comparisons], device=device)
    weight = torch.tensor([comparison.weight for comparison in comparisons], device=device)
    epoch = 0
    if resume is not None:
        load_model_state(policy, unpack("policy", resume.tensors))
        unpack_optimizer("optimizer", optimizer, resume.tensors)
        generator.set_state(resume.tensors["generator"])
        epoch = resume.meta["epoch"]
    batches = -(-len(comparisons) // config.batch_size)
    while epoch < config.num_epochs:
        seen: list[Tensor] = []
        shuffled = torch.randperm(len(comparisons), generator=generator).to(device)
        for number, chosen in enumerate(shuffled.split(config.batch_size)):
            progress = (epoch + number / batches) / config.num_epochs
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * (1 - progress)
            used, place = sides[chosen].unique(return_inverse=True)
            batch = sequences.select(used)
            log_prob = scorer.log_probs(batch, 1.0).sum(1)
            ratio = log_prob - reference_log_prob[used]
            difference = config.beta * (ratio[place[:, 0]] - ratio[place[:, 1]])
            loss = preference_loss(difference, target[chosen], weight[chosen])
            preferred = nats_of_preferred(log_prob, batch.lengths, place, target[chosen])
            descend(optimizer, loss + config.sft_coef * preferred, config.max_grad_norm)
            found = diagnostics(loss, difference, target[chosen])
            seen.append(torch.cat([found, torch.stack([preferred, ratio.mean()]).detach()]))
        epoch += 1
        names = ("losses/preference", "charts/accuracy", "charts/margin", "losses/preferred", "charts/log_ratio")
        values = dict(zip(names, torch.stack(seen).nanmean(0).tolist(), strict=True))
        values["charts/learning_rate"] = config.learning_rate * (1 - epoch / config.num_epochs)
        tensors = pack("policy", model_state(policy)) | pack_optimizer("optimizer", optimizer)
        tensors["generator"] = pack_generator(generator)
        yield Metrics(epoch * len(comparisons), values, state=TrainingState(tensors, {"epoch": epoch}))
        if should_stop():
            return


@torch.no_grad()
def completion_log_probs(scorer: Scorer, sequences: Sequences) -> Tensor:
    """[B]: log-probability of each whole completion, EOS included, at temperature 1."""
    found = torch.empty(sequences.size, device=sequences.tokens.device)
    order = (sequences.lengths + sequences.prompt_mask.sum(1)).argsort()
    for index in order.split(SCORING_BATCH):
        found[index] = scorer.log_probs(sequences.select(index), 1.0).sum(1)
    return found


def nats_of_preferred(log_prob: Tensor, lengths: Tensor, place: Tensor, target: Tensor) -> Tensor:
    """Mean nats per token of the completions that labels prefer; 0 where all labels are ties.

    Args:
        log_prob, lengths: [n], of whole completions and how many tokens they have.
        place: [B, 2], each comparison's two completions. target: [B], the probability that the first is preferred.
    """
    rows = torch.where(target > 0.5, place[:, 0], place[:, 1])[target != 0.5]
    return -log_prob[rows].sum() / lengths[rows].sum().clamp(min=1)


@torch.no_grad()
def diagnostics(loss: Tensor, difference: Tensor, target: Tensor) -> Tensor:
    """[3]: loss, accuracy and margin of one batch; NaN where all labels are ties."""
    decided = target != 0.5
    margin = torch.where(target > 0.5, difference, -difference)[decided]
    return torch.stack([loss.detach(), (margin > 0).float().mean(), margin.mean()])
