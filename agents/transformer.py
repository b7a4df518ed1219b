"""The transformer: a TransformerLens bridge on a Hugging Face model, made anew, loaded from a directory, and saved.

`TextModel.forward` and `.hidden` run the plain pass of `agents/gpt.py` where it knows the architecture; hooks run in
`TextModel.bridge(tokens)`, whose numbers are the same. Both read the same parameters.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from agents import gpt
from agents.model_directory import ModelError, check_directory, check_files
from agents.tokenizer import pad_id

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerFast

__all__ = [
    "ModelError", "TextModel", "TransformerConfig", "load_model", "model_files", "model_from_files", "new_model",
    "save_model",
]  # fmt: skip


@dataclass(frozen=True)
class TransformerConfig:
    """A GPT-2 (Radford et al. 2019) without dropout.

    Attributes:
        n_layer, n_head, d_model: blocks, attention heads, width.
        n_ctx: the longest text in tokens.
    """

    n_layer: int = 4
    n_head: int = 4
    d_model: int = 128
    n_ctx: int = 128


@dataclass
class TextModel:
    """A causal language model and its tokenizer.

    `parameters()` are what training changes: each weight once, and of a fused query-key-value matrix its three parts
    (`bridge.parameters()` would give both). Save with `save_model`, which fuses them again.
    """

    bridge: TransformerBridge
    tokenizer: PreTrainedTokenizerFast

    @property
    def device(self) -> torch.device:
        return next(iter(self.parameters())).device

    @property
    def dtype(self) -> torch.dtype:
        return next(iter(self.parameters())).dtype

    @property
    def n_ctx(self) -> int:
        """The longest text in tokens."""
        return int(self.bridge.cfg.n_ctx)

    @property
    def d_model(self) -> int:
        return int(self.bridge.cfg.d_model)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Each trainable parameter once, under the name that the bridge gives it."""
        seen: set[int] = set()
        for name, parameter in self.bridge.named_parameters():
            if ".qkv." in name or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            yield name, parameter

    def parameters(self) -> Iterator[nn.Parameter]:
        for _, parameter in self.named_parameters():
            yield parameter

    def weights(self) -> gpt.Weights | None:
        """The live parameters by role, or None where the plain pass does not know the architecture."""
        return gpt.weights_of(self.bridge)

    def hidden(self, tokens: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """[B, T, d]: the output of the final layer norm, as hook `ln_final.hook_out` sees it.

        `attention_mask` [B, T] is 0 on padding, on either side; None where there is none on the left.
        """
        weights = self.weights()
        if weights is not None:
            return gpt.hidden(weights, tokens, attention_mask)
        kept: list[Tensor] = []
        self.bridge.run_with_hooks(
            tokens,
            fwd_hooks=[("ln_final.hook_out", lambda value, hook: kept.append(value))],
            attention_mask=_whole(tokens, attention_mask),
        )
        return kept[0]

    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """[B, T, V]: the logits of each next token."""
        weights = self.weights()
        if weights is not None:
            return gpt.logits(weights, gpt.hidden(weights, tokens, attention_mask))
        logits: Tensor = self.bridge(tokens, attention_mask=_whole(tokens, attention_mask))
        return logits

    def unembed(self, hidden: Tensor) -> Tensor:
        """[..., V] logits of [..., d] outputs of `hidden`; where only some positions matter, this is cheaper."""
        weights = self.weights()
        if weights is not None:
            return gpt.logits(weights, hidden)
        logits: Tensor = self.bridge.unembed(hidden)
        return logits

    def to(self, target: torch.device | str | torch.dtype) -> TextModel:
        """Move the model to a device or cast it, in place. The frequencies of rotary positions keep their precision."""
        original: Any = self.bridge.original_model
        frequencies = {name: buffer for name, buffer in original.named_buffers() if "inv_freq" in name}
        self.bridge.to(target, print_details=False)
        for name, buffer in original.named_buffers():
            if name in frequencies:
                buffer.data = frequencies[name].to(buffer.device)
        return self

    __call__ = forward


def new_model(config: TransformerConfig, tokenizer: PreTrainedTokenizerFast, seed: int) -> TextModel:
    """A GPT-2 with random weights, equal for equal seeds; torch's global generator is left as it was."""
    from transformers import GPT2Config, GPT2LMHeadModel

    settings = GPT2Config(
        vocab_size=len(tokenizer), n_positions=config.n_ctx, n_embd=config.d_model, n_layer=config.n_layer,
        n_head=config.n_head, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=pad_id(tokenizer), resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(settings)
    return _boot(model, tokenizer)


def load_model(directory: str | Path, dtype: torch.dtype = torch.float32) -> TextModel:
    """A causal language model in Hugging Face's format: config.json, safetensors weights, a tokenizer.

    `directory` may be a name on the Hugging Face hub, which is asked as `transformers` does it (so not at all with
    HF_HUB_OFFLINE=1, but for its local cache). Nothing is unpickled and no code of the directory is run. Raises
    ModelError, in one line, for what cannot be loaded.
    """
    path = check_directory(directory)
    from transformers import AutoModelForCausalLM

    with _quiet(), _one_line(str(directory)):
        tokenizer = _load_tokenizer(path, str(directory))
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="eager",  # what the bridge needs; a directory's own wish could name code on the hub
            dtype=dtype,
            output_loading_info=True,
        )
        model, info = loaded
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(f"{directory}: the weights lack {missing[0]} ({len(missing)} missing in all)")
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"{directory}: the tokenizer has {len(tokenizer)} tokens, the model only {rows}; they do not match"
        )
    with _one_line(str(directory)):
        return _boot(model, tokenizer)


