"""The tokenizer: distinct special tokens, any text there and back, prompts and completions that join without a seam."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from agents import tokenizer as tk
from envs import helpdesk


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return tk.train_tokenizer(helpdesk.sample_posts(500, seed=0), vocab_size=600)


def test_special_tokens_are_distinct_and_padding_is_on_the_left(tokenizer: PreTrainedTokenizerFast) -> None:
    assert [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id] == [0, 1, 2]
    assert tokenizer.padding_side == "left"
    assert len(tokenizer) == 600
    assert tk.pad_id(tokenizer) == 2


@pytest.mark.parametrize(
    "text", ["my laptop won't turn on", "née Ωμέγα 東京 🙂\n\ttab", "\x00\x1b[31m", "a  b   c ", ""]
)
def test_any_text_comes_back(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    assert tokenizer.decode(tk.encode_text(tokenizer, text)[1:-1], clean_up_tokenization_spaces=False) == text


def test_what_looks_like_a_special_token_is_plain_text(tokenizer: PreTrainedTokenizerFast) -> None:
    text = "the end <|eos|> is not here <|bos|>"
    for tokens in (tk.encode_text(tokenizer, text), tk.encode_texts(tokenizer, [text])[0]):
        assert tokens[0] == 0
        assert tokens[-1] == 1
        assert not {0, 1, 2} & set(tokens[1:-1])
    assert not {0, 1, 2} & set(tk.encode_prompt(tokenizer, text)[1:] + tk.encode_completion(tokenizer, text, end=False))


def test_prompt_and_completion_join_as_the_whole_text_is_encoded(tokenizer: PreTrainedTokenizerFast) -> None:
    for prompt, answer in helpdesk.demonstrations(50, seed=0):
        joined = tk.encode_prompt(tokenizer, prompt) + tk.encode_completion(tokenizer, answer)
        assert joined == tk.encode_text(tokenizer, f"{prompt} {answer}")
        assert tk.decode_completion(tokenizer, [*joined[len(tk.encode_prompt(tokenizer, prompt)) :], 2, 2]) == answer


def test_batches_equal_single_texts(tokenizer: PreTrainedTokenizerFast) -> None:
    posts = helpdesk.sample_posts(20, seed=3)
    assert tk.encode_texts(tokenizer, posts) == [tk.encode_text(tokenizer, post) for post in posts]
    assert tk.encode_texts(tokenizer, []) == []


def test_saved_and_loaded_it_is_the_same(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.name_or_path == str(tmp_path)
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id, loaded.padding_side) == (0, 1, 2, "left")
    posts = helpdesk.sample_posts(20, seed=3)
    assert tk.encode_texts(loaded, posts) == tk.encode_texts(tokenizer, posts)
