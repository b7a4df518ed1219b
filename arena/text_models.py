"""Text models in the Store: loaded, imported from and exported to directories; completions as token sequences."""

from __future__ import annotations

import json
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import torch

from agents.decoder import Decoder
from agents.model_directory import ModelError
from agents.reward_model import RewardModel
from agents.sequences import Sequences, make_sequences
from agents.tokenizer import decode_completion, encode_completion, encode_prompt, pad_id
from agents.transformer import TextModel, load_model, model_files, model_from_files
from arena.store import Store
from envs.errors import ArenaError, UnknownNameError, UsageError

HEAD_FILE, REPORT_FILE = "reward_head.safetensors", "report.json"
SAMPLING_BATCH = 128
Model = TypeVar("Model", TextModel, RewardModel)


def load_text_model(store: Store, name: str, device: str = "cpu") -> TextModel:
    """A language model of the Store, its own copy of the weights. Raises UsageError for a reward model."""
    if store.text_model(name).kind == "reward":
        raise UsageError(
            f"{name} is a reward model: it judges text and writes none; `arena rlhf models` shows the others"
        )
    return model_from_files(store.text_model_files(name)).to(device)


def load_reward_model(store: Store, name: str, device: str = "cpu") -> RewardModel:
    """A reward model of the Store. Raises UsageError for any other model."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    if store.text_model(name).kind != "reward":
        raise UsageError(f"{name} is no reward model; `arena rlhf reward` trains one from labels")
    files = store.text_model_files(name)
    try:
        head = load(files.pop(HEAD_FILE))
    except (KeyError, SafetensorError):
        raise ArenaError(f"the reward model {name} is damaged: {HEAD_FILE} is missing or no safetensors file") from None
    files.pop(REPORT_FILE, None)
    return RewardModel.load(model_from_files(files).to(device), head)


class Shelf:
    """Models that have been loaded, to be used and not to be trained; those used longest ago leave.

    Args:
        room: how many stand there at once.
    """

    def __init__(self, room: int = 8) -> None:
        self._room = room
        self._models: OrderedDict[Any, Any] = OrderedDict()

    def text(self, store: Store, name: str) -> TextModel:
        """A language model of the Store; raises as `load_text_model`."""
        return self._take(store, name, load_text_model)

    def reward(self, store: Store, name: str) -> RewardModel:
        """A reward model of the Store; raises as `load_reward_model`."""
        return self._take(store, name, load_reward_model)

    def _take(self, store: Store, name: str, load: Callable[[Store, str], Model]) -> Model:
        key = (store.path, store.text_model(name), load)
        model: Model = self._models.pop(key, None) or load(store, name)
        self._models[key] = model
        while len(self._models) > self._room:
            self._models.popitem(last=False)
        return model


def reward_files(rewarder: RewardModel, report: Mapping[str, Any]) -> dict[str, bytes]:
    """A reward model's directory: the trunk's, with its heads and what was measured."""
    from safetensors.torch import save

    head = {name: tensor.contiguous() for name, tensor in rewarder.head().items()}
    extra = {HEAD_FILE: save(head), REPORT_FILE: json.dumps(report, sort_keys=True).encode()}
    return model_files(rewarder.model) | extra


def reward_report(store: Store, name: str) -> dict[str, Any]:
    """What was measured when the reward model was trained."""
    try:
        report = json.loads(store.text_model_files(name)[REPORT_FILE])
    except (KeyError, ValueError):
        raise UsageError(f"{name} has no report: it is no reward model trained by `arena rlhf reward`") from None
    return dict(report)


def import_model(store: Store, directory: str, name: str | None = None) -> str:
    """Keep a Hugging Face-format directory (or a name on the hub) as a model of the Store; returns its name.

    Raises ModelError where it cannot be loaded, UsageError where the name is taken.
    """
    model = load_model(directory)
    name = name or Path(directory).resolve().name
    store.add_text_model(name, "imported", model_files(model))
    return name


def model_named(store: Store, name: str) -> str:
    """The name of a model in the Store. A directory, or a name on the hub, is imported under its own name first, once.

    Raises UsageError where there is no such model, and where another one has that name.
    """
    known = {model.name for model in store.text_models()}
    if name in known:
        return name
    own = Path(name).resolve().name
    if not Path(name).is_dir() and (own in known or get_close_matches(name, known)):
        raise UnknownNameError("model", name, known)
    try:
        model = load_model(name)
    except ModelError as error:
        if Path(name).is_dir():
            raise
        raise UsageError(f"{UnknownNameError('model', name, known)}; and {error}") from None
    files = model_files(model)
    if own not in known:
        store.add_text_model(own, "imported", files)
    elif store.text_model_files(own) != files:
        raise UsageError(
            f"there is another model {own!r} here; `arena rlhf import {name} --name …` gives this one a name"
        )
    return own


def export_model(store: Store, name: str, directory: Path) -> list[str]:
    """Write a model's directory, which must be new or empty; returns the names of its files."""
    files = store.text_model_files(name)
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} is there already; name a new directory")
        directory.mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            (directory / file).write_bytes(data)
    except OSError as error:
        raise ArenaError(f"{directory} cannot be written: {error.strerror}") from error
    return sorted(files)


