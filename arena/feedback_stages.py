"""The trainings of the human-feedback half as stages: what each needs from the Store, how it trains, what it leaves.

A stage is built from plain settings alone (the row of its run), so that a run that was stopped or killed is built again
and goes on from its last state. Labels and demonstrations that came after it began do not belong to it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agents import dpo, lm, matching, online_dpo, reward_model, rlhf
from agents.configs import Config
from agents.feedback_configs import DPOConfig, OnlineDPOConfig, RewardConfig, RLHFConfig
from agents.metrics import Metrics, TrainingState
from agents.resume import named_seeds, torch_generator, unpack
from agents.reward_model import RewardModel
from agents.rewards import load_text_reward, prompt_texts, texts, token_reward
from agents.scoring import load_model_state, sharpen
from agents.sequences import Sequences
from agents.text_configs import PretrainConfig, SFTConfig
from agents.tokenizer import train_tokenizer
from agents.transformer import TextModel, TransformerConfig, model_files, new_model
from arena.annotators import scorer
from arena.comparisons import gather, selected
from arena.memory import keep_freed_memory
from arena.provenance import there
from arena.records_text import Completion, TextModelKind
from arena.reward_reports import held_out_report
from arena.store import Store
from arena.text_models import (
    complete,
    encode,
    encode_prompts,
    fits,
    load_reward_model,
    load_text_model,
    reward_files,
    same_tokens,
    that_fit,
)
from envs import helpdesk
from envs.errors import UsageError

CONFIGS: dict[str, type[Config]] = {
    "pretrain": PretrainConfig,
    "sft": SFTConfig,
    "reward": RewardConfig,
    "rlhf": RLHFConfig,
    "dpo": DPOConfig,
    "online_dpo": OnlineDPOConfig,
}
BEFORE: dict[str, dict[str, Any]] = {"pretrain": {"muon": False}, "reward": {"readout": "last"}}
"""Settings that a run's row may lack because they came later, as runs had them then."""
MAX_CORPUS_BYTES = 512 * 2**20
HELD_OUT_POSTS, HELD_OUT_SEED = 200, 900_001
REFERENCE_SAMPLES = 256
WATCHED = 4
"""Test prompts, the lecture's first, whose greedy answers are kept at every checkpoint of PPO and online DPO."""

Train = Callable[[TrainingState | None, Callable[[], bool]], Iterator[Metrics]]


@dataclass(frozen=True)
class Stage:
    """One training, ready to go.

    Attributes:
        kind: of the model it makes. parent: id of the model it begins with.
        total: its last step.
        train: (state to resume from, should_stop) → reports.
        files: the model's directory as it is now.
        measure: figures to keep beside the metrics, once it is done.
        watch: (step) → completions to keep at a checkpoint.
    """

    kind: TextModelKind
    total: int
    train: Train
    files: Callable[[], dict[str, bytes]]
    parent: int | None = None
    measure: Callable[[], dict[str, float]] = dict
    watch: Callable[[int], list[Completion]] | None = None


def build(store: Store, algorithm: str, config: Mapping[str, Any], seed: int, device: str) -> Stage:
    """The stage of a run's settings. Raises UsageError for what cannot be trained."""
    builders: dict[str, Callable[..., Stage]] = {
        "pretrain": _pretrain,
        "sft": _sft,
        "reward": _reward,
        "rlhf": _rlhf,
        "dpo": _dpo,
        "online_dpo": _online_dpo,
    }
    keep_freed_memory()
    settings = CONFIGS[algorithm](**(BEFORE.get(algorithm, {}) | config["settings"]))
    return builders[algorithm](store, config, settings, seed, device)


