"""Language modelling: one loss and one loop for pre-training on texts and for fine-tuning on demonstrations.

`train` is a generator of Metrics like the game learners' (`agents/ppo.py`): step counts optimizer steps, closing it
stops it, and a run resumed from a report's state equals one that never stopped. The optimizer is AdamW; where models
begin anew, Muon for the layers' matrices.

Rows are whole texts, each beginning at position 0, batched with others of about its length, so that hardly any padding
is computed and no text sees another. Texts longer than the context are cut into windows.

Metrics: `losses/loss` (nats per token), `losses/grad_norm`, `charts/learning_rate`, `charts/tokens_per_second`,
`charts/epoch`.
"""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from agents.metrics import Metrics, TrainingState
from agents.muon import Muon
from agents.resume import pack, pack_optimizer, unpack, unpack_optimizer
from agents.text_configs import LanguageModelConfig
from agents.tokenizer import encode_completion, encode_prompt, encode_texts, pad_id
from agents.transformer import TextModel
from envs.errors import UsageError

_NUMBERED = re.compile(r"\.\d+\.")
"""What the name of a parameter inside one of the layers has, whatever the architecture."""


@dataclass
class Rows:
    """Token rows to learn from.

    Attributes:
        tokens: one int64 array per row.
        start: per row, the first token that is learnt (at least 1: something must come before it).
        pad: what fills rows up.
    """

    tokens: list[np.ndarray]
    start: np.ndarray
    pad: int

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def num_tokens(self) -> int:
        return sum(len(row) for row in self.tokens)


def text_rows(model: TextModel, texts: Sequence[str]) -> Rows:
    """Every token of every text; those longer than the context in windows, each of which begins with BOS.

    Raises UsageError for a context of one token.
    """
    tokenizer = model.tokenizer
    limit, bos = model.n_ctx, tokenizer.bos_token_id
    if limit < 2:
        raise UsageError("a context of one token holds nothing to learn: the next token must fit in, too")
    rows: list[np.ndarray] = []
    for tokens in encode_texts(tokenizer, texts):
        rows.append(np.asarray(tokens[:limit], dtype=np.int64))
        rest = tokens[limit:]
        size = limit if bos is None else limit - 1
        while rest:
            window = rest[:size] if bos is None else [bos, *rest[:size]]
            rows.append(np.asarray(window, dtype=np.int64))
            rest = rest[size:]
    rows = [row for row in rows if len(row) > 1]
    return Rows(rows, np.ones(len(rows), dtype=np.int64), pad_id(tokenizer))


def demonstration_rows(model: TextModel, demonstrations: Sequence[tuple[str, str]]) -> Rows:
    """The answer's tokens and EOS of every (prompt, answer); what lies beyond the context is cut off."""
    tokens, start = [], []
    for prompt, answer in demonstrations:
        before = encode_prompt(model.tokenizer, prompt)
        row = (before + encode_completion(model.tokenizer, answer))[: model.n_ctx]
        if len(row) > len(before) > 0:
            tokens.append(np.asarray(row, dtype=np.int64))
            start.append(len(before))
    return Rows(tokens, np.asarray(start, dtype=np.int64), pad_id(model.tokenizer))


def num_steps(config: LanguageModelConfig, rows: Rows) -> int:
    """Optimizer steps of `config.epochs` passes over the rows."""
    return max(1, round(config.epochs * len(_batches(rows, config.batch_tokens, np.random.default_rng(0)))))


