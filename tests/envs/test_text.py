"""Text as an environment: the protocol, and rewards once, at the end, for the whole completion."""

from __future__ import annotations

import torch
from torch import Tensor

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
