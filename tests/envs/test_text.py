"""Text as an environment: the protocol, and rewards once, at the end, for the whole completion."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agents.decoder import Decoder
from agents.rewards import token_reward
from agents.sequences import Sequences, pad
from agents.transformer import TextModel
from envs.conformance import check_factory
from envs.native import NativeEnv
from envs.text import text_env

END, PAD = 1, 2
PROMPTS = torch.tensor([[PAD, 3, 4], [5, 6, 7], [PAD, PAD, 8]])


def count_threes(prompt: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Threes in the completion, and ten times the prompt's index."""
    return ((tokens == 3) & mask).sum(1).float() + 10 * prompt


def make(num_envs: int, autoreset: bool = True) -> NativeEnv:
    return text_env(
        PROMPTS,
        count_threes,
        num_tokens=10,
        end=END,
        pad=PAD,
        max_new_tokens=4,
        decode=lambda tokens: " ".join(map(str, tokens)) + "\x1b[31m",
        num_envs=num_envs,
        autoreset=autoreset,
    )


def test_keeps_the_protocol() -> None:
    assert check_factory(make) == []


def test_reward_comes_once_for_the_whole_completion() -> None:
    env = make(2, autoreset=False)
    turn = env.reset(torch.tensor([1, 2]))
    prompt = env.state()["prompt"]
    assert torch.equal(turn.observation[:, 0, :3].long(), PROMPTS[prompt])
    first = env.step(torch.tensor([[3], [3]]))
    assert not first.rewards.any()
    second = env.step(torch.tensor([[3], [END]]))
    assert second.terminated.tolist() == [False, True]
    assert float(second.rewards[1, 0]) == 1 + 10 * int(prompt[1])
    assert float(second.rewards[0, 0]) == 0
    assert second.final.observation[0, 0, 3:].tolist() == [3, 3, PAD, PAD]
    env.step(torch.tensor([[9], [0]]))
    last = env.step(torch.tensor([[3], [0]]))
    assert last.terminated.tolist() == [True, False]
    assert not last.truncated.any()
    assert float(last.rewards[0, 0]) == 3 + 10 * int(prompt[0])
    assert float(last.rewards[1, 0]) == 0, "a completion is paid once"


def test_padding_is_no_legal_token() -> None:
    mask = make(1).reset(torch.tensor([0])).legal_action_mask
    assert mask is not None
    assert mask[0, 0].tolist() == [token != PAD for token in range(10)]


def test_drawings_are_inert() -> None:
    env = make(1)
    env.reset(torch.tensor([0]))
    assert "\x1b" not in env.draw().text()


def test_stepped_token_by_token_it_pays_what_the_decoders_rollout_is_paid(
    tiny_model: Callable[[int], TextModel],
) -> None:
    """Eight completions by the decoder in one pass, and the same tokens as actions of eight games."""
    model = tiny_model(0)
    prompts = [[0, 40, 41], [0, 50], [0, 60, 61, 62]]
    sample = Decoder(model).sample(
        [prompts[index % 3] for index in range(8)], 6, generator=torch.Generator().manual_seed(1)
    )
    sequences = Sequences(sample.prompt_tokens, sample.prompt_mask, sample.tokens, sample.mask)
    reward = token_reward(letters, model)
    whole = reward(sequences)

    def of_game(prompt: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        rows = [prompts[index] for index in prompt.tolist()]
        return reward(Sequences(*pad(rows, PAD, left=True), tokens, mask))

    env = text_env(
        pad(prompts, PAD, left=True)[0], of_game, num_tokens=300, end=END, pad=PAD, max_new_tokens=6,
        decode=model.tokenizer.decode, num_envs=8, autoreset=False,
    )  # fmt: skip
    env.reset(torch.arange(8))
    env.load({**env.state(), "prompt": torch.arange(8) % 3})
    paid = torch.zeros(8, 6)
    for t in range(sample.tokens.shape[1]):
        step = env.step(sample.tokens[:, t : t + 1])
        paid[:, t] = step.rewards[:, 0]
        assert torch.equal(step.terminated, sample.mask.sum(1) == t + 1)
    last = (sample.mask.sum(1) - 1).unsqueeze(1)
    assert torch.equal(paid.gather(1, last).squeeze(1), whole)
    assert torch.equal(paid.sum(1), whole), "and nothing before the end"
    assert len(set(whole.tolist())) > 3


def letters(prompts: list[str], completions: list[str]) -> list[float]:
    return [len(completion) + 100 * len(prompt) for prompt, completion in zip(prompts, completions, strict=True)]