def encode(model: TextModel, rows: Sequence[tuple[str, str, bool]]) -> Sequences:
    """(prompt, completion, whether it ended by itself) as sequences, cut to what the model can read."""
    prompts, completions = [], []
    for prompt, completion, ended in rows:
        tail = encode_completion(model.tokenizer, completion, end=ended)[: model.n_ctx - 1]
        head = encode_prompt(model.tokenizer, prompt)
        prompts.append(
            head[:1] + head[1:][-(model.n_ctx - 1 - len(tail)) :] if len(tail) < model.n_ctx - 1 else head[:1]
        )
        completions.append(tail)
    return make_sequences(prompts, completions, pad_id(model.tokenizer), model.device)


def encode_prompts(model: TextModel, prompts: Sequence[str], max_new_tokens: int) -> list[list[int]]:
    """Prompts as token ids; UsageError where one leaves no room for a completion."""
    found = []
    for prompt in prompts:
        tokens = encode_prompt(model.tokenizer, prompt)
        if len(tokens) + max_new_tokens > model.n_ctx:
            raise UsageError(
                f"a prompt of {len(tokens)} tokens and {max_new_tokens} new ones are more than the model's "
                f"{model.n_ctx}: {prompt[:40]!r}; give a smaller --tokens or leave the prompt out"
            )
        found.append(tokens)
    return found


def same_tokens(model: TextModel, other: TextModel, name: str, other_name: str) -> None:
    """Raises UsageError where two models do not share their tokens."""
    if model.tokenizer.get_vocab() != other.tokenizer.get_vocab():
        raise UsageError(
            f"{other_name} has another tokenizer than {name}; take two models that come from one pre-trained model"
        )


def fits(model: TextModel, prompt: str, max_new_tokens: int) -> bool:
    """Whether a prompt leaves room for a completion."""
    return len(encode_prompt(model.tokenizer, prompt)) + max_new_tokens <= model.n_ctx


def that_fit(model: TextModel, prompts: Sequence[str], max_new_tokens: int) -> list[int]:
    """Which prompts leave room for a completion, by number; a warning says how many do not."""
    found = [number for number, prompt in enumerate(prompts) if fits(model, prompt, max_new_tokens)]
    if left_out := len(prompts) - len(found):
        room = f"{max_new_tokens} new tokens more than the {model.n_ctx} that the model reads"
        warnings.warn(f"{left_out:,} of {len(prompts):,} prompts are left out: with {room}", stacklevel=2)
    return found


def complete(model: TextModel, prompts: Sequence[str], max_new_tokens: int, **sampling: Any) -> list[tuple[str, bool]]:
    """One (completion, whether it ended by itself) per prompt; `sampling` is that of `complete_tokens`."""
    return as_text(model, complete_tokens(model, prompts, max_new_tokens, **sampling))


def as_text(model: TextModel, rows: Sequence[Sequence[int]]) -> list[tuple[str, bool]]:
    """Completions as tokens → (completion, whether it ended by itself)."""
    return [(decode_completion(model.tokenizer, row), model.tokenizer.eos_token_id in row) for row in rows]


def complete_tokens(
    model: TextModel,
    prompts: Sequence[str],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    greedy: bool = False,
) -> list[list[int]]:
    """One completion per prompt as its tokens, EOS included where it ended by itself; equal arguments, equal tokens."""
    generator = torch.Generator(model.device).manual_seed(seed)
    decoder = Decoder(model)
    tokens = encode_prompts(model, prompts, max_new_tokens)
    found: list[list[int]] = []
    for start in range(0, len(tokens), SAMPLING_BATCH):
        sample = decoder.sample(
            tokens[start : start + SAMPLING_BATCH],
            max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            generator=generator,
            greedy=greedy,
        )
        lengths = sample.mask.sum(1).tolist()
        found += [row[:length] for row, length in zip(sample.tokens.tolist(), lengths, strict=True)]
    return found


def answer(store: Store, name: str, prompt: str, max_new_tokens: int, temperature: float = 0.0, seed: int = 0) -> str:
    """What a model of the Store says to a prompt; at temperature 0 the likeliest token each time."""
    model = load_text_model(store, name)
    greedy = temperature == 0
    return complete(
        model, [prompt], max_new_tokens, temperature=1.0 if greedy else temperature, seed=seed, greedy=greedy
    )[0][0]