def _load_tokenizer(path: Path, where: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic of the tokenizer's native code is no Exception
        text = " ".join(str(error).split())
        raise ModelError(f"{where}: the tokenizer cannot be loaded: {type(error).__name__}: {text[:200]}") from error


def save_model(model: TextModel, directory: str | Path) -> None:
    """Write the model as a directory that `transformers`, TRL and vLLM load; existing files of it are replaced."""
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, data in model_files(model).items():
            (path / name).write_bytes(data)
    except OSError as error:
        raise ModelError(f"{directory} cannot be written: {error.strerror}") from error


def model_files(model: TextModel) -> dict[str, bytes]:
    """The directory of `save_model` as file name → bytes; equal models give equal bytes."""
    from safetensors.torch import save

    original: Any = model.bridge.original_model
    with tempfile.TemporaryDirectory() as folder, _quiet():
        config = type(original.config).from_dict(original.config.to_dict())
        config.dtype = model.dtype
        config.architectures = [model.bridge.cfg.architecture]
        config.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in _export(model).items()}
    files["model.safetensors"] = save(tensors, metadata={"format": "pt"})
    return files


def model_from_files(files: dict[str, bytes], dtype: torch.dtype = torch.float32) -> TextModel:
    """The model whose directory these files are; raises ModelError as `load_model` does."""
    check_files(files)
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        return load_model(folder, dtype)


def _export(model: TextModel) -> dict[str, Tensor]:
    """The weights under their Hugging Face names, fused matrices put together from their trained parts."""
    plain: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in model.named_parameters():
        name = name.replace("._original_component", "")
        prefix, _, rest = name.rpartition(".attn.") if ".attn." in name else name.rpartition(".attention.")
        role, _, kind = rest.partition(".")
        if prefix and role in ("q", "k", "v"):
            parts.setdefault(f"{prefix}|{kind}", {})[role] = tensor
        else:
            plain[_hf_name(model, name)] = tensor
    for key, by_role in parts.items():
        prefix, _, kind = key.partition("|")
        plain |= _fused(model, prefix, kind, by_role)
    if model.bridge.cfg.architecture not in gpt.ARCHITECTURES:
        _check_export(model, plain)
    return plain


def _check_export(model: TextModel, tensors: dict[str, Tensor]) -> None:
    """Raise ModelError where these are not the names and shapes that Hugging Face's class of the model has."""
    from transformers import AutoModelForCausalLM

    original: Any = model.bridge.original_model
    with torch.device("meta"):
        reference = AutoModelForCausalLM.from_config(original.config)
    expected = {name: parameter.shape for name, parameter in reference.named_parameters()}
    if expected != {name: tensor.shape for name, tensor in tensors.items()}:
        raise ModelError(f"models of the class {model.bridge.cfg.architecture} cannot be saved")


def _hf_name(model: TextModel, name: str) -> str:
    if model.bridge.cfg.architecture == "GPT2LMHeadModel":
        return name.replace(".attn.o.", ".attn.c_proj.")
    return name.replace(".attention.o.", ".attention.dense.")


def _fused(model: TextModel, prefix: str, kind: str, parts: dict[str, Tensor]) -> dict[str, Tensor]:
    """The fused query-key-value weight or bias of one layer."""
    q, k, v = parts["q"], parts["k"], parts["v"]
    if model.bridge.cfg.architecture == "GPT2LMHeadModel":
        joined = torch.cat([q, k, v])
        return {f"{prefix}.attn.c_attn.{kind}": joined.T if kind == "weight" else joined}
    heads = model.bridge.cfg.n_heads
    stacked = torch.stack([part.view(heads, -1, *part.shape[1:]) for part in (q, k, v)], dim=1)
    return {f"{prefix}.attention.query_key_value.{kind}": stacked.reshape(-1, *q.shape[1:])}


def _boot(model: Any, tokenizer: PreTrainedTokenizerFast) -> TextModel:
    """The bridge on a model that is already in memory.

    The bridge reads a tokenizer again from where it came from, so it is given a saved copy of its own.
    """
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoTokenizer

    # The bridge draws weights for its linear layers before it gives them the model's.
    with tempfile.TemporaryDirectory() as folder, _quiet(), torch.random.fork_rng(devices=[]):
        tokenizer.save_pretrained(folder)
        model.config.save_pretrained(folder)
        bridge = TransformerBridge.boot_transformers(
            folder,
            hf_model=model,
            tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
            device="cpu",
            dtype=model.dtype,
        )
    bridge.eval()
    for parameter in bridge.parameters():  # fused optimizers take it that neighbours in memory are neighbours
        parameter.data = parameter.data.contiguous()
    return TextModel(bridge, tokenizer)


def _whole(tokens: Tensor, attention_mask: Tensor | None) -> Tensor:
    return torch.ones_like(tokens) if attention_mask is None else attention_mask


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Loading without progress bars and advice on standard error."""
    from transformers.utils import logging as hf_logging

    shown, level = hf_logging.is_progress_bar_enabled(), hf_logging.get_verbosity()
    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()
    root = logging.getLogger("transformer_lens")
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(before)
        hf_logging.set_verbosity(level)
        if shown:
            hf_logging.enable_progress_bar()


@contextlib.contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Whatever the libraries raise about this directory, as one line."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise ModelError(f"{name} cannot be loaded: {type(error).__name__}: {text[:200]}") from error