def corpus_texts(paths: Sequence[str], sha256: str | None = None) -> tuple[list[str], str]:
    """The paragraphs of text files, and the hash of all; UsageError where the hash is another than the one given."""
    digest, texts, size = hashlib.sha256(), [], 0
    for path in paths:
        try:
            size += Path(path).stat().st_size
            if size > MAX_CORPUS_BYTES:
                raise UsageError(f"the corpus is larger than {MAX_CORPUS_BYTES // 2**20} MiB")
            data = Path(path).read_bytes()
            text = data.decode("utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is no UTF-8 text: {error.reason} at byte {error.start}") from error
        digest.update(data)
        texts += [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    if not texts:
        raise UsageError("the corpus has no text")
    if sha256 is not None and digest.hexdigest() != sha256:
        raise UsageError("the corpus has changed since the run began; begin a new run with it")
    return texts, digest.hexdigest()


def _pretrain(store: Store, config: Mapping[str, Any], settings: PretrainConfig, seed: int, device: str) -> Stage:
    if config.get("corpus"):
        texts, _ = corpus_texts(config["corpus"], config["sha256"])
        held_out = texts[::50] if len(texts) >= 100 else []
        texts = [text for index, text in enumerate(texts) if index % 50 or not held_out]
    else:
        texts = helpdesk.sample_posts(config["posts"], seed)
        learnt = set(texts)
        held_out = [post for post in helpdesk.sample_posts(HELD_OUT_POSTS, HELD_OUT_SEED + seed) if post not in learnt]
    tokenizer = train_tokenizer(texts[:20_000], config["vocab_size"])
    model = new_model(TransformerConfig(**config["transformer"]), tokenizer, seed).to(device)
    rows = lm.text_rows(model, texts)
    total = lm.num_steps(settings, rows)

    def measure() -> dict[str, float]:
        if not held_out:
            return {}
        found = {"held_out/bits_per_byte": lm.bits_per_byte(model, held_out)}
        if not config.get("corpus"):
            nats = -math.fsum(helpdesk.post_log_prob(post) for post in held_out)
            found["held_out/bits_per_byte_bound"] = nats / math.log(2) / sum(len(post.encode()) for post in held_out)
        return found

    return Stage(
        "pretrained", total, _language(settings, model, rows, seed, total), partial(model_files, model), None, measure
    )


def _sft(store: Store, config: Mapping[str, Any], settings: SFTConfig, seed: int, device: str) -> Stage:
    model = load_text_model(store, config["parent"], device)
    examples = [(row.prompt, row.response) for row in store.demonstrations("train")][: config["demonstrations"]]
    rows = lm.demonstration_rows(model, examples)
    if not len(rows):
        raise UsageError("there are no demonstrations that fit the model; give some with --demonstrations FILE")
    total = lm.num_steps(settings, rows)
    train = _language(settings, model, rows, seed, total)
    return Stage("sft", total, train, partial(model_files, model), store.text_model(config["parent"]).id)


def _language(settings: Any, model: TextModel, rows: lm.Rows, seed: int, total: int) -> Train:
    def train(state: TrainingState | None, should_stop: Callable[[], bool]) -> Iterator[Metrics]:
        if state is not None and state.meta["step"] >= total:
            load_model_state(model, unpack("model", state.tensors))
            return iter(())
        every = max(1, total // 10)
        return lm.train(
            settings,
            model,
            rows,
            seed=seed,
            total_steps=total,
            resume=state,
            checkpoint_steps=every,
            should_stop=should_stop,
        )

    return train


def _reward(store: Store, config: Mapping[str, Any], settings: RewardConfig, seed: int, device: str) -> Stage:
    parent = store.text_model(config["parent"])
    labels, scores = selected(store, config["labels"])
    trunk, chance = load_text_model(store, parent.name, device), torch_generator(named_seeds(seed)["init"])
    rewarder = RewardModel.fresh(trunk, settings.members, chance, settings.readout)
    found = gather(store, labels, rewarder.model, settings.certainty, scores)
    split = reward_model.split_prompts([c.prompt for c in found.comparisons], settings.held_out_share, named_rng(seed))
    learnt = [c for c in found.comparisons if c.prompt in set(split[0])]
    held_out = [c for c in found.comparisons if c.prompt in set(split[1])]
    shown = store.demonstrations("train")[: config.get("demonstrations", 0)] if settings.match_passes else []
    examples = encode(trunk, [(row.prompt, row.response, True) for row in shown]) if shown else None
    matches = matching.num_comparisons(settings, examples)
    measured: dict[str, Any] = {}

    def train(state: TrainingState | None, should_stop: Callable[[], bool]) -> Iterator[Metrics]:
        if state is not None and "matched" in state.meta:
            matching.load(state, rewarder)
            state = None
        elif state is None and matches:
            assert examples is not None
            yield from matching.train(settings, rewarder, examples, seed=seed, should_stop=should_stop)
            if should_stop():
                return
        yield from reward_model.train(
            settings, rewarder, found.sequences, learnt, seed=seed, first_step=matches, resume=state,
            should_stop=should_stop,
        )  # fmt: skip

    def measure() -> dict[str, float]:
        reference = load_text_model(store, parent.name, device)
        prompts = [prompt.text for prompt in store.prompts("train")]
        prompts = [text for text in prompts if fits(reference, text, config["max_new_tokens"])][:REFERENCE_SAMPLES]
        samples = complete(reference, prompts, config["max_new_tokens"], seed=seed)
        rewarder.normalise(
            encode(rewarder.model, [(prompt, *sample) for prompt, sample in zip(prompts, samples, strict=True)])
        )
        measured.update(held_out_report(rewarder, found, learnt, held_out, labels))
        return {f"held_out/{key}": value for key, value in measured.items() if isinstance(value, float)}

    def files() -> dict[str, bytes]:
        return reward_files(rewarder, measured)

    return Stage("reward", matches + settings.num_epochs * len(learnt), train, files, parent.id, measure)


def _rlhf(store: Store, config: Mapping[str, Any], settings: RLHFConfig, seed: int, device: str) -> Stage:
    parent = store.text_model(config["parent"])
    policy, reference = _policy_and_reference(store, parent.name, settings.reference_temperature, device)
    tokens = _training_prompts(store, config, policy, settings.max_new_tokens)
    if config["reward"]:
        reward = token_reward(load_text_reward(config["reward"]), policy)
    else:
        rewarder = load_reward_model(store, config["reward_model"], device)
        same_tokens(policy, rewarder.model, parent.name, config["reward_model"])
        reward = rewarder.reward
    gold = scorer(config["gold"]) if config["gold"] else None

    def observe(sequences: Sequences) -> dict[str, float]:
        if gold is None:
            return {}
        pairs = list(zip(prompt_texts(sequences, policy), texts(sequences, policy), strict=True))
        return {"charts/gold": math.fsum(gold(prompt, text) for prompt, text in pairs) / len(pairs)}

    def train(state: TrainingState | None, should_stop: Callable[[], bool]) -> Iterator[Metrics]:
        return rlhf.train(
            settings, policy, reference, tokens, reward, seed=seed, total_steps=config["completions"], resume=state,
            checkpoint_steps=max(1, config["completions"] // 10), observe=observe,
            should_stop=should_stop,
        )  # fmt: skip

    watch = _watch(store, policy, settings.max_new_tokens)
    return Stage("rlhf", config["completions"], train, partial(model_files, policy), parent.id, watch=watch)


def _dpo(store: Store, config: Mapping[str, Any], settings: DPOConfig, seed: int, device: str) -> Stage:
    parent = store.text_model(config["parent"])
    policy, reference = _policy_and_reference(store, parent.name, settings.reference_temperature, device)
    labels, scores = selected(store, config["labels"])
    found = gather(store, labels, policy, settings.certainty, scores)

    def train(state: TrainingState | None, should_stop: Callable[[], bool]) -> Iterator[Metrics]:
        return dpo.train(
            settings,
            policy,
            reference,
            found.sequences,
            found.comparisons,
            seed=seed,
            resume=state,
            should_stop=should_stop,
        )

    total = settings.num_epochs * len(found.comparisons)
    return Stage("dpo", total, train, partial(model_files, policy), parent.id)


def _online_dpo(store: Store, config: Mapping[str, Any], settings: OnlineDPOConfig, seed: int, device: str) -> Stage:
    parent = store.text_model(config["parent"])
    policy, reference = _policy_and_reference(store, parent.name, settings.reference_temperature, device)
    rewarder = load_reward_model(store, config["reward_model"], device)
    same_tokens(policy, rewarder.model, parent.name, config["reward_model"])
    tokens = _training_prompts(store, config, policy, settings.max_new_tokens)

    def log_odds(sequences: Sequences) -> Tensor:
        return rewarder.reward(sequences) * rewarder.scale

    def train(state: TrainingState | None, should_stop: Callable[[], bool]) -> Iterator[Metrics]:
        return online_dpo.train(
            settings, policy, reference, tokens, log_odds, seed=seed, total_steps=config["completions"], resume=state,
            checkpoint_steps=max(1, config["completions"] // 10), should_stop=should_stop,
        )  # fmt: skip

    watch = _watch(store, policy, settings.max_new_tokens)
    return Stage("dpo", config["completions"], train, partial(model_files, policy), parent.id, watch=watch)


def _policy_and_reference(store: Store, parent: str, temperature: float, device: str) -> tuple[TextModel, TextModel]:
    """Two copies of a model as it writes at this temperature."""
    policy, reference = (sharpen(load_text_model(store, parent, device), temperature) for _ in range(2))
    return policy, reference


def _training_prompts(
    store: Store, config: Mapping[str, Any], policy: TextModel, max_new_tokens: int
) -> list[list[int]]:
    """The training prompts that were there when the run began and leave room for a completion, as tokens."""
    prompts = [prompt.text for prompt in store.prompts("train")][: config["prompts"]]
    if not prompts:
        raise UsageError("there are no prompts to learn on; `arena rlhf sample` brings some")
    short = [prompts[number] for number in that_fit(policy, prompts, max_new_tokens)]
    return encode_prompts(policy, short or prompts, max_new_tokens)


def _watch(store: Store, policy: TextModel, max_new_tokens: int) -> Callable[[int], list[Completion]] | None:
    """What answers the watched test prompts greedily at a step; None where there are none."""
    test = [prompt for prompt in store.prompts("test", limit=WATCHED) if fits(policy, prompt.text, max_new_tokens)]

    def watch(step: int) -> list[Completion]:
        answers = complete(policy, [prompt.text for prompt in test], max_new_tokens, greedy=True)
        return [
            Completion(prompt.id, text, ended, step=step) for prompt, (text, ended) in zip(test, answers, strict=True)
        ]

    return watch if test else None


def named_rng(seed: int) -> Any:
    """The generator that splits prompts."""
    import numpy as np

    return np.random.default_rng(np.random.SeedSequence([seed, 7]))


def device_of(name: str) -> str:
    """ "auto" is a GPU where there is one. Raises UsageError for a device that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return there(name)
