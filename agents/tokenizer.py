"""A byte-level BPE tokenizer, and the one way in which prompts and completions become tokens.

A text is BOS, the prompt's tokens, the completion's (which begin with a space, as words inside a text do), EOS. Every
part of Arena that builds or takes apart token rows does so by the functions of this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BOS, EOS, PAD = "<|bos|>", "<|eos|>", "<|pad|>"


def train_tokenizer(texts: Iterable[str], vocab_size: int = 1024) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer (Sennrich et al. 2016; Radford et al. 2019) of these texts.

    BOS, EOS and PAD are different tokens (0, 1, 2), and padding goes to the left. Any text can be encoded, since every
    byte is a token. What looks like a special token inside a text is encoded as plain text.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        split_special_tokens=True,
    )


def encode_prompt(tokenizer: PreTrainedTokenizerFast, prompt: str) -> list[int]:
    """BOS (where the tokenizer has one) and the prompt's tokens."""
    return _bos(tokenizer) + _plain(tokenizer, prompt)


def encode_completion(tokenizer: PreTrainedTokenizerFast, completion: str, end: bool = True) -> list[int]:
    """The tokens of a space and the completion, and EOS where the text ends there."""
    return _plain(tokenizer, " " + completion.strip()) + (_eos(tokenizer) if end else [])


def encode_text(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """A whole text: BOS, its tokens, EOS."""
    return _bos(tokenizer) + _plain(tokenizer, text) + _eos(tokenizer)


def encode_texts(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[list[int]]:
    """`encode_text` of many, at the speed of the tokenizer's own batches."""
    if not texts:
        return []
    rows = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
    bos, eos = _bos(tokenizer), _eos(tokenizer)
    return [bos + row + eos for row in rows]


def decode_completion(tokenizer: PreTrainedTokenizerFast, tokens: Iterable[int]) -> str:
    """The text of completion tokens up to EOS, without special tokens and the space it begins with."""
    kept: list[int] = []
    for token in tokens:
        if token == tokenizer.eos_token_id:
            break
        kept.append(int(token))
    text = tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text).strip()


def pad_id(tokenizer: PreTrainedTokenizerFast) -> int:
    """The token that fills rows: PAD, else EOS, else 0. Masks, never this id, say what is padding."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0


def _plain(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def _bos(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return [] if tokenizer.bos_token_id is None else [int(tokenizer.bos_token_id)]


def _eos(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]
