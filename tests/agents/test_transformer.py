"""Models: the plain pass beside the bridge, saving after training, Hugging Face directories good and hostile."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from agents.tokenizer import train_tokenizer
from agents.transformer import (
    ModelError,
    TextModel,
    TransformerConfig,
    load_model,
    model_files,
    model_from_files,
    new_model,
    save_model,
)  # fmt: skip
from envs import helpdesk

SMALL = TransformerConfig(n_layer=2, n_head=2, d_model=32, n_ctx=64)
VOCAB = 320


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(helpdesk.sample_posts(50, seed=0), vocab_size=VOCAB)


def neox(parallel: bool = True) -> GPTNeoXForCausalLM:
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=VOCAB + 8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=64, use_parallel_residual=parallel,
        )
    )  # fmt: skip


def gpt2() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4))


def llama() -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=64,
        )
    )  # fmt: skip


MODELS: dict[str, Callable[[], Any]] = {
    "gpt2": gpt2, "pythia": neox, "serial neox": lambda: neox(False), "llama": llama,
}  # fmt: skip


@pytest.fixture(scope="module", params=list(MODELS))
def directory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast
) -> Path:
    """A model as somebody else would have saved it."""
    path = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = MODELS[request.param]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def some_tokens(rows: int = 3, length: int = 12) -> Tensor:
    return torch.randint(3, VOCAB, (rows, length), generator=torch.Generator().manual_seed(0))


def step(model: TextModel, rate: float = 0.05) -> None:
    """One step of plain gradient descent on some tokens."""
    tokens = some_tokens()
    logits = model.forward(tokens)[:, :-1].float()
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter -= rate * parameter.grad
            parameter.grad = None


def test_loaded_logits_are_those_of_transformers(directory: Path) -> None:
    model = load_model(directory)
    reference = AutoModelForCausalLM.from_pretrained(directory)
    tokens = some_tokens()
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), reference(tokens).logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model(tokens), model.bridge(tokens), atol=1e-4, rtol=1e-4)


def test_plain_pass_equals_the_bridge_with_padding_on_either_side(directory: Path) -> None:
    model = load_model(directory)
    tokens = some_tokens()
    mask = torch.ones_like(tokens)
    mask[0, :5] = 0
    mask[1, -4:] = 0
    with torch.no_grad():
        ours, theirs = model(tokens, mask), model.bridge(tokens, attention_mask=mask)
        alone = model(tokens[:1, 5:])
    torch.testing.assert_close(ours[mask.bool()], theirs[mask.bool()], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours[:1, 5:], alone, atol=1e-4, rtol=1e-4)


def test_hidden_is_what_the_hook_of_the_final_norm_sees(directory: Path) -> None:
    model = load_model(directory)
    tokens = some_tokens()
    with torch.no_grad():
        _, cache = model.bridge.run_with_cache(tokens)
        hidden = model.hidden(tokens)
        torch.testing.assert_close(hidden, cache["ln_final.hook_out"], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model.unembed(hidden), model(tokens), atol=1e-5, rtol=1e-5)


def test_gradients_of_the_plain_pass_are_the_bridges(directory: Path) -> None:
    model = load_model(directory)
    tokens = some_tokens()
    gradients = []
    for logits in (model(tokens), model.bridge(tokens)):
        logits.logsumexp(-1).sum().backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
        for parameter in model.parameters():
            parameter.grad = None
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.slow
def test_trained_saved_and_loaded_it_gives_the_same_logits(directory: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    model = load_model(directory).to(dtype)
    before = model(some_tokens()).detach()
    step(model)
    tokens = some_tokens()
    with torch.no_grad():
        trained = model(tokens)
        assert (trained - before).abs().max() > 0.05
        save_model(model, tmp_path / "saved")
        loaded = load_model(tmp_path / "saved", dtype)
        assert torch.equal(loaded(tokens), trained)
        # Libraries without Arena load it too, to the same numbers.
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=dtype)(tokens).logits
        tolerance = 1e-4 if dtype == torch.float32 else 0.1
        torch.testing.assert_close(theirs, trained, atol=tolerance, rtol=tolerance)
    assert len(AutoTokenizer.from_pretrained(tmp_path / "saved")) == VOCAB


def test_training_through_the_bridge_is_saved_as_well(directory: Path) -> None:
    model = load_model(directory)
    optimizer = torch.optim.SGD(list(model.parameters()), lr=0.1)
    tokens = some_tokens()
    model.bridge(tokens).logsumexp(-1).mean().backward()
    optimizer.step()
    with torch.no_grad():
        assert torch.equal(model_from_files(model_files(model))(tokens), model(tokens))


def test_a_fused_optimizer_moves_every_weight_as_any_other_does(directory: Path) -> None:
    """It reads weights and gradients as they lie in memory, whatever their strides say."""
    moved = []
    for fused in (True, False):
        model = load_model(directory)
        optimizer = torch.optim.Adam(list(model.parameters()), lr=0.01, fused=fused)
        model(some_tokens()).logsumexp(-1).mean().backward()
        optimizer.step()
        moved.append(dict(model.named_parameters()))
    for name, parameter in moved[0].items():
        torch.testing.assert_close(parameter, moved[1][name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.slow
def test_equal_models_give_equal_bytes(directory: Path) -> None:
    files = model_files(load_model(directory))
    assert model_files(load_model(directory)) == files
    assert model_files(model_from_files(files)) == files
    assert "model.safetensors" in files


def test_new_models_are_equal_for_equal_seeds_and_leave_the_global_generator(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    models = [new_model(SMALL, tokenizer, seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(3), expected)
    first, same, other = (model_files(model)["model.safetensors"] for model in models)
    assert first == same != other
    assert (models[0].n_ctx, models[0].d_model, models[0].dtype) == (64, 32, torch.float32)
    assert torch.equal(models[0].bridge.to_tokens("hello")[0, :1], torch.tensor([0]))


def test_parameters_are_each_given_once_and_all_get_gradients(tokenizer: PreTrainedTokenizerFast) -> None:
    model = new_model(SMALL, tokenizer, 0)
    named = dict(model.named_parameters())
    assert len({id(parameter) for parameter in named.values()}) == len(named)
    assert not [name for name in named if ".qkv." in name]
    assert sum(p.numel() for p in named.values()) == sum(p.numel() for p in GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=2)
    ).parameters())  # fmt: skip
    step(model)


# Directories that somebody else made, or broke.


@pytest.fixture(scope="module")
def good_files(tokenizer: PreTrainedTokenizerFast) -> dict[str, bytes]:
    return model_files(new_model(SMALL, tokenizer, 0))


def edited(data: bytes, **values: object) -> bytes:
    return json.dumps(json.loads(data) | values).encode()


def header(tensors: object, body: bytes = b"") -> bytes:
    text = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + body


def break_files(files: dict[str, bytes], how: str) -> None:
    weights = files["model.safetensors"]
    tensor = {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
    changes: dict[str, dict[str, bytes | None]] = {
        "no config": {"config.json": None},
        "config is no JSON": {"config.json": b"{"},
        "config is deep": {"config.json": b"[" * 200_000},
        "config is a list": {"config.json": b"[]"},
        "no model type": {"config.json": b"{}"},
        "unknown model type": {"config.json": edited(files["config.json"], model_type="mystery")},
        "own code": {"config.json": edited(files["config.json"], auto_map={"AutoModelForCausalLM": "evil.Model"})},
        "huge": {"config.json": edited(files["config.json"], n_embd=2**20, n_head=2**10)},
        "deep": {"config.json": edited(files["config.json"], n_layer=10**9)},
        "negative": {"config.json": edited(files["config.json"], n_embd=-32)},
        "text for a number": {"config.json": edited(files["config.json"], n_layer="two")},
        "other shape": {"config.json": edited(files["config.json"], n_embd=64)},
        "more layers": {"config.json": edited(files["config.json"], n_layer=3)},
        "no weights": {"model.safetensors": None},
        "a pickle": {"model.safetensors": None, "pytorch_model.bin": b"\x80\x04."},
        "cut off": {"model.safetensors": weights[:-100]},
        "too long": {"model.safetensors": weights + b"more"},
        "empty": {"model.safetensors": b""},
        "header too long": {"model.safetensors": struct.pack("<Q", 2**60) + weights[8:]},
        "header is no JSON": {"model.safetensors": header(b"not json")},
        "header is a list": {"model.safetensors": header([1, 2])},
        "overlapping": {"model.safetensors": header(tensor | {"v": tensor["w"]}, bytes(16))},
        "wrong span": {"model.safetensors": header({"w": tensor["w"] | {"shape": [10**12]}}, bytes(16))},
        "offsets are text": {"model.safetensors": header({"w": tensor["w"] | {"data_offsets": "ab"}}, bytes(16))},
        "other tensors": {"model.safetensors": header(tensor, bytes(16))},
        "no tokenizer": {"tokenizer.json": None},
        "tokenizer is no JSON": {"tokenizer.json": b"\xff\xfe"},
        "tokenizer is empty": {"tokenizer.json": b"{}"},
        "its settings are a number": {"tokenizer_config.json": b"5"},
        "index names a path": {
            "model.safetensors": None,
            "model.safetensors.index.json": json.dumps({"weight_map": {"w": "../../etc/passwd"}}).encode(),
        },
        "index names a missing shard": {
            "model.safetensors": None,
            "model.safetensors.index.json": json.dumps({"weight_map": {"w": "a.safetensors"}}).encode(),
        },
    }
    for name, data in changes[how].items():
        if data is None:
            del files[name]
        else:
            files[name] = data


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("no config", "config.json is missing"),
        ("config is no JSON", "config.json is not JSON"),
        ("config is deep", "config.json is not JSON"),
        ("config is a list", "model_type"),
        ("no model type", "model_type"),
        ("unknown model type", "mystery"),
        ("own code", "auto_map"),
        ("huge", "parameters"),
        ("deep", "n_layer=1000000000"),
        ("negative", "describes no model"),
        ("text for a number", "describes no model"),
        ("other shape", "parameters"),
        ("more layers", "lack"),
        ("no weights", "model.safetensors is missing"),
        ("a pickle", "pytorch_model.bin is a pickle"),
        ("cut off", "corrupt"),
        ("too long", "corrupt"),
        ("empty", "corrupt"),
        ("header too long", "corrupt"),
        ("header is no JSON", "corrupt"),
        ("header is a list", "corrupt"),
        ("overlapping", "corrupt"),
        ("wrong span", "corrupt"),
        ("offsets are text", "corrupt"),
        ("other tensors", "lack"),
        ("no tokenizer", "no tokenizer"),
        ("tokenizer is no JSON", "tokenizer.json is not JSON"),
        ("tokenizer is empty", "tokenizer"),
        ("its settings are a number", "tokenizer_config.json is no JSON object"),
        ("index names a path", "does not list safetensors files"),
        ("index names a missing shard", "a.safetensors is missing"),
    ],
)
def test_a_broken_directory_is_refused_in_one_line(
    how: str, says: str, good_files: dict[str, bytes], tmp_path: Path
) -> None:
    files = dict(good_files)
    break_files(files, how)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=says) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(good_files: dict[str, bytes], tmp_path: Path) -> None:
    train_tokenizer(helpdesk.sample_posts(50, seed=0), vocab_size=VOCAB + 60).save_pretrained(tmp_path)
    files = good_files | {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ModelError, match="do not match"):
        model_from_files(files)


@pytest.mark.parametrize("name", ["config.json", "merges.txt"])
def test_a_pipe_in_a_directory_is_refused_unread(name: str, good_files: dict[str, bytes], tmp_path: Path) -> None:
    for file, data in good_files.items():
        if file != name:
            (tmp_path / file).write_bytes(data)
    os.mkfifo(tmp_path / name)
    with pytest.raises(ModelError, match=f"{name} is no regular file"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["../evil.json", "/etc/passwd", "", "..", "a/b"])
def test_file_names_that_leave_the_directory_are_refused(good_files: dict[str, bytes], name: str) -> None:
    with pytest.raises(ModelError, match="may not be called"):
        model_from_files(good_files | {name: b"{}"})


@pytest.mark.parametrize("name", ["nowhere", "./nowhere", "/nowhere/at/all", "some/model-that-is-not-there", "a\nb"])
def test_a_name_that_is_no_directory_fails_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError) as caught:
        load_model(name)
    assert "\n" not in str(caught.value)


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = "http://127.0.0.1:1"
    slept: list[float] = []
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", nobody)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", nobody + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", slept.append)
    with pytest.raises(ModelError, match="'nowhere' is no directory, and no model of that name"):
        load_model("nowhere")
    assert slept == [], "it was tried again and again"


def test_sharded_weights_are_loaded(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    model = gpt2()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    tokenizer.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    tokens = some_tokens()
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(tokens), model.eval()(tokens).logits, atol=1e-4, rtol=1e-4)