def train(
    config: LanguageModelConfig,
    model: TextModel,
    rows: Rows,
    *,
    seed: int,
    total_steps: int | None = None,
    resume: TrainingState | None = None,
    checkpoint_steps: int = 0,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Metrics]:
    """Train the model in place on the rows, reporting every `config.report_steps`, and at the end with a state.

    `total_steps` defaults to `num_steps(config, rows)`; 0 `checkpoint_steps` means a state at the end alone. Raises
    UsageError where there is nothing to learn from.
    """
    if not len(rows):
        raise UsageError("there is no text to learn from")
    total_steps = total_steps or num_steps(config, rows)
    named = dict(model.named_parameters())
    optimizers = _optimizers(config, named)
    step = 0
    if resume is not None:
        stored = unpack("model", resume.tensors)
        with torch.no_grad():
            for name, parameter in named.items():
                parameter.copy_(stored[name])
        for name, optimizer in optimizers.items():
            unpack_optimizer(name, optimizer, resume.tensors)
        step = int(resume.meta["step"])
    per_epoch = len(_batches(rows, config.batch_tokens, np.random.default_rng(0)))
    batches = itertools.islice(_stream(config, rows, seed, step // per_epoch), step % per_epoch, None)
    sums, tokens, started, reported = torch.zeros(2), 0, time.monotonic(), step
    done = False
    while not done:
        batch = next(batches)
        rate = _learning_rate(config, step / total_steps)
        loss = next_token_loss(model, *_tensors(rows, batch, model.device))
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(list(named.values()), config.max_grad_norm or math.inf)
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        step += 1
        sums += torch.stack([loss.detach(), norm]).cpu()
        tokens += sum(len(rows.tokens[index]) for index in batch)
        done = step >= total_steps or should_stop()
        checkpoint = done or (checkpoint_steps > 0 and step % checkpoint_steps == 0)
        if checkpoint or step % config.report_steps == 0:
            now = time.monotonic()
            mean = (sums / (step - reported)).tolist()
            values = {
                "losses/loss": mean[0],
                "losses/grad_norm": mean[1],
                "charts/learning_rate": rate,
                "charts/tokens_per_second": tokens / max(now - started, 1e-9),
                "charts/epoch": step / per_epoch,
            }
            sums, tokens, started, reported = torch.zeros(2), 0, now, step
            state = None
            if checkpoint:
                tensors = pack("model", named)
                for name, optimizer in optimizers.items():
                    tensors |= pack_optimizer(name, optimizer)
                state = TrainingState(tensors, {"step": step})
            yield Metrics(step, values, state=state)


def next_token_loss(model: TextModel, tokens: Tensor, learnt: Tensor) -> Tensor:
    """Mean cross-entropy (nats) of the tokens [B, T] where `learnt` [B, T] is True, each given those before it."""
    hidden = model.hidden(tokens)[:, :-1]
    where = learnt[:, 1:]
    return F.cross_entropy(model.unembed(hidden[where]).float(), tokens[:, 1:][where])


@torch.no_grad()
def evaluate(model: TextModel, rows: Rows, batch_tokens: int = 8192) -> tuple[float, int]:
    """The negative log-probability (nats) of all learnt tokens, summed, and how many they are."""
    total, count = 0.0, 0
    for batch in _batches(rows, batch_tokens, np.random.default_rng(0)):
        tokens, learnt = _tensors(rows, batch, model.device)
        number = int(learnt[:, 1:].sum())
        total += float(next_token_loss(model, tokens, learnt)) * number
        count += number
    return total, count


def bits_per_byte(model: TextModel, texts: Sequence[str]) -> float:
    """Bits that the model needs per byte of these texts, their ends included. Raises UsageError where all are empty."""
    size = sum(len(text.encode()) for text in texts)
    if not size:
        raise UsageError("there is no text to measure the model on")
    nats, _ = evaluate(model, text_rows(model, texts))
    return nats / math.log(2) / size


def _optimizers(config: LanguageModelConfig, named: dict[str, torch.nn.Parameter]) -> dict[str, torch.optim.Optimizer]:
    """AdamW (Loshchilov and Hutter 2019) that decays matrices alone; with `muon`, Muon for those inside the layers."""
    inner = {name for name, p in named.items() if config.muon and p.ndim == 2 and _NUMBERED.search(name)}
    outer = [p for name, p in named.items() if name not in inner]
    groups = [
        {"params": [p for p in outer if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in outer if p.ndim < 2], "weight_decay": 0.0},
    ]
    found: dict[str, torch.optim.Optimizer] = {
        "optimizer": torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, config.beta2), fused=True)
    }
    if inner:
        found["muon"] = Muon([named[name] for name in sorted(inner)], config.learning_rate, config.weight_decay)
    return found


def _learning_rate(config: LanguageModelConfig, progress: float) -> float:
    """A linear warm-up, then half a cosine down to the final share."""
    if progress < config.warmup:
        return config.learning_rate * max(progress / config.warmup, 0.01)
    after = (progress - config.warmup) / max(1 - config.warmup, 1e-9)
    low = config.final_learning_rate
    return config.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(after, 1.0))))


def _batches(rows: Rows, batch_tokens: int, rng: np.random.Generator) -> list[np.ndarray]:
    """All rows once, in batches of like length whose padded area is at most `batch_tokens`, in random order."""
    lengths = np.array([len(row) for row in rows.tokens])
    order = rng.permutation(len(rows))
    order = order[np.argsort(lengths[order], kind="stable")]
    batches, begin = [], 0
    lengths = np.sort(lengths)
    while begin < len(order):
        size = max(1, batch_tokens // int(lengths[begin]))
        while size > 1 and size * int(lengths[min(begin + size, len(order)) - 1]) > batch_tokens:
            size -= 1
        batches.append(order[begin : begin + size])
        begin += size
    return [batches[index] for index in rng.permutation(len(batches))]


def _stream(config: LanguageModelConfig, rows: Rows, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Batches for ever, from this epoch on; an epoch's depend on the seed and its number alone."""
    for number in itertools.count(epoch):
        yield from _batches(rows, config.batch_tokens, np.random.default_rng([seed, number]))


def _tensors(rows: Rows, batch: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """[B, T] tokens, padded on the right, and [B, T] which of them are learnt."""
    longest = max(len(rows.tokens[index]) for index in batch)
    tokens = np.full((len(batch), longest), rows.pad, dtype=np.int64)
    learnt = np.zeros((len(batch), longest), dtype=bool)
    for place, index in enumerate(batch):
        row = rows.tokens[index]
        tokens[place, : len(row)] = row
        learnt[place, rows.start[index] : len(row)] = True
    return torch.from_numpy(tokens).to(device), torch.from_numpy(learnt).to(device)
