"""Text as a game for one player: the state is a prompt with the tokens so far, an action is the next token.

An episode is one prompt. It terminates with the end token, or with `max_new_tokens`, a limit that the state knows; the
reward comes then, once, for the whole completion. The decoder makes rollouts of this game in one pass; stepped token by
token it gives the same rewards.

The observation is the P + T token ids, prompt padded on the left, completion on the right, as float32 (exact for every
vocabulary below 2**24).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from envs import chance
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing
from envs.specs import GameSpec

RewardFunction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(index of the prompt [B], completion [B, T] padded, its mask [B, T] bool, EOS included) → reward [B]."""
VERSION = 1
WIDTH, HEIGHT = 76, 18


class TextRules:
    """State: `prompt` [N] the prompt's index, `tokens` [N, T] the completion so far, padded.

    Args:
        prompts: [M, P] int64, padded on the left with `pad`.
        decode: token ids → text, for drawings.
    """

    def __init__(
        self,
        prompts: Tensor,
        reward: RewardFunction,
        num_tokens: int,
        end: int,
        pad: int,
        max_new_tokens: int,
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        self.prompts, self.reward, self.decode = prompts, reward, decode
        self.num_tokens, self.end, self.pad, self.max_new_tokens = num_tokens, end, pad, max_new_tokens
        self.legal = torch.ones(num_tokens, dtype=torch.bool, device=prompts.device)
        self.legal[pad] = False

    def init(self, seeds: Tensor) -> State:
        empty = torch.full((len(seeds), self.max_new_tokens), self.pad, dtype=torch.int64, device=seeds.device)
        return {"prompt": chance.below(seeds, 0, len(self.prompts)), "tokens": empty}

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        ply = state["ply"].clamp(max=self.max_new_tokens - 1)
        tokens = state["tokens"].scatter(1, ply.unsqueeze(1), action)
        terminated = (action.squeeze(1) == self.end) | (ply + 1 >= self.max_new_tokens)
        rewards = torch.zeros(len(tokens), 1, device=tokens.device)
        ended = terminated.nonzero().squeeze(1)
        if len(ended):
            written = torch.arange(self.max_new_tokens, device=tokens.device) <= ply[ended].unsqueeze(1)
            rewards[ended, 0] = self.reward(state["prompt"][ended], tokens[ended], written)
        return {**state, "tokens": tokens}, rewards, terminated

    def observe(self, state: State) -> Turn:
        tokens = torch.cat([self.prompts[state["prompt"]], state["tokens"]], 1)
        slots = (len(tokens), 1)
        return Turn(
            tokens.float().unsqueeze(1),
            self.legal.expand(*slots, self.num_tokens),
            torch.zeros(slots, dtype=torch.int64, device=tokens.device),
        )

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        written = [token for token in state["tokens"][index].tolist() if token != self.pad]
        prompt = [token for token in self.prompts[state["prompt"][index]].tolist() if token != self.pad]
        lines = [line for part in (prompt, written) for line in _wrap(_inert(self.decode(part)))]
        shown = tuple(((line, "plain"),) for line in lines[:HEIGHT])
        return Drawing(shown, caption=f"{len(written)} of {self.max_new_tokens} tokens")


def text_env(
    prompts: Tensor,
    reward: RewardFunction,
    *,
    num_tokens: int,
    end: int,
    pad: int,
    max_new_tokens: int,
    decode: Callable[[Sequence[int]], str],
    num_envs: int,
    autoreset: bool = True,
) -> NativeEnv:
    """N games of writing completions to prompts [M, P] (int64, padded on the left with `pad`), on their device."""
    spec = GameSpec(
        game="text",
        version=VERSION,
        num_players=1,
        num_slots=1,
        num_actions=num_tokens,
        observation_shape=(prompts.shape[1] + max_new_tokens,),
        observation_dtype="float32",
        action_names=tuple(map(str, range(num_tokens))),
    )
    rules = TextRules(prompts, reward, num_tokens, end, pad, max_new_tokens, decode)
    return NativeEnv(spec, rules, num_envs, prompts.device, autoreset)


def _inert(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _wrap(text: str) -> list[str]:
    return [text[start : start + WIDTH] for start in range(0, len(text), WIDTH)] or [""]
